# bench.sh ROUNDS CALLS [DISK...] -- every path of the comparison at once, and what work.c measures on them
#
# NVDIMM 0 carries ext4-DAX and, as a file on it, a region; 1 is a region; 2 is a region that is mounted. A disk's name is
# that of its path; it comes with an ext4 on it. Their order is that of /dev/vda, /dev/vdb...
set -e
rounds=$1
calls=$2
shift 2

mkdir -p /mnt/dax /mnt/fuse
/bin/mke2fs -q -F -t ext4 -b 4096 -E lazy_itable_init=0,lazy_journal_init=0,stride=512,stripe_width=512 /dev/pmem0
mount -t ext4 -o dax /dev/pmem0 /mnt/dax
mkdir /mnt/dax/files
dd if=/dev/zero of=/mnt/dax/region bs=1M count=96
vmfs format --force /mnt/dax/region
vmfs format --force /dev/dax1.0
vmfs format --force /dev/dax2.0
vmfs-fuse /dev/dax2.0 /mnt/fuse

letters='a b c d'
disks=
for name in "$@"; do
    letter=${letters%% *}
    letters=${letters#* }
    mkdir "/mnt/$name"
    mount -t ext4 "/dev/vd$letter" "/mnt/$name"
    disks="$disks $name=dir:/mnt/$name"
done
sync

# By these the host compares the clocks: under load the kernel may have taken the measure of its own wrongly.
echo "BENCH-BEGIN $(cut -d ' ' -f 1 /proc/uptime)"
# shellcheck disable=SC2086 # words of their own
work --rounds "$rounds" --calls "$calls" ext4dax=dir:/mnt/dax/files vmfs_devdax=region:/dev/dax1.0 \
    vmfs_fsdax=region:/mnt/dax/region vmfs_mount=dir:/mnt/fuse $disks
echo "BENCH-END $(cut -d ' ' -f 1 /proc/uptime)"
umount /mnt/fuse
