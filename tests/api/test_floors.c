/* test_floors.c -- how many fences each call may issue and how many words it may share, call by call
 *
 * Every case makes 10,000 calls. A changing call issues exactly its floor in at least 94 % of them,
 * never more than 4 (an index node that splits, a checkpoint slice), and on average at most 0.10
 * more. A call that only reads issues none, ever.
 * What threads on different objects share is the sequence number: a changing call writes it once, and
 * nothing else in at least 94 % of the calls; refills, new groups and checkpoint slices are the rest. A
 * call that only reads writes nothing shared, ever. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "acl_text.h"
#include "fixture.h"

#define CALLS           10000
#define WARM_UP         200
#define FENCES_MAX      4
#define SHARED_MEAN_MAX 1.2
#define PAGE            4096

struct floor_run {
    struct fixture fixture;
    struct vmfs *fs;
    struct vmfs_file *file;
    struct vmfs_dir *dir;
    struct vmfs_file *nameless[CALLS + WARM_UP];
    uint64_t ids[CALLS + WARM_UP];
    uint8_t page[PAGE];
};

struct floor_case {
    const char *name;
    unsigned floor;                                    /* fences of a steady call */
    int (*prepare)(struct floor_run *run, unsigned i); /* before all calls; may be null */
    int64_t (*call)(struct floor_run *run, unsigned i);
    bool is_bound;   /* the floor is an upper bound: fewer are as good */
    bool may_share;  /* it notes an access time, where neighbours' are noted too */
    unsigned blocks; /* that a call takes, if more than one: it claims chunks more often */
};

static const char *name_of(const char *dir, unsigned i)
{
    static char names[4][64];
    static unsigned turn;
    char *name = names[turn++ % 4];
    snprintf(name, sizeof(names[0]), "/%s/entry-%05u", dir, i);
    return name;
}

static struct vmfs_counters count_cost(struct vmfs *fs)
{
    struct vmfs_counters counters;
    expect_ok(vmfs_counters(fs, VMFS_COUNTERS_THREAD, &counters));
    return counters;
}

struct tally {
    unsigned at_floor;
    uint64_t total;
    uint64_t most;
    unsigned shares_one; /* calls that shared one word or none */
    uint64_t shared;
};

static void tally_call(struct tally *tally, const struct floor_case *floor, uint64_t fences,
                       uint64_t shared)
{
    bool is_at_floor = floor->is_bound ? fences <= floor->floor : fences == floor->floor;
    tally->at_floor += is_at_floor ? 1 : 0;
    tally->total += fences;
    tally->shares_one += shared <= 1 ? 1 : 0;
    tally->shared += shared;
    tally->most = fences > tally->most ? fences : tally->most;
}

static void judge_shared(const struct floor_case *floor, const struct tally *tally)
{
    double mean = (double)tally->shared / CALLS;
    double share = 100.0 * tally->shares_one / CALLS;
    fprintf(stderr, "%s: %.1f %% share one word at most, mean %.3f\n", floor->name, share, mean);
    if (floor->floor == 0) {
        cr_assert(tally->shared == 0, "%s: %llu shared words", floor->name,
                  (unsigned long long)tally->shared);
        return;
    }
    cr_assert(share >= 94.0, "%s: only %.1f %% of the calls share one word", floor->name, share);
    double most = SHARED_MEAN_MAX + (floor->blocks > 1 ? floor->blocks / 64.0 : 0);
    cr_assert(mean <= most, "%s: mean of %.3f shared words", floor->name, mean);
}

static void judge(const struct floor_case *floor, const struct tally *tally)
{
    double mean = (double)tally->total / CALLS;
    double share = 100.0 * tally->at_floor / CALLS;
    fprintf(stderr, "%s: floor %u, %.1f %% at it, mean %.3f, most %llu\n", floor->name,
            floor->floor, share, mean, (unsigned long long)tally->most);
    if (!floor->may_share)
        judge_shared(floor, tally);
    if (floor->floor == 0) {
        cr_assert(tally->total == 0, "%s: %llu fences in %d calls", floor->name,
                  (unsigned long long)tally->total, CALLS);
        return;
    }
    cr_assert(share >= 94.0, "%s: only %.1f %% of the calls are at the floor", floor->name, share);
    cr_assert(tally->most <= FENCES_MAX, "%s: one call issued %llu fences", floor->name,
              (unsigned long long)tally->most);
    cr_assert(mean <= floor->floor + 0.10, "%s: mean of %.3f fences", floor->name, mean);
}

static void make_dirs(struct floor_run *run)
{
    static const char *const dirs[] = {"/a", "/b"};
    for (unsigned i = 0; i < 2; i++)
        expect_ok(vmfs_mkdir(run->fs, dirs[i], 0755));
    expect_ok(region_put_file(run->fs, "/file", 64 * PAGE, 1));
    run->file = fixture_file(&run->fixture, "/file", VMFS_O_RDWR);
}

static void run_floor(const struct floor_case *floor)
{
    static struct floor_run run;
    memset(&run, 0, sizeof(run));
    fixture_open(&run.fixture, floor->name, 512 * REGION_MIB);
    run.fs = run.fixture.fs;
    make_dirs(&run);
    for (unsigned i = 0; i < CALLS + WARM_UP && floor->prepare != NULL; i++)
        cr_assert(floor->prepare(&run, i) == 0, "%s: preparing %u failed", floor->name, i);
    struct tally tally = {0};
    usleep(20000); /* the clock has ticked since: the first read sets the access time, for long */
    for (unsigned i = 0; i < CALLS + WARM_UP; i++) {
        struct vmfs_counters before = count_cost(run.fs);
        int64_t code = floor->call(&run, i);
        struct vmfs_counters after = count_cost(run.fs);
        cr_assert(code >= 0, "%s: call %u returned %lld", floor->name, i, (long long)code);
        if (i >= WARM_UP)
            tally_call(&tally, floor, after.fences - before.fences, after.shared - before.shared);
    }
    judge(floor, &tally);
    if (run.dir != NULL)
        expect_ok(vmfs_dir_close(run.dir));
    if (run.file != NULL)
        expect_ok(vmfs_file_close(run.file));
    for (unsigned i = 0; i < CALLS + WARM_UP && run.nameless[i] != NULL; i++)
        expect_ok(vmfs_file_close(run.nameless[i]));
    fixture_close(&run.fixture);
}

/* ------------------------------------------------------------------------------- preparations */

static int put_empty(struct floor_run *run, unsigned i)
{
    return vmfs_mknod(run->fs, name_of("a", i), VMFS_S_IFREG | 0644, 0);
}

static int put_both(struct floor_run *run, unsigned i)
{
    int err = put_empty(run, i);
    return err != 0 ? err : vmfs_mknod(run->fs, name_of("b", i), VMFS_S_IFREG | 0644, 0);
}

static int put_dir(struct floor_run *run, unsigned i)
{
    return vmfs_mkdir(run->fs, name_of("a", i), 0755);
}

static int put_two_pages(struct floor_run *run, unsigned i)
{
    return region_put_file(run->fs, name_of("a", i), 2 * PAGE, i);
}

static int put_xattr(struct floor_run *run, unsigned i)
{
    int err = put_empty(run, i);
    return err != 0 ? err : vmfs_xattr_set(run->fs, name_of("a", i), 0, "trusted.small", "v", 1);
}

static int put_link(struct floor_run *run, unsigned i)
{
    return vmfs_symlink(run->fs, "target", name_of("a", i));
}

/* ------------------------------------------------------------------------------ names, changing */

static int64_t call_mknod(struct floor_run *run, unsigned i)
{
    return vmfs_mknod(run->fs, name_of("a", i), VMFS_S_IFREG | 0644, 0);
}

static int64_t call_create(struct floor_run *run, unsigned i)
{
    if (run->file != NULL)
        vmfs_file_close(run->file);
    run->file = NULL;
    return vmfs_file_open(run->fs, name_of("a", i), VMFS_O_CREAT | VMFS_O_RDWR, 0644, &run->file);
}

static int64_t call_mkdir(struct floor_run *run, unsigned i)
{
    return vmfs_mkdir(run->fs, name_of("a", i), 0755);
}

static int64_t call_symlink(struct floor_run *run, unsigned i)
{
    return vmfs_symlink(run->fs, "../file", name_of("a", i));
}

static int64_t call_link(struct floor_run *run, unsigned i)
{
    return vmfs_link(run->fs, "/file", name_of("a", i));
}

static int64_t call_unlink(struct floor_run *run, unsigned i)
{
    return vmfs_unlink(run->fs, name_of("a", i));
}

static int64_t call_rmdir(struct floor_run *run, unsigned i)
{
    return vmfs_rmdir(run->fs, name_of("a", i));
}

static int64_t call_rename_same(struct floor_run *run, unsigned i)
{
    return vmfs_rename(run->fs, name_of("a", i), name_of("a", i + 50000), 0);
}

static int64_t call_rename_cross(struct floor_run *run, unsigned i)
{
    return vmfs_rename(run->fs, name_of("a", i), name_of("b", i), 0);
}

static int64_t call_exchange(struct floor_run *run, unsigned i)
{
    return vmfs_rename(run->fs, name_of("a", i), name_of("b", i), VMFS_RENAME_EXCHANGE);
}

static int open_nameless(struct floor_run *run, unsigned i)
{
    return vmfs_file_open(run->fs, "/a", VMFS_O_TMPFILE | VMFS_O_RDWR, 0644, &run->nameless[i]);
}

static int64_t call_tmpfile(struct floor_run *run, unsigned i)
{
    return open_nameless(run, i);
}

static int64_t call_file_link(struct floor_run *run, unsigned i)
{
    return vmfs_file_link(run->nameless[i], vmfs_at(0, name_of("a", i)));
}

static int64_t call_close_tmpfile(struct floor_run *run, unsigned i)
{
    struct vmfs_file *file = run->nameless[i];
    run->nameless[i] = NULL;
    return vmfs_file_close(file);
}

/* ------------------------------------------------------------------------- attributes, changing */

static int64_t call_flags(struct floor_run *run, unsigned i)
{
    const struct vmfs_attr attr = {.mask = VMFS_ATTR_FLAGS,
                                   .flags = i % 2 ? VMFS_INODE_NODUMP : VMFS_INODE_NOATIME};
    return vmfs_setattr(run->fs, "/file", 0, &attr);
}

static int64_t call_xattr_remove(struct floor_run *run, unsigned i)
{
    return vmfs_xattr_remove(run->fs, name_of("a", i), 0, "trusted.small");
}

static int64_t call_chmod(struct floor_run *run, unsigned i)
{
    return vmfs_chmod(run->fs, "/file", 0600 + i % 64);
}

static int64_t call_utimens(struct floor_run *run, unsigned i)
{
    return vmfs_utimens(run->fs, "/file", (int64_t)i, (int64_t)i + 1);
}

static int64_t call_xattr_set(struct floor_run *run, unsigned i)
{
    return vmfs_xattr_set(run->fs, "/file", 0, "user.small", &i, sizeof(i));
}

static int64_t call_truncate_same(struct floor_run *run, unsigned i)
{
    return vmfs_truncate(run->fs, "/file", 63 * PAGE + 1 + i % (PAGE - 1));
}

static int64_t call_truncate_up(struct floor_run *run, unsigned i)
{
    return vmfs_truncate(run->fs, "/file", (65 + (uint64_t)i) * PAGE);
}

static int64_t call_truncate_down(struct floor_run *run, unsigned i)
{
    return vmfs_truncate(run->fs, name_of("a", i), PAGE);
}

/* ------------------------------------------------------------------------------ data, changing */

static int64_t call_overwrite(struct floor_run *run, unsigned i)
{
    memset(run->page, (int)i, PAGE);
    return vmfs_file_pwrite(run->file, run->page, PAGE, (uint64_t)(i % 64) * PAGE);
}

static int64_t call_append(struct floor_run *run, unsigned i)
{
    return vmfs_file_pwrite(run->file, run->page, PAGE, (64 + (uint64_t)i) * PAGE);
}

static int64_t call_reserve(struct floor_run *run, unsigned i)
{
    return vmfs_file_allocate(run->file, 0, (64 + (uint64_t)i) * PAGE, PAGE);
}

static int put_two_more(struct floor_run *run, unsigned i)
{
    static uint8_t pages[2 * PAGE];
    int64_t written = vmfs_file_pwrite(run->file, pages, sizeof(pages), 2 * (uint64_t)i * PAGE);
    return written == (int64_t)sizeof(pages) ? 0 : -1;
}

static int64_t call_punch(struct floor_run *run, unsigned i)
{
    int mode = VMFS_ALLOC_PUNCH | VMFS_ALLOC_KEEP_SIZE;
    return vmfs_file_allocate(run->file, mode, 2 * (uint64_t)i * PAGE, PAGE);
}

static int64_t call_pwritev(struct floor_run *run, unsigned i)
{
    memset(run->page, (int)i, PAGE);
    const struct vmfs_iovec pieces[] = {
        {run->page, 3}, {run->page + 3, 2000}, {run->page + 2003, PAGE - 2003}};
    return vmfs_file_pwritev(run->file, pieces, 3, (uint64_t)(i % 64) * PAGE);
}

static int make_atomic(struct floor_run *run, unsigned i)
{
    if (i != 0)
        return 0;
    expect_ok(vmfs_file_close(run->file));
    run->file = fixture_file(&run->fixture, "/file", VMFS_O_RDWR | VMFS_O_ATOMIC);
    return 0;
}

static int64_t call_atomic_small(struct floor_run *run, unsigned i)
{
    memset(run->page, (int)i, 200);
    return vmfs_file_pwrite(run->file, run->page, 200, (uint64_t)(i % 64) * (PAGE - 9));
}

static int64_t call_atomic_large(struct floor_run *run, unsigned i)
{
    static uint8_t bytes[16 * PAGE];
    memset(bytes, (int)i, sizeof(bytes));
    return vmfs_file_pwrite(run->file, bytes, sizeof(bytes), (uint64_t)(i % 4) * sizeof(bytes));
}

static int64_t call_copy(struct floor_run *run, unsigned i)
{
    uint64_t page = i % 32;
    return vmfs_file_copy_range(run->file, page * PAGE, run->file, (page + 32) * PAGE, PAGE);
}

/* --------------------------------------------------------------------------------------- reading
 */

static int64_t call_stat(struct floor_run *run, unsigned i)
{
    struct vmfs_stat stat;
    return vmfs_stat(run->fs, name_of("a", i), 0, &stat);
}

static int64_t call_lookup_missing(struct floor_run *run, unsigned i)
{
    struct vmfs_stat stat;
    return vmfs_stat(run->fs, name_of("b", i), 0, &stat) < 0 ? 0 : -1;
}

static int64_t call_open_close(struct floor_run *run, unsigned i)
{
    struct vmfs_file *file;
    int err = vmfs_file_open(run->fs, name_of("a", i), VMFS_O_RDWR, 0, &file);
    return err != 0 ? err : vmfs_file_close(file);
}

static int64_t call_read(struct floor_run *run, unsigned i)
{
    return vmfs_file_pread(run->file, run->page, PAGE, (uint64_t)(i % 64) * PAGE);
}

static int64_t call_readdir(struct floor_run *run, unsigned i)
{
    struct vmfs_dirent entry;
    (void)i;
    if (run->dir == NULL)
        expect_ok(vmfs_dir_open(run->fs, "/a", &run->dir));
    return vmfs_dir_read(run->dir, &entry) == 1 ? 0 : -1;
}

/* Each is read for the first time, so that each call sets an access time. */
static int64_t call_readlink(struct floor_run *run, unsigned i)
{
    char byte;
    return vmfs_readlink(run->fs, name_of("a", i), &byte, 1);
}

static int64_t call_opendir(struct floor_run *run, unsigned i)
{
    struct vmfs_dir *dir;
    int err = vmfs_dir_open(run->fs, name_of("a", i), &dir);
    return err != 0 ? err : vmfs_dir_close(dir);
}

static int64_t call_xattr_get(struct floor_run *run, unsigned i)
{
    (void)i;
    return vmfs_xattr_list(run->fs, "/file", 0, NULL, 0);
}

static int64_t call_lookup(struct floor_run *run, unsigned i)
{
    struct vmfs_stat stat;
    return vmfs_lookup(run->fs, vmfs_at(0, name_of("a", i)), &stat);
}

static int64_t call_hold(struct floor_run *run, unsigned i)
{
    struct vmfs_stat stat;
    int err = vmfs_stat(run->fs, name_of("a", i), 0, &stat);
    return err != 0 ? err : vmfs_hold(run->fs, stat.ino);
}

static int put_held(struct floor_run *run, unsigned i)
{
    struct vmfs_stat stat;
    const struct vmfs_make what = {.mode = 0644};
    int err = vmfs_make(run->fs, vmfs_at(0, name_of("a", i)), &what, &stat);
    run->ids[i] = stat.ino;
    return err;
}

static int64_t call_release(struct floor_run *run, unsigned i)
{
    return vmfs_release(run->fs, run->ids[i], 1);
}

static int64_t call_make(struct floor_run *run, unsigned i)
{
    return put_held(run, i);
}

static int64_t call_view(struct floor_run *run, unsigned i)
{
    struct vmfs_iovec pieces[4];
    struct vmfs_view view;
    unsigned count = 4;
    int64_t got = vmfs_file_view(run->file, PAGE, (uint64_t)(i % 64) * PAGE, pieces, &count, &view);
    if (got >= 0)
        vmfs_view_end(&view);
    return got;
}

static int64_t call_read_at(struct floor_run *run, unsigned i)
{
    struct vmfs_dirent entry;
    struct vmfs_stat stat;
    if (i == 0) {
        expect_ok(vmfs_stat(run->fs, "/a", 0, &stat));
        run->ids[0] = stat.ino;
        run->ids[1] = 0;
    }
    int more = vmfs_dir_read_at(run->fs, run->ids[0], run->ids[1], &entry, &stat);
    run->ids[1] = entry.cookie;
    return more == 1 ? 0 : -1;
}

/* -------------------------------------------------------------------------------------- ACLs */

static int put_acl(struct floor_run *run, const char *path, const char *name, const char *text)
{
    uint8_t bytes[ACL_BYTES_MAX];
    return vmfs_xattr_set(run->fs, path, 0, name, bytes, acl_from_text(text, bytes));
}

/* What is made in /b gets an ACL; directories get two. */
static int put_default(struct floor_run *run, unsigned i)
{
    return i > 0 ? 0 : put_acl(run, "/b", ACL_DEFAULT, "u7,u1000:7,g5,m7,o1");
}

static int64_t call_mknod_heir(struct floor_run *run, unsigned i)
{
    return vmfs_mknod(run->fs, name_of("b", i), 0644, 0);
}

static int64_t call_mkdir_heir(struct floor_run *run, unsigned i)
{
    return vmfs_mkdir(run->fs, name_of("b", i), 0755);
}

static int64_t call_make_heir(struct floor_run *run, unsigned i)
{
    struct vmfs_stat stat;
    const struct vmfs_make what = {.mode = 0644};
    return vmfs_make(run->fs, vmfs_at(0, name_of("b", i)), &what, &stat);
}

static int put_access(struct floor_run *run, unsigned i)
{
    return i > 0 ? 0 : put_acl(run, "/file", ACL_ACCESS, "u6,u1000:6,g4,g1000:4,m6,o0");
}

static int64_t call_access(struct floor_run *run, unsigned i)
{
    const struct vmfs_cred cred = {1000, i, NULL, 0};
    return vmfs_access_at(run->fs, vmfs_at(0, "/file"), 0, &cred, VMFS_R_OK | VMFS_W_OK);
}

static int64_t call_acl_set(struct floor_run *run, unsigned i)
{
    return put_acl(run, "/file", ACL_ACCESS, i % 2 ? "u6,u1000:6,g4,m6,o0" : "u6,g4,g1000:6,m4,o0");
}

/* ----------------------------------------------------------------------------------------- cases
 */

#define FLOOR(case_name, fences, before, calls)                                                    \
    Test(floors, case_name)                                                                        \
    {                                                                                              \
        run_floor(&(struct floor_case){                                                            \
            .name = #case_name, .floor = (fences), .prepare = (before), .call = (calls)});         \
    }

FLOOR(mknod, 1, NULL, call_mknod)
FLOOR(create, 1, NULL, call_create)
FLOOR(mkdir, 1, NULL, call_mkdir)
FLOOR(symlink, 1, NULL, call_symlink)
FLOOR(link, 1, NULL, call_link)
FLOOR(unlink, 1, put_empty, call_unlink)
FLOOR(unlink_with_data, 1, put_two_pages, call_unlink)
FLOOR(rmdir, 1, put_dir, call_rmdir)
FLOOR(rename_same_directory, 1, put_empty, call_rename_same)
FLOOR(rename_cross_directory, 1, put_empty, call_rename_cross)
FLOOR(rename_over_existing, 1, put_both, call_rename_cross)
FLOOR(rename_exchange, 1, put_both, call_exchange)
FLOOR(tmpfile, 1, NULL, call_tmpfile)
FLOOR(file_link, 1, open_nameless, call_file_link)
FLOOR(close_of_tmpfile, 1, open_nameless, call_close_tmpfile)
FLOOR(flags, 1, NULL, call_flags)
FLOOR(xattr_remove, 1, put_xattr, call_xattr_remove)
FLOOR(chmod, 1, NULL, call_chmod)
FLOOR(chmod_with_acl, 1, put_access, call_chmod)
FLOOR(acl_set, 1, NULL, call_acl_set)
FLOOR(mknod_under_default_acl, 1, put_default, call_mknod_heir)
FLOOR(make_under_default_acl, 1, put_default, call_make_heir)
FLOOR(access, 0, put_access, call_access)
FLOOR(utimens, 1, NULL, call_utimens)
FLOOR(make, 1, NULL, call_make)
FLOOR(xattr_set, 1, NULL, call_xattr_set)
FLOOR(truncate_same_blocks, 1, NULL, call_truncate_same)
FLOOR(truncate_up, 1, NULL, call_truncate_up)
FLOOR(truncate_down, 1, put_two_pages, call_truncate_down)
FLOOR(overwrite_in_place, 1, NULL, call_overwrite)
FLOOR(reserve, 1, NULL, call_reserve)
FLOOR(punch, 1, put_two_more, call_punch)
FLOOR(pwritev, 1, NULL, call_pwritev)
FLOOR(atomic_small, 1, make_atomic, call_atomic_small)
FLOOR(copy_in_place, 1, NULL, call_copy)
FLOOR(stat, 0, put_empty, call_stat)
FLOOR(lookup_of_missing, 0, put_empty, call_lookup_missing)
FLOOR(open_and_close, 0, put_empty, call_open_close)
FLOOR(read, 0, NULL, call_read)
FLOOR(opendir_and_close, 0, put_dir, call_opendir)
FLOOR(readdir, 0, put_empty, call_readdir)
FLOOR(lookup, 0, put_empty, call_lookup)
FLOOR(hold, 0, put_empty, call_hold)
FLOOR(release, 0, put_held, call_release)
FLOOR(view, 0, NULL, call_view)
FLOOR(dir_read_at, 0, put_empty, call_read_at)
FLOOR(xattr_list, 0, NULL, call_xattr_get)

Test(floors, readlink_for_the_first_time)
{
    run_floor(&(struct floor_case){
        .name = "readlink", .prepare = put_link, .call = call_readlink, .may_share = true});
}

Test(floors, atomic_64_kib)
{
    run_floor(&(struct floor_case){.name = "atomic_64_kib",
                                   .floor = 2,
                                   .prepare = make_atomic,
                                   .call = call_atomic_large,
                                   .blocks = 16});
}

/* A leaf for its attributes, and now and then one for names. */
Test(floors, mkdir_under_default_acl)
{
    run_floor(&(struct floor_case){.name = "mkdir_under_default_acl",
                                   .floor = 1,
                                   .prepare = put_default,
                                   .call = call_mkdir_heir,
                                   .blocks = 2});
}

Test(floors, append)
{
    run_floor(
        &(struct floor_case){.name = "append", .floor = 2, .call = call_append, .is_bound = true});
}

/* Where nodes split depends on the region's secret: a call in which everything coincides is rare.
 */
Test(floors, never_over_the_most_in_many_regions)
{
    static struct floor_run run;
    for (unsigned region = 0; region < 60; region++) {
        memset(&run, 0, sizeof(run));
        fixture_open(&run.fixture, "many", 64 * REGION_MIB);
        run.fs = run.fixture.fs;
        expect_ok(vmfs_mkdir(run.fs, "/a", 0755));
        for (unsigned i = 0; i < CALLS; i++) {
            uint64_t before = count_cost(run.fs).fences;
            expect_ok((int)(i % 2 == 0 ? call_mknod(&run, i) : call_mkdir(&run, i)));
            uint64_t fences = count_cost(run.fs).fences - before;
            cr_assert(fences <= FENCES_MAX, "region %u, call %u issued %llu fences", region, i,
                      (unsigned long long)fences);
        }
        expect_ok(vmfs_close(run.fs));
        unlink(run.fixture.path);
    }
}
