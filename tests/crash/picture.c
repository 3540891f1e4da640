/* picture.c -- walks through a filesystem and through the model, noting the same of each */
#include "picture.h"

#include <string.h>

#include "api/handle.h"
#include "base/hash.h"
#include "seed.h"

#define XATTR_NAMES_BYTES 2048u

/* ---- contents ---- */

void picture_store_init(struct picture_store *store, size_t room)
{
    store->bytes = medium_pages(room);
    store->room = room;
    picture_store_reset(store);
}

void picture_store_reset(struct picture_store *store)
{
    store->used = 0;
    store->count = 0;
}

/* Where these bytes are kept from now on; null if there is no room. */
static const uint8_t *keep(struct picture_store *store, const uint8_t *bytes, size_t byte_count,
                           uint64_t hash)
{
    const unsigned room = sizeof store->kept / sizeof store->kept[0];
    for (unsigned index = 0; index < store->count; index++)
        if (store->kept[index].hash == hash && store->kept[index].byte_count == byte_count)
            return store->bytes + store->kept[index].at;
    if (store->room - store->used < byte_count)
        return NULL;
    uint8_t *kept = store->bytes + store->used;
    memmove(kept, bytes, byte_count);
    if (store->count < room) {
        store->kept[store->count].hash = hash;
        store->kept[store->count].at = store->used;
        store->kept[store->count++].byte_count = byte_count;
    }
    store->used += byte_count;
    return kept;
}

/* ---- what is noted ---- */

static void fail(struct picture *picture, const char *what)
{
    if (!picture->error)
        picture->error = what;
}

static struct picture_name *add(struct picture *picture, const char *path,
                                const struct vmfs_stat *stat, uint64_t xattrs)
{
    if (picture->count == PICTURE_NAMES_MAX) {
        fail(picture, "too many names");
        return NULL;
    }
    const uint64_t words[] = {stat->mode,
                              stat->nlink,
                              stat->uid,
                              stat->gid,
                              stat->rdev,
                              stat->flags,
                              stat->size,
                              (uint64_t)stat->mtime_ns,
                              (uint64_t)stat->ctime_ns,
                              (uint64_t)stat->btime_ns,
                              xattrs};
    struct picture_name *name = &picture->names[picture->count++];
    *name = (struct picture_name){.birth_ns = stat->btime_ns,
                                  .atime_ns = stat->atime_ns,
                                  .is_dir = (stat->mode & VMFS_S_IFMT) == VMFS_S_IFDIR};
    snprintf(name->path, sizeof name->path, "%s", path);
    name->hash = vm_hash64(vm_hash64(0, path, strlen(path)), words, sizeof words);
    return name;
}

static void end_name(struct picture *picture, const struct picture_name *name)
{
    picture->digest += seed_mix(name->hash, name->content);
}

static void note_content(struct picture *picture, struct picture_store *store,
                         struct picture_name *name, const uint8_t *bytes, size_t byte_count)
{
    name->content = vm_hash64(1, bytes, byte_count);
    name->bytes = keep(store, bytes, byte_count, name->content);
    name->byte_count = byte_count;
    if (!name->bytes)
        fail(picture, "too much content");
}

static uint64_t hash_xattr(const char *name, const void *value, size_t value_bytes)
{
    return vm_hash64(vm_hash64(2, name, strlen(name)), value, value_bytes);
}

static bool join(char path[PICTURE_PATH_BYTES], const char *dir, const char *name)
{
    int used = snprintf(path, PICTURE_PATH_BYTES, "%s/%s", dir, name);
    return used > 0 && (size_t)used < PICTURE_PATH_BYTES;
}

/* ---- of the model ---- */

static uint64_t model_xattrs(const struct model_node *node)
{
    uint64_t sum = 0;
    for (const struct model_xattr *xattr = node->xattrs; xattr; xattr = xattr->next)
        sum += hash_xattr(xattr->name, xattr->value, xattr->value_bytes);
    return sum;
}

static void model_bytes(struct picture *picture, struct picture_store *store,
                        struct picture_name *name, const struct model_node *node)
{
    static uint8_t bytes[PICTURE_FILE_MAX];
    if (node->size > sizeof bytes || !node->is_mtime_known || !node->is_ctime_known) {
        fail(picture, "a file of the model that cannot be compared");
        return;
    }
    memset(bytes, 0, node->size);
    memcpy(bytes, node->data, node->data_bytes < node->size ? node->data_bytes : node->size);
    note_content(picture, store, name, bytes, node->size);
}

static void walk_model(struct picture *picture, struct picture_store *store,
                       const struct model_node *node, const char *path)
{
    struct vmfs_stat stat;
    model_node_stat(node, &stat);
    struct picture_name *name = add(picture, path, &stat, model_xattrs(node));
    if (!name)
        return;
    name->is_atime_lazy = node->is_atime_lazy;
    if (model_type(node) == VMFS_S_IFREG)
        model_bytes(picture, store, name, node);
    else if (model_type(node) == VMFS_S_IFLNK)
        name->content = vm_hash64(1, node->data, node->data_bytes);
    end_name(picture, name);
    for (const struct model_entry *entry = node->entries; entry; entry = entry->dir_next) {
        char below[PICTURE_PATH_BYTES];
        if (join(below, path, entry->name))
            walk_model(picture, store, entry->node, below);
        else
            fail(picture, "a long path");
    }
}

void picture_of_model(struct picture *picture, struct picture_store *store,
                      const struct model *model)
{
    picture->digest = 0;
    picture->error = NULL;
    picture->count = 0;
    walk_model(picture, store, model->root, "");
}

/* ---- of a filesystem ---- */

struct walk {
    struct picture *picture;
    struct picture_store *store;
    struct vmfs *fs;
};

static const char *path_name(const char *path)
{
    return *path ? path : "/";
}

static uint64_t fs_xattrs(const struct walk *walk, const char *path)
{
    static uint8_t value[VMFS_XATTR_MAX];
    char names[XATTR_NAMES_BYTES];
    uint64_t sum = 0;
    int64_t total = vmfs_xattr_list(walk->fs, path_name(path), VMFS_NOFOLLOW, names, sizeof names);
    if (total < 0)
        fail(walk->picture, "attributes cannot be listed");
    for (int64_t at = 0; at < total; at += (int64_t)strlen(names + at) + 1) {
        int64_t got = vmfs_xattr_get(walk->fs, path_name(path), VMFS_NOFOLLOW, names + at, value,
                                     sizeof value);
        if (got < 0)
            fail(walk->picture, "an attribute cannot be read");
        else
            sum += hash_xattr(names + at, value, (size_t)got);
    }
    return sum;
}

static void fs_bytes(const struct walk *walk, struct picture_name *name, uint64_t size)
{
    static uint8_t bytes[PICTURE_FILE_MAX];
    struct vmfs_file *file;
    int64_t got = vmfs_file_open(walk->fs, name->path, VMFS_O_RDONLY, 0, &file);
    if (got == 0) {
        got = vmfs_file_pread(file, bytes, sizeof bytes, 0);
        vmfs_file_close(file);
    }
    if (got < 0 || (uint64_t)got != size)
        fail(walk->picture, "a file cannot be read");
    else
        note_content(walk->picture, walk->store, name, bytes, (size_t)got);
}

static void fs_target(const struct walk *walk, struct picture_name *name)
{
    char target[VMFS_PATH_MAX + 1];
    int64_t got = vmfs_readlink(walk->fs, name->path, target, sizeof target);
    if (got < 0)
        fail(walk->picture, "a link cannot be read");
    else
        name->content = vm_hash64(1, target, (size_t)got);
}

static void walk_fs(const struct walk *walk, const char *path);

static void fs_entries(const struct walk *walk, const char *path)
{
    struct vmfs_dir *dir;
    if (vmfs_dir_open(walk->fs, path_name(path), &dir)) {
        fail(walk->picture, "a directory cannot be opened");
        return;
    }
    struct vmfs_dirent entry;
    int more;
    while ((more = vmfs_dir_read(dir, &entry)) > 0) {
        char below[PICTURE_PATH_BYTES];
        if (strcmp(entry.name, ".") == 0 || strcmp(entry.name, "..") == 0)
            continue;
        if (join(below, path, entry.name))
            walk_fs(walk, below);
        else
            fail(walk->picture, "a long path");
    }
    if (more < 0)
        fail(walk->picture, "a directory cannot be read");
    vmfs_dir_close(dir);
}

static void walk_fs(const struct walk *walk, const char *path)
{
    struct vmfs_stat stat;
    if (vmfs_stat(walk->fs, path_name(path), VMFS_NOFOLLOW, &stat)) {
        fail(walk->picture, "a name leads nowhere");
        return;
    }
    uint32_t type = stat.mode & VMFS_S_IFMT;
    bool has_xattrs = type == VMFS_S_IFREG || type == VMFS_S_IFDIR;
    struct picture_name *name =
        add(walk->picture, path, &stat, has_xattrs ? fs_xattrs(walk, path) : 0);
    if (!name)
        return;
    if (type == VMFS_S_IFREG)
        fs_bytes(walk, name, stat.size);
    else if (type == VMFS_S_IFLNK)
        fs_target(walk, name);
    end_name(walk->picture, name);
    if (type == VMFS_S_IFDIR)
        fs_entries(walk, path);
}

void picture_of_fs(struct picture *picture, struct picture_store *store, struct vmfs *fs)
{
    const struct walk walk = {.picture = picture, .store = store, .fs = fs};
    picture->digest = 0;
    picture->error = NULL;
    picture->count = 0;
    fs->leaves_atime = true; /* looking changes nothing */
    walk_fs(&walk, "");
    fs->leaves_atime = false;
}

/* ---- printing ---- */

static const struct picture_name *find_like(const struct picture *picture,
                                            const struct picture_name *wanted)
{
    for (unsigned index = 0; index < picture->count; index++) {
        const struct picture_name *name = &picture->names[index];
        if (name->hash == wanted->hash && name->content == wanted->content)
            return name;
    }
    return NULL;
}

static void print_missing(const struct picture *from, const struct picture *in, const char *what,
                          FILE *out)
{
    for (unsigned index = 0; index < from->count; index++) {
        const struct picture_name *name = &from->names[index];
        if (!find_like(in, name))
            fprintf(out, "      %s %s born=%lld bytes=%zu hash=%016llx content=%016llx\n", what,
                    path_name(name->path), (long long)name->birth_ns, name->byte_count,
                    (unsigned long long)name->hash, (unsigned long long)name->content);
    }
}

void picture_print(const struct picture *found, const struct picture *expected, FILE *out)
{
    print_missing(found, expected, "found  ", out);
    print_missing(expected, found, "missing", out);
}
