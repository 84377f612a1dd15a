What the shell says of mistakes. The oracle is dash: one line, with the line's number, and its status.

### case an_unknown_command
nosuch; echo $?
./nosuch; echo $?
nosuch | cat; echo $?
(nosuch); echo $?
eval nosuch >/dev/null 2>&1; echo $?
f() { nosuch x y; }
f; echo $?
nosuch &
wait $!; echo $?
### case what_cannot_run
mkdir d; echo x >plain
./d; echo $?
./plain; echo $?
### case names_of_nothing
command -v nosuch; echo $?
type nosuch >/dev/null 2>&1; echo $?
command nosuch; echo $?
### case exec_of_nothing
exec nosuch; echo not reached
### case an_unset_parameter_ends_the_shell
(set -u; echo $nosuch); echo $?
(: ${v:?give a name}); echo $?
(: ${v?}); echo $?
### case read_only_variables
readonly R=1
(R=2); echo $?
### case arithmetic
(echo $((1/0))); echo $?
### case builtins_that_fail
[ 1 = 1; echo $?
### case words_differ_but_not_the_number_of_lines stderr=any
cd nosuch 2>e; echo $? $(wc -l <e); cat <nosuch 2>e; echo $? $(wc -l <e)
(echo x >nosuch/y) 2>e; echo $? $(wc -l <e); kill -9 999999 2>e; echo $?
### case a_syntax_error_names_its_line stderr=any
printf 'echo one\nif true; then\n  fi fi\n' >s; sh s 2>e; echo $?; head -n 1 e | sed 's/:.*//; s/^s$/named/'; sh -c 'echo "' 2>/dev/null; echo $?
### case files_that_cannot_be_opened
echo x >/; echo $?
echo x >>nosuch/f; echo $?
echo plain >plain
echo x >|plain/f; echo $?
cat <nosuch; echo $?
true <plain/f; echo $?
set -C
echo x >plain; echo $?
