#!/usr/bin/env bash
# run.sh -- the crash tests of a build
#
# tests/crash/run.sh [--quick | --long] [--mutants] [BUILD]
#
# BUILD is a folder that meson has built (default: build). --long goes on for ten minutes with new
# seeds. --mutants also takes away each rule of the journal and expects a test to notice.
set -u

top=$(cd "$(dirname "$0")/../.." && pwd)
mode=--quick
mutants=no
build=$top/build
for argument in "$@"; do
    case "$argument" in
    --quick | --long) mode=$argument ;;
    --mutants) mutants=yes ;;
    -*)
        echo "usage: tests/crash/run.sh [--quick | --long] [--mutants] [BUILD]" >&2
        exit 2
        ;;
    *) build=$argument ;;
    esac
done
export PMEM_IS_PMEM_FORCE=1

program=$build/tests/crash/crash_test
if [ ! -x "$program" ]; then
    echo "run.sh: $program is not built" >&2
    exit 2
fi
failed=0
if [ "$mode" = --quick ]; then
    "$program" --quick || failed=1
    "$program" --quick --mib 5 --only re || failed=1
else
    "$program" --seconds 300 --seed "$(date +%s)" || failed=1
    "$program" --seconds 300 --seed "$(date +%s)" --mib 5 || failed=1
fi
if [ "$mutants" = yes ]; then
    python3 "$top/tests/crash/mutants.py" || failed=1
fi
exit "$failed"
