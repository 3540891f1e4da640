#!/usr/bin/env bash
# run.sh -- what must hold on a mount: data, names, permissions, programs, a daemon that is killed, the command itself
#
# tests/fuse/run.sh BUILD [--long]
#
# BUILD is a folder that has been built. Ends with 77 and a line "SKIP: reason" where nothing can be
# mounted. The random tests print their seeds and how to run them again.
set -euo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$1" && pwd)
long=no
[ "${2-}" != --long ] || long=yes
vmfs=$build/tools/vmfs
vmfs_fuse=$build/fuse-frontend/vmfs-fuse
export PMEM_IS_PMEM_FORCE=1

skip() {
    echo "SKIP: $*"
    exit 77
}


[ -x "$vmfs_fuse" ] || skip "vmfs-fuse is not built"
[ -c /dev/fuse ] || skip "no /dev/fuse"
command -v fusermount3 >/dev/null || skip "no fusermount3"
[ "$(id -u)" -eq 0 ] || skip "the trees of the tests are entered with chroot, which needs root"

scratch=$(mktemp -d "${VMFS_TEST_DIR:-/dev/shm}/fuse.XXXXXX")
chmod 755 "$scratch" # some cases run as other users
export VMFS_TEST_DIR=$scratch
region=$scratch/region
mountpoint=$scratch/mountpoint
cleanup() {
    for place in "$mountpoint" "$scratch/acls/mountpoint"; do
        ! mountpoint -q "$place" || fusermount3 -u -z "$place"
    done
    rm -rf --one-file-system "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

programs() {
    mkdir "$mountpoint"
    "$vmfs" format "$region" --size 512M
    "$vmfs_fuse" "$region" "$mountpoint"
    "$top/tests/fuse/programs.sh" "$mountpoint" "$@"
    fusermount3 -u "$mountpoint"
    "$vmfs" fsck "$region" # waits for the daemon's end
}

# The library by itself and the mount must agree about ACLs, modes, and what others may do.
acls() {
    local folder=$scratch/acls
    mkdir "$folder" "$folder/mountpoint"
    "$vmfs_fuse" "$folder/region" "$folder/mountpoint" -o size=64M,allow_other
    VMFS_TEST_DIR=$folder/mountpoint "$build/tests/api/acl_diff" "$@"
    fusermount3 -u "$folder/mountpoint"
    "$vmfs" fsck "$folder/region"
}

step() {
    local start=$SECONDS
    echo "== $*"
    "$@"
    echo "   $((SECONDS - start)) s"
}

data_test=$build/tests/fuse/data_test
meta_stress=$build/tests/fuse/meta_stress
kill_mount=$build/tests/fuse/kill_mount
step "$build/tests/fuse/loop_test"
step python3 "$top/tests/fuse/top_test.py" "$vmfs" "$vmfs_fuse"
if [ $long = yes ]; then
    # Seven configurations: more than a million operations, as it is mounted by default and with writeback.
    step "$data_test" --mount "$vmfs_fuse" --ops 150000 -v
    step "$data_test" --mount "$vmfs_fuse" --options writeback --ops 150000 -v
    step "$meta_stress" --mount "$vmfs_fuse" --ops 1000000 -v
    step "$kill_mount" --mount "$vmfs_fuse" --kills 50 -v
    step "$kill_mount" --mount "$vmfs_fuse" --clients --kills 50
    step env PMEM_IS_PMEM_FORCE=0 VMFS_TEST_DURABILITY=power \
        "$kill_mount" --mount "$vmfs_fuse" --options durability=power --kills 20
    step python3 "$top/tests/fuse/mount/mount_test.py" "$build" --files 1000000
    step python3 "$top/tests/fuse/conform.py" --long "$build"
    step python3 "$top/tests/fuse/conform.py" --self --long "$build"
    step python3 "$top/tests/fuse/conform_mutants.py" "$build"
    step acls --steps 500000
    step programs --source
else
    step "$data_test" --mount "$vmfs_fuse" --ops 3000 -v
    step "$meta_stress" --mount "$vmfs_fuse" --ops 30000 -v
    step "$kill_mount" --mount "$vmfs_fuse" --kills 5 -v
    step "$kill_mount" --mount "$vmfs_fuse" --clients --kills 3
    step env PMEM_IS_PMEM_FORCE=0 VMFS_TEST_DURABILITY=power \
        "$kill_mount" --mount "$vmfs_fuse" --options durability=power --kills 2
    step python3 "$top/tests/fuse/mount/mount_test.py" "$build"
    step python3 "$top/tests/fuse/conform.py" "$build"
    step python3 "$top/tests/fuse/conform.py" --self "$build"
    step acls --steps 20000
    step programs
fi
