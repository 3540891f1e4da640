#!/bin/sh
# bench.sh -- the measured comparison inside a guest: see bench.py
exec python3 "$(dirname "$0")/bench.py" "$@"
