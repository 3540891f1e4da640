# kill.sh FIRST | NEXT | LAST [WRITER_OPTION...] -- writers on a devdax device and on a file of ext4-DAX
#
# FIRST makes both regions, NEXT and LAST go on with what the kill has left; the file, which only the guest
# can read, is judged here. The writers run until QEMU is killed, and in the LAST boot for a second.

device=/dev/dax0.0
disk=/dev/pmem1
file=/mnt/region
acks() { echo "/sys/bus/pci/devices/0000:00:$1.0/resource2"; }
step=$1
shift

for slot in 10 11; do
    echo 1 >"/sys/bus/pci/devices/0000:00:$slot.0/enable"
done
if [ "$step" = FIRST ]; then
    /bin/mke2fs -q -F -t ext4 -b 4096 $disk && mount -t ext4 -o dax $disk /mnt &&
        vmfs format --force $device && vmfs format $file --size 64M || exit 1
else
    mount -t ext4 -o dax $disk /mnt && vmfs fsck $file && guest_judge $file "$(acks 11)" || exit 1
fi
[ "$step" = LAST ] && set -- "$@" --seconds 1
guest_writer $file "$(acks 11)" "$@" &
guest_writer $device "$(acks 10)" "$@" || exit 1
wait $! || exit 1
umount /mnt
