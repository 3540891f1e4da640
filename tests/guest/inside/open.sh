# open.sh -- what vmfs makes of each place that a guest offers for a region
#
# open.sh PLACE
#
# PLACE is devdax (/dev/dax0.0), fsdax or virtio-pmem (/dev/pmem0 as a block device, and files of an ext4 with DAX
# on it). With fsdax also a file of the guest's own memory. At each one: which level and backend are chosen, what is said of it, all verbs, and a reader after a crash.
# Ends on devdax with a region that holds this folder as /inside, and whose last writer was killed; readonly is that
# device in a guest that may only read it.
unset PMEM_IS_PMEM_FORCE

fail() {
    echo "open.sh: $*"
    exit 1
}

# says WANTED COMMAND...: the command ends well and what it prints contains that.
says() {
    wanted=$1
    shift
    text=$("$@" 2>&1) || fail "$*: $text"
    case $text in
    *"$wanted"*) ;;
    *) fail "$*: no '$wanted' in: $text" ;;
    esac
}

# refuses WANTED COMMAND...: it fails, and says that.
refuses() {
    wanted=$1
    shift
    text=$("$@" 2>&1) && fail "$*: is not refused"
    case $text in
    *"$wanted"*) ;;
    *) fail "$*: no '$wanted' in: $text" ;;
    esac
}

# What is stored is read again, with holes that show nothing of what was there before.
verbs() {
    rm -rf /tmp/back /tmp/hole
    dd if=/dev/zero of=/tmp/hole bs=1 count=1 seek=3000000 2>/dev/null
    says "" vmfs put -r "$@" /inside /inside
    says "" vmfs put "$@" /tmp/hole /hole
    says "" vmfs mkdir "$@" /dir
    says "" vmfs mv "$@" /dir /moved
    says "moved" vmfs ls "$@" /
    says "" vmfs get -r "$@" /inside /tmp/back
    diff -r /inside /tmp/back || fail "the tree has changed"
    vmfs cat "$@" /hole | cmp - /tmp/hole || fail "the hole has changed"
    says "clean: " vmfs fsck "$@"
    says "" vmfs rm -r "$@" /moved
}

# Kills a command that stores once it has said that so many files are durable: their records are in the journal, unless
# a checkpoint has just retired them, which the next try may not meet.
killed() {
    mkfifo /tmp/said 2>/dev/null
    for files in 1 2 3 5 8; do
        vmfs put -r -v "$@" /vmfs "/crash$files" >/tmp/said 2>&1 &
        head -n $files </tmp/said >/dev/null
        kill -9 $! 2>/dev/null
        wait $! 2>/dev/null
        vmfs info "$@" | grep '^journal.* [1-9][0-9]* records' && return
    done
    fail "no kill has left anything in the journal"
}

# A reader sees what a crash has left as recovered, each time again, since it stores nothing.
crash() {
    first=$(killed "$@") || fail "$first"
    second=$(vmfs info "$@" | grep '^journal')
    [ "$first" = "$second" ] || fail "reading has changed the region: $first, $second"
    says "clean: " vmfs fsck "$@"
    says "clean: " vmfs fsck --repair "$@"
    says ", 0 records" vmfs info "$@"
}

# place BACKEND MEANING WORD...: the words are a region with options.
place() {
    backend=$1
    meaning=$2
    shift 2
    says "durability: $meaning" vmfs format --force --size 256M "$@"
    says "durability: $meaning" vmfs info "$@"
    says "backend: $backend" vmfs info "$@"
    verbs "$@"
    crash "$@"
    echo "$*: $backend, $(vmfs info "$@" | sed -n 's/^durability: //p'); after a crash $first"
}

# Of the page cache over the device; then the device is given to ext4.
block_and_file() {
    place none "process: survives the process; sync calls reach the device; in devdax mode" /dev/pmem0
    place sync "power: survives loss of power: an msync at each fence; in devdax mode" --durability power /dev/pmem0
    mke2fs -q -F -t ext4 -b 4096 /dev/pmem0 && mount -o dax /dev/pmem0 /mnt || fail "no ext4 with DAX"
}

case $1 in
devdax)
    place pmem "power: what has returned survives loss of power, as far as the memory of the DAX device" /dev/dax0.0
    place pmem "process: what has returned survives process and guest" --durability process /dev/dax0.0
    refuses "must be multiples of 2097152" vmfs info --offset 4096 /dev/dax0.0
    refuses "must be multiples of 2097152" vmfs ls --length 3M /dev/dax0.0
    refuses "must be multiples of 2097152" vmfs format --force --size 5M /dev/dax0.0
    place pmem "power: " --offset 512M /dev/dax0.0
    refuses "2 regions, choose one with --offset: 0 536870912" vmfs info --offset auto /dev/dax0.0
    says "" vmfs format --force /dev/dax0.0
    says "offset: 0" vmfs info --offset auto /dev/dax0.0
    vmfs-fuse /dev/dax0.0 /mnt || fail "no mount"
    cp -r /inside /mnt/inside && sync || fail "nothing can be stored"
    refuses "in use by process " vmfs ls --wait 0 /dev/dax0.0
    owner=$(echo "$text" | sed 's/.*in use by process \([0-9]*\).*/\1/')
    [ "$(readlink "/proc/$owner/exe")" = /vmfs/bin/vmfs-fuse ] || fail "$owner has the region? $text"
    umount /mnt
    says "clean: " vmfs fsck /dev/dax0.0
    killed /dev/dax0.0
    ;;
readonly)
    [ "$(vmfs info /dev/dax0.0 | grep -c '^journal.* [1-9][0-9]* records')" = 1 ] || fail "there is nothing to replay"
    says "clean: " vmfs fsck /dev/dax0.0
    vmfs get -r /dev/dax0.0 /inside /tmp/back && diff -r /inside /tmp/back || fail "the tree has changed"
    refuses "the device takes no stores" vmfs mkdir /dev/dax0.0 /new
    refuses "the device takes no stores" vmfs fsck --repair /dev/dax0.0
    refuses "the device takes no stores" vmfs format --force /dev/dax0.0
    ;;
fsdax)
    block_and_file
    place pmem "power: what has returned survives loss of power, as far as the memory under the DAX mount" /mnt/region
    place none "process: what has returned survives the process; the file is in memory (tmpfs)" /dev/shm/region
    place sync "power: msync at each fence, but the file is in memory (tmpfs)" --durability power /dev/shm/region
    ;;
virtio-pmem)
    block_and_file
    place none "process: survives process and guest, the file itself once its filesystem has committed it" /mnt/region
    place sync "power: what has returned survives loss of power: an msync at each fence, for which the host flushes" \
        --durability power /mnt/region
    ;;
esac
