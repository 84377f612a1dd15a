Data through several processes at once. The oracle is the host.

### setup
seq 1 100000 >numbers
### case sort_in_the_middle
seq 1 100000 | sort -rn | wc; seq 1 50000 | sort | head -n 3
### case megabytes_through_a_pipe
dd if=/dev/zero bs=64k count=400 status=none | wc -c; yes abcdefg | head -c 20000000 | cksum; head -c 5000000 /dev/zero | tr '\0' a | md5sum
### case five_stages
cat $D/numbers | grep 7 | sed 's/7/seven/g' | awk '{ n += length($0) } END { print n }' ; cat $D/numbers | tee copy | sort -n | uniq | tail -n 1; cmp copy $D/numbers
### case a_reader_that_stops_early
yes | head -n 5 | cksum; cat $D/numbers | head -n 1; seq 1 10000000 | sed 3q; sh -c 'yes; echo $? >&2' 2>status | head -n 1; cat status
### case twenty_processes
p='cat'; i=0; while [ $i -lt 19 ]; do p="$p | cat"; i=$((i+1)); done; eval "$p" <$D/numbers | cksum
### case process_substitution_by_fifos
mkfifo x y; sort -r $D/numbers >x & sort $D/numbers | tail -n 100 >y & cat x y | cksum; wait
### case pipes_in_loops
i=0; while [ $i -lt 40 ]; do echo $i | tr 0-9 a-j; i=$((i+1)); done | cksum
### case word_count_of_a_text
sed 's/0/ zero /g; s/9/ nine /g' $D/numbers | tr -s ' ' '\n' | sort | uniq -c | sort -rn | head -n 3
### case both_ends_of_a_coprocess
mkfifo up down; (while read l; do echo "got $l"; done <up >down) & exec 3>up 4<down; echo one >&3; read r <&4; echo $r; echo two >&3; read r <&4; echo $r; exec 3>&- 4<&-; wait
