`read`: from files, which the shell may read ahead in, and from pipes, which it may not. The oracle is dash.

### setup
awk 'BEGIN { for (i = 1; i <= 3000; i++) { printf "%d", i; for (j = 0; j < i % 90; j++) printf " word%d", j; print "" } }' >lines
### case every_line_of_a_file
n=0; while read -r first rest; do n=$((n+1)); s=$((s + first + ${#rest})); done <$D/lines; echo $n $s
### case the_next_command_reads_on
{ read a; read b; head -n 1; } <$D/lines; { read a; cat | cksum; } <$D/lines; { head -c 2 >/dev/null; read x; echo "$x"; cat | wc -c; } <$D/lines
### case a_subshell_reads_on
exec <$D/lines; read a; (read b; echo "$b"); read c; echo "$c"; sh -c 'read d; echo "$d"'; read e; echo "$e"
### case from_a_pipe
seq 5 | { read a; sed -n 1p; }; printf 'x\ny\n' | { read a; read b; read c; echo "$a$b$c $?"; }
### case no_newline_at_the_end
printf 'last' >l; read x <l; echo "$x $?"; printf '' >e; read x <e; echo "[$x] $?"; printf 'a\\\nb\nc\n' >c; { read x; read y; echo "$x $y"; } <c
### case a_here_document
{ read a; read b; cat; } <<E
one
two
three
E
### case descriptors_other_than_zero
exec 4<$D/lines; read a <&4; read b <&4; echo "$a/$b"; exec 4<&-; printf '\303\244\303\266\n' | { read u; echo "$u"; }; printf '\303\244\n' >u; read v <u; echo "$v"
