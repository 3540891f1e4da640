#!/bin/sh
# run.sh -- tests in guests: see run.py
exec python3 "$(dirname "$0")/run.py" "$@"
