/* tree.c -- sums of hashes, and the walk over a library's filesystem that makes them */
#include "tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/handle.h"
#include "engine/watch.h"
#include "seed.h"

#define LANES    4u
#define ODD_WORD 0x9fb21c651e98df25u

/* ---- hashes ---- */

static uint64_t rotate(uint64_t value)
{
    return value << 29 | value >> 35;
}

/* Four chains side by side, as a multiplication takes longer than the next one must wait. */
uint64_t tree_hash(uint64_t seed, const void *bytes, uint64_t len_bytes)
{
    const uint8_t *at = bytes;
    uint64_t lanes[LANES] = {seed, seed ^ 0x1111, seed ^ 0x2222, seed ^ 0x4444};
    uint64_t left = len_bytes;
    for (; left >= 8 * LANES; left -= 8 * LANES, at += 8 * LANES)
        for (unsigned lane = 0; lane < LANES; lane++) {
            uint64_t word;
            memcpy(&word, at + 8 * lane, 8);
            lanes[lane] = rotate(lanes[lane] ^ word) * ODD_WORD;
        }
    while (left > 0) {
        uint64_t word = 0;
        uint64_t step = left < 8 ? left : 8;
        memcpy(&word, at, step);
        lanes[0] = rotate(lanes[0] ^ word) * ODD_WORD;
        at += step;
        left -= step;
    }
    return seed_mix(seed_mix(lanes[0], lanes[1]), seed_mix(lanes[2], lanes[3]) ^ len_bytes);
}

/* ---- building ---- */

struct tree *tree_create(void)
{
    struct tree *tree = model_allocate(sizeof *tree);
    return tree;
}

void tree_clear(struct tree *tree)
{
    for (unsigned index = 0; index < tree->object_count; index++) {
        free(tree->objects[index].bytes);
        tree->objects[index].bytes = NULL;
    }
    memset(tree, 0, offsetof(struct tree, objects));
}

void tree_destroy(struct tree *tree)
{
    if (tree)
        tree_clear(tree);
    free(tree);
}

void tree_fail(struct tree *tree, int64_t error, const char *what, uint64_t ino)
{
    if (tree->error)
        return;
    tree->error = error;
    tree->error_what = what;
    tree->error_ino = ino;
}

static unsigned slot_of(const struct tree *tree, uint64_t ino)
{
    unsigned slot = (unsigned)(ino * ODD_WORD >> 53) % (TREE_OBJECTS_MAX * 2);
    while (tree->slots[slot] && tree->objects[tree->slots[slot] - 1].stat.ino != ino)
        slot = (slot + 1) % (TREE_OBJECTS_MAX * 2);
    return slot;
}

const struct tree_object *tree_find(const struct tree *tree, uint64_t ino)
{
    unsigned index = tree->slots[slot_of(tree, ino)];
    return index ? &tree->objects[index - 1] : NULL;
}

struct tree_object *tree_add_object(struct tree *tree, uint64_t ino)
{
    if (tree->object_count == TREE_OBJECTS_MAX) {
        tree_fail(tree, -E2BIG, "counting objects", ino);
        return NULL;
    }
    unsigned slot = slot_of(tree, ino);
    struct tree_object *object = &tree->objects[tree->object_count++];
    tree->slots[slot] = (uint16_t)tree->object_count;
    memset(object, 0, sizeof *object);
    object->stat.ino = ino;
    object->extent_first = tree->extent_count;
    return object;
}

uint32_t tree_keep_name(struct tree *tree, const char *name)
{
    size_t bytes = strlen(name) + 1;
    if (bytes > TREE_NAMES_BYTES - tree->name_bytes)
        return tree->name_bytes - 1; /* an empty name: there are too many to tell */
    uint32_t at = tree->name_bytes;
    memcpy(tree->names + at, name, bytes);
    tree->name_bytes += (uint32_t)bytes;
    return at;
}

void tree_add_entry(struct tree *tree, uint64_t dir, uint64_t ino, const char *name, bool is_kept)
{
    if (tree->entry_count == TREE_ENTRIES_MAX) {
        tree_fail(tree, -E2BIG, "counting names", dir);
        return;
    }
    tree->digest += seed_mix(tree_hash(dir, name, strlen(name)), ino);
    tree->entries[tree->entry_count++] = (struct tree_entry){
        .dir = dir, .ino = ino, .name = is_kept ? tree_keep_name(tree, name) : 0};
}

void tree_add_extent(struct tree *tree, struct tree_object *object, uint64_t start, uint64_t end)
{
    if (tree->extent_count == TREE_EXTENTS_MAX) {
        tree_fail(tree, -E2BIG, "counting extents", object->stat.ino);
        return;
    }
    tree->extents[tree->extent_count++] = (struct tree_extent){start, end};
    object->extent_count++;
}

void tree_add_xattr(struct tree_object *object, const char *name, const void *value,
                    uint64_t len_bytes)
{
    object->xattrs += tree_hash(tree_hash(1, name, strlen(name)), value, len_bytes);
}

void tree_seal(struct tree *tree, struct tree_object *object)
{
    const struct vmfs_stat *stat = &object->stat;
    const uint64_t words[] = {
        stat->ino,
        (uint64_t)stat->mode << 32 | stat->nlink,
        (uint64_t)stat->uid << 32 | stat->gid,
        stat->rdev,
        stat->size,
        (uint64_t)stat->mtime_ns,
        (uint64_t)stat->ctime_ns,
        (uint64_t)stat->btime_ns,
        stat->flags,
        object->xattrs,
        object->content,
    };
    const struct tree_extent *extents = &tree->extents[object->extent_first];
    uint64_t hash = tree_hash(2, words, sizeof words);
    object->hash = tree_hash(hash, extents, object->extent_count * sizeof *extents);
    tree->digest += object->hash;
}

uint64_t tree_content_bytes(uint64_t size)
{
    return size < TREE_CONTENT_MAX ? size : TREE_CONTENT_MAX;
}

uint8_t *tree_buffer(void)
{
    static uint8_t *buffer;
    if (!buffer)
        buffer = model_allocate(TREE_CONTENT_MAX + TREE_CONTENT_TAIL);
    return buffer;
}

bool tree_has_data(const struct tree *tree, const struct tree_object *object, uint64_t block)
{
    uint64_t offset = block * MODEL_BLOCK;
    for (unsigned index = 0; index < object->extent_count; index++) {
        const struct tree_extent *extent = &tree->extents[object->extent_first + index];
        if (offset >= extent->start && offset < extent->end)
            return true;
    }
    return false;
}

/* ---- looking ---- */

struct look {
    struct vmfs *fs;
    struct tree *tree;
    const struct tree_keep *keep;
};

static void note(struct look *look, int64_t result, const char *what, uint64_t ino)
{
    if (result < 0)
        tree_fail(look->tree, result, what, ino);
}

static bool is_kept(const struct look *look, uint64_t ino)
{
    bool is_found = look->keep->is_all;
    for (unsigned index = 0; index < look->keep->ino_count; index++)
        is_found = is_found || look->keep->inos[index] == ino;
    return is_found;
}

static void look_at_extents(struct look *look, struct tree_object *object, struct vmfs_file *file)
{
    int64_t end = 0;
    int64_t size = (int64_t)object->stat.size;
    while (end < size) {
        int64_t start = vmfs_file_seek(file, end, VMFS_SEEK_DATA);
        if (start == -ENXIO)
            return;
        int64_t stop = start < 0 ? start : vmfs_file_seek(file, start, VMFS_SEEK_HOLE);
        note(look, stop, "seeking", object->stat.ino);
        if (stop >= 0 && (start < end || stop <= start || stop > size))
            tree_fail(look->tree, -EIO, "the order of data and holes", object->stat.ino);
        if (look->tree->error)
            return;
        tree_add_extent(look->tree, object, (uint64_t)start, (uint64_t)stop);
        end = stop;
    }
}

static void read_exactly(struct look *look, const struct tree_object *object,
                         struct vmfs_file *file, uint64_t offset, uint64_t len_bytes)
{
    uint8_t *at = tree_buffer() + (offset > 0 ? TREE_CONTENT_MAX : 0);
    if (is_kept(look, object->stat.ino)) /* torn: compared word by word */
        watch_judge_words(at, len_bytes);
    int64_t got = vmfs_file_pread(file, at, len_bytes, offset);
    watch_judge_words(NULL, 0);
    note(look, got, "reading", object->stat.ino);
    if (got >= 0 && (uint64_t)got != len_bytes)
        tree_fail(look->tree, -EIO, "reading as much as there is", object->stat.ino);
}

static void look_at_file(struct look *look, struct tree_object *object)
{
    struct vmfs_file *file;
    int err = vmfs_file_open_at(look->fs, vmfs_at(object->stat.ino, ""),
                                VMFS_O_RDONLY | VMFS_O_NOATIME, 0, &file);
    note(look, err, "opening", object->stat.ino);
    if (err)
        return;
    uint64_t size = object->stat.size;
    uint64_t head = tree_content_bytes(size);
    uint64_t tail = size - head < TREE_CONTENT_TAIL ? size - head : TREE_CONTENT_TAIL;
    if (head > 0)
        read_exactly(look, object, file, 0, head);
    if (tail > 0)
        read_exactly(look, object, file, size - tail, tail);
    object->content = tree_hash(3, tree_buffer(), head);
    if (tail > 0)
        object->content = tree_hash(object->content, tree_buffer() + TREE_CONTENT_MAX, tail);
    if (is_kept(look, object->stat.ino)) {
        object->bytes = model_allocate(head + 8);
        memcpy(object->bytes, tree_buffer(), head);
    }
    look_at_extents(look, object, file);
    note(look, vmfs_file_close(file), "closing", object->stat.ino);
}

static void look_at_link(struct look *look, struct tree_object *object)
{
    char target[VMFS_PATH_MAX + 1];
    int64_t got = vmfs_readlink_at(look->fs, vmfs_at(object->stat.ino, ""), target, sizeof target);
    note(look, got, "reading a link", object->stat.ino);
    if (got > 0)
        object->content = tree_hash(4, target, (uint64_t)got);
}

static void look_at_xattrs(struct look *look, struct tree_object *object)
{
    static char names[VMFS_XATTR_MAX];
    static uint8_t value[VMFS_XATTR_MAX];
    const struct vmfs_at at = vmfs_at(object->stat.ino, "");
    int64_t total = vmfs_xattr_list_at(look->fs, at, VMFS_NOFOLLOW, names, sizeof names);
    note(look, total, "listing attributes", object->stat.ino);
    for (int64_t used = 0; used < total; used += (int64_t)strlen(names + used) + 1) {
        int64_t got =
            vmfs_xattr_get_at(look->fs, at, VMFS_NOFOLLOW, names + used, value, sizeof value);
        note(look, got, "getting an attribute that is listed", object->stat.ino);
        if (got >= 0)
            tree_add_xattr(object, names + used, value, (uint64_t)got);
    }
}

static void look_at_dir(struct look *look, uint64_t ino, uint64_t parent);

static void look_at_object(struct look *look, const struct vmfs_stat *stat, uint64_t parent,
                           const char *name)
{
    struct tree_object *object = tree_add_object(look->tree, stat->ino);
    if (!object)
        return;
    object->stat = *stat;
    object->parent = parent;
    object->name = look->keep->is_all ? tree_keep_name(look->tree, name) : 0;
    uint32_t type = stat->mode & VMFS_S_IFMT;
    if (type == VMFS_S_IFREG)
        look_at_file(look, object);
    else if (type == VMFS_S_IFLNK)
        look_at_link(look, object);
    look_at_xattrs(look, object);
    tree_seal(look->tree, object);
    if (type == VMFS_S_IFDIR)
        look_at_dir(look, stat->ino, parent);
}

/* What a directory lists must be found by its name, and be of the listed id and type. */
static void look_at_entry(struct look *look, uint64_t dir, const struct vmfs_dirent *entry)
{
    struct vmfs_stat stat;
    int err = vmfs_stat_at(look->fs, vmfs_at(dir, entry->name), VMFS_NOFOLLOW, &stat);
    note(look, err, "looking up what is listed", entry->ino);
    if (err == 0 && (stat.ino != entry->ino || (stat.mode & VMFS_S_IFMT) != entry->type))
        tree_fail(look->tree, -EIO, "listing what is found by its name", entry->ino);
    tree_add_entry(look->tree, dir, entry->ino, entry->name, look->keep->is_all);
    if (err == 0 && !look->tree->error && !tree_find(look->tree, stat.ino))
        look_at_object(look, &stat, dir, entry->name);
}

static void look_at_dir(struct look *look, uint64_t ino, uint64_t parent)
{
    struct vmfs_dir *dir;
    struct vmfs_dirent entry;
    int more = vmfs_dir_open_at(look->fs, vmfs_at(ino, ""), &dir);
    note(look, more, "opening a directory", ino);
    if (more)
        return;
    for (unsigned index = 0; !look->tree->error && (more = vmfs_dir_read(dir, &entry)) > 0;
         index++) {
        const char *dots = index == 0 ? "." : "..";
        if (index >= 2)
            look_at_entry(look, ino, &entry);
        else if (strcmp(entry.name, dots) != 0 || entry.ino != (index == 0 ? ino : parent))
            tree_fail(look->tree, -EIO, "the names . and ..", ino);
    }
    note(look, more, "reading a directory", ino);
    note(look, vmfs_dir_close(dir), "closing a directory", ino);
}

void tree_look(struct tree *tree, struct vmfs *fs, const struct tree_keep *keep)
{
    struct look look = {.fs = fs, .tree = tree, .keep = keep};
    struct vmfs_stat stat;
    tree_clear(tree);
    fs->leaves_atime = true; /* looking changes nothing */
    int err = vmfs_stat(fs, "/", 0, &stat);
    note(&look, err, "looking up the root", 0);
    if (err == 0)
        look_at_object(&look, &stat, stat.ino, "");
    fs->leaves_atime = false;
}
