#!/bin/bash
# quickstart.sh -- build libvmfs, use it, and try to lose data with it
#
# Usage: examples/quickstart.sh [SOURCE]
#
# Copies the directory SOURCE (by default a made-up tree with everything a tree can have) into a
# region of memory, compares the copy with the original, then kills a writer again and again in the
# middle of its work, and checks that no file which it had reported as written is lost. Then it mounts
# the region and runs git on it, where that is possible, and prints the settings that make a file the
# memory storage of a guest.
#
# It asks nothing, works in scratch folders that it removes, and can be run any number of times.
# The last line of a good run is: OK files=N bytes=N kills=N lost=0
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
repository=$(dirname "$here")
frontend=fuse-frontend/vmfs-fuse
kills_wanted=6
attempts_max=200
seed=${QUICKSTART_SEED:-$$}

step_number=0
step() {
    step_number=$((step_number + 1))
    echo
    echo "== $step_number. $*"
}

die() {
    echo "quickstart: $*" >&2
    exit 1
}

# Removes directories, also those that forbid it to who is not root.
tree_delete() {
    chmod -R u+rwX "$@" 2>/dev/null || true
    rm -rf "$@"
}

# ---------------------------------------------------------------------------- a tree to copy

# Makes a tree in $1: copies of this repository's files, and all that makes copying hard.
source_make() {
    local tree=$1 copy=0 count=0
    mkdir -p "$tree/repository" "$tree/special"
    (cd "$repository" && find . -name .git -prune -o -name 'build*' -prune -o \
        -type f -size -256k -print0 | tar --null --no-recursion -T - -cf "$scratch/repository.tar")
    while [ "$count" -lt 5000 ]; do
        copy=$((copy + 1))
        mkdir "$tree/repository/$copy"
        tar -xf "$scratch/repository.tar" -C "$tree/repository/$copy"
        count=$(find "$tree/repository" -type f -printf . | wc -c)
    done

    cd "$tree/special"
    mkdir -p empty-directory hard "name with spaces" a/b/c/d/e/f/g/h
    echo "several names" >hard/first
    ln hard/first hard/second
    ln hard/first a/b/third
    ln -s ../hard/first a/link
    ln -s /nowhere/at/all dangling
    mkfifo fifo
    : >empty
    echo odd >'back\slash "quotes" *'
    echo odd >'-starts-with-a-dash'
    echo odd >$'new\nline'
    echo odd >$'not-utf-8-\xff\xfe'
    echo odd >"name with spaces/$(printf 'x%.0s' {1..255})"
    truncate -s 64M holes
    echo "in the middle" | dd of=holes bs=1 seek=30000000 conv=notrunc status=none
    truncate -s 1000000 only-a-hole
    chmod 4750 empty
    chmod 1777 "name with spaces"
    touch -d '1969-07-20 20:17:40.123456789 UTC' hard/first
    if [ $has_attributes = yes ]; then
        setfattr -n user.colour -v blue hard/first
        setfattr -n user.empty a
        setfattr -n user.bytes -v 0x00ff007f a
    fi
    if ! mknod device c 1 3 2>/dev/null; then
        echo "(no device nodes: this user may not create any)"
    fi
    cd "$scratch"
}

# ---------------------------------------------------------------------------- comparing trees

# Prints all metadata below the directory $1, entries separated by NUL. The size and the link count
# of a directory are the filesystem's own affair. Who is not root cannot give files away.
metadata_list() {
    local owner='%U %G'
    [ "$(id -u)" -eq 0 ] || owner=-
    cd "$1"
    find . \( -type d -printf "%P %y %m $owner %T@ %l\0" \) \
        -o -printf "%P %y %m $owner %s %T@ %n %l\0" | sort -z
    find . \( -type b -o -type c \) -print0 | sort -z | xargs -0 -r stat --printf '%n %t:%T\0'
    [ $has_attributes = yes ] || return 0
    find . \( -type f -o -type d \) -print0 | sort -z |
        xargs -0 -r getfattr -h -d -e hex -m '^user\.' 2>/dev/null
}

# Fails with a reason unless the directories $1 and $2 have the same contents and metadata.
trees_compare() {
    # diff has no notion of equal fifos, sockets and devices: the metadata covers those.
    local special='(fifo|socket|character special file|block special file)'
    diff -r --no-dereference "$1" "$2" >"$scratch/differences" 2>&1 || true
    if grep -avE "^File .* is a $special while file .* is a $special\$" "$scratch/differences" |
        head -n 5 | grep -a .; then
        die "the copy's contents differ from the original's"
    fi
    (metadata_list "$1") >"$scratch/metadata-1"
    (metadata_list "$2") >"$scratch/metadata-2"
    if ! cmp -s "$scratch/metadata-1" "$scratch/metadata-2"; then
        diff -a <(tr '\0' '\n' <"$scratch/metadata-1") <(tr '\0' '\n' <"$scratch/metadata-2") |
            head -n 10
        die "the copy's metadata differ from the original's"
    fi
}

# Prints "CHECKSUM  ./PATH" for each regular file below the directory $1, separated by NUL.
checksums_list() {
    (cd "$1" && find . -type f -print0 | xargs -0 -r sha256sum -z | sort -z)
}

# Succeeds if $1 and $2, which are not regular files, are of one type and lead to one target.
is_same_special() {
    [ "$(stat --printf '%F %t:%T' "$1")" = "$(stat --printf '%F %t:%T' "$2" 2>/dev/null)" ] &&
        [ "$(readlink "$1")" = "$(readlink "$2")" ]
}

# ---------------------------------------------------------------------------- killing a writer

# Copies $1 to $2 in the region. Sets `write_ms` to the time that it took, and `lines_all` to the
# number of lines that it printed.
tree_put() {
    local start_ns
    start_ns=$(date +%s%N)
    "$vmfs" put -r -v "$region" "$1" "$2" >"$scratch/printed"
    write_ms=$((($(date +%s%N) - start_ns) / 1000000 + 1))
    lines_all=$(wc -l <"$scratch/printed")
}

# Turns the lines of `vmfs put -v`, all below $1/, into paths "./PATH" separated by NUL. A line that
# is not below $1 continues a name with a newline in it; one without its newline was never printed.
printed_paths() {
    local line path=
    while IFS= read -r line; do
        if [[ $line == "$1/"* ]]; then
            [ -z "$path" ] || printf '%s\0' "$path"
            path=./${line#"$1/"}
        else
            path+=$'\n'$line
        fi
    done
    [ -z "$path" ] || printf '%s\0' "$path"
}

# Counts in `lost` the paths printed by the writer to $1 that the copy, read back, lacks.
lost_count() {
    local target=$1 path
    printed_paths "$target" <"$scratch/printed" | sort -z >"$scratch/paths"
    acknowledged=$((acknowledged + $(tr -dc '\0' <"$scratch/paths" | wc -c)))
    checksums_list "$copy" >"$scratch/checksums-copy"
    # The files of the original that the copy does not have with these very bytes ...
    comm -z -23 "$scratch/checksums" "$scratch/checksums-copy" | cut -z -c 67- | sort -z \
        >"$scratch/absent"
    # ... must not be among those that were printed.
    while IFS= read -r -d '' path; do
        echo "LOST: $path"
        lost=$((lost + 1))
    done < <(comm -z -12 "$scratch/paths" "$scratch/absent")
    while IFS= read -r -d '' path; do
        [ -f "$victim/$path" ] && [ ! -L "$victim/$path" ] && continue
        is_same_special "$victim/$path" "$copy/$path" && continue
        echo "LOST: $path"
        lost=$((lost + 1))
    done <"$scratch/paths"
}

# Starts a writer, kills it after a random part of the time that it needs, and checks the region.
# Counts in `kills` if the writer was alive and had work left.
writer_kill() {
    local target=/kill-$1 status=0 delay_ms lines
    delay_ms=$((write_ms * (RANDOM % 90 + 5) / 100))
    "$vmfs" put -r -v "$region" "$victim" "$target" >"$scratch/printed" &
    writer=$!
    sleep "$((delay_ms / 1000)).$(printf '%03d' $((delay_ms % 1000)))"
    kill -KILL $writer 2>/dev/null || true
    wait $writer 2>/dev/null || status=$?
    writer=

    "$vmfs" fsck "$region" >"$scratch/fsck" || {
        cat "$scratch/fsck"
        die "after the kill with QUICKSTART_SEED=$seed the region is damaged"
    }
    mkdir "$copy"
    if "$vmfs" stat "$region" "$target" >/dev/null 2>&1; then
        "$vmfs" get -r "$region" "$target/." "$copy"
        chmod u+rwx "$copy"
    fi
    lost_count "$target"
    tree_delete "$copy"
    "$vmfs" rm -rf "$region" "$target"
    lines=$(wc -l <"$scratch/printed")
    [ $status -eq 137 ] && [ "$lines" -lt "$lines_all" ] || return 0
    kills=$((kills + 1))
    echo "kill $kills: after $delay_ms ms, $lines of $lines_all lines printed," \
        "$(grep journal: "$scratch/fsck")"
}

# ---------------------------------------------------------------------------- mounting

# The reason why nothing can be mounted here, or nothing.
mount_obstacle() {
    if [ ! -x "$vmfs_fuse" ]; then
        echo "vmfs-fuse is not built, as libfuse 3 is missing"
    elif [ ! -c /dev/fuse ]; then
        echo "there is no /dev/fuse"
    elif ! command -v fusermount3 >/dev/null; then
        echo "there is no fusermount3"
    fi
}

# Runs git on a mount of the region, and compares what it wrote there with what the region has.
git_on_mount() {
    export GIT_CONFIG_GLOBAL=$scratch/gitconfig
    git config --global user.name quickstart
    git config --global user.email quickstart@localhost
    mkdir "$mountpoint"
    "$vmfs_fuse" "$region" "$mountpoint"
    git init -q -b main "$mountpoint/origin"
    cp -r "$repository/libvmfs" "$repository/include" "$mountpoint/origin"
    git -C "$mountpoint/origin" add -A
    git -C "$mountpoint/origin" commit -q -m "the library"
    git -C "$mountpoint/origin" gc -q
    git clone -q --no-local "$mountpoint/origin" "$mountpoint/clone"
    git -C "$mountpoint/clone" fsck --full --strict --no-progress
    git -C "$mountpoint/clone" log --format='%h %s'
    diff -r "$repository/libvmfs" "$mountpoint/clone/libvmfs"
    fusermount3 -u "$mountpoint"
    "$vmfs" get -r "$region" /clone/libvmfs "$scratch/library"
    diff -r "$repository/libvmfs" "$scratch/library"
    "$vmfs" rm -rf "$region" /origin /clone
}

# ---------------------------------------------------------------------------- the steps

[ $# -le 1 ] || die "usage: quickstart.sh [SOURCE]"
[ $# -eq 0 ] || [ -d "$1" ] || die "$1 is not a directory"

step "Installing what building and running needs, if it is missing"
"$here/install-packages.sh" run || die "packages are missing"

scratch=$(mktemp -d "${TMPDIR:-/tmp}/vmfs-quickstart.XXXXXX")
shm=$(mktemp -d /dev/shm/vmfs-quickstart.XXXXXX)
mountpoint=$scratch/mountpoint
writer=
cleanup() {
    [ -z "$writer" ] || kill -KILL "$writer" 2>/dev/null || true
    ! mountpoint -q "$mountpoint" || fusermount3 -u -z "$mountpoint" || true
    tree_delete "$scratch" "$shm"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
region=$shm/region

has_attributes=yes
if ! setfattr -n user.probe -v yes "$scratch" 2>/dev/null; then
    has_attributes=no
    echo "(extended attributes are left out: the filesystem of $scratch keeps none)"
fi

step "Building in $scratch/build"
{
    meson setup "$scratch/build" "$repository" --buildtype=release -Dtests=disabled &&
        ninja -C "$scratch/build" tools/vmfs examples/hello &&
        { ! ninja -C "$scratch/build" -t query "$frontend" || ninja -C "$scratch/build" "$frontend"; }
} >"$scratch/build.log" 2>&1 || {
    tail -n 30 "$scratch/build.log"
    die "the build failed"
}
vmfs=$scratch/build/tools/vmfs
vmfs_fuse=$scratch/build/$frontend
hello=$scratch/build/examples/hello
"$vmfs" --version

step "Pretending to have persistent memory"
export PMEM_IS_PMEM_FORCE=1
echo "PMEM_IS_PMEM_FORCE=1 makes libpmem take the memory of /dev/shm for persistent memory. All"
echo "flush instructions are really executed. The data outlive any process, but not the power."

step "Choosing what to copy"
if [ $# -eq 1 ]; then
    source=$(cd "$1" && pwd)
else
    source=$scratch/source
    source_make "$source"
fi
entries=$(find "$source" -printf . | wc -c)
victim=$source
if [ "$entries" -lt 1000 ]; then
    echo "too few files to kill a writer among them, which will write a made-up tree instead"
    victim=$scratch/source
    source_make "$victim"
fi
files=$(find "$source" -type f -printf . | wc -c)
bytes=$(find "$source" -type f -printf '%s\n' | awk '{ sum += $1 } END { printf "%.0f", sum }')
echo "$source: $files files, $bytes bytes"

step "Formatting a region in memory"
# Room for both copies that will be in it, generously rounded, and something to spare.
used=$(du -sl --block-size=1 "$source" "$victim" |
    awk '{ sum += $1 } END { printf "%.0f", sum }')
entries=$((entries + $(find "$victim" -printf . | wc -c)))
size=$((used + 8192 * entries + (64 << 20)))
size=$(((size > (256 << 20) ? size : (256 << 20)) >> 20))M
free=$(df --output=avail --block-size=1M /dev/shm | tail -n 1)
[ "$free" -ge "${size%M}" ] || die "/dev/shm has $free MiB free, $source needs $size"
# What is read back is compared in memory too if there is room, and if it keeps attributes there.
copy=$scratch/copy
if [ "$free" -ge $((2 * ${size%M})) ] && setfattr -n user.probe -v yes "$shm" 2>/dev/null; then
    copy=$shm/copy
fi
"$vmfs" format "$region" --size "$size"

step "Running the hello example on it"
"$hello" "$region"

step "Copying $source in"
tree_put "$source" /source
echo "$lines_all lines printed in $write_ms ms, the first of them:"
head -n 3 "$scratch/printed"

step "Reading it back and comparing contents and metadata"
"$vmfs" get -r "$region" /source "$copy"
trees_compare "$source" "$copy"
tree_delete "$copy"
echo "equal"

step "Killing a writer in the middle of its work (QUICKSTART_SEED=$seed)"
RANDOM=$seed
tree_put "$victim" /whole
"$vmfs" rm -r "$region" /whole
checksums_list "$victim" >"$scratch/checksums"
kills=0
lost=0
acknowledged=0
for ((attempt = 1; attempt <= attempts_max && kills < kills_wanted; attempt++)); do
    writer_kill "$attempt"
done
[ "$kills" -ge 5 ] || die "only $kills writers were at work when they were killed"
[ "$lost" -eq 0 ] || die "$lost files that had been reported as written are lost"
echo "$acknowledged files had been reported as written, all were there"

step "Mounting the region and running git on it"
obstacle=$(mount_obstacle)
if [ -n "$obstacle" ]; then
    echo "(skipped: $obstacle)"
else
    git_on_mount
fi

step "Looking at the region after all that"
"$vmfs" get -r "$region" /source "$copy"
trees_compare "$source" "$copy"
"$vmfs" fsck "$region"
"$vmfs" info "$region"

step "Telling how a guest gets such a region as its memory"
"$vmfs" guest /var/tmp/vmfs-guest.img

echo
echo "OK files=$files bytes=$bytes kills=$kills lost=$lost"
