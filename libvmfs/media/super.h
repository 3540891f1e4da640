/* super.h -- the two superblock copies and the two watermark lines
 *
 * S1  A superblock is published copy B first, fenced, then copy A: one valid copy exists at any
 *     instant, and the newer generation of the valid ones counts. A writer that finds only one, or two
 *     that differ, stores the bad copy again, never the one that was chosen.
 * S2  Watermark copies are written in turn, so a torn one leaves its predecessor. */
#ifndef VM_MEDIA_SUPER_H
#define VM_MEDIA_SUPER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "media/format.h"
#include "persist/persist.h"

/* Chooses and copies out the newest valid copy of `len_bytes` at `base`. Damaged, foreign and newer
 * regions are told apart. `is_read_only` allows unknown ro_compat features. *is_single tells that
 * the other copy is damaged or older. */
struct vm_super_choice {
    bool is_read_only;
    bool is_single;
    bool is_rebuilt; /* by repair: no copy could be taken as it is */
};

int vm_super_load(struct vm_err *err, const void *base, uint64_t len_bytes,
                  struct vm_super_choice *choice, struct vm_super_media *out);

/* Publishes `super` in both copies with the next generation. 0, or not 0 if a fence failed. */
int vm_super_publish(struct vm_io *io, struct vm_super_media *super);

/* Stores the copy again that is not as good as `super`, the one that was loaded. 0, or not 0 if a
 * fence failed. */
int vm_super_mend(struct vm_io *io, const struct vm_super_media *super);

/* No sequence number is higher: those of records follow the watermark, and must not begin again. */
#define VM_SEQUENCE_MAX (UINT64_MAX / 2)

/* The decoded line. */
struct vm_watermark {
    uint64_t nonce;
    uint64_t era;
    uint64_t watermark;
    uint64_t blocks_free;
    uint64_t inodes_used;
    uint64_t orphans;
};

/* Is it made by a version with features unknown here? */
bool vm_super_is_newer(const struct vm_super_media *super, bool is_read_only);

/* Copies out one line if it checks. */
bool vm_watermark_read(const void *base, unsigned copy, struct vm_watermark *out);

/* Copies out the newest valid line and which copy it was (0 or 1). */
int vm_watermark_load(struct vm_err *err, const void *base, struct vm_watermark *out,
                      unsigned *copy_out);

/* Stores one copy, to be fenced by the caller. */
void vm_watermark_store(struct vm_io *io, unsigned copy, const struct vm_watermark *watermark);

#endif
