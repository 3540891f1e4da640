/* group.c -- chunks and groups */
#include "space/group.h"

#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/util.h"

uint64_t vm_chunk_first_block(const struct vm_region *region, uint64_t chunk)
{
    struct vm_group_place place = vm_region_group(region, chunk / VM_GROUP_CHUNKS);
    return place.first_block + chunk % VM_GROUP_CHUNKS * VM_CHUNK_BLOCKS;
}

uint64_t vm_chunk_of_block(const struct vm_region *region, uint64_t block)
{
    struct vm_bit bit = vm_region_bit(region, block);
    struct vm_group_place place = vm_region_group(region, bit.group);
    return vm_chunk_of(bit.group, (unsigned)((block - place.first_block) / VM_CHUNK_BLOCKS));
}

static unsigned cooling_slot(uint64_t chunk)
{
    return (unsigned)(vm_mix64(chunk) % VM_COOLING_SLOTS);
}

/* The part of a run that lies in the first of its chunks. */
struct piece {
    uint64_t chunk;
    uint64_t count;
};

static struct piece first_piece(const struct vm_region *region, uint64_t block, uint64_t count)
{
    uint64_t chunk = vm_chunk_of_block(region, block);
    uint64_t end = vm_chunk_first_block(region, chunk) + VM_CHUNK_BLOCKS;
    return (struct piece){chunk, vm_min(count, end - block)};
}

static void unmark_full(struct vm_ctx *ctx, uint64_t chunk)
{
    struct vm_group *group = &ctx->space->groups[chunk / VM_GROUP_CHUNKS];
    uint64_t bit = (uint64_t)1 << chunk % VM_GROUP_CHUNKS;
    if (atomic_load_explicit(&group->full, memory_order_relaxed) & bit)
        VM_SHARED(&ctx->io, atomic_fetch_and_explicit(&group->full, ~bit, memory_order_release));
}

static void count_own(_Atomic uint32_t *count)
{
    uint32_t before = atomic_load_explicit(count, memory_order_relaxed);
    VM_OWN(atomic_store_explicit(count, before + 1, memory_order_release));
}

void vm_chunks_cool(struct vm_ctx *ctx, uint32_t lane, uint64_t block, uint64_t count)
{
    while (count) {
        struct piece piece = first_piece(ctx->region, block, count);
        count_own(&ctx->space->cooling[lane].begun[cooling_slot(piece.chunk)]);
        block += piece.count;
        count -= piece.count;
    }
}

void vm_chunks_cooled(struct vm_ctx *ctx, uint32_t lane, uint64_t block, uint64_t count)
{
    while (count) {
        struct piece piece = first_piece(ctx->region, block, count);
        count_own(&ctx->space->cooling[lane].ended[cooling_slot(piece.chunk)]);
        unmark_full(ctx, piece.chunk);
        block += piece.count;
        count -= piece.count;
    }
}

static void unclaim(struct vm_ctx *ctx, uint64_t chunk)
{
    struct vm_group *group = &ctx->space->groups[chunk / VM_GROUP_CHUNKS];
    uint64_t bit = (uint64_t)1 << chunk % VM_GROUP_CHUNKS;
    uint64_t before =
        VM_SHARED(&ctx->io, atomic_fetch_and_explicit(&group->claimed, ~bit, memory_order_release));
    VM_ASSERT(before & bit);
}

void vm_chunks_unclaim(struct vm_ctx *ctx, uint64_t block, uint64_t count)
{
    while (count) {
        struct piece piece = first_piece(ctx->region, block, count);
        unclaim(ctx, piece.chunk);
        block += piece.count;
        count -= piece.count;
    }
}

/* Free bits of a chunk as the home bitmap has them; blocks behind the group's end are not free. */
static void chunk_snapshot(const struct vm_space *space, uint64_t chunk, uint64_t *free_out)
{
    struct vm_group_place place = vm_region_group(space->region, chunk / VM_GROUP_CHUNKS);
    uint64_t first = chunk % VM_GROUP_CHUNKS * VM_CHUNK_BLOCKS;
    for (unsigned word = 0; word < VM_CHUNK_WORDS_FREE; word++) {
        uint64_t start = first + word * 64;
        uint64_t offset = place.bitmap_offset + start / 8;
        uint64_t valid = place.block_count > start ? vm_min(64, place.block_count - start) : 0;
        uint64_t bits = valid ? vm_bit_run(0, (unsigned)valid) : 0;
        free_out[word] = ~vm_load64_home(space->region, offset) & bits;
    }
}

static bool try_claim(struct vm_ctx *ctx, uint64_t chunk)
{
    struct vm_group *group = &ctx->space->groups[chunk / VM_GROUP_CHUNKS];
    uint64_t bit = (uint64_t)1 << chunk % VM_GROUP_CHUNKS;
    return !(
        VM_SHARED(&ctx->io, atomic_fetch_or_explicit(&group->claimed, bit, memory_order_acq_rel)) &
        bit);
}

/* The part of a run that lies in a chunk is not free. The run may be a mixture of two, as its lane goes
 * on: then too little is left over, never too much. */
static void take_out(uint64_t *bits, uint64_t chunk_block, uint64_t block, uint64_t count)
{
    uint64_t chunk_end = chunk_block + VM_CHUNK_BLOCKS;
    if (block >= chunk_end || block + count <= chunk_block)
        return;
    uint64_t first = vm_max(block, chunk_block);
    uint64_t end = vm_min(block + count, chunk_end);
    vm_bits_change(bits, (unsigned)(first - chunk_block), (unsigned)(end - first), false);
}

/* S3 */
static void take_out_noted(struct vm_ctx *ctx, uint64_t chunk, uint64_t *bits)
{
    const struct vm_journal *journal = ctx->journal;
    uint64_t chunk_block = vm_chunk_first_block(ctx->region, chunk);
    for (uint32_t lane = 0; lane < journal->lane_count; lane++) {
        const struct vm_tx *tx = &journal->lanes[lane].tx;
        uint32_t count = atomic_load_explicit(&tx->run_count, memory_order_acquire);
        for (uint32_t index = 0; index < count; index++) {
            const struct vm_tx_run *run = &tx->runs[index];
            uint64_t block = atomic_load_explicit(&run->block, memory_order_acquire);
            take_out(bits, chunk_block, block,
                     atomic_load_explicit(&run->count, memory_order_acquire));
        }
    }
}

static bool is_cooling(const struct vm_ctx *ctx, uint64_t chunk)
{
    unsigned slot = cooling_slot(chunk);
    for (uint32_t lane = 0; lane < ctx->region->lane_count; lane++) {
        const struct vm_cooling *cooling = &ctx->space->cooling[lane];
        uint32_t begun = atomic_load_explicit(&cooling->begun[slot], memory_order_acquire);
        if (begun != atomic_load_explicit(&cooling->ended[slot], memory_order_acquire))
            return true;
    }
    return false;
}

void vm_bits_change(uint64_t *words, unsigned first, unsigned count, bool is_set)
{
    while (count) {
        unsigned step = (unsigned)vm_min(count, 64 - first % 64);
        uint64_t run = vm_bit_run(first % 64, step);
        if (is_set)
            words[first / 64] |= run;
        else
            words[first / 64] &= ~run;
        first += step;
        count -= step;
    }
}

static unsigned count_bits(const uint64_t *words)
{
    unsigned total = 0;
    for (unsigned word = 0; word < VM_CHUNK_WORDS_FREE; word++)
        total += vm_popcount64(words[word]);
    return total;
}

struct vm_bits_run vm_bits_find(const uint64_t *words, unsigned want)
{
    struct vm_bits_run best = {0, 0};
    unsigned at = 0;
    while (at < VM_CHUNK_BLOCKS && best.count < want) {
        uint64_t rest = words[at / 64] >> at % 64;
        if (rest == 0) {
            at = (at / 64 + 1) * 64;
            continue;
        }
        at += (unsigned)__builtin_ctzll(rest);
        unsigned start = at;
        while (at < VM_CHUNK_BLOCKS) {
            uint64_t taken = ~words[at / 64] >> at % 64;
            if (taken) {
                at += (unsigned)__builtin_ctzll(taken);
                break;
            }
            at = (at / 64 + 1) * 64;
        }
        if (at - start > best.count)
            best = (struct vm_bits_run){start, at - start};
    }
    return best;
}

struct vm_bits_run vm_bits_find_high(const uint64_t *words, unsigned want)
{
    unsigned count = 0;
    for (unsigned at = VM_CHUNK_BLOCKS; at-- > 0;) {
        count = words[at / 64] >> at % 64 & 1 ? count + 1 : 0;
        if (count == want)
            return (struct vm_bits_run){at, want};
    }
    return (struct vm_bits_run){0, 0};
}

static bool has_wanted(const uint64_t *bits, struct vm_chunk_want want)
{
    return count_bits(bits) >= want.free_min &&
           vm_bits_find(bits, want.run_min).count >= want.run_min;
}

/* A hint, set only while the bitmap says so: what is noted may come back. */
static void mark_full(struct vm_ctx *ctx, uint64_t chunk)
{
    struct vm_group *group = &ctx->space->groups[chunk / VM_GROUP_CHUNKS];
    VM_SHARED(&ctx->io,
              atomic_fetch_or_explicit(&group->full, (uint64_t)1 << chunk % VM_GROUP_CHUNKS,
                                       memory_order_release));
}

/* H2: a block that is being freed begins to cool before its bit is cleared, so that is looked at after the
 * bitmap. */
bool vm_chunk_claim(struct vm_ctx *ctx, uint64_t chunk, struct vm_chunk_want want,
                    uint64_t *free_out)
{
    chunk_snapshot(ctx->space, chunk, free_out);
    bool is_enough = has_wanted(free_out, want);
    if (!is_enough && count_bits(free_out) == 0 && !is_cooling(ctx, chunk))
        mark_full(ctx, chunk);
    if (!is_enough || !try_claim(ctx, chunk))
        return false;
    uint64_t mine[VM_CHUNK_WORDS_FREE];
    memset(mine, 0xff, sizeof mine);
    take_out_noted(ctx, chunk, mine); /* S3: the notes, then the bitmap */
    chunk_snapshot(ctx->space, chunk, free_out);
    for (unsigned word = 0; word < VM_CHUNK_WORDS_FREE; word++)
        free_out[word] &= mine[word];
    is_enough = !is_cooling(ctx, chunk) && has_wanted(free_out, want);
    if (!is_enough)
        unclaim(ctx, chunk);
    return is_enough;
}

static uint64_t group_candidates(const struct vm_space *space, uint64_t group, bool with_full)
{
    struct vm_group_place place = vm_region_group(space->region, group);
    uint64_t chunks = vm_div_up(place.block_count, VM_CHUNK_BLOCKS);
    const struct vm_group *state = &space->groups[group];
    uint64_t full = with_full ? 0 : atomic_load_explicit(&state->full, memory_order_relaxed);
    return vm_bit_run(0, (unsigned)chunks) &
           ~atomic_load_explicit(&state->claimed, memory_order_relaxed) & ~full;
}

uint64_t vm_group_claim(struct vm_ctx *ctx, uint64_t group, struct vm_chunk_want want,
                        uint64_t *free_out)
{
    uint64_t candidates =
        group_candidates(ctx->space, group, want.is_last_resort) & ~want.passed_over;
    while (candidates) {
        unsigned index = (unsigned)__builtin_ctzll(candidates);
        candidates &= candidates - 1;
        uint64_t chunk = vm_chunk_of(group, index);
        if (vm_chunk_claim(ctx, chunk, want, free_out))
            return chunk;
    }
    return VM_CHUNK_NONE;
}

/* How good a chunk is: 0 not at all; the more the better. */
static uint32_t chunk_merit(const struct vm_chunk_best *best, const uint64_t *bits)
{
    uint32_t total = count_bits(bits);
    if (total < best->free_min)
        return 0;
    bool is_fullest = best->taste == VM_TASTE_FULLEST;
    if (is_fullest && total == VM_CHUNK_BLOCKS)
        return 0;
    uint32_t run = vm_bits_find(bits, is_fullest ? best->run_min : VM_CHUNK_BLOCKS).count;
    if (run < best->run_min)
        return 0;
    return is_fullest ? VM_CHUNK_BLOCKS - total : run;
}

void vm_group_look(struct vm_ctx *ctx, uint64_t group, struct vm_chunk_best *best)
{
    uint64_t candidates = group_candidates(ctx->space, group, false);
    for (; candidates && !best->is_enough; candidates &= candidates - 1) {
        uint64_t chunk = vm_chunk_of(group, (unsigned)__builtin_ctzll(candidates));
        uint64_t bits[VM_CHUNK_WORDS_FREE];
        chunk_snapshot(ctx->space, chunk, bits);
        uint32_t merit = chunk_merit(best, bits);
        if (merit <= best->merit || is_cooling(ctx, chunk))
            continue;
        best->chunk = chunk;
        best->merit = merit;
        best->is_enough = merit >= best->enough;
    }
}

uint64_t vm_group_claim_empty(struct vm_ctx *ctx, uint64_t group, unsigned count,
                              unsigned *count_out)
{
    const struct vm_chunk_want want = {.free_min = VM_CHUNK_BLOCKS, .run_min = VM_CHUNK_BLOCKS};
    uint64_t candidates = group_candidates(ctx->space, group, false);
    uint64_t free_bits[VM_CHUNK_WORDS_FREE];
    uint64_t first = VM_CHUNK_NONE;
    *count_out = 0;
    for (unsigned index = 0; index < VM_GROUP_CHUNKS && *count_out < count; index++) {
        uint64_t chunk = vm_chunk_of(group, index);
        if ((candidates >> index & 1) && vm_chunk_claim(ctx, chunk, want, free_bits)) {
            if (first == VM_CHUNK_NONE)
                first = chunk;
            (*count_out)++;
        } else if (first != VM_CHUNK_NONE) {
            break;
        }
    }
    return first;
}

/* 1 if there is one that checks, 0 if not, or a reason. */
static int group_load(struct vm_ctx *ctx, const struct vm_group_place *place,
                      struct vm_group_media *out)
{
    int result = vm_read(ctx, place->descriptor_offset, out, sizeof *out);
    if (result)
        return result;
    uint64_t seed = ctx->region->hash_seed ^ place->descriptor_offset;
    return vm_get32(out->magic) == VM_MAGIC_GROUP &&
           vm_get32(out->hash) == vm_hash32(seed, &out->self, 56) &&
           vm_get64(out->self) == place->descriptor_offset &&
           vm_get64(out->bitmap_block) * VM_BLOCK_BYTES == place->bitmap_offset;
}

static int group_check(struct vm_ctx *ctx, const struct vm_group_place *place,
                       struct vm_group_media *out)
{
    int found = group_load(ctx, place, out);
    if (found == 0)
        return vm_raise(&ctx->err, VMFS_R_GROUP_DAMAGED, place->descriptor_offset);
    return found < 0 ? found : 0;
}

/* The touched bit is durable before the first store into the chunk: after a crash a chunk without it
 * has never been stored to. */
static int mark_touched(struct vm_ctx *ctx, uint64_t offset, uint64_t bit)
{
    struct vm_space *space = ctx->space;
    struct vm_ctx sub;
    VM_SHARED(&ctx->io, vm_lock_take(&space->lock, ctx->region->platform));
    int result = vm_supply_begin(ctx, &sub, VM_LANE_SPACE);
    if (result == 0) {
        vm_tx_mask(&sub, offset, bit, bit);
        result = vm_tx_commit(&sub);
        vm_supply_end(ctx, &sub);
    }
    vm_lock_release(&space->lock, ctx->region->platform);
    return result;
}

int vm_chunk_prepare(struct vm_ctx *ctx, uint64_t chunk, bool *is_zeroed)
{
    const struct vm_region *region = ctx->region;
    struct vm_group_place place = vm_region_group(region, chunk / VM_GROUP_CHUNKS);
    struct vm_group_media descriptor;
    int result = group_check(ctx, &place, &descriptor);
    if (result)
        return result;
    uint64_t start = vm_chunk_first_block(region, chunk) * VM_BLOCK_BYTES;
    uint64_t len_bytes = vm_min((uint64_t)VM_CHUNK_BLOCKS * VM_BLOCK_BYTES, region->bytes - start);
    result = vm_back(ctx, start, len_bytes); /* H17 */
    if (result)
        return result;
    uint64_t bit = (uint64_t)1 << chunk % VM_GROUP_CHUNKS;
    *is_zeroed = region->is_zeroed && !(vm_get64(descriptor.touched) & bit);
    if (!*is_zeroed)
        return 0;
    uint64_t offset = place.descriptor_offset + offsetof(struct vm_group_media, touched);
    return mark_touched(ctx, offset, bit);
}

static int zone_state_load(struct vm_ctx *ctx, const struct vm_zone *zone,
                           struct vm_zone_state_media *out)
{
    uint64_t offset = zone->head_block * VM_BLOCK_BYTES;
    int result = vm_read(ctx, offset, out, sizeof *out);
    if (result)
        return result;
    bool is_sound =
        vm_get32(out->magic) == VM_MAGIC_ZONE && vm_get64(out->self) == offset &&
        vm_get32(out->hash) == vm_hash32(ctx->region->hash_seed ^ offset, &out->self, 56) &&
        vm_get32(out->groups_ready) <= zone->group_count;
    return is_sound ? 0 : vm_raise(&ctx->err, VMFS_R_ZONE_DAMAGED, offset);
}

static void zone_state_seal(const struct vm_region *region, struct vm_zone_state_media *state)
{
    uint64_t seed = region->hash_seed ^ vm_get64(state->self);
    state->hash = vm_put32(vm_hash32(seed, &state->self, 56));
}

void vm_space_format(struct vm_ctx *ctx)
{
    for (uint32_t index = 0; index < ctx->region->zone_count; index++) {
        uint64_t offset = ctx->region->zones[index].head_block * VM_BLOCK_BYTES;
        struct vm_zone_state_media state = {.magic = vm_put32(VM_MAGIC_ZONE),
                                            .self = vm_put64(offset)};
        zone_state_seal(ctx->region, &state);
        vm_io_copy(&ctx->io, offset, &state, sizeof state);
    }
}

/* S6: the record that makes a group raises groups_ready, and no other region had this seed. */
static int check_not_begun(struct vm_ctx *ctx, uint64_t group)
{
    struct vm_group_media descriptor;
    if (group == ctx->region->group_count)
        return 0;
    struct vm_group_place place = vm_region_group(ctx->region, group);
    int found = group_load(ctx, &place, &descriptor);
    return found > 0 ? vm_raise(&ctx->err, VMFS_R_ZONE_BEHIND, place.state_offset) : found;
}

/* Zones fill up in order: a zone is begun when the one before it is ready. */
int vm_groups_load(struct vm_ctx *ctx, struct vm_space *space)
{
    space->ready = 0;
    for (uint32_t index = 0; index < ctx->region->zone_count; index++) {
        const struct vm_zone *zone = &ctx->region->zones[index];
        struct vm_zone_state_media state;
        int result = zone_state_load(ctx, zone, &state);
        if (result)
            return result;
        space->ready += vm_get32(state.groups_ready);
        if (vm_get32(state.groups_ready) < zone->group_count)
            break;
    }
    VM_OWN(atomic_store_explicit(&space->ready_seen, space->ready, memory_order_release));
    return check_not_begun(ctx, space->ready); /* S6 */
}

void vm_groups_salvage(struct vm_ctx *ctx, struct vm_space *space)
{
    space->ready = 0;
    for (uint32_t index = 0; index < ctx->region->zone_count; index++) {
        const struct vm_zone *zone = &ctx->region->zones[index];
        struct vm_zone_state_media state;
        bool is_sound = zone_state_load(ctx, zone, &state) == 0;
        uint32_t ready = is_sound ? vm_get32(state.groups_ready) : zone->first_group == 0;
        space->ready += ready;
        if (ready < zone->group_count)
            break;
    }
    VM_OWN(atomic_store_explicit(&space->ready_seen, space->ready, memory_order_release));
}

static const struct vm_zone *zone_of_group(const struct vm_region *region, uint64_t group)
{
    uint32_t index = 0;
    while (group - region->zones[index].first_group >= region->zones[index].group_count)
        index++;
    return &region->zones[index];
}

/* Blocks of the group that the fixed areas and the zone's own head take. */
static uint64_t reserved_in_group(const struct vm_zone *zone, const struct vm_group_place *place)
{
    uint64_t head_end = zone->head_block + vm_zone_head_blocks(zone->group_count);
    return head_end > place->first_block ? vm_min(head_end - place->first_block, place->block_count)
                                         : 0;
}

static int back_group(struct vm_ctx *ctx, const struct vm_group_place *place)
{
    uint64_t descriptor_block = vm_align_down(place->descriptor_offset, VM_BLOCK_BYTES);
    int result = vm_back(ctx, place->state_offset, VM_BLOCK_BYTES);
    if (result == 0)
        result = vm_back(ctx, descriptor_block, VM_BLOCK_BYTES);
    return result ? result : vm_back(ctx, place->bitmap_offset, VM_BLOCK_BYTES);
}

static int stage_group(struct vm_ctx *sub, uint64_t group)
{
    const struct vm_region *region = sub->region;
    const struct vm_zone *zone = zone_of_group(region, group);
    struct vm_group_place place = vm_region_group(region, group);
    struct vm_zone_state_media state;
    int result = back_group(sub, &place); /* H17 */
    if (result == 0)
        result = zone_state_load(sub, zone, &state);
    if (result)
        return result;
    struct vm_group_media descriptor = {
        .magic = vm_put32(VM_MAGIC_GROUP),
        .self = vm_put64(place.descriptor_offset),
        .birth = vm_put64(region->epoch),
        .bitmap_block = vm_put64(place.bitmap_offset / VM_BLOCK_BYTES),
        .first_block = vm_put64(place.first_block),
    };
    uint64_t seed = region->hash_seed ^ place.descriptor_offset;
    descriptor.hash = vm_put32(vm_hash32(seed, &descriptor.self, 56));
    vm_tx_write_fresh(sub, place.descriptor_offset, &descriptor, sizeof descriptor);
    vm_tx_fill(sub, place.bitmap_offset, VM_BLOCK_BYTES, 0);
    uint64_t reserved = reserved_in_group(zone, &place);
    if (reserved)
        vm_tx_blocks(sub, place.first_block, reserved, true);
    sub->tx->blocks_delta = 0; /* these blocks were never counted as free */
    state.groups_ready = vm_put32(place.index + 1);
    zone_state_seal(region, &state);
    vm_tx_write(sub, place.state_offset, &state, sizeof state);
    return 0;
}

int vm_group_init_next(struct vm_ctx *ctx)
{
    struct vm_space *space = ctx->space;
    uint64_t seen = atomic_load_explicit(&space->ready_seen, memory_order_acquire);
    if (seen == ctx->region->group_count)
        return 0;
    VM_SHARED(&ctx->io, vm_lock_take(&space->lock, ctx->region->platform));
    int result = 0;
    if (space->ready == seen) {
        struct vm_ctx sub;
        result = vm_supply_begin(ctx, &sub, VM_LANE_SPACE);
        if (result == 0) {
            result = stage_group(&sub, seen);
            if (result == 0)
                result = vm_tx_commit(&sub);
            vm_supply_end(ctx, &sub);
        }
        if (result == 0)
            VM_SHARED(&ctx->io, atomic_store_explicit(&space->ready_seen, ++space->ready,
                                                      memory_order_release));
    }
    vm_lock_release(&space->lock, ctx->region->platform);
    return result ? result : 1;
}
