/* world.c -- deterministic surroundings, and the walk through the public API */
#include "world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "api/handle.h"
#include "base/hash.h"
#include "engine/watch.h"
#include "seed.h"
#include "space/group.h"

#define LARGE_BYTES ((size_t)256 << 10)
#define POOL_SLOTS  16u

/* ---- the platform ---- */

/* Large memory is kept, as a filesystem is attached for each state. */
static struct {
    void *memory;
    size_t len_bytes;
} pool[POOL_SLOTS];

static world_back_fn back_watch;
static void *back_arg;
static const struct world_threads *threads;

static void *world_alloc(void *arg, size_t len_bytes)
{
    (void)arg;
    if (len_bytes < LARGE_BYTES) {
        size_t rounded = (len_bytes + 63) / 64 * 64;
        void *memory = aligned_alloc(64, rounded);
        return memory ? memset(memory, 0, rounded) : NULL;
    }
    for (unsigned slot = 0; slot < POOL_SLOTS; slot++)
        if (pool[slot].memory && pool[slot].len_bytes == len_bytes) {
            void *memory = pool[slot].memory;
            pool[slot].memory = NULL;
            return memset(memory, 0, len_bytes);
        }
    return medium_pages(len_bytes);
}

static void world_free(void *arg, void *memory, size_t len_bytes)
{
    (void)arg;
    if (len_bytes < LARGE_BYTES) {
        free(memory);
        return;
    }
    for (unsigned slot = 0; slot < POOL_SLOTS; slot++)
        if (!pool[slot].memory) {
            pool[slot].memory = memory;
            pool[slot].len_bytes = len_bytes;
            return;
        }
    munmap(memory, len_bytes);
}

static bool has_threads(const struct medium *medium)
{
    return threads && threads->plays(medium);
}

/* Without threads whoever would sleep would sleep for ever. */
static void world_wait(void *arg, _Atomic uint32_t *word, uint32_t seen)
{
    if (has_threads(arg)) {
        threads->wait(word, seen);
        return;
    }
    fprintf(stderr, "world.c: an operation waits for a lock of an interrupted one\n");
    abort();
}

static void world_wake(void *arg, _Atomic uint32_t *word)
{
    if (has_threads(arg))
        threads->wake(word);
}

static void world_yield(void *arg)
{
    if (has_threads(arg))
        threads->yield();
}

void world_play_threads(const struct world_threads *played)
{
    threads = played;
}

static int64_t world_now(void *arg)
{
    const struct medium *medium = arg;
    return medium->now_ns;
}

static uint64_t world_random(void *arg)
{
    struct medium *medium = arg;
    return seed_mix(medium->random_seed, ++medium->random_count);
}

static uintptr_t world_hint(void *arg)
{
    const struct medium *medium = arg;
    return medium->thread + 1;
}

static int world_back(void *arg, uint64_t offset, uint64_t len_bytes)
{
    (void)arg;
    if (back_watch)
        back_watch(back_arg, offset, len_bytes);
    return 0;
}

void world_watch_backing(world_back_fn watch, void *arg)
{
    back_watch = watch;
    back_arg = arg;
}

int world_attach(struct medium *medium, uint32_t flags, struct vmfs **out)
{
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    options.flags = flags;
    options.owner_uid = 7;
    options.owner_gid = 8;
    medium->stage.platform = (struct vm_platform){
        .arg = medium,
        .alloc = world_alloc,
        .free = world_free,
        .wait = world_wait,
        .wake = world_wake,
        .yield = world_yield,
        .now = world_now,
        .random = world_random,
        .hint = world_hint,
        .back = world_back,
    };
    return vm_stage_attach(&medium->stage, &options, out);
}

/* ---- looking ---- */

/* A path that grows and shrinks with the walk. */
struct walk {
    struct vmfs *fs;
    struct dump *dump;
    size_t len_bytes;
    char path[VMFS_PATH_MAX + 1];
};

/* The root is an empty prefix of all paths, but must be called by a name. */
static const char *path_name(const char *path)
{
    return *path ? path : "/";
}

static void digest(struct dump *dump, const void *bytes, size_t len_bytes)
{
    dump->digest = vm_hash64(dump->digest, bytes, len_bytes);
}

static void note_error(struct walk *walk, int64_t error)
{
    struct dump *dump = walk->dump;
    if (error >= 0 || dump->error)
        return;
    dump->error = (int)error;
    memcpy(dump->error_path, walk->path, walk->len_bytes + 1);
}

/* Where its data begin and end. */
static void dump_extents(struct walk *walk, struct vmfs_file *file)
{
    int64_t at = 0;
    for (int whence = VMFS_SEEK_DATA; at >= 0;) {
        at = vmfs_file_seek(file, at, whence);
        digest(walk->dump, &at, sizeof at);
        note_error(walk, at == -ENXIO ? 0 : at);
        whence = whence == VMFS_SEEK_DATA ? VMFS_SEEK_HOLE : VMFS_SEEK_DATA;
    }
}

static void dump_content(struct walk *walk, uint64_t size)
{
    static uint8_t buffer[WORLD_TARGET_MAX];
    struct dump *dump = walk->dump;
    struct vmfs_file *file;
    int err = vmfs_file_open(walk->fs, walk->path, VMFS_O_RDONLY, 0, &file);
    note_error(walk, err);
    if (err)
        return;
    bool is_target = dump->target && strcmp(dump->target, walk->path) == 0;
    if (is_target && dump->is_torn)
        watch_judge_words(buffer, sizeof buffer);
    int64_t got = vmfs_file_pread(file, buffer, sizeof buffer, 0);
    watch_judge_words(NULL, 0);
    note_error(walk, got);
    dump_extents(walk, file);
    vmfs_file_close(file);
    if (got < 0)
        return;
    if ((uint64_t)got != size && size < sizeof buffer)
        note_error(walk, -EIO);
    if (is_target) {
        dump->has_target = true;
        dump->target_bytes = (uint64_t)got;
        memcpy(dump->content, buffer, (size_t)got);
    } else {
        digest(dump, buffer, (size_t)got);
    }
    if (dump->out)
        fprintf(dump->out, " content=%016llx",
                (unsigned long long)vm_hash64(0, buffer, (size_t)got));
}

static void dump_xattrs(struct walk *walk)
{
    const char *path = path_name(walk->path);
    static char names[4096];
    static uint8_t value[VMFS_XATTR_MAX];
    int64_t total = vmfs_xattr_list(walk->fs, path, VMFS_NOFOLLOW, names, sizeof names);
    note_error(walk, total);
    for (int64_t at = 0; at < total; at += (int64_t)strlen(names + at) + 1) {
        int64_t got =
            vmfs_xattr_get(walk->fs, path, VMFS_NOFOLLOW, names + at, value, sizeof value);
        note_error(walk, got);
        digest(walk->dump, names + at, strlen(names + at));
        if (got > 0)
            digest(walk->dump, value, (size_t)got);
        if (walk->dump->out)
            fprintf(walk->dump->out, " %s=%lld:%016llx", names + at, (long long)got,
                    (unsigned long long)(got > 0 ? vm_hash64(0, value, (size_t)got) : 0));
    }
}

static void dump_symlink(struct walk *walk)
{
    char target[VMFS_PATH_MAX + 1];
    int64_t got = vmfs_readlink(walk->fs, walk->path, target, sizeof target);
    note_error(walk, got);
    if (got > 0)
        digest(walk->dump, target, (size_t)got);
}

static void digest_stat(struct walk *walk, const struct vmfs_stat *stat)
{
    uint64_t words[] = {walk->dump->has_no_ids ? 0 : stat->ino,
                        stat->mode,
                        stat->nlink,
                        stat->uid,
                        stat->gid,
                        stat->rdev,
                        stat->flags,
                        stat->size,
                        (uint64_t)stat->atime_ns,
                        (uint64_t)stat->mtime_ns,
                        (uint64_t)stat->ctime_ns,
                        (uint64_t)stat->btime_ns};
    digest(walk->dump, words, sizeof words);
    if (walk->dump->out)
        fprintf(walk->dump->out, "    %s mode=%o nlink=%u size=%llu a=%lld m=%lld c=%lld",
                walk->path, stat->mode, stat->nlink, (unsigned long long)stat->size,
                (long long)stat->atime_ns, (long long)stat->mtime_ns, (long long)stat->ctime_ns);
}

static void dump_object(struct walk *walk);

static void dump_entries(struct walk *walk)
{
    struct dump *dump = walk->dump;
    struct vmfs_dir *dir;
    int err = vmfs_dir_open(walk->fs, path_name(walk->path), &dir);
    note_error(walk, err);
    if (err)
        return;
    if (dump->dir_count < WORLD_DIRS_MAX && walk->len_bytes < sizeof dump->dirs[0])
        memcpy(dump->dirs[dump->dir_count++], walk->path, walk->len_bytes + 1);
    struct vmfs_dirent entry;
    int more;
    size_t before = walk->len_bytes;
    while ((more = vmfs_dir_read(dir, &entry)) > 0) {
        if (strcmp(entry.name, ".") == 0 || strcmp(entry.name, "..") == 0)
            continue;
        digest(dump, entry.name, entry.name_bytes);
        walk->len_bytes +=
            (size_t)snprintf(walk->path + before, sizeof walk->path - before, "/%s", entry.name);
        dump_object(walk);
        walk->len_bytes = before;
        walk->path[before] = '\0';
    }
    note_error(walk, more);
    vmfs_dir_close(dir);
}

static void dump_object(struct walk *walk)
{
    struct vmfs_stat stat;
    int err = vmfs_stat(walk->fs, path_name(walk->path), VMFS_NOFOLLOW, &stat);
    note_error(walk, err);
    if (err)
        return;
    uint32_t type = stat.mode & VMFS_S_IFMT;
    digest_stat(walk, &stat);
    if (type == VMFS_S_IFLNK)
        dump_symlink(walk);
    if (type == VMFS_S_IFREG)
        dump_content(walk, stat.size);
    if (type == VMFS_S_IFREG || type == VMFS_S_IFDIR)
        dump_xattrs(walk);
    if (walk->dump->out)
        fputc('\n', walk->dump->out);
    if (type == VMFS_S_IFDIR)
        dump_entries(walk);
}

void world_dump(struct vmfs *fs, struct dump *dump)
{
    struct walk walk = {.fs = fs, .dump = dump};
    dump->digest = 0;
    dump->error = 0;
    dump->has_target = false;
    dump->target_bytes = 0;
    dump->dir_count = 0;
    fs->leaves_atime = true; /* looking changes nothing */
    dump_object(&walk);
    fs->leaves_atime = false;
}

static void print_problem(void *arg, const struct vmfs_problem *problem)
{
    if (arg)
        fprintf(arg, "    check: P%u %s: %s\n", problem->pass, problem->pass_name, problem->text);
}

bool world_is_sound(struct vmfs *fs, FILE *out)
{
    struct vmfs_check_result result;
    return vmfs_check(fs, print_problem, out, &result) == 0 && result.problems == 0;
}

static bool is_free(struct vm_lock *lock)
{
    return atomic_load(&lock->state) == 0;
}

bool world_is_quiet(struct vmfs *fs)
{
    struct vm_journal *journal = &fs->volume.journal;
    struct vm_space *space = fs->volume.space;
    struct vm_itable *table = fs->volume.itable;
    bool is_quiet =
        is_free(&journal->checkpoint_lock) && is_free(&space->lock) && is_free(&table->lock);
    for (uint32_t index = 0; index < space->pool_count; index++)
        is_quiet = is_quiet && is_free(&space->pools[index].lock);
    for (uint32_t lane = 0; lane < journal->lane_count; lane++)
        is_quiet = is_quiet && is_free(&table->words[lane].lock);
    return is_quiet;
}

int world_checkpoint(struct vmfs *fs)
{
    struct vm_ctx ctx;
    vm_ctx_init(fs, &ctx);
    return vm_checkpoint(&ctx, false) < 0 ? -EIO : 0;
}

static void print_line(void *arg, const char *line)
{
    fprintf(arg, "%s\n", line);
}

void world_dump_image(void *arg, const uint8_t *image, uint64_t bytes, FILE *out)
{
    static struct medium medium;
    struct vmfs *fs;
    (void)arg;
    medium_init(&medium, bytes);
    medium_load(&medium, image);
    medium.is_tracking = false;
    int err = world_attach(&medium, VMFS_RDONLY, &fs);
    if (err) {
        fprintf(out, "as it is: error %d; recovered:\n", err);
        err = world_attach(&medium, 0, &fs);
    }
    if (err) {
        fprintf(out, "error %d\n", err);
    } else {
        vmfs_dump(fs, VMFS_DUMP_SUPER, 0, print_line, out);
        vmfs_dump(fs, VMFS_DUMP_JOURNAL, 0, print_line, out);
        vmfs_dump(fs, VMFS_DUMP_TREE, 0, print_line, out);
        vmfs_close(fs);
    }
    medium_fini(&medium);
}

/* ---- using ---- */

static bool use_dir(struct vmfs *fs, const char *dir)
{
    char path[128];
    uint8_t wanted[100];
    uint8_t got[200];
    struct vmfs_file *file;
    snprintf(path, sizeof path, "%s/zz-used", dir);
    seed_fill(wanted, sizeof wanted, 99);
    if (vmfs_file_open(fs, path, VMFS_O_CREAT | VMFS_O_EXCL | VMFS_O_RDWR, 0600, &file))
        return false;
    bool is_good = vmfs_file_pwrite(file, wanted, sizeof wanted, 0) == sizeof wanted &&
                   vmfs_file_pread(file, got, sizeof got, 0) == sizeof wanted &&
                   memcmp(wanted, got, sizeof wanted) == 0;
    return vmfs_file_close(file) == 0 && is_good;
}

static int empty_dir(struct vmfs *fs, char *path, size_t len_bytes)
{
    struct vmfs_dir *dir;
    int err = vmfs_dir_open(fs, path_name(path), &dir);
    if (err)
        return err;
    struct vmfs_dirent entry;
    while (err == 0 && (err = vmfs_dir_read(dir, &entry)) > 0) {
        err = 0;
        if (strcmp(entry.name, ".") == 0 || strcmp(entry.name, "..") == 0)
            continue;
        int added = snprintf(path + len_bytes, VMFS_PATH_MAX - len_bytes, "/%s", entry.name);
        if (entry.type == VMFS_S_IFDIR) {
            err = empty_dir(fs, path, len_bytes + (size_t)added);
            if (err == 0)
                err = vmfs_rmdir(fs, path);
        } else {
            err = vmfs_unlink(fs, path);
        }
        path[len_bytes] = '\0';
    }
    vmfs_dir_close(dir);
    return err;
}

uint64_t world_free_blocks(struct vmfs *fs)
{
    struct vmfs_statfs statfs;
    struct vmfs_stat root;
    if (vmfs_statfs(fs, &statfs) || vmfs_stat(fs, "/", 0, &root))
        return 0;
    uint64_t chunks = atomic_load(&fs->volume.itable->chunk_count);
    return statfs.blocks_free + root.blocks / 8 + chunks * fs->volume.region.chunk_blocks;
}

const char *world_use_up(struct vmfs *fs, const struct dump *dump, uint64_t empty_blocks)
{
    for (unsigned index = 0; index < dump->dir_count; index++)
        if (!use_dir(fs, dump->dirs[index]))
            return "a file cannot be created, written and read";
    char path[VMFS_PATH_MAX + 1] = "";
    if (empty_dir(fs, path, 0))
        return "not everything can be removed";
    if (vmfs_sync(fs))
        return "vmfs_sync fails";
    if (world_free_blocks(fs) != empty_blocks)
        return "the empty region has other free blocks than a fresh one";
    return NULL;
}
