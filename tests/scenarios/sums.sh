Checksums and encodings over two megabytes. The oracle is GNU coreutils.

### setup
seq 1 290000 >big
printf '' >empty
printf 'The quick brown fox' >short
### case cksum_and_sum
cksum $D/big $D/empty; sum $D/big; sum -s $D/big; cksum <$D/short
### case cksum_algorithms oracle=uutils
cksum -a sha256 $D/short; cksum -a crc $D/big; cksum --untagged -a md5 $D/short; cksum -a blake2b -l 256 $D/short
### case md5sum
md5sum $D/big $D/empty $D/short; md5sum $D/big >sums; md5sum -c sums; echo x >>sums; md5sum -c sums 2>/dev/null; echo $?
### case sha1sum
sha1sum $D/big <$D/short; sha1sum --tag $D/short; sha1sum -b $D/empty
### case sha224sum
sha224sum $D/big $D/empty
### case sha256sum
sha256sum $D/big $D/empty; cat $D/big | sha256sum; sha256sum $D/short | sed 's/^./0/' >bad; sha256sum --status -c bad; echo $?
### case sha384sum
sha384sum $D/big $D/empty
### case sha512sum
sha512sum $D/big $D/empty
### case b2sum
b2sum $D/big $D/empty; b2sum -l 128 $D/short
### case base64_round_trip
base64 $D/short; base64 -w 0 $D/short; echo; base64 $D/big | cksum; base64 $D/big | base64 -d | cmp - $D/big; printf 'Zm9v!YmFy' | base64 -d -i; echo; printf '####' | base64 -d 2>/dev/null; echo $?
### case base32_round_trip
base32 $D/short; base32 -w 20 $D/big | cksum; base32 $D/big | base32 -d | cmp - $D/big
### case basenc_encodings
for e in --base64url --base32hex --base16 --base2msbf --base2lsbf; do basenc $e $D/short; basenc $e $D/big | basenc -d $e | cmp - $D/big; done; printf '12345678' | basenc --z85
