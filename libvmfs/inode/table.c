/* table.c -- inode slots */
#include "inode/table.h"

#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/util.h"
#include "inode/atime.h"
#include "inode/inode.h"
#include "inode/opens.h"
#include "space/space.h"

#define SLOTS_PER_BLOCK (VM_BLOCK_BYTES / VM_INODE_BYTES)
#define CHUNKS_SCANNED  64u
#define WORD_FREE_MIN   16u

static uint64_t map_hash_seed(const struct vm_ctx *ctx, uint64_t offset)
{
    return ctx->region->hash_seed ^ offset;
}

static void map_make(const struct vm_ctx *ctx, uint64_t offset, uint32_t level,
                     struct vm_map_media *head)
{
    memset(head, 0, sizeof *head);
    head->magic = vm_put32(VM_MAGIC_MAP);
    head->self = vm_put64(offset);
    head->birth = vm_put64(ctx->region->epoch);
    head->level = vm_put32(level);
    head->hash = vm_put32(vm_hash32(map_hash_seed(ctx, offset), &head->self, 56));
}

void vm_table_format(struct vm_ctx *ctx)
{
    uint64_t offset = ctx->region->map_block * VM_BLOCK_BYTES;
    struct vm_map_media root;
    map_make(ctx, offset, 1, &root);
    vm_io_copy(&ctx->io, offset, &root, sizeof root);
}

#define MAP_HEAD_BYTES 64u

static bool map_head_is_sound(struct vm_ctx *ctx, uint64_t offset, uint32_t level)
{
    uint8_t bytes[MAP_HEAD_BYTES];
    if (vm_read(ctx, offset, bytes, sizeof bytes))
        return false;
    struct vm_map_media expected;
    memcpy(&expected, bytes, sizeof bytes);
    return vm_get32(expected.magic) == VM_MAGIC_MAP && vm_get64(expected.self) == offset &&
           vm_get32(expected.level) == level &&
           vm_get32(expected.hash) == vm_hash32(map_hash_seed(ctx, offset), bytes + 8, 56);
}

static uint64_t entry_offset(uint64_t map_offset, uint64_t index)
{
    return map_offset + offsetof(struct vm_map_media, entries) +
           index * sizeof(struct vm_map_entry_media);
}

static uint32_t entry_hash(const struct vm_ctx *ctx, uint64_t offset,
                           const struct vm_map_entry_media *entry)
{
    return vm_hash32(map_hash_seed(ctx, offset), entry, 12);
}

static int map_damaged(struct vm_ctx *ctx, uint64_t offset)
{
    return vm_raise(&ctx->err, VMFS_R_INODE_MAP, offset);
}

/* One step down the map: 1 and the block, 0 if there is none, or a reason. */
static int map_step(struct vm_ctx *ctx, uint64_t map_offset, uint32_t level, uint64_t index,
                    uint64_t *block_out)
{
    VM_ASSERT(index < VM_MAP_ENTRIES);
    struct vm_map_entry_media entry;
    uint64_t offset = entry_offset(map_offset, index);
    int result = vm_read(ctx, offset, &entry, sizeof entry);
    if (result)
        return result;
    uint64_t block = vm_get64(entry.block);
    bool is_none = block == 0 && vm_get32(entry.hash) == 0;
    uint64_t need = level ? 1 : ctx->region->chunk_blocks;
    bool is_sound =
        is_none || (vm_get32(entry.hash) == entry_hash(ctx, offset, &entry) &&
                    vm_range_inside(block, need, ctx->region->blocks) &&
                    vm_region_is_home(ctx->region, block * VM_BLOCK_BYTES, need * VM_BLOCK_BYTES));
    if (!is_sound || !map_head_is_sound(ctx, map_offset, level))
        return map_damaged(ctx, offset);
    *block_out = block;
    return !is_none;
}

static int map_lookup(struct vm_ctx *ctx, uint64_t chunk, uint64_t *block_out)
{
    uint64_t below;
    uint64_t root = ctx->region->map_block * VM_BLOCK_BYTES;
    int result = map_step(ctx, root, 1, chunk / VM_MAP_ENTRIES, &below);
    if (result <= 0)
        return result;
    return map_step(ctx, below * VM_BLOCK_BYTES, 0, chunk % VM_MAP_ENTRIES, block_out);
}

/* Where a chunk lies: 1 and its block, 0 if there is no such chunk, or a reason. */
static int chunk_block(struct vm_ctx *ctx, uint64_t chunk, uint64_t *block_out)
{
    struct vm_itable *table = ctx->itable;
    if (chunk >= atomic_load_explicit(&table->chunk_count, memory_order_acquire))
        return 0;
    struct vm_chunk *state = &table->chunks[chunk];
    *block_out = atomic_load_explicit(&state->block, memory_order_acquire);
    if (*block_out)
        return 1;
    bool was_speculative = ctx->err.is_speculative;
    ctx->err.is_speculative = false; /* under this lock the map holds still */
    VM_SHARED(&ctx->io, vm_lock_take(&table->lock, ctx->region->platform));
    int result = map_lookup(ctx, chunk, block_out);
    vm_lock_release(&table->lock, ctx->region->platform);
    ctx->err.is_speculative = was_speculative;
    if (result > 0)
        VM_SHARED(&ctx->io, atomic_store_explicit(&state->block, *block_out, memory_order_release));
    return result;
}

int vm_table_locate(struct vm_ctx *ctx, uint64_t slot, uint64_t *offset_out)
{
    const struct vm_itable *table = ctx->itable;
    uint64_t index = slot & (((uint64_t)1 << table->chunk_stride_log2) - 1);
    *offset_out = 0;
    if (index >= table->slots_per_chunk)
        return 0;
    uint64_t block;
    int result = chunk_block(ctx, slot >> table->chunk_stride_log2, &block);
    if (result > 0)
        *offset_out = (block + 1) * VM_BLOCK_BYTES + index * VM_INODE_BYTES;
    return result;
}

static bool chunk_is_sound(const struct vm_ctx *ctx, uint64_t chunk, uint64_t offset,
                           const struct vm_chunk_media *head)
{
    const struct vm_itable *table = ctx->itable;
    return vm_get32(head->magic) == VM_MAGIC_CHUNK && vm_get64(head->self) == offset &&
           vm_get64(head->first_slot) == chunk << table->chunk_stride_log2 &&
           vm_get32(head->inodes) == table->slots_per_chunk &&
           vm_get32(head->hash) == vm_hash32(map_hash_seed(ctx, offset), &head->self, 56);
}

int vm_table_chunk(struct vm_ctx *ctx, uint64_t chunk, uint64_t *offset_out,
                   struct vm_chunk_media *head)
{
    uint64_t block;
    int result = chunk_block(ctx, chunk, &block);
    if (result <= 0)
        return result;
    *offset_out = block * VM_BLOCK_BYTES;
    result = vm_read(ctx, *offset_out, head, offsetof(struct vm_chunk_media, zero3_));
    if (result)
        return result;
    if (!chunk_is_sound(ctx, chunk, *offset_out, head))
        return vm_raise(&ctx->err, VMFS_R_CHUNK_DAMAGED, *offset_out);
    return 1;
}

static uint64_t word_valid_bits(const struct vm_itable *table, unsigned word)
{
    uint64_t first = (uint64_t)word * 64;
    if (first >= table->slots_per_chunk)
        return 0;
    return vm_bit_run(0, (unsigned)vm_min(64, table->slots_per_chunk - first));
}

static uint64_t used_offset(uint64_t chunk_offset, unsigned word)
{
    return chunk_offset + offsetof(struct vm_chunk_media, used) + (uint64_t)word * 8;
}

static void word_drop(struct vm_ctx *ctx, struct vm_slot_word *slots)
{
    if (!slots->is_valid)
        return;
    VM_SHARED(&ctx->io,
              atomic_fetch_and_explicit(&ctx->itable->chunks[slots->chunk].claimed,
                                        ~((uint64_t)1 << slots->word), memory_order_release));
    slots->is_valid = false;
}

/* T3 */
static uint64_t word_noted(const struct vm_ctx *ctx, uint64_t chunk, unsigned word)
{
    const struct vm_journal *journal = ctx->journal;
    uint64_t first = (chunk << ctx->itable->chunk_stride_log2 | (uint64_t)word * 64) + 1;
    uint64_t noted = 0;
    for (uint32_t lane = 0; lane < journal->lane_count; lane++) {
        uint64_t slot =
            atomic_load_explicit(&journal->lanes[lane].tx.inode_slot, memory_order_acquire);
        if (slot >= first && slot - first < 64)
            noted |= (uint64_t)1 << (slot - first);
    }
    return noted;
}

static uint64_t word_bits(const struct vm_ctx *ctx, uint64_t chunk_offset, unsigned word)
{
    return ~vm_load64_home(ctx->region, used_offset(chunk_offset, word)) &
           word_valid_bits(ctx->itable, word);
}

static bool word_try(struct vm_ctx *ctx, struct vm_slot_word *slots, uint64_t chunk,
                     uint64_t chunk_offset, unsigned word, unsigned free_min)
{
    struct vm_chunk *state = &ctx->itable->chunks[chunk];
    uint64_t bit = (uint64_t)1 << word;
    if (atomic_load_explicit(&state->spent, memory_order_relaxed) & bit)
        return false;
    if (vm_popcount64(word_bits(ctx, chunk_offset, word)) < free_min ||
        atomic_load_explicit(&state->claimed, memory_order_relaxed) & bit)
        return false;
    if (VM_SHARED(&ctx->io, atomic_fetch_or_explicit(&state->claimed, bit, memory_order_acq_rel)) &
        bit)
        return false;
    uint64_t noted = word_noted(ctx, chunk, word); /* T3: the notes, then the bitmap */
    uint64_t free_bits = word_bits(ctx, chunk_offset, word) & ~noted;
    if (vm_popcount64(free_bits) < free_min) {
        VM_SHARED(&ctx->io, atomic_fetch_and_explicit(&state->claimed, ~bit, memory_order_release));
        return false;
    }
    word_drop(ctx, slots);
    slots->is_valid = true;
    slots->is_followed = false;
    slots->chunk = chunk;
    slots->word = word;
    slots->free = free_bits;
    return true;
}

static int chunk_try(struct vm_ctx *ctx, struct vm_slot_word *slots, uint64_t chunk,
                     unsigned free_min)
{
    struct vm_chunk_media head;
    uint64_t offset;
    int result = vm_table_chunk(ctx, chunk, &offset, &head);
    if (result <= 0)
        return result;
    unsigned words = (unsigned)vm_div_up(ctx->itable->slots_per_chunk, 64);
    for (unsigned word = 0; word < words; word++)
        if (word_try(ctx, slots, chunk, offset, word, free_min))
            return 1;
    return 0;
}

static int search_chunks(struct vm_ctx *ctx, struct vm_slot_word *slots, uint64_t most,
                         unsigned free_min)
{
    struct vm_itable *table = ctx->itable;
    uint64_t count = atomic_load_explicit(&table->chunk_count, memory_order_acquire);
    uint64_t start = atomic_load_explicit(&table->cursor, memory_order_relaxed);
    for (uint64_t probe = 0; probe < vm_min(most, count); probe++) {
        uint64_t chunk = (start + probe) % count;
        int result = chunk_try(ctx, slots, chunk, free_min);
        if (result == 0)
            continue;
        if (atomic_load_explicit(&table->cursor, memory_order_relaxed) != chunk)
            VM_SHARED(&ctx->io, atomic_store_explicit(&table->cursor, chunk, memory_order_relaxed));
        return result;
    }
    VM_SHARED(&ctx->io, atomic_store_explicit(&table->cursor, count ? (start + most) % count : 0,
                                              memory_order_relaxed));
    return 0;
}

static void stage_map_entry(struct vm_ctx *sub, uint64_t map_offset, uint64_t index, uint64_t block)
{
    struct vm_map_entry_media entry = {.block = vm_put64(block)};
    uint64_t offset = entry_offset(map_offset, index);
    entry.hash = vm_put32(entry_hash(sub, offset, &entry));
    vm_tx_write(sub, offset, &entry, sizeof entry);
}

/* A map block for chunks that no map block covers yet. */
static int stage_map_block(struct vm_ctx *sub, uint64_t index, uint64_t *offset_out)
{
    int result = vm_space_take_node(sub, offset_out);
    if (result)
        return result;
    struct vm_map_media head;
    map_make(sub, *offset_out, 0, &head);
    vm_tx_fill(sub, *offset_out, VM_BLOCK_BYTES, 0);
    vm_tx_write_fresh(sub, *offset_out, &head, MAP_HEAD_BYTES);
    const uint8_t zero[MAP_HEAD_BYTES] = {0};
    vm_tx_write_fresh(sub, *offset_out + MAP_HEAD_BYTES, zero, sizeof zero);
    stage_map_entry(sub, sub->region->map_block * VM_BLOCK_BYTES, index,
                    *offset_out / VM_BLOCK_BYTES);
    return 0;
}

static int stage_chunk(struct vm_ctx *sub, uint64_t chunk, uint64_t *block_out)
{
    const struct vm_region *region = sub->region;
    const struct vm_itable *table = sub->itable;
    int result = vm_space_take_exact(sub, region->chunk_blocks, block_out);
    if (result)
        return result;
    uint64_t offset = *block_out * VM_BLOCK_BYTES;
    struct vm_chunk_media head = {
        .magic = vm_put32(VM_MAGIC_CHUNK),
        .self = vm_put64(offset),
        .birth = vm_put64(region->epoch),
        .first_slot = vm_put64(chunk << table->chunk_stride_log2),
        .inodes = vm_put32((uint32_t)table->slots_per_chunk),
        .used = {vm_put64(chunk == 0)}, /* slot 0 is nobody's: id 0 means none */
    };
    head.hash = vm_put32(vm_hash32(map_hash_seed(sub, offset), &head.self, 56));
    vm_tx_fill(sub, offset, (uint64_t)region->chunk_blocks * VM_BLOCK_BYTES, 0);
    vm_tx_write_fresh(sub, offset, &head, 128);
    uint64_t map_offset = 0;
    uint64_t root = region->map_block * VM_BLOCK_BYTES;
    if (chunk % VM_MAP_ENTRIES == 0) {
        result = stage_map_block(sub, chunk / VM_MAP_ENTRIES, &map_offset);
    } else {
        uint64_t block;
        result = map_step(sub, root, 1, chunk / VM_MAP_ENTRIES, &block);
        if (result == 0)
            result = map_damaged(sub, root);
        map_offset = block * VM_BLOCK_BYTES;
    }
    if (result < 0)
        return result;
    stage_map_entry(sub, map_offset, chunk % VM_MAP_ENTRIES, *block_out);
    return 0;
}

/* 1 if the table grew, by this thread or another. */
static int table_grow(struct vm_ctx *ctx)
{
    struct vm_itable *table = ctx->itable;
    uint64_t seen = atomic_load_explicit(&table->chunk_count, memory_order_acquire);
    if (seen == table->chunk_max)
        return vm_raise(&ctx->err, VMFS_R_NO_INODES, seen);
    VM_SHARED(&ctx->io, vm_lock_take(&table->lock, ctx->region->platform));
    int result = 0;
    if (atomic_load_explicit(&table->chunk_count, memory_order_relaxed) == seen) {
        struct vm_ctx sub;
        uint64_t block = 0;
        result = vm_supply_begin(ctx, &sub, VM_LANE_INODES);
        if (result == 0) {
            result = stage_chunk(&sub, seen, &block);
            if (result == 0)
                result = vm_tx_commit(&sub);
            vm_supply_end(ctx, &sub);
        }
        if (result == 0) {
            VM_SHARED(&ctx->io, atomic_store_explicit(&table->chunks[seen].block, block,
                                                      memory_order_release));
            VM_SHARED(&ctx->io,
                      atomic_store_explicit(&table->chunk_count, seen + 1, memory_order_release));
            VM_SHARED(&ctx->io, atomic_store_explicit(&table->cursor, seen, memory_order_relaxed));
        }
    }
    vm_lock_release(&table->lock, ctx->region->platform);
    return result ? result : 1;
}

static bool is_roomy(const struct vm_ctx *ctx)
{
    uint64_t slots = atomic_load_explicit(&ctx->itable->chunk_count, memory_order_relaxed) *
                     ctx->itable->slots_per_chunk;
    uint64_t used = (uint64_t)vm_journal_totals(ctx->journal).inodes_used;
    return slots > used && slots - used > slots / 8 + 64;
}

/* Lets go of all words that nobody is taking from right now: slots that were freed in them since
 * they were claimed can then be found. */
static void drop_all_words(struct vm_ctx *ctx, struct vm_slot_word *own)
{
    word_drop(ctx, own);
    for (uint32_t lane = 0; lane < ctx->region->lane_count; lane++) {
        struct vm_slot_word *slots = &ctx->itable->words[lane];
        if (slots == own || !VM_SHARED(&ctx->io, vm_lock_try(&slots->lock)))
            continue;
        word_drop(ctx, slots);
        vm_lock_release(&slots->lock, ctx->region->platform);
    }
}

/* Old chunks while they are roomy, then the newest, then a new one, then any free slot at all. */
static int word_refill(struct vm_ctx *ctx, struct vm_slot_word *slots)
{
    int result = 0;
    word_drop(ctx, slots); /* slots that were freed in it can be found again */
    if (is_roomy(ctx))
        result = search_chunks(ctx, slots, CHUNKS_SCANNED, WORD_FREE_MIN);
    if (result == 0)
        result = search_chunks(ctx, slots, 1, WORD_FREE_MIN);
    while (result == 0) {
        result = table_grow(ctx);
        if (result > 0)
            result = search_chunks(ctx, slots, 1, 1);
    }
    if (result > 0 || vm_is_damage(result))
        return result;
    drop_all_words(ctx, slots);
    int last_resort = search_chunks(ctx, slots, ctx->itable->chunk_max, 1);
    return last_resort ? last_resort : result;
}

/* Below this many free slots in a lane's word another word is made sure of. */
#define SLOTS_AHEAD 8u

/* A new group, the mark of a chunk's first use, the record of the chunk of inodes. */
#define GROW_FENCES 3u

/* Will the next refill find a word where it looks first? Slots that were freed in its own word since it
 * claimed that count, too. */
static bool has_free_word(struct vm_ctx *ctx, const struct vm_slot_word *slots)
{
    const struct vm_itable *table = ctx->itable;
    uint64_t count = atomic_load_explicit(&table->chunk_count, memory_order_acquire);
    uint64_t chunk = atomic_load_explicit(&table->cursor, memory_order_relaxed) % count;
    const struct vm_chunk *state = &table->chunks[chunk];
    uint64_t block = atomic_load_explicit(&state->block, memory_order_acquire);
    uint64_t taken = atomic_load_explicit(&state->claimed, memory_order_relaxed);
    if (chunk == slots->chunk)
        taken &= ~((uint64_t)1 << slots->word);
    unsigned words = (unsigned)vm_div_up(table->slots_per_chunk, 64);
    for (unsigned word = 0; block && word < words; word++)
        if (!(taken >> word & 1) &&
            vm_popcount64(word_bits(ctx, block * VM_BLOCK_BYTES, word)) >= WORD_FREE_MIN)
            return true;
    return false;
}

/* Under the word's lock. */
static void grow_ahead(struct vm_ctx *ctx, struct vm_slot_word *slots)
{
    if (!slots->is_valid || slots->is_followed || vm_popcount64(slots->free) > SLOTS_AHEAD)
        return;
    slots->is_followed = true;
    if (!is_roomy(ctx) && !has_free_word(ctx, slots) && vm_space_is_roomy(ctx))
        (void)table_grow(ctx);
}

/* B1 */
static bool hook_ahead(struct vm_ctx *ctx)
{
    struct vm_slot_word *slots = &ctx->itable->words[ctx->tx->lane];
    bool is_done = vm_space_ahead(ctx);
    if (!vm_tx_affords(ctx, GROW_FENCES))
        return false;
    VM_OWN(vm_lock_take(&slots->lock, ctx->region->platform));
    grow_ahead(ctx, slots);
    vm_lock_release(&slots->lock, ctx->region->platform);
    return is_done;
}

/* The id of the slot's next inode, or 0 if the slot is used up or cannot be trusted (T1). */
static int next_id(struct vm_ctx *ctx, uint64_t slot, uint64_t offset, uint64_t *id_out)
{
    struct vm_inode_media old;
    *id_out = 0;
    int result = vm_read(ctx, offset, &old, sizeof old);
    if (result == 0)
        result = vm_inode_check(ctx, slot, offset, &old);
    if (result)
        return result;
    bool is_new = vm_get32(old.hash0) == 0 && vm_get32(old.hash1) == 0;
    uint64_t generation = is_new ? 0 : (vm_get32(old.generation) & VM_GENERATION_MAX) + 1u;
    if (old.kind == VM_INODE_FREE && generation <= VM_GENERATION_MAX)
        *id_out = generation << VM_SLOT_BITS | slot;
    return 0;
}

static int take_from(struct vm_ctx *ctx, struct vm_slot_word *slots, uint64_t *id_out,
                     uint64_t *offset_out)
{
    struct vm_itable *table = ctx->itable;
    bool is_spent = false;
    while (slots->is_valid && slots->free) {
        unsigned bit = (unsigned)__builtin_ctzll(slots->free);
        uint64_t index = (uint64_t)slots->word * 64 + bit;
        uint64_t slot = slots->chunk << table->chunk_stride_log2 | index;
        slots->free &= slots->free - 1;
        int result = vm_table_locate(ctx, slot, offset_out);
        if (result > 0)
            result = next_id(ctx, slot, *offset_out, id_out);
        if (result)
            return result;
        is_spent = *id_out == 0;
        if (is_spent)
            continue;
        VM_OWN(
            atomic_store_explicit(&ctx->tx->inode_slot, slot + 1, memory_order_release)); /* T3 */
        uint64_t chunk_offset = *offset_out - index * VM_INODE_BYTES - VM_BLOCK_BYTES;
        vm_tx_mask(ctx, used_offset(chunk_offset, slots->word), (uint64_t)1 << bit,
                   (uint64_t)1 << bit); /* T2 */
        ctx->tx->inodes_delta++;
        return 1;
    }
    if (is_spent)
        VM_SHARED(&ctx->io,
                  atomic_fetch_or_explicit(&table->chunks[slots->chunk].spent,
                                           (uint64_t)1 << slots->word, memory_order_relaxed));
    return 0;
}

/* No word is locked by this thread, so each can be waited for: a free one is not missed. */
static int steal(struct vm_ctx *ctx, uint64_t *id_out, uint64_t *offset_out)
{
    for (uint32_t lane = 0; lane < ctx->region->lane_count; lane++) {
        struct vm_slot_word *slots = &ctx->itable->words[lane];
        if (lane == ctx->tx->lane)
            continue;
        VM_SHARED(&ctx->io, vm_lock_take(&slots->lock, ctx->region->platform));
        int result = take_from(ctx, slots, id_out, offset_out);
        vm_lock_release(&slots->lock, ctx->region->platform);
        if (result)
            return result;
    }
    return 0;
}

int vm_table_take(struct vm_ctx *ctx, uint64_t *id_out, uint64_t *offset_out)
{
    VM_ASSERT(atomic_load_explicit(&ctx->tx->inode_slot, memory_order_relaxed) == 0);
    struct vm_slot_word *slots = &ctx->itable->words[ctx->tx->lane];
    ctx->tx->has_taken = true;
    VM_OWN(vm_lock_take(&slots->lock, ctx->region->platform));
    int result = take_from(ctx, slots, id_out, offset_out);
    int refill = 1;
    while (result == 0 && refill > 0) {
        refill = word_refill(ctx, slots);
        if (refill > 0)
            result = take_from(ctx, slots, id_out, offset_out);
    }
    vm_lock_release(&slots->lock, ctx->region->platform);
    if (result == 0)
        result = steal(ctx, id_out, offset_out);
    if (result == 0)
        return refill;
    return result < 0 ? result : 0;
}

/* Where the used and orphan bits of a living inode are. */
static int locate_bits(struct vm_ctx *ctx, uint64_t id, uint64_t *chunk_offset, unsigned *index)
{
    uint64_t offset;
    int result = vm_table_locate(ctx, vm_id_slot(id), &offset);
    if (result < 0)
        return result;
    VM_ASSERT(result > 0);
    const struct vm_itable *table = ctx->itable;
    *index = (unsigned)(vm_id_slot(id) & (((uint64_t)1 << table->chunk_stride_log2) - 1));
    *chunk_offset = offset - (uint64_t)*index * VM_INODE_BYTES - VM_BLOCK_BYTES;
    return 0;
}

int vm_table_free(struct vm_ctx *ctx, uint64_t id)
{
    uint64_t chunk_offset;
    unsigned index;
    int result = locate_bits(ctx, id, &chunk_offset, &index);
    if (result)
        return result;
    vm_tx_mask(ctx, used_offset(chunk_offset, index / 64), (uint64_t)1 << index % 64, 0); /* T2 */
    ctx->tx->inodes_delta--;
    return 0;
}

int vm_table_set_orphan(struct vm_ctx *ctx, uint64_t id, bool is_orphan)
{
    uint64_t chunk_offset;
    unsigned index;
    int result = locate_bits(ctx, id, &chunk_offset, &index);
    if (result)
        return result;
    uint64_t bit = (uint64_t)1 << index % 64;
    uint64_t offset = chunk_offset + offsetof(struct vm_chunk_media, orphan) + index / 64 * 8u;
    vm_tx_mask(ctx, offset, bit, is_orphan ? bit : 0); /* T2 */
    ctx->tx->orphans_delta += is_orphan ? 1 : -1;
    return 0;
}

static void hook_settled_inode(struct vm_ctx *ctx, struct vm_tx *tx, bool is_committed)
{
    struct vm_itable *table = ctx->itable;
    if (is_committed)
        return;
    uint64_t slot = atomic_load_explicit(&tx->inode_slot, memory_order_relaxed) - 1;
    uint64_t chunk = slot >> table->chunk_stride_log2;
    uint64_t index = slot & (((uint64_t)1 << table->chunk_stride_log2) - 1);
    struct vm_slot_word *slots = &table->words[tx->lane];
    VM_OWN(vm_lock_take(&slots->lock, ctx->region->platform));
    if (slots->is_valid && slots->chunk == chunk && slots->word == index / 64)
        slots->free |= (uint64_t)1 << index % 64;
    vm_lock_release(&slots->lock, ctx->region->platform);
}

/* Chunks are added in order, so the first entry without one ends them: at most two map blocks are
 * read. */
static int count_chunks(struct vm_ctx *ctx, struct vm_itable *table)
{
    uint64_t root = ctx->region->map_block * VM_BLOCK_BYTES;
    uint64_t full = 0;
    uint64_t last = 0;
    uint64_t block;
    int result = 1;
    for (uint64_t index = 0; index < VM_MAP_ENTRIES; index++) {
        result = map_step(ctx, root, 1, index, &block);
        if (result <= 0)
            break;
        full = index;
        last = block;
    }
    if (result < 0 || last == 0)
        return result;
    uint64_t count = 0;
    while (count < VM_MAP_ENTRIES) {
        result = map_step(ctx, last * VM_BLOCK_BYTES, 0, count, &block);
        if (result <= 0)
            break;
        count++;
    }
    if (result < 0)
        return result;
    count += full * VM_MAP_ENTRIES;
    if (count > table->chunk_max)
        return map_damaged(ctx, last * VM_BLOCK_BYTES); /* some blocks are in it twice */
    VM_OWN(atomic_store(&table->chunk_count, count));
    VM_OWN(atomic_store(&table->cursor, count ? count - 1 : 0));
    return 0;
}

static int alloc_parts(struct vm_ctx *ctx, struct vm_itable *table)
{
    const struct vm_region *region = ctx->region;
    void *memory;
    int result = vm_alloc(ctx, table->chunk_max * sizeof *table->chunks, &memory);
    table->chunks = memory;
    if (result == 0)
        result = vm_alloc(ctx, region->lane_count * sizeof *table->words, &memory);
    table->words = result ? NULL : memory;
    if (result == 0)
        result = vm_alloc(ctx, VM_STRIPE_COUNT * sizeof *table->stripes, &memory);
    table->stripes = result ? NULL : memory;
    return result ? result : vm_opens_init(ctx, table);
}

static uint64_t hook_flush_lazy(struct vm_ctx *ctx)
{
    return vm_atime_flush(ctx);
}

int vm_table_init(struct vm_ctx *ctx, struct vm_itable **out)
{
    const struct vm_region *region = ctx->region;
    void *memory;
    int result = vm_alloc(ctx, sizeof(struct vm_itable), &memory);
    if (result)
        return result;
    struct vm_itable *table = memory;
    *out = table;
    ctx->itable = table;
    table->region = region;
    table->slots_per_chunk = (uint64_t)(region->chunk_blocks - 1) * SLOTS_PER_BLOCK;
    table->chunk_stride_log2 =
        (unsigned)__builtin_ctz(region->chunk_blocks) + (unsigned)__builtin_ctz(SLOTS_PER_BLOCK);
    table->chunk_max =
        vm_min((uint64_t)VM_MAP_ENTRIES * VM_MAP_ENTRIES, region->blocks / region->chunk_blocks);
    result = alloc_parts(ctx, table);
    if (result)
        return result;
    ctx->journal->hooks.settled_inode = hook_settled_inode;
    ctx->journal->hooks.flush_lazy = hook_flush_lazy;
    ctx->journal->hooks.ahead = hook_ahead;
    bool has_orphans = vm_journal_totals(ctx->journal).orphans != 0;
    VM_OWN(atomic_store(&table->may_have_orphans, has_orphans));
    return count_chunks(ctx, table);
}

void vm_table_fini(struct vm_ctx *ctx, struct vm_itable *table)
{
    const struct vm_region *region = ctx->region;
    const struct vm_platform *platform = region->platform;
    if (!table)
        return;
    if (table->chunks)
        platform->free(platform->arg, table->chunks, table->chunk_max * sizeof *table->chunks);
    if (table->words)
        platform->free(platform->arg, table->words, region->lane_count * sizeof *table->words);
    vm_opens_fini(ctx, table);
    if (table->stripes)
        platform->free(platform->arg, table->stripes, VM_STRIPE_COUNT * sizeof *table->stripes);
    platform->free(platform->arg, table, sizeof *table);
}
