#!/usr/bin/env bash
# programs.sh -- real programs in a directory, each checked by its own means
#
# programs.sh DIR [--source] [NAME...]
#
# DIR is on the mount, or on any filesystem. Runs the programs that are named, or all; prints one line
# for each, and ends at the first that fails. What they are compared with lies in a folder on /dev/shm.
# With --source, a Debian source package is fetched and built as well.
set -euo pipefail
export LC_ALL=C

repository=$(cd "$(dirname "$0")/../.." && pwd)

die() {
    echo "programs.sh: $*" >&2
    exit 1
}

need() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null || die "there is no $tool"
    done
}

# The metadata of all below $1; the sizes of directories are a filesystem's own affair. $2 is a format of
# find for a directory's time.
metadata_list() {
    (cd "$1" && find . \( -type d -printf "%P %y %m %U %G $2\0" \) \
        -o -printf '%P %y %m %U %G %s %T@ %n %l\0' | sort -z | tr '\0' '\n')
}

# The access control lists and extended attributes of all below $1.
attributes_list() {
    (
        cd "$1"
        find . ! -type l -print0 | sort -z | xargs -0 getfacl -n -p --
        find . -print0 | sort -z | xargs -0 getfattr -h -d -m - -e hex -- | sed '/^system.posix/d'
    )
}

# same_trees TREE OTHER [FORMAT]: FORMAT is empty if the times of directories are not to be the same.
same_trees() {
    local time=${3-%T@}
    diff -r --no-dereference "$1" "$2" >"$scratch/differences" 2>&1 || true
    # diff has no notion of equal fifos and devices: the metadata covers those.
    ! grep -v 'special file\|is a fifo while' "$scratch/differences" || die "$1 and $2 differ"
    diff <(metadata_list "$1" "$time") <(metadata_list "$2" "$time") || die "metadata of $1 and $2 differ"
}

# A tree with everything that an archive must keep.
make_tree() {
    local tree=$1
    mkdir -p "$tree/a/b/c" "$tree/lists" "$tree/empty"
    cp -r "$repository/libvmfs" "$repository/include" "$tree"
    echo one >"$tree/a/first"
    ln "$tree/a/first" "$tree/a/b/second"
    ln -s ../first "$tree/a/b/link"
    ln -s /nowhere "$tree/dangling"
    mkfifo "$tree/fifo"
    truncate -s 64M "$tree/sparse"
    echo middle | dd of="$tree/sparse" bs=1 seek=30000001 conv=notrunc status=none
    echo secret >"$tree/lists/file"
    setfattr -n user.colour -v blue "$tree/a/first"
    setfattr -n user.bytes -v 0x00ff7f00 "$tree/a"
    head -c 3000 /dev/zero | tr '\0' v >"$scratch/value"
    setfattr -n user.long -v "$(cat "$scratch/value")" "$tree/lists/file"
    setfacl -m u:1234:rw,g:99:r,m::rw "$tree/lists/file"
    setfacl -d -m u:1234:rwx,o::--- "$tree/lists"
    mkdir "$tree/lists/inherited"
    touch "$tree/lists/inherited/file"
    chmod 2750 "$tree/lists/inherited"
    chmod 4711 "$tree/a/first"
    if [ "$(id -u)" -eq 0 ]; then
        mknod "$tree/device" c 1 3
        setfattr -n trusted.hidden -v yes "$tree/a/b"
        chown 1234:99 "$tree/lists/file"
    fi
    find "$tree" -exec touch -h -d '2020-02-29 12:34:56.789012345 UTC' {} +
    touch -d '1969-07-20 20:17:40.123456789 UTC' "$tree/a/first" "$tree/empty"
}

# ------------------------------------------------------------------------------- the programs

program_git() {
    git init -q -b main "$dir/origin"
    cp -r "$repository/libvmfs" "$repository/docs" "$repository/tests" "$dir/origin"
    cd "$dir/origin"
    mv docs/spec.md docs/part-0
    git add -A
    git commit -qm first
    for number in 1 2 3 4 5 6; do
        sed -i "s/^#include/# include/; \$a\\/* $number *\\/" libvmfs/*/*.c
        git commit -qam "change $number"
        git mv "docs/part-$((number - 1))" "docs/part-$number"
        git commit -qm "move $number"
    done
    git checkout -qb side HEAD~6
    echo side >docs/side
    git add docs/side
    git commit -qm side
    git merge -q -m merge main
    git gc -q --aggressive --prune=now
    git fsck --full --strict --no-progress
    git clone -q --no-local "$dir/origin" "$dir/clone"
    git -C "$dir/clone" fsck --full --strict --no-progress
    git clone -q "$dir/origin" "$scratch/clone" # a clone of the same on another filesystem
    [ -z "$(git -C "$dir/clone" status --porcelain)" ] || die "the clone is not clean"
    [ "$(git -C "$dir/clone" log | sha256sum)" = "$(git -C "$scratch/clone" log | sha256sum)" ] ||
        die "the clone has another history"
    diff -r -x .git "$dir/clone" "$scratch/clone"
    git -C "$dir/clone" checkout -q HEAD~3
    git -C "$dir/clone" stash list
    git -C "$dir/clone" worktree add -q "$dir/second" main
    [ -z "$(git -C "$dir/second" status --porcelain)" ] || die "the second worktree is not clean"
}

# This project itself: configured, built and run on the mount.
program_build() {
    mkdir "$dir/source"
    tar -C "$repository" --exclude='./build*' --exclude=./.git -cf - . | tar -C "$dir/source" -xf -
    meson setup "$dir/build" "$dir/source" --buildtype=plain -Dtests=disabled >"$scratch/log" 2>&1 ||
        { tail "$scratch/log" && die "meson failed"; }
    ninja -C "$dir/build" -j 2 tools/vmfs >"$scratch/log" 2>&1 ||
        { tail "$scratch/log" && die "ninja failed"; }
    ninja -C "$dir/build" -n tools/vmfs | grep -q 'no work to do' ||
        die "what was just built is to be built again: times are not kept"
    # Built on the mount, and working on a region that is a file of the mount.
    "$dir/build/tools/vmfs" format "$dir/region" --size 32M
    "$dir/build/tools/vmfs" put -r "$dir/region" "$dir/source/docs" /docs
    "$dir/build/tools/vmfs" fsck "$dir/region"
    "$dir/build/tools/vmfs" get -r "$dir/region" /docs "$scratch/docs"
    diff -r "$dir/source/docs" "$scratch/docs"
}

sqlite_writer() {
    local number=$1
    for ((row = 0; row < 40; row++)); do
        echo "BEGIN IMMEDIATE;"
        echo "INSERT INTO t(writer, row, text) VALUES ($number, $row, hex(randomblob(2000)));"
        echo "UPDATE t SET text = text || 'x' WHERE writer = $number AND row = $row / 2;"
        echo "COMMIT;"
    done | sqlite3 -bail -cmd '.timeout 60000' "$database"
}

program_sqlite() {
    for mode in wal delete truncate persist; do
        database=$dir/$mode.db
        [ "$(sqlite3 "$database" "PRAGMA journal_mode=$mode;")" = $mode ] ||
            die "sqlite3 does not take the journal mode $mode"
        sqlite3 "$database" 'CREATE TABLE t(writer, row, text); CREATE INDEX i ON t(text);'
        local writers=()
        for number in 1 2 3 4; do
            sqlite_writer $number &
            writers+=($!)
        done
        for writer in "${writers[@]}"; do wait "$writer"; done
        [ "$(sqlite3 "$database" 'PRAGMA integrity_check;')" = ok ] || die "$mode: not intact"
        [ "$(sqlite3 "$database" 'SELECT count(*), sum(row) FROM t;')" = '160|3120' ] ||
            die "$mode: rows are missing"
        sqlite3 "$database" 'VACUUM; PRAGMA mmap_size=100000000; PRAGMA integrity_check;' |
            grep -qx ok || die "$mode: not intact after VACUUM"
    done
}

program_tar() {
    make_tree "$scratch/tree"
    tar -C "$scratch/tree" --xattrs --xattrs-include='*' --acls --sparse -cf "$dir/tree.tar" .
    mkdir "$dir/tree"
    tar -C "$dir/tree" --xattrs --xattrs-include='*' --acls -xpf "$dir/tree.tar"
    same_trees "$scratch/tree" "$dir/tree"
    diff <(attributes_list "$scratch/tree") <(attributes_list "$dir/tree")
    tar -C "$dir/tree" --xattrs --acls --compare -f "$dir/tree.tar"
    [ "$(stat -c %b "$dir/tree/sparse")" -lt 200 ] || die "the sparse file is not sparse"
    tar -C "$dir/tree" --xattrs --xattrs-include='*' --acls --sparse -cf "$scratch/again.tar" .
    mkdir "$scratch/again"
    tar -C "$scratch/again" --xattrs --xattrs-include='*' --acls -xpf "$scratch/again.tar"
    same_trees "$scratch/tree" "$scratch/again"
    diff <(attributes_list "$scratch/tree") <(attributes_list "$scratch/again")
}

program_rsync() {
    make_tree "$scratch/rsync"
    rsync -aHAX --modify-window=-1 "$scratch/rsync/" "$dir/rsync"
    moved=$(rsync -aHAX --modify-window=-1 --delete --itemize-changes "$scratch/rsync/" "$dir/rsync")
    [ -z "$moved" ] || die "the second rsync moves: $moved"
    moved=$(rsync -aHAX --modify-window=-1 --delete --checksum --itemize-changes "$dir/rsync/" "$scratch/rsync")
    [ -z "$moved" ] || die "rsync back moves: $moved"
    same_trees "$scratch/rsync" "$dir/rsync"
    echo more >>"$scratch/rsync/a/first"
    rm -r "$scratch/rsync/lists"
    rsync -aHAX --modify-window=-1 --delete --inplace "$scratch/rsync/" "$dir/rsync"
    same_trees "$scratch/rsync" "$dir/rsync"
}

program_fio() {
    mkdir "$dir/fio"
    cd "$scratch" # fio leaves its state in the current folder
    fio --directory="$dir/fio" --verify=crc32c --verify_fatal=1 --do_verify=1 --size=8m \
        --verify_backlog=64 --randrepeat=0 --minimal --output=/dev/null --group_reporting \
        --name=psync --ioengine=psync --rw=randwrite --bs=4k --numjobs=2 \
        --name=odd --ioengine=psync --rw=randwrite --bs=512-70k --bs_unaligned \
        --name=direct --ioengine=libaio --iodepth=8 --direct=1 --rw=randwrite --bs=4k \
        --name=mmap --ioengine=mmap --rw=randwrite --bs=4k \
        --name=sequence --ioengine=psync --rw=write --bs=1m ||
        die "fio found wrong data"
}

# A package of what is installed, made on the mount, and taken out on both sides.
program_dpkg() {
    mkdir -p "$dir/package/DEBIAN"
    printf '%s\n' 'Package: vmfs-proof' 'Version: 1' 'Architecture: all' \
        'Maintainer: nobody <nobody@localhost>' 'Description: what coreutils and git have' \
        >"$dir/package/DEBIAN/control"
    dpkg -L coreutils tar make | grep ^/usr | sort -u | while read -r path; do
        [ -d "$path" ] && [ ! -L "$path" ] || printf '%s\0' "${path#/}"
    done >"$scratch/names"
    tar -C / --null -T "$scratch/names" -cf - | tar -C "$dir/package" -xf -
    dpkg-deb --root-owner-group -Znone --build "$dir/package" "$dir/proof.deb" >/dev/null
    dpkg-deb -x "$dir/proof.deb" "$dir/out"
    dpkg-deb -x "$dir/proof.deb" "$scratch/out"
    # dpkg-deb packs symbolic links last, so that directories are changed after their times were set.
    same_trees "$scratch/out" "$dir/out" ''
    (cd "$dir/out" && find . -type f -print0 | sort -z | xargs -0 sha256sum) >"$scratch/sums"
    (cd "$dir/package" && sha256sum --quiet -c "$scratch/sums")
}

program_python() {
    local library
    library=$(/usr/bin/python3 -c 'import json, os; print(os.path.dirname(os.path.dirname(json.__file__)))')
    for place in "$dir/python" "$scratch/python"; do
        mkdir "$place"
        cp -r "$library"/{json,email,asyncio,xml} "$place"
        find "$place" -name __pycache__ -prune -exec rm -r {} +
        /usr/bin/python3 -m compileall -q -j 2 --invalidation-mode checked-hash -s "$place" -p / \
            "$place" || die "compileall failed"
    done
    diff -r "$dir/python" "$scratch/python"
    find "$dir/python" -name '*.pyc' -printf . | grep -q . || die "nothing was compiled"
    PYTHONPATH=$dir/python /usr/bin/python3 -c '
import json, sys
assert json.__file__.startswith(sys.argv[1]), json.__file__
assert json.__cached__.startswith(sys.argv[1])
print(json.dumps(json.loads("[1, {}]")))' "$dir/python" >/dev/null
}

# A Debian source package: its own configure script, its own build, its own tests.
program_hello() {
    mkdir -p "$scratch/lists/partial" "$dir/hello"
    local suite
    suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
    echo "deb-src http://deb.debian.org/debian $suite main" >"$scratch/sources.list"
    local apt=(apt-get -qq -o "Dir::Etc::sourcelist=$scratch/sources.list" -o Dir::Etc::sourceparts=-
        -o "Dir::State::lists=$scratch/lists" -o APT::Sandbox::User=root)
    cd "$dir/hello"
    "${apt[@]}" update
    "${apt[@]}" source hello >/dev/null
    cd hello-*/
    ./configure >"$scratch/log" 2>&1 && make -j 2 >>"$scratch/log" 2>&1 &&
        make check >>"$scratch/log" 2>&1 || { tail "$scratch/log" && die "hello cannot be built"; }
    [ "$(./hello)" = 'Hello, world!' ] || die "hello does not say it"
}

# ------------------------------------------------------------------------------------ the frame

[ $# -ge 1 ] && [ -d "$1" ] || die "usage: programs.sh DIR [--source] [NAME...]"
base=$(cd "$1" && pwd)
shift
names=(git build sqlite tar rsync fio dpkg python)
if [ "${1-}" = --source ]; then
    names+=(hello)
    shift
fi
[ $# -eq 0 ] || names=("$@")
need git meson ninja sqlite3 tar rsync fio dpkg-deb getfacl getfattr

scratch=$(mktemp -d "${VMFS_TEST_DIR:-/dev/shm}/programs.XXXXXX")
cleanup() {
    chmod -R u+rwX "$scratch" 2>/dev/null || true
    rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
export GIT_CONFIG_GLOBAL=$scratch/gitconfig
export PYTHONDONTWRITEBYTECODE=
git config --global user.name nobody
git config --global user.email nobody@localhost
git config --global safe.directory '*'
git config --global gc.auto 0

for name in "${names[@]}"; do
    start=$SECONDS
    dir=$base/$name
    mkdir "$dir"
    # Behind || or in an if, bash would go on after a command that fails.
    set +e
    (
        set -e
        "program_$name"
    ) >"$scratch/$name.log" 2>&1
    status=$?
    set -e
    if [ $status -ne 0 ]; then
        tail -n 30 "$scratch/$name.log"
        die "$name failed"
    fi
    echo "$name $((SECONDS - start)) s"
    rm -rf "$dir"
done
