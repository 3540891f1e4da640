/* owner.h -- who has a region open, and waiting for one who is about to let go of it
 *
 * The lock on the file decides (map.c); the owner line of the region tells who it is and what he means to do, and
 * waiting is all that depends on it. A lock dies with its process, so nobody waits for the dead. */
#ifndef VM_API_OWNER_H
#define VM_API_OWNER_H

#include "api/handle.h"

/* One wait, for a region that lies at `offset` of a file and is `length` bytes long, 0 up to the end. */
struct vm_owner_wait {
    int fd;
    uint64_t offset;
    uint64_t length;
    uint32_t wait_ms; /* at most */
    uint32_t slept_ms;
    uint64_t pid; /* who was met last; 0 unknown */
};

/* Is there an owner at all? errno stays. */
bool vm_owner_has(const struct vm_owner_wait *wait);

/* Somebody has the region: true after a short sleep if it is worth another try. */
bool vm_owner_wait(struct vm_owner_wait *wait);

/* Raised where waiting is over. */
int64_t vm_owner_busy(struct vm_err *err, uint64_t pid);

/* Writes the owner line of a region that is mapped, and locked where it has a file. Where it has none the line is all
 * there is: a living owner is waited for as vm_owner_wait() does, and then -EBUSY. */
int64_t vm_owner_claim(struct vmfs *fs, struct vm_ctx *ctx);

/* This owner is about to end. */
void vm_owner_close(struct vmfs *fs, struct vm_ctx *ctx);

void vm_owner_release(struct vmfs *fs, struct vm_ctx *ctx);

/* Who has the region of a handle open for writing, this handle included. */
struct vm_owner {
    uint64_t pid; /* 0: nobody */
    uint32_t state;
};

void vm_owner_look(const struct vmfs *fs, struct vm_owner *out);

#endif
