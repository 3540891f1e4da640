# fuse_fsdax.sh -- the mount of a region that is a file on an ext4 with DAX
#
# fuse_fsdax.sh OPERATIONS KILLS [CONFORM-OPTION...]
. /inside/trees.sh
set -eo pipefail
operations=$1
kills=$2
shift 2

step() {
    local start=$SECONDS
    "$@" >/tmp/log 2>&1 || {
        tail -n 60 /tmp/log
        echo "FAIL $*"
        exit 1
    }
    echo "PASS $* $((SECONDS - start)) s: $(tail -n 1 /tmp/log)"
}

mke2fs -q -t ext4 -b 4096 /dev/pmem0
mkdir -p /dax /srv
mount -o dax /dev/pmem0 /dax
chmod 1777 /dax
export VMFS_TEST_DIR=/dax HOME=/tmp

# As the random tests of tests/fuse see it, each on a region of its own; the last kills the daemon.
step data_test --mount "$(command -v vmfs-fuse)" --ops "$((operations / 30))"
step meta_stress --mount "$(command -v vmfs-fuse)" --ops "$operations"
step kill_mount --mount "$(command -v vmfs-fuse)" --kills "$kills" --delay-max-ms 3000

region=/dax/region
vmfs format $region --size 384M | grep '^durability: power:'
vmfs-fuse $region /srv -o allow_other,suid,dev
chmod 755 /srv
step conform /srv --may-skip /inside/may-skip.txt "$@"

databases() {
    sqlite3 /srv/database "pragma journal_mode=$1; create table of_$1(n integer primary key, text);
        with recursive count(n) as (select 1 union all select n + 1 from count where n < 300)
        insert into of_$1 select n, hex(randomblob(100)) from count;
        delete from of_$1 where n % 3 = 0; update of_$1 set text = 'x' || text where n % 5 = 0;" &&
        [ "$(sqlite3 /srv/database "pragma integrity_check; select count(*) from of_$1;")" = $'ok\n200' ]
}
step databases delete
step databases wal

repository() {
    git init -q -b main /srv/repository && cd /srv/repository &&
        cp -r /inside . && git add -A && git -c user.name=t -c user.email=t@t commit -q -m "scripts" &&
        git clone -q --no-local . /srv/clone && git -C /srv/clone fsck --full --strict && diff -r /inside /srv/clone/inside
}
step repository

tree_make /srv/tree "a word"
attributes_add /srv/tree
tree_list /srv/tree >/tmp/tree
attributes_list /srv/tree >/tmp/attributes
kill -KILL $(pidof vmfs-fuse) # the daemon, and who would unmount at its end
vmfs-fuse $region /srv -o allow_other
tree_list /srv/tree | diff /tmp/tree -
attributes_list /srv/tree | diff /tmp/attributes -
fusermount3 -u /srv
step vmfs fsck --wait 10 $region
vmfs get -r $region /tree /tmp/got
tree_list /tmp/got | diff /tmp/tree -
