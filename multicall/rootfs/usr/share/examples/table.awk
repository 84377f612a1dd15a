#!/bin/awk -f
# /etc/passwd as a table: awk -f table.awk /etc/passwd
BEGIN {
    FS = ":"
    printf "%-10s %6s  %s\n", "NAME", "UID", "SHELL"
}
{
    printf "%-10s %6d  %s\n", $1, $3, $7
}
