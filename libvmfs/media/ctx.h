/* ctx.h -- what one operation carries down through the ranks
 *
 * It lives on the caller's stack from entry to return. The higher ranks hang their state here by
 * pointers that only they look behind. */
#ifndef VM_MEDIA_CTX_H
#define VM_MEDIA_CTX_H

#include "base/err.h"
#include "base/lock.h"
#include "media/overlay.h"
#include "media/region.h"
#include "persist/pages.h"
#include "persist/persist.h"

struct vm_journal;
struct vm_tx;
struct vm_space;
struct vm_itable;
struct vm_cred;

#define VM_HELD_MAX 6u

struct vm_ctx {
    struct vm_err err;
    struct vm_io io;
    struct vm_unsynced unsynced; /* what io.arg is where the fence must be told; else not set */
    const struct vm_region *region;
    struct vm_overlay *overlay; /* of the running transaction, or null */
    struct vm_journal *journal;
    struct vm_tx *tx;
    struct vm_space *space;
    struct vm_itable *itable;
    struct vm_stripe *held[VM_HELD_MAX]; /* exclusively, in ascending address order */
    unsigned held_count;
    bool
        is_window_kept; /* a commit leaves the windows of what is held open: more steps follow (L1) */
    uint32_t hint;      /* differs between threads */
    uint32_t lane_hint; /* the same, and dense */
    uint32_t uid;       /* owner of what is created */
    uint32_t gid;
    uint32_t umask; /* of whoever creates */
    const struct vm_cred
        *cred; /* who must be allowed to search what a walk goes through; null: nobody asks */
    int64_t now_ns;
    bool keeps_atime;    /* reading may store access times */
    bool is_above_flags; /* repair: what is immutable may be changed, too */
    uint64_t losses;     /* of pages, when the call began; for the guard */
};

/* Copies out `len_bytes` at `offset`, both multiples of 8, as the running transaction sees them. */
int vm_read(struct vm_ctx *ctx, uint64_t offset, void *buffer, size_t len_bytes);

/* One word; `offset` is a multiple of 8 that the caller knows to be inside. */
uint64_t vm_load64(struct vm_ctx *ctx, uint64_t offset);

/* As vm_load64(), but never a staged value: for words that change by masks only. */
static inline uint64_t vm_load64_home(const struct vm_region *region, uint64_t offset)
{
    const uint64_t *word = (const uint64_t *)(const void *)(region->base + offset);
    return vm_get64((struct vm_le64){__atomic_load_n(word, __ATOMIC_ACQUIRE)});
}

/* Zeroed memory from the platform; *memory is null after a failure. */
int vm_alloc(struct vm_ctx *ctx, size_t len_bytes, void **memory);

/* Gives bytes of the region memory of their own before they are stored to (H17). */
int vm_back(struct vm_ctx *ctx, uint64_t offset, uint64_t len_bytes);

/* Copies file data out of the region; a racing store is found by the stripe's version afterwards.
 */
void vm_copy_data(void *dst, const uint8_t *src, size_t len_bytes);

#endif
