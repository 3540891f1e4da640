/* persist_sync.h -- a shared mapping of a file or block device: the fence is an msync
 *
 * The kernel may write back any page of the mapping at any moment, and only a good msync says that it
 * has. An operation notes the pages that it copies, sets or flushes (struct vm_unsynced); its fence puts
 * them into the round that is gathering. One thread at a time leads: it closes that round to others,
 * writes its pages back while the next one gathers, and wakes those who wait for it. So while the device
 * is busy, any number of fences become one round. Those whose round has just ended are mostly back after
 * some microseconds: whoever leads next waits for as many as there were, a fraction of what a round takes.
 *
 * Y3  A round begins after every store that its members fence, and a fence returns when a round that
 *     began after it was called has ended.
 * Y4  One round runs at a time: the kernel tells of an error once, to whoever asks next, so two that ran
 *     together could each take the other's.
 * Y5  Once a round has failed, it and every later one fails without asking the kernel again: the pages
 *     that went nowhere are clean to it, and a second msync would succeed.
 * Y6  The lock is not held during an msync, and nobody who stores needs it.
 * Y7  pthread_cancel() waits: a thread that ended in here would leave its round, its lane and its locks. */
#ifndef VM_PERSIST_PERSIST_SYNC_H
#define VM_PERSIST_PERSIST_SYNC_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "persist/pages.h"
#include "persist/persist.h"

/* What one round may cost, however many share it: each msync waits for the device's own cache. Runs
 * with so few pages between them, as lanes have, are written together at once. */
#define VM_SYNC_CALLS_MAX 2u
#define VM_SYNC_GAP_PAGES 64u
#define VM_SYNC_RUNS      32u

/* How long a leader waits for others at most: this part of the last round, and never longer. */
#define VM_SYNC_WAIT_PART   4u
#define VM_SYNC_WAIT_NS_MAX 1000000u

struct vm_sync_round {
    pthread_cond_t moved; /* it ended, or one of those who wait may lead it */
    unsigned members;
    struct vm_pages pages;
    struct vm_page_run runs[VM_SYNC_RUNS + 1];
};

struct vm_sync {
    pthread_mutex_t lock;
    unsigned page_shift;
    bool is_led;            /* somebody waits for others to come, or runs a round */
    pthread_cond_t crowded; /* as many have come as there were */
    unsigned crowd; /* who was there when the last round ended: in it, and waiting for the next */
    uint64_t wait_ns;
    uint64_t gathering; /* the round that whoever comes now joins; the one before may run */
    uint64_t ended;     /* rounds that are over */
    uint64_t failed;    /* the first that failed; UINT64_MAX: none */
    uint64_t rounds;    /* that asked the kernel, and */
    uint64_t calls;     /*   how often */
    struct vm_sync_round slots[2]; /* by the round's number, even and odd */
};

/* `page_bytes` is the system's. */
void vm_sync_init(struct vm_sync *sync, uint64_t page_bytes);
void vm_sync_fini(struct vm_sync *sync);

/* An empty list, for one operation. */
void vm_unsynced_init(struct vm_unsynced *unsynced, struct vm_sync *sync);

/* What the rounds have cost so far, and whether one of them failed. */
struct vm_sync_counts {
    uint64_t rounds;
    uint64_t calls;
    bool has_failed;
};

struct vm_sync_counts vm_sync_counts(struct vm_sync *sync);

/* `arg` of its operations is a struct vm_unsynced. */
const struct vm_persist_ops *vm_persist_sync(void);

#endif
