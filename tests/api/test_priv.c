/* test_priv.c -- set-id bits and capabilities: when a change takes them away, and when it leaves them */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fixture.h"

#define BLOCK      4096
#define CAPABILITY "security.capability"

static struct fixture fixture;
static struct vmfs *fs;

static void set_up(void)
{
    fixture_open(&fixture, "priv", 64 * REGION_MIB);
    fs = fixture.fs;
}

static void tear_down(void)
{
    fixture_close(&fixture);
}

TestSuite(priv, .init = set_up, .fini = tear_down, .timeout = 60);

static uint8_t bytes[4 * BLOCK];
static const struct vmfs_iovec small_piece = {bytes, 100};
static const struct vmfs_iovec large_piece = {bytes, 3 * BLOCK};

/* Every way to change a file; `kill` is whether it asks for the set-id bits, too. */
static int64_t write_in_place(struct vmfs_file *file, bool kill)
{
    return vmfs_file_pwritev2(file, &small_piece, 1, 50, kill ? VMFS_RW_KILL_PRIV : 0);
}

static int64_t write_behind(struct vmfs_file *file, bool kill)
{
    return vmfs_file_pwritev2(file, &large_piece, 1, 9 * BLOCK + 7, kill ? VMFS_RW_KILL_PRIV : 0);
}

static int64_t write_appending(struct vmfs_file *file, bool kill)
{
    int flags = VMFS_RW_APPEND | VMFS_RW_DSYNC | (kill ? VMFS_RW_KILL_PRIV : 0);
    struct vmfs_stat stat;
    expect_ok(vmfs_file_stat(file, &stat));
    int64_t written = vmfs_file_pwritev2(file, &small_piece, 1, 3, flags);
    uint64_t size = stat.size;
    expect_ok(vmfs_file_stat(file, &stat));
    cr_assert(stat.size == size + 100);
    return written;
}

static int64_t allocate(struct vmfs_file *file, bool kill, int mode)
{
    return vmfs_file_allocate(file, mode | (kill ? VMFS_ALLOC_KILL_PRIV : 0), BLOCK, BLOCK);
}

static int64_t reserve(struct vmfs_file *file, bool kill)
{
    return allocate(file, kill, 0);
}

static int64_t punch(struct vmfs_file *file, bool kill)
{
    return allocate(file, kill, VMFS_ALLOC_PUNCH | VMFS_ALLOC_KEEP_SIZE);
}

static int64_t zero(struct vmfs_file *file, bool kill)
{
    return allocate(file, kill, VMFS_ALLOC_ZERO);
}

static int64_t collapse(struct vmfs_file *file, bool kill)
{
    return allocate(file, kill, VMFS_ALLOC_COLLAPSE);
}

static int64_t insert(struct vmfs_file *file, bool kill)
{
    return allocate(file, kill, VMFS_ALLOC_INSERT);
}

static int64_t copy(struct vmfs_file *file, bool kill)
{
    struct vmfs_file *from = fixture_file(&fixture, "/source", VMFS_O_RDONLY);
    int64_t copied = vmfs_file_copy_range2(from, 0, file, 10, 5000, kill ? VMFS_RW_KILL_PRIV : 0);
    expect_ok(vmfs_file_close(from));
    return copied;
}

static int64_t resize(struct vmfs_file *file, bool kill, uint64_t size)
{
    const struct vmfs_attr attr = {.mask = VMFS_ATTR_SIZE | (kill ? VMFS_ATTR_KILL_PRIV : 0),
                                   .size = size};
    return vmfs_file_setattr(file, &attr);
}

static int64_t cut(struct vmfs_file *file, bool kill)
{
    return resize(file, kill, 100);
}

static int64_t grow(struct vmfs_file *file, bool kill)
{
    return resize(file, kill, 100 * BLOCK);
}

static int64_t keep_size(struct vmfs_file *file, bool kill)
{
    return resize(file, kill, 5 * BLOCK + 1);
}

static int64_t reopen_cutting(struct vmfs_file *file, bool kill)
{
    struct vmfs_file *again;
    int flags = VMFS_O_WRONLY | VMFS_O_TRUNC | (kill ? VMFS_O_KILL_PRIV : 0);
    int err = vmfs_file_open_at(fs, vmfs_at(vmfs_file_ino(file), ""), flags, 0, &again);
    return err != 0 ? err : vmfs_file_close(again);
}

static const struct {
    const char *name;
    int64_t (*change)(struct vmfs_file *file, bool kill);
} changes[] = {
    {"write in place", write_in_place},
    {"write behind the end", write_behind},
    {"append", write_appending},
    {"reserve", reserve},
    {"punch", punch},
    {"zero", zero},
    {"collapse", collapse},
    {"insert", insert},
    {"copy", copy},
    {"cut", cut},
    {"grow", grow},
    {"the same size", keep_size},
    {"open and cut", reopen_cutting},
};
#define CHANGES (sizeof(changes) / sizeof(changes[0]))

static const struct {
    uint32_t before;
    uint32_t after; /* where the set-id bits are asked for */
} modes[] = {{06755, 00755}, {06745, 02745}, {02755, 00755},
             {02644, 02644}, {04711, 00711}, {0644, 0644}};
#define MODES (sizeof(modes) / sizeof(modes[0]))

static struct vmfs_file *put_file(uint32_t mode, int flags)
{
    expect_ok(region_put_file(fs, "/file", 5 * BLOCK + 1, 1));
    expect_ok(vmfs_chmod(fs, "/file", mode));
    return fixture_file(&fixture, "/file", VMFS_O_RDWR | flags);
}

static void expect_mode(const char *what, uint32_t before, uint32_t wanted)
{
    struct vmfs_stat stat = fixture_stat(&fixture, "/file");
    cr_assert((stat.mode & 07777) == wanted, "%s: %04o became %04o, not %04o", what, before,
              stat.mode & 07777, wanted);
}

/* `flags` of the handle: atomic writes go another way. */
static void change_all(int flags, bool has_capability)
{
    for (size_t i = 0; i < CHANGES; i++) {
        for (size_t k = 0; k < 2 * MODES; k++) {
            bool kill = k % 2 == 1;
            struct vmfs_file *file = put_file(modes[k / 2].before, flags);
            if (has_capability)
                expect_ok(vmfs_xattr_set(fs, "/file", 0, CAPABILITY, "value", 5));
            expect_ok(vmfs_xattr_set(fs, "/file", 0, "user.other", "value", 5));
            int64_t code = changes[i].change(file, kill);
            cr_assert(code >= 0, "%s returned %lld", changes[i].name, (long long)code);
            expect_mode(changes[i].name, modes[k / 2].before,
                        kill ? modes[k / 2].after : modes[k / 2].before);
            int64_t found = vmfs_xattr_get(fs, "/file", 0, CAPABILITY, NULL, 0);
            cr_assert(found == -ENODATA, "%s leaves the capability", changes[i].name);
            expect_code(vmfs_xattr_get(fs, "/file", 0, "user.other", NULL, 0), 5);
            expect_ok(vmfs_file_close(file));
            expect_ok(vmfs_unlink(fs, "/file"));
        }
    }
}

Test(priv, each_change_takes_them)
{
    expect_ok(region_put_file(fs, "/source", 8000, 2));
    change_all(0, true);
    change_all(0, false);
}

Test(priv, atomic_writes_take_them)
{
    expect_ok(region_put_file(fs, "/source", 8000, 2));
    change_all(VMFS_O_ATOMIC, true);
}

/* Reading, other attributes, names and links leave them. */
Test(priv, other_calls_leave_them)
{
    struct vmfs_file *file = put_file(06755, 0);
    const struct vmfs_attr times = {.mask = VMFS_ATTR_MTIME, .mtime_ns = 5};
    expect_ok(vmfs_xattr_set(fs, "/file", 0, CAPABILITY, "value", 5));
    expect_code(vmfs_file_pread(file, bytes, 100, 0), 100);
    expect_ok(vmfs_file_setattr(file, &times));
    expect_code(vmfs_file_pwrite(file, bytes, 0, 0), 0);
    expect_ok(vmfs_link(fs, "/file", "/other"));
    expect_ok(vmfs_rename(fs, "/other", "/third", 0));
    expect_mode("reading", 06755, 06755);
    expect_code(vmfs_xattr_get(fs, "/file", 0, CAPABILITY, NULL, 0), 5);
    expect_ok(vmfs_file_close(file));
}

/* A new owner takes the bits whatever the caller says, and the capability; of a directory nothing. */
Test(priv, a_new_owner)
{
    struct vmfs_file *file = put_file(06755, 0);
    expect_ok(vmfs_xattr_set(fs, "/file", 0, CAPABILITY, "value", 5));
    expect_ok(vmfs_chown(fs, "/file", 5, UINT32_MAX));
    expect_mode("chown", 06755, 0755);
    expect_code(vmfs_xattr_get(fs, "/file", 0, CAPABILITY, NULL, 0), -ENODATA);
    expect_ok(vmfs_file_close(file));
    expect_ok(vmfs_mkdir(fs, "/dir", 02755));
    expect_ok(vmfs_xattr_set(fs, "/dir", 0, CAPABILITY, "value", 5));
    expect_ok(vmfs_chown(fs, "/dir", 5, 6));
    struct vmfs_stat stat = fixture_stat(&fixture, "/dir");
    cr_assert((stat.mode & 07777) == 02755);
    expect_code(vmfs_xattr_get(fs, "/dir", 0, CAPABILITY, NULL, 0), 5);
}

/* By themselves; and a mode that comes with them is the one that stays. */
Test(priv, asked_for_alone)
{
    struct vmfs_file *file = put_file(06755, 0);
    struct vmfs_attr attr = {.mask = VMFS_ATTR_KILL_PRIV};
    expect_ok(vmfs_xattr_set(fs, "/file", 0, CAPABILITY, "value", 5));
    expect_ok(vmfs_file_setattr(file, &attr));
    expect_mode("setattr", 06755, 0755);
    expect_code(vmfs_xattr_get(fs, "/file", 0, CAPABILITY, NULL, 0), -ENODATA);
    attr.mask |= VMFS_ATTR_MODE;
    attr.mode = 04711;
    expect_ok(vmfs_file_setattr(file, &attr));
    expect_mode("setattr with a mode", 0755, 04711);
    expect_ok(vmfs_file_close(file));
}

static uint64_t fences(void)
{
    struct vmfs_counters counters;
    expect_ok(vmfs_counters(fs, VMFS_COUNTERS_THREAD, &counters));
    return counters.fences;
}

/* In the record that there is anyway: the floor of an overwrite is 1, also with attributes that must be looked
 * through, and with a value in blocks of its own. */
Test(priv, no_fence_of_their_own)
{
    static uint8_t value[9000];
    struct vmfs_file *file = put_file(06755, 0);
    const size_t sizes[] = {5, 200, sizeof(value)};
    for (unsigned i = 0; i < 3; i++) {
        expect_ok(
            vmfs_file_setattr(file, &(struct vmfs_attr){.mask = VMFS_ATTR_MODE, .mode = 06755}));
        expect_ok(vmfs_xattr_set(fs, "/file", 0, CAPABILITY, value, sizes[i]));
        uint64_t before = fences();
        expect_code(write_in_place(file, true), 100);
        cr_assert(fences() - before == 1, "%zu bytes: %llu fences", sizes[i],
                  (unsigned long long)(fences() - before));
        expect_code(vmfs_xattr_get(fs, "/file", 0, CAPABILITY, NULL, 0), -ENODATA);
    }
    expect_ok(vmfs_file_close(file));
}

/* Among so many attributes that they need a tree, whose leaves become empty. */
Test(priv, among_many_attributes)
{
    char name[64];
    struct vmfs_file *file = put_file(06755, 0);
    for (unsigned i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "user.%u", i);
        expect_ok(vmfs_xattr_set(fs, "/file", 0, name, name, strlen(name)));
    }
    expect_ok(vmfs_xattr_set(fs, "/file", 0, CAPABILITY, "value", 5));
    expect_code(write_in_place(file, true), 100);
    expect_code(vmfs_xattr_get(fs, "/file", 0, CAPABILITY, NULL, 0), -ENODATA);
    for (unsigned i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "user.%u", i);
        expect_ok(vmfs_xattr_remove(fs, "/file", 0, name));
    }
    expect_ok(vmfs_file_close(file));
}

/* A file in so many pieces that its map is exchanged as a whole. */
Test(priv, a_large_remap)
{
    struct vmfs_file *file = put_file(06755, 0);
    for (unsigned i = 0; i < 600; i++)
        expect_code(vmfs_file_pwrite(file, bytes, 10, (uint64_t)i * 2 * BLOCK), 10);
    expect_ok(vmfs_file_setattr(file, &(struct vmfs_attr){.mask = VMFS_ATTR_MODE, .mode = 06755}));
    expect_ok(vmfs_xattr_set(fs, "/file", 0, CAPABILITY, "value", 5));
    expect_ok(vmfs_file_allocate(file, VMFS_ALLOC_COLLAPSE | VMFS_ALLOC_KILL_PRIV, 2 * BLOCK,
                                 500 * BLOCK));
    expect_mode("a large collapse", 06755, 0755);
    expect_code(vmfs_xattr_get(fs, "/file", 0, CAPABILITY, NULL, 0), -ENODATA);
    expect_ok(vmfs_file_close(file));
}

/* An atomic write that begins anew, as it lies over more pieces than a record can replace. */
Test(priv, an_atomic_write_over_many_pieces)
{
    static uint8_t all[250 * BLOCK];
    const struct vmfs_iovec piece = {all, sizeof(all)};
    struct vmfs_file *file = put_file(0644, VMFS_O_ATOMIC);
    struct vmfs_file *other = fixture_file(&fixture, "/other", VMFS_O_CREAT | VMFS_O_RDWR);
    expect_ok(vmfs_file_truncate(file, 0));
    for (uint64_t block = 0; block < 250; block++) {
        expect_code(vmfs_file_pwrite(file, bytes, BLOCK, block * BLOCK), BLOCK);
        expect_code(vmfs_file_pwrite(other, bytes, BLOCK, block * BLOCK), BLOCK);
    }
    expect_ok(vmfs_chmod(fs, "/file", 06755));
    uint64_t before = fences();
    expect_code(vmfs_file_pwritev2(file, &piece, 1, 0, VMFS_RW_KILL_PRIV), sizeof(all));
    cr_assert(fences() - before > 2, "it did not begin anew");
    expect_mode("atomic write", 06755, 0755);
    expect_ok(vmfs_file_close(other));
    expect_ok(vmfs_file_close(file));
}

/* A ctime that is given stays; else it is the present. */
Test(priv, a_given_ctime)
{
    expect_ok(region_put_file(fs, "/file", 10, 1));
    struct vmfs_attr attr = {
        .mask = VMFS_ATTR_MTIME | VMFS_ATTR_CTIME, .mtime_ns = 6, .ctime_ns = 7};
    expect_ok(vmfs_setattr(fs, "/file", 0, &attr));
    struct vmfs_stat stat = fixture_stat(&fixture, "/file");
    cr_assert(stat.mtime_ns == 6 && stat.ctime_ns == 7);
    attr.ctime_ns = VMFS_TIME_NOW;
    expect_ok(vmfs_setattr(fs, "/file", 0, &attr));
    stat = fixture_stat(&fixture, "/file");
    cr_assert(stat.ctime_ns > 7);
}

Test(priv, undefined_flags)
{
    struct vmfs_file *file = put_file(0644, 0);
    expect_code(vmfs_file_pwritev2(file, &small_piece, 1, 0, 0x4), -EINVAL);
    expect_code(vmfs_file_copy_range2(file, 0, file, 9 * BLOCK, 10, VMFS_RW_APPEND), -EINVAL);
    expect_code(vmfs_file_allocate(file, VMFS_ALLOC_KILL_PRIV | VMFS_ALLOC_PUNCH, 0, 10), -EINVAL);
    expect_ok(vmfs_file_close(file));
}
