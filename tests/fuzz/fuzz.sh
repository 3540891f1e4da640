#!/usr/bin/env bash
# fuzz.sh -- libFuzzer on images, with coverage of the library
#
# tests/fuzz/fuzz.sh [--seconds S] [--merge]
#
# Starts from the kept inputs, and runs under ASan and UBSan in build-fuzz. What it finds lies there in
# findings/; build-fuzz/tests/fuzz/fuzz_fields --replay FILE shows one. With --merge the kept inputs that
# together reach every path found so far are written to tests/fuzz/corpus/paths.txt.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top"
seconds=60
merge=no
while [ $# -gt 0 ]; do
    case "$1" in
    --seconds) seconds=$2 && shift ;;
    --merge) merge=yes ;;
    *) echo "usage: tests/fuzz/fuzz.sh [--seconds S] [--merge]" >&2 && exit 2 ;;
    esac
    shift
done

build=build-fuzz
programs=$build/tests/fuzz
[ -d $build ] || CC=clang meson setup $build --werror -Db_sanitize=address,undefined -Db_lundef=false \
    -Dc_args=-fsanitize=fuzzer-no-link -Doptimization=2
ninja -C $build tests/fuzz/fuzz_target tests/fuzz/fuzz_fields
mkdir -p $build/corpus $build/kept $build/findings
"$programs/fuzz_fields" --unpack $build/kept tests/fuzz/corpus/*.txt
limits=(-max_len=136 -entropic=0 -timeout=20 -rss_limit_mb=1500 -artifact_prefix=$build/findings/)
export ASAN_OPTIONS=quarantine_size_mb=8:detect_leaks=0
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
if [ "$seconds" -gt 0 ]; then
    "$programs/fuzz_target" "${limits[@]}" -max_total_time="$seconds" -print_final_stats=1 \
        $build/corpus $build/kept
fi
if [ $merge = yes ]; then
    rm -rf $build/merged
    mkdir $build/merged
    FUZZ_GOES_ON=1 "$programs/fuzz_target" "${limits[@]}" -merge=1 $build/merged $build/corpus $build/kept
    {
        echo "# paths.txt -- inputs that together reach what libFuzzer has found: tests/fuzz/fuzz.sh --merge"
        "$programs/fuzz_fields" --pack $build/merged/* | sort
    } >tests/fuzz/corpus/paths.txt
fi
