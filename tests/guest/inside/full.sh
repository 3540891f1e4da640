# full.sh -- regions without a free byte: an ordinary state
#
# One on a devdax device is filled by threads, then through the mount; the host reads it afterwards. Another is a
# sparse file on ext4-DAX, which is full itself: -ENOSPC, and no SIGBUS, comes long before the region is full.

device=/dev/dax0.0
disk=/dev/pmem1
region=/ext4/region
mkdir /ext4 /mount

# fails_for_space FILE: writing it must fail, and say why.
fails_for_space() {
    if dd if=/dev/zero of="$1" bs=64k count=1000 2>/tmp/said; then
        echo "$1 found room"
        return 1
    fi
    grep -q 'No space left on device' /tmp/said || { cat /tmp/said && return 1; }
}

# The region is full: each thing done on the mount says so or works.
fill_mount() {
    vmfs-fuse $device /mount && fails_for_space /mount/more || return 1
    rm /mount/more /mount/fill0/*1-* && mkdir /mount/made && cp /vmfs/bin/guest_fill /mount/made/copy &&
        cmp /vmfs/bin/guest_fill /mount/made/copy && fails_for_space /mount/rest || return 1
    umount /mount
}

echo "devdax"
vmfs format --force $device --size 24M && guest_fill fill $device --least 20000000 && fill_mount &&
    vmfs fsck $device || exit 1
guest_fill digest $device

echo "ext4"
/bin/mke2fs -q -F -t ext4 -b 4096 $disk && mount -t ext4 -o dax $disk /ext4 || exit 1
vmfs format $region --size 32M && dd if=/dev/zero of=/ext4/room bs=1M count=12 2>/tmp/said &&
    fails_for_space /ext4/filler || exit 1
guest_fill fill $region && vmfs fsck $region || exit 1 # not a block to be had
rm /ext4/room
guest_fill fill $region --least 4000000 && vmfs fsck $region || exit 1
rm /ext4/filler
guest_fill fill $region --least 16000000 && vmfs fsck $region || exit 1
umount /ext4
