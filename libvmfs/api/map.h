/* map.h -- the file behind a region: opening, locking, sizing, mapping */
#ifndef VM_API_MAP_H
#define VM_API_MAP_H

#include "api/handle.h"

/* Opens and maps what the options say into fs->fd, map, map_bytes and is_page_cache; sets *is_zeroed
 * where the bytes are known to read as zero. 0 or a negative errno, with the reason raised. */
int64_t vm_map_open(struct vmfs *fs, struct vm_err *err, const char *path,
                    const struct vmfs_options *options, bool *is_zeroed);

/* Chooses the backend for a level that is POWER or PROCESS; sets durability and is_page_cache. */
int64_t vm_choose_backend(struct vmfs *fs, struct vm_err *err, uint32_t level, bool is_pmem,
                          bool is_file);

/* Unmaps, unlocks and closes; in a forked child the lock is left to the parent. */
void vm_map_close(struct vmfs *fs);

/* Everything stored so far reaches the file: 0 or a negative errno. */
int64_t vm_map_sync(struct vmfs *fs);

/* The owner line of an attached region: claims it unless a living process has it. */
int64_t vm_owner_claim(struct vmfs *fs, struct vm_ctx *ctx);
void vm_owner_release(struct vmfs *fs, struct vm_ctx *ctx);

#endif
