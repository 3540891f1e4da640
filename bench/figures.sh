#!/usr/bin/env bash
# figures.sh [BUILD_FOLDER] [--only NAME]...: makes the tables of docs/figures.md and docs/fuse.md anew, in some minutes
#
# Configures and builds BUILD_FOLDER (/tmp/vmfs-figures) as figures.md says, runs what each table names,
# and replaces what is between its markers; the prose around them stays. To be run on an idle machine.
exec python3 "$(dirname "$0")/figures.py" "$@"
