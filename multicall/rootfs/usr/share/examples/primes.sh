#!/bin/sh
# Prints the primes up to N (default 100), each found by trial division in the shell itself.
limit=${1:-100}
n=2
while [ "$n" -le "$limit" ]; do
    d=2
    prime=yes
    while [ $((d * d)) -le "$n" ]; do
        if [ $((n % d)) -eq 0 ]; then
            prime=no
            break
        fi
        d=$((d + 1))
    done
    if [ "$prime" = yes ]; then
        echo "$n"
    fi
    n=$((n + 1))
done
