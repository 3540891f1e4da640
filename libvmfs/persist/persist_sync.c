/* persist_sync.c -- rounds of msync, shared by the threads that wait for them */
#include "persist/persist_sync.h"

#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/check.h"
#include "persist/words.h"

void vm_sync_init(struct vm_sync *sync, uint64_t page_bytes)
{
    VM_ASSERT(page_bytes && (page_bytes & (page_bytes - 1)) == 0);
    memset(sync, 0, sizeof *sync);
    sync->page_shift = (unsigned)__builtin_ctzll(page_bytes);
    sync->gathering = 1;
    sync->failed = UINT64_MAX;
    pthread_mutex_init(&sync->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&sync->crowded, &monotonic);
    pthread_condattr_destroy(&monotonic);
    for (unsigned slot = 0; slot < 2; slot++) {
        struct vm_sync_round *round = &sync->slots[slot];
        pthread_cond_init(&round->moved, NULL);
        round->pages = (struct vm_pages){.runs = round->runs, .room = VM_SYNC_RUNS};
    }
}

void vm_sync_fini(struct vm_sync *sync)
{
    for (unsigned slot = 0; slot < 2; slot++)
        pthread_cond_destroy(&sync->slots[slot].moved);
    pthread_cond_destroy(&sync->crowded);
    pthread_mutex_destroy(&sync->lock);
}

void vm_unsynced_init(struct vm_unsynced *unsynced, struct vm_sync *sync)
{
    unsynced->sync = sync;
    unsynced->pages = (struct vm_pages){.runs = unsynced->runs, .room = VM_UNSYNCED_RUNS};
}

struct vm_sync_counts vm_sync_counts(struct vm_sync *sync)
{
    pthread_mutex_lock(&sync->lock);
    struct vm_sync_counts counts = {sync->rounds, sync->calls, sync->failed != UINT64_MAX};
    pthread_mutex_unlock(&sync->lock);
    return counts;
}

static void note(struct vm_unsynced *unsynced, const void *addr, size_t len_bytes)
{
    unsigned shift = unsynced->sync->page_shift;
    uintptr_t start = (uintptr_t)addr;
    if (len_bytes)
        vm_pages_add(&unsynced->pages,
                     (struct vm_page_run){start >> shift, ((start + len_bytes - 1) >> shift) + 1});
}

/* By words, as the kernel may read the page for the device at any moment (P2 in vmfs.h). */
static void sync_copy(void *arg, void *dst, const void *src, size_t len_bytes)
{
    vm_words_store(NULL, dst, src, len_bytes);
    note(arg, dst, len_bytes);
}

static void sync_set(void *arg, void *dst, int byte, size_t len_bytes)
{
    vm_words_set(dst, byte, len_bytes);
    note(arg, dst, len_bytes);
}

static void sync_flush(void *arg, const void *addr, size_t len_bytes)
{
    note(arg, addr, len_bytes);
}

/* How many calls it took, negated if the last one failed. */
static int64_t write_back(struct vm_pages *pages, unsigned page_shift)
{
    int64_t calls = 0;
    vm_pages_join(pages, VM_SYNC_CALLS_MAX, VM_SYNC_GAP_PAGES);
    for (uint32_t at = 0; at < pages->count; at++) {
        const struct vm_page_run *run = &pages->runs[at];
        void *start = (void *)(uintptr_t)(run->first << page_shift);
        calls++;
        if (msync(start, (size_t)(run->end - run->first) << page_shift, MS_SYNC) != 0)
            return -calls;
    }
    return calls;
}

#define NS_PER_S 1000000000u

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Lets those come who are on their way; each that comes joins the round. */
static void wait_for_crowd(struct vm_sync *sync, const struct vm_sync_round *round)
{
    if (round->members >= sync->crowd)
        return;
    uint64_t until_ns = now_ns() + sync->wait_ns;
    const struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_S),
                                   .tv_nsec = (long)(until_ns % NS_PER_S)};
    int timed_out = 0;
    while (round->members < sync->crowd && !timed_out)
        timed_out = pthread_cond_timedwait(&sync->crowded, &sync->lock, &until);
}

/* Writes the round's pages back. The lock is free meanwhile, and the slot belongs to this thread: who
 * comes joins the other. */
static void run_round(struct vm_sync *sync, struct vm_sync_round *round, uint64_t number)
{
    pthread_mutex_unlock(&sync->lock); /* Y6 */
    uint64_t start_ns = now_ns();
    int64_t calls = write_back(&round->pages, sync->page_shift);
    uint64_t wait_ns = (now_ns() - start_ns) / VM_SYNC_WAIT_PART;
    pthread_mutex_lock(&sync->lock);
    sync->wait_ns = wait_ns < VM_SYNC_WAIT_NS_MAX ? wait_ns : VM_SYNC_WAIT_NS_MAX;
    sync->rounds++;
    sync->calls += (uint64_t)(calls < 0 ? -calls : calls);
    if (calls < 0)
        sync->failed = number; /* Y5 */
}

/* Closes the round that gathers and runs it. */
static void lead_round(struct vm_sync *sync)
{
    struct vm_sync_round *round = &sync->slots[sync->gathering % 2];
    sync->is_led = true; /* Y4 */
    wait_for_crowd(sync, round);
    uint64_t number = sync->gathering++; /* Y3 */
    struct vm_sync_round *next = &sync->slots[sync->gathering % 2];
    if (sync->failed == UINT64_MAX) /* Y5 */
        run_round(sync, round, number);
    sync->is_led = false;
    sync->ended = number;
    sync->crowd = round->members + next->members;
    round->pages.count = 0;
    round->members = 0;
    pthread_cond_broadcast(&round->moved);
    pthread_cond_signal(&next->moved);
}

static int wait_for_round(struct vm_unsynced *unsynced)
{
    struct vm_sync *sync = unsynced->sync;
    struct vm_pages *pages = &unsynced->pages;
    pthread_mutex_lock(&sync->lock);
    uint64_t mine = pages->count ? sync->gathering : sync->ended;
    struct vm_sync_round *round = &sync->slots[mine % 2];
    for (uint32_t at = 0; at < pages->count; at++)
        vm_pages_add(&round->pages, pages->runs[at]);
    round->members += pages->count != 0;
    if (round->members >= sync->crowd)
        pthread_cond_signal(&sync->crowded);
    pages->count = 0;
    while (sync->ended < mine) {
        if (sync->is_led)
            pthread_cond_wait(&round->moved, &sync->lock);
        else
            lead_round(sync);
    }
    bool has_failed = mine >= sync->failed; /* Y5 */
    pthread_mutex_unlock(&sync->lock);
    return has_failed;
}

static int sync_fence(void *arg)
{
    int state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state); /* Y7 */
    int failed = wait_for_round(arg);
    pthread_setcancelstate(state, NULL);
    return failed;
}

const struct vm_persist_ops *vm_persist_sync(void)
{
    static const struct vm_persist_ops ops = {
        .name = "sync",
        .copy = sync_copy,
        .set = sync_set,
        .store = vm_words_store,
        .mask = vm_words_mask,
        .max = vm_words_max,
        .flush = sync_flush,
        .fence = sync_fence,
    };
    return &ops;
}
