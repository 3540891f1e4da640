/* map.c -- who owns each byte of a region
 *
 * The walk is the checker's: it tells each run of blocks to its first owner. The runs are sorted, and what
 * lies between them is free or, where its bit is set, lost.
 */
#include "check/map.h"

#include <string.h>

#include "base/util.h"
#include "check/state.h"
#include "space/group.h"

#define RUNS_FIRST 1024u

struct run {
    uint64_t block;
    uint64_t count;
    struct vm_use use;
};

struct map {
    struct vm_ctx *ctx;
    const struct vm_region *region;
    struct run *runs;
    uint64_t run_count;
    uint64_t run_max;
    int result; /* of gathering */
    vmfs_map_fn fn;
    void *arg;
    uint64_t wanted; /* an offset, or VMFS_NO_OFFSET */
    uint64_t at;     /* the next block to be told */
};

static const char *kind_text(enum vmfs_map_kind kind)
{
    switch (kind) {
    case VMFS_MAP_FREE:
        return "free";
    case VMFS_MAP_LOST:
        return "lost";
    case VMFS_MAP_SUPERBLOCK:
        return "superblock";
    case VMFS_MAP_WATERMARK:
        return "watermark";
    case VMFS_MAP_OWNER:
        return "owner";
    case VMFS_MAP_LANE:
        return "lane";
    case VMFS_MAP_ZONE_HEAD:
        return "zone-head";
    case VMFS_MAP_INODE_MAP:
        return "inode-map";
    case VMFS_MAP_INODE_CHUNK:
        return "inode-chunk";
    case VMFS_MAP_NODE:
        return "node";
    case VMFS_MAP_DATA:
        return "data";
    case VMFS_MAP_XATTR_NODE:
        return "xattr-node";
    case VMFS_MAP_XATTR:
        return "xattr";
    case VMFS_MAP_RESERVED:
        break;
    }
    return "reserved";
}

/* ---- gathering ---- */

static void runs_free(struct map *map)
{
    const struct vm_platform *platform = map->region->platform;
    if (map->runs)
        platform->free(platform->arg, map->runs, map->run_max * sizeof *map->runs);
}

static bool runs_grow(struct map *map)
{
    uint64_t more = map->run_max ? 2 * map->run_max : RUNS_FIRST;
    void *memory;
    map->result = vm_alloc(map->ctx, more * sizeof *map->runs, &memory);
    if (map->result)
        return false;
    if (map->run_count)
        memcpy(memory, map->runs, map->run_count * sizeof *map->runs);
    runs_free(map);
    map->runs = memory;
    map->run_max = more;
    return true;
}

static bool continues(const struct run *last, const struct vm_use *use, uint64_t block)
{
    bool is_next = last->block + last->count == block && last->use.kind == use->kind &&
                   last->use.ino == use->ino;
    if (use->kind == VMFS_MAP_DATA)
        return is_next && last->use.file_block + last->count == use->file_block;
    return is_next && (use->kind == VMFS_MAP_XATTR || use->kind == VMFS_MAP_RESERVED);
}

static void run_add(struct map *map, const struct vm_use *use, uint64_t block, uint64_t count)
{
    if (map->run_count && continues(&map->runs[map->run_count - 1], use, block)) {
        map->runs[map->run_count - 1].count += count;
        return;
    }
    if (map->result || (map->run_count == map->run_max && !runs_grow(map)))
        return;
    map->runs[map->run_count++] = (struct run){block, count, *use};
}

/* The areas at the front are told one by one below. */
static void each_use(void *arg, const struct vm_use *use, uint64_t block, uint64_t count)
{
    if (use->kind != VMFS_MAP_RESERVED)
        run_add(arg, use, block, count);
}

static void add_fixed(struct map *map, enum vmfs_map_kind kind, uint64_t block, uint64_t count,
                      uint64_t number)
{
    run_add(map, &(struct vm_use){.kind = kind, .ino = number}, block, count);
}

static void fixed_gather(struct map *map)
{
    const struct vm_region *region = map->region;
    uint64_t lane_blocks = region->lane_bytes / VM_BLOCK_BYTES;
    add_fixed(map, VMFS_MAP_SUPERBLOCK, VM_SUPER_A_BLOCK, 1, 0);
    add_fixed(map, VMFS_MAP_WATERMARK, VM_WATERMARK_A_BLOCK, 1, 0);
    add_fixed(map, VMFS_MAP_WATERMARK, VM_WATERMARK_B_BLOCK, 1, 0);
    add_fixed(map, VMFS_MAP_SUPERBLOCK, VM_SUPER_B_BLOCK, 1, 0);
    add_fixed(map, VMFS_MAP_OWNER, VM_OWNER_BLOCK, 1, 0);
    add_fixed(map, VMFS_MAP_INODE_MAP, region->map_block, 1, 0);
    for (uint32_t lane = 0; lane < region->lane_count; lane++)
        add_fixed(map, VMFS_MAP_LANE, region->lane_offset / VM_BLOCK_BYTES + lane * lane_blocks,
                  lane_blocks, lane);
    for (uint32_t number = 0; number < region->zone_count; number++) {
        const struct vm_zone *zone = &region->zones[number];
        add_fixed(map, VMFS_MAP_ZONE_HEAD, zone->head_block, vm_zone_head_blocks(zone->group_count),
                  number);
    }
}

static void sift_down(struct run *heap, uint64_t count, uint64_t at)
{
    struct run moving = heap[at];
    for (;;) {
        uint64_t child = 2 * at + 1;
        if (child >= count)
            break;
        if (child + 1 < count && heap[child + 1].block > heap[child].block)
            child++;
        if (moving.block >= heap[child].block)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moving;
}

static void runs_sort(struct run *runs, uint64_t count)
{
    for (uint64_t at = count / 2; at-- > 0;)
        sift_down(runs, count, at);
    for (uint64_t last = count; last-- > 1;) {
        struct run largest = runs[0];
        runs[0] = runs[last];
        runs[last] = largest;
        sift_down(runs, last, 0);
    }
}

/* ---- telling ---- */

static void tell(struct map *map, const struct vm_use *use, uint64_t count)
{
    uint64_t offset = map->at * VM_BLOCK_BYTES;
    uint64_t length = count * VM_BLOCK_BYTES;
    map->at += count;
    if (count == 0)
        return;
    if (map->wanted != VMFS_NO_OFFSET && (map->wanted < offset || map->wanted - offset >= length))
        return;
    struct vmfs_map_range range = {.offset = offset,
                                   .length = length,
                                   .kind = use->kind,
                                   .kind_name = kind_text(use->kind),
                                   .owner = use->ino,
                                   .file_offset = use->file_block * VM_BLOCK_BYTES};
    map->fn(map->arg, &range);
}

/* Blocks up to the end of the word of its bitmap that `block` lies in, and whether they are used; the
 * rest of a group that is not initialised is free. */
static uint64_t alike_blocks(const struct map *map, uint64_t block, bool *is_used)
{
    const struct vm_region *region = map->region;
    uint64_t group = vm_region_bit(region, block).group;
    struct vm_group_place place = vm_region_group(region, group);
    uint64_t inside = block - place.first_block;
    *is_used = false;
    if (group >= map->ctx->space->ready)
        return place.block_count - inside;
    uint64_t word = vm_load64_home(region, place.bitmap_offset + inside / 64 * 8) >> inside % 64;
    uint64_t left = vm_min(64 - inside % 64, place.block_count - inside);
    *is_used = word & 1;
    uint64_t other = *is_used ? ~word : word;
    return other ? vm_min(left, (unsigned)__builtin_ctzll(other)) : left;
}

/* What nobody has named, up to `end`. */
static void tell_gap(struct map *map, uint64_t end)
{
    uint64_t count = 0;
    bool is_lost = false;
    while (map->at + count < end) {
        bool is_used;
        uint64_t more = vm_min(alike_blocks(map, map->at + count, &is_used), end - map->at - count);
        if (is_used != is_lost) {
            tell(map, &(struct vm_use){.kind = is_lost ? VMFS_MAP_LOST : VMFS_MAP_FREE}, count);
            count = 0;
            is_lost = is_used;
        }
        count += more;
    }
    tell(map, &(struct vm_use){.kind = is_lost ? VMFS_MAP_LOST : VMFS_MAP_FREE}, count);
}

static void tell_run(struct map *map, const struct run *run)
{
    struct vm_use use = run->use;
    uint64_t end = run->block + run->count;
    if (map->at < run->block)
        tell_gap(map, run->block);
    if (map->at >= end) /* F4 */
        return;
    if (use.kind == VMFS_MAP_DATA)
        use.file_block += map->at - run->block;
    tell(map, &use, end - map->at);
}

int vm_map_run(struct vm_ctx *ctx, uint64_t offset, vmfs_map_fn fn, void *arg)
{
    struct map map = {.ctx = ctx, .region = ctx->region, .fn = fn, .arg = arg, .wanted = offset};
    fixed_gather(&map);
    int result = vm_check_uses(ctx, each_use, &map);
    if (result == 0)
        result = map.result;
    if (result == 0) {
        runs_sort(map.runs, map.run_count);
        for (uint64_t index = 0; index < map.run_count; index++)
            tell_run(&map, &map.runs[index]);
        tell_gap(&map, map.region->blocks);
    }
    runs_free(&map);
    return result;
}
