Text utilities on files of some size. The oracle is GNU coreutils.

### setup
seq 1 20000 >numbers
awk 'BEGIN { s = 42; for (i = 1; i <= 4000; i++) { s = (s * 1103515245 + 12345) % 2147483648
  printf "%05d:%s:%d:%s\n", s % 99991, substr("abcdefghijklmnopqrstuvwxyz", s % 20 + 1, s % 7 + 1), i % 97, (i % 3) ? "even keel" : "odd\tjob" } }' >table
seq 1 3000 | sed 's/.*/line & of the text, which is neither long nor short/' >prose
printf 'one\n\n\n\ntwo\ttabbed\n\n  three  \n' >gaps
printf 'a b\nb c\nc d\nb e\ne d\n' >edges
tr '\n' '\0' <numbers >nuls
### case cat_joins_and_numbers
cat -n $D/numbers $D/gaps | tail -n 12
cat -A $D/gaps
cat -s -b $D/gaps
### case cat_reads_stdin_between_files
head -n 2 $D/numbers | cat $D/gaps - $D/edges | cksum
### case cat_reports_what_is_missing oracle=uutils
cat $D/nosuch $D/edges .
### case head_by_lines_and_bytes
head -n 3 $D/numbers; head -c 10 $D/numbers; echo; head -n -19995 $D/numbers; head -q -n 1 $D/numbers $D/prose; head -n 1 $D/numbers $D/prose
### case tail_by_lines_and_bytes
tail -n 3 $D/numbers; tail -c 10 $D/numbers; tail -n +19998 $D/numbers; tail -n 1 $D/numbers $D/prose; tail -c +108890 $D/numbers
### case tail_follows_a_growing_file
echo first >log
tail -n 1 -f log >out & t=$!
until grep -q first out; do sleep 0.05; done; echo second >>log
until grep -q second out; do sleep 0.05; done; echo third >>log
until grep -q third out; do sleep 0.05; done
kill $t; wait $t 2>/dev/null; cat out
### case tac_reverses
tac $D/numbers | head -n 5; tac $D/numbers | cksum; printf 'a:b:c' | tac -s :
### case wc_counts
wc $D/numbers $D/table $D/prose $D/gaps; wc -l <$D/table; wc -L $D/prose; wc -m -c $D/gaps;
### case nl_numbers_lines
nl $D/gaps; nl -b a -w 4 -s ') ' -v 10 -i 5 $D/gaps; nl -n rz $D/edges
### case sort_numeric_and_text
sort -n $D/table | cksum; sort $D/table | cksum; sort -r -t: -k2,2 -k1,1n $D/table | cksum; sort -u -t: -k3,3n $D/table | cut -d: -f3 | head -n 5
### case sort_checks_and_merges
sort -c -n $D/numbers; echo $?; sort -c $D/table 2>/dev/null; echo $?
sort -n $D/numbers >a; tail -n 100 $D/numbers >b; sort -m -n a b | tail -n 4
### case sort_special_orders
printf '10K\n2M\n3\n1G\n' | sort -h; printf 'v1.10\nv1.9\nv1.2\n' | sort -V; printf 'JAN\nDEC\nMAR\n' | sort -M; printf 'b\nA\na\nB\n' | sort -f; printf 'x 1e3\nx 5\nx -2\n' | sort -k2g
sort -z $D/nuls | tr '\0' '\n' | head -n 3
### case sort_more_than_fits_one_read
seq 1 60000 | sort -R --random-source=$D/prose | sort -n | cksum
seq 60000 -1 1 | sort -S 1M -n | cksum
### case uniq_counts
cut -d: -f3 $D/table | sort -n | uniq -c | head -n 4; cut -d: -f2 $D/table | sort | uniq -d | head -n 5; printf 'a\nA\nb\n' | uniq -i; printf '1 x\n2 x\n3 y\n' | uniq -f 1; cut -d: -f1 $D/table | sort | uniq -u | wc -l
### case comm_compares_sorted_files
seq 1 2 2000 | sort >odd; seq 1 3 2000 | sort >third
comm -12 odd third | wc -l; comm -3 odd third | head -n 6; comm --total odd third | tail -n 1
### case join_on_fields
sort -t: -k3,3 $D/table | head -n 600 >left; seq 0 96 | sort | sed 's/$/:name&/' >right
join -t: -1 3 -2 1 left right | cksum; join -t: -1 3 -2 1 -a 2 -o 0,1.1,2.2 -e none left right | head -n 5; join -t: -v 2 -1 3 -2 1 left right | wc -l
### case cut_selects
cut -d: -f1,3 $D/table | cksum; cut -c1-3,7- $D/prose | head -n 2; cut -b 2-4 $D/numbers | tail -n 2; cut -d: -f2 --complement $D/table | head -n 2; cut -s -d' ' -f2 $D/numbers; cut -d: -f1,2 --output-delimiter=@ $D/table | head -n 1
### case paste_lines
paste -d, $D/numbers $D/numbers | tail -n 2; seq 1 9 | paste - - -; paste -s -d+ $D/edges
### case tr_translates
tr a-z A-Z <$D/prose | tail -n 1; tr -d 0-9 <$D/table | cksum; tr -s '\n ' <$D/gaps; tr -c 'a-z\n' '*' <$D/edges; printf 'hello' | tr '[:lower:]' '[:upper:]'
### case fold_wraps
fold -w 20 $D/prose | cksum; fold -s -w 13 $D/prose | head -n 4; printf 'a\tb\n' | fold -w 4
### case fmt_refills oracle=uutils
fmt -w 40 $D/prose | cksum; printf 'one two\nthree\n\nfour five six\n' | fmt -w 10
### case expand_and_unexpand
expand $D/gaps; expand -t 4 $D/gaps; printf '        eight\n    four\n' | unexpand; printf 'a       b\n' | unexpand -a; expand $D/table | cksum
### case pr_makes_pages
head -n 100 $D/numbers | pr -h TITLE -l 40 | sed 's/^....-..-.. ..:../DATE/' | cksum; seq 1 6 | pr -t -n -o 2
### case pr_makes_columns oracle=uutils
seq 1 12 | pr -3 -t -w 30; seq 1 100 | pr -4 -t -l 20 | cksum
### case ptx_permutes oracle=uutils
printf 'the quick brown fox\njumps over the lazy dog\n' | ptx -w 40
### case csplit_cuts_at_patterns
head -n 50 $D/prose >text; csplit -s -f part text '/line 20 /' '{0}' '%line 40 %'; wc -l part*; csplit -z -n 3 text 10 20; cat xx002 | tail -n 1
### case split_into_pieces
split -l 6000 $D/numbers lines.; wc -l lines.*; split -b 40k -d $D/prose bytes.; ls bytes.*; cat bytes.* | cmp - $D/prose; split -n 3 $D/numbers third.; cat third.* | cksum; split -n l/2 -a 1 $D/edges e.; cat e.a
### case tsort_orders
tsort $D/edges; printf 'a b\nb a\n' | tsort 2>/dev/null; echo $?
### case shuf_permutes
shuf $D/numbers | sort -n | cksum; shuf -n 5 $D/numbers | wc -l; shuf -i 1-100 | sort -n | tail -n 1; shuf -e a b c | sort; shuf -r -n 50 -e x | uniq -c
### case od_dumps
head -c 40 $D/table | od -A d -c; head -c 33 $D/numbers | od -A x -t x1z -v; od -t u2 -j 4 -N 16 $D/numbers; head -c 4096 /dev/zero | od | tail -n 2; printf '\001\002\003\004\005\006\007\010' | od -t d8 -t x4 -A n
### case tee_duplicates
tee copy other <$D/prose | cksum; cmp copy $D/prose; cmp other $D/prose; echo more | tee -a copy; wc -l copy; tee /dev/full <$D/edges 2>/dev/null | wc -l
### case more_pages_what_it_can oracle=uutils stderr=any
more $D/edges >shown; echo $?; tr -d '\r~\n' <shown; more nosuch; echo $?
### case yes_repeats_until_its_reader_ends
yes | head -n 3; yes a b | head -n 40000 | cksum
