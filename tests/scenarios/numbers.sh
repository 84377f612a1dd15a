Arithmetic, formatting, dates and conditions. The oracle is GNU coreutils.

### setup
seq 1 1000 >numbers
### case seq_counts
seq 3; seq 2 3 11; seq 5 -2 0; seq -w 8 11; seq -s, 4; seq 0.5 0.25 1.25; seq -f '%03g|' 2; seq 1 200000 | cksum; seq 18446744073709551614 18446744073709551617
### case seq_refuses_nonsense oracle=uutils
seq x
### case factor_finds_primes
factor 1 2 12 97 1001 4294967297 18446744073709551615; seq 100000 100100 | factor | cksum; factor 340282366920938463463374607431768211297
### case expr_evaluates
expr 3 + 4 \* 2; expr \( 3 + 4 \) \* 2; expr 17 % 5; expr 9223372036854775807 + 1; expr abc : 'a\(.\)c'; expr length hello; expr substr hello 2 3; expr index hello l; expr a '<' b; expr 0; echo $?; expr 1 / 0 2>/dev/null; echo $?; expr '' '|' fallback
### case numfmt_converts
numfmt --to=iec 1048576 1500; numfmt --from=iec 4K 2M; numfmt --grouping 1234567; echo '100 2048 x' | numfmt --field=2 --to=iec; numfmt --padding=10 --to=iec 123456; numfmt --format='%8.2f' 3.14159
### case numfmt_of_thousands oracle=uutils
numfmt --to=si 1500000; seq 1000 1000 5000 | numfmt --to=si --suffix=B
### case printf_formats
printf '%d|%5d|%-5d|%05d|%+d|%x|%X|%o|%#x\n' 42 42 42 42 42 255 255 8 255; printf '%s|%10s|%-10s|%.3s\n' abc abc abc abcdef; printf '%f|%.2f|%e|%g\n' 3.14159 2.71828 12345.678 0.0001; printf '%c%c\n' hello x; printf '%b' 'a\tb\n\0101\n'; printf '%q\n' 'a b' 2>/dev/null | head -c 0; printf '%s\n' a b c; printf '%%|\x41|\101|\u00e9\n'; env printf '%5.1f|%s\n' 2.25 z
### case printf_program_matches
env printf '%d %s %x\n' 10 ten 16 20 twenty 32; env printf '%q\n' "it's a 'test'"; env printf '%b|%c|%i\n' 'x\ty' zed -5
### case echo_writes
env echo a  b; env echo -n no newline; env echo; env echo -e 'tab\tnew\\line'; env echo -E 'raw\t'
### case test_conditions
t() { env test "$@"; printf '%s ' $?; }
t 1 -eq 1; t 1 -gt 2; t a = b; t -n ''; t -z ''; t -f $D/numbers; t -d $D; t -e nosuch; t ! -e nosuch; t 1 -eq 1 -a 2 -eq 3; t \( 1 -eq 2 \) -o x = x; t -s $D/numbers; t -r $D/numbers; t -x $D/numbers; t $D/numbers -ef $D/../data/numbers; echo
### case bracket_is_test
env '[' 3 -lt 5 ']'; echo $?; env '[' abc = abd ']'; echo $?; env '[' 1 -eq 1 2>/dev/null; echo $?
### case true_and_false
env true; echo $?; env false; echo $?; env true --with arguments; echo $?
### case date_formats
date -u -d @1700000000; date -u -d @0 +%Y-%m-%dT%H:%M:%S; date -u -d '2024-02-29 12:34:56' '+%j %U %a %b %e %s'; date -u -d @1700000000 -R; date -u -d @1700000000 -Iseconds; TZ=UTC date -d '2000-01-01 +1 day' +%F; date -u -d @1.5 +%N
### case date_of_a_file
touch -d '2021-05-06 07:08:09' f; date -u -r f '+%F %T'
