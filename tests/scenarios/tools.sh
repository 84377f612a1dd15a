The programs that look at processes and memory: each case sets up what must be seen, checks, and prints ok.
What takes a moment is waited for until it is so; the limit that every case has is the only one.

### setup
echo 'soon() { until eval "$1"; do sleep 0.05; done; }' >soon
awk 'BEGIN { for (i = 1; i <= 20000; i++) printf "%05d %s line of some length, number %d\n", i, (i % 3) ? "plain" : "third", i }' >log
### case killall_ends_all_of_a_name expect=ok
. $D/soon; exec 2>/dev/null; sleep 71 & a=$!; sleep 72 & b=$!; soon '[ "$(pgrep -c sleep)" = 2 ]'; killall sleep; wait $a; x=$?; wait $b; [ "$x $?" = '143 143' ] && ! killall nosuchprogram && killall -l | grep -qx TERM && echo ok
### case fuser_names_who_holds_a_file expect=ok
exec 2>/dev/null; mkfifo p; sh -c 'echo open; exec sleep 73' 3>held >p & h=$!; read x <p; [ "$(fuser held)" -eq $h ] && kill $h && wait $h; ! fuser held && echo ok
### case prtstat_shows_a_process expect=ok
sleep 74 & p=$!; prtstat $p >out; kill $p; wait $p 2>/dev/null; grep -q "Process ID: $p  *Parent ID: $$" out && grep -q 'Threads: 1' out && ! prtstat 999999 2>/dev/null && echo ok
### case watch_runs_a_command_again_and_again expect=ok
echo 0 >n; . $D/soon; watch -n 0.1 -g 'read n <n; [ $n -lt 5 ] && echo $((n+1)) >n; wc -l <$D/log' >out 2>&1 </dev/null & w=$!; soon '[ "$(cat n)" = 5 ] && grep -q 20000 out'; kill $w; wait $w 2>/dev/null; echo ok
### case w_and_uptime_agree expect=ok
w | head -n 1 | grep -q 'load average: [0-9.]*, [0-9.]*, [0-9.]*' && w | sed -n 2p | grep -q '^USER .*WHAT$' && uptime | grep -q ' up .* users*, *load average' && echo ok
### case free_sees_what_a_program_takes expect=ok
left() { free -k | awk '$1 == "Mem:" { print $4 }'; }; a=$(left); head -c 30000000 /dev/zero >big; b=$(left); rm big; c=$(left); [ $((a - b)) -gt 28000 ] && [ $((c - b)) -gt 28000 ] && free -m | grep -q '^Mem:' && free -h | grep -q '^Swap:' && echo ok
### case top_orders_by_what_is_used expect=ok
. $D/soon; sh -c 'while :; do :; done' & p=$!; soon "top -b -n 1 >out; awk -v p=$p '\$1 == p { found = (\$9 > 5) } END { exit !found }' out"; kill $p; wait $p 2>/dev/null; grep -q '^Tasks:' out && grep -q 'PID USER' out && echo ok
### case ps_shows_parents_states_and_arguments expect=ok
. $D/soon; sleep 75.5 & p=$!; soon "ps -ef | awk -v p=$p -v me=$$ '\$2 == p { ok = \$3 == me && /sleep 75.5/ } END { exit !ok }'"; kill -STOP $p; soon "ps aux | awk -v p=$p '\$2 == p && \$8 ~ /^T/ { ok = 1 } END { exit !ok }'"; kill -CONT $p; kill $p; wait $p 2>/dev/null; [ $? = 143 ] && echo ok
### case pgrep_selects expect=ok
. $D/soon; exec 2>/dev/null; sleep 76 & p=$!; sh -c 'exec sleep 77' & q=$!; soon '[ "$(pgrep -f "sleep 76")" = $p ] && pgrep -l -P $$ | grep -q "$q sleep"'; [ "$(pgrep -c sleep)" -ge 2 ] && pkill -f 'sleep 7[67]' && { wait $p; [ $? = 143 ]; } 2>/dev/null && echo ok
### case pstree_and_pwdx_and_pmap expect=ok
. $D/soon; mkdir here; sh -c 'cd here && exec sleep 78' & p=$!; soon "pstree -p $$ | grep -q 'sleep($p)'"; pwdx $p >dir; pmap $p >map; kill $p; wait $p 2>/dev/null; grep -q "/here$" dir && grep -qi total map && [ "$(wc -l <map)" -gt 5 ] && echo ok
### case vmstat_and_sysctl expect=ok
vmstat | awk 'NR == 1 { n = NF } END { exit !(NR >= 2 && NF == n) }' && [ "$(sysctl -n kernel.hostname)" = "$(hostname)" ] && ! sysctl no.such.thing >/dev/null 2>&1 && echo ok
### case tload_wants_a_terminal expect=ok
! timeout 5 tload </dev/null >out 2>&1 && grep -q terminal out && echo ok
### case kibi_and_vi_want_a_terminal expect=ok
kibi --version | grep -q '^kibi ' && [ "$(vi --version)" = "$(kibi --version)" ] && ! timeout 5 kibi $D/log </dev/null >/dev/null 2>&1 && cmp -s $D/log $D/log && echo ok
### case gawk_is_awk expect=ok
[ "$(gawk '$2 == "third" { n++; s += $1 } END { print n, s }' $D/log)" = "$(awk '$2 == "third" { n++; s += $1 } END { print n, s }' $D/log)" ] && [ "$(gawk '/third/' $D/log | wc -l)" = 6666 ] && echo ok
### case dmesg_and_clear expect=ok
[ "$(dmesg | wc -l)" -ge 3 ] && [ "$(clear | wc -c)" -gt 2 ] && echo ok
### case dmesg_clears_what_it_shows_and_nothing_else expect=ok
dmesg -c | grep -q . && [ "$(dmesg | wc -l)" = 0 ] && [ "$(wc -l </var/log/messages)" -ge 3 ] && echo ok
### case init_is_process_one expect=ok
[ "$(cat /proc/1/comm)" = init ] && [ "$(init 2>&1 >/dev/null; echo $?)" != 0 ] && echo ok
