/* atime.c -- relatime, lazily
 *
 * What waits to be flushed is noted in one bit for 64 slots, in the state that every chunk of inodes has
 * anyway: no table can overflow, whatever is read. The price is that up to 64 lines are written back
 * where one would do, by the checkpoint, off the reader's path. */
#include "inode/atime.h"

#include "base/check.h"
#include "base/util.h"
#include "inode/table.h"

#define DAY_NS      ((int64_t)24 * 60 * 60 * 1000000000)
#define FLUSH_WORDS 4u /* of 64 lines each, in one slice */

static int64_t atime_of(const struct vm_inode *inode)
{
    return (int64_t)vm_get64(inode->m.atime_ns);
}

/* No later than the last change, or a day old. A clock that went back counts as no age. */
static bool is_due(const struct vm_inode *inode, int64_t now_ns)
{
    int64_t atime_ns = atime_of(inode);
    int64_t age_ns;
    if (atime_ns == now_ns || (vm_inode_flags(inode) & VM_INODE_FLAG_NOATIME))
        return false;
    if (atime_ns <= (int64_t)vm_get64(inode->m.mtime_ns) ||
        atime_ns <= (int64_t)vm_get64(inode->m.ctime_ns))
        return true;
    return __builtin_sub_overflow(now_ns, atime_ns, &age_ns) ? now_ns > atime_ns : age_ns >= DAY_NS;
}

static void note(struct vm_ctx *ctx, uint64_t slot)
{
    struct vm_itable *table = ctx->itable;
    uint64_t index = slot & (((uint64_t)1 << table->chunk_stride_log2) - 1);
    struct vm_chunk *chunk = &table->chunks[slot >> table->chunk_stride_log2];
    uint64_t bit = (uint64_t)1 << index / 64;
    VM_SHARED(&ctx->io, atomic_fetch_or(&chunk->read, bit)); /* A2 */
    if (!atomic_load(&table->has_read))
        VM_SHARED(&ctx->io, atomic_store(&table->has_read, true));
}

static void touch_locked(struct vm_ctx *ctx, uint64_t id, int64_t now_ns)
{
    struct vm_inode inode;
    if (vm_inode_load_head(ctx, id, &inode) || !is_due(&inode, now_ns))
        return;
    struct vm_le64 word = vm_put64((uint64_t)now_ns);
    uint64_t offset = inode.offset + offsetof(struct vm_inode_media, atime_ns);
    struct vm_stripe *stripe = vm_stripe_of(ctx, id);
    vm_stripe_open(stripe); /* L1 */
    vm_io_store(&ctx->io, offset, &word, sizeof word);
    vm_stripe_close(stripe);
    note(ctx, vm_id_slot(id));
}

void vm_atime_touch(struct vm_ctx *ctx, const struct vm_inode *seen)
{
    const struct vm_platform *platform = ctx->region->platform;
    if (!ctx->keeps_atime)
        return;
    int64_t now_ns = platform->now(platform->arg);
    if (!is_due(seen, now_ns))
        return;
    vm_lock_inodes(ctx, &seen->id, 1); /* A1 */
    touch_locked(ctx, seen->id, now_ns);
    vm_unlock_inodes(ctx);
}

struct look {
    uint64_t id;
    struct vm_inode inode;
};

static int64_t look_body(struct vm_ctx *ctx, void *arg)
{
    struct look *look = arg;
    return vm_inode_load_head(ctx, look->id, &look->inode);
}

void vm_atime_touch_id(struct vm_ctx *ctx, uint64_t id)
{
    struct look look = {.id = id};
    if (ctx->keeps_atime && vm_read_stable(ctx, id, look_body, &look) == 0)
        vm_atime_touch(ctx, &look.inode);
}

static void flush_word(struct vm_ctx *ctx, uint64_t chunk, unsigned word)
{
    const struct vm_itable *table = ctx->itable;
    uint64_t block = atomic_load_explicit(&table->chunks[chunk].block, memory_order_acquire);
    uint64_t first = (uint64_t)word * 64;
    uint64_t end = vm_min(first + 64, table->slots_per_chunk);
    VM_ASSERT(block != 0); /* whoever noted it has looked it up */
    for (uint64_t index = first; index < end; index++)
        vm_io_flush(&ctx->io, (block + 1) * VM_BLOCK_BYTES + index * VM_INODE_BYTES,
                    VM_INODE_HEAD_BYTES);
}

static unsigned flush_chunk(struct vm_ctx *ctx, uint64_t chunk, unsigned most)
{
    _Atomic uint64_t *read = &ctx->itable->chunks[chunk].read;
    unsigned words = 0;
    uint64_t bits = atomic_load(read);
    for (; bits && words < most; bits &= bits - 1, words++) {
        unsigned word = (unsigned)__builtin_ctzll(bits);
        uint64_t others = ~((uint64_t)1 << word);
        VM_SHARED(&ctx->io, atomic_fetch_and(read, others)); /* A2 */
        flush_word(ctx, chunk, word);
    }
    return words;
}

/* Readers set the flag behind their bit and it is cleared before the bits are looked at. */
uint64_t vm_atime_flush(struct vm_ctx *ctx)
{
    struct vm_itable *table = ctx->itable;
    if (!atomic_load(&table->has_read))
        return 0;
    VM_SHARED(&ctx->io, atomic_store(&table->has_read, false));
    uint64_t count = atomic_load_explicit(&table->chunk_count, memory_order_acquire);
    unsigned words = 0;
    for (uint64_t chunk = 0; chunk < count && words < FLUSH_WORDS; chunk++)
        words += flush_chunk(ctx, chunk, FLUSH_WORDS - words);
    if (words == FLUSH_WORDS)
        VM_SHARED(&ctx->io, atomic_store(&table->has_read, true));
    return words * 64;
}
