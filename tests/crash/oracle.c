/* oracle.c -- is one of the allowed trees there, and is it a filesystem that works? */
#include "oracle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "seed.h"
#include "world.h"

#define USE_BYTES    100u
#define TORN_BLOCKS  4096u /* of a torn file are compared one by one */
#define JUDGE_NOW_NS ((int64_t)4000000000000000000)

/* ---- what is allowed ---- */

void oracle_clear(struct oracle *oracle)
{
    oracle->allowed_count = 0;
    oracle->torn_count = 0;
    oracle->rules = 0;
}

void oracle_allow(struct oracle *oracle, const struct tree *tree)
{
    if (oracle->allowed_count == ORACLE_TREES_MAX)
        abort();
    oracle->allowed[oracle->allowed_count++] = tree;
    oracle->rules += seed_mix(tree->digest, 1);
    for (unsigned index = 0; index < tree->object_count; index++)
        oracle->rules += seed_mix((uint64_t)tree->objects[index].stat.atime_ns,
                                  tree->objects[index].stat.ino + 3);
}

void oracle_tear(struct oracle *oracle, uint64_t ino)
{
    if (ino == 0)
        return;
    if (oracle->torn_count == ORACLE_TORN_MAX)
        abort();
    oracle->torn[oracle->torn_count++] = ino;
    oracle->rules += seed_mix(ino, 2);
}

/* ---- comparing ---- */

static bool is_atime_allowed(const struct tree_object *found, const struct tree_object *expected)
{
    bool is_allowed = expected->is_atime_free || found->stat.atime_ns == expected->stat.atime_ns;
    for (unsigned index = 0; !is_allowed && index < expected->atime_count; index++)
        is_allowed = found->stat.atime_ns == expected->atimes[index];
    return is_allowed;
}

static bool are_atimes_allowed(const struct tree *found, const struct tree *expected)
{
    for (unsigned index = 0; index < found->object_count; index++) {
        const struct tree_object *object = &found->objects[index];
        const struct tree_object *wanted = tree_find(expected, object->stat.ino);
        if (!wanted || !is_atime_allowed(object, wanted))
            return false;
    }
    return true;
}

/* The digest without what the torn files contribute. */
static uint64_t digest_of_rest(const struct oracle *oracle, const struct tree *tree)
{
    uint64_t digest = tree->digest;
    for (unsigned index = 0; index < oracle->torn_count; index++) {
        const struct tree_object *object = tree_find(tree, oracle->torn[index]);
        digest -= object ? object->hash : 0;
    }
    return digest;
}

static uint64_t word_at(const struct tree_object *object, uint64_t at, uint64_t end)
{
    uint64_t value = 0;
    uint64_t size = tree_content_bytes(object->stat.size);
    uint64_t stop = size < end ? size : end;
    if (at < stop)
        memcpy(&value, object->bytes + at, stop - at < 8 ? stop - at : 8);
    return value;
}

/* A word of the file, up to `end`, as some tree has it; behind a tree's end it is zero. */
static bool is_word_allowed(const struct oracle *oracle, const struct tree_object *found,
                            uint64_t at, uint64_t end)
{
    uint64_t value = word_at(found, at, end);
    for (unsigned index = 0; index < oracle->allowed_count; index++) {
        const struct tree_object *object = tree_find(oracle->allowed[index], found->stat.ino);
        if (object && word_at(object, at, end) == value)
            return true;
    }
    return false;
}

static bool are_bytes_allowed(const struct oracle *oracle, const struct tree_object *found)
{
    uint64_t end = tree_content_bytes(found->stat.size);
    for (uint64_t at = 0; at < end; at += 8)
        if (!is_word_allowed(oracle, found, at, end))
            return false;
    return true;
}

static bool are_blocks_allowed(const struct oracle *oracle, const struct tree *tree,
                               const struct tree_object *found)
{
    uint64_t count = (found->stat.size + MODEL_BLOCK - 1) / MODEL_BLOCK;
    for (uint64_t block = 0; block < count && block < TORN_BLOCKS; block++) {
        bool is_data = tree_has_data(tree, found, block);
        bool is_allowed = false;
        for (unsigned index = 0; index < oracle->allowed_count; index++) {
            const struct tree *other = oracle->allowed[index];
            const struct tree_object *object = tree_find(other, found->stat.ino);
            is_allowed = is_allowed || (object && tree_has_data(other, object, block) == is_data);
        }
        if (!is_allowed)
            return false;
    }
    return true;
}

static bool is_same_but_data(const struct tree_object *found, const struct tree_object *expected)
{
    const struct vmfs_stat *a = &found->stat;
    const struct vmfs_stat *b = &expected->stat;
    return a->mode == b->mode && a->nlink == b->nlink && a->uid == b->uid && a->gid == b->gid &&
           a->rdev == b->rdev && a->flags == b->flags && a->size == b->size &&
           a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns && a->btime_ns == b->btime_ns &&
           found->xattrs == expected->xattrs;
}

static const char *compare_torn(const struct oracle *oracle, const struct tree *found, uint64_t ino)
{
    const struct tree_object *object = tree_find(found, ino);
    bool is_known = object == NULL;
    for (unsigned index = 0; index < oracle->allowed_count && !is_known; index++) {
        const struct tree_object *expected = tree_find(oracle->allowed[index], ino);
        is_known = expected && is_same_but_data(object, expected);
    }
    if (!is_known)
        return "size, times and attributes of the file written to belong to no one moment";
    if (object && !are_bytes_allowed(oracle, object))
        return "a word of the file is neither old nor new";
    if (object && !are_blocks_allowed(oracle, found, object))
        return "a block of the file is neither the old data or hole nor the new";
    return NULL;
}

/* The rest of the tree is as in `expected`; now the torn files. */
static const char *compare_all_torn(const struct oracle *oracle, const struct tree *found)
{
    const char *reason = NULL;
    for (unsigned index = 0; !reason && index < oracle->torn_count; index++)
        reason = compare_torn(oracle, found, oracle->torn[index]);
    return reason;
}

const char *oracle_compare(const struct oracle *oracle, const struct tree *found)
{
    const char *reason = "the tree is none of those that a crash may leave";
    if (found->error)
        return "reading the tree fails";
    uint64_t rest = digest_of_rest(oracle, found);
    for (unsigned index = 0; index < oracle->allowed_count; index++) {
        const struct tree *expected = oracle->allowed[index];
        bool is_same = found->digest == expected->digest;
        if (!is_same && (oracle->torn_count == 0 || rest != digest_of_rest(oracle, expected)))
            continue;
        const char *worse = is_same ? NULL : compare_all_torn(oracle, found);
        if (!worse && !are_atimes_allowed(found, expected))
            worse = "an access time is neither the one before nor the one after";
        if (!worse)
            return NULL;
        reason = worse;
    }
    return reason;
}

/* ---- using ---- */

/* 0, 1 where there is no room, or -1. */
static int use_dir(struct vmfs *fs, uint64_t dir)
{
    static const char name[] = "zz-used";
    uint8_t wanted[USE_BYTES];
    uint8_t got[USE_BYTES * 2];
    struct vmfs_file *file;
    seed_fill(wanted, sizeof wanted, 99);
    int err = vmfs_file_open_at(fs, vmfs_at(dir, name), VMFS_O_CREAT | VMFS_O_EXCL | VMFS_O_RDWR,
                                0600, &file);
    if (err)
        return err == -ENOSPC ? 1 : -1;
    int64_t written = vmfs_file_pwrite(file, wanted, sizeof wanted, 0);
    bool is_good =
        written == -ENOSPC ||
        (written == sizeof wanted && vmfs_file_pread(file, got, sizeof got, 0) == sizeof wanted &&
         memcmp(wanted, got, sizeof wanted) == 0);
    err = vmfs_file_close(file);
    if (err || !is_good)
        return -1;
    return written == -ENOSPC;
}

/* Inode flags that keep things as they are must go first. */
static int free_flags(struct vmfs *fs, uint64_t ino)
{
    const struct vmfs_attr none = {.mask = VMFS_ATTR_FLAGS};
    return vmfs_setattr_at(fs, vmfs_at(ino, ""), VMFS_NOFOLLOW, &none);
}

static int empty_dir(struct vmfs *fs, uint64_t dir)
{
    struct vmfs_dir *handle;
    struct vmfs_dirent entry;
    int err = vmfs_dir_open_at(fs, vmfs_at(dir, ""), &handle);
    if (err)
        return err;
    while (err == 0 && (err = vmfs_dir_read(handle, &entry)) > 0) {
        err = 0;
        if (strcmp(entry.name, ".") == 0 || strcmp(entry.name, "..") == 0)
            continue;
        struct vmfs_at at = vmfs_at(dir, entry.name);
        at.uid = 0; /* whom no sticky directory hinders */
        if (entry.type == VMFS_S_IFDIR) {
            err = empty_dir(fs, entry.ino);
            err = err ? err : vmfs_rmdir_at(fs, at);
        } else {
            err = vmfs_unlink_at(fs, at);
        }
    }
    int close_err = vmfs_dir_close(handle);
    return err ? err : close_err;
}

const char *oracle_use_up(struct vmfs *fs, const struct tree *found, uint64_t empty_blocks)
{
    bool is_full = false;
    for (unsigned index = 0; index < found->object_count; index++)
        if (found->objects[index].stat.flags && free_flags(fs, found->objects[index].stat.ino))
            return "inode flags cannot be taken away";
    for (unsigned index = 0; index < found->object_count; index++) {
        const struct vmfs_stat *stat = &found->objects[index].stat;
        int result = (stat->mode & VMFS_S_IFMT) == VMFS_S_IFDIR ? use_dir(fs, stat->ino) : 0;
        if (result < 0)
            return "a file cannot be created, written and read";
        is_full = is_full || result > 0;
    }
    if (empty_dir(fs, found->objects[0].stat.ino))
        return "not everything can be removed";
    if (is_full && use_dir(fs, found->objects[0].stat.ino) != 0)
        return "a file cannot be created in a region that has become empty";
    if (is_full && empty_dir(fs, found->objects[0].stat.ino))
        return "not everything can be removed";
    if (vmfs_sync(fs))
        return "vmfs_sync fails";
    if (world_free_blocks(fs) != empty_blocks)
        return "the empty region has other free blocks than a fresh one";
    return NULL;
}

/* ---- the judge ---- */

static void print_problem(void *arg, const struct vmfs_problem *problem)
{
    if (arg)
        fprintf(arg, "    check: P%u %s: %s\n", problem->pass, problem->pass_name, problem->text);
}

/* The check counts what living inodes and names it meets; orphans have no name. */
const char *oracle_check(struct vmfs *fs, const struct tree *found, FILE *details)
{
    struct vmfs_check_result result;
    struct vmfs_statfs statfs;
    if (vmfs_check(fs, print_problem, details, &result) || result.problems)
        return "vmfs_check finds problems";
    if (found->error || vmfs_statfs(fs, &statfs))
        return NULL;
    if (result.names != found->entry_count)
        return "vmfs_check counts other names than there are";
    if (result.inodes != statfs.inodes_used || result.inodes < found->object_count)
        return "vmfs_check counts other inodes than there are";
    return NULL;
}

static const char *examine_attached(struct oracle *oracle, struct vmfs *fs, FILE *details)
{
    const struct tree_keep keep = {oracle->torn, oracle->torn_count, details != NULL};
    struct tree *found = oracle->found;
    tree_look(found, fs, &keep);
    const char *reason = oracle_check(fs, found, details);
    if (!reason)
        reason = oracle_compare(oracle, found);
    for (unsigned index = 0; reason && details && index < oracle->allowed_count; index++) {
        fprintf(details, "    compared with tree %u of %u:\n", index + 1, oracle->allowed_count);
        tree_print_differences(found, oracle->allowed[index], details);
    }
    bool is_used = details || oracle->examined % oracle->use_interval == 0;
    if (!reason && is_used)
        reason = oracle_use_up(fs, found, oracle->empty_blocks);
    return reason;
}

static const char *examine(void *arg, struct vmfs *fs, FILE *details)
{
    struct oracle *oracle = arg;
    oracle->examined++;
    const char *reason = examine_attached(oracle, fs, details);
    if (vmfs_close(fs) && !reason)
        reason = "close fails";
    return reason;
}

static int recover(void *arg, struct medium *medium, struct vmfs **out)
{
    (void)arg;
    medium->now_ns = JUDGE_NOW_NS;
    return world_attach(medium, 0, out);
}

static uint64_t rules(void *arg)
{
    const struct oracle *oracle = arg;
    return oracle->rules;
}

void oracle_init(struct oracle *oracle)
{
    *oracle = (struct oracle){
        .judge = {.arg = oracle,
                  .recover = recover,
                  .examine = examine,
                  .rules = rules,
                  .dump = world_dump_image},
        .use_interval = 1,
        .found = tree_create(),
    };
}

void oracle_fini(struct oracle *oracle)
{
    tree_destroy(oracle->found);
    oracle->found = NULL;
}
