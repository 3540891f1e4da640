#!/usr/bin/env bash
# check.sh -- builds everything and runs every suite
#
# tests/check.sh [--long]
#
# Prints one line for each suite, PASS, FAIL or SKIP(reason), its name and its seconds, and last the
# totals. Logs lie in build-check/logs; the end of a failed suite's log is shown, and before the totals what failed in
# it. With --long the random suites run longer. With CI=true a suite that had to be skipped is a failure. Regions lie in a
# folder on /dev/shm, which is removed at the end.
set -u

top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top" || exit 1

long=no
case "${1-}" in
--long) long=yes ;;
'') ;;
*)
    echo "usage: tests/check.sh [--long]" >&2
    exit 2
    ;;
esac

build=build-check
logs=$build/logs
passed=0
failed=0
skipped=0
export PMEM_IS_PMEM_FORCE=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
# Criterion's own worker processes end without freeing what they hold.
export ASAN_OPTIONS=detect_leaks=0

quick_or_long() {
    if [ "$long" = yes ]; then echo "$2"; else echo "$1"; fi
}

# Ends the suite that runs as skipped.
skip() {
    echo "SKIP: $*"
    exit 77
}

need() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null || skip "no $tool"
    done
}

# configure FOLDER OPTION...: sets up a build folder from nothing.
configure() {
    local folder=$build/$1
    shift
    rm -rf "$folder"
    meson setup "$folder" --werror "$@"
}

compile() {
    meson compile -C "$build/$1"
}

# True if the build folder has tests in the meson suite.
has_suite() {
    meson introspect --tests "$build/$1" | python3 -c '
import json, sys
wanted = sys.argv[1]
found = any(wanted in (name.split(":")[-1] for name in test["suite"])
            for test in json.load(sys.stdin))
sys.exit(0 if found else 1)' "$2"
}

# run_suites FOLDER SUITE...: runs meson suites, each of which must have tests.
run_suites() {
    local folder=$1
    local arguments=()
    shift
    for suite in "$@"; do
        has_suite "$folder" "$suite" || skip "no tests in suite $suite"
        arguments+=(--suite "$suite")
    done
    meson test -C "$build/$folder" --no-rebuild --print-errorlogs --num-processes 1 \
        "${arguments[@]}"
}

suite_packages() {
    bash examples/install-packages.sh run test programs guest
}

suite_build_gcc() {
    need gcc meson ninja
    CC=gcc configure gcc && compile gcc
}

suite_build_clang() {
    need clang meson ninja
    CC=clang configure clang && compile clang
}

suite_units() {
    run_suites gcc unit
}

suite_api() {
    run_suites gcc api
}

suite_scale() {
    "$build/gcc/tests/api/test_huge" --jobs=2 &&
        "$build/gcc/tests/api/hold_test" &&
        "$build/gcc/tests/api/scale_test" --files "$(quick_or_long 200000 1000000)" || exit 1
    if [ "$long" = yes ]; then
        "$build/gcc/tests/api/aged_test" --rounds 200 --mib 1024 --seed 7
    fi
}

suite_model() {
    if [ "$long" = yes ]; then
        "$build/gcc/tests/model/model_test" -v --long
    else
        "$build/gcc/tests/model/model_test" -v --ops 100000 &&
            "$build/gcc/tests/model/model_test" --ops 100000 --no-host &&
            python3 tests/model/replay.py "$build/gcc/tests/model/model_test"
    fi
}

suite_protocol() {
    need spin gcc python3
    python3 tests/protocol/run.py
}

suite_kill() {
    "$build/gcc/tests/kill/kill_test" -v --kills "$(quick_or_long 20 200)" &&
        "$build/gcc/tests/kill/kill_test" --power -v --kills "$(quick_or_long 60 1000)"
}

suite_fuse() {
    tests/fuse/run.sh "$build/gcc" "$(quick_or_long --quick --long)"
}

suite_crash() {
    tests/crash/run.sh --quick "$build/gcc"
}

suite_mutants() {
    need python3 cc
    python3 tests/crash/mutants.py --proved --json "$logs/mutants.json" "$build/gcc" || exit 1
    if [ "$long" = yes ]; then python3 tests/model/mutants.py "$build/gcc"; fi
}

suite_asan() {
    need gcc
    CC=gcc configure asan -Db_sanitize=address,undefined -Db_lundef=false && compile asan || exit 1
    if has_suite asan unit; then
        run_suites asan unit || exit 1
    fi
    run_suites asan api &&
        ASAN_OPTIONS=detect_leaks=1 "$build/asan/tests/api/guard_stress" --rounds 3 &&
        ASAN_OPTIONS=detect_leaks=1 "$build/asan/tests/model/model_test" -v --ops \
            "$(quick_or_long 15000 200000)"
}

# The kept inputs in the build with sanitizers; with --long every field by every verb.
suite_fuzz() {
    [ -x "$build/asan/tests/fuzz/fuzz_fields" ] || skip "no build with sanitizers"
    "$build/asan/tests/fuzz/fuzz_fields" --corpus tests/fuzz/corpus/bugs.txt \
        tests/fuzz/corpus/paths.txt || exit 1
    if [ "$long" = yes ]; then "$build/asan/tests/fuzz/fuzz_fields" --runs 100; fi
}

suite_tsan() {
    need gcc
    CC=gcc configure tsan -Db_sanitize=thread -Db_lundef=false && compile tsan &&
        TSAN_OPTIONS=halt_on_error=1 "$build/tsan/tests/api/stress_test" --seconds \
            "$(quick_or_long 5 60)" &&
        PMEM_IS_PMEM_FORCE=0 VMFS_TEST_DURABILITY=power TSAN_OPTIONS=halt_on_error=1 \
            "$build/tsan/tests/api/stress_test" --threads 8 --seconds "$(quick_or_long 3 60)" &&
        TSAN_OPTIONS=halt_on_error=1 "$build/tsan/tests/api/stress_ops_test" --seconds \
            "$(quick_or_long 5 60)" &&
        TSAN_OPTIONS=halt_on_error=1 "$build/tsan/tests/api/view_stress" --seconds \
            "$(quick_or_long 5 60)" &&
        TSAN_OPTIONS=halt_on_error=1 "$build/tsan/tests/api/guard_stress" --rounds \
            "$(quick_or_long 3 30)"
}

suite_stress() {
    "$build/gcc/tests/api/stress_test" --seconds "$(quick_or_long 5 60)" &&
        PMEM_IS_PMEM_FORCE=0 VMFS_TEST_DURABILITY=power \
            "$build/gcc/tests/api/stress_test" --threads 8 --seconds "$(quick_or_long 5 60)" &&
        "$build/gcc/tests/api/stress_ops_test" --seconds "$(quick_or_long 5 60)" &&
        "$build/gcc/tests/api/view_stress" --seconds "$(quick_or_long 5 60)"
}

suite_examples() {
    run_suites gcc examples
}

suite_bench_smoke() {
    run_suites gcc bench-smoke
}

# What is inside the guests is downloaded, as packages are: none of it is installed here.
suite_guest() {
    if [ "$long" = yes ]; then tests/guest/run.sh --build "$build/gcc" --long; else tests/guest/run.sh --build "$build/gcc"; fi
}

# Instructions of a call in a guest, which are exact.
suite_guest_bench() {
    tests/guest/bench.sh --quick --build "$build/gcc"
}

suite_tidy() {
    run_suites gcc tidy
}

# The core without libc, by both compilers.
suite_freestanding() {
    run_suites gcc freestanding && run_suites clang freestanding
}

suite_spec() {
    need cc python3
    run_suites gcc spec
}

suite_golden() {
    need python3
    run_suites gcc golden
}

suite_quickstart() {
    bash examples/quickstart.sh
}

# The reason of a suite that ended with 77.
skip_reason() {
    sed -n 's/^SKIP: //p' "$1" | tail -n 1
}

# The lines of a failed suite's log that name what failed: they are said again at the end, as whoever keeps a part of a
# long output keeps its end.
why() {
    grep -a -n -E 'FAIL|TIMEOUT|ERROR|Sanitizer|[Aa]ssertion|rror: |_test: ' "$logs/$1.log" | head -n 12 | sed "s/^/    $1.log:/"
}

run() {
    local name=$1
    local log=$logs/$name.log
    local start=$SECONDS
    ("suite_${name//-/_}") >"$log" 2>&1
    local status=$?
    local seconds=$((SECONDS - start))
    if [ $status -eq 0 ]; then
        passed=$((passed + 1))
        echo "PASS $name $seconds"
    elif [ $status -eq 77 ] && [ "${CI-}" != true ]; then
        skipped=$((skipped + 1))
        echo "SKIP($(skip_reason "$log")) $name $seconds"
    else
        failed=$((failed + 1))
        echo "FAIL $name $seconds"
        tail -n 40 "$log" | sed 's/^/    /'
        why "$name" >>"$logs/failed"
    fi
}

rm -rf "$build"
mkdir -p "$logs"
VMFS_TEST_DIR=$(mktemp -d /dev/shm/vmfs-check.XXXXXX) || exit 1
export VMFS_TEST_DIR
chmod 755 "$VMFS_TEST_DIR" # one test opens a region as another user
cleanup() {
    # A mount that a test has left goes before its region does.
    while read -r mounted; do
        fusermount3 -u -z "$mounted"
    done < <(cut -d ' ' -f 2 /proc/mounts | grep -F "$VMFS_TEST_DIR/")
    rm -rf "$VMFS_TEST_DIR"
}
trap cleanup EXIT
for suite in packages build-gcc build-clang tidy freestanding spec golden units api scale model protocol stress \
    kill fuse crash mutants examples bench-smoke guest guest-bench quickstart asan fuzz tsan; do
    run "$suite"
done
[ "$failed" -eq 0 ] || cat "$logs/failed"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
