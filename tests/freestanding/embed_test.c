/* embed_test.c -- the core as a library OS uses it: its own platform table, its own persist table, a region
 * in a static array
 *
 * Needs nothing but mem* and str*, so the same file is linked with the freestanding core and a bare
 * _start, and with the hosted core and main(). Read it as the example that docs/architecture.md names. */
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "base/util.h"
#include "check/fsck.h"
#include "inode/attr.h"
#include "inode/data.h"
#include "name/nsop.h"
#include "name/path.h"
#include "name/volume.h"

#include "embed.h"
#include "vectors.h"

#define REGION_BYTES (16u << 20)
#define ARENA_BYTES  (12u << 20)
#define UNDO_BYTES   (1u << 20)

static _Alignas(4096) uint8_t region[REGION_BYTES];
static uint8_t first_run[REGION_BYTES];
static _Alignas(64) uint8_t arena[ARENA_BYTES];
static uint8_t undo[UNDO_BYTES];

/* Everything that the embedder knows; one for each attached region. */
struct embed {
    struct vm_volume volume;
    struct vm_platform platform;
    size_t arena_used;
    int64_t clock_ns;
    uint64_t random_state;
    uint64_t backed_bytes;
    bool is_backing_full;
    struct vm_lock *contended; /* what the next sleeper finds released */
    unsigned sleeps;
    unsigned wakes;
    /* The medium: what was stored since the last fence can be taken back. */
    uint64_t fences;
    uint64_t fences_left; /* the fence that makes it 0 is the power cut; 0: none to come */
    size_t undo_used;
};

static struct embed embed;

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return __LINE__;                                                                       \
    } while (0)

#define RUN(call)                                                                                  \
    do {                                                                                           \
        int line_ = (call);                                                                        \
        if (line_)                                                                                 \
            return line_;                                                                          \
    } while (0)

/* ---- the platform ---- */

static void *embed_alloc(void *arg, size_t len_bytes)
{
    struct embed *self = arg;
    size_t size = (size_t)vm_align_up(len_bytes, 64);
    if (size > ARENA_BYTES - self->arena_used)
        return NULL;
    void *memory = arena + self->arena_used;
    self->arena_used += size;
    memset(memory, 0, size);
    return memory;
}

/* Only the newest piece goes back: what attach allocates last it frees first. */
static void embed_free(void *arg, void *memory, size_t len_bytes)
{
    struct embed *self = arg;
    size_t size = (size_t)vm_align_up(len_bytes, 64);
    if (memory && (uint8_t *)memory + size == arena + self->arena_used)
        self->arena_used -= size;
}

/* There is one thread: what it waits for is released here, as another one would do. */
static void embed_wait(void *arg, _Atomic uint32_t *word, uint32_t seen)
{
    struct embed *self = arg;
    self->sleeps++;
    if (self->contended && word == &self->contended->state && *word == seen) {
        struct vm_lock *lock = self->contended;
        self->contended = NULL;
        vm_lock_release(lock, &self->platform);
    }
}

static void embed_wake(void *arg, _Atomic uint32_t *word)
{
    struct embed *self = arg;
    (void)word;
    self->wakes++;
}

static void embed_yield(void *arg)
{
    (void)arg;
}

static int64_t embed_now(void *arg)
{
    struct embed *self = arg;
    return self->clock_ns += 1000000;
}

static uint64_t embed_random(void *arg)
{
    struct embed *self = arg;
    return vm_mix64(++self->random_state);
}

static uintptr_t embed_hint(void *arg)
{
    (void)arg;
    return 1;
}

static int embed_back(void *arg, uint64_t offset, uint64_t len_bytes)
{
    struct embed *self = arg;
    (void)offset;
    self->backed_bytes += len_bytes;
    return self->is_backing_full;
}

/* ---- the medium ---- */

struct undo_head {
    uint64_t offset;
    uint64_t len_bytes;
};

/* Pushes what is there now; too much at once only makes the cut milder. */
static void undo_push(struct embed *self, const void *dst, size_t len_bytes)
{
    struct undo_head head = {(uint64_t)((const uint8_t *)dst - region), len_bytes};
    if (len_bytes + sizeof head > UNDO_BYTES - self->undo_used)
        return;
    memcpy(undo + self->undo_used, dst, len_bytes);
    memcpy(undo + self->undo_used + len_bytes, &head, sizeof head);
    self->undo_used += len_bytes + sizeof head;
}

static void undo_all(struct embed *self)
{
    while (self->undo_used) {
        struct undo_head head;
        self->undo_used -= sizeof head;
        memcpy(&head, undo + self->undo_used, sizeof head);
        self->undo_used -= head.len_bytes;
        memcpy(region + head.offset, undo + self->undo_used, head.len_bytes);
    }
}

static void medium_copy(void *arg, void *dst, const void *src, size_t len_bytes)
{
    undo_push(arg, dst, len_bytes);
    memcpy(dst, src, len_bytes);
}

static void medium_set(void *arg, void *dst, int byte, size_t len_bytes)
{
    undo_push(arg, dst, len_bytes);
    memset(dst, byte, len_bytes);
}

static void medium_store(void *arg, void *dst, const void *src, size_t len_bytes)
{
    undo_push(arg, dst, len_bytes);
    vm_persist_none()->store(NULL, dst, src, len_bytes);
}

static void medium_mask(void *arg, uint64_t *word, uint64_t mask, uint64_t value)
{
    undo_push(arg, word, 8);
    vm_persist_none()->mask(NULL, word, mask, value);
}

static void medium_max(void *arg, uint64_t *word, uint64_t value)
{
    undo_push(arg, word, 8);
    vm_persist_none()->max(NULL, word, value);
}

static void medium_flush(void *arg, const void *addr, size_t len_bytes)
{
    (void)arg;
    (void)addr;
    (void)len_bytes;
}

static int medium_fence(void *arg)
{
    struct embed *self = arg;
    self->fences++;
    if (self->fences_left && --self->fences_left == 0)
        return 1;
    self->undo_used = 0;
    return 0;
}

static const struct vm_persist_ops medium = {
    .name = "static array",
    .copy = medium_copy,
    .set = medium_set,
    .store = medium_store,
    .mask = medium_mask,
    .max = medium_max,
    .flush = medium_flush,
    .fence = medium_fence,
};

/* ---- attach, and one context for each call ---- */

/* Forgets everything volatile, as a crash or a power cut does. The clock and the source of random
 * numbers go on. */
static void forget(void)
{
    embed.arena_used = 0;
    embed.undo_used = 0;
    embed.fences_left = 0;
    embed.contended = NULL;
    memset(&embed.volume, 0, sizeof embed.volume);
    embed.volume.region.platform = &embed.platform;
}

static struct vm_ctx begin(void)
{
    struct vm_ctx ctx = {.io = {.ops = &medium, .arg = &embed, .base = region}};
    vm_volume_bind(&embed.volume, &ctx);
    ctx.hint = (uint32_t)embed.platform.hint(&embed);
    ctx.now_ns = embed.platform.now(&embed);
    return ctx;
}

static void power_on(void)
{
    memset(region, 0, sizeof region);
    memset(&embed, 0, sizeof embed);
    embed.platform = (struct vm_platform){
        .arg = &embed,
        .alloc = embed_alloc,
        .free = embed_free,
        .wait = embed_wait,
        .wake = embed_wake,
        .yield = embed_yield,
        .now = embed_now,
        .random = embed_random,
        .hint = embed_hint,
        .back = embed_back,
    };
    forget();
}

static int attach(void)
{
    forget();
    struct vm_ctx ctx = begin();
    int result = vm_volume_probe(&embed.volume, &ctx, region, sizeof region, false);
    return result ? result : vm_volume_attach(&embed.volume, &ctx, true);
}

/* ---- calls by path ---- */

static int walk(struct vm_ctx *ctx, const char *path, struct vm_place *place)
{
    return vm_path_walk(ctx, VM_ROOT_ID, path, VM_WALK_PARENT, place);
}

static int create(const char *path, uint32_t mode, const char *target, uint64_t *id)
{
    struct vm_ctx ctx = begin();
    struct vm_place place;
    struct vm_new new = {
        .mode = mode, .target = target, .target_bytes = target ? strlen(target) : 0};
    int result = walk(&ctx, path, &place);
    return result ? result : vm_name_create(&ctx, place.parent, place.name, &new, id);
}

static int resolve(const char *path, uint64_t *id)
{
    struct vm_ctx ctx = begin();
    return vm_path_resolve(&ctx, VM_ROOT_ID, path, true, id);
}

static int hard_link(uint64_t id, const char *path)
{
    struct vm_ctx ctx = begin();
    struct vm_place place;
    int result = walk(&ctx, path, &place);
    return result ? result : vm_name_link(&ctx, place.parent, place.name, id);
}

static int remove_name(const char *path, bool is_rmdir)
{
    struct vm_ctx ctx = begin();
    struct vm_place place;
    int result = walk(&ctx, path, &place);
    return result ? result : vm_name_unlink(&ctx, place.parent, place.name, is_rmdir);
}

static int rename_name(const char *from, const char *to)
{
    struct vm_ctx ctx = begin();
    struct vm_place old;
    struct vm_place new;
    int result = walk(&ctx, from, &old);
    if (result == 0)
        result = walk(&ctx, to, &new);
    if (result)
        return result;
    return vm_name_rename(&ctx, (struct vm_end){old.parent, old.name},
                          (struct vm_end){new.parent, new.name}, 0);
}

static int64_t write_at(uint64_t id, const void *bytes, uint64_t len_bytes, uint64_t offset)
{
    struct vm_ctx ctx = begin();
    uint64_t end;
    struct vm_data_range range = {.bytes = bytes, .len_bytes = len_bytes, .offset = offset};
    return vm_data_write(&ctx, id, range, &end);
}

struct reading {
    uint64_t id;
    void *buffer;
    uint64_t len_bytes;
    uint64_t offset;
    struct vm_stat stat;
};

static int64_t read_body(struct vm_ctx *ctx, void *arg)
{
    struct reading *reading = arg;
    struct vm_inode inode;
    int result = vm_inode_load(ctx, reading->id, &inode);
    if (result)
        return result;
    vm_attr_get(&inode, &reading->stat);
    return vm_data_read(ctx, &inode, reading->buffer, reading->len_bytes, reading->offset);
}

static int64_t read_at(struct reading *reading)
{
    struct vm_ctx ctx = begin();
    return vm_read_stable(&ctx, reading->id, read_body, reading);
}

static uint64_t fsck_problems(void)
{
    struct vm_ctx ctx = begin();
    struct vmfs_check_result result;
    return vm_check_run(&ctx, NULL, NULL, &result) ? UINT64_MAX : result.problems;
}

/* ---- what is done, and what must be there ---- */

#define NAMES     200u
#define BIG_BYTES 300000u

static uint8_t big[BIG_BYTES];
static uint8_t back_again[BIG_BYTES];

static void number_path(char *path, size_t size, unsigned number)
{
    struct vm_text text = vm_text_init(path, size);
    vm_text_str(&text, "/many/name number ");
    vm_text_u64(&text, number);
}

static int populate(void)
{
    uint64_t id;
    char path[64];
    EXPECT(create("/many", VM_MODE_DIRECTORY | 0755, NULL, &id) == 0);
    for (unsigned number = 0; number < NAMES; number++) {
        number_path(path, sizeof path, number);
        EXPECT(create(path, VM_MODE_FILE | 0644, NULL, &id) == 0);
    }
    for (unsigned number = 0; number < NAMES; number += 2) {
        number_path(path, sizeof path, number);
        EXPECT(remove_name(path, false) == 0);
    }
    EXPECT(create("/dir", VM_MODE_DIRECTORY | 0700, NULL, &id) == 0);
    EXPECT(create("/dir/file", VM_MODE_FILE | 0600, NULL, &id) == 0);
    for (size_t at = 0; at < sizeof big; at++)
        big[at] = (uint8_t)vm_mix64(at / 8);
    EXPECT(write_at(id, big, sizeof big, 0) == (int64_t)sizeof big);
    EXPECT(write_at(id, "hello", 5, 70000) == 5);
    memcpy(big + 70000, "hello", 5);
    EXPECT(hard_link(id, "/second") == 0);
    EXPECT(create("/link", VM_MODE_SYMLINK | 0777, "dir/file", &id) == 0);
    EXPECT(rename_name("/dir/file", "/many/moved") == 0);
    EXPECT(resolve("/link", &id) == -VMFS_R_NOT_FOUND);
    EXPECT(rename_name("/many/moved", "/dir/file") == 0);
    return 0;
}

static int verify(void)
{
    uint64_t id;
    uint64_t other;
    char path[64];
    for (unsigned number = 0; number < NAMES; number++) {
        number_path(path, sizeof path, number);
        EXPECT(resolve(path, &id) == (number % 2 ? 0 : -VMFS_R_NOT_FOUND));
    }
    EXPECT(resolve("/link", &id) == 0 && resolve("/second", &other) == 0 && id == other);
    struct reading reading = {.id = id, .buffer = back_again, .len_bytes = sizeof back_again};
    EXPECT(read_at(&reading) == (int64_t)sizeof big);
    EXPECT(memcmp(back_again, big, sizeof big) == 0);
    EXPECT(reading.stat.size == sizeof big && reading.stat.nlink == 2);
    EXPECT(reading.stat.mtime_ns > 0 && reading.stat.mtime_ns <= embed.clock_ns);
    EXPECT(fsck_problems() == 0);
    return 0;
}

/* A rename whose n-th fence never comes: with the bytes since the last fence lost the old name is there,
 * with them kept the new one, and never both or neither. */
static int cut_rename(uint64_t fence, bool is_lost, bool *is_done)
{
    uint64_t id;
    embed.fences_left = fence;
    int result = rename_name("/dir/file", "/many/cut");
    *is_done = result == 0;
    EXPECT(*is_done || result == -VMFS_R_SYSTEM);
    if (!*is_done && is_lost)
        undo_all(&embed);
    EXPECT(attach() == 0);
    bool is_old = resolve("/dir/file", &id) == 0;
    bool is_new = resolve("/many/cut", &id) == 0;
    EXPECT(is_old != is_new);
    EXPECT(is_new == (*is_done || !is_lost));
    EXPECT(is_old || rename_name("/many/cut", "/dir/file") == 0);
    return verify();
}

static int cut_renames(void)
{
    bool is_done = false;
    uint64_t fence = 1;
    while (!is_done) {
        RUN(cut_rename(fence, true, &is_done));
        RUN(cut_rename(fence, false, &is_done));
        fence++;
    }
    EXPECT(fence > 2);
    return 0;
}

/* A lock that somebody holds: the operation sleeps and is woken through the table. */
static int contend(void)
{
    struct vm_lock *lock = &embed.volume.itable->rename_lock;
    vm_lock_take(lock, &embed.platform);
    embed.contended = lock;
    unsigned sleeps = embed.sleeps;
    unsigned wakes = embed.wakes;
    EXPECT(rename_name("/many", "/dir/many") == 0);
    EXPECT(embed.sleeps > sleeps && embed.wakes > wakes && !embed.contended);
    EXPECT(rename_name("/dir/many", "/many") == 0);
    return 0;
}

/* Memory behind the region that runs out is an error like any other. */
static int refuse_backing(void)
{
    uint64_t id;
    EXPECT(embed.backed_bytes > 0);
    EXPECT(create("/large", VM_MODE_FILE | 0644, NULL, &id) == 0);
    embed.is_backing_full = true;
    int64_t last = 0;
    for (uint64_t offset = 0; last >= 0 && offset < REGION_BYTES; offset += sizeof big)
        last = write_at(id, big, sizeof big, offset);
    EXPECT(last == -VMFS_R_BACKING);
    embed.is_backing_full = false;
    EXPECT(remove_name("/large", false) == 0);
    return verify();
}

static int no_memory(void)
{
    forget();
    embed.arena_used = ARENA_BYTES - 4096;
    struct vm_ctx ctx = begin();
    EXPECT(vm_volume_probe(&embed.volume, &ctx, region, sizeof region, false) == 0);
    EXPECT(vm_volume_attach(&embed.volume, &ctx, true) == -VMFS_R_MEMORY);
    EXPECT(attach() == 0);
    return verify();
}

static int run_once(void)
{
    power_on();
    struct vm_ctx ctx = begin();
    EXPECT(vm_volume_format(&embed.volume, &ctx, region, sizeof region, true) == 0);
    RUN(populate());
    RUN(verify());
    EXPECT(attach() == 0 && embed.volume.journal.replayed > 0);
    RUN(verify());
    RUN(cut_renames());
    RUN(contend());
    RUN(refuse_backing());
    RUN(no_memory());
    ctx = begin();
    EXPECT(vm_volume_settle(&ctx) == 0);
    vm_volume_fini(&embed.volume, &ctx);
    EXPECT(attach() == 0 && embed.volume.journal.replayed == 0);
    return verify();
}

/* The vectors of docs/spec.md: scalar and vector code must agree. */
static int check_vectors(void)
{
    static uint8_t bytes[VM_BLOCK_BYTES];
    for (size_t at = 0; at < sizeof bytes; at++)
        bytes[at] = (uint8_t)(at % 251);
#define CHECK_VECTOR(seed, len_bytes, hash) EXPECT(vm_hash64(seed, bytes, len_bytes) == hash##u);
    SPEC_VECTORS(CHECK_VECTOR)
#undef CHECK_VECTOR
    return 0;
}

int embed_test(void (*say)(const char *line))
{
    RUN(check_vectors());
    say("ok 1 - hashes are those of docs/spec.md");
    RUN(run_once());
    say("ok 2 - format, use, power cuts, attach, verify");
    memcpy(first_run, region, sizeof region);
    RUN(run_once());
    EXPECT(memcmp(first_run, region, sizeof region) == 0);
    say("ok 3 - a second run gives the same bytes");
    char line[80];
    struct vm_text text = vm_text_init(line, sizeof line);
    vm_text_str(&text, "# region ");
    vm_text_hex(&text, vm_hash64(0, region, sizeof region));
    say(line);
    return 0;
}
