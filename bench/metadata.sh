#!/usr/bin/env bash
# metadata.sh VMFS_BENCH [--quick]: bytes of metadata for files and names, in libvmfs and in ext4
#
# ext4 is made with its defaults in an image on /dev/shm and mounted through a loop device, for which this
# must run as root; without that only libvmfs is measured. 256 bytes are its inodes' size, whose
# tables are there from the start.
set -eu
bench=$1
shift
echo "libvmfs"
"$bench" space "$@"
if [ "$(id -u)" != 0 ] || ! command -v mkfs.ext4 >/dev/null; then
    echo "ext4: not measured, needs root and mkfs.ext4" >&2
    exit 0
fi
folder=$(mktemp -d /dev/shm/vmfs-metadata.XXXXXX)
clean() {
    umount "$folder/tree" 2>/dev/null || true
    rm -rf "$folder"
}
trap clean EXIT
mkdir "$folder/tree"
truncate -s 2G "$folder/image"
mkfs.ext4 -q -F "$folder/image"
mount -o loop "$folder/image" "$folder/tree"
mkdir "$folder/tree/work"
echo "ext4 ($(mkfs.ext4 -V 2>&1 | head -1), $(uname -r))"
"$bench" space "$@" --tree "$folder/tree/work" --inode-bytes 256
