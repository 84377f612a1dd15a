#!/bin/sh
# A summary of the machine, by the usual tools.
printf 'system:  %s\n' "$(uname -srm)"
printf 'host:    %s\n' "$(cat /proc/sys/kernel/hostname 2>/dev/null || hostname)"
printf 'cores:   %s\n' "$(nproc)"
printf 'memory:  %s\n' "$(awk '/^MemTotal|^MemFree/ { printf "%s %d MiB  ", $1, $2 / 1024 }' /proc/meminfo)"
printf 'uptime:  %s s\n' "$(cut -d' ' -f1 /proc/uptime)"
printf 'tools:   %s\n' "$(ls /bin | wc -l)"
