/* test_repair.c -- every damage that fsck knows is mended, and nothing else is touched */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "journal/record.h"
#include "repair_copy.h"
#include "space/group.h"

/* Records that are applied at attach must not heal what is damaged, but for the few that damages need. */
static void world_start(void)
{
    world_make();
    must(vmfs_sync(world.fs), "sync");
    for (unsigned call = 0; call < 3; call++)
        must(vmfs_chmod(world.fs, "/", call % 2 ? 0755 : 0700), "chmod");
}

TestSuite(repair, .init = world_start, .fini = world_free, .timeout = 240);

/* What a repair or check has said. */
struct heard {
    unsigned told;
    unsigned mended;
    char first[200];
    char last[200];
};

/* The world as it is, open. */
static void copy_begin(struct copy *copy)
{
    copy_take(copy);
    must(copy_open(copy, 0), "attach");
}

static void note(void *arg, const struct vmfs_problem *problem)
{
    struct heard *heard = arg;
    heard->told += !problem->is_mended;
    heard->mended += problem->is_mended;
    if (!problem->is_mended && !heard->first[0])
        snprintf(heard->first, sizeof heard->first, "%s", problem->text);
    snprintf(heard->last, sizeof heard->last, "P%u %s", problem->pass, problem->text);
}

static uint64_t problems_of(const struct copy *copy, struct heard *heard)
{
    struct vmfs_check_result result;
    heard->last[0] = '\0';
    must(vmfs_check(copy->fs, note, heard, &result), "check");
    return result.problems;
}

static void expect_mended(const struct copy *copy, const char *what)
{
    struct heard heard = {.told = 0};
    struct vmfs_check_result result = {.problems = 1};
    uint64_t before = problems_of(copy, &heard);
    int err = vmfs_repair(copy->fs, note, &heard, &result);
    cr_expect_eq(err, 0, "%s: repair returned %d, last: %s", what, err, heard.last);
    cr_expect_eq(result.problems, 0, "%s: %llu problems left of %llu (%s)", what,
                 (unsigned long long)result.problems, (unsigned long long)before, heard.first);
    cr_expect_eq(problems_of(copy, &heard), 0, "%s: then %s", what, heard.last);
    cr_expect(before == 0 || heard.mended > 0, "%s: nothing was told", what);
}

static void expect_usable(struct copy *copy, const char *what)
{
    struct heard heard = {.told = 0};
    struct vmfs_file *file;
    cr_expect_eq(vmfs_mkdir(copy->fs, "/after-repair", 0755), 0, "%s: mkdir", what);
    cr_expect_eq(region_put_file(copy->fs, "/after-repair/file", 300000, 7), 0, "%s: put", what);
    cr_expect_eq(vmfs_file_open(copy->fs, "/after-repair/file", VMFS_O_RDWR, 0, &file), 0);
    cr_expect_eq(vmfs_file_close(file), 0);
    cr_expect_eq(vmfs_close(copy->fs), 0, "%s: close", what);
    cr_expect_eq(copy_open(copy, 0), 0, "%s: open", what);
    cr_expect_eq(problems_of(copy, &heard), 0, "%s: afterwards %s", what, heard.last);
}

/* ---- what each damage may cost ---- */

static struct inventory inventory;

Test(repair, every_damage_is_mended)
{
    static struct repair_judge judge;
    const char *only = getenv("VMFS_TEST_DAMAGE");
    copy_learn(&inventory);
    for (unsigned index = 0; index < damage_count; index++) {
        const struct damage *damage = &damages[index];
        struct copy copy;
        if (only && strcmp(only, damage->name) != 0)
            continue;
        judge_begin(&judge, world.fs, &inventory, damage->cost);
        damage->make();
        copy_take(&copy);
        undo_all();
        must(copy_open(&copy, VMFS_REPAIR), damage->name);
        if (copy_repair(&copy, &judge, damage->name))
            expect_usable(&copy, damage->name);
        cr_expect(judge.mended > 0 || damage->pass == VM_PASS_JOURNAL ||
                      damage->pass == VM_PASS_WATERMARK,
                  "%s: nothing was told", damage->name); /* it may have been so without damage */
        copy_free(&copy);
    }
    inventory_free(&inventory);
}

/* Before it was repaired such a handle does nothing else. */
Test(repair, comes_first)
{
    struct copy copy;
    struct heard heard = {.told = 0};
    struct vmfs_info info = {.struct_bytes = sizeof info};
    struct vmfs_check_result result;
    struct vmfs_stat stat;
    copy_take(&copy);
    must(copy_open(&copy, VMFS_REPAIR), "attach");
    cr_expect_eq(vmfs_stat(copy.fs, "/", 0, &stat), -EUCLEAN);
    cr_expect_eq(copy.log.reason, VMFS_R_REPAIR_FIRST);
    cr_expect_eq(vmfs_info(copy.fs, &info), -EUCLEAN);
    cr_expect_eq(vmfs_check(copy.fs, NULL, NULL, &result), -EUCLEAN);
    cr_expect_eq(vmfs_sync(copy.fs), -EUCLEAN);
    copy_close(&copy);
    must(copy_open(&copy, VMFS_REPAIR), "open");
    must(vmfs_repair(copy.fs, note, &heard, &result), "repair");
    cr_expect_eq(heard.told + heard.mended, 0, "%s", heard.last);
    cr_expect_eq(vmfs_mkdir(copy.fs, "/new", 0755), 0);
    copy_close(&copy);
    cr_expect_eq(copy_open(&copy, VMFS_REPAIR | VMFS_RDONLY), -EINVAL);
    cr_expect_eq(copy_open(&copy, VMFS_REPAIR | VMFS_CREATE), -EINVAL);
    copy_free(&copy);
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
        copy_take(&copy);
        undo_all();
        if (copy_open(&copy, 0) == 0 && fill(&copy)) {
            int err = vmfs_repair(copy.fs, NULL, NULL, &result);
            cr_expect(err == 0 || err == -ENOSPC, "%s: repair returned %d", damages[index].name,
                      err);
            full += err == -ENOSPC;
            if (err == -ENOSPC && vmfs_unlink(copy.fs, "/filling") == 0)
                expect_mended(&copy, damages[index].name);
        }
        copy_free(&copy);
    }
    cr_expect(full > 0, "no repair of %u needed room", damage_count);
}

Test(repair, a_sound_region_stays_as_it_is)
{
    struct copy copy;
    copy_begin(&copy);
    must(vmfs_chmod(copy.fs, "/", 0711), "chmod");
    uint64_t digest = region_digest(copy.fs, "/");
    struct vmfs_check_result result;
    struct heard heard = {.told = 0};
    must(vmfs_repair(copy.fs, note, &heard, &result), "repair");
    cr_expect_eq(heard.told + heard.mended, 0, "%s", heard.last);
    cr_expect_eq(region_digest(copy.fs, "/"), digest);
    copy_free(&copy);
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
    copy_begin(&copy);
    digest = region_digest(copy.fs, "/");
    copy_free(&copy);
    vm_inode_add_blocks(&inode, 5);
    inode_put(&inode);
    poke_u64(bitmap_offset_of(first_extent("/few").block), 0);
    copy_begin(&copy);
    undo_all();
    expect_mended(&copy, "counts and bits");
    cr_expect_eq(region_digest(copy.fs, "/"), digest);
    struct vmfs_stat stat;
    must(vmfs_stat(copy.fs, "/fragments", 0, &stat), "stat");
    cr_expect_eq(stat.blocks / 8, vm_inode_blocks(&inode) - 5);
    copy_free(&copy);
}

/* ---- whose records ---- */

static void lose_lines(uint8_t *memory)
{
    memset(memory + VM_WATERMARK_A_BLOCK * VM_BLOCK_BYTES, 0, 64);
    memset(memory + VM_WATERMARK_B_BLOCK * VM_BLOCK_BYTES, 0, 64);
}

static void expect_only_the_lines(struct copy *copy, uint64_t digest)
{
    struct vmfs_check_result result;
    must(copy_open(copy, VMFS_REPAIR), "open");
    must(vmfs_repair(copy->fs, NULL, NULL, &result), "repair");
    cr_expect_eq(region_digest(copy->fs, "/"), digest, "repair changed what was sound");
    cr_expect_eq(result.problems, 0);
    copy_free(copy);
}

/* Formatting leaves the lanes as they are: with both watermark lines lost the records of the filesystem that was
 * there before still check, and have higher numbers. */
Test(repair, what_was_formatted_over_stays_so)
{
    struct copy copy = {.memory = map_guarded(REGION_BYTES), .bytes = REGION_BYTES};
    must(copy_open(&copy, VMFS_CREATE | VMFS_ZEROED), "format");
    for (unsigned call = 0; call < 60; call++) {
        char path[32];
        snprintf(path, sizeof path, "/old-%u", call);
        must(vmfs_mkdir(copy.fs, path, 0755), path);
    }
    copy_close(&copy);
    must(copy_open(&copy, VMFS_CREATE | VMFS_FORCE), "format again");
    must(vmfs_mkdir(copy.fs, "/new", 0755), "mkdir");
    uint64_t digest = region_digest(copy.fs, "/");
    copy_close(&copy);
    lose_lines(copy.memory);
    expect_only_the_lines(&copy, digest);
}

/* What a user wrote, as it may lie in the last bytes of a lane: a record with a check and a number of its own. */
static void forge_record(struct copy *copy, const struct vm_region *region, struct vm_era era)
{
    uint8_t record[256];
    struct vm_record_writer writer;
    struct vm_entry entry = {.kind = VM_ENTRY_FILL, .len_bytes = 4 * VM_BLOCK_BYTES};
    const struct vm_record_totals totals = {0, 0, 0};
    uint64_t at = region->lane_offset + region->lane_bytes * region->lane_count - sizeof record;
    entry.place = (chunk_block(0) + 1) * VM_BLOCK_BYTES;
    vm_record_start(&writer, record, sizeof record);
    vm_record_words(&writer, &entry);
    vm_record_finish(&writer, &era, (uint64_t)1 << 40, (uint64_t)1 << 39, &totals);
    vm_record_seal(record, at);
    memcpy(copy->memory + at, record, writer.used);
}

/* H15: a nonce that does not fit the era makes no record, and where no record is left not even zeros do. */
Test(repair, a_forged_record_is_none)
{
    struct copy copy;
    copy_begin(&copy);
    uint64_t digest = region_digest(copy.fs, "/");
    const struct vm_region region = copy.fs->volume.region;
    uint64_t number = copy.fs->volume.journal.era.number;
    const struct vm_era forged[] = {
        {number, 0x1122334455667788}, {number + 1, 0x1122334455667788}, {0, 0}};
    copy_close(&copy);
    for (size_t index = 0; index < sizeof forged / sizeof forged[0]; index++) {
        struct copy again;
        copy_again(&again, &copy);
        if (!forged[index].number)
            memset(again.memory + region.lane_offset, 0, region.lane_bytes * region.lane_count);
        forge_record(&again, &region, forged[index]);
        lose_lines(again.memory);
        expect_only_the_lines(&again, digest);
    }
    copy_free(&copy);
}

static uintptr_t thread_now;

static uintptr_t hint_of_thread(void *arg)
{
    (void)arg;
    return thread_now;
}

static void chmod_as(struct vmfs *fs, uintptr_t thread, const char *path, uint32_t mode)
{
    fs->platform.hint = hint_of_thread;
    thread_now = thread;
    must(vmfs_chmod(fs, path, mode), path);
}

/* The header of the record at a lane's start, where the first behind a checkpoint or an attach goes: of the
 * lane whose record has this number. */
static struct vm_record_media *first_record(const struct copy *copy, uint64_t sequence)
{
    const struct vm_region *geometry = region();
    for (uint32_t lane = 0; lane < geometry->lane_count; lane++) {
        struct vm_record_media *header =
            (void *)(copy->memory + geometry->lane_offset + (uint64_t)lane * geometry->lane_bytes);
        if (vm_get64(header->sequence) == sequence)
            return header;
    }
    cr_assert(false, "no record with number %llu", (unsigned long long)sequence);
    return NULL;
}

/* Two lanes change /plain, to 0600 and then to 0640; the second is the first that a handle uses. */
static void two_lanes(void)
{
    uintptr_t (*hint)(void *arg) = world.fs->platform.hint;
    must(vmfs_sync(world.fs), "sync");
    chmod_as(world.fs, 71, "/plain", 0600);
    world.fs->platform.hint = hint;
    must(vmfs_chmod(world.fs, "/plain", 0640), "chmod");
}

/* Then power was lost, and in the next era the second one's record was overwritten by one whose number is
 * returned. */
static uint64_t two_eras(struct copy *copy)
{
    two_lanes();
    copy_begin(copy);
    must(vmfs_chmod(copy->fs, "/", 0711), "chmod");
    return copy->fs->volume.journal.sequence;
}

static void expect_mode_of_plain(struct copy *copy)
{
    struct vmfs_stat stat;
    struct vmfs_check_result result;
    lose_lines(copy->memory);
    must(copy_open(copy, VMFS_REPAIR), "open");
    must(vmfs_repair(copy->fs, NULL, NULL, &result), "repair");
    cr_expect_eq(result.problems, 0);
    must(vmfs_stat(copy->fs, "/plain", 0, &stat), "stat");
    cr_expect_eq(stat.mode & 07777, 0640, "mode %o", stat.mode);
    copy_free(copy);
}

/* What a handle says that only looks at a file with these bytes. */
static uint64_t problems_seen(struct copy *copy)
{
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    struct vmfs_check_result result = {.problems = 1};
    char path[] = "/dev/shm/vmfs-repair-XXXXXX";
    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    cr_assert_eq(write(fd, copy->memory, copy->bytes), (ssize_t)copy->bytes);
    options.flags = VMFS_RDONLY;
    must(vmfs_open(path, &options, &copy->fs), "open");
    unlink(path);
    close(fd);
    (void)vmfs_check(copy->fs, NULL, NULL, &result);
    copy_free(copy);
    return result.problems;
}

/* Who only looks finds no damage where one of the dead had taken a number, and one had stored half of its record. */
Test(repair, what_the_dead_had_begun_is_no_damage)
{
    uintptr_t (*hint)(void *arg) = world.fs->platform.hint;
    for (unsigned number = 0; number < 3; number++) {
        struct copy copy;
        two_lanes();
        chmod_as(world.fs, 71, "/plain", 0600);
        copy_take(&copy);
        uint64_t last = atomic_load(&world.fs->volume.journal.sequence);
        if (number == 1)
            first_record(&copy, last - 1)->nonce = vm_put64(0);
        if (number == 2)
            first_record(&copy, last - 1)->check = vm_put64(1);
        cr_expect_eq(problems_seen(&copy), 0, "%u", number);
        world.fs->platform.hint = hint;
    }
}

/* S5: the records of the newest era are applied, though no line tells which it is. */
Test(repair, records_tell_their_era)
{
    struct copy copy;
    must(vmfs_sync(world.fs), "sync");
    copy_take(&copy);
    two_lanes();
    const struct vm_region *geometry = region();
    memcpy(copy.memory + geometry->lane_offset, world.memory + geometry->lane_offset,
           geometry->lane_bytes * geometry->lane_count);
    expect_mode_of_plain(&copy);
}

/* S5: the newest era is that of its header, though its only record is torn; nothing older is applied again. */
Test(repair, a_torn_record_tells_its_era)
{
    struct copy copy;
    struct copy again;
    uint64_t last = two_eras(&copy);
    copy_again(&again, &copy);
    first_record(&again, last)->check = vm_put64(1);
    expect_mode_of_plain(&again);
    copy_free(&copy);
}

/* S5: a number that was damaged, in a header whose nonce is right, makes no older era the newest. */
Test(repair, a_higher_number_is_no_newer_era)
{
    struct copy copy;
    struct copy again;
    uint64_t last = two_eras(&copy);
    copy_again(&again, &copy);
    first_record(&again, last - 2)->sequence = vm_put64(last + 1000);
    expect_mode_of_plain(&again);
    copy_free(&copy);
}

static int64_t clock_stuck(void *arg)
{
    (void)arg;
    return (int64_t)1800000000 * 1000000000;
}

/* In one tick of the clock, so that a store in place needs no record. */
static void write_as(struct vmfs *fs, int flags, const char *text)
{
    struct vmfs_file *file;
    fs->platform.now = clock_stuck;
    must(vmfs_file_open(fs, "/written", flags | VMFS_O_WRONLY, 0, &file), "open");
    must(vmfs_file_pwrite(file, text, strlen(text), 8), "write");
    must(vmfs_file_close(file), "close");
}

/* S5: an era that has logged nothing is told by what is left of its line: else the record of the one before
 * would win over bytes that were stored in place. */
Test(repair, a_damaged_line_tells_its_era)
{
    char text[8] = "";
    struct copy copy;
    struct copy again;
    struct vmfs_file *file;
    struct vmfs_check_result result;
    must(region_put_file(world.fs, "/written", 100, 1), "put");
    must(vmfs_sync(world.fs), "sync");
    write_as(world.fs, VMFS_O_ATOMIC, "logged");
    copy_begin(&copy);
    uint64_t sequence = copy.fs->volume.journal.sequence;
    write_as(copy.fs, 0, "stored");
    cr_assert_eq(copy.fs->volume.journal.sequence, sequence);
    copy_again(&again, &copy);
    copy_free(&copy);
    again.memory[VM_WATERMARK_A_BLOCK * VM_BLOCK_BYTES + 56] ^= 1;
    again.memory[VM_WATERMARK_B_BLOCK * VM_BLOCK_BYTES + 56] ^= 1;
    must(copy_open(&again, VMFS_REPAIR), "open");
    must(vmfs_repair(again.fs, NULL, NULL, &result), "repair");
    must(vmfs_file_open(again.fs, "/written", VMFS_O_RDONLY, 0, &file), "open");
    must(vmfs_file_pread(file, text, 6, 8), "read");
    must(vmfs_file_close(file), "close");
    cr_expect_str_eq(text, "stored");
    copy_free(&again);
}

/* ---- the order of stores ---- */

static const struct damage *damage_named(const char *name)
{
    unsigned index = 0;
    while (index < damage_count && strcmp(damages[index].name, name) != 0)
        index++;
    cr_assert(index < damage_count);
    return &damages[index];
}

static const struct vm_persist_ops *real_ops;
static const uint8_t *watched;
static unsigned lines_stored;

/* S2: a store that is torn must leave the newest line, or its like. */
static void copy_watched(void *arg, void *dst, const void *src, size_t len_bytes)
{
    struct vm_watermark lines[2];
    uint64_t block = (uint64_t)((const uint8_t *)dst - watched) / VM_BLOCK_BYTES;
    if (block == VM_WATERMARK_A_BLOCK || block == VM_WATERMARK_B_BLOCK) {
        unsigned copy = block == VM_WATERMARK_B_BLOCK;
        bool is_sound = vm_watermark_read(watched, copy, &lines[0]);
        bool is_newest = !vm_watermark_read(watched, copy ^ 1, &lines[1]) ||
                         lines[0].era > lines[1].era ||
                         (lines[0].era == lines[1].era && lines[0].watermark > lines[1].watermark);
        cr_expect(!is_sound || !is_newest, "the newest line is stored over");
        lines_stored++;
    }
    real_ops->copy(arg, dst, src, len_bytes);
}

Test(repair, the_newest_line_is_stored_last)
{
    for (unsigned changes = 1; changes <= 2; changes++) {
        struct copy copy;
        damage_named("line_totals")->make();
        copy_begin(&copy);
        undo_all();
        for (unsigned change = 0; change < changes; change++) {
            must(vmfs_chmod(copy.fs, "/", change ? 0755 : 0711), "chmod");
            must(vmfs_sync(copy.fs), "sync");
        }
        struct vm_persist_ops ops = *copy.fs->ops;
        real_ops = copy.fs->ops;
        watched = copy.memory;
        ops.copy = copy_watched;
        copy.fs->ops = &ops;
        lines_stored = 0;
        expect_mended(&copy, "totals");
        cr_expect_geq(lines_stored, 4);
        copy.fs->ops = real_ops;
        copy_free(&copy);
    }
}

static uint64_t watched_inode;
static unsigned cuts_told;
static unsigned stores_untold;

static void store_watched(void *arg, void *dst, const void *src, size_t len_bytes)
{
    uint64_t offset = (uint64_t)((const uint8_t *)dst - watched);
    stores_untold += offset - watched_inode < VM_INODE_BYTES && cuts_told == 0;
    real_ops->store(arg, dst, src, len_bytes);
}

static void note_map_cut(void *arg, const struct vmfs_problem *problem)
{
    (void)arg;
    cuts_told += problem->is_mended && strstr(problem->text, "what was damaged is cut off");
}

/* F6: power may fail when the record is written; nothing would tell of the loss then. */
Test(repair, F6_a_loss_is_told_before_its_record)
{
    struct copy copy;
    struct vmfs_check_result result;
    watched_inode = inode_of("/small").offset;
    damage_named("block_of_later_node")->make();
    copy_begin(&copy);
    undo_all();
    struct vm_persist_ops ops = *copy.fs->ops;
    real_ops = copy.fs->ops;
    watched = copy.memory;
    ops.store = store_watched;
    copy.fs->ops = &ops;
    must(vmfs_repair(copy.fs, note_map_cut, NULL, &result), "repair");
    copy.fs->ops = real_ops;
    cr_expect_eq(cuts_told, 1);
    cr_expect_eq(stores_untold, 0);
    copy_free(&copy);
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
        copy_begin(&copy);
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
        copy_free(&copy);
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
    uint64_t offset = inode_of("/plain").offset;
    poke_flip(offset + 20, 1);
    poke_flip(offset + 100, 1); /* half an inode is kept */
    copy_begin(&copy);
    undo_all();
    cr_expect_eq(vmfs_repair(copy.fs, note_cut, &count, &result), 0);
    cr_expect_geq(count, 1, "%u lines", count);
    copy_free(&copy);
}

/* Line 0 says that a file, and the root, have the body of a device: their bodies say what they are. */
Test(repair, F6_a_form_that_the_body_refutes)
{
    static const char *const paths[] = {"/plain", "/"};
    struct vmfs_check_result result;
    struct vmfs_stat before;
    struct vmfs_stat after;
    for (unsigned index = 0; index < 2; index++) {
        struct copy copy;
        must(vmfs_stat(world.fs, paths[index], 0, &before), "stat");
        copy_take(&copy);
        copy.memory[inode_of(paths[index]).offset + offsetof(struct vm_inode_media, form)] =
            VM_BODY_DEVICE;
        must(copy_open(&copy, VMFS_REPAIR), "open");
        must(vmfs_repair(copy.fs, NULL, NULL, &result), "repair");
        must(vmfs_stat(copy.fs, "/plain", 0, &after), "what is in the root");
        must(vmfs_stat(copy.fs, paths[index], 0, &after), paths[index]);
        cr_expect_eq(after.ino, before.ino, "%s", paths[index]);
        cr_expect_eq(after.size, before.size, "%s", paths[index]);
        copy_free(&copy);
    }
}

/* /lost+found is made in the root, whatever may be done to that otherwise. */
Test(repair, an_immutable_root_takes_what_is_lost)
{
    const struct vmfs_attr immutable = {.mask = VMFS_ATTR_FLAGS, .flags = VMFS_INODE_IMMUTABLE};
    struct vmfs_check_result result;
    struct vmfs_stat stat;
    struct copy copy;
    must(vmfs_setattr(world.fs, "/", 0, &immutable), "setattr");
    copy_take(&copy);
    copy.memory[vm_get64(leaf_of("/many").head.self)] ^= 1; /* its magic */
    must(copy_open(&copy, VMFS_REPAIR), "open");
    must(vmfs_repair(copy.fs, NULL, NULL, &result), "repair");
    cr_expect_eq(result.problems, 0);
    must(vmfs_stat(copy.fs, "/lost+found", 0, &stat), "what was in the leaf");
    must(vmfs_stat(copy.fs, "/", 0, &stat), "stat");
    cr_expect_eq(stat.flags, VMFS_INODE_IMMUTABLE);
    copy_free(&copy);
}

/* ---- superblocks and watermark lines ---- */

/* Both copies are hit in the copy; how repair may open it then. */
static int open_without_supers(struct copy *copy, size_t a, size_t b, size_t bytes)
{
    copy_take(copy);
    memset(copy->memory + a, 0x5a, bytes);
    memset(copy->memory + VM_SUPER_B_BLOCK * VM_BLOCK_BYTES + b, 0x5a, bytes);
    return copy_open(copy, VMFS_REPAIR);
}

#define SUPER_FIELD(field) offsetof(struct vm_super_media, field)

/* What each superblock has lost the other still has, or the region itself tells. */
Test(repair, superblocks_are_put_together)
{
    static const struct {
        const char *name;
        size_t a;
        size_t b;
        const char *cost;
    } pairs[] = {
        {"uuid and label", SUPER_FIELD(uuid), SUPER_FIELD(label), ""},
        {"both seeds", SUPER_FIELD(hash_seed), SUPER_FIELD(name_seed), ""},
        {"geometry and check", SUPER_FIELD(zones), SUPER_FIELD(check), ""},
        {"magic", SUPER_FIELD(magic), SUPER_FIELD(magic), ""},
        {"size", SUPER_FIELD(region_blocks), SUPER_FIELD(region_blocks), ""},
        {"lanes", SUPER_FIELD(lane_count), SUPER_FIELD(lane_count), ""},
        {"clock", SUPER_FIELD(epoch), SUPER_FIELD(epoch), ""},
        {"checks", SUPER_FIELD(check), SUPER_FIELD(check), ""},
        {"seed of names", SUPER_FIELD(name_seed), SUPER_FIELD(name_seed), ""},
    };
    static struct repair_judge judge;
    copy_learn(&inventory);
    for (unsigned index = 0; index < sizeof pairs / sizeof pairs[0]; index++) {
        struct copy copy;
        judge_begin(&judge, world.fs, &inventory, pairs[index].cost);
        must(open_without_supers(&copy, pairs[index].a, pairs[index].b, 8), pairs[index].name);
        if (copy_repair(&copy, &judge, pairs[index].name))
            expect_usable(&copy, pairs[index].name);
        struct vmfs_stat stat;
        cr_expect_eq(vmfs_stat(copy.fs, "/dir/below/link", 0, &stat), 0, "%s", pairs[index].name);
        cr_expect_eq(vmfs_stat(copy.fs, "/many/0001n", 0, &stat), 0, "%s", pairs[index].name);
        copy_free(&copy);
    }
    inventory_free(&inventory);
}

/* A seed that the region bears out says nothing of the rest of a copy: only a check that is right does. */
Test(repair, superblocks_are_put_together_exactly)
{
    struct copy copy;
    struct vmfs_check_result result;
    const struct vm_super_media *good = &world.fs->volume.super;
    must(open_without_supers(&copy, SUPER_FIELD(label), SUPER_FIELD(hash_seed), 8), "open");
    must(vmfs_repair(copy.fs, NULL, NULL, &result), "repair");
    const struct vm_super_media *found = &copy.fs->volume.super;
    cr_expect_arr_eq(found->label, good->label, sizeof good->label);
    cr_expect_eq(vm_get64(found->hash_seed), vm_get64(good->hash_seed));
    copy_free(&copy);
}

/* The copy checks, and its seed is not the region's. */
static void spoil_seed(struct copy *copy, unsigned which)
{
    uint64_t block = which ? VM_SUPER_B_BLOCK : VM_SUPER_A_BLOCK;
    struct vm_super_media *super = (void *)(copy->memory + block * VM_BLOCK_BYTES);
    super->hash_seed = vm_put64(vm_get64(super->hash_seed) ^ 1);
    super->check = vm_put64(vm_hash64(0, &super->self, sizeof *super - 16));
}

/* All else would seem damaged with it, and be cut off. */
Test(repair, a_superblock_that_nothing_bears_out)
{
    static struct repair_judge judge;
    copy_learn(&inventory);
    for (unsigned which = 0; which < 2; which++) {
        struct copy copy;
        copy_take(&copy);
        spoil_seed(&copy, which);
        judge_begin(&judge, world.fs, &inventory, "");
        must(copy_open(&copy, VMFS_REPAIR), "open");
        if (copy_repair(&copy, &judge, which ? "second" : "first"))
            expect_usable(&copy, "seed");
        copy_free(&copy);
    }
    inventory_free(&inventory);
}

/* Where neither is borne out nothing is cut off. */
Test(repair, superblocks_that_nothing_bears_out)
{
    struct copy copy;
    copy_take(&copy);
    for (unsigned which = 0; which < 2; which++)
        spoil_seed(&copy, which);
    cr_expect_eq(copy_open(&copy, VMFS_REPAIR), -EUCLEAN);
    cr_expect_eq(copy.log.reason, VMFS_R_SUPER_LOST);
    copy.fs = NULL;
    copy_free(&copy);
}

/* Zone state and descriptor are lost with sound superblocks: the inodes are there to mend them by. */
Test(repair, chunks_bear_a_superblock_out)
{
    struct copy copy;
    static struct repair_judge judge;
    struct vm_group_place place = vm_region_group(region(), 0);
    copy_learn(&inventory);
    poke_flip(place.state_offset + offsetof(struct vm_zone_state_media, hash), 1);
    poke_flip(place.descriptor_offset + offsetof(struct vm_group_media, hash), 1);
    copy_take(&copy);
    undo_all();
    judge_begin(&judge, world.fs, &inventory, "");
    must(copy_open(&copy, VMFS_REPAIR), "open");
    (void)copy_repair(&copy, &judge, "chunks");
    copy_free(&copy);
    inventory_free(&inventory);
}

/* Where nothing proves what is found, nothing is stored. */
Test(repair, superblocks_that_cannot_be_found)
{
    struct copy copy;
    cr_expect_eq(open_without_supers(&copy, SUPER_FIELD(hash_seed), SUPER_FIELD(hash_seed), 8),
                 -EUCLEAN);
    cr_expect_eq(copy.log.reason, VMFS_R_SUPER_LOST);
    memset(copy.memory, 0x5a, 8);
    memset(copy.memory + VM_SUPER_B_BLOCK * VM_BLOCK_BYTES, 0x5a, 8);
    cr_expect_eq(copy_open(&copy, VMFS_REPAIR), -EMEDIUMTYPE);
    copy.fs = NULL;
    copy_free(&copy);
}

/* S5: two lanes change one inode; the record of the second change is overwritten when its watermark is
 * durable, that of the first is not. With the newer line lost the first must not be applied again. */
Test(repair, what_a_lost_watermark_has_retired_stays_retired)
{
    struct copy copy;
    struct vmfs_stat stat;
    struct vmfs_check_result result;
    struct vm_watermark lines[2];
    must(vmfs_sync(world.fs), "sync");
    chmod_as(world.fs, 71, "/plain", 0600);
    chmod_as(world.fs, 72, "/plain", 0640);
    must(vmfs_sync(world.fs), "sync");
    chmod_as(world.fs, 72, "/", 0711);
    for (unsigned number = 0; number < 2; number++)
        cr_assert(vm_watermark_read(world.memory, number, &lines[number]));
    bool is_b = lines[1].watermark > lines[0].watermark;
    poke_flip((is_b ? VM_WATERMARK_B_BLOCK : VM_WATERMARK_A_BLOCK) * VM_BLOCK_BYTES + 16, 1);
    copy_take(&copy);
    undo_all();
    must(copy_open(&copy, VMFS_REPAIR), "open");
    must(vmfs_repair(copy.fs, NULL, NULL, &result), "repair");
    cr_expect_eq(result.problems, 0);
    must(vmfs_stat(copy.fs, "/plain", 0, &stat), "stat");
    cr_expect_eq(stat.mode & 07777, 0640, "mode %o", stat.mode);
    copy_free(&copy);
}

/* Somebody has the name in /lost+found that an inode would get. */
Test(repair, a_name_for_what_is_lost_is_taken)
{
    static struct repair_judge judge;
    char path[64];
    struct copy copy;
    must(vmfs_mkdir(world.fs, "/lost+found", 0700), "mkdir");
    snprintf(path, sizeof path, "/lost+found/#%llu", (unsigned long long)id_of("/few"));
    must(vmfs_mknod(world.fs, path, 0600, 0), "mknod");
    must(vmfs_sync(world.fs), "sync");
    struct vm_named_hit hit = entry_of("/", "few");
    entry_put(&hit, id_of("/plain"), hit.entry.type);
    copy_take(&copy);
    undo_all();
    copy_learn(&inventory);
    judge_begin(&judge, world.fs, &inventory, "/ /lost+found");
    must(copy_open(&copy, VMFS_REPAIR), "open");
    (void)copy_repair(&copy, &judge, "taken");
    struct vmfs_stat stat;
    snprintf(path, sizeof path, "/lost+found/#%llu.2", (unsigned long long)id_of("/few"));
    must(vmfs_stat(copy.fs, path, 0, &stat), path);
    copy_free(&copy);
    inventory_free(&inventory);
}

#define LARGE_BYTES (300 * REGION_MIB)

/* Three groups, two of them in use: data lies in the second. */
static void large_make(struct copy *large)
{
    struct vmfs_file *file;
    *large = (struct copy){.memory = map_guarded(LARGE_BYTES), .bytes = LARGE_BYTES};
    must(copy_open(large, VMFS_CREATE | VMFS_ZEROED), "format");
    must(vmfs_file_open(large->fs, "/large", VMFS_O_CREAT | VMFS_O_RDWR, 0644, &file), "large");
    must(vmfs_file_allocate(file, 0, 0, 150 * REGION_MIB), "allocate");
    must(vmfs_file_pwrite(file, "behind", 6, 149 * REGION_MIB), "write");
    must(vmfs_file_close(file), "close");
    cr_assert_eq(large->fs->volume.space->ready, 2);
}

static void store_ready(struct copy *large, uint32_t ready)
{
    const struct vm_region geometry = large->fs->volume.region;
    struct vm_zone_state_media *state =
        (void *)(large->memory + geometry.zones[0].head_block * VM_BLOCK_BYTES);
    copy_close(large);
    state->groups_ready = vm_put32(ready);
    state->hash = vm_put32(vm_hash32(geometry.hash_seed ^ vm_get64(state->self), &state->self,
                                     sizeof *state - offsetof(struct vm_zone_state_media, self)));
}

/* A zone state that checks, and tells of fewer groups than there are: to make one of them again would give its
 * blocks a second owner. */
Test(repair, groups_that_are_forgotten)
{
    static struct repair_judge judge;
    struct copy large;
    large_make(&large);
    inventory_take(large.fs, &inventory);
    for (uint32_t ready = 0; ready < 2; ready++) {
        store_ready(&large, ready);
        cr_expect_eq(copy_open(&large, 0), -EUCLEAN, "%u groups", ready);
        cr_expect_eq(large.log.reason, VMFS_R_ZONE_BEHIND);
        judge_begin(&judge, NULL, &inventory, "");
        must(copy_open(&large, VMFS_REPAIR), "repair");
        (void)copy_repair(&large, &judge, "forgotten");
        cr_expect_eq(large.fs->volume.space->ready, 2, "%u groups", ready);
    }
    inventory_free(&inventory);
    copy_free(&large);
}

/* So are groups that nothing uses yet. */
Test(repair, unused_groups_that_are_forgotten)
{
    struct vmfs_check_result result;
    struct copy large;
    large_make(&large);
    must(vmfs_unlink(large.fs, "/large"), "unlink");
    must(vmfs_sync(large.fs), "sync");
    store_ready(&large, 1);
    cr_expect_eq(copy_open(&large, 0), -EUCLEAN);
    must(copy_open(&large, VMFS_REPAIR), "open");
    must(vmfs_repair(large.fs, NULL, NULL, &result), "repair");
    cr_expect_eq(large.fs->volume.space->ready, 2);
    copy_close(&large);
    must(copy_open(&large, 0), "open");
    copy_free(&large);
}

/* What a zone says of its groups is told by the groups; what they say is told by what lies in them. */
Test(repair, groups_that_are_not_told_of)
{
    static struct repair_judge judge;
    struct copy large;
    large_make(&large);
    const struct vm_region geometry = large.fs->volume.region;
    struct vm_zone_state_media *state =
        (void *)(large.memory + geometry.zones[0].head_block * VM_BLOCK_BYTES);
    uint64_t second = vm_region_group(&geometry, 1).descriptor_offset;
    inventory_take(large.fs, &inventory);
    for (unsigned round = 0; round < 3; round++) {
        copy_close(&large);
        if (round == 1) /* it checks, and is wrong */
            state->groups_ready = vm_put32(1);
        if (round == 2)
            memset(large.memory + second, 0, sizeof(struct vm_group_media));
        state->hash =
            vm_put32(vm_hash32(geometry.hash_seed ^ vm_get64(state->self), &state->self,
                               sizeof *state - offsetof(struct vm_zone_state_media, self)) ^
                     (round != 1));
        judge_begin(&judge, NULL, &inventory, "");
        must(copy_open(&large, VMFS_REPAIR), "open");
        (void)copy_repair(&large, &judge, "groups");
        cr_expect_eq(large.fs->volume.space->ready, 2, "round %u", round);
    }
    inventory_free(&inventory);
    copy_free(&large);
}
