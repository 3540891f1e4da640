#!/bin/sh
# peer.sh FOLDER -- builds FOLDER/passthrough_ll from the examples that come with libfuse3-dev
#
# Does nothing if it is there. Exit status 77: the sources are not installed. The sources are neither
# copied into this project nor changed.
set -eu
folder=$1
examples=/usr/share/doc/libfuse3-dev/examples
[ ! -x "$folder/passthrough_ll" ] || exit 0
work=$(mktemp -d "$folder/peer.XXXXXX")
trap 'rm -rf "$work"' EXIT
for name in passthrough_ll.c passthrough_helpers.h; do
    if [ -f "$examples/$name" ]; then
        cp "$examples/$name" "$work/$name"
    elif [ -f "$examples/$name.gz" ]; then
        gzip -dc "$examples/$name.gz" >"$work/$name"
    else
        exit 77
    fi
done
# The flags are several words on purpose.
# shellcheck disable=SC2046
${CC:-cc} -O2 -g -w "$work/passthrough_ll.c" -o "$work/passthrough_ll" $(pkg-config fuse3 --cflags --libs)
mv "$work/passthrough_ll" "$folder/passthrough_ll"
