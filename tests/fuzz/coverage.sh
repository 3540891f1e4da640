#!/usr/bin/env bash
# coverage.sh -- which lines of the code that trusts no byte are reached by images
#
# tests/fuzz/coverage.sh [--runs N] [--missed]
#
# Builds with gcov in build-cover, runs the kept inputs and N images of each field and verb (10), and prints
# the share of lines of libvmfs/check, of libvmfs/index and of recovery. With --missed also each line that
# was not reached. Fails below 90 % of any of the three.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top"
runs=10
missed=no
while [ $# -gt 0 ]; do
    case "$1" in
    --runs) runs=$2 && shift ;;
    --missed) missed=yes ;;
    *) echo "usage: tests/fuzz/coverage.sh [--runs N] [--missed]" >&2 && exit 2 ;;
    esac
    shift
done

build=build-cover
[ -d $build ] || CC=gcc meson setup $build -Db_coverage=true -Doptimization=0
ninja -C $build tests/fuzz/fuzz_fields
find $build -name '*.gcda' -delete
# What breaks a rule is counted there, and no matter here.
$build/tests/fuzz/fuzz_fields --corpus tests/fuzz/corpus/*.txt | tail -n 1 || true
$build/tests/fuzz/fuzz_fields --runs "$runs" | tail -n 1 || true

rm -rf $build/gcov
mkdir $build/gcov
cd $build
# Each rank has a library of its own; the same sources are built again for other programs.
find libvmfs -name '*.gcda' -print0 | xargs -0 gcov -p >/dev/null
mv ./*.gcov gcov/
cd gcov
MISSED=$missed python3 - <<'PROGRAM'
import os
import pathlib
import sys

GROUPS = {
    "check": ["libvmfs#check#"],
    "index": ["libvmfs#index#"],
    "recovery": ["libvmfs#journal#recover.c", "libvmfs#journal#record.c", "libvmfs#journal#observe.c",
                 "libvmfs#media#super.c"],
}
failed = False
for group, names in GROUPS.items():
    total, reached = 0, 0
    for path in sorted(pathlib.Path(".").glob("*.gcov")):
        if not any(name in path.name for name in names) or not path.name.endswith(".c.gcov"):
            continue
        for line in path.read_text(encoding="utf-8").splitlines():
            count, number, source = line.split(":", 2)
            if count.strip() == "-":
                continue
            total += 1
            if not count.strip().startswith(("#", "=")):
                reached += 1
            elif os.environ["MISSED"] == "yes":
                print(f"{path.name[:-5].split('libvmfs#')[1].replace('#', '/')}:{number.strip()}:{source}")
    share = 100 * reached / total if total else 0
    failed = failed or share < 90
    print(f"{group}: {share:.1f}% of {total} lines")
sys.exit(1 if failed else 0)
PROGRAM
