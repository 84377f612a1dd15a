The shell language. The oracle is dash: stdout and statuses of a POSIX script are the same in every shell.

### setup
seq 1 2000 >numbers
printf 'alpha beta\ngamma  delta\n\nepsilon\n' >words
### case variables_and_expansions
v=hello; echo "$v" ${v} "${v}world" ${#v} ${v%l*} ${v%%l*} ${v#*l} ${v##*l} ${nosuch:-default} ${nosuch-x} ${v:+set} ${nosuch:+set}; : ${w:=assigned}; echo $w; unset v; echo ${v-unset}; (: ${v:?message}) 2>/dev/null; echo $?
### case quoting
echo 'single $v `x`' "double \$v \"q\" \\" un\ quoted; printf '[%s]' a "b c" '' "" 'd'"e"; echo; echo "a
b"; echo $(printf 'x  y'); echo "$(printf 'x  y')"
### case arithmetic
x=7; echo $((x * 6)) $((x % 4)) $((-x / 2)) $((1 << 10)) $((0x1f + 010)) $((x > 3 && x < 10)) $((x == 7 ? 1 : 2)) $((~5)) $((x ^ 2)); : $((x += 5)); echo $x; echo $(( (1 + 2) * (3 + 4) ))
### case lists_and_statuses
true && echo yes || echo no; false && echo yes || echo no; ! true; echo $?; false; echo $?; (exit 7); echo $?; { echo group; false; }; echo $?; true; echo $?
### case if_case_loops
for i in a b c; do case $i in a) echo first;; b|x) echo second;; *) echo other;; esac; done; i=0; while [ $i -lt 5 ]; do i=$((i+1)); [ $i -eq 2 ] && continue; [ $i -eq 4 ] && break; echo $i; done; until [ $i -le 0 ]; do i=$((i-1)); done; echo $i; if [ 1 -gt 2 ]; then echo a; elif [ 2 -gt 1 ]; then echo b; else echo c; fi; for f in; do echo never; done
### case functions
f() { echo "$1-$#-$*"; return 3; }; f a b; echo $?; g() { local x; x=inner; echo $x; }; x=outer; g; echo $x; fact() { if [ $1 -le 1 ]; then echo 1; else echo $(( $1 * $(fact $(( $1 - 1 ))) )); fi; }; fact 10
### case positional_parameters
set -- one 'two words' three; echo $# "$2"; for a; do echo "<$a>"; done; for a in "$@"; do echo "[$a]"; done; for a in $*; do echo "{$a}"; done; shift; echo $1; IFS=,; echo "$*"; shift 2; echo $#
### case redirections
echo one >f; echo two >>f; cat <f; cat nosuch 2>err; [ -s err ] && echo has errors; { echo out; echo err >&2; } >both 2>&1; cat both; exec 3>three; echo to three >&3; exec 3>&-; cat three; cat <<E; cat <<'Q'; cat <<-T
expanded $((1+1)) `echo cmd`
E
not $expanded
Q
	tab removed
	T
echo x >|f; cat f; : >empty; wc -c <empty; cat 0<f 2>&-
### case pipelines
cat $D/numbers | grep 7 | sort -rn | head -n 3 | tr '\n' ' '; echo; echo a | { read x; echo got $x; }; seq 3 | while read n; do echo "n=$n"; done; false | true; echo $?; true | false; echo $?; ! echo x | grep -q y; echo $?; yes | head -n 1; seq 100000 | tail -n 1
### case command_substitution
echo "today $(echo is $(echo nested)) `echo old \`echo style\``"; x=$(false); echo $?; lines=$(cat $D/numbers); echo ${#lines}; echo "$(echo trailing; echo; echo)"; echo $(<$D/words) | head -c 0
### case subshells_do_not_leak
x=1; (x=2; cd /; echo $x); echo $x; basename "$PWD"; (exit 4); echo $?; (umask 077; umask); umask; (trap 'echo subshell exit' EXIT); echo after
### case background_and_wait
sleep 0.3 & p=$!; wait $p; echo $?; (exit 5) & wait $!; echo $?; mkfifo go; (read x <go; echo late) & echo early; echo >go; wait; for i in 1 2 3 4; do (echo $i >out$i) & done; wait; cat out1 out2 out3 out4
### case signals_and_traps
trap 'echo caught' USR1; kill -USR1 $$; trap - USR1; trap 'echo leaving' EXIT; sh -c 'kill -TERM $$' 2>/dev/null; echo $?; sh -c 'kill -9 $$' 2>/dev/null; echo $?; sleep 30 & kill $!; wait $! 2>/dev/null; echo $?; trap '' INT; kill -INT $$; echo survived
### case death_by_signal_gives_128_and_more
sh -c 'kill -HUP $$' 2>/dev/null; echo $?; sh -c 'kill -PIPE $$'; echo $?; sh -c 'kill -INT $$'; echo $?; sh -c 'ulimit -c 0; kill -ABRT $$' 2>/dev/null; echo $?
### case globs
touch a1 a2 b1 .hidden 'sp ace'; mkdir d; touch d/x; echo a* *1 [ab]? [!a]1 .h* sp* nomatch*; echo */x; echo "a*"; set -f; echo a*; set +f; for f in *; do echo "$f"; done; case abc in a*c) echo pattern;; esac; case '*' in '*') echo literal;; esac
### case read_splits
while read first rest; do echo "1=$first r=$rest"; done <$D/words; echo 'a:b:c' | { IFS=: read x y; echo "$x|$y"; }; printf 'back\\slash line\\\ncontinued\n' | { read l; echo "$l"; }; printf 'back\\slash\n' | { read -r l; echo "$l"; }; read x </dev/null; echo $?
### case options_and_errors_exit
(set -e; false; echo not reached); echo $?; (set -u; echo $nosuch) 2>/dev/null; [ $? -ne 0 ] && echo refused; sh -n -c 'if' 2>/dev/null; echo $?; (set -C; echo x >f; echo y >f) 2>/dev/null; cat f
### case eval_dot_exec_command
eval 'a=1; echo $a'; echo 'echo sourced $1; b=2' >s; . ./s; echo $b; (exec echo replaced; echo never); command echo plain; type echo >/dev/null; echo $?; command -v sh >/dev/null && echo found; command -v nosuchcommand || echo none
### case scripts_with_an_interpreter_line
printf '#!/bin/sh\necho script "$0" "$@"\nexit 6\n' >s; chmod +x s; ./s a 'b c'; echo $?; printf 'echo no line $1\n' >n; chmod +x n; ./n x; printf '#!/bin/cat\nshown\n' >c; chmod +x c; ./c
### case exit_statuses_of_bad_commands stderr=any
nosuchcommand; echo $?; ./nosuch; echo $?; echo x >plain; ./plain; echo $?; mkdir d; ./d; echo $?; echo x >d/f; cd d/f; [ $? -ne 0 ] && echo refused; sh nosuchscript; [ $? -ne 0 ] && echo refused
### case printf_and_echo_builtins
printf '%s %d\n' a 1 b 2; printf '%05.1f|%x|%c\n' 3.14159 255 abc; echo -n x; echo; printf 'no newline'; echo; printf '\n%b' 'tab\there\n'; printf '%s\n' "$(printf '\101\102')"
### case test_builtin
[ -d . ] && [ ! -f . ] && echo dir; [ abc = abc ] && [ abc != abd ] && echo strings; [ 10 -gt 9 ] && [ -z "" ] && [ -n x ] && echo more; test -e nosuch; echo $?; [ 1 = 1 -a 2 = 2 ]; echo $?; touch o; [ -f o -a ! -s o ] && echo empty; [ x ]; echo $?; [ ]; echo $?
### case environment
A=1 sh -c 'echo $A'; echo ${A-unset}; export B=2; sh -c 'echo $B'; env -i C=3 $(command -v sh) -c 'echo ${B-clean} $C'; unset B; sh -c 'echo ${B-gone}'; readonly R=1; (R=2) 2>/dev/null; echo $?
### case cd_and_pwd
mkdir -p a/b; cd a/b; basename $PWD; cd ..; basename $PWD; cd - >/dev/null; basename $PWD; cd ../..; (cd nosuch) 2>/dev/null; echo $?; ln -s a/b l; cd l; basename $(pwd) $(pwd -P) 2>/dev/null; basename $(pwd -P)
### case getopts_parses
set -- -a -b value -c rest; while getopts ab:c o; do case $o in a) echo a;; b) echo "b=$OPTARG";; c) echo c;; esac; done; shift $((OPTIND-1)); echo $1
### case long_loop
i=0; s=0; while [ $i -lt 3000 ]; do i=$((i+1)); s=$((s+i)); done; echo $s
### case deep_recursion_of_subshells
f() { if [ $1 -gt 0 ]; then (f $(($1-1))); else echo bottom; fi; }; f 30
### case here_document_of_some_size
cat <<E | cksum
$(cat $D/numbers)
E
### case alias_and_times
alias hi='echo alias'
hi there
times | wc -l; umask 027; touch f; stat -c %a f; ulimit -n >/dev/null; echo $?
