# tree.sh -- the guest's side of the case tree
#
# tree.sh format     makes the region
# tree.sh read       what the host has put in is what /given lists
# tree.sh write      puts trees in, and what they must be, for the host to read
. /inside/trees.sh
set -e
region=/dev/dax0.0

mount_region() {
    mkdir -p /mnt/region
    vmfs-fuse $region /mnt/region -o suid,dev
}

case $1 in
format)
    vmfs format $region
    ;;
read)
    vmfs fsck $region
    vmfs get -r $region /host /tmp/host
    tree_list /tmp/host | diff /given/tree -
    mount_region
    tree_list /mnt/region/host | diff /given/tree -
    attributes_list /mnt/region/host | diff /given/attributes -
    ;;
write)
    tree_make /tmp/guest "from the guest"
    vmfs put -r $region /tmp/guest /guest
    mount_region
    tree_make /mnt/region/mounted "through the mount"
    attributes_add /mnt/region/mounted
    tree_list /tmp/guest >/mnt/region/guest.tree
    tree_list /mnt/region/mounted >/mnt/region/mounted.tree
    attributes_list /mnt/region/mounted >/mnt/region/mounted.attributes
    ;;
esac
! mountpoint -q /mnt/region || fusermount3 -u /mnt/region
