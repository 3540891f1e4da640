/* suite_damage.c -- every structure that has a checksum, with one bit of it wrong
 *
 * A bit is turned over before the region is attached, and once more while it is. Then nothing may be
 * believed that the bit has changed: whoever looks meets an error or the tree as it was, the check tells,
 * the dump does not say good, and what needs the structure for a change refuses. Of structures that there
 * are twice the other copy is taken and the bad one written again. With the journal's last record it is as
 * if it had not been written. Token: damage:STRUCTURE:BIT. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "api/handle.h"
#include "base/util.h"
#include "check/validate.h"
#include "crash.h"
#include "index/cell.h"
#include "index/node.h"
#include "inode/inode.h"
#include "inode/table.h"
#include "name/dir.h"
#include "seed.h"
#include "space/group.h"

#define TARGETS_MAX 24u
#define QUICK_BITS  48u
#define NAMES       90u
#define PIECES      12u

/* What a damaged structure must keep from happening. */
enum need {
    NEED_NONE,
    NEED_OTHER,  /* nothing: there is a second copy */
    NEED_CREATE, /* a new file with data */
};

struct target {
    const char *name;
    uint64_t offset;
    uint64_t len_bytes;
    enum need need;
    enum vmfs_dump_what what; /* the dump that shows it */
    uint64_t where;
};

struct damage {
    struct crash *crash;
    struct vmfs *fs;
    struct vm_ctx ctx;
    uint8_t *image;    /* closed */
    uint8_t *unclosed; /* as a crash behind two operations leaves it */
    struct target targets[TARGETS_MAX];
    unsigned target_count;
    struct target record;
    uint64_t digest;        /* of the tree in `image` */
    uint64_t digest_before; /* of that in `unclosed` before its last operation */
    char label[CRASH_LABEL_BYTES];
};

/* ---- the region ---- */

static void must(struct damage *damage, int64_t err, const char *what)
{
    crash_must(damage->crash, err < 0 ? (int)err : 0, what);
}

static int attach(struct damage *damage, const uint8_t *image)
{
    crash_load(damage->crash, image, 1);
    int err = world_attach(&damage->crash->live, 0, &damage->fs);
    if (err == 0)
        vm_ctx_init(damage->fs, &damage->ctx);
    return err;
}

static uint64_t digest(struct damage *damage, int *error)
{
    struct dump *dump = damage->crash->dumps.found;
    dump->target = NULL;
    world_dump(damage->fs, dump);
    *error = dump->error;
    return dump->digest;
}

static uint64_t sound_digest(struct damage *damage)
{
    int error;
    uint64_t found = digest(damage, &error);
    must(damage, error, "dump");
    return found;
}

/* Names enough for an inner node, pieces enough for a leaf of extents. */
static void grow_tree(struct damage *damage)
{
    struct vmfs_file *file;
    char path[64];
    must(damage, vmfs_mkdir(damage->fs, "/names", 0755), "mkdir");
    for (unsigned index = 0; index < NAMES; index++) {
        snprintf(path, sizeof path, "/names/%u", index);
        must(damage, vmfs_link(damage->fs, "/f", path), "link");
    }
    must(damage, vmfs_file_open(damage->fs, "/pieces", VMFS_O_CREAT | VMFS_O_RDWR, 0600, &file),
         "create");
    for (unsigned index = 0; index < PIECES; index++)
        must(damage, vmfs_file_pwrite(file, "piece", 5, index * 3ull * VM_BLOCK_BYTES), "write");
    must(damage, vmfs_file_close(file), "close");
}

static void build(struct damage *damage)
{
    must(damage, attach(damage, damage->crash->image), "attach");
    grow_tree(damage);
    must(damage, vmfs_close(damage->fs), "close");
    memcpy(damage->image, damage->crash->live.memory, damage->crash->bytes);
}

/* ---- where everything is ---- */

static void add(struct damage *damage, const char *name, uint64_t offset, uint64_t len_bytes,
                enum need need)
{
    if (damage->target_count == TARGETS_MAX)
        abort();
    damage->targets[damage->target_count++] =
        (struct target){name, offset, len_bytes, need, VMFS_DUMP_BLOCK, offset};
}

/* The dump of an inode shows what only that inode tells how to read. */
static void show_with(struct damage *damage, const struct vm_inode *inode)
{
    struct target *target = &damage->targets[damage->target_count - 1];
    target->what = VMFS_DUMP_INODE;
    target->where = inode->id;
}

static struct vm_inode inode_of(struct damage *damage, const char *path)
{
    struct vmfs_stat stat;
    struct vm_inode inode;
    must(damage, vmfs_stat(damage->fs, path, VMFS_NOFOLLOW, &stat), path);
    if (vm_inode_load(&damage->ctx, stat.ino, &inode))
        must(damage, -EUCLEAN, path);
    return inode;
}

static union vm_head head_at(struct damage *damage, uint64_t offset)
{
    union vm_head head;
    if (vm_head_load(&damage->ctx, offset, &head))
        must(damage, -EUCLEAN, "node");
    return head;
}

static void find_fixed_places(struct damage *damage)
{
    const struct vm_region *region = damage->ctx.region;
    struct vm_group_place group = vm_region_group(region, 0);
    uint64_t root = region->map_block * VM_BLOCK_BYTES;
    uint64_t first = offsetof(struct vm_map_media, entries);
    const struct vm_map_media *map = (const void *)(region->base + root);
    uint64_t leaf = vm_get64(map->entries[0].block) * VM_BLOCK_BYTES;
    map = (const void *)(region->base + leaf);
    uint64_t chunk = vm_get64(map->entries[0].block) * VM_BLOCK_BYTES;
    const uint64_t head = VM_HEAD_HASHED + 8;
    add(damage, "super-a", VM_SUPER_A_BLOCK * VM_BLOCK_BYTES, sizeof(struct vm_super_media),
        NEED_OTHER);
    add(damage, "super-b", VM_SUPER_B_BLOCK * VM_BLOCK_BYTES, sizeof(struct vm_super_media),
        NEED_OTHER);
    add(damage, "watermark-a", VM_WATERMARK_A_BLOCK * VM_BLOCK_BYTES, 64, NEED_OTHER);
    add(damage, "watermark-b", VM_WATERMARK_B_BLOCK * VM_BLOCK_BYTES, 64, NEED_OTHER);
    add(damage, "zone", group.state_offset, head, NEED_CREATE);
    add(damage, "group", group.descriptor_offset, head, NEED_CREATE);
    add(damage, "map-root", root, head, NEED_CREATE);
    add(damage, "map-root-entry", root + first, 16, NEED_CREATE);
    add(damage, "map-leaf", leaf, head, NEED_CREATE);
    add(damage, "map-leaf-entry", leaf + first, 16, NEED_CREATE);
    add(damage, "chunk", chunk, head, NEED_CREATE);
}

static void find_names(struct damage *damage)
{
    struct vm_inode dir = inode_of(damage, "/names");
    uint64_t root = vm_inode_data_map(&dir).root;
    union vm_head head = head_at(damage, root);
    struct vm_named_hit hit;
    const struct vm_name name = {(const uint8_t *)"7", 1};
    add(damage, "inode-directory", dir.offset, offsetof(struct vm_inode_media, atime_ns),
        NEED_NONE);
    add(damage, "inner", root, sizeof(struct vm_inner_head), NEED_NONE);
    if (head.node.level == 0 || vm_dir_find(&damage->ctx, &dir, name, &hit) != 1)
        must(damage, -EUCLEAN, "a name in a tree");
    add(damage, "leaf", hit.leaf, sizeof(struct vm_named_head), NEED_NONE);
    add(damage, "cell", vm_cell_offset(hit.leaf, hit.cell), (uint64_t)hit.cells * VM_CELL_BYTES,
        NEED_NONE);
    damage->targets[damage->target_count - 1].where = hit.leaf;
}

static void find_data(struct damage *damage)
{
    struct vm_inode pieces = inode_of(damage, "/pieces");
    struct vm_inode file = inode_of(damage, "/f");
    uint64_t root = vm_inode_data_map(&pieces).root;
    const uint64_t behind = offsetof(struct vm_inode_media, hash1);
    add(damage, "inode-head", file.offset, offsetof(struct vm_inode_media, atime_ns), NEED_NONE);
    add(damage, "inode-rest", file.offset + behind, VM_INODE_BYTES - behind, NEED_NONE);
    if (pieces.m.form != VM_BODY_TREE)
        must(damage, -EUCLEAN, "extents in a tree");
    add(damage, "leaf-of-extents", root, sizeof(struct vm_fixed_head), NEED_NONE);
    add(damage, "extent", root + offsetof(struct vm_fixed_media, slots),
        sizeof(struct vm_extent_media), NEED_NONE);
}

static void find_value(struct damage *damage)
{
    struct vm_inode inode = inode_of(damage, "/d2/x");
    struct vm_map map = vm_inode_xattr_map(&inode);
    const struct vm_name name = {(const uint8_t *)"user.big", 8};
    struct vm_named_hit hit;
    union vm_entry_cells entry;
    struct vm_xattr_media media;
    if (vm_named_find(&damage->ctx, &map, name, &hit) != 1 ||
        vm_entry_read(&damage->ctx, hit.leaf, hit.cell, &entry))
        must(damage, -EUCLEAN, "an attribute");
    memcpy(&media, entry.bytes + offsetof(struct vm_cell_media, payload) + name.len_bytes,
           sizeof media);
    add(damage, "value", vm_get64(media.block) * VM_BLOCK_BYTES, vm_get32(media.len_bytes),
        NEED_NONE);
    show_with(damage, &inode);
}

/* The newest record of any lane, and how many wait for the checkpoint. */
static unsigned newest_record(struct damage *damage)
{
    const struct vm_journal *journal = damage->ctx.journal;
    uint64_t newest = 0;
    unsigned count = 0;
    for (uint32_t index = 0; index < journal->lane_count; index++) {
        const struct vm_lane *lane = &journal->lanes[index];
        uint32_t head = atomic_load(&lane->ring_head);
        uint32_t waiting = head - atomic_load(&lane->ring_tail);
        const struct vm_ring_entry *entry = &lane->ring[(head - 1) & (lane->ring_size - 1)];
        count += waiting;
        if (waiting == 0 || entry->sequence < newest)
            continue;
        newest = entry->sequence;
        const struct vm_record_media *record = (const void *)(lane->mirror + entry->offset);
        damage->record = (struct target){.name = "record",
                                         .offset = lane->medium_offset + entry->offset,
                                         .len_bytes = vm_get32(record->len_bytes)};
    }
    return count;
}

/* Two operations, the second a single record, and nothing retired. */
static void two_operations(struct damage *damage)
{
    must(damage, attach(damage, damage->image), "attach");
    must(damage, vmfs_mkdir(damage->fs, "/one", 0755), "mkdir");
    damage->digest_before = sound_digest(damage);
    unsigned before = newest_record(damage);
    must(damage, vmfs_chmod(damage->fs, "/one", 0711), "chmod");
    if (before == 0 || newest_record(damage) != before + 1)
        must(damage, -EUCLEAN, "one record");
}

static void make_record(struct damage *damage)
{
    two_operations(damage);
    memcpy(damage->unclosed, damage->crash->live.memory, damage->crash->bytes);
    must(damage, vmfs_close(damage->fs), "close");
}

static void find(struct damage *damage)
{
    must(damage, attach(damage, damage->image), "attach");
    damage->digest = sound_digest(damage);
    find_fixed_places(damage);
    find_names(damage);
    find_data(damage);
    find_value(damage);
    must(damage, vmfs_close(damage->fs), "close");
    make_record(damage);
}

/* ---- what is asked ---- */

static void turn_over(struct damage *damage, const struct target *target, uint64_t bit)
{
    uint64_t at = target->offset + bit / 8;
    struct medium *live = &damage->crash->live;
    struct medium_hash unused = {0};
    uint64_t word;
    memcpy(&word, live->memory + at / 8 * 8, sizeof word);
    word ^= (uint64_t)1 << (at % 8 * 8 + bit % 8);
    medium_put(live, (uint32_t)(at / 8), word, &unused);
}

struct shown {
    bool has_good;
    bool has_bad;
};

static void note_text(void *arg, const char *line)
{
    struct shown *shown = arg;
    shown->has_good = shown->has_good || strstr(line, "check=good");
    shown->has_bad = shown->has_bad || strstr(line, "BAD");
}

/* What has lost its magic number is shown as bytes, neither good nor bad. */
static bool dump_is_good(struct damage *damage, const struct target *target)
{
    struct shown shown = {false, false};
    int err = vmfs_dump(damage->fs, target->what, target->where, note_text, &shown);
    return err == 0 && shown.has_good && !shown.has_bad;
}

static bool check_is_content(struct damage *damage)
{
    struct vmfs_check_result result;
    must(damage, vmfs_check(damage->fs, NULL, NULL, &result), "check");
    return result.problems == 0;
}

static const char *look(struct damage *damage)
{
    int error;
    uint64_t found = digest(damage, &error);
    return error == 0 && found != damage->digest ? "what is damaged was believed" : NULL;
}

/* A new file with data takes an inode and blocks. */
static bool can_create(struct damage *damage)
{
    struct vmfs_file *file;
    if (vmfs_file_open(damage->fs, "/new", VMFS_O_CREAT | VMFS_O_RDWR, 0600, &file))
        return false;
    int64_t written = vmfs_file_pwrite(file, "new", 3, 0);
    (void)vmfs_file_close(file);
    return written == 3;
}

static const char *judge_before(struct damage *damage, const struct target *target)
{
    bool is_mended = memcmp(damage->crash->live.memory + target->offset,
                            damage->image + target->offset, target->len_bytes) == 0;
    const char *wrong = look(damage);
    if (wrong)
        return wrong;
    bool is_line = target->need == NEED_OTHER && target->len_bytes == 64; /* the era writes both */
    if (is_line && !check_is_content(damage))
        return "the bad copy was taken";
    if (!is_mended && !is_line && check_is_content(damage))
        return "vmfs_check() finds nothing";
    if (target->need == NEED_CREATE && can_create(damage))
        return "what is damaged was used";
    return target->need == NEED_OTHER && !is_mended && !is_line
               ? "the bad copy was not written again"
               : NULL;
}

/* Attached when the damage is there already. */
static const char *try_before(struct damage *damage, const struct target *target, uint64_t bit)
{
    crash_load(damage->crash, damage->image, 1);
    turn_over(damage, target, bit);
    int err = world_attach(&damage->crash->live, 0, &damage->fs);
    if (err)
        return target->need == NEED_OTHER ? "the other copy was not taken" : NULL;
    vm_ctx_init(damage->fs, &damage->ctx);
    const char *wrong = judge_before(damage, target);
    (void)vmfs_close(damage->fs);
    return wrong;
}

static const char *judge_while(struct damage *damage, const struct target *target)
{
    const char *wrong = look(damage);
    if (wrong)
        return wrong;
    if (check_is_content(damage))
        return "vmfs_check() finds nothing while attached";
    return dump_is_good(damage, target) ? "the dump shows nothing" : NULL;
}

/* Damaged under a filesystem that is attached. */
static const char *try_while(struct damage *damage, const struct target *target, uint64_t bit)
{
    must(damage, attach(damage, damage->image), "attach");
    turn_over(damage, target, bit);
    const char *wrong = judge_while(damage, target);
    (void)vmfs_close(damage->fs);
    return wrong;
}

static const char *try_record(struct damage *damage, uint64_t bit)
{
    crash_load(damage->crash, damage->unclosed, 1);
    damage->crash->live.random_seed = seed_mix(damage->crash->explorer.seed, 1); /* another era */
    turn_over(damage, &damage->record, bit);
    int err = world_attach(&damage->crash->live, 0, &damage->fs);
    if (err)
        return "attach fails";
    int error;
    uint64_t found = digest(damage, &error);
    const char *wrong =
        error || found != damage->digest_before ? "a damaged record was believed" : NULL;
    if (!wrong && !check_is_content(damage))
        wrong = "vmfs_check() finds problems";
    (void)vmfs_close(damage->fs);
    return wrong;
}

/* What a look at a region that somebody else has open counts. */
static uint64_t observed(struct damage *damage)
{
    struct vm_journal seen;
    memset(&seen, 0, sizeof seen);
    vm_journal_observe(&damage->ctx, &seen);
    return seen.replayed;
}

static const char *try_observed(struct damage *damage, uint64_t bit)
{
    two_operations(damage);
    uint64_t before = observed(damage);
    turn_over(damage, &damage->record, bit);
    uint64_t after = observed(damage);
    (void)vmfs_close(damage->fs);
    return after + 1 == before ? NULL : "a damaged record was counted";
}

/* ---- all of it ---- */

static void report(struct damage *damage, const char *wrong)
{
    struct explorer *explorer = &damage->crash->explorer;
    explorer->state_count++;
    if (!wrong)
        return;
    explorer->violation_count++;
    fprintf(stderr, "VIOLATION token=%s: %s\n", damage->label, wrong);
    if (explorer->is_first)
        exit(1);
}

/* As prefix of a label; but a whole one with its number is meant as it is. */
static bool is_wanted(const struct damage *damage)
{
    const char *only = damage->crash->only;
    size_t len = only ? strlen(only) : 0;
    bool has_number = len && only[len - 1] >= '0' && only[len - 1] <= '9';
    return crash_wants(damage->crash, damage->label) &&
           (!has_number || strlen(damage->label) == len);
}

/* Every bit of what is small, and of the rest as many as there is time for, another choice each time. */
static void run_target(struct damage *damage, const struct target *target, bool is_record)
{
    struct crash *crash = damage->crash;
    uint64_t bits = target->len_bytes * 8;
    bool is_one = crash->only && strchr(crash->only, ':') != strrchr(crash->only, ':');
    uint64_t step = crash->is_quick && !is_one && bits > QUICK_BITS ? bits / QUICK_BITS | 1 : 1;
    for (uint64_t bit = step > 1 ? crash->explorer.seed % step : 0; bit < bits; bit += step) {
        snprintf(damage->label, sizeof damage->label, "damage:%s:%llu", target->name,
                 (unsigned long long)bit);
        crash->label = damage->label;
        if (!is_wanted(damage))
            continue;
        report(damage, is_record ? try_record(damage, bit) : try_before(damage, target, bit));
        report(damage, is_record ? try_observed(damage, bit) : try_while(damage, target, bit));
    }
}

void suite_damage(struct crash *crash)
{
    struct damage damage = {.crash = crash};
    bool is_mine = !crash->only || strncmp(crash->only, "damage", 6) == 0;
    if (!is_mine)
        return;
    damage.image = medium_pages(crash->bytes);
    damage.unclosed = medium_pages(crash->bytes);
    crash->label = "damage";
    crash->live.is_tracking = false;
    build(&damage);
    find(&damage);
    for (unsigned index = 0; index < damage.target_count; index++)
        run_target(&damage, &damage.targets[index], false);
    run_target(&damage, &damage.record, true);
    crash->live.is_tracking = true;
    munmap(damage.image, crash->bytes);
    munmap(damage.unclosed, crash->bytes);
}
