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

struct vm_opens {
    _Alignas(64) struct vm_open **buckets;
    uint32_t bucket_count;  /* a power of two */
    _Atomic uint32_t count; /* of listed entries; changed under the stripe, read by anybody */
    uint32_t used;          /* of entries that came out of slabs */
    struct vm_open *single; /* the one bucket of a small table */
    struct vm_open *spare;
    struct slab *slabs; /* the first one last */
};

static struct vm_opens *opens_of(const struct vm_ctx *ctx, uint64_t id)
{
    const struct vm_itable *table = ctx->itable;
    return &table->opens[vm_stripe_of(ctx, id) - table->stripes];
}

/* Other bits of the hash than those that choose the stripe. */
static struct vm_open **bucket_of(struct vm_open **buckets, uint32_t bucket_count, uint64_t id)
{
    return &buckets[(vm_mix64(vm_id_slot(id)) >> 32) & (bucket_count - 1)];
}

struct vm_open *vm_open_find(const struct vm_ctx *ctx, uint64_t id)
{
    const struct vm_opens *opens = opens_of(ctx, id);
    struct vm_open *open = *bucket_of(opens->buckets, opens->bucket_count, id);
    while (open && open->id != id)
        open = open->next;
    return open;
}

static void free_buckets(const struct vm_platform *platform, struct vm_opens *opens)
{
    if (opens->buckets != &opens->single)
        platform->free(platform->arg, opens->buckets, opens->bucket_count * sizeof *opens->buckets);
}

/* Without memory the table stays as it is. */
static void resize(struct vm_ctx *ctx, struct vm_opens *opens, uint32_t bucket_count)
{
    const struct vm_platform *platform = ctx->region->platform;
    struct vm_open **buckets = &opens->single;
    if (bucket_count > 1)
        buckets = platform->alloc(platform->arg, bucket_count * sizeof *buckets);
    if (!buckets)
        return;
    struct vm_open *all = NULL;
    for (uint32_t index = 0; index < opens->bucket_count; index++)
        while (opens->buckets[index]) {
            struct vm_open *open = opens->buckets[index];
            opens->buckets[index] = open->next;
            open->next = all;
            all = open;
        }
    free_buckets(platform, opens);
    opens->buckets = buckets;
    opens->bucket_count = bucket_count;
    while (all) {
        struct vm_open *open = all;
        struct vm_open **bucket = bucket_of(buckets, bucket_count, open->id);
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
    struct vm_open **bucket = bucket_of(opens->buckets, opens->bucket_count, open->id);
    open->next = *bucket;
    *bucket = open;
    if (count_change(opens, 1) > opens->bucket_count * FILL_MAX)
        resize(ctx, opens, opens->bucket_count * 2);
}

void vm_opens_remove(struct vm_ctx *ctx, struct vm_open *open)
{
    struct vm_opens *opens = opens_of(ctx, open->id);
    struct vm_open **at = bucket_of(opens->buckets, opens->bucket_count, open->id);
    while (*at != open)
        at = &(*at)->next;
    *at = open->next;
    uint32_t count = count_change(opens, UINT32_MAX);
    if (opens->bucket_count > 1 && count * FILL_SPREAD < opens->bucket_count * FILL_MAX)
        resize(ctx, opens, opens->bucket_count / 2);
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

static void clear(const struct vm_platform *platform, struct vm_opens *opens)
{
    free_buckets(platform, opens);
    free_slabs(platform, opens, NULL);
    *opens = (struct vm_opens){.buckets = &opens->single, .bucket_count = 1};
}

int vm_opens_init(struct vm_ctx *ctx, struct vm_itable *table)
{
    void *memory;
    int result = vm_alloc(ctx, VM_STRIPE_COUNT * sizeof *table->opens, &memory);
    table->opens = memory;
    for (unsigned index = 0; result == 0 && index < VM_STRIPE_COUNT; index++) {
        table->opens[index].buckets = &table->opens[index].single;
        table->opens[index].bucket_count = 1;
    }
    return result;
}

void vm_opens_fini(struct vm_ctx *ctx, struct vm_itable *table)
{
    const struct vm_platform *platform = ctx->region->platform;
    if (!table->opens)
        return;
    for (unsigned index = 0; index < VM_STRIPE_COUNT; index++)
        clear(platform, &table->opens[index]);
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
        const struct vm_opens *opens = &ctx->itable->opens[index];
        for (uint32_t bucket = 0; bucket < opens->bucket_count; bucket++)
            for (struct vm_open *open = opens->buckets[bucket]; open; open = open->next)
                held += open->holds > 0;
    }
    return held;
}

void vm_opens_let_go(struct vm_ctx *ctx)
{
    for (unsigned index = 0; index < VM_STRIPE_COUNT; index++)
        clear(ctx->region->platform, &ctx->itable->opens[index]);
    bool has_orphans = vm_journal_totals(ctx->journal).orphans != 0;
    VM_OWN(atomic_store(&ctx->itable->orphan_cursor, 0));
    VM_OWN(atomic_store(&ctx->itable->may_have_orphans, has_orphans));
}
