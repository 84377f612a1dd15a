What bad input and exhausted resources give: each case checks what must hold and prints ok.

### case a_directory_where_a_file_belongs expect=ok
mkdir d; cat d 2>&1 | grep -q 'directory' && ! sh -c 'echo x >d' 2>/dev/null && ! cp nosuch d 2>/dev/null && echo ok
### case unknown_command_is_127_and_no_program_126 expect=ok
nosuchcommand 2>/dev/null; [ $? = 127 ] && echo 'text' >f && { ./f 2>/dev/null; [ $? = 126 ]; } && mkdir d && { ./d 2>/dev/null; [ $? = 126 ]; } && echo ok
### case too_long_a_name expect=ok
n=$(printf '%0300d' 0); touch $n 2>&1 | grep -q 'name too long' && p=$(printf 'd/%.0s' $(seq 1 3000)); ls "$p" 2>&1 | grep -q -i 'too long' && echo ok
### case a_loop_of_links expect=ok
ln -s b a; ln -s a b; cat a 2>&1 | grep -q -i 'symbolic link' && echo ok
### case too_many_open_files expect=ok
exec 2>/dev/null; (ulimit -n 8; exec 3</dev/null 4</dev/null 5</dev/null 6</dev/null 7</dev/null; cat /dev/null 2>/dev/null) ; [ $? != 0 ] && cat /dev/null && echo ok
### case no_permission_for_others expect=ok
echo secret >s; chmod 600 s; mkdir p; chmod 700 p; chmod 755 . .. ; ! chroot --userspec=1000:1000 / cat $PWD/s 2>err && grep -q -i 'permission denied' err && ! chroot --userspec=1000:1000 / ls $PWD/p 2>/dev/null && echo ok
### case a_full_file_system expect=ok
mkdir m; mount -t tmpfs -o size=1m none m && ! dd if=/dev/zero of=m/f bs=64k count=100 status=none 2>err; grep -q -i 'no space' err && rm m/f && echo x >m/g && [ "$(cat m/g)" = x ] && umount m && echo ok
### case a_read_only_file_system expect=ok
mkdir m; mount -t tmpfs none m && echo x >m/f && mount -o remount,ro m && ! touch m/g 2>err; grep -q -i 'read-only' err && umount m && echo ok
### case a_full_device expect=ok
seq 1 100000 >/dev/full 2>err; [ $? != 0 ] && grep -q -i 'no space' err && echo ok
### case endless_recursion_ends expect=ok
awk 'function f(n) { return f(n + 1) } BEGIN { f(0) }' >/dev/null 2>&1; [ $? != 0 ] && echo ok
### case ten_gigabytes_are_refused expect=ok
dd if=/dev/zero of=/dev/null bs=10G count=1 2>/dev/null; [ $? != 0 ] && echo ok
### case many_arguments expect=ok
[ "$(printf '%s\n' $(seq 1 20000) | wc -l)" = 20000 ] && env echo $(seq 1 20000) | wc -w | grep -qx 20000 && echo ok
### case zombies_are_reaped expect=ok
i=0; while [ $i -lt 50 ]; do (sh -c 'sleep 0.05 &') ; i=$((i+1)); done; until [ "$(ls -d /proc/[0-9]* 2>/dev/null | wc -l)" -lt 25 ]; do sleep 0.05; done; echo ok
