Making, moving, linking, describing and removing files. The oracle is GNU coreutils.

### setup
seq 1 50000 >numbers
mkdir -p tree/a/b/c tree/d
for i in 1 2 3 4 5 6 7 8; do seq $i 100 >tree/a/f$i; seq $i 7 500 >tree/a/b/g$i; done
ln -s ../a/f1 tree/d/link
echo hello >tree/d/hello
touch -d '2020-01-02 03:04:05' tree/d/hello tree/a/f1
### case cp_copies_files_and_trees
cp $D/numbers copy; cmp copy $D/numbers; cp -r $D/tree t; find t | sort; cat t/a/b/g3 | cksum; cp -a $D/tree p; ls -l --time-style=+%F p/d/hello | cut -d' ' -f6-; readlink p/d/link; cp -L p/d/link plain; cmp plain p/a/f1
### case cp_options
echo old >f; echo new >g; cp -n g f; cat f; cp --backup=numbered g f; ls; cp -u g f; cp -l g hard; stat -c %h g; cp -s $PWD/g sym 2>/dev/null; cat sym; cp -t . $D/tree/d/hello; cat hello; cp -p $D/tree/d/hello kept; stat -c '%Y %a' kept; mkdir dir; cp f g dir; ls dir
### case cp_refuses oracle=uutils
mkdir d; cp d e; echo $?; cp nosuch e; echo $?; echo x >f; cp f f; echo $?; cp f g nodir; echo $?
### case mv_renames
echo 1 >a; mv a b; ls; mkdir d; mv b d; ls d; mv d e; ls; echo 2 >f; echo 3 >g; mv -n f g; cat g; mv -f f g; cat g; mv -t e g; ls e; mv e/b e/g .; ls; mv --backup b g; ls
### case mv_refuses oracle=uutils
mv nosuch x; echo $?; mkdir -p a/b; mv a a/b; echo $?; echo x >f; mv f f; echo $?
### case rm_removes
cp -r $D/tree t; rm t/a/f1 t/a/f2; ls t/a; rm -r t/a/b; ls t/a | wc -l; rm -rf t nosuch; ls; echo $?; touch f; chmod 000 f; rm -f f; ls; mkdir e; rm -d e; ls
### case rm_refuses oracle=uutils
mkdir d; rm d; echo $?; rm nosuch; echo $?; rm -r .; echo $?
### case rm_spares_the_root expect=ok
rm -rf / 2>err; [ $? != 0 ] && grep -q dangerous err && [ -d /bin ] && echo ok
### case rm_a_deep_tree
p=.; i=0; while [ $i -lt 60 ]; do p=$p/deep; i=$((i+1)); done; mkdir -p $p; touch $p/leaf; find . | wc -l; rm -r deep; ls -A
### case ln_links
echo x >a; ln a b; stat -c %h a; ln -s a c; readlink c; ln -sf b c; readlink c; ln -s nosuch dangling; cat dangling 2>/dev/null; echo $?; mkdir d; ln -s ../a d; cat d/a; ln -r -s a d/rel; readlink d/rel; ln -sn d dn; ls -F | sort
### case ln_refuses oracle=uutils
echo x >a; ln a a; echo $?; ln nosuch b; echo $?; mkdir d; ln d e; echo $?
### case link_and_unlink
echo x >a; link a b; stat -c %h b; unlink a; cat b; unlink b; ls -A; unlink nosuch 2>/dev/null; echo $?
### case mkdir_makes
mkdir a; mkdir -p b/c/d; mkdir -m 700 e; stat -c '%a %n' a b/c e; mkdir -v f; mkdir -p a; echo $?; mkdir a 2>/dev/null; echo $?
### case rmdir_removes_empty_ones
mkdir -p a/b/c d; rmdir d; rmdir -p a/b/c; ls -A; mkdir -p e/f; rmdir e 2>/dev/null; echo $?; rmdir --ignore-fail-on-non-empty e; echo $?; ls
### case mkfifo_carries_data
mkfifo -m 600 p; stat -c '%F %a' p; cat $D/numbers >p & cksum <p; wait; ls -l p | cut -c1
### case mknod_makes_nodes
mknod p p; stat -c %F p; mknod n c 1 3; stat -c '%F %t %T' n; echo gone >n; cat n; mknod z c 1 5; head -c 3 z | od -A n -t x1
### case mktemp_makes_unique_names
f=$(mktemp); d=$(mktemp -d); stat -c '%F %a' $f $d; rm $f; rmdir $d; t=$(mktemp -p . abcXXXX); expr $t : '\./abc....$'; mktemp -u nameXXXXX | wc -c; mktemp bad 2>/dev/null; echo $?
### case touch_sets_times
touch -d '2001-02-03 04:05:06' f; stat -c '%x|%y' f; touch -t 202001020304.05 g; stat -c %Y g; touch -r f g; stat -c %Y g; touch -a -d @1000 f; stat -c '%X %Y' f; touch -c nosuch; ls; touch -m -d @5.25 f; stat -c %.2Y f
### case truncate_sizes
truncate -s 10 f; stat -c %s f; truncate -s +5 f; stat -c %s f; truncate -s %8 f; stat -c %s f; cp $D/numbers n; truncate -s 100 n; tail -c 7 n; truncate -r n f; stat -c %s f; truncate -s 5G sparse; stat -c %s sparse; tail -c 3 sparse | od -A n -t x1
### case install_copies_with_modes
echo '#!/bin/sh' >s; install -m 755 s t; stat -c %a t; install -d x/y; install -m 600 -t x/y s; stat -c '%a %n' x/y/s; install -D s p/q/r; cat p/q/r
### case chmod_changes_modes
touch f; for m in 644 755 u+x go-r a=rw u=rwx,g=rx,o= +t 4755 0600; do chmod $m f; stat -c %a f; done; mkdir -p d/e; touch d/e/g; chmod -R go= d; stat -c %a d d/e d/e/g; chmod --reference=d f; stat -c %a f; chmod -v 600 f
### case chown_and_chgrp
touch f; chown 1000:1001 f; stat -c '%u %g' f; chown 5 f; stat -c '%u %g' f; chown :6 f; stat -c '%u %g' f; chgrp 7 f; stat -c '%u %g' f; chown root:root f; stat -c '%U %G' f; mkdir -p d/e; chown -R 9:9 d; stat -c '%u %g' d d/e; chown --reference=d f; stat -c %u f; chgrp nosuchgroup f 2>/dev/null; echo $?; ln -s f l; chown -h 11 l; stat -c %u f l
### case stat_describes
cp -p $D/tree/d/hello h; stat -c '%n %s %a %A %F %h %u %U %Y' h; stat -L -c %F $D/tree/d/link; stat -c %F $D/tree/d/link /dev/null /tmp .; stat --printf '%s\t%%\n' h; stat -t h | wc -w; stat nosuch 2>/dev/null; echo $?
### case stat_reports_what_is_missing oracle=uutils
stat nosuch
### case readlink_and_realpath
mkdir -p a/b; echo x >a/f; ln -s a/b l; ln -s l m; readlink l m; readlink -f m/../f; realpath m; realpath -s m/x; realpath --relative-to=a a/b/c; readlink -e nosuch; echo $?; readlink -m x/../y/z; realpath nosuch/deeper 2>/dev/null; echo $?; ln -s loop loop; realpath loop 2>/dev/null; echo $?
### case basename_and_dirname
basename /usr/lib/libc.so .so; basename -a a/b c/d; basename -s .txt x.txt y.txt; basename /; dirname /usr/lib/libc.so x a/ /; dirname -z a/b | od -c
### case pathchk_checks
pathchk ok/name; echo $?; pathchk -p 'bad name' 2>/dev/null; echo $?; pathchk -P '' 2>/dev/null; echo $?; pathchk "$(printf '%0300d' 0)" 2>/dev/null; echo $?
### case pwd_knows_links
env pwd; mkdir d; ln -s d l; cd l; env pwd -P; PWD=/tmp/scenario/pwd_knows_links/l env pwd -L
### case ls_lists
cd $D/tree; ls; ls -a d; ls -R; ls -1 a; ls -F d; ls -p; ls -r a; ls -S a/b/g* | head -n 3; ls -d a d; ls -m a; ls -Q d; ls -l a/f1 | cut -d' ' -f1,2,3,4,5; ls -x -w 40 a; ls -C -w 30 a; ls -s --block-size=1 nosuch 2>/dev/null; echo $?
### case ls_long_and_times
cd $D/tree; ls -l --time-style=long-iso d/hello; ls -g -o d/hello --time-style=+%s; ls -ln d/hello --time-style=+%s; ls -t d a/f1 | head -n 2; ls -l --time-style=+ d; ls --full-time a/f1 | cut -d' ' -f6,7
### case ls_reports_what_is_missing oracle=uutils
ls nosuch $D/tree/d; echo $?
### case dir_and_vdir
dir $D/tree/a; vdir --time-style=+%F $D/tree/d/hello; dir -1 $D/tree
### case dircolors_prints_a_setting
dircolors -p | grep -q '^TERM'; echo $?; dircolors -b | head -c 11; echo; printf 'TERM *\n.xyz 01;31\n' >c; dircolors -b c
### case du_sums_apparent_sizes
cd $D/tree; du --apparent-size -b -s a/b/g1 d/hello; find a -type f | sort | xargs cat | wc -c; du -a --apparent-size -b a/b/g1 a/f1; du -c -b a/f1 a/f2 | tail -n 1
### case df_describes_file_systems
df / | wc -l; df --output=target / | tail -n 1; df -P . | head -n 1 | cut -c1-10; df nosuch 2>/dev/null; echo $?
### case sync_syncs
cp $D/numbers f; sync; echo $?; sync f; echo $?; sync -d f; echo $?; sync nosuch 2>/dev/null; echo $?
### case shred_overwrites
cp $D/numbers f; shred f; stat -c %s f; cmp -s f $D/numbers; echo $?; shred -u -n 1 f; ls -A; cp $D/tree/d/hello z; shred -z -n 0 -s 8 z; od -A n -t x1 z
### case dd_copies_blocks
dd if=$D/numbers of=f bs=1000 count=5 skip=2 status=none; cksum f; dd if=$D/numbers of=f bs=1000 seek=10 count=1 conv=notrunc status=none; stat -c %s f; head -c 10 f; printf 'mixed Case' | dd conv=ucase status=none; echo; dd if=/dev/zero bs=64k count=100 status=none | wc -c; printf 'abcd' | dd conv=swab status=none; echo; dd if=$D/numbers bs=512 count=2 of=/dev/null 2>&1 | head -n 2
### case many_small_files
i=0; while [ $i -lt 300 ]; do echo $i >f$i; i=$((i+1)); done; ls | wc -l; cat f* | sort -n | tail -n 1; rm f1*; ls | wc -l; ls f2? | head -n 3
