/* scenarios.c -- the table of operations */
#include "scenarios.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/handle.h"
#include "seed.h"

#define POISON_BYTE 0xee
#define PIECE_BYTES 65536u

static int put(struct vmfs *fs, const char *path, size_t len_bytes, uint64_t offset,
               uint64_t pattern)
{
    static uint8_t bytes[PIECE_BYTES];
    struct vmfs_file *file;
    seed_fill(bytes, len_bytes, pattern);
    int err = vmfs_file_open(fs, path, VMFS_O_CREAT | VMFS_O_WRONLY, 0640, &file);
    if (err)
        return err;
    int64_t written = vmfs_file_pwrite(file, bytes, len_bytes, offset);
    vmfs_file_close(file);
    return written == (int64_t)len_bytes ? 0 : written < 0 ? (int)written : -EIO;
}

static int put_xattr(struct vmfs *fs, const char *path, const char *name, size_t len_bytes)
{
    static uint8_t bytes[PIECE_BYTES];
    seed_fill(bytes, len_bytes, len_bytes);
    return vmfs_xattr_set(fs, path, 0, name, bytes, len_bytes);
}

static int make(struct vmfs *fs, const char *path)
{
    return vmfs_mknod(fs, path, 0600, 0);
}

static int all(const int *results, unsigned count)
{
    for (unsigned index = 0; index < count; index++)
        if (results[index])
            return results[index];
    return 0;
}

#define ALL(...)                                                                                   \
    all((const int[]){__VA_ARGS__}, (unsigned)(sizeof((const int[]){__VA_ARGS__}) / sizeof(int)))

#define LONG_TARGET                                                                                \
    "a/target/that/does/not/fit/into/an/inode/and/therefore/gets/a/block/of/its/own/"              \
    "a/target/that/does/not/fit/into/an/inode/and/therefore/gets/a/block/of/its/own/"

int scenario_make_tree(struct vmfs *fs)
{
    return ALL(vmfs_mkdir(fs, "/d1", 0755), vmfs_mkdir(fs, "/d2", 0755),
               vmfs_mkdir(fs, "/d2/sub", 0755), vmfs_mkdir(fs, "/empty", 0755),
               vmfs_mkdir(fs, "/o", 0755), put(fs, "/o/w", 3000, 0, 1), put(fs, "/f", 10000, 0, 2),
               put(fs, "/d1/a", 100, 0, 3), put(fs, "/d1/b", 8192, 0, 4), make(fs, "/d1/c"),
               put(fs, "/d2/x", 5000, 0, 5), vmfs_symlink(fs, "d1/a", "/s"),
               vmfs_symlink(fs, LONG_TARGET, "/d1/long"), put_xattr(fs, "/d1/b", "user.k", 20),
               put_xattr(fs, "/d2/x", "user.big", 6000));
}

int scenario_poison(struct vmfs *fs)
{
    static uint8_t bytes[PIECE_BYTES];
    struct vmfs_file *file;
    memset(bytes, POISON_BYTE, sizeof bytes);
    int err =
        vmfs_file_open(fs, "/poison", VMFS_O_CREAT | VMFS_O_WRONLY | VMFS_O_APPEND, 0600, &file);
    if (err)
        return err;
    int64_t written = 1;
    while (written > 0)
        written = vmfs_file_write(file, bytes, sizeof bytes);
    vmfs_file_close(file);
    return ALL(written == -ENOSPC ? 0 : (int)written, vmfs_unlink(fs, "/poison"), vmfs_sync(fs));
}

int scenario_history(struct vmfs *fs)
{
    return ALL(put(fs, "/d2/old", 9000, 0, 6), put_xattr(fs, "/d2/old", "user.h", 300),
               vmfs_mkdir(fs, "/d2/olddir", 0700), make(fs, "/d2/olddir/x"),
               vmfs_chmod(fs, "/d1/a", 0604), vmfs_truncate(fs, "/d2/x", 4500),
               vmfs_unlink(fs, "/d2/olddir/x"), vmfs_rmdir(fs, "/d2/olddir"),
               vmfs_unlink(fs, "/d2/old"), vmfs_truncate(fs, "/d2/x", 5000));
}

#define LEAF_CELLS 62u

int scenario_fill_leaf(struct vmfs *fs, bool is_split)
{
    struct vmfs_stat stat;
    int err = vmfs_stat(fs, "/d1", 0, &stat);
    uint64_t want = is_split ? LEAF_CELLS + 1 : LEAF_CELLS;
    for (uint64_t index = stat.size; err == 0 && index < want; index++) {
        char path[32];
        snprintf(path, sizeof path, "/d1/n%llu", (unsigned long long)index);
        err = vmfs_link(fs, "/o/w", path);
    }
    return err;
}

/* No chunk is made ahead of need meanwhile (B1), or there would always be a next one. */
int scenario_fill_inodes(struct vmfs *fs)
{
    struct vmfs_statfs statfs;
    struct vm_journal_hooks *hooks = &fs->volume.journal.hooks;
    const struct vm_journal_hooks all = *hooks;
    hooks->ahead = NULL;
    int err = vmfs_mkdir(fs, "/many", 0700);
    for (unsigned index = 0; err == 0; index++) {
        const struct vm_itable *table = fs->volume.itable;
        char path[32];
        err = vmfs_statfs(fs, &statfs);
        if (err ||
            statfs.inodes_used + 1 >= atomic_load(&table->chunk_count) * table->slots_per_chunk)
            break;
        snprintf(path, sizeof path, "/many/%u", index);
        err = make(fs, path);
    }
    *hooks = all;
    return err;
}

int scenario_other(struct vmfs *fs)
{
    return vmfs_symlink(fs, LONG_TARGET, "/o/other");
}

/* ---- names ---- */

static int op_create(struct play *play)
{
    return make(play->fs, "/d1/new");
}

static int op_mkdir(struct play *play)
{
    return vmfs_mkdir(play->fs, "/d1/newdir", 0750);
}

static int op_mkfifo(struct play *play)
{
    return vmfs_mknod(play->fs, "/d1/fifo", VMFS_S_IFIFO | 0600, 0);
}

static int op_symlink(struct play *play)
{
    return vmfs_symlink(play->fs, "b", "/d1/sl");
}

static int op_symlink_long(struct play *play)
{
    return vmfs_symlink(play->fs, LONG_TARGET, "/d1/sl");
}

static int op_link(struct play *play)
{
    return vmfs_link(play->fs, "/d2/x", "/d1/xl");
}

static int op_unlink(struct play *play)
{
    return vmfs_unlink(play->fs, "/d1/b");
}

static int op_unlink_big_xattr(struct play *play)
{
    return vmfs_unlink(play->fs, "/d2/x");
}

static int op_unlink_symlink(struct play *play)
{
    return vmfs_unlink(play->fs, "/d1/long");
}

static int open_b(struct play *play)
{
    return vmfs_file_open(play->fs, "/d1/b", VMFS_O_RDWR, 0, &play->file);
}

static int open_and_unlink_b(struct play *play)
{
    return ALL(open_b(play), op_unlink(play));
}

static int op_tmpfile(struct play *play)
{
    return vmfs_file_open(play->fs, "/d1", VMFS_O_TMPFILE | VMFS_O_RDWR, 0600, &play->file);
}

static int tmpfile_before(struct play *play)
{
    int err = op_tmpfile(play);
    int64_t written = err ? err : vmfs_file_pwrite(play->file, "nameless", 8, 5000);
    return written == 8 ? 0 : (int)written;
}

static int op_tmpfile_link(struct play *play)
{
    return vmfs_file_link(play->file, vmfs_at(0, "d1/named"));
}

static int op_close(struct play *play)
{
    struct vmfs_file *file = play->file;
    play->file = NULL;
    return vmfs_file_close(file);
}

static int op_rmdir(struct play *play)
{
    return vmfs_rmdir(play->fs, "/empty");
}

static int open_empty(struct play *play)
{
    return ALL(make(play->fs, "/empty/x"), vmfs_unlink(play->fs, "/empty/x"),
               vmfs_dir_open(play->fs, "/empty", &play->dir));
}

static int open_and_remove_empty(struct play *play)
{
    return ALL(open_empty(play), op_rmdir(play));
}

static int op_close_dir(struct play *play)
{
    struct vmfs_dir *dir = play->dir;
    play->dir = NULL;
    return vmfs_dir_close(dir);
}

static int rmdir_used_before(struct play *play)
{
    return ALL(make(play->fs, "/empty/x"), vmfs_unlink(play->fs, "/empty/x"));
}

static int op_rename_same(struct play *play)
{
    return vmfs_rename(play->fs, "/d1/a", "/d1/z", 0);
}

static int op_rename_cross(struct play *play)
{
    return vmfs_rename(play->fs, "/d2/x", "/d1/z", 0);
}

static int op_rename_over(struct play *play)
{
    return vmfs_rename(play->fs, "/d1/a", "/d2/x", 0);
}

static int op_rename_exchange(struct play *play)
{
    return vmfs_rename(play->fs, "/d1/a", "/d2/sub", VMFS_RENAME_EXCHANGE);
}

static int op_rename_dir(struct play *play)
{
    return vmfs_rename(play->fs, "/d2/sub", "/d1/sub", 0);
}

static int op_rename_dir_over(struct play *play)
{
    return vmfs_rename(play->fs, "/d2/sub", "/empty", 0);
}

/* ---- data ---- */

static int op_append_odd(struct play *play)
{
    return put(play->fs, "/f", 1001, 10000, 20);
}

static int op_append_block(struct play *play)
{
    return put(play->fs, "/d1/b", 4096, 8192, 21);
}

static int op_append_first(struct play *play)
{
    return put(play->fs, "/d1/c", 4096, 0, 22);
}

static int op_append_short(struct play *play)
{
    return put(play->fs, "/d1/c", 11, 0, 23);
}

static int op_write_gap(struct play *play)
{
    return put(play->fs, "/d1/a", 200, 9000, 24);
}

static int op_write_hole(struct play *play)
{
    return put(play->fs, "/d1/a", 200, 9000, 25);
}

static int hole_before(struct play *play)
{
    return vmfs_truncate(play->fs, "/d1/a", 30000);
}

static int op_overwrite_block(struct play *play)
{
    return put(play->fs, "/d1/b", 4096, 4096, 26);
}

static int op_overwrite_odd(struct play *play)
{
    return put(play->fs, "/f", 3001, 1003, 27);
}

/* H3: the zeros between 9000 and 10000 are an image in an unretired record. */
static int image_before(struct play *play)
{
    return ALL(vmfs_truncate(play->fs, "/f", 9000), vmfs_truncate(play->fs, "/f", 10000));
}

static int op_overwrite_image(struct play *play)
{
    return put(play->fs, "/f", 500, 9200, 28);
}

/* D2: bytes behind the end that come into view again. */
static int shrink_before(struct play *play)
{
    return vmfs_truncate(play->fs, "/f", 9001);
}

static int op_append_after_shrink(struct play *play)
{
    return put(play->fs, "/f", 300, 9500, 29);
}

/* Two files that share the free space block by block: more extents than one record can free. */
static int interleave(struct play *play)
{
    int err = 0;
    for (uint64_t block = 0; err == 0 && block < 100; block++)
        err = ALL(put(play->fs, "/d2/one", 4096, block * 4096, 30),
                  put(play->fs, "/d2/two", 4096, block * 4096, 31));
    return err == -ENOSPC ? 0 : err;
}

/* Free space of single blocks: a write takes several steps. */
static int fragment(struct play *play)
{
    return ALL(interleave(play), vmfs_unlink(play->fs, "/d2/one"));
}

static int op_write_pieces(struct play *play)
{
    return put(play->fs, "/d1/c", 60000, 0, 32);
}

static int op_truncate_pieces(struct play *play)
{
    return vmfs_truncate(play->fs, "/d2/one", 1);
}

static int op_unlink_pieces(struct play *play)
{
    return vmfs_unlink(play->fs, "/d2/one");
}

static int op_truncate_down(struct play *play)
{
    return vmfs_truncate(play->fs, "/f", 4001);
}

static int op_truncate_up(struct play *play)
{
    return vmfs_truncate(play->fs, "/f", 20000);
}

static int op_truncate_zero(struct play *play)
{
    return vmfs_truncate(play->fs, "/d1/b", 0);
}

/* ---- blocks ahead of data, atomic writes, copies ---- */

static int with_file(struct vmfs *fs, const char *path, int flags, struct vmfs_file **out)
{
    return vmfs_file_open(fs, path, VMFS_O_CREAT | VMFS_O_RDWR | flags, 0640, out);
}

static int allocate(struct vmfs *fs, const char *path, int mode, uint64_t offset,
                    uint64_t len_bytes)
{
    struct vmfs_file *file;
    int err = with_file(fs, path, 0, &file);
    if (err)
        return err;
    err = vmfs_file_allocate(file, mode, offset, len_bytes);
    vmfs_file_close(file);
    return err;
}

static int put_atomic(struct vmfs *fs, const char *path, size_t len_bytes, uint64_t offset)
{
    static uint8_t bytes[PIECE_BYTES];
    struct vmfs_file *file;
    seed_fill(bytes, len_bytes, offset);
    int err = with_file(fs, path, VMFS_O_ATOMIC, &file);
    if (err)
        return err;
    int64_t written = vmfs_file_pwrite(file, bytes, len_bytes, offset);
    vmfs_file_close(file);
    return written == (int64_t)len_bytes ? 0 : written < 0 ? (int)written : -EIO;
}

static int op_reserve(struct play *play)
{
    return allocate(play->fs, "/f", 0, 9000, 30000);
}

static int op_reserve_keep(struct play *play)
{
    return allocate(play->fs, "/d1/c", VMFS_ALLOC_KEEP_SIZE, 5000, 30000);
}

static int reserved_before(struct play *play)
{
    return allocate(play->fs, "/d1/c", 0, 0, 40000);
}

static int op_write_unwritten(struct play *play)
{
    return put(play->fs, "/d1/c", 5000, 6001, 41);
}

static int kept_before(struct play *play)
{
    return allocate(play->fs, "/d1/b", VMFS_ALLOC_KEEP_SIZE, 8192, 20000);
}

static int op_append_reserved(struct play *play)
{
    return put(play->fs, "/d1/b", 6001, 8192, 42);
}

static int op_punch(struct play *play)
{
    return allocate(play->fs, "/f", VMFS_ALLOC_PUNCH | VMFS_ALLOC_KEEP_SIZE, 1000, 8000);
}

static int op_zero(struct play *play)
{
    return allocate(play->fs, "/f", VMFS_ALLOC_ZERO, 1000, 8000);
}

static int op_zero_longer(struct play *play)
{
    return allocate(play->fs, "/f", VMFS_ALLOC_ZERO, 9000, 8000);
}

/* Blocks that an image lies in became unwritten: what is stored there must win (U1, D3). */
static int zeroed_image_before(struct play *play)
{
    return ALL(image_before(play), allocate(play->fs, "/f", VMFS_ALLOC_ZERO, 8192, 4096));
}

static int op_zero_pieces(struct play *play)
{
    return allocate(play->fs, "/d2/one", VMFS_ALLOC_ZERO, 100, 390000);
}

static int op_punch_pieces(struct play *play)
{
    return allocate(play->fs, "/d2/one", VMFS_ALLOC_PUNCH | VMFS_ALLOC_KEEP_SIZE, 100, 390000);
}

static int op_atomic_small(struct play *play)
{
    return put_atomic(play->fs, "/f", 300, 4001);
}

/* On an aligned pair of words, which no processor promises to store at once. */
static int op_atomic_two_words(struct play *play)
{
    return put_atomic(play->fs, "/f", 16, 4016);
}

static int op_atomic_small_gap(struct play *play)
{
    return put_atomic(play->fs, "/f", 100, 9103);
}

static int logged_before(struct play *play)
{
    return put_atomic(play->fs, "/f", 300, 9001);
}

static int op_punch_logged(struct play *play)
{
    return allocate(play->fs, "/f", VMFS_ALLOC_PUNCH | VMFS_ALLOC_KEEP_SIZE, 1000, 8200);
}

static int op_atomic_block(struct play *play)
{
    return put_atomic(play->fs, "/f", 5001, 2003);
}

static int op_atomic_extend(struct play *play)
{
    return put_atomic(play->fs, "/f", 9001, 7003);
}

static int op_atomic_append(struct play *play)
{
    return put_atomic(play->fs, "/d1/b", 9001, 8192);
}

static int op_atomic_hole(struct play *play)
{
    return put_atomic(play->fs, "/d1/a", 9001, 5003);
}

/* Free space of single blocks, and an end that the write lies over. */
static int op_atomic_pieces(struct play *play)
{
    return put_atomic(play->fs, "/d1/b", 40000, 8000);
}

/* The end lies in a hole: its block comes with the size, after those behind it. */
static int hole_end_before(struct play *play)
{
    return ALL(fragment(play), vmfs_truncate(play->fs, "/d1/b", 8300));
}

static int op_atomic_hole_end(struct play *play)
{
    return put_atomic(play->fs, "/d1/b", 60000, 8311);
}

/* The time of access becomes durable when it likes, and has scenarios of its own. */
static int op_copy(struct play *play)
{
    struct vmfs_file *from;
    struct vmfs_file *to;
    int err = with_file(play->fs, "/d1/a", VMFS_O_NOATIME, &from);
    if (err)
        return err;
    err = with_file(play->fs, "/f", 0, &to);
    int64_t copied = err ? err : vmfs_file_copy_range(from, 3, to, 2003, 12000);
    if (err == 0)
        vmfs_file_close(to);
    vmfs_file_close(from);
    return copied < 0 ? (int)copied : 0;
}

/* Zeros out of a hole, over the end of a file whose last block holds more. */
static int hole_and_shrunk_before(struct play *play)
{
    return ALL(hole_before(play), vmfs_truncate(play->fs, "/f", 9001));
}

static int op_copy_hole(struct play *play)
{
    struct vmfs_file *from;
    struct vmfs_file *to;
    int err =
        ALL(with_file(play->fs, "/d1/a", VMFS_O_NOATIME, &from), with_file(play->fs, "/f", 0, &to));
    if (err)
        return err;
    int64_t copied = vmfs_file_copy_range(from, 5000, to, 8500, 3000);
    vmfs_file_close(to);
    vmfs_file_close(from);
    return copied == 3000 ? 0 : -EIO;
}

static int op_write_vector(struct play *play)
{
    static uint8_t bytes[300];
    const struct vmfs_iovec pieces[] = {
        {bytes, 3}, {bytes + 3, 1}, {bytes + 4, 90}, {bytes + 94, 5}, {bytes + 99, 201}};
    struct vmfs_file *file;
    seed_fill(bytes, sizeof bytes, 43);
    int err = with_file(play->fs, "/f", 0, &file);
    if (err)
        return err;
    int64_t written = vmfs_file_pwritev(file, pieces, 5, 4001);
    vmfs_file_close(file);
    return written == (int64_t)sizeof bytes ? 0 : -EIO;
}

/* ---- collapse and insert ---- */

static int remap(struct play *play, const char *path, int mode, uint64_t first, uint64_t count)
{
    struct vmfs_file *file;
    int err = vmfs_file_open(play->fs, path, VMFS_O_WRONLY, 0, &file);
    if (err)
        return err;
    err = vmfs_file_allocate(file, mode, first * 4096, count * 4096);
    vmfs_file_close(file);
    return err;
}

static int op_collapse_inline(struct play *play)
{
    return remap(play, "/f", VMFS_ALLOC_COLLAPSE, 1, 1);
}

static int op_insert_inline(struct play *play)
{
    return remap(play, "/d1/b", VMFS_ALLOC_INSERT, 1, 2);
}

/* Extents of single blocks, with room left for nodes. */
static int weave(struct play *play)
{
    int err = 0;
    for (uint64_t block = 0; err == 0 && block < 50; block++)
        err = put(play->fs, "/d2/one", 4096, 2 * block * 4096, 30 + block);
    return err;
}

static int op_collapse_leaf(struct play *play)
{
    return remap(play, "/d2/one", VMFS_ALLOC_COLLAPSE, 7, 8);
}

static int op_insert_leaf(struct play *play)
{
    return remap(play, "/d2/one", VMFS_ALLOC_INSERT, 20, 3);
}

/* More extents than a leaf has. */
static int spread(struct play *play)
{
    int err = 0;
    for (uint64_t block = 0; err == 0 && block < 116; block++)
        err = put(play->fs, "/d2/one", 4096, 2 * block * 4096, 30 + block);
    return err;
}

/* More extents are taken out than one record frees. */
static int op_collapse_heir(struct play *play)
{
    return remap(play, "/d2/one", VMFS_ALLOC_COLLAPSE, 3, 220);
}

/* A part of one extent is taken out among many. */
static int spread_and_fill(struct play *play)
{
    return ALL(put(play->fs, "/d2/one", 40960, 4096 * 300, 29), spread(play));
}

static int op_collapse_long(struct play *play)
{
    return remap(play, "/d2/one", VMFS_ALLOC_COLLAPSE, 303, 4);
}

static int op_insert_heir(struct play *play)
{
    return remap(play, "/d2/one", VMFS_ALLOC_INSERT, 100, 1);
}

/* ---- attributes ---- */

static int op_xattr_new(struct play *play)
{
    return put_xattr(play->fs, "/d1/a", "user.new", 40);
}

static int op_xattr_big(struct play *play)
{
    return put_xattr(play->fs, "/d1", "user.new", 5000);
}

static int op_xattr_replace(struct play *play)
{
    return put_xattr(play->fs, "/d2/x", "user.big", 4097);
}

static int op_xattr_remove(struct play *play)
{
    return vmfs_xattr_remove(play->fs, "/d1/b", 0, "user.k");
}

static int op_chmod(struct play *play)
{
    return vmfs_chmod(play->fs, "/d1/a", 0400);
}

static int op_utimens(struct play *play)
{
    return vmfs_utimens(play->fs, "/d1", 5, 6);
}

/* A flag that does not keep the tree from being taken down. */
static int op_flags(struct play *play)
{
    const struct vmfs_attr attr = {.mask = VMFS_ATTR_FLAGS,
                                   .flags = VMFS_INODE_NODUMP | VMFS_INODE_NOATIME};
    return vmfs_setattr(play->fs, "/d1/b", 0, &attr);
}

static int op_xattr_link(struct play *play)
{
    return vmfs_xattr_set(play->fs, "/s", VMFS_NOFOLLOW, "trusted.k", "value", 5);
}

/* A1, A2: access times are durable when the sync returns. One object each: they have no order. */
static int op_read_sync(struct play *play)
{
    char bytes[8];
    struct vmfs_file *file;
    int err = vmfs_file_open(play->fs, "/f", VMFS_O_RDONLY, 0, &file);
    if (err)
        return err;
    int64_t got = vmfs_file_pread(file, bytes, 8, 0);
    return ALL(got == 8 ? 0 : -EIO, vmfs_file_close(file), vmfs_sync(play->fs));
}

/* A2: they are durable with the next checkpoint, whoever makes it. */
static int record_before(struct play *play)
{
    return vmfs_mkdir(play->fs, "/d1/waits", 0755);
}

static int op_read_checkpoint(struct play *play)
{
    char bytes[8];
    struct vmfs_file *file;
    struct vm_ctx ctx;
    int err = vmfs_file_open(play->fs, "/f", VMFS_O_RDONLY, 0, &file);
    if (err)
        return err;
    int64_t got = vmfs_file_pread(file, bytes, 8, 0);
    vm_ctx_init(play->fs, &ctx);
    return ALL(got == 8 ? 0 : -EIO, vmfs_file_close(file), vm_checkpoint_all(&ctx) ? -EIO : 0);
}

static int op_readdir_sync(struct play *play)
{
    struct vmfs_dirent entry;
    struct vmfs_dir *dir;
    int err = vmfs_dir_open(play->fs, "/d2", &dir);
    if (err)
        return err;
    int got = vmfs_dir_read(dir, &entry);
    return ALL(got == 1 ? 0 : -EIO, vmfs_dir_close(dir), vmfs_sync(play->fs));
}

static int op_readlink_sync(struct play *play)
{
    char bytes[8];
    int64_t got = vmfs_readlink(play->fs, "/s", bytes, 8);
    return ALL(got > 0 ? 0 : -EIO, vmfs_sync(play->fs));
}

/* The access time that a record sets, over one that was only stored. */
static int read_before(struct play *play)
{
    char bytes[8];
    return vmfs_readlink(play->fs, "/s", bytes, 8) > 0 ? 0 : -EIO;
}

static int op_utimens_link(struct play *play)
{
    const struct vmfs_attr attr = {
        .mask = VMFS_ATTR_ATIME | VMFS_ATTR_MTIME, .atime_ns = 5, .mtime_ns = 6};
    return vmfs_setattr(play->fs, "/s", VMFS_NOFOLLOW, &attr);
}

/* ---- reuse ---- */

static int free_data(struct play *play)
{
    return vmfs_unlink(play->fs, "/d1/b");
}

/* H2: a block that was a directory's leaf and has images in unretired records. */
static int free_leaf(struct play *play)
{
    return ALL(make(play->fs, "/empty/x"), vmfs_unlink(play->fs, "/empty/x"),
               vmfs_rmdir(play->fs, "/empty"));
}

static int op_reuse(struct play *play)
{
    return put(play->fs, "/d1/c", 12288, 0, 40);
}

static int free_inode(struct play *play)
{
    return ALL(make(play->fs, "/d1/tmp"), vmfs_unlink(play->fs, "/d1/tmp"));
}

/* Long names, so that a few leaves have few of them. Where a name lies depends on the name alone, so one
 * directory tells at which removal the other will lose a leaf. */
#define LEAF_NAMES 40u

static const char *leaf_name(const char *dir, unsigned index)
{
    static char path[300];
    int used = snprintf(path, sizeof path, "%s/%02u", dir, index);
    memset(path + used, 'l', 200);
    path[used + 200] = '\0';
    return path;
}

static int fill_leaves(struct play *play, const char *dir)
{
    int result = vmfs_mkdir(play->fs, dir, 0755);
    for (unsigned index = 0; result == 0 && index < LEAF_NAMES; index++)
        result = vmfs_link(play->fs, "/d1/b", leaf_name(dir, index));
    return result;
}

static unsigned leaf_victim;

static int find_victim(struct play *play)
{
    struct vmfs_statfs before;
    struct vmfs_statfs after;
    for (leaf_victim = 0; leaf_victim < LEAF_NAMES; leaf_victim++) {
        int result = ALL(vmfs_statfs(play->fs, &before),
                         vmfs_unlink(play->fs, leaf_name("/pilot", leaf_victim)),
                         vmfs_statfs(play->fs, &after));
        if (result || after.blocks_free > before.blocks_free)
            return result;
    }
    return -ENOENT; /* no leaf ever went */
}

static int empty_leaf_almost(struct play *play)
{
    int result = ALL(fill_leaves(play, "/pilot"), fill_leaves(play, "/leaves"), find_victim(play));
    for (unsigned index = 0; result == 0 && index < leaf_victim; index++)
        result = vmfs_unlink(play->fs, leaf_name("/leaves", index));
    return result;
}

static int op_empty_leaf(struct play *play)
{
    return vmfs_unlink(play->fs, leaf_name("/leaves", leaf_victim));
}

const struct scenario scenarios[] = {
    {"create", NULL, op_create, NULL, false, false},
    {"mkdir", NULL, op_mkdir, NULL, false, false},
    {"mkfifo", NULL, op_mkfifo, NULL, false, false},
    {"symlink", NULL, op_symlink, NULL, false, false},
    {"symlink-long", NULL, op_symlink_long, NULL, false, false},
    {"link", NULL, op_link, NULL, false, false},
    {"unlink", NULL, op_unlink, NULL, false, false},
    {"unlink-big-xattr", NULL, op_unlink_big_xattr, NULL, false, false},
    {"unlink-symlink", NULL, op_unlink_symlink, NULL, false, false},
    {"unlink-open", open_b, op_unlink, NULL, false, false},
    {"close-unlinked", open_and_unlink_b, op_close, NULL, false, false},
    {"tmpfile", NULL, op_tmpfile, NULL, false, false},
    {"tmpfile-link", tmpfile_before, op_tmpfile_link, NULL, false, false},
    {"tmpfile-close", tmpfile_before, op_close, NULL, false, false},
    {"rmdir", NULL, op_rmdir, NULL, false, false},
    {"rmdir-open", open_empty, op_rmdir, NULL, false, false},
    {"close-removed", open_and_remove_empty, op_close_dir, NULL, false, false},
    {"rmdir-used", rmdir_used_before, op_rmdir, NULL, true, false},
    {"rename-same", NULL, op_rename_same, NULL, false, false},
    {"rename-cross", NULL, op_rename_cross, NULL, false, false},
    {"rename-over", NULL, op_rename_over, NULL, false, false},
    {"rename-exchange", NULL, op_rename_exchange, NULL, false, false},
    {"rename-dir", NULL, op_rename_dir, NULL, false, false},
    {"rename-dir-over", NULL, op_rename_dir_over, NULL, false, false},
    {"append-odd", NULL, op_append_odd, "/f", false, false},
    {"append-block", NULL, op_append_block, "/d1/b", false, false},
    {"append-first", NULL, op_append_first, "/d1/c", false, false},
    {"append-short", NULL, op_append_short, "/d1/c", false, false},
    {"append-after-shrink", shrink_before, op_append_after_shrink, "/f", true, false},
    {"write-gap", NULL, op_write_gap, "/d1/a", false, false},
    {"write-hole", hole_before, op_write_hole, "/d1/a", true, false},
    {"overwrite-block", NULL, op_overwrite_block, "/d1/b", false, false},
    {"overwrite-odd", NULL, op_overwrite_odd, "/f", false, false},
    {"overwrite-image", image_before, op_overwrite_image, "/f", true, false},
    {"write-pieces", fragment, op_write_pieces, "/d1/c", false, true},
    {"truncate-pieces", interleave, op_truncate_pieces, NULL, false, true},
    {"unlink-pieces", interleave, op_unlink_pieces, NULL, false, true},
    {"truncate-down", NULL, op_truncate_down, NULL, false, false},
    {"truncate-up", NULL, op_truncate_up, NULL, false, false},
    {"truncate-up-again", shrink_before, op_truncate_up, NULL, true, false},
    {"truncate-zero", NULL, op_truncate_zero, NULL, false, false},
    {"reserve", NULL, op_reserve, NULL, false, false},
    {"reserve-keep", NULL, op_reserve_keep, NULL, false, false},
    {"reserve-again", shrink_before, op_reserve, NULL, true, false},
    {"write-unwritten", reserved_before, op_write_unwritten, "/d1/c", false, false},
    {"write-reserved", kept_before, op_append_reserved, "/d1/b", false, false},
    {"write-zeroed", zeroed_image_before, op_overwrite_image, "/f", true, false},
    {"punch", NULL, op_punch, "/f", false, false},
    {"punch-image", image_before, op_punch, "/f", true, false},
    {"punch-logged", logged_before, op_punch_logged, "/f", true, false},
    {"punch-pieces", interleave, op_punch_pieces, "/d2/one", false, true},
    {"zero", NULL, op_zero, "/f", false, false},
    {"zero-longer", NULL, op_zero_longer, "/f", false, false},
    {"zero-shrunk", shrink_before, op_zero_longer, "/f", true, false},
    {"zero-pieces", interleave, op_zero_pieces, "/d2/one", false, true},
    {"atomic-small", NULL, op_atomic_small, "", false, false},
    {"atomic-two-words", NULL, op_atomic_two_words, "", false, false},
    {"atomic-small-gap", shrink_before, op_atomic_small_gap, "", true, false},
    {"atomic-logged", logged_before, op_overwrite_image, "/f", true, false},
    {"atomic-block", NULL, op_atomic_block, "", false, false},
    {"atomic-extend", NULL, op_atomic_extend, "", false, false},
    {"atomic-append", NULL, op_atomic_append, "", false, false},
    {"atomic-hole", hole_before, op_atomic_hole, "", true, false},
    {"atomic-reserved", kept_before, op_atomic_append, "", false, false},
    {"atomic-pieces", fragment, op_atomic_pieces, "", false, true},
    {"atomic-hole-end", hole_end_before, op_atomic_hole_end, "", false, true},
    {"copy", hole_before, op_copy, "/f", true, false},
    {"copy-hole-over", hole_and_shrunk_before, op_copy_hole, "/f", true, false},
    {"write-vector", NULL, op_write_vector, "/f", false, false},
    {"collapse-inline", NULL, op_collapse_inline, NULL, false, false},
    {"insert-inline", NULL, op_insert_inline, NULL, false, false},
    {"collapse-leaf", weave, op_collapse_leaf, NULL, false, true},
    {"insert-leaf", weave, op_insert_leaf, NULL, false, true},
    {"collapse-heir", spread, op_collapse_heir, NULL, false, true},
    {"collapse-long", spread_and_fill, op_collapse_long, NULL, false, true},
    {"insert-heir", spread, op_insert_heir, NULL, false, true},
    {"xattr-new", NULL, op_xattr_new, NULL, false, false},
    {"xattr-big", NULL, op_xattr_big, NULL, false, false},
    {"xattr-replace", NULL, op_xattr_replace, NULL, false, false},
    {"xattr-remove", NULL, op_xattr_remove, NULL, false, false},
    {"chmod", NULL, op_chmod, NULL, false, false},
    {"utimens", NULL, op_utimens, NULL, false, false},
    {"utimens-read", read_before, op_utimens_link, NULL, false, false},
    {"read-sync", NULL, op_read_sync, NULL, false, false},
    {"read-checkpoint", record_before, op_read_checkpoint, NULL, true, false},
    {"readdir-sync", NULL, op_readdir_sync, NULL, false, false},
    {"readlink-sync", NULL, op_readlink_sync, NULL, false, false},
    {"flags", NULL, op_flags, NULL, false, false},
    {"xattr-link", NULL, op_xattr_link, NULL, false, false},
    {"reuse-data", free_data, op_reuse, "/d1/c", true, false},
    {"reuse-leaf", free_leaf, op_reuse, "/d1/c", true, false},
    {"unlink-leaf", empty_leaf_almost, op_empty_leaf, NULL, false, false},
    {"reuse-inode", free_inode, op_create, NULL, true, false},
};

const unsigned scenario_count = sizeof scenarios / sizeof scenarios[0];
