#!/bin/sh
# sync_smoke.sh PROGRAM -- a short run of bench/sync.c in a folder of its own: both of its tables are there
set -eu
folder=$(mktemp -d "${VMFS_TEST_DIR:-/dev/shm}/vmfs-sync.XXXXXX")
trap 'rm -rf "$folder"' EXIT
PMEM_IS_PMEM_FORCE=0 "$1" "$folder" --calls 20 --milliseconds 10 >"$folder/out"
cat "$folder/out"
[ "$(grep -c '^| ' "$folder/out")" = 11 ]
