sed. The oracle is GNU sed 4.9; what this release lacks (\U, \L, s///2g, -z) is listed in docs/limits.

### setup
seq 1 3000 | awk '{ print "row " $1 ": value=" $1 * 37 % 1000 ", tag=t" $1 % 10 }' >rows
printf 'first\nsecond line\n\nthird\n  indented\nlast\n' >text
### case substitutes
sed 's/value=\([0-9]*\)/[\1]/' $D/rows | cksum; sed 's/i/I/g' $D/text; sed 's/i/I/2' $D/text; sed -n 's/^s/S/p' $D/text; sed 's/.*/"&"/' $D/text; sed 's|/|:|; s,e,E,' $D/text; sed 's/SECOND/x/I' $D/text
### case addresses
sed -n '2p' $D/text; sed -n '2,4p' $D/text; sed -n '/sec/,/third/p' $D/text; sed '$d' $D/text; sed -n '$=' $D/rows; sed '/^$/d' $D/text; sed -n '1~1000p' $D/rows; sed '2,$d' $D/text; sed -n '/row 10:/,+2p' $D/rows; sed '1!d' $D/text; sed -n '2{p;q}' $D/text
### case edits_lines
sed '2i\
inserted' $D/text; sed '1a appended' $D/text; sed '2c\
changed' $D/text; sed 'y/abc/ABC/' $D/text; sed -n 'l' $D/text; sed = $D/text | sed 'N;s/\n/ /' | tail -n 2
### case hold_space
sed -n '1!G;h;$p' $D/text; sed 'G' $D/text | wc -l; sed '$!N;$!D' $D/text; sed -n 'H;${x;s/\n/,/g;p}' $D/text; sed 'x;p;x' $D/text | head -n 4
### case branches
printf 'aaa\nb\n' | sed ':a;s/a/x/;ta'; sed -n '/second/{s//2nd/;p;b};/third/!d;p' $D/text; printf '1234567\n' | sed -e ':a' -e 's/\(.*[0-9]\)\([0-9]\{3\}\)/\1,\2/;ta'
### case in_place_and_files
cp $D/text f; sed -i 's/first/FIRST/' f; cat f; sed -i.bak '1d' f; ls; sed -n '1w out' $D/text; cat out; printf 's/a/b/\n' >script; echo aaa | sed -f script; echo x >r; sed '1r r' $D/text | head -n 3
### case extended_expressions
sed -E 's/([a-z]+) ([a-z]+)/\2 \1/' $D/text; sed -E 's/^(row) ([0-9]+)/\2 \1/' $D/rows | cksum; echo 'a.b.c' | sed -E 's/[.]+/-/g'; echo aXbXc | sed -E 's/(a|b)X/<\1>/g'; echo 'x  y' | sed -E 's/ {2}/_/'
### case reads_stdin_and_quits
seq 100000 | sed 5q; seq 10 | sed -n '3,5!p'; seq 5 | sed '3q7'; echo $?; printf 'no newline' | sed 's/no/a/'; echo; sed p $D/text | wc -l
### case errors stderr=any
sed 's/x' $D/text; [ $? -ne 0 ] && echo refused; sed -n p nosuch; [ $? -ne 0 ] && echo refused; sed 'k' $D/text; [ $? -ne 0 ] && echo refused
