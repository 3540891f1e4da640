# shared_ro.sh prepare | read -- one image in two guests at once, which can only read it
#
# `prepare` makes a region with the tree of the host, and changes it until QEMU is killed. `read` prints a checksum of
# each file of the tree, as `vmfs get` copies it and, once the host has said so, as the mount shows it.

device=/dev/dax0.0
acks=/dev/shm/acks

prepare() {
    vmfs format --force $device && vmfs put -r $device /tree /tree && head -c 4096 /dev/zero >$acks || exit 1
    guest_writer $device $acks &
    until [ "$(od -An -tu8 -j16 -N8 $acks)" -gt 0 ]; do usleep 10000; done
    sleep 1
    echo "running"
    wait $!
    exit 1 # it runs until it is killed
}

[ "$1" = prepare ] && prepare

checksums() {
    echo "checksums of $2"
    (cd "$1" && find . -type f | sort | xargs sha256sum) || return 1
    echo "end"
}

# refuses COMMAND...: it must fail, and say why.
refuses() {
    if "$@" 2>/tmp/said; then
        echo "$* was not refused"
        return 1
    fi
    grep -q 'Read-only file system' /tmp/said || { cat /tmp/said && return 1; }
}

vmfs info $device && vmfs get -r $device /tree /tmp/copy && checksums /tmp/copy get || exit 1
refuses vmfs mkdir $device /new || exit 1
refuses vmfs-fuse $device /mnt || exit 1
vmfs-fuse -o ro $device /mnt || exit 1
echo "mounted"
read -r _
checksums /mnt/tree mount && refuses touch /mnt/new && refuses mkdir /mnt/new && vmfs fsck $device || exit 1
umount /mnt
