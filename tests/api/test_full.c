/* test_full.c -- a region without a free block: every changing call fails whole or succeeds whole
 *
 * On a full region each call either works or returns -ENOSPC and has changed nothing; what frees
 * space always works, and after it everything else does again. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fixture.h"
#include "seed.h"

#define SMALL_BYTES (2 * REGION_MIB)
#define ROUNDS      100
#define PAGE        4096

static struct fixture fixture;
static struct vmfs *fs;

/* Appends blocks of ever smaller sizes until not one byte fits. Returns the bytes that did. */
static uint64_t fill_data(const char *path)
{
    static uint8_t block[65536];
    struct vmfs_file *file = fixture_file(&fixture, path, VMFS_O_CREAT | VMFS_O_RDWR);
    size_t length = sizeof(block);
    uint64_t offset = 0;
    seed_fill(block, sizeof(block), 11);
    while (length > 0) {
        int64_t written = vmfs_file_pwrite(file, block, length, offset);
        cr_assert(written > 0 || written == -ENOSPC, "write returned %lld", (long long)written);
        if (written > 0)
            offset += (uint64_t)written;
        if (written < (int64_t)length)
            length /= 2;
    }
    expect_ok(vmfs_file_close(file));
    return offset;
}

/* Creates names until none fits either: index nodes and inodes are used up too. */
static unsigned fill_names(void)
{
    char path[300];
    unsigned made = 0;
    int err = 0;
    while (err == 0 && made < 100000) {
        int used = snprintf(path, sizeof(path), "/names/%06u-", made);
        memset(path + used, 'n', 200);
        path[used + 200] = '\0';
        err = vmfs_mknod(fs, path, 0644, 0);
        made += err == 0 ? 1 : 0;
    }
    expect_code(err, -ENOSPC);
    return made;
}

static void set_up(void)
{
    fixture_open(&fixture, "full", SMALL_BYTES);
    fs = fixture.fs;
    expect_ok(vmfs_mkdir(fs, "/names", 0755));
    expect_ok(vmfs_mkdir(fs, "/dir", 0755));
    expect_ok(vmfs_mkdir(fs, "/empty", 0755));
    expect_ok(region_put_file(fs, "/file", 20000, 1));
    expect_ok(region_put_file(fs, "/other", 20000, 2));
    expect_ok(vmfs_truncate(fs, "/other", 1 << 20));
    expect_ok(vmfs_symlink(fs, "file", "/link"));
    expect_ok(vmfs_mknod(fs, "/filler-again", 0644, 0));
    uint64_t filled = fill_data("/filler");
    cr_assert(filled > 500000, "the region was full after %llu bytes", (unsigned long long)filled);
    fill_names();
    fill_data("/filler-again");
}

static void tear_down(void)
{
    fixture_close(&fixture);
}

static int64_t write_at(const char *path, uint64_t offset, size_t length)
{
    static uint8_t bytes[100000];
    struct vmfs_file *file = fixture_file(&fixture, path, VMFS_O_RDWR);
    seed_fill(bytes, length, offset);
    int64_t written = vmfs_file_pwrite(file, bytes, length, offset);
    expect_ok(vmfs_file_close(file));
    return written;
}

static int64_t make_by_open(void)
{
    struct vmfs_file *file;
    int err = vmfs_file_open(fs, "/dir/opened", VMFS_O_CREAT | VMFS_O_RDWR, 0644, &file);
    return err != 0 ? err : vmfs_file_close(file);
}

static int64_t call_changing(unsigned call, unsigned turn)
{
    char path[300];
    static const uint8_t value[60000];
    snprintf(path, sizeof(path), "/dir/%0200u", turn);
    switch (call) {
    case 0:
        return vmfs_mkdir(fs, path, 0755);
    case 1:
        return vmfs_mknod(fs, path, 0644, 0);
    case 2:
        return vmfs_symlink(fs, path, path);
    case 3:
        return vmfs_link(fs, "/file", path);
    case 4:
        return make_by_open();
    case 5:
        return vmfs_rename(fs, "/link", path, 0) != 0 ? -ENOSPC : vmfs_rename(fs, path, "/link", 0);
    case 6:
        return write_at("/other", 40960, 50000);
    case 7:
        return write_at("/other", (1 << 20) + 5, 90000);
    case 8:
        return vmfs_xattr_set(fs, "/file", 0, "user.large", value, sizeof(value));
    case 9:
        return vmfs_xattr_set(fs, "/dir", 0, "user.small", path, 30 + turn % 100);
    case 10:
        return vmfs_truncate(fs, "/other", (1 << 20) + 100 * turn);
    default:
        return vmfs_rename(fs, "/empty", "/dir/moved", 0) != 0
                   ? -ENOSPC
                   : vmfs_rename(fs, "/dir/moved", "/empty", 0);
    }
}

enum { CHANGING_CALLS = 12 };

Test(full, failed_calls_change_nothing, .init = set_up, .fini = tear_down)
{
    unsigned refused[CHANGING_CALLS] = {0};
    for (unsigned turn = 0; turn < 40; turn++) {
        for (unsigned call = 0; call < CHANGING_CALLS; call++) {
            uint64_t before = region_digest(fs, "/");
            struct vmfs_statfs space_before;
            struct vmfs_statfs space_after;
            expect_ok(vmfs_statfs(fs, &space_before));
            int64_t code = call_changing(call, turn);
            cr_assert(code >= 0 || code == -ENOSPC || code == -EEXIST, "call %u returned %lld",
                      call, (long long)code);
            if (code >= 0)
                continue;
            refused[call]++;
            expect_ok(vmfs_statfs(fs, &space_after));
            cr_assert(region_digest(fs, "/") == before,
                      "call %u returned %lld and changed the tree", call, (long long)code);
            cr_assert(space_before.blocks_free == space_after.blocks_free &&
                          space_before.inodes_used == space_after.inodes_used,
                      "call %u returned %lld and kept space", call, (long long)code);
        }
    }
    cr_assert(refused[6] > 0 && refused[7] > 0 && refused[8] > 0,
              "the region was not full: %u, %u, %u refusals", refused[6], refused[7], refused[8]);
    expect_ok(region_check(fs));
}

/* Writes over a block that is there and into the hole behind it. What it returns it has stored. */
static bool write_over_hole(struct vmfs_file *file, unsigned hole, unsigned turn)
{
    static uint8_t before[2 * PAGE];
    static uint8_t after[2 * PAGE];
    static uint8_t bytes[2 * PAGE];
    uint64_t offset = (uint64_t)hole * 2 * PAGE;
    seed_fill(bytes, sizeof(bytes), turn);
    expect_code(vmfs_file_pread(file, before, sizeof(before), offset), sizeof(before));
    int64_t written = vmfs_file_pwrite(file, bytes, sizeof(bytes), offset);
    expect_code(vmfs_file_pread(file, after, sizeof(after), offset), sizeof(after));
    cr_assert(written > 0 || written == -ENOSPC, "the write returned %lld", (long long)written);
    size_t stored = written > 0 ? (size_t)written : 0;
    cr_assert(memcmp(after, bytes, stored) == 0, "turn %u: what was written is not there", turn);
    cr_assert(memcmp(after + stored, before + stored, sizeof(after) - stored) == 0,
              "turn %u: the write returned %lld and stored more", turn, (long long)written);
    return stored == sizeof(bytes);
}

/* The last free block goes to data, and the extent that would name it finds no room in its node. */
Test(full, a_refused_write_stores_nothing)
{
    enum { HOLES = 400 };
    struct seed seed;
    seed_init(&seed, 1);
    fixture_open(&fixture, "refused", SMALL_BYTES + REGION_MIB * 2);
    fs = fixture.fs;
    struct vmfs_file *file = fixture_file(&fixture, "/holed", VMFS_O_CREAT | VMFS_O_RDWR);
    for (unsigned i = 0; i < HOLES; i++)
        expect_code(vmfs_file_pwrite(file, "x", 1, (uint64_t)i * 2 * PAGE), 1);
    expect_ok(vmfs_file_truncate(file, (uint64_t)HOLES * 2 * PAGE));
    uint64_t filled = fill_data("/filler") / PAGE * PAGE;
    unsigned refused = 0;
    for (unsigned turn = 0; turn < 300; turn++) {
        bool is_whole = write_over_hole(file, (unsigned)seed_below(&seed, HOLES), turn);
        refused += is_whole ? 0 : 1;
        if (!is_whole && filled > PAGE) {
            filled -= PAGE;
            expect_ok(vmfs_truncate(fs, "/filler", filled));
        }
    }
    cr_assert(refused > 20, "only %u writes were refused", refused);
    expect_ok(vmfs_file_close(file));
    fixture_close(&fixture);
}

Test(full, overwriting_and_attributes_work, .init = set_up, .fini = tear_down)
{
    expect_code(write_at("/file", 0, 20000), 20000);
    expect_ok(vmfs_chmod(fs, "/file", 0600));
    expect_ok(vmfs_chown(fs, "/file", 5, 6));
    expect_ok(vmfs_utimens(fs, "/file", 7, 8));
    expect_ok(vmfs_rename(fs, "/file", "/other", VMFS_RENAME_EXCHANGE));
    expect_ok(vmfs_sync(fs));
}

Test(full, freeing_works_and_then_all_else, .init = set_up, .fini = tear_down)
{
    expect_ok(vmfs_truncate(fs, "/filler", 0));
    expect_ok(vmfs_unlink(fs, "/filler-again"));
    expect_ok(vmfs_rmdir(fs, "/empty"));
    expect_ok(region_remove_tree(fs, "/names"));
    for (unsigned call = 0; call < CHANGING_CALLS - 1; call++) {
        int64_t code = call_changing(call, 100 + call);
        cr_assert(code >= 0, "call %u returned %lld after space was freed", call, (long long)code);
    }
}

Test(full, survives_reopening, .init = set_up, .fini = tear_down)
{
    uint64_t before = region_digest(fs, "/");
    fixture_reopen(&fixture);
    fs = fixture.fs;
    cr_assert(region_digest(fs, "/") == before);
    expect_ok(vmfs_unlink(fs, "/filler"));
    expect_code(write_at("/other", 40960, 50000), 50000);
}

Test(full, a_hundred_rounds)
{
    fixture_open(&fixture, "rounds", SMALL_BYTES);
    fs = fixture.fs;
    struct vmfs_statfs first = {0};
    uint64_t first_filled = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct vmfs_statfs space;
        uint64_t filled = fill_data("/filler");
        expect_ok(vmfs_unlink(fs, "/filler"));
        expect_ok(vmfs_statfs(fs, &space));
        if (round == 0) {
            first = space;
            first_filled = filled;
        }
        cr_assert(filled >= first_filled - first_filled / 20,
                  "round %u: %llu bytes fit, at first %llu", round, (unsigned long long)filled,
                  (unsigned long long)first_filled);
        cr_assert(space.blocks_free == first.blocks_free, "round %u: %llu free blocks, not %llu",
                  round, (unsigned long long)space.blocks_free,
                  (unsigned long long)first.blocks_free);
    }
    fixture_close(&fixture);
}

Test(full, a_hundred_rounds_of_names)
{
    fixture_open(&fixture, "name-rounds", SMALL_BYTES);
    fs = fixture.fs;
    unsigned first = 0;
    for (unsigned round = 0; round < ROUNDS / 4; round++) {
        expect_ok(vmfs_mkdir(fs, "/names", 0755));
        unsigned made = fill_names();
        first = round == 0 ? made : first;
        cr_assert(made * 10 >= first * 9, "round %u: only %u names fit, %u at first", round, made,
                  first);
        expect_ok(region_remove_tree(fs, "/names"));
    }
    fixture_close(&fixture);
}

/* ---- fill, unlink one file, write the same again ---- */

#define AGAIN_ROUNDS  1000
#define AGAIN_THREADS 4
#define AGAIN_BYTES   (40 * PAGE)

struct again {
    pthread_t thread;
    char path[32];
    unsigned refused;
};

/* 1 if the whole file was written. */
static unsigned write_again(const char *path)
{
    static const uint8_t bytes[AGAIN_BYTES];
    struct vmfs_file *file;
    expect_ok(vmfs_file_open(fs, path, VMFS_O_CREAT | VMFS_O_RDWR, 0644, &file));
    int64_t written = 0;
    uint64_t offset = 0;
    while (offset < AGAIN_BYTES && written >= 0) {
        written = vmfs_file_pwrite(file, bytes, 4 * PAGE, offset);
        offset += written > 0 ? (uint64_t)written : 0;
    }
    expect_ok(vmfs_file_close(file));
    return offset == AGAIN_BYTES;
}

static void *again_rounds(void *arg)
{
    struct again *again = arg;
    for (unsigned round = 0; round < AGAIN_ROUNDS; round++) {
        expect_ok(vmfs_unlink(fs, again->path));
        again->refused += write_again(again->path) ? 0 : 1;
    }
    return NULL;
}

static void run_again(unsigned threads)
{
    static struct again again[AGAIN_THREADS];
    fixture_open(&fixture, "again", SMALL_BYTES + REGION_MIB);
    fs = fixture.fs;
    for (unsigned i = 0; i < threads; i++) {
        again[i] = (struct again){.refused = 0};
        snprintf(again[i].path, sizeof(again[i].path), "/file-%u", i);
        cr_assert(write_again(again[i].path));
    }
    /* A file that comes to lie in more pieces may need a node for its extents. */
    uint64_t filled = fill_data("/filler") / PAGE * PAGE;
    expect_ok(vmfs_truncate(fs, "/filler", filled - (threads - 1) * 5 * PAGE));
    for (unsigned i = 1; i < threads; i++)
        cr_assert(pthread_create(&again[i].thread, NULL, again_rounds, &again[i]) == 0);
    again_rounds(&again[0]);
    for (unsigned i = 1; i < threads; i++)
        pthread_join(again[i].thread, NULL);
    for (unsigned i = 0; i < threads; i++)
        cr_assert(again[i].refused == 0, "%s: %u of %u rounds found no space", again[i].path,
                  again[i].refused, AGAIN_ROUNDS);
    expect_ok(region_check(fs));
    fixture_close(&fixture);
}

Test(full, the_same_file_again_a_thousand_times)
{
    run_again(1);
}

Test(full, the_same_files_again_by_several_threads)
{
    run_again(AGAIN_THREADS);
}

/* Freeing more blocks of attributes than one record has room for takes several. */
Test(full, a_file_with_many_large_attributes_goes)
{
    static uint8_t value[2000];
    char name[32];
    struct vmfs_statfs before;
    struct vmfs_statfs after;
    fixture_open(&fixture, "attributes", 16 * REGION_MIB);
    fs = fixture.fs;
    expect_ok(vmfs_mknod(fs, "/other", 0644, 0));
    expect_ok(vmfs_statfs(fs, &before));
    for (unsigned turn = 0; turn < 2; turn++) {
        expect_ok(vmfs_mknod(fs, "/file", 0644, 0));
        for (unsigned i = 0; i < 300; i++) {
            snprintf(name, sizeof(name), "user.%u", i);
            expect_ok(vmfs_xattr_set(fs, "/file", 0, name, value, sizeof(value)));
        }
        expect_ok(turn ? vmfs_rename(fs, "/other", "/file", 0) : vmfs_unlink(fs, "/file"));
    }
    expect_ok(vmfs_statfs(fs, &after));
    cr_assert(after.blocks_free == before.blocks_free && after.inodes_used == before.inodes_used);
    fixture_close(&fixture);
}

/* A file with three extents, of which zeroing cuts one in two and fills the hole behind it, while the region
 * has `spare` free blocks: what is dropped for want of a node is begun again. */
static void zero_with_spare(uint64_t spare)
{
    static uint8_t bytes[15 * PAGE];
    static uint8_t found[15 * PAGE];
    fixture_open(&fixture, "zeroing", SMALL_BYTES);
    fs = fixture.fs;
    seed_fill(bytes, sizeof(bytes), 5);
    struct vmfs_file *file = fixture_file(&fixture, "/file", VMFS_O_CREAT | VMFS_O_RDWR);
    expect_code(vmfs_file_pwrite(file, bytes, 10 * PAGE, 0), 10 * PAGE);
    expect_code(vmfs_file_pwrite(file, bytes, PAGE, (uint64_t)12 * PAGE), PAGE);
    expect_code(vmfs_file_pwrite(file, bytes, PAGE, (uint64_t)14 * PAGE), PAGE);
    fill_data("/filler");
    struct vmfs_file *filler = fixture_file(&fixture, "/filler", VMFS_O_RDWR);
    if (spare)
        expect_ok(
            vmfs_file_allocate(filler, VMFS_ALLOC_PUNCH | VMFS_ALLOC_KEEP_SIZE, 0, spare * PAGE));
    expect_ok(vmfs_file_close(filler));
    expect_ok(vmfs_sync(fs));
    int result = vmfs_file_allocate(file, VMFS_ALLOC_ZERO, (uint64_t)2 * PAGE, (uint64_t)10 * PAGE);
    cr_assert(result == 0 || result == -ENOSPC, "returned %d", result);
    expect_code(vmfs_file_pread(file, found, sizeof(found), 0), sizeof(found));
    for (size_t at = (size_t)2 * PAGE; at < (size_t)12 * PAGE; at++)
        cr_assert(found[at] == 0 || (result && found[at] == bytes[at]),
                  "%llu blocks spare: byte %zu is %02x", (unsigned long long)spare, at, found[at]);
    cr_assert(memcmp(found, bytes, (size_t)2 * PAGE) == 0);
    expect_ok(vmfs_file_close(file));
    fixture_close(&fixture);
}

Test(full, zeroing_is_never_half_done)
{
    for (uint64_t spare = 0; spare < 6; spare++)
        zero_with_spare(spare);
}

/* The file behind the region, where it may not have all the memory that it asks for, 2 MiB at a time. */
#define BACKED_BYTES (2 * REGION_MIB)
#define THIN_CHUNKS  16
static bool is_thin;
static unsigned chunks_left;
static bool is_backed[THIN_CHUNKS];

int fallocate(int fd, int mode, off_t offset, off_t length)
{
    uint64_t chunk = (uint64_t)offset / BACKED_BYTES;
    if (is_thin && !is_backed[chunk]) {
        if (chunks_left == 0) {
            errno = ENOSPC;
            return -1;
        }
        chunks_left--;
        is_backed[chunk] = true;
    }
    return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

enum { THIN_FILES = 4000, THIN_BYTES = 10000 };

static bool is_thin_there[THIN_FILES];

/* Makes files from the number at `arg` on that are not there, until one does not go in. */
static void *fill_thin(void *arg)
{
    char path[32];
    int err = 0;
    for (unsigned i = *(const unsigned *)arg; i < THIN_FILES && err == 0; i++) {
        if (is_thin_there[i])
            continue;
        snprintf(path, sizeof(path), "/thin%u", i);
        err = region_put_file(fs, path, THIN_BYTES, i);
        is_thin_there[i] = err == 0;
        if (err != 0)
            vmfs_unlink(fs, path); /* what went in of it */
    }
    return NULL;
}

static unsigned count_thin(void)
{
    unsigned count = 0;
    for (unsigned i = 0; i < THIN_FILES; i++)
        count += is_thin_there[i] ? 1 : 0;
    return count;
}

/* What is freed can be used again although the backing has no more: by any thread, whichever had it. */
Test(full, a_backing_that_cannot_grow)
{
    unsigned starts[] = {1000, 2000, 3000};
    char path[32];
    chunks_left = 8;
    is_thin = true;
    fixture_open(&fixture, "thin", THIN_CHUNKS * BACKED_BYTES);
    fs = fixture.fs;
    for (unsigned i = 0; i < 3; i++) {
        pthread_t thread;
        expect_ok(pthread_create(&thread, NULL, fill_thin, &starts[i]));
        expect_ok(pthread_join(thread, NULL));
    }
    fill_thin(&(unsigned){0});
    unsigned made = count_thin();
    for (unsigned i = 0; i < THIN_FILES; i += 2) {
        snprintf(path, sizeof(path), "/thin%u", i);
        expect_code(vmfs_unlink(fs, path), is_thin_there[i] ? 0 : -ENOENT);
        is_thin_there[i] = false;
    }
    fill_thin(&(unsigned){0});
    cr_assert(made > 1000 && count_thin() + 10 > made, "%u files of %u are there again",
              count_thin(), made);
    chunks_left = 3;
    fill_thin(&(unsigned){0});
    cr_assert(count_thin() > made + 300, "%u files went in when there was more",
              count_thin() - made);
    expect_ok(region_check(fs));
    is_thin = false;
    fixture_close(&fixture);
}
