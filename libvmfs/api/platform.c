/* platform.c -- memory, sleep, time and randomness from Linux */
#include "api/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "api/map.h"

/* From this size on memory is mapped, so that what is never touched costs nothing. */
#define MAPPED_BYTES_MIN 16384u
#define GUARD_BYTES      4096u

static void *linux_alloc(void *arg, size_t len_bytes)
{
    (void)arg;
    if (len_bytes >= MAPPED_BYTES_MIN) {
        void *memory = mmap(NULL, len_bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        return memory == MAP_FAILED ? NULL : memory;
    }
    size_t rounded = (len_bytes + 63) / 64 * 64;
    void *memory = aligned_alloc(64, rounded);
    if (memory)
        memset(memory, 0, rounded);
    return memory;
}

static void linux_free(void *arg, void *memory, size_t len_bytes)
{
    (void)arg;
    if (len_bytes >= MAPPED_BYTES_MIN)
        munmap(memory, len_bytes);
    else
        free(memory);
}

static void linux_wait(void *arg, _Atomic uint32_t *word, uint32_t seen)
{
    (void)arg;
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void linux_wake(void *arg, _Atomic uint32_t *word)
{
    (void)arg;
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void linux_yield(void *arg)
{
    (void)arg;
    sched_yield();
}

static int64_t linux_now(void *arg)
{
    (void)arg;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static uint64_t linux_random(void *arg)
{
    (void)arg;
    uint64_t value;
    while (getrandom(&value, sizeof value, 0) != (ssize_t)sizeof value)
        continue;
    return value;
}

static uintptr_t linux_hint(void *arg)
{
    (void)arg;
    return (uintptr_t)pthread_self();
}

/* A filesystem without fallocate gives its memory at the first store; then this cannot help. The size is
 * kept: growing a file that somebody has cut off would put zeros in the place of what was lost. */
static int linux_back(void *arg, uint64_t offset, uint64_t len_bytes)
{
    struct vmfs *fs = arg;
    if (fs->view_unit_bytes)
        return vm_map_own(fs, offset, len_bytes) ? 0 : VM_BACK_MEMORY;
    if (fs->fd < 0 || fs->is_read_only || fs->kind == VM_DEVICE_DAX)
        return 0;
    int state;
    int failed;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state); /* Y7 */
    do
        failed = fallocate(fs->fd, FALLOC_FL_KEEP_SIZE, (off_t)(fs->file_offset + offset),
                           (off_t)len_bytes);
    while (failed &&
           errno == EINTR); /* tmpfs gives up at any signal, and takes back what it gave */
    bool is_full = failed && (errno == ENOSPC || errno == EDQUOT || errno == EIO);
    pthread_setcancelstate(state, NULL);
    return is_full;
}

void vm_platform_init(struct vmfs *fs)
{
    fs->platform = (struct vm_platform){
        .arg = fs,
        .alloc = linux_alloc,
        .free = linux_free,
        .wait = linux_wait,
        .wake = linux_wake,
        .yield = linux_yield,
        .now = linux_now,
        .random = linux_random,
        .hint = linux_hint,
        .back = linux_back,
    };
}

const uint32_t *vm_fork_guard_create(void)
{
    uint32_t *guard =
        mmap(NULL, GUARD_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (guard == MAP_FAILED)
        return NULL;
    if (madvise(guard, GUARD_BYTES, MADV_WIPEONFORK) != 0) {
        munmap(guard, GUARD_BYTES);
        return NULL;
    }
    *guard = 1;
    return guard;
}

void vm_fork_guard_destroy(const uint32_t *guard)
{
    munmap((void *)(uintptr_t)guard, GUARD_BYTES);
}
