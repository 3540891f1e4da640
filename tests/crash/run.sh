#!/usr/bin/env bash
# run.sh -- the crash tests, and the proof that they can fail
#
# tests/crash/run.sh [--quick | --long] [--mutants] [--json FILE] [BUILD]
# tests/crash/run.sh --list-mutants
# tests/crash/run.sh --mutant ID [BUILD]
#
# run.py says what each of them does.
exec python3 "$(dirname "$0")/run.py" "$@"
