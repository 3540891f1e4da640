#!/bin/sh
# instructions.sh PROGRAM FOLDER [NAMES...] -- instructions of a call, by callgrind: the median and the mean over 1,000
# calls, in a directory of 4,000 names and in one of 1,000,000 (or of NAMES)
set -eu
program=$1
folder=$2/instructions
shift 2
calls=1000
export PMEM_IS_PMEM_FORCE=1
rm -rf "$folder"
mkdir "$folder"
# Each call is a part of callgrind's output, whose totals are its own.
count() { # OP NAMES
    valgrind --tool=callgrind --toggle-collect=one_call --dump-after=one_call --callgrind-out-file="$folder/out" \
        "$program" "$folder/region" "$1" "$2" "$calls" 2>"$folder/log"
    cat "$folder"/out.* | awk '/^totals:/ { print $2 }' | sort -n |
        awk '{ sum += $1; all[NR] = $1 } END { printf "%d | %.0f", all[int((NR + 1) / 2)], sum / NR }'
    rm -f "$folder"/out*
}
for names in ${@:-4000 1000000}; do
    rm -f "$folder/region"
    "$program" "$folder/region" prepare "$names"
    echo "| $names names | median | mean |"
    echo "|---|---|---|"
    for op in mknod stat rename unlink create_fsync open_close append4k overwrite4k append64 overwrite64; do
        echo "| $op | $(count $op "$names") |"
    done
done
rm -rf "$folder"
