grep, egrep, fgrep. The oracle is GNU grep 3.8.

### setup
awk 'BEGIN { for (i = 1; i <= 5000; i++) printf "%d %s-%d user%03d@example%d.org\n", i, (i % 2) ? "odd" : "even", i * 7 % 100, i % 1000, i % 13 }' >log
printf 'Hello World\nhello there\nHELLO AGAIN\ngoodbye\nfoo.bar\nfooxbar\n(paren)\na+b\n\nend\n' >text
mkdir dir; cp log dir/one; cp text dir/two; printf 'bin\0ary hello\n' >binary
### case plain_counts_and_statuses
grep -c even $D/log; grep hello $D/text; echo $?; grep nosuch $D/text; echo $?; grep -q World $D/text; echo $?; grep x nosuchfile 2>/dev/null; echo $?; grep -s x nosuchfile; echo $?
### case options_on_matching
grep -i hello $D/text; grep -v -c o $D/text; grep -w foo $D/text; grep -x goodbye $D/text; grep -n end $D/text; grep -F 'foo.bar' $D/text; grep -e good -e end $D/text; grep -m 2 odd $D/log; printf 'end\npar\n' >p; grep -f p $D/text
### case output_forms
grep -o 'user[0-9]*' $D/log | cksum; grep -b end $D/text; grep -H end $D/text | sed 's/.*://'; grep -h hello $D/dir/two $D/text; grep -l hello $D/dir/one $D/dir/two | sed 's/.*dir/dir/'; grep -L hello $D/dir/one $D/dir/two | sed 's/.*dir/dir/'; grep -c . $D/text; grep --count '' $D/log
### case basic_expressions
grep '^h' $D/text; grep 'd$' $D/text; grep '^$' $D/text | wc -l; grep 'fo*.b' $D/text; grep '[A-Z]\{5\}' $D/text; grep '\(l\)\1' $D/text; grep '[[:digit:]]*-99 ' $D/log | head -n 2; grep 'a\.b\|o\.b' $D/text; grep '[(]' $D/text; grep -c 'user\(00\|01\)' $D/log
### case extended_expressions
grep -E '^(odd|hello|[0-9]+ odd)' $D/text $D/log | wc -l; egrep 'l{2}' $D/text; grep -E 'a\+b|\(paren' $D/text; grep -E -c -e '-(1|2)?7 ' $D/log; grep -E -o '[a-z]+@[a-z0-9]+' $D/log | sort | uniq -c | wc -l; grep -E '(ab|l)+o' $D/text
### case fixed_strings
fgrep 'a+b' $D/text; fgrep -c '.org' $D/log; fgrep -x 'end' $D/text; fgrep -i 'HELLO w' $D/text; printf 'foo\nbar\n' | fgrep -f - $D/text
### case context
grep -n -A 1 foo.bar $D/text; grep -n -B 1 end $D/text; grep -C 1 -n goodbye $D/text
### case directories
cd $D; grep -r World dir; grep -r -c hello dir | sort; grep -rl even . | sort; grep -r --include=two hello dir | wc -l; grep hello dir 2>/dev/null; echo $?
### case binary_files
grep hello $D/binary; grep -a -c hello $D/binary; grep -c hello $D/binary; grep -I hello $D/binary; echo $?
### case standard_input_and_long_lines
head -c 300000 /dev/zero | tr '\0' x | grep -c x; cat $D/log | grep -c '9 '; printf 'no newline' | grep line; printf 'a\0b\0' | grep -z b | od -c | head -n 1
### case word_boundaries
grep -w 'odd' $D/log | wc -l; grep '\<foo' $D/text; grep 'bar\>' $D/text; grep -o '\bh[a-z]*' $D/text
