/* arena.c -- the persistence, the platform and the file behind a region, all made of memory */
#include "arena.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "api/handle.h"
#include "api/map.h"
#include "api/owner.h"
#include "api/platform.h"
#include "persist/persist.h"
#include "seed.h"

#define PAGE_BYTES  4096u
#define GUARD_BYTES ((uint64_t)1 << 36)
#define FAKE_FD     INT_MAX

const struct vm_persist_ops *__real_vm_persist_none(void);
const struct vm_persist_ops *__wrap_vm_persist_none(void);
const struct vm_persist_ops *__wrap_vm_persist_pmem(void);
void __wrap_vm_platform_init(struct vmfs *fs);
int64_t __real_vm_owner_claim(struct vmfs *fs, struct vm_ctx *ctx);
int64_t __wrap_vm_owner_claim(struct vmfs *fs, struct vm_ctx *ctx);
const uint32_t *__wrap_vm_fork_guard_create(void);
void __wrap_vm_fork_guard_destroy(const uint32_t *guard);
int64_t __wrap_vm_map_open(struct vmfs *fs, struct vm_err *err, const char *path,
                           const struct vmfs_options *options, struct vm_backing *out);
void __wrap_vm_map_close(struct vmfs *fs);
int __wrap_pmem_is_pmem(const void *address, size_t len_bytes);
int __wrap_madvise(void *address, size_t len_bytes, int advice);
int __wrap_mlock(const void *address, size_t len_bytes);

static struct {
    struct arena *arena;
    uint64_t random_seed;
    uint64_t random_count;
    int64_t now_ns;
    enum arena_fault fault;
    unsigned nth;
    unsigned counts[ARENA_FAULT_END];
    bool has_failed;
    struct arena_memory memory;
    uint64_t stores;
    uint64_t fences;
    arena_fence_fn at_fence;
} world;

/* ---- regions ---- */

static uint8_t *map_pages(uint64_t bytes, uint64_t guard_bytes)
{
    uint8_t *memory = mmap(NULL, bytes + 2 * guard_bytes, PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED ||
        mprotect(memory + guard_bytes, bytes, PROT_READ | PROT_WRITE) != 0) {
        perror("arena: mmap");
        exit(1);
    }
    return memory + guard_bytes;
}

void arena_init(struct arena *arena, uint64_t bytes)
{
    *arena = (struct arena){.bytes = bytes};
    arena->memory = map_pages(bytes, GUARD_BYTES);
    arena->image = map_pages(bytes, 0);
    arena->durable = map_pages(bytes, 0);
    arena->dirty = calloc(bytes / PAGE_BYTES / 64 + 1, sizeof *arena->dirty);
    if (!arena->dirty)
        abort();
}

void arena_use(struct arena *arena)
{
    world.arena = arena;
}

struct arena *arena_current(void)
{
    return world.arena;
}

void arena_touch(struct arena *arena, uint64_t offset, uint64_t len_bytes)
{
    if (len_bytes == 0)
        return;
    if (offset >= arena->bytes || len_bytes > arena->bytes - offset) {
        fprintf(stderr, "arena: a store of %llu bytes at %llu, outside the region\n",
                (unsigned long long)len_bytes, (unsigned long long)offset);
        abort();
    }
    uint64_t last = (offset + len_bytes - 1) / PAGE_BYTES;
    for (uint64_t page = offset / PAGE_BYTES; page <= last; page++)
        arena->dirty[page / 64] |= (uint64_t)1 << page % 64;
}

void arena_restore(struct arena *arena)
{
    for (uint64_t word = 0; word <= arena->bytes / PAGE_BYTES / 64; word++) {
        for (uint64_t left = arena->dirty[word]; left; left &= left - 1) {
            uint64_t offset = (word * 64 + (unsigned)__builtin_ctzll(left)) * PAGE_BYTES;
            memcpy(arena->memory + offset, arena->image + offset, PAGE_BYTES);
        }
        arena->dirty[word] = 0;
    }
}

void arena_keep(struct arena *arena, const uint8_t *from)
{
    memmove(arena->image, from ? from : arena->memory, arena->bytes);
    memcpy(arena->memory, arena->image, arena->bytes);
    memset(arena->dirty, 0, (arena->bytes / PAGE_BYTES / 64 + 1) * sizeof *arena->dirty);
}

/* ---- persistence ---- */

static bool fails(enum arena_fault what)
{
    if (++world.counts[what] != world.nth || world.fault != what)
        return false;
    world.has_failed = true;
    return true;
}

static uint64_t note(const void *dst, size_t len_bytes)
{
    uint64_t offset = (uint64_t)((uintptr_t)dst - (uintptr_t)world.arena->memory);
    arena_touch(world.arena, offset, len_bytes);
    world.stores++;
    return offset;
}

static void to_durable(uint64_t offset, uint64_t len_bytes)
{
    struct arena *arena = world.arena;
    uint64_t start = offset / VM_LINE_BYTES * VM_LINE_BYTES;
    uint64_t end = (offset + len_bytes + VM_LINE_BYTES - 1) / VM_LINE_BYTES * VM_LINE_BYTES;
    if (arena->durable)
        memcpy(arena->durable + start, arena->memory + start, end - start);
}

static void arena_copy(void *arg, void *dst, const void *src, size_t len_bytes)
{
    uint64_t offset = note(dst, len_bytes);
    __real_vm_persist_none()->copy(arg, dst, src, len_bytes);
    if (world.arena->durable)
        memcpy(world.arena->durable + offset, dst, len_bytes);
}

static void arena_set(void *arg, void *dst, int byte, size_t len_bytes)
{
    uint64_t offset = note(dst, len_bytes);
    __real_vm_persist_none()->set(arg, dst, byte, len_bytes);
    if (world.arena->durable)
        memcpy(world.arena->durable + offset, dst, len_bytes);
}

static void arena_store(void *arg, void *dst, const void *src, size_t len_bytes)
{
    note(dst, len_bytes);
    __real_vm_persist_none()->store(arg, dst, src, len_bytes);
}

static void arena_mask(void *arg, uint64_t *word, uint64_t mask, uint64_t value)
{
    note(word, sizeof *word);
    __real_vm_persist_none()->mask(arg, word, mask, value);
}

static void arena_max(void *arg, uint64_t *word, uint64_t value)
{
    note(word, sizeof *word);
    __real_vm_persist_none()->max(arg, word, value);
}

static void arena_flush(void *arg, const void *addr, size_t len_bytes)
{
    (void)arg;
    if (len_bytes)
        to_durable((uint64_t)((uintptr_t)addr - (uintptr_t)world.arena->memory), len_bytes);
}

static int arena_fence(void *arg)
{
    (void)arg;
    world.fences++;
    if (world.at_fence)
        world.at_fence(world.arena);
    return fails(ARENA_FAULT_FENCE);
}

const struct vm_persist_ops *__wrap_vm_persist_none(void)
{
    static const struct vm_persist_ops ops = {
        .name = "none",
        .copy = arena_copy,
        .set = arena_set,
        .store = arena_store,
        .mask = arena_mask,
        .max = arena_max,
        .flush = arena_flush,
        .fence = arena_fence,
    };
    return &ops;
}

const struct vm_persist_ops *__wrap_vm_persist_pmem(void)
{
    return __wrap_vm_persist_none();
}

uint64_t arena_stores(void)
{
    return world.stores;
}

uint64_t arena_fences(void)
{
    return world.fences;
}

void arena_at_fence(arena_fence_fn hook)
{
    world.at_fence = hook;
}

/* ---- the platform ---- */

static void *platform_alloc(void *arg, size_t len_bytes)
{
    (void)arg;
    size_t rounded = (len_bytes + 63) / 64 * 64;
    if (fails(ARENA_FAULT_ALLOC))
        return NULL;
    world.memory.live_bytes += len_bytes;
    if (world.memory.live_bytes > world.memory.peak_bytes)
        world.memory.peak_bytes = world.memory.live_bytes;
    void *memory = aligned_alloc(64, rounded);
    if (!memory)
        abort();
    return memset(memory, 0, rounded);
}

static void platform_free(void *arg, void *memory, size_t len_bytes)
{
    (void)arg;
    if (memory)
        world.memory.live_bytes -= len_bytes;
    free(memory);
}

/* One thread plays all: whoever would sleep would sleep for ever. */
static void platform_wait(void *arg, _Atomic uint32_t *word, uint32_t seen)
{
    (void)arg;
    (void)word;
    (void)seen;
    fprintf(stderr, "arena: a call waits for a lock that nobody will give back\n");
    abort();
}

static void platform_wake(void *arg, _Atomic uint32_t *word)
{
    (void)arg;
    (void)word;
}

static void platform_yield(void *arg)
{
    (void)arg;
}

static int64_t platform_now(void *arg)
{
    (void)arg;
    return world.now_ns += 1000003;
}

static uint64_t platform_random(void *arg)
{
    (void)arg;
    return seed_mix(world.random_seed, ++world.random_count);
}

static uintptr_t platform_hint(void *arg)
{
    (void)arg;
    return 64;
}

static int platform_back(void *arg, uint64_t offset, uint64_t len_bytes)
{
    (void)arg;
    (void)offset;
    (void)len_bytes;
    return fails(ARENA_FAULT_BACK);
}

void __wrap_vm_platform_init(struct vmfs *fs)
{
    fs->platform = (struct vm_platform){
        .arg = fs,
        .alloc = platform_alloc,
        .free = platform_free,
        .wait = platform_wait,
        .wake = platform_wake,
        .yield = platform_yield,
        .now = platform_now,
        .random = platform_random,
        .hint = platform_hint,
        .back = platform_back,
    };
}

void arena_surroundings(uint64_t seed, enum arena_fault fault, unsigned nth)
{
    world.random_seed = seed;
    world.random_count = 0;
    world.now_ns = (int64_t)1700000000 * 1000000000;
    world.fault = fault;
    world.nth = nth;
    memset(world.counts, 0, sizeof world.counts);
    world.has_failed = false;
    world.memory = (struct arena_memory){0, 0};
    world.stores = 0;
    world.fences = 0;
}

bool arena_has_failed(void)
{
    return world.has_failed;
}

void arena_disarm(void)
{
    world.fault = ARENA_FAULT_NONE;
}

struct arena_memory arena_memory(void)
{
    return world.memory;
}

/* ---- what would be system calls ---- */

static bool is_owner_empty(const struct vmfs *fs)
{
    static const struct vm_owner_media nobody;
    return memcmp(fs->map + (uint64_t)VM_OWNER_BLOCK * VM_BLOCK_BYTES, &nobody, sizeof nobody) == 0;
}

/* Looking for a process is slow, and done where the line says something. */
int64_t __wrap_vm_owner_claim(struct vmfs *fs, struct vm_ctx *ctx)
{
    return is_owner_empty(fs) ? 0 : __real_vm_owner_claim(fs, ctx);
}

static const uint32_t no_fork = 1;

const uint32_t *__wrap_vm_fork_guard_create(void)
{
    return &no_fork;
}

void __wrap_vm_fork_guard_destroy(const uint32_t *guard)
{
    (void)guard;
}

/* The region in use is what every path means. */
int64_t __wrap_vm_map_open(struct vmfs *fs, struct vm_err *err, const char *path,
                           const struct vmfs_options *options, struct vm_backing *out)
{
    (void)path;
    *out = (struct vm_backing){NULL, false};
    fs->fd = FAKE_FD;
    fs->map = world.arena->memory;
    fs->stores = fs->map;
    fs->map_bytes = world.arena->bytes;
    int64_t result = vm_choose_backend(fs, err, options->durability, false, true);
    fs->is_page_cache = false;
    return result;
}

void __wrap_vm_map_close(struct vmfs *fs)
{
    (void)fs;
}

int __wrap_pmem_is_pmem(const void *address, size_t len_bytes)
{
    (void)address;
    (void)len_bytes;
    return 0;
}

int __wrap_madvise(void *address, size_t len_bytes, int advice)
{
    (void)address;
    (void)len_bytes;
    (void)advice;
    errno = EINVAL;
    return -1;
}

int __wrap_mlock(const void *address, size_t len_bytes)
{
    (void)address;
    (void)len_bytes;
    return 0;
}

static struct vmfs_options options_of(uint32_t flags)
{
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    options.flags = flags;
    options.durability = VMFS_DURABILITY_PROCESS;
    options.owner_uid = 7;
    options.owner_gid = 8;
    return options;
}

int arena_attach(uint32_t flags, struct vmfs **out)
{
    struct vmfs_options options = options_of(flags);
    return vmfs_attach(world.arena->memory, world.arena->bytes, &options, out);
}

int arena_open(uint32_t flags, struct vmfs **out)
{
    struct vmfs_options options = options_of(flags);
    return vmfs_open("region", &options, out);
}
