find and xargs over a tree of a few hundred files. The oracle is GNU findutils.

### setup
mkdir -p t/src t/doc t/empty t/src/deep/er
i=0; while [ $i -lt 200 ]; do echo "file $i" >t/src/f$i.c; i=$((i+1)); done
seq 1 5000 >t/doc/big.txt; : >t/doc/void; echo x >t/src/deep/er/x.h; ln -s ../doc/big.txt t/src/link; chmod 755 t/doc/void
touch -d '2001-01-01' t/doc/void; touch -d '2002-01-01' t/doc/big.txt; echo 'sp ace' >'t/doc/sp ace'
### case names_and_types
cd $D; find t -name '*.h'; find t -type d | sort; find t -type l; find t -iname 'BIG*'; find t -name 'f1?.c' | sort | head -n 3; find t -path '*deep*' | sort; find t -type f | wc -l; find t -regex '.*/f[0-9]\.c' | sort | tail -n 2
### case tests
cd $D; find t -size +20k; find t -empty | sort; find t -perm 755 -type f; find t -newer t/doc/void -name big.txt; find t -mtime +1000 | sort; find t -links 1 -name void; find t -user root -name void; find t ! -name '*.c' -type f | sort; find t \( -name void -o -name x.h \) | sort; find t -size -2 -name 'sp*'
### case depth_and_pruning
cd $D; find t -maxdepth 1 | sort; find t -mindepth 3 | sort; find t -path t/src -prune -o -print | sort; find t/src/deep -depth; find . -maxdepth 0
### case actions
cp -r $D/t c; find c -name 'f1*.c' -delete; find c -name '*.c' | wc -l; find c -name x.h -exec cat {} \;; find c -name 'f2*.c' -exec cat {} + | sort | cksum; find c/doc -type f -printf '%f %s\n' 2>/dev/null | sort; find c -name void -print0 | od -c | head -n 1; find c -name nosuch; echo $?; find nosuch 2>/dev/null; echo $?; find c -name x.h -print -quit
### case xargs_batches
seq 1 10 | xargs; seq 1 10 | xargs -n 3; seq 1 3 | xargs -I{} echo 'item {}'; printf 'a b\0c\0' | xargs -0 -n 1 echo; printf "'quoted arg' plain \\\\ x\n" | xargs -n 1 echo 2>/dev/null | head -n 2; seq 1 20000 | xargs echo | tr ' ' '\n' | wc -l; printf '' | xargs echo none; printf '' | xargs -r echo none
### case xargs_statuses
echo x | xargs false; echo $?; echo x | xargs nosuchcommand 2>/dev/null; echo $?; seq 3 | xargs -n 1 sh -c 'exit 255' 2>/dev/null; echo $?; seq 4 | xargs -P 2 -n 1 echo | sort
### case find_with_xargs
cd $D; find t -name '*.c' -print0 | sort -z | xargs -0 cat | cksum; find t -type f | sort | xargs -d '\n' wc -l | tail -n 1; find t/doc -type f -print0 | xargs -0 -n 1 basename | sort
