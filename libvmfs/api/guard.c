/* guard.c -- the SIGBUS handler, and which regions it serves */
#include "api/guard.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Pages of zeros at one time. One instruction needs few; when they run out the oldest goes back to the
 * file, and who still needs it faults again. So the mapping is never cut into many pieces. */
#define PAGES_MAX 64u

struct vm_guard {
    struct vm_guard *next;
    struct vmfs *fs;
    _Atomic uint64_t losses;
    _Atomic uint32_t zero_count; /* pages of zeros; changed under the registry's lock */
    uint32_t oldest;             /* the place in `zeros` that is taken next */
    uint8_t *zeros[PAGES_MAX];   /* null: free */
};

static struct {
    _Atomic int holder; /* the pid of the process whose thread has the lock, 0: free */
    bool is_installed;
    struct sigaction chained; /* what was there before */
    struct vm_guard *guards;
} registry;

/* A thread that is preempted with the lock is waited for; one that stayed behind in the parent of a
 * fork is not. */
static void take_registry(void)
{
    int self = (int)getpid();
    int holder = 0;
    while (!atomic_compare_exchange_weak(&registry.holder, &holder, self)) {
        if (holder == self) {
            sched_yield();
            holder = 0;
        }
    }
}

static void release_registry(void)
{
    atomic_store(&registry.holder, 0);
}

/* Outside of the handler, which runs with all signals blocked (G4). */
static void enter_registry(sigset_t *saved)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, saved);
    take_registry();
}

static void leave_registry(const sigset_t *saved)
{
    release_registry();
    pthread_sigmask(SIG_SETMASK, saved, NULL);
}

static struct vm_guard *find_guard(const uint8_t *address)
{
    for (struct vm_guard *guard = registry.guards; guard; guard = guard->next)
        if ((uintptr_t)address - (uintptr_t)guard->fs->map < guard->fs->map_bytes)
            return guard;
    return NULL;
}

static bool is_zero_page(const struct vm_guard *guard, const uint8_t *page)
{
    for (unsigned index = 0; index < PAGES_MAX; index++)
        if (guard->zeros[index] == page)
            return true;
    return false;
}

/* The system call itself: a sanitizer takes mmap() for a store, while here other threads may well be
 * reading the page. */
static bool map_page(const struct vmfs *fs, uint8_t *page, int flags, int fd, uint64_t offset)
{
    long address = syscall(SYS_mmap, page, (size_t)VM_BLOCK_BYTES, fs->map_protection,
                           flags | MAP_FIXED, fd, (off_t)offset);
    return address != -1;
}

/* The file over a page of zeros, or what the file still gives there: a fault. */
static bool give_back(struct vm_guard *guard, unsigned index)
{
    const struct vmfs *fs = guard->fs;
    uint8_t *page = guard->zeros[index];
    if (!page)
        return true;
    uint64_t offset = fs->file_offset + (uint64_t)(page - fs->map);
    if (!map_page(fs, page, fs->map_flags, fs->fd, offset))
        return false;
    guard->zeros[index] = NULL;
    atomic_fetch_sub(&guard->zero_count, 1);
    return true;
}

static bool put_zeros(struct vm_guard *guard, uint8_t *page)
{
    struct vmfs *fs = guard->fs;
    if (is_zero_page(guard, page))
        return true; /* another thread met it at the same time */
    unsigned index = guard->oldest;
    if (!give_back(guard, index))
        return false;
    guard->oldest = (index + 1) % PAGES_MAX;
    guard->zeros[index] = page;
    atomic_store(&fs->is_damaged, true);
    atomic_store(&fs->volume.journal.is_poisoned, true); /* G2 */
    atomic_fetch_add(&guard->zero_count, 1);             /* G1: marked, */
    atomic_fetch_add(&guard->losses, 1);                 /* G1: then counted */
    return map_page(fs, page, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static bool absorb(const siginfo_t *info)
{
    if (info->si_code <= 0) /* sent by a process */
        return false;
    uint8_t *address = info->si_addr;
    take_registry();
    struct vm_guard *guard = find_guard(address);
    bool is_absorbed = guard && put_zeros(guard, address - (uintptr_t)address % VM_BLOCK_BYTES);
    release_registry();
    return is_absorbed;
}

/* What the kernel would have done without us: a fault comes again when the handler returns, a signal
 * that was sent is sent again. */
static void die(const siginfo_t *info)
{
    struct sigaction none = {.sa_handler = SIG_DFL};
    sigaction(SIGBUS, &none, NULL);
    if (info->si_code <= 0)
        raise(SIGBUS);
}

static void chain(int number, siginfo_t *info, void *context)
{
    take_registry();
    struct sigaction old = registry.chained;
    if (old.sa_flags & (int)SA_RESETHAND)
        registry.chained = (struct sigaction){.sa_handler = SIG_DFL};
    release_registry();
    bool has_handler =
        (old.sa_flags & SA_SIGINFO) || (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN);
    if (!has_handler) {
        if (old.sa_handler == SIG_DFL || info->si_code > 0)
            die(info);
        return;
    }
    const ucontext_t *interrupted = context;
    sigset_t mask;
    sigorset(&mask, &interrupted->uc_sigmask, &old.sa_mask);
    if (!(old.sa_flags & SA_NODEFER))
        sigaddset(&mask, SIGBUS);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    if (old.sa_flags & SA_SIGINFO)
        old.sa_sigaction(number, info, context);
    else
        old.sa_handler(number);
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    if (!absorb(info))
        chain(number, info, context);
    errno = saved_errno;
}

static void install_handler(void)
{
    if (registry.is_installed)
        return;
    sigaction(SIGBUS, NULL, &registry.chained);
    struct sigaction action = {.sa_sigaction = on_sigbus};
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | (registry.chained.sa_flags & SA_RESTART);
    sigfillset(&action.sa_mask); /* G4 */
    sigaction(SIGBUS, &action, NULL);
    registry.is_installed = true;
}

/* One that was installed after ours may pass on to it: then ours stays, and passes on in turn. */
static void remove_handler(void)
{
    struct sigaction current;
    sigaction(SIGBUS, NULL, &current);
    if (!(current.sa_flags & SA_SIGINFO) || current.sa_sigaction != on_sigbus)
        return;
    sigaction(SIGBUS, &registry.chained, NULL);
    registry.is_installed = false;
}

int vm_guard_start(struct vmfs *fs, struct vm_err *err)
{
    struct vm_guard *guard = calloc(1, sizeof *guard);
    if (!guard)
        return vm_raise(err, VMFS_R_GUARD_MEMORY, sizeof *guard);
    guard->fs = fs;
    sigset_t saved;
    enter_registry(&saved);
    guard->next = registry.guards;
    registry.guards = guard;
    install_handler();
    leave_registry(&saved);
    fs->guard = guard;
    return 0;
}

void vm_guard_stop(struct vmfs *fs)
{
    struct vm_guard *guard = fs->guard;
    if (!guard)
        return;
    sigset_t saved;
    enter_registry(&saved);
    struct vm_guard **link = &registry.guards;
    while (*link != guard)
        link = &(*link)->next;
    *link = guard->next;
    if (!registry.guards)
        remove_handler();
    leave_registry(&saved);
    fs->guard = NULL;
    free(guard);
}

static int raise_loss(struct vm_ctx *ctx, uint64_t losses)
{
    return vm_raise(&ctx->err, VMFS_R_BACKING_LOST, losses);
}

int vm_guard_check(const struct vmfs *fs, struct vm_ctx *ctx)
{
    uint64_t losses = fs->guard ? atomic_load(&fs->guard->losses) : 0;
    return losses ? raise_loss(ctx, losses) : 0;
}

/* G3 */
static bool give_all_back(struct vm_guard *guard)
{
    sigset_t saved;
    bool is_done = true;
    enter_registry(&saved);
    for (unsigned index = 0; index < PAGES_MAX; index++)
        is_done = give_back(guard, index) && is_done;
    leave_registry(&saved);
    return is_done;
}

int vm_guard_enter(struct vmfs *fs, struct vm_ctx *ctx)
{
    struct vm_guard *guard = fs->guard;
    ctx->losses = atomic_load(&guard->losses); /* G1: before looking for marks */
    if (atomic_load(&guard->zero_count) == 0 || give_all_back(guard))
        return 0;
    return raise_loss(ctx, ctx->losses);
}

int64_t vm_guard_leave(struct vmfs *fs, struct vm_ctx *ctx, int64_t result)
{
    atomic_thread_fence(memory_order_acquire); /* G1: what was copied was read before the count */
    uint64_t losses = atomic_load(&fs->guard->losses);
    return losses == ctx->losses ? result : raise_loss(ctx, losses);
}
