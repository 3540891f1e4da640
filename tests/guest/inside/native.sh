# native.sh -- the API's own suite on regions in a guest, then what the command makes of the place (open.sh)
#
# native.sh PLACE SUITE[@power]...
#
# PLACE is devdax (the device /dev/dax0.0 is the region), fsdax or virtio-pmem (regions are files on an ext4 with DAX
# on /dev/pmem0). With @power a suite asks for the level `power`, which is not every region's own.
place=$1
shift
unset PMEM_IS_PMEM_FORCE # what is found here counts

filter=
case $place in
devdax)
    export VMFS_TEST_DEVICE=/dev/dax0.0
    # They want two regions at once, a size that is not one of 2 MiB, or a file: its bytes, its growth.
    filter="--filter=!(errno_files/@(exdev|opening)|errno_common/euclean|attr/@(a_crash*|orphans*|tmpfile_gets*)"
    filter="$filter|data/copy_refuses|full/@(a_backing*|the_same_file*))"
    ;;
fsdax | virtio-pmem)
    mke2fs -q -t ext4 -b 4096 /dev/pmem0 && mount -o dax /dev/pmem0 /mnt || exit 1
    chmod 1777 /mnt # one test opens a region as another user
    export VMFS_TEST_DIR=/mnt
    # They cut the file off as libpmem is asked about it, which with MAP_SYNC nobody does.
    [ $place = virtio-pmem ] || filter="--filter=!(guard/@(failed_format*|open_meets_the_loss))"
    ;;
esac

status=0
for suite in "$@"; do
    level=auto
    [ "$suite" = "${suite%@power}" ] || level=power
    start=$SECONDS
    if VMFS_TEST_DURABILITY=$level "test_${suite%@power}" --jobs=1 $filter >/tmp/log 2>&1; then
        result=PASS
    else
        result=FAIL
        status=1
        grep -a -v PASS /tmp/log | head -n 60
    fi
    echo "$result $suite $((SECONDS - start)) s: $(sed -n 's/.*Synthesis: //p' /tmp/log)"
done
unset VMFS_TEST_DIR VMFS_TEST_DEVICE
umount /mnt 2>/dev/null
sh /inside/open.sh "$place" || status=1
exit $status
