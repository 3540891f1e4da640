/* handle.h -- the attached region as the API sees it, and the way into and out of a call */
#ifndef VM_API_HANDLE_H
#define VM_API_HANDLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/device.h"
#include "media/ctx.h"
#include "name/volume.h"
#include "persist/persist_sync.h"
#include "vmfs.h"

#define VM_THREAD_SLOTS 256u

/* What one thread's calls have cost. Written by that thread alone, but for the last slot, which takes
 * all threads that found no slot of their own. */
struct vm_thread_slot {
    _Alignas(64) _Atomic uintptr_t owner;
    _Atomic uint64_t ops;
    _Atomic uint64_t fences;
    _Atomic uint64_t lines;
    _Atomic uint64_t bytes;
    _Atomic uint64_t shared;
    _Atomic uint64_t handles; /* opened minus closed by this thread; may wrap */
    _Atomic uint32_t views;   /* of this thread, not ended yet */
    uint32_t lane_hint;       /* dense over threads, so that few share a lane */
};

struct vm_guard;

struct vmfs {
    struct vm_volume volume;
    struct vm_platform platform;
    const struct vm_persist_ops *ops;
    void *ops_arg;
    const char *backend; /* what a writer's ops are called here */
    vmfs_log_fn log;
    void *log_arg;
    uint32_t owner_uid;
    uint32_t owner_gid;
    bool is_read_only;
    bool leaves_atime; /* reading leaves access times: for those who look on */
    bool is_served;    /* VMFS_SERVED */
    uint32_t wait_ms;  /* for an owner who is about to end, at most */
    bool is_peek;      /* VMFS_PEEK: another process may be storing */
    bool needs_repair; /* VMFS_REPAIR: probed, and not attached before vmfs_repair() does it */
    _Atomic bool is_damaged;
    uint32_t durability;
    _Atomic uint32_t thread_count; /* slots ever claimed */
    struct vmfs_counters open_cost;
    const uint32_t *fork_guard; /* a page that reads as zero in a forked child */
    struct vm_thread_slot *slots;
    uint8_t *map;    /* the region's bytes */
    uint8_t *stores; /* the same where they are stored to; differs from `map` on a stage only */
    uint64_t map_bytes;
    uint64_t file_offset;      /* of the region in the file */
    int map_flags;             /* of the mapping, but MAP_FIXED */
    int map_protection;        /* the same, PROT_... */
    int fd;                    /* -1: memory of the caller */
    bool is_page_cache;        /* an msync of the whole is what reaches the medium */
    struct vm_lock msync_lock; /* of that msync: one at a time, and */
    int msync_errno;           /*   what the first that failed said */
    struct vm_sync *sync;      /* of the sync backend; null: another one */
    struct vm_sync sync_state;
    enum vm_device_kind kind; /* of the file */
    /* A read-only view of what cannot be mapped privately: in units, of which recovery has some as copies of its own
     * (vm_map_own()). 0: another mapping. */
    uint64_t view_unit_bytes;
    uint8_t *view_owned;    /* one for each unit */
    bool is_staged;         /* vm_stage_attach(): the system is left alone */
    struct vm_guard *guard; /* null: SIGBUS is the caller's matter */
};

/* Begins a call: 0 and a context, or a reason. */
int vm_enter(struct vmfs *fs, struct vm_ctx *ctx, bool is_change);

/* Ends it: counts what it cost, notes damage, and makes the result an errno. */
int64_t vm_leave(struct vmfs *fs, struct vm_ctx *ctx, int64_t result);

/* A context outside of any call: attaching, closing. Nothing is checked and nothing counted. */
void vm_ctx_init(struct vmfs *fs, struct vm_ctx *ctx);

bool vm_is_forked(const struct vmfs *fs);

/* Counts files and directories that are open; the sum over all threads is exact while none is inside a
 * call. */
void vm_handles_add(struct vmfs *fs, uint64_t change);
uint64_t vm_handles_count(const struct vmfs *fs);

/* A view begins, and counts as a handle: says who has it. And it ends. While a thread has one, it may not enter
 * (Z2): another call might wait for somebody who waits for W. */
uint32_t vm_views_add(struct vmfs *fs, const struct vm_ctx *ctx);
void vm_views_end(struct vmfs *fs, uint32_t thread);

/* For calls that do not enter: 0, or an errno if the calling thread has a view. */
int vm_views_check(struct vmfs *fs);

/* What a return means on this handle, in one line. */
const char *vm_durability_text(const struct vmfs *fs);

/* Runs `body` as one call. What vanished between looking and locking is looked for again; when space
 * runs out, what an earlier life left is cleaned up first. */
typedef int64_t (*vm_call_fn)(struct vm_ctx *ctx, void *arg);
int64_t vm_call(struct vmfs *fs, bool is_change, vm_call_fn body, void *arg);

/* For arguments that only the API can judge. */
int64_t vm_bad_argument(void);

#endif
