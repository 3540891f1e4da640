/* map.h -- the file behind a region: opening, locking, sizing, mapping */
#ifndef VM_API_MAP_H
#define VM_API_MAP_H

#include "api/handle.h"

/* What vm_map_open() has found out about a file. */
struct vm_backing {
    const char
        *created;   /* its path if it was made, to be removed again if the open fails; or null */
    bool is_zeroed; /* the bytes are known to read as zero */
};

/* Opens and maps what the options say into fs->fd, map, map_bytes and the rest of it. 0 or a negative
 * errno, with the reason raised; then what was in the file is as it was. */
int64_t vm_map_open(struct vmfs *fs, struct vm_err *err, const char *path,
                    const struct vmfs_options *options, struct vm_backing *out);

/* Chooses the backend for a level that is POWER or PROCESS; sets durability, is_page_cache and sync. */
int64_t vm_choose_backend(struct vmfs *fs, struct vm_err *err, uint32_t level, bool is_pmem,
                          bool is_file);

/* Unmaps, unlocks and closes; in a forked child the lock is left to the parent. */
void vm_map_close(struct vmfs *fs);

/* On a view of a DAX device: puts private copies in the place of the units that [offset, offset + len) lies in,
 * so that it can be stored to and the device is not. False for want of memory. */
bool vm_map_own(struct vmfs *fs, uint64_t offset, uint64_t len_bytes);

/* At level POWER the name of a region that was created is as durable as what is in it. */
int64_t vm_map_keep_name(const struct vmfs *fs, struct vm_err *err, const char *path);

/* Everything stored so far reaches the file: 0 or a negative errno, and once that, always that. */
int64_t vm_map_sync(struct vmfs *fs);

#endif
