Many processes, and no memory lost on the way: each case checks what must hold and prints ok.

### setup
cat >free_kib <<'X'
awk '/^MemFree/ { print $2 }' /proc/meminfo
X
### case spawns_give_their_memory_back expect=ok
i=0; while [ $i -lt 100 ]; do env true; i=$((i+1)); done; a=$(sh $D/free_kib); i=0; while [ $i -lt 500 ]; do env true; i=$((i+1)); done; b=$(sh $D/free_kib); [ $((a - b)) -le 64 ] && echo ok || echo "$((a - b)) KiB lost"
### case subshells_give_their_memory_back expect=ok
i=0; while [ $i -lt 100 ]; do (:); i=$((i+1)); done; a=$(sh $D/free_kib); i=0; while [ $i -lt 500 ]; do (:); i=$((i+1)); done; b=$(sh $D/free_kib); [ $((a - b)) -le 64 ] && echo ok || echo "$((a - b)) KiB lost"
### case pipes_and_files_give_their_memory_back expect=ok
w() { seq 1 20000 | sort -n | tail -n 1 >/dev/null; seq 1 20000 >f; rm f; }; w; w; a=$(sh $D/free_kib); i=0; while [ $i -lt 20 ]; do w; i=$((i+1)); done; b=$(sh $D/free_kib); [ $((a - b)) -le 128 ] && echo ok || echo "$((a - b)) KiB lost"
### case a_hundred_at_once expect=ok
i=0; while [ $i -lt 100 ]; do (sleep 0.5; echo $i >>out) & i=$((i+1)); done; wait; [ "$(sort -n out | uniq | wc -l)" = 100 ] && echo ok
### case parallel_pipelines expect=ok
i=0; while [ $i -lt 8 ]; do (seq 1 20000 | sort -rn | md5sum >sum$i) & i=$((i+1)); done; wait; [ "$(cat sum* | sort | uniq | wc -l)" = 1 ] && echo ok
