/* test_repair.c -- every damage that fsck knows is mended, and nothing else is touched */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fsck_world.h"
#include "repair_judge.h"

/* Records that are applied at attach must not heal what is damaged, but for the few that damages need. */
static void world_start(void)
{
    world_make();
    must(vmfs_sync(world.fs), "sync");
    for (unsigned call = 0; call < 3; call++)
        must(vmfs_chmod(world.fs, "/", call % 2 ? 0755 : 0700), "chmod");
}

TestSuite(repair, .init = world_start, .fini = world_free, .timeout = 240);

/* A copy of the damaged region, attached by itself. */
struct copy {
    uint8_t *memory;
    struct vmfs *fs;
    struct region_log log;
    unsigned told;
    unsigned mended;
    char first[200];
    char last[200];
};

static int copy_open(struct copy *copy, uint32_t flags)
{
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    options.flags = flags;
    options.log = region_log_keep;
    options.log_arg = &copy->log;
    return vmfs_attach(copy->memory, REGION_BYTES, &options, &copy->fs);
}

static int copy_make(struct copy *copy, uint32_t flags)
{
    *copy = (struct copy){.memory = map_guarded(REGION_BYTES)};
    memcpy(copy->memory, world.memory, REGION_BYTES);
    memset(copy->memory + VM_OWNER_BLOCK * VM_BLOCK_BYTES, 0, VM_BLOCK_BYTES); /* nobody has it */
    return copy_open(copy, flags);
}

static void copy_free(struct copy *copy, bool is_open)
{
    if (is_open)
        must(vmfs_close(copy->fs), "close");
    unmap_guarded(copy->memory, REGION_BYTES);
}

static void note(void *arg, const struct vmfs_problem *problem)
{
    struct copy *copy = arg;
    copy->told += !problem->is_mended;
    copy->mended += problem->is_mended;
    if (!problem->is_mended && !copy->first[0])
        snprintf(copy->first, sizeof copy->first, "%s", problem->text);
    snprintf(copy->last, sizeof copy->last, "P%u %s", problem->pass, problem->text);
}

static uint64_t problems_of(struct copy *copy)
{
    struct vmfs_check_result result;
    copy->last[0] = '\0';
    must(vmfs_check(copy->fs, note, copy, &result), "check");
    return result.problems;
}

static void expect_mended(struct copy *copy, const char *what)
{
    struct vmfs_check_result result = {.problems = 1};
    uint64_t before = problems_of(copy);
    int err = vmfs_repair(copy->fs, note, copy, &result);
    cr_expect_eq(err, 0, "%s: repair returned %d, last: %s", what, err, copy->last);
    cr_expect_eq(result.problems, 0, "%s: %llu problems left of %llu (%s)", what,
                 (unsigned long long)result.problems, (unsigned long long)before, copy->first);
    cr_expect_eq(problems_of(copy), 0, "%s: then %s", what, copy->last);
    cr_expect(before == 0 || copy->mended > 0, "%s: nothing was told", what);
}

static void expect_usable(struct copy *copy, const char *what)
{
    struct vmfs_file *file;
    cr_expect_eq(vmfs_mkdir(copy->fs, "/after-repair", 0755), 0, "%s: mkdir", what);
    cr_expect_eq(region_put_file(copy->fs, "/after-repair/file", 300000, 7), 0, "%s: put", what);
    cr_expect_eq(vmfs_file_open(copy->fs, "/after-repair/file", VMFS_O_RDWR, 0, &file), 0);
    cr_expect_eq(vmfs_file_close(file), 0);
    cr_expect_eq(vmfs_close(copy->fs), 0, "%s: close", what);
    cr_expect_eq(copy_open(copy, 0), 0, "%s: open", what);
    cr_expect_eq(problems_of(copy), 0, "%s: afterwards %s", what, copy->last);
}

/* ---- what each damage may cost ---- */

static struct inventory inventory;

/* The region as it is, opened and closed once. */
static void learn(void)
{
    struct copy copy;
    must(copy_make(&copy, 0), "attach");
    inventory_take(copy.fs, &inventory);
    copy_free(&copy, true);
}

/* False if it cannot be used afterwards. */
static bool repair_twice(struct copy *copy, struct repair_judge *judge, const char *what)
{
    struct vmfs_check_result result = {.problems = 1};
    int err = vmfs_repair(copy->fs, judge_hear, judge, &result);
    cr_expect_eq(err, 0, "%s: repair returned %d, last: %s", what, err, judge->last);
    cr_expect_eq(result.problems, 0, "%s: %llu problems left, last: %s", what,
                 (unsigned long long)result.problems, judge->last);
    const char *wrong = err ? NULL : judge_losses(judge, copy->fs);
    cr_expect_null(wrong, "%s: %s (and %u more)", what, wrong, judge->violations - 1);
    judge->lines = 0;
    err = vmfs_repair(copy->fs, judge_hear, judge, &result);
    cr_expect(err == 0 && judge->lines == 0, "%s: the second repair said %s", what, judge->last);
    return err == 0 && judge->lines == 0;
}

Test(repair, every_damage_is_mended)
{
    const char *only = getenv("VMFS_TEST_DAMAGE");
    learn();
    for (unsigned index = 0; index < damage_count; index++) {
        const struct damage *damage = &damages[index];
        struct copy copy;
        static struct repair_judge judge;
        if (only && strcmp(only, damage->name) != 0)
            continue;
        judge_begin(&judge, world.fs, &inventory, damage->cost);
        damage->make();
        must(copy_make(&copy, VMFS_REPAIR), damage->name);
        undo_all();
        if (repair_twice(&copy, &judge, damage->name))
            expect_usable(&copy, damage->name);
        cr_expect(judge.mended > 0 || damage->pass == VM_PASS_JOURNAL ||
                      damage->pass == VM_PASS_WATERMARK,
                  "%s: nothing was told", damage->name); /* it may have been so without damage */
        copy_free(&copy, true);
    }
    inventory_free(&inventory);
}

/* Before it was repaired such a handle does nothing else. */
Test(repair, comes_first)
{
    struct copy copy;
    struct vmfs_info info = {.struct_bytes = sizeof info};
    struct vmfs_check_result result;
    struct vmfs_stat stat;
    must(copy_make(&copy, VMFS_REPAIR), "attach");
    cr_expect_eq(vmfs_stat(copy.fs, "/", 0, &stat), -EUCLEAN);
    cr_expect_eq(copy.log.reason, VMFS_R_REPAIR_FIRST);
    cr_expect_eq(vmfs_info(copy.fs, &info), -EUCLEAN);
    cr_expect_eq(vmfs_check(copy.fs, NULL, NULL, &result), -EUCLEAN);
    cr_expect_eq(vmfs_sync(copy.fs), -EUCLEAN);
    must(vmfs_close(copy.fs), "close");
    must(copy_open(&copy, VMFS_REPAIR), "open");
    must(vmfs_repair(copy.fs, note, &copy, &result), "repair");
    cr_expect_eq(copy.told + copy.mended, 0, "%s", copy.last);
    cr_expect_eq(vmfs_mkdir(copy.fs, "/new", 0755), 0);
    cr_expect_eq(copy_open(&copy, VMFS_REPAIR | VMFS_RDONLY), -EINVAL);
    cr_expect_eq(copy_open(&copy, VMFS_REPAIR | VMFS_CREATE), -EINVAL);
    copy_free(&copy, true);
}

/* Leaves no block free, in a file that is to be removed again; false if the damage forbids it. */
static bool fill(struct copy *copy)
{
    static const uint8_t much[1 << 20];
    struct vmfs_file *file;
    if (vmfs_file_open(copy->fs, "/filling", VMFS_O_CREAT | VMFS_O_RDWR, 0644, &file) != 0)
        return false;
    uint64_t end = 0;
    uint64_t count = sizeof much;
    while (count >= VM_BLOCK_BYTES) {
        int64_t got = vmfs_file_pwrite(file, much, count, end);
        end += got > 0 ? (uint64_t)got : 0;
        count = got > 0 ? count : count / 2;
    }
    must(vmfs_file_close(file), "close");
    return end > 0;
}

/* Where something must be written anew there is no room for, that is said, the region is no worse, and with
 * room all is mended. */
Test(repair, a_full_region_is_repaired_once_there_is_room)
{
    unsigned full = 0;
    for (unsigned index = 0; index < damage_count; index++) {
        struct copy copy;
        struct vmfs_check_result result;
        damages[index].make();
        bool is_open = copy_make(&copy, 0) == 0;
        undo_all();
        if (is_open && fill(&copy)) {
            int err = vmfs_repair(copy.fs, NULL, NULL, &result);
            cr_expect(err == 0 || err == -ENOSPC, "%s: repair returned %d", damages[index].name,
                      err);
            full += err == -ENOSPC;
            if (err == -ENOSPC && vmfs_unlink(copy.fs, "/filling") == 0)
                expect_mended(&copy, damages[index].name);
        }
        copy_free(&copy, is_open);
    }
    cr_expect(full > 0, "no repair of %u needed room", damage_count);
}

Test(repair, a_sound_region_stays_as_it_is)
{
    struct copy copy;
    must(copy_make(&copy, 0), "attach");
    must(vmfs_chmod(copy.fs, "/", 0711), "chmod");
    uint64_t digest = region_digest(copy.fs, "/");
    struct vmfs_check_result result;
    must(vmfs_repair(copy.fs, note, &copy, &result), "repair");
    cr_expect_eq(copy.told + copy.mended, 0, "%s", copy.last);
    cr_expect_eq(region_digest(copy.fs, "/"), digest);
    copy_free(&copy, true);
}

Test(repair, what_is_open_is_not_repaired)
{
    struct vmfs_check_result result;
    cr_expect_eq(vmfs_repair(world.fs, NULL, NULL, &result), -EBUSY);
    cr_expect_eq(world.log.reason, VMFS_R_REPAIR_OPEN);
    cr_expect_eq(vmfs_repair(NULL, NULL, NULL, &result), -EINVAL);
}

/* Damage beside a file's data costs the file nothing. */
Test(repair, counts_and_bits_cost_no_file)
{
    struct copy copy;
    struct vm_inode inode = inode_of("/fragments");
    uint64_t digest;
    must(copy_make(&copy, 0), "attach");
    digest = region_digest(copy.fs, "/");
    copy_free(&copy, true);
    vm_inode_add_blocks(&inode, 5);
    inode_put(&inode);
    poke_u64(bitmap_offset_of(first_extent("/few").block), 0);
    must(copy_make(&copy, 0), "attach");
    undo_all();
    expect_mended(&copy, "counts and bits");
    cr_expect_eq(region_digest(copy.fs, "/"), digest);
    struct vmfs_stat stat;
    must(vmfs_stat(copy.fs, "/fragments", 0, &stat), "stat");
    cr_expect_eq(stat.blocks / 8, vm_inode_blocks(&inode) - 5);
    copy_free(&copy, true);
}

static unsigned allocations_left;
static struct vm_platform real_platform;

static void *alloc_limited(void *arg, size_t len_bytes)
{
    return allocations_left && allocations_left-- ? real_platform.alloc(arg, len_bytes) : NULL;
}

/* A repair that stops for want of memory leaves a handle that can be closed, and a region that can be
 * repaired. */
Test(repair, without_memory)
{
    int err = -ENOMEM;
    unsigned limit = 0;
    for (; err == -ENOMEM; limit += 1 + limit / 16) {
        struct copy copy;
        struct vmfs_check_result result;
        struct vmfs_stat stat;
        struct vm_inode inode = inode_of("/plain");
        vm_inode_set_nlink(&inode, 9);
        inode_put(&inode);
        must(copy_make(&copy, 0), "attach");
        undo_all();
        real_platform = copy.fs->platform;
        allocations_left = limit;
        copy.fs->platform.alloc = alloc_limited;
        err = vmfs_repair(copy.fs, NULL, NULL, &result);
        copy.fs->platform = real_platform;
        must(vmfs_stat(copy.fs, "/plain", 0, &stat), "stat");
        int closed = vmfs_close(copy.fs);
        cr_expect(err || !closed, "limit %u: close returned %d", limit, closed);
        must(copy_open(&copy, 0), "open");
        expect_mended(&copy, "without memory");
        copy_free(&copy, true);
    }
    cr_expect_eq(err, 0);
    cr_expect(limit > 20, "%u allocations failed", limit);
}

static void note_cut(void *arg, const struct vmfs_problem *problem)
{
    unsigned *count = arg;
    *count += problem->is_mended && strstr(problem->text, "was damaged and is cut off");
}

/* F6: what goes, goes with a line that names it. */
Test(repair, F6_an_inode_that_is_cut_off_is_told)
{
    struct vmfs_check_result result;
    struct copy copy;
    unsigned count = 0;
    poke_flip(inode_of("/plain").offset + 20, 1);
    cr_assert_eq(copy_make(&copy, 0), 0);
    undo_all();
    cr_expect_eq(vmfs_repair(copy.fs, note_cut, &count, &result), 0);
    cr_expect_geq(count, 1, "%u lines", count);
    copy_free(&copy, true);
}
