/* opens.c -- a hash table for each stripe */
#include "inode/opens.h"

#include "base/check.h"
#include "base/util.h"
#include "inode/inode.h"

/* The first slab of a stripe is small: most have a few entries or none. */
#define SLAB_FIRST_BYTES 512u
#define SLAB_BYTES       4032u

/* Entries to a bucket above which a table doubles; a sixteenth of that, and it halves. */
#define FILL_MAX    2u
#define FILL_SPREAD 16u

struct slab {
    struct slab *next;
    uint64_t len_bytes;
    struct vm_open entries[];
};

/* All zeros is an empty one. */
struct vm_opens {
    _Alignas(64) struct vm_open **buckets; /* null: `single` is the only one */
    uint32_t bucket_mask;                  /* how many there are, a power of two, less one */
    _Atomic uint32_t count; /* of listed entries; changed under the stripe, read by anybody */
    uint32_t used;          /* of entries that came out of slabs */
    struct vm_open *single;
    struct vm_open *spare;
    struct slab *slabs; /* the first one last */
};

static struct vm_opens *opens_of(const struct vm_ctx *ctx, uint64_t id)
{
    const struct vm_itable *table = ctx->itable;
    return &table->opens[vm_stripe_of(ctx, id) - table->stripes];
}

static struct vm_open **buckets_of(struct vm_opens *opens)
{
    return opens->buckets ? opens->buckets : &opens->single;
}

/* Other bits of the hash than those that choose the stripe. */
static struct vm_open **bucket_of(struct vm_opens *opens, uint64_t id)
{
    return &buckets_of(opens)[(vm_mix64(vm_id_slot(id)) >> 32) & opens->bucket_mask];
}

struct vm_open *vm_open_find(const struct vm_ctx *ctx, uint64_t id)
{
    struct vm_open *open = *bucket_of(opens_of(ctx, id), id);
    while (open && open->id != id)
        open = open->next;
    return open;
}

/* From here on it has memory: whoever goes through all stripes looks at it. */
static void note_used(const struct vm_ctx *ctx, const struct vm_opens *opens)
{
    struct vm_itable *table = ctx->itable;
    VM_OWN(
        atomic_store_explicit(&table->is_used[opens - table->opens], true, memory_order_relaxed));
}

static void free_buckets(const struct vm_platform *platform, struct vm_opens *opens)
{
    if (opens->buckets)
        platform->free(platform->arg, opens->buckets,
                       ((uint64_t)opens->bucket_mask + 1) * sizeof *opens->buckets);
}

/* Without memory the table stays as it is. */
static void resize(struct vm_ctx *ctx, struct vm_opens *opens, uint32_t bucket_count)
{
    const struct vm_platform *platform = ctx->region->platform;
    struct vm_open **fresh = NULL;
    if (bucket_count > 1) {
        fresh = platform->alloc(platform->arg, bucket_count * sizeof *fresh);
        if (!fresh)
            return;
    }
    struct vm_open *all = NULL;
    struct vm_open **buckets = buckets_of(opens);
    for (uint32_t index = 0; index <= opens->bucket_mask; index++)
        while (buckets[index]) {
            struct vm_open *open = buckets[index];
            buckets[index] = open->next;
            open->next = all;
            all = open;
        }
    free_buckets(platform, opens);
    opens->buckets = fresh;
    opens->bucket_mask = bucket_count - 1;
    note_used(ctx, opens);
    while (all) {
        struct vm_open *open = all;
        struct vm_open **bucket = bucket_of(opens, open->id);
        all = open->next;
        open->next = *bucket;
        *bucket = open;
    }
}

static uint32_t count_change(struct vm_opens *opens, uint32_t change)
{
    uint32_t count = atomic_load_explicit(&opens->count, memory_order_relaxed) + change;
    VM_OWN(atomic_store_explicit(&opens->count, count, memory_order_relaxed));
    return count;
}

void vm_opens_insert(struct vm_ctx *ctx, struct vm_open *open)
{
    struct vm_opens *opens = opens_of(ctx, open->id);
    struct vm_open **bucket = bucket_of(opens, open->id);
    uint32_t bucket_count = opens->bucket_mask + 1;
    open->next = *bucket;
    *bucket = open;
    if (count_change(opens, 1) > bucket_count * FILL_MAX)
        resize(ctx, opens, bucket_count * 2);
}

void vm_opens_remove(struct vm_ctx *ctx, struct vm_open *open)
{
    struct vm_opens *opens = opens_of(ctx, open->id);
    struct vm_open **at = bucket_of(opens, open->id);
    uint32_t bucket_count = opens->bucket_mask + 1;
    while (*at != open)
        at = &(*at)->next;
    *at = open->next;
    uint32_t count = count_change(opens, UINT32_MAX);
    if (bucket_count > 1 && count * FILL_SPREAD < bucket_count * FILL_MAX)
        resize(ctx, opens, bucket_count / 2);
}

/* ---- slabs ---- */

static void cut_slab(struct vm_opens *opens, struct slab *slab)
{
    uint64_t count = (slab->len_bytes - sizeof *slab) / sizeof slab->entries[0];
    for (uint64_t index = 0; index < count; index++) {
        slab->entries[index].next = opens->spare;
        opens->spare = &slab->entries[index];
    }
}

static int add_slab(struct vm_ctx *ctx, struct vm_opens *opens)
{
    uint64_t len_bytes = opens->slabs ? SLAB_BYTES : SLAB_FIRST_BYTES;
    void *memory;
    int result = vm_alloc(ctx, len_bytes, &memory);
    if (result)
        return result;
    struct slab *slab = memory;
    slab->len_bytes = len_bytes;
    slab->next = opens->slabs;
    opens->slabs = slab;
    note_used(ctx, opens);
    cut_slab(opens, slab);
    return 0;
}

static void free_slabs(const struct vm_platform *platform, struct vm_opens *opens,
                       const struct slab *keep)
{
    while (opens->slabs != keep) {
        struct slab *slab = opens->slabs;
        opens->slabs = slab->next;
        platform->free(platform->arg, slab, slab->len_bytes);
    }
}

/* After a flood all memory but the first slab goes back. */
static void shrink_slabs(struct vm_ctx *ctx, struct vm_opens *opens)
{
    struct slab *first = opens->slabs;
    if (!first->next)
        return;
    while (first->next)
        first = first->next;
    free_slabs(ctx->region->platform, opens, first);
    opens->spare = NULL;
    cut_slab(opens, first);
}

int vm_opens_new(struct vm_ctx *ctx, uint64_t id, struct vm_open **out)
{
    struct vm_opens *opens = opens_of(ctx, id);
    int result = opens->spare ? 0 : add_slab(ctx, opens);
    if (result)
        return result;
    struct vm_open *open = opens->spare;
    opens->spare = open->next;
    opens->used++;
    *open = (struct vm_open){.id = id};
    *out = open;
    return 0;
}

void vm_opens_free(struct vm_ctx *ctx, struct vm_open *open)
{
    struct vm_opens *opens = opens_of(ctx, open->id);
    VM_ASSERT(opens->used > 0);
    open->next = opens->spare;
    opens->spare = open;
    if (--opens->used == 0)
        shrink_slabs(ctx, opens);
}

/* ---- all of them ---- */

static bool is_used(const struct vm_itable *table, unsigned stripe)
{
    return atomic_load_explicit(&table->is_used[stripe], memory_order_relaxed);
}

static void clear_all(struct vm_ctx *ctx, struct vm_itable *table)
{
    const struct vm_platform *platform = ctx->region->platform;
    for (unsigned index = 0; index < VM_STRIPE_COUNT; index++) {
        if (!is_used(table, index))
            continue;
        free_buckets(platform, &table->opens[index]);
        free_slabs(platform, &table->opens[index], NULL);
        table->opens[index] = (struct vm_opens){0};
        VM_OWN(atomic_store_explicit(&table->is_used[index], false, memory_order_relaxed));
    }
}

int vm_opens_init(struct vm_ctx *ctx, struct vm_itable *table)
{
    void *memory;
    int result = vm_alloc(ctx, VM_STRIPE_COUNT * sizeof *table->opens, &memory);
    table->opens = memory;
    return result;
}

void vm_opens_fini(struct vm_ctx *ctx, struct vm_itable *table)
{
    const struct vm_platform *platform = ctx->region->platform;
    if (!table->opens)
        return;
    clear_all(ctx, table);
    platform->free(platform->arg, table->opens, VM_STRIPE_COUNT * sizeof *table->opens);
}

uint64_t vm_opens_count(const struct vm_ctx *ctx)
{
    uint64_t count = 0;
    for (unsigned index = 0; ctx->itable->opens && index < VM_STRIPE_COUNT; index++)
        count += atomic_load_explicit(&ctx->itable->opens[index].count, memory_order_relaxed);
    return count;
}

uint64_t vm_opens_held(const struct vm_ctx *ctx)
{
    uint64_t held = 0;
    for (unsigned index = 0; index < VM_STRIPE_COUNT; index++) {
        struct vm_opens *opens = &ctx->itable->opens[index];
        for (uint32_t bucket = 0; is_used(ctx->itable, index) && bucket <= opens->bucket_mask;
             bucket++)
            for (struct vm_open *open = buckets_of(opens)[bucket]; open; open = open->next)
                held += open->holds > 0;
    }
    return held;
}

void vm_opens_let_go(struct vm_ctx *ctx)
{
    clear_all(ctx, ctx->itable);
    bool has_orphans = vm_journal_totals(ctx->journal).orphans != 0;
    VM_OWN(atomic_store(&ctx->itable->orphan_cursor, 0));
    VM_OWN(atomic_store(&ctx->itable->may_have_orphans, has_orphans));
}
