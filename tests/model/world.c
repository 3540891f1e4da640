/* world.c -- stands between the library and the platform that it would choose */
#include "world.h"

#include "api/handle.h"
#include "api/platform.h"
#include "seed.h"

void __real_vm_platform_init(struct vmfs *fs);
void __wrap_vm_platform_init(struct vmfs *fs);

static int64_t world_now_ns;
static uint64_t world_seed;
static uint64_t world_count;

void world_set_now(int64_t now_ns)
{
    world_now_ns = now_ns;
}

void world_set_random(uint64_t seed)
{
    world_seed = seed;
    world_count = 0;
}

static int64_t now(void *arg)
{
    (void)arg;
    return world_now_ns;
}

static uint64_t draw(void *arg)
{
    (void)arg;
    return seed_mix(world_seed, ++world_count);
}

static uintptr_t hint(void *arg)
{
    (void)arg;
    return 1;
}

void __wrap_vm_platform_init(struct vmfs *fs)
{
    __real_vm_platform_init(fs);
    fs->platform.now = now;
    fs->platform.random = draw;
    fs->platform.hint = hint;
}
