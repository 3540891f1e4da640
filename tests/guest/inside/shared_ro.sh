# shared_ro.sh prepare | read -- one image in two guests at once, which can only read it
#
# `prepare` has all done by init, which makes the namespace. `read` prints a checksum of each file, twice: as `vmfs get`
# copies it and as the mount shows it; and before the second, once the host has said so, that is while both mount.

device=/dev/dax0.0
[ "$1" = prepare ] && exit 0

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
