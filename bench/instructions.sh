#!/bin/sh
# instructions.sh PROGRAM FOLDER -- instructions of a call, by callgrind, in a directory of 4,000 names and in one
# of 1,000,000
set -eu
program=$1
folder=$2
calls=4000
export PMEM_IS_PMEM_FORCE=1
count() { # OP NAMES
    valgrind --tool=callgrind --toggle-collect=measured --callgrind-out-file=/dev/null \
        "$program" "$folder/instructions-$2" "$1" "$2" "$calls" 2>&1 |
        awk -v calls="$calls" '/Collected/ { printf "%.0f", $NF / calls }'
}
for names in 4000 1000000; do
    rm -f "$folder/instructions-$names"
    "$program" "$folder/instructions-$names" prepare "$names"
done
echo "| instructions a call | 4,000 names | 1,000,000 names |"
echo "|---|---|---|"
for op in mknod stat rename unlink; do
    echo "| $op | $(count $op 4000) | $(count $op 1000000) |"
done
rm -f "$folder/instructions-4000" "$folder/instructions-1000000"
