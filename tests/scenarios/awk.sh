awk. The oracle is gawk 5.2.

### setup
awk 'BEGIN { s = 7; for (i = 1; i <= 6000; i++) { s = (s * 16807) % 2147483647; printf "%d %s %.2f %s\n", i, "name" s % 50, s / 1000003, (s % 2) ? "yes" : "no" } }' >data
printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:User:/home/user:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n' >passwd
### case fields_and_patterns
awk '{ print $2, $1 }' $D/data | cksum; awk 'NR == 3' $D/data; awk '/name7 /' $D/data | wc -l; awk '$4 == "yes" && $3 > 2000 { n++ } END { print n }' $D/data; awk 'END { print NR, NF, $0 }' $D/data; awk 'NR==2,NR==4' $D/data; awk '!/name/' $D/data
### case separators
awk -F: '{ print $1, $NF }' $D/passwd; awk -F: -v OFS=- '{ $1 = $1; print }' $D/passwd; awk 'BEGIN { FS = ":" } $3 >= 1000 { print $1 }' $D/passwd; printf 'a1b22c' | awk -F'[0-9]+' '{ print $1 $2 $3, NF }'; printf 'a b\nc\n\nd e\n' | awk 'BEGIN { RS = "" } { print NR ": " $1 "-" $NF }'; printf 'x;y;z' | awk 'BEGIN { RS = ";" } { print }'
### case arrays_and_sums
awk '{ s[$2] += $3; c[$2]++ } END { for (k in s) printf "%s %.2f %d\n", k, s[k], c[k] }' $D/data | sort | cksum; awk '{ seen[$2] } END { print length(seen) }' $D/data; awk 'BEGIN { a["x"]; if ("x" in a) print "in"; delete a["x"]; print ("x" in a); a[1,2] = 3; for (k in a) { split(k, p, SUBSEP); print p[1], p[2] } }'
### case strings
awk 'BEGIN { s = "hello world"; print length(s), index(s, "wor"), substr(s, 7), substr(s, 2, 3), toupper(s), tolower("ABC"); n = split("a,b,c", p, ","); print n, p[3]; t = s; print gsub(/o/, "0", t), t; sub(/l+/, "[&]", s); print s; print match("foobar", /o+/), RSTART, RLENGTH; print s ~ /^h/ }'
### case printf_and_numbers
awk 'BEGIN { printf "%d %5.2f|%-6s|%06d|%x|%o|%e|%c|%s\n", 42.9, 3.14159, "ab", 42, 255, 8, 12345.678, 65, "z"; print 1e6, 1e-5, 100000 * 100000, 1/3, 2**10, 7 % 3, -7 % 3, int(-3.7); print sqrt(16), exp(0), log(1), sin(0), atan2(0, -1); print 0.1 + 0.2, 1e300 * 1e10; OFMT = "%.2f"; print 3.14159; print 1 == 1.0, "a" < "b", "10" < "9", 10 < 9 }'
### case control_flow
awk 'BEGIN { for (i = 0; i < 5; i++) { if (i == 1) continue; if (i == 4) break; print i } while (i > 2) i--; do i++; while (i < 10); print i; print (i > 5) ? "big" : "small" }'; awk 'function f(n) { return n < 2 ? n : f(n - 1) + f(n - 2) } BEGIN { print f(18) }'; awk 'NR == 2 { next } NR > 3 { exit 5 } { print $1 }' $D/data; echo $?
### case getline_and_output
awk 'BEGIN { while ((getline line < ARGV[1]) > 0) n++; print n; "echo piped" | getline x; print x; print "sorted b" | "sort"; print "sorted a" | "sort"; close("sort"); print "to file" > "out"; close("out"); getline y < "out"; print y; system("echo system"); printf "err\n" > "/dev/stderr" }' $D/data; cat out
### case arguments_and_environment
V=env awk -v a=1 'BEGIN { print a, ENVIRON["V"], ARGC, ARGV[1] }' x; echo l | awk '{ print v, FILENAME }' v=2 -; awk 'FNR == 1 { print FILENAME }' $D/passwd $D/data | sed 's/.*data.//'; printf 'BEGIN { print "from file" }' >p; awk -f p
### case gawk_extensions
awk 'BEGIN { print gensub(/a(.)/, "<\\1>", "g", "abac"); n = split("b a c", x); asort(x); print x[1] x[2] x[3]; print strftime("%Y", 0, 1); print substr("x", 0); print length() }' </dev/null; awk 'BEGIN { print toupper(substr("abc", 1, 1)) tolower("DEF"); printf "%s\n", 1 == 1 }'
### case uninitialised_and_coercion
awk 'BEGIN { print x + 0, "[" x "]", "3x" + 1, "0x11" + 0, +"1e2", -"-3", !x, !"a", 1 " " 2, 1 + 1 "" 3 }'; printf '10\n9\n' | awk '$1 > 9.5'; echo '1.0 1' | awk '{ print ($1 == $2) }'
### case large_input
seq 1 200000 | awk '{ s += $1 } END { print s }'; seq 1 50000 | awk '{ a[NR] = $0 } END { for (i = NR; i > NR - 3; i--) print a[i] }'
### case errors stderr=any
awk 'BEGIN { print 1' ; [ $? -ne 0 ] && echo refused; awk '{ print }' nosuch; [ $? -ne 0 ] && echo refused; awk 'BEGIN { print 1/0 }'; [ $? -ne 0 ] && echo refused
