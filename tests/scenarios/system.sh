What the system says about itself: each case checks what must hold and prints ok.

### case uname_and_arch expect=ok
[ "$(uname -m)" = aarch64 ] && [ "$(arch)" = aarch64 ] && [ -n "$(uname -s)" ] && [ -n "$(uname -r)" ] && [ "$(uname -n)" = "$(cat /etc/hostname)" ] && echo ok
### case hostname_and_hostid expect=ok
[ "$(hostname)" = "$(cat /etc/hostname)" ] && hostid | grep -Eqx '[0-9a-f]{8}' && echo ok
### case identity expect=ok
[ "$(id -u)" = 0 ] && [ "$(id -un)" = root ] && [ "$(whoami)" = root ] && groups | grep -qw root && id | grep -q 'uid=0(root) gid=0(root)' && [ "$(id -u user)" = 1000 ] && echo ok
### case users_who_pinky expect=ok
users >/dev/null && who >/dev/null && pinky -l root | grep -q root && { logname >/dev/null 2>&1 || true; } && echo ok
### case uptime_and_nproc expect=ok
uptime | grep -q 'load average' && [ "$(nproc)" -ge 1 ] && [ "$(nproc --all)" -ge "$(nproc)" ] && echo ok
### case env_and_printenv expect=ok
[ "$(env -i A=1 printenv A)" = 1 ] && [ "$(env A=2 printenv A)" = 2 ] && ! printenv NOSUCH && [ -n "$(printenv HOME)" ] && ! env -u HOME printenv HOME && [ "$(B='x y' env | grep '^B=')" = 'B=x y' ] && echo ok
### case nice_and_nohup expect=ok
[ "$(nice)" = 0 ] && [ "$(nice -n 5 nice)" = 5 ] && [ "$(nohup echo kept 2>/dev/null)" = kept ] && echo ok
### case timeout_stops_a_sleeper expect=ok
timeout 0.3 sleep 20; [ $? = 124 ] && timeout 5 sh -c 'exit 3'; [ $? = 3 ] && { timeout 5 nosuchcommand 2>/dev/null; [ $? = 127 ]; } && echo ok
### case sleep_sleeps expect=ok
a=$(date +%s%N); sleep 0.25; b=$(date +%s%N); [ $(( (b - a) / 1000000 )) -ge 250 ] && sleep 0 && echo ok
### case kill_lists_and_sends expect=ok
exec 2>/dev/null; kill -l | grep -q TERM && env kill -l | grep -q TERM || exit; sleep 30 & env kill -s TERM $!; wait $! 2>/dev/null; [ $? = 143 ] && ! env kill -0 999999 2>/dev/null && echo ok
### case tty_and_stty_know_that_this_is_no_terminal expect=ok
[ "$(tty)" = 'not a tty' ] && ! stty 2>/dev/null && echo ok
### case chroot_changes_the_root expect=ok
mkdir -p r/bin r/etc && echo inside >r/etc/where && cp /bin/cat r/bin/ && [ "$(chroot r /bin/cat /etc/where)" = inside ] && echo ok
### case dates_are_of_this_century expect=ok
[ "$(date +%Y)" -ge 2025 ] && [ "$(date +%Y)" -lt 2100 ] && echo ok
### case coreutils_by_name expect=ok
[ "$(coreutils echo multi)" = multi ] && coreutils --list | grep -qx tsort && coreutils --help >/dev/null && echo ok
### case every_utility_has_a_usage expect=ok
for u in $(coreutils --list); do case $u in '['|test|true|false|echo|printf|expr) continue;; esac; coreutils $u --help 2>&1 | grep -qi 'usage' || echo "no usage: $u"; done; echo ok
### case etc_has_its_files expect=ok
for f in passwd group hosts hostname os-release profile; do [ -s /etc/$f ] || echo "no $f"; done; for d in /bin /dev /etc /home /proc /root /tmp /usr /var; do [ -d $d ] || echo "no $d"; done; [ "$(readlink /var/run)" = ../run ] && [ -f /var/run/utmp ] && echo ok
### case kernel_log_is_a_file expect=ok
[ -s /var/log/messages ] && [ "$(wc -l </var/log/messages)" -gt 0 ] && dmesg | grep -q . && echo ok
### case proc_describes_the_system expect=ok
grep -q . /proc/version && grep -q MemTotal /proc/meminfo && grep -q -i processor /proc/cpuinfo && [ -n "$(cat /proc/uptime)" ] && [ -n "$(cat /proc/loadavg)" ] && grep -q /proc /proc/mounts && echo ok
### case proc_describes_a_process expect=ok
[ "$(readlink /proc/self/cwd)" = "$PWD" ] && cat /proc/self/cmdline | tr '\0' ' ' | grep -q 'cat /proc/self/cmdline' && grep -q '^Pid:' /proc/self/status && [ -e /proc/self/fd/0 ] && grep -q . /proc/self/maps && [ -d /proc/$$ ] && [ "$(cut -d' ' -f1 /proc/$$/stat)" = $$ ] && echo ok
### case devices_do_what_they_say expect=ok
[ "$(head -c 5 /dev/zero | od -An -tx1 | tr -d ' ')" = 0000000000 ] && [ "$(wc -c </dev/null)" = 0 ] && ! echo x 2>/dev/null >/dev/full && [ "$(head -c 4000 /dev/urandom | wc -c)" = 4000 ] && [ "$(head -c 16 /dev/random | cksum)" != "$(head -c 16 /dev/random | cksum)" ] && echo x | cat /dev/fd/0 | grep -q x && echo ok
### case ps_sees_processes expect=ok
exec 2>/dev/null; sleep 5 & ps >out 2>&1; kill $!; grep -q -i pid out && [ "$(wc -l <out)" -ge 2 ] && echo ok
### case pgrep_and_pkill_find_a_sleeper expect=ok
exec 2>/dev/null; sleep 77 & p=$!; until [ "$(pgrep sleep)" = $p ]; do sleep 0.05; done; pkill sleep && wait $p; [ $? = 143 ] && ! pgrep sleep >/dev/null && echo ok
### case free_reports_memory expect=ok
free | grep -q Mem && [ "$(free | awk '/Mem/ { print ($2 > 0 && $3 <= $2) }')" = 1 ] && echo ok
### case top_and_vmstat_in_batch expect=ok
top -b -n 1 2>/dev/null | head -n 20 | grep -q -i pid && vmstat | grep -q . && echo ok
### case pstree_pwdx_pmap expect=ok
pstree | grep -q . && pwdx $$ | grep -q scenario && pmap $$ | grep -q . && echo ok
### case sysctl_reads_settings expect=ok
sysctl kernel.hostname 2>/dev/null | grep -q . && echo ok
### case which_finds_programs expect=ok
[ "$(which cat)" = /bin/cat ] && ! which nosuchcommand >/dev/null && clear >/dev/null && echo ok
### case mount_lists_and_mounts expect=ok
mount | grep -q ' /proc ' && mkdir m && mount -t tmpfs none m && echo x >m/f && [ -f m/f ] && umount m && [ ! -e m/f ] && echo ok
### case time_measures_a_command expect=ok
time -p sh -c 'exit 7' 2>t; [ $? = 7 ] && [ "$(cut -d' ' -f1 t | tr '\n' ' ')" = 'real user sys ' ] && time true 2>&1 | grep -q '^real	0m' && time nosuch 2>/dev/null; [ $? = 127 ] && echo ok
