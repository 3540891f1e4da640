#!/bin/sh
# Runs the hello example twice on one region: the first run creates it, the second opens it. Both
# must print the greeting and end with one file in the root directory.
set -eu

hello=$1
base=/dev/shm
[ -w "$base" ] || base=${TMPDIR:-/tmp}
scratch=$(mktemp -d "$base/vmfs-hello.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

for run in first second; do
    "$hello" "$scratch/region" >"$scratch/output"
    grep -qx 'hello, memory' "$scratch/output" || {
        echo "test-hello: the $run run did not print the greeting" >&2
        exit 1
    }
    names=$(awk 'NF == 2 && $1 ~ /^[0-9]+$/ { print $2 }' "$scratch/output" | sort | tr '\n' ' ')
    [ "$names" = '. .. greeting ' ] || {
        echo "test-hello: after the $run run the root directory has: $names" >&2
        exit 1
    }
done
