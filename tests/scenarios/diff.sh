diff and cmp. The oracle is GNU diffutils 3.8.

### setup
seq 1 1000 >a; seq 1 1000 | sed '100d; 500s/$/ changed/; 900a new line' >b; cp a same
printf 'x  y\nz\n' >sp1; printf 'x y \nz\n\n' >sp2; printf 'no newline' >nn; printf 'no newline\n' >nl; printf 'A\nb\n' >up; printf 'a\nB\n' >low
mkdir -p d1/sub d2/sub; echo 1 >d1/f; echo 2 >d2/f; echo s >d1/sub/same; echo s >d2/sub/same; echo only >d1/only1; echo only >d2/sub/only2; printf 'b\0x' >bin1; printf 'b\0y' >bin2
touch -d '2020-01-01 00:00:00' a b same sp1 sp2 nn nl up low d1/f d2/f
### case normal_format
cd $D; diff a b; echo $?; diff a same; echo $?; diff a nosuch 2>/dev/null; echo $?; diff nn nl; diff /dev/null sp1; seq 1 5 | diff - a | cksum
### case unified_format
cd $D; diff -u a b; diff -U 1 a b; diff -u a same; echo $?; diff -u nn nl; diff -u --label old --label new a b | head -n 3
### case context_format
cd $D; diff -c a b; diff -C 1 a b | cksum
### case what_is_ignored
cd $D; diff -b sp1 sp2; diff -w -B sp1 sp2; echo $?; diff -i up low; echo $?; diff -B sp2 sp1 >/dev/null; echo $?; diff up low
### case brief_and_directories
cd $D; diff -q a b; diff -s a same; diff -r d1 d2; echo $?; diff -rq d1 d2; diff -r -N d1 d2; diff -q bin1 bin2; diff bin1 bin2; echo $?; diff -a bin1 bin2 | od -c | head -n 2
### case large_and_far_apart
seq 1 20000 >x; seq 1 3 60000 >y; diff x y | cksum; sed 's/7/seven/' x | diff x - | wc -l; tac x | diff x - | wc -l
### case cmp_compares
cd $D; cmp a same; echo $?; cmp a b; echo $?; cmp -s a b; echo $?; cmp -l bin1 bin2; head -c 100 a | cmp - a 2>&1 | sed "s/ which.*//; s/'//g"; cmp -i 3 a b 2>/dev/null | head -c 0; cmp a nosuch 2>/dev/null; echo $?
