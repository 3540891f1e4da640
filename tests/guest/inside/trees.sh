# trees.sh -- trees of files, and what of them must be the same elsewhere; read by scripts of host and guest

# tree_make TREE WORD: all kinds of entries; the contents follow from WORD.
tree_make() {
    local tree=$1 word=$2 dir file
    mkdir -p "$tree/deep/a/b/c/d/e/f" "$tree/many" "$tree/empty"
    for dir in 1 2 3 4 5 6 7 8; do
        mkdir "$tree/many/$dir"
        for file in 1 2 3 4 5 6 7 8 9 10 11 12; do
            echo "$word $dir $file" >"$tree/many/$dir/$file"
        done
    done
    head -c 3000001 < <(yes "$word") >"$tree/large"
    : >"$tree/nothing"
    truncate -s 40000000 "$tree/sparse"
    echo "$word" | dd of="$tree/sparse" bs=1 seek=30000001 conv=notrunc 2>/dev/null
    echo "$word" >"$tree/deep/first"
    ln "$tree/deep/first" "$tree/deep/a/second"
    ln -s ../first "$tree/deep/a/link"
    ln -s /nowhere "$tree/dangling"
    echo odd >"$tree/ two  words"
    echo odd >"$tree/"$'new\nline'
    echo odd >"$tree/"$'\xff\xfe'
    echo odd >"$tree/deep/a/b/c/d/e/f/$(printf 'x%.0s' {1..255})"
    mkfifo "$tree/fifo"
    mknod "$tree/device" c 1 3
    chmod 4750 "$tree/large"
    chmod 2771 "$tree/many"
    chown 1234:99 "$tree/deep/first"
    find "$tree" -exec touch -h -d '2020-02-29 12:34:56.789012345 UTC' {} +
    touch -d '1969-07-20 20:17:40.123456789 UTC' "$tree/large" "$tree/empty"
}

# attributes_add TREE: extended attributes, where the filesystem takes them.
attributes_add() {
    setfattr -n user.colour -v blue "$1/deep/first"
    setfattr -n user.bytes -v 0x00ff7f00 "$1/many"
    setfattr -n user.long -v "$(printf 'v%.0s' {1..3000})" "$1/nothing"
}

# tree_list TREE: metadata and contents of all below TREE, a line for each fact. The sizes of directories are a
# filesystem's own affair.
tree_list() (
    cd "$1" || exit 1
    find . \( -type d -printf '%P %y %m %U %G %T@\0' \) -o -printf '%P %y %m %U %G %s %T@ %n %l\0' | sort -z | tr '\0' '\n'
    find . -type f -print0 | sort -z | xargs -0 sha256sum
)

attributes_list() (
    cd "$1" || exit 1
    find . ! -type l -print0 | sort -z | xargs -0 getfattr -h -d -m user -e hex
)
