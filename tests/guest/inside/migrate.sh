# migrate.sh -- four threads change a region on a devdax device, until a line comes from the host
#
# By then the guest is in another QEMU. What the writer acknowledges lies in the guest's own memory, which has
# moved with it: the two must fit together. The judge looks, then the host is given both.

device=/dev/dax0.0
out=/dev/pmem1
acks=/acks

vmfs format --force $device || exit 1
guest_writer $device $acks &
writer=$!
while sleep 0.1; do
    od -A n -v -t u8 -w64 -j 64 -N 256 $acks | awk '{ done += $1 } END { print "DONE", done }'
done &
teller=$!
read -r _
kill $teller
kill -0 $writer || exit 1
kill -KILL $writer
wait $writer
vmfs fsck $device && guest_judge $device $acks || exit 1
dd if=$acks of=$out conv=fsync 2>/dev/null || exit 1
! dmesg | grep -E 'Oops|BUG:|general protection|segfault| lockup|Bad page|rcu.*stall'
