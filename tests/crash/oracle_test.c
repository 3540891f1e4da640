/* oracle_test.c -- defects that are planted, one at a time, and must be found
 *
 * Each case prepares the region and the tree that may be there, then changes the region behind the
 * model's back: by a call with a clock that makes all else look right, or by a record of its own. What
 * must be found without vmfs_check() is looked for without it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/handle.h"
#include "drive.h"
#include "inode/extent.h"
#include "inode/inode.h"
#include "journal/tx.h"
#include "space/space.h"
#include "world.h"

/* What finds it. */
enum finder { COMPARE, CHECK, NAMES, INODES, USE_UP, NOTHING };

struct plant {
    const char *name;
    const char *before; /* script, or null */
    const char *op;     /* script of what is allowed to have happened in part, or null */
    void (*put)(struct drive *drive);
    enum finder finder;
};

static struct crash crash;
static bool is_telling;

/* Stops at what must not fail here. */
static void need(bool is_true, const char *what)
{
    if (is_true)
        return;
    fprintf(stderr, "oracle_test.c: %s: cannot %s\n", crash.label, what);
    exit(2);
}

static struct vmfs_stat stat_of(struct drive *drive, const char *path)
{
    struct vmfs_stat stat;
    need(vmfs_stat(drive->library.fs, path, VMFS_NOFOLLOW, &stat) == 0, "stat");
    return stat;
}

/* From here on the clock shows the time at which the object was last changed. */
static void turn_clock_back(struct drive *drive, const char *path)
{
    drive->crash->live.now_ns = stat_of(drive, path).ctime_ns;
}

static void poke(struct drive *drive, const char *path, uint64_t offset, const void *bytes,
                 size_t len_bytes)
{
    struct vmfs_file *file;
    turn_clock_back(drive, path);
    need(vmfs_file_open(drive->library.fs, path, VMFS_O_WRONLY, 0, &file) == 0, "open");
    need(vmfs_file_pwrite(file, bytes, len_bytes, offset) == (int64_t)len_bytes, "write");
    need(vmfs_file_close(file) == 0, "close");
}

/* ---- records of its own ---- */

struct edit {
    struct vm_ctx ctx;
    struct vm_inode inode;
};

static void edit_begin(struct edit *edit, struct drive *drive, const char *path)
{
    vm_ctx_init(drive->library.fs, &edit->ctx);
    need(vm_tx_begin(&edit->ctx) == 0, "begin");
    need(vm_inode_load(&edit->ctx, stat_of(drive, path).ino, &edit->inode) == 0, "load");
}

static void edit_end(struct edit *edit)
{
    need(vm_inode_store(&edit->ctx, &edit->inode) == 0, "store");
    need(vm_tx_commit(&edit->ctx) == 0, "commit");
    vm_tx_end(&edit->ctx);
}

static void put_nlink(struct drive *drive)
{
    struct edit edit;
    edit_begin(&edit, drive, "/d1/b");
    vm_inode_set_nlink(&edit.inode, 2);
    edit_end(&edit);
}

/* The first block of /f gets a second owner. */
static void put_shared_block(struct drive *drive)
{
    struct edit edit;
    struct vm_extent extent;
    edit_begin(&edit, drive, "/f");
    need(vm_file_floor(&edit.ctx, &edit.inode, 0, &extent) > 0, "find an extent");
    need(vm_inode_load(&edit.ctx, stat_of(drive, "/d1/c").ino, &edit.inode) == 0, "load");
    extent.blocks = 1;
    need(vm_file_add(&edit.ctx, &edit.inode, &extent) == 0, "add an extent");
    edit_end(&edit);
}

/* A block that is marked as used, and nobody has it. */
static void put_leak(struct drive *drive)
{
    struct edit edit;
    struct vm_run run;
    edit_begin(&edit, drive, "/f");
    need(vm_space_take_run(&edit.ctx, 0, 0, 1, &run) == 0, "take a block");
    edit_end(&edit);
}

/* ---- calls ---- */

static void put_mtime(struct drive *drive)
{
    const struct vmfs_stat stat = stat_of(drive, "/f");
    const struct vmfs_attr attr = {.mask = VMFS_ATTR_MTIME, .mtime_ns = stat.mtime_ns + 1};
    turn_clock_back(drive, "/f");
    need(vmfs_setattr(drive->library.fs, "/f", 0, &attr) == 0, "set a time");
}

static void put_ctime(struct drive *drive)
{
    turn_clock_back(drive, "/f");
    drive->crash->live.now_ns++;
    need(vmfs_chmod(drive->library.fs, "/f", 0640) == 0, "set the mode");
}

static void put_atime(struct drive *drive)
{
    const struct vmfs_attr attr = {.mask = VMFS_ATTR_ATIME, .atime_ns = 99};
    turn_clock_back(drive, "/f");
    need(vmfs_setattr(drive->library.fs, "/f", 0, &attr) == 0, "set a time");
}

static void put_mode(struct drive *drive)
{
    turn_clock_back(drive, "/d1");
    need(vmfs_chmod(drive->library.fs, "/d1", 0754) == 0, "set the mode");
}

static void put_flags(struct drive *drive)
{
    const struct vmfs_attr attr = {.mask = VMFS_ATTR_FLAGS, .flags = VMFS_INODE_NODUMP};
    turn_clock_back(drive, "/f");
    need(vmfs_setattr(drive->library.fs, "/f", 0, &attr) == 0, "set flags");
}

/* A byte of somebody else in what was zeroed. */
static void put_old_byte(struct drive *drive)
{
    poke(drive, "/f", 5000, "x", 1);
}

/* The same where there is only a hole: it becomes data. */
static void put_hole_byte(struct drive *drive)
{
    poke(drive, "/d1/a", 20000, "x", 1);
}

/* Zeros are what can be read there anyway, but no longer from a hole. */
static void put_hole_zero(struct drive *drive)
{
    poke(drive, "/d1/a", 20000, "", 1);
}

static void put_last_byte(struct drive *drive)
{
    poke(drive, "/d1/b", 8191, "x", 1);
}

static void put_size(struct drive *drive)
{
    turn_clock_back(drive, "/f");
    need(vmfs_truncate(drive->library.fs, "/f", 10001) == 0, "truncate");
}

static void put_xattr(struct drive *drive)
{
    turn_clock_back(drive, "/d1/b");
    need(vmfs_xattr_set(drive->library.fs, "/d1/b", 0, "user.k", "12345678901234567890", 20) == 0,
         "set an attribute");
}

static void put_xattr_gone(struct drive *drive)
{
    turn_clock_back(drive, "/d1/b");
    need(vmfs_xattr_remove(drive->library.fs, "/d1/b", 0, "user.k") == 0, "remove an attribute");
}

/* A new object that looks like the one before. */
static void put_ino(struct drive *drive)
{
    struct vmfs *fs = drive->library.fs;
    const struct vmfs_stat stat = stat_of(drive, "/d1/c");
    const struct vmfs_stat dir = stat_of(drive, "/d1");
    need(vmfs_unlink(fs, "/d1/c") == 0, "unlink");
    drive->crash->live.now_ns = stat.btime_ns;
    need(vmfs_mknod(fs, "/d1/c", stat.mode, 0) == 0, "mknod");
    const struct vmfs_attr attr = {.mask = VMFS_ATTR_MTIME, .mtime_ns = dir.mtime_ns};
    drive->crash->live.now_ns = dir.ctime_ns;
    need(vmfs_setattr(fs, "/d1", 0, &attr) == 0, "set a time");
}

/* Two names change places, and nothing else is to be seen of it. */
static void put_names(struct drive *drive)
{
    struct vmfs *fs = drive->library.fs;
    turn_clock_back(drive, "/d1");
    need(vmfs_rename(fs, "/d1/b", "/d1/c", VMFS_RENAME_EXCHANGE) == 0, "exchange");
    for (unsigned index = 0; index < 2; index++) {
        const char *path = index ? "/d1/b" : "/d1/c";
        const struct tree_object *object = tree_find(drive->trees[0], stat_of(drive, path).ino);
        drive->crash->live.now_ns = object->stat.ctime_ns;
        need(vmfs_chmod(fs, path, object->stat.mode & 07777) == 0, "set the mode");
    }
}

static void put_name_too_many(struct drive *drive)
{
    turn_clock_back(drive, "/empty");
    need(vmfs_link(drive->library.fs, "/f", "/empty/f") == 0, "link");
}

static void put_target(struct drive *drive)
{
    struct vmfs *fs = drive->library.fs;
    need(vmfs_unlink(fs, "/s") == 0, "unlink");
    need(vmfs_symlink(fs, "d1/b", "/s") == 0, "symlink");
}

/* ---- writes of which a part is there ---- */

/* Aligned words of what was there before, under the new size and times. */
static void put_old_words(struct drive *drive)
{
    const struct tree_object *old = tree_find(drive->trees[0], stat_of(drive, "/f").ino);
    poke(drive, "/f", 2000, old->bytes + 2000, 400);
}

static void put_half_word(struct drive *drive)
{
    const struct tree_object *old = tree_find(drive->trees[0], stat_of(drive, "/f").ino);
    poke(drive, "/f", 2000, old->bytes + 2000, 4);
}

static void put_foreign_word(struct drive *drive)
{
    put_old_words(drive);
    poke(drive, "/f", 2400, "elsewhere", 8);
}

static void put_other_size(struct drive *drive)
{
    turn_clock_back(drive, "/f");
    need(vmfs_truncate(drive->library.fs, "/f", 10100) == 0, "truncate");
}

static void put_old_mtime(struct drive *drive)
{
    const struct tree_object *old = tree_find(drive->trees[0], stat_of(drive, "/f").ino);
    const struct vmfs_attr attr = {.mask = VMFS_ATTR_MTIME, .mtime_ns = old->stat.mtime_ns};
    turn_clock_back(drive, "/f");
    need(vmfs_setattr(drive->library.fs, "/f", 0, &attr) == 0, "set a time");
}

static void put_hole_elsewhere(struct drive *drive)
{
    struct vmfs_file *file;
    const int mode = VMFS_ALLOC_PUNCH | VMFS_ALLOC_KEEP_SIZE;
    turn_clock_back(drive, "/f");
    need(vmfs_file_open(drive->library.fs, "/f", VMFS_O_WRONLY, 0, &file) == 0, "open");
    need(vmfs_file_allocate(file, mode, 4096, 4096) == 0, "punch");
    need(vmfs_file_close(file) == 0, "close");
}

/* Zeros that can be read there anyway, in a hole that none of the moments fills. */
static void put_data_elsewhere(struct drive *drive)
{
    poke(drive, "/f", 20000, "", 1);
}

static void put_nothing(struct drive *drive)
{
    (void)drive;
}

#define WRITE  "open 0 /f b; write 0 1003 3001"
#define APPEND "open 0 /f b; write 0 9000 2000"
#define ZERO   "open 0 /f b; allocate 0 z 4096 4096; write 0 4100 4000"

static const struct plant plants[] = {
    {"nothing", NULL, NULL, put_nothing, NOTHING},
    {"nlink", NULL, NULL, put_nlink, COMPARE},
    {"mtime off by one", NULL, NULL, put_mtime, COMPARE},
    {"ctime off by one", NULL, NULL, put_ctime, COMPARE},
    {"access time", NULL, NULL, put_atime, COMPARE},
    {"mode", NULL, NULL, put_mode, COMPARE},
    {"inode flags", NULL, NULL, put_flags, COMPARE},
    {"old byte in zeros", ZERO, NULL, put_old_byte, COMPARE},
    {"old byte in a hole", "truncate /d1/a 30000", NULL, put_hole_byte, COMPARE},
    {"data for a hole", "truncate /d1/a 30000", NULL, put_hole_zero, COMPARE},
    {"last byte", NULL, NULL, put_last_byte, COMPARE},
    {"size", NULL, NULL, put_size, COMPARE},
    {"old value of an attribute", NULL, NULL, put_xattr, COMPARE},
    {"attribute that is gone", NULL, NULL, put_xattr_gone, COMPARE},
    {"inode id", NULL, NULL, put_ino, COMPARE},
    {"names exchanged", NULL, NULL, put_names, COMPARE},
    {"name too many", NULL, NULL, put_name_too_many, COMPARE},
    {"target of a link", NULL, NULL, put_target, COMPARE},
    {"leaked block", NULL, NULL, put_leak, CHECK},
    {"leaked block, without the check", NULL, NULL, put_leak, USE_UP},
    {"block used twice", NULL, NULL, put_shared_block, CHECK},
    {"block used twice, without the check", "truncate /d1/c 4096", NULL, put_shared_block, COMPARE},
    {"all of a write", NULL, WRITE, put_nothing, NOTHING},
    {"a part of a write", NULL, WRITE, put_old_words, NOTHING},
    {"half a word of a write", NULL, WRITE, put_half_word, COMPARE},
    {"a word of somebody else", NULL, WRITE, put_foreign_word, COMPARE},
    {"a size of no moment", NULL, APPEND, put_other_size, COMPARE},
    {"times of two moments", NULL, APPEND, put_old_mtime, COMPARE},
    {"a hole of no moment", NULL, APPEND, put_hole_elsewhere, COMPARE},
    {"data of no moment", "truncate /f 30000", WRITE, put_data_elsewhere, COMPARE},
    {"a name that is not counted", NULL, NULL, put_nothing, NAMES},
    {"an inode that is not counted", NULL, NULL, put_nothing, INODES},
    {"another file beside a write", NULL, WRITE, put_mode, COMPARE},
};

static const char *look(struct drive *drive, enum finder finder)
{
    struct oracle *oracle = &drive->oracle;
    struct vmfs *fs = drive->library.fs;
    const struct tree_keep keep = {oracle->torn, oracle->torn_count, is_telling};
    tree_look(oracle->found, fs, &keep);
    if (is_telling)
        tree_print_differences(oracle->found, drive->trees[drive->tree_count - 1], stdout);
    oracle->found->entry_count += finder == NAMES; /* as if the check had missed one */
    oracle->found->object_count += finder == INODES;
    if (finder == CHECK || finder == NAMES || finder == INODES)
        return oracle_check(fs, oracle->found, NULL);
    const char *reason = oracle_compare(oracle, oracle->found);
    if (finder == COMPARE)
        return reason;
    need(finder == NOTHING || !reason, "compare what should look right");
    if (!reason && finder == NOTHING)
        reason = oracle_check(fs, oracle->found, stderr);
    return reason ? reason : oracle_use_up(fs, oracle->found, oracle->empty_blocks);
}

static bool is_found(struct drive *drive, const struct plant *plant)
{
    struct oracle *oracle = &drive->oracle;
    drive_begin(drive, plant->name);
    if (plant->before)
        drive_say(drive, plant->before, 0);
    drive_mark(drive);
    if (plant->op)
        drive_say(drive, plant->op, 0);
    need(!drive->is_failed, "prepare");
    need(op_close_slots(&drive->library) == 0 && op_close_slots(&drive->model) == 0, "close");
    oracle_clear(oracle);
    for (unsigned index = 0; index < drive->tree_count; index++)
        oracle_allow(oracle, drive->trees[index]);
    if (plant->op)
        oracle_tear(oracle, stat_of(drive, "/f").ino);
    plant->put(drive);
    const char *reason = look(drive, plant->finder);
    bool is_right = (reason != NULL) == (plant->finder != NOTHING);
    printf("%s: %s%s\n", is_right ? "ok" : "FAILED", plant->name, reason ? "" : " (nothing found)");
    drive_stop(drive);
    return is_right;
}

/* With any argument each case tells what it has changed. */
int main(int argc, char **argv)
{
    (void)argv;
    is_telling = argc > 1;
    struct drive drive;
    unsigned failed = 0;
    crash.bytes = 1u << 20;
    crash.garbage = medium_pages(crash.bytes);
    crash.zeros = medium_pages(crash.bytes);
    medium_init(&crash.live, crash.bytes);
    drive_init(&drive, &crash);
    for (unsigned index = 0; index < sizeof plants / sizeof plants[0]; index++)
        failed += !is_found(&drive, &plants[index]);
    drive_fini(&drive);
    printf("%u defects were not found\n", failed);
    return failed != 0;
}
