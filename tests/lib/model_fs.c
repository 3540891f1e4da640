/* model_fs.c -- names: path walking and every call that changes a directory */
#include "model_fs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SYMLINKS_MAX 40

enum last_kind { LAST_NORMAL, LAST_ROOT, LAST_DOT, LAST_DOTDOT };

/* A walk in progress, and its result: the last component, and what it names if it exists. */
struct walk {
    struct model *model;
    struct model_node *parent;
    struct model_node *node;
    enum last_kind last;
    bool has_trailing_slash;
    unsigned symlinks;
    uint32_t name_bytes;
    char name[VMFS_NAME_MAX + 1];
};

void *model_allocate(size_t bytes)
{
    void *memory = calloc(1, bytes);
    if (memory == NULL) {
        fprintf(stderr, "model_fs: no memory for %zu bytes\n", bytes);
        abort();
    }
    return memory;
}

/* Notes an error that applies as well, and returns the one that comes first. */
static int note(struct model *model, int other, int first)
{
    if (model->error_count < MODEL_ERRORS_MAX)
        model->errors[model->error_count++] = other;
    return first;
}

uint32_t model_type(const struct model_node *node)
{
    return node->mode & VMFS_S_IFMT;
}

bool model_is_dir(const struct model_node *node)
{
    return model_type(node) == VMFS_S_IFDIR;
}

static uint64_t hash_name(const struct model_node *dir, const char *name, uint32_t name_bytes)
{
    uint64_t hash = 14695981039346656037u ^ (uint64_t)(uintptr_t)dir;
    for (uint32_t i = 0; i < name_bytes; i++)
        hash = (hash ^ (unsigned char)name[i]) * 1099511628211u;
    return hash ^ (hash >> 29);
}

static struct model_entry *find_entry(struct model *model, const struct model_node *dir,
                                      const char *name, uint32_t name_bytes)
{
    uint64_t hash = hash_name(dir, name, name_bytes);
    struct model_entry *entry = model->buckets[hash % MODEL_BUCKETS];
    while (entry != NULL) {
        if (entry->hash == hash && entry->dir == dir && entry->name_bytes == name_bytes &&
            memcmp(entry->name, name, name_bytes) == 0)
            return entry;
        entry = entry->hash_next;
    }
    return NULL;
}

static struct model_node *create_node(struct model *model, uint32_t mode)
{
    struct model_node *node = model_allocate(sizeof(*node));
    node->mode = mode;
    node->uid = model->owner_uid;
    node->gid = model->owner_gid;
    return node;
}

static void release_node(struct model_node *node)
{
    if (node->nlink > 0 || node->open_count > 0)
        return;
    model_node_clear(node);
    free(node);
}

static void append_entry(struct model *model, struct model_entry *entry)
{
    if (model->entry_count == model->entry_room) {
        model->entry_room = model->entry_room * 2 + 64;
        model->entries = realloc(model->entries, model->entry_room * sizeof(struct model_entry *));
        if (model->entries == NULL)
            abort();
    }
    entry->index = model->entry_count;
    model->entries[model->entry_count++] = entry;
}

static void add_entry(struct walk *at, struct model_node *node)
{
    struct model *model = at->model;
    struct model_entry *entry = model_allocate(sizeof(*entry));
    entry->dir = at->parent;
    entry->node = node;
    entry->name_bytes = at->name_bytes;
    memcpy(entry->name, at->name, sizeof(entry->name));
    entry->hash = hash_name(at->parent, at->name, at->name_bytes);
    entry->hash_next = model->buckets[entry->hash % MODEL_BUCKETS];
    model->buckets[entry->hash % MODEL_BUCKETS] = entry;
    entry->dir_next = at->parent->entries;
    if (entry->dir_next != NULL)
        entry->dir_next->dir_prev = entry;
    at->parent->entries = entry;
    append_entry(model, entry);
    at->parent->size++;
    at->parent->is_mtime_known = false;
    if (model_is_dir(node)) {
        at->parent->nlink++;
        node->self = entry;
    }
}

static void remove_entry(struct model *model, struct model_entry *entry)
{
    struct model_node *dir = entry->dir;
    struct model_entry **link = &model->buckets[entry->hash % MODEL_BUCKETS];
    while (*link != entry)
        link = &(*link)->hash_next;
    *link = entry->hash_next;
    if (entry->dir_prev != NULL)
        entry->dir_prev->dir_next = entry->dir_next;
    else
        dir->entries = entry->dir_next;
    if (entry->dir_next != NULL)
        entry->dir_next->dir_prev = entry->dir_prev;
    struct model_entry *moved = model->entries[--model->entry_count];
    model->entries[entry->index] = moved;
    moved->index = entry->index;
    dir->size--;
    dir->is_mtime_known = false;
    if (model_is_dir(entry->node)) {
        dir->nlink--;
        entry->node->self = NULL;
    }
    free(entry);
}

struct model *model_create(uint32_t uid, uint32_t gid)
{
    struct model *model = model_allocate(sizeof(*model));
    model->owner_uid = uid;
    model->owner_gid = gid;
    model->root = create_node(model, VMFS_S_IFDIR | 0755);
    model->root->nlink = 2;
    return model;
}

void model_destroy(struct model *model)
{
    while (model->entry_count > 0) {
        struct model_entry *entry = model->entries[model->entry_count - 1];
        struct model_node *node = entry->node;
        bool is_dir = model_is_dir(node);
        remove_entry(model, entry);
        node->nlink = is_dir ? 0 : node->nlink - 1;
        node->open_count = 0;
        if (is_dir && node->entries != NULL) {
            node->nlink = 1;
            continue;
        }
        release_node(node);
    }
    model_node_clear(model->root);
    free(model->root);
    free(model->entries);
    free(model);
}

bool model_entry_path(const struct model_entry *entry, char *path)
{
    const struct model_entry *chain[VMFS_PATH_MAX];
    size_t depth = 0;
    while (entry != NULL && depth < VMFS_PATH_MAX) {
        chain[depth++] = entry;
        entry = entry->dir->self;
    }
    size_t used = 0;
    while (depth > 0) {
        const struct model_entry *part = chain[--depth];
        if (used + 1 + part->name_bytes > VMFS_PATH_MAX)
            return false;
        path[used++] = '/';
        memcpy(path + used, part->name, part->name_bytes);
        used += part->name_bytes;
    }
    path[used] = '\0';
    return true;
}

/* ---------------------------------------------------------------------------------- walking --- */

static int walk_from(struct walk *walk, struct model_node *dir, const char *path, bool follow);

static int follow_link(struct walk *walk, struct model_node *dir, bool follow)
{
    if (++walk->symlinks > SYMLINKS_MAX)
        return note(walk->model, -ENAMETOOLONG, -ELOOP);
    const struct model_node *link = walk->node;
    char *target = model_allocate(link->data_bytes + 1);
    memcpy(target, link->data, link->data_bytes);
    int err = walk_from(walk, dir, target, follow);
    free(target);
    return err;
}

/* Looks up one component that is neither the last nor special, or the last one itself. */
static int walk_component(struct walk *walk, struct model_node *dir, const char *name, size_t bytes)
{
    walk->parent = dir;
    walk->last = LAST_NORMAL;
    if (bytes > VMFS_NAME_MAX)
        return -ENAMETOOLONG;
    memset(walk->name, 0, sizeof(walk->name));
    memcpy(walk->name, name, bytes);
    walk->name_bytes = (uint32_t)bytes;
    if (bytes == 1 && name[0] == '.') {
        walk->last = LAST_DOT;
        walk->node = dir;
    } else if (bytes == 2 && name[0] == '.' && name[1] == '.') {
        walk->last = LAST_DOTDOT;
        walk->node = dir->self != NULL ? dir->self->dir : dir;
    } else {
        struct model_entry *entry = find_entry(walk->model, dir, name, (uint32_t)bytes);
        walk->node = entry != NULL ? entry->node : NULL;
    }
    return 0;
}

static int walk_from(struct walk *walk, struct model_node *dir, const char *path, bool follow)
{
    if (path[0] == '/')
        dir = walk->model->root;
    path += strspn(path, "/");
    walk->parent = dir;
    walk->node = dir;
    walk->last = LAST_ROOT;
    while (*path != '\0') {
        size_t bytes = strcspn(path, "/");
        const char *rest = path + bytes + strspn(path + bytes, "/");
        bool is_last = *rest == '\0';
        bool has_slash = path[bytes] == '/';
        if (!model_is_dir(dir))
            return bytes > VMFS_NAME_MAX ? note(walk->model, -ENAMETOOLONG, -ENOTDIR) : -ENOTDIR;
        int err = walk_component(walk, dir, path, bytes);
        if (err != 0)
            return err;
        bool is_link = walk->node != NULL && model_type(walk->node) == VMFS_S_IFLNK;
        if (is_link && (!is_last || follow || has_slash))
            err = follow_link(walk, dir, true);
        if (err != 0)
            return err;
        if (is_last && has_slash)
            walk->has_trailing_slash = true;
        if (!is_last && walk->node == NULL)
            return -ENOENT;
        dir = walk->node;
        path = rest;
    }
    return 0;
}

/* Walks `path` as far as its last component, which need not exist. */
static int walk_path(struct walk *walk, struct model *model, const char *path, bool follow)
{
    memset(walk, 0, sizeof(*walk));
    walk->model = model;
    if (path[0] == '\0')
        return -ENOENT;
    if (strlen(path) > VMFS_PATH_MAX)
        return -ENAMETOOLONG;
    int err = walk_from(walk, model->root, path, follow);
    if (err == 0 && walk->has_trailing_slash && walk->node != NULL && !model_is_dir(walk->node))
        return -ENOTDIR;
    return err;
}

int model_find(struct model *model, const char *path, int flags, struct model_node **out)
{
    struct walk walk;
    int err = walk_path(&walk, model, path, (flags & VMFS_NOFOLLOW) == 0);
    if (err == 0 && walk.node == NULL)
        err = -ENOENT;
    if (err == 0)
        *out = walk.node;
    return err;
}

/* -------------------------------------------------------------------------------- changing --- */

static int walk_to_create(struct walk *walk, struct model *model, const char *path, bool is_dir)
{
    int err = walk_path(walk, model, path, false);
    if (err != 0)
        return err;
    if (walk->last != LAST_NORMAL || walk->node != NULL)
        return -EEXIST;
    return walk->has_trailing_slash && !is_dir ? -ENOENT : 0;
}

int model_mkdir(struct model *model, const char *path, uint32_t mode)
{
    struct walk walk;
    int err = walk_to_create(&walk, model, path, true);
    if (err != 0)
        return err;
    struct model_node *node = create_node(model, VMFS_S_IFDIR | mode);
    node->nlink = 2;
    add_entry(&walk, node);
    return 0;
}

int model_mknod(struct model *model, const char *path, uint32_t mode, uint64_t rdev)
{
    uint32_t type = mode & VMFS_S_IFMT;
    if (type == 0)
        type = VMFS_S_IFREG;
    if (type == VMFS_S_IFDIR || type == VMFS_S_IFLNK)
        return -EINVAL;
    struct walk walk;
    int err = walk_to_create(&walk, model, path, false);
    if (err != 0)
        return err;
    struct model_node *node = create_node(model, type | (mode & 07777));
    node->nlink = 1;
    if (type == VMFS_S_IFBLK || type == VMFS_S_IFCHR)
        node->rdev = rdev;
    add_entry(&walk, node);
    return 0;
}

int model_symlink(struct model *model, const char *target, const char *path)
{
    size_t bytes = strlen(target);
    if (bytes == 0)
        return -ENOENT;
    if (bytes > VMFS_PATH_MAX)
        return -ENAMETOOLONG;
    struct walk walk;
    int err = walk_to_create(&walk, model, path, false);
    if (err != 0)
        return err;
    struct model_node *node = create_node(model, VMFS_S_IFLNK | 0777);
    node->nlink = 1;
    node->data = model_allocate(bytes);
    memcpy(node->data, target, bytes);
    node->data_bytes = node->size = bytes;
    add_entry(&walk, node);
    return 0;
}

int64_t model_readlink(struct model *model, const char *path, char *buffer, size_t size)
{
    struct model_node *node;
    int err = model_find(model, path, VMFS_NOFOLLOW, &node);
    if (err != 0)
        return err;
    if (model_type(node) != VMFS_S_IFLNK)
        return -EINVAL;
    memcpy(buffer, node->data, size < node->data_bytes ? size : node->data_bytes);
    return (int64_t)node->data_bytes;
}

int model_link(struct model *model, const char *existing, const char *path)
{
    struct model_node *node;
    struct walk walk;
    int err = model_find(model, existing, VMFS_NOFOLLOW, &node);
    int other = walk_to_create(&walk, model, path, false);
    if (err != 0)
        return other != 0 ? note(model, other, err) : err;
    if (other != 0)
        return model_is_dir(node) ? note(model, -EPERM, other) : other;
    if (model_is_dir(node))
        return -EPERM;
    if (node->nlink >= VMFS_LINK_MAX)
        return -EMLINK;
    node->nlink++;
    add_entry(&walk, node);
    return 0;
}

static void drop_name(struct walk *walk)
{
    struct model_node *node = walk->node;
    remove_entry(walk->model, find_entry(walk->model, walk->parent, walk->name, walk->name_bytes));
    node->nlink = model_is_dir(node) ? 0 : node->nlink - 1;
    release_node(node);
}

int model_unlink(struct model *model, const char *path)
{
    struct walk walk;
    int err = walk_path(&walk, model, path, false);
    if (err != 0)
        return err;
    if (walk.node == NULL)
        return -ENOENT;
    if (model_is_dir(walk.node))
        return -EPERM;
    drop_name(&walk);
    return 0;
}

int model_rmdir(struct model *model, const char *path)
{
    struct walk walk;
    int err = walk_path(&walk, model, path, false);
    if (err != 0)
        return err;
    if (walk.last == LAST_ROOT)
        return -EBUSY;
    if (walk.last == LAST_DOT)
        return -EINVAL;
    if (walk.last == LAST_DOTDOT) {
        note(model, walk.node == model->root ? -EBUSY : -EINVAL, 0);
        return -ENOTEMPTY;
    }
    if (walk.node == NULL)
        return -ENOENT;
    if (!model_is_dir(walk.node))
        return -ENOTDIR;
    if (walk.node->entries != NULL)
        return -ENOTEMPTY;
    drop_name(&walk);
    return 0;
}

static bool is_ancestor(const struct model_node *ancestor, const struct model_node *node)
{
    while (node != ancestor && node->self != NULL)
        node = node->self->dir;
    return node == ancestor;
}

/* The checks of what a rename replaces; 0 or an error. */
static int check_replaced(const struct walk *from, const struct walk *to)
{
    if (to->node == NULL || to->node == from->node)
        return 0;
    if (model_is_dir(from->node) && !model_is_dir(to->node))
        return -ENOTDIR;
    if (!model_is_dir(from->node) && model_is_dir(to->node))
        return -EISDIR;
    return model_is_dir(to->node) && to->node->entries != NULL ? -ENOTEMPTY : 0;
}

/* A directory would come to lie below itself. */
static int check_cycle(const struct walk *from, const struct walk *to, bool is_exchange)
{
    if (model_is_dir(from->node) && is_ancestor(from->node, to->parent))
        return -EINVAL;
    if (to->node == NULL || !model_is_dir(to->node) || !is_ancestor(to->node, from->parent))
        return 0;
    return is_exchange ? -EINVAL : -ENOTEMPTY;
}

static int check_exists(const struct walk *from, const struct walk *to, uint32_t flags)
{
    if (from->node == NULL || ((flags & VMFS_RENAME_EXCHANGE) != 0 && to->node == NULL))
        return -ENOENT;
    return (flags & VMFS_RENAME_NOREPLACE) != 0 && to->node != NULL ? -EEXIST : 0;
}

static int check_slashes(const struct walk *from, const struct walk *to, bool is_exchange)
{
    bool has_slash = from->has_trailing_slash || (to->has_trailing_slash && !is_exchange);
    return has_slash && !model_is_dir(from->node) ? -ENOTDIR : 0;
}

/* A last component that cannot be renamed is an error whatever else is wrong. */
static void note_last(const struct walk *walk)
{
    if (walk->last != LAST_NORMAL)
        note(walk->model, -EBUSY, 0);
    if (walk->last > LAST_ROOT)
        note(walk->model, -EINVAL, 0);
}

static int check_last(const struct walk *from, const struct walk *to, uint32_t flags)
{
    if (from->last != LAST_NORMAL)
        return -EBUSY;
    if (to->last != LAST_NORMAL)
        return (flags & VMFS_RENAME_NOREPLACE) != 0 ? -EEXIST : -EBUSY;
    return 0;
}

/* All that is wrong with a rename whose paths could be walked: the first is returned. */
static int check_rename(const struct walk *from, const struct walk *to, uint32_t flags)
{
    bool is_exchange = (flags & VMFS_RENAME_EXCHANGE) != 0;
    bool is_whole = from->node != NULL && from->last == LAST_NORMAL && to->last == LAST_NORMAL;
    const int errors[] = {
        check_last(from, to, flags),
        check_exists(from, to, flags),
        is_whole ? check_slashes(from, to, is_exchange) : 0,
        is_whole ? check_cycle(from, to, is_exchange) : 0,
        is_whole && !is_exchange ? check_replaced(from, to) : 0,
    };
    int first = 0;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (errors[i] != 0)
            first = note(from->model, errors[i], first != 0 ? first : errors[i]);
    }
    return first;
}

/* Walks two paths: which of two errors is returned is open. */
static int walk_both(struct model *model, struct walk *from, struct walk *to, const char *paths[2])
{
    int err = walk_path(from, model, paths[0], false);
    int other = walk_path(to, model, paths[1], false);
    if (err == 0)
        note_last(from);
    if (err == 0 && from->node == NULL)
        note(model, -ENOENT, 0);
    if (other == 0)
        note_last(to);
    return err != 0 && other != 0 ? note(model, other, err) : err + other;
}

int model_rename(struct model *model, const char *from_path, const char *to_path, uint32_t flags)
{
    uint32_t known = VMFS_RENAME_NOREPLACE | VMFS_RENAME_EXCHANGE;
    if ((flags & ~known) != 0 || (flags & known) == known)
        return -EINVAL;
    struct walk from;
    struct walk to;
    int err = walk_both(model, &from, &to, (const char *[]){from_path, to_path});
    if (err == 0)
        err = check_rename(&from, &to, flags);
    if (err != 0 || from.node == to.node)
        return err;
    struct model_entry *old = find_entry(model, from.parent, from.name, from.name_bytes);
    struct model_node *moved = from.node;
    struct model_node *other = to.node;
    if (other != NULL && (flags & VMFS_RENAME_EXCHANGE) == 0) {
        drop_name(&to);
        other = NULL;
    } else if (other != NULL) {
        remove_entry(model, find_entry(model, to.parent, to.name, to.name_bytes));
    }
    remove_entry(model, old);
    add_entry(&to, moved);
    if (other != NULL)
        add_entry(&from, other);
    return 0;
}

static int check_open(const struct walk *walk, int flags)
{
    bool is_create = (flags & VMFS_O_CREAT) != 0;
    if (is_create && (flags & VMFS_O_EXCL) != 0 && walk->node != NULL)
        return -EEXIST;
    if (walk->node == NULL)
        return is_create ? 0 : -ENOENT;
    switch (model_type(walk->node)) {
    case VMFS_S_IFREG:
        return 0;
    case VMFS_S_IFDIR:
        return -EISDIR;
    case VMFS_S_IFLNK:
        return -ELOOP;
    default:
        return -ENXIO;
    }
}

int model_open(struct model *model, const char *path, int flags, uint32_t mode,
               struct model_node **out)
{
    bool is_exclusive = (flags & VMFS_O_CREAT) != 0 && (flags & VMFS_O_EXCL) != 0;
    struct walk walk;
    int err = walk_path(&walk, model, path, (flags & VMFS_O_NOFOLLOW) == 0 && !is_exclusive);
    if (err == 0)
        err = check_open(&walk, flags);
    if (err != 0)
        return err;
    if (walk.node == NULL) {
        if (walk.has_trailing_slash)
            return -EISDIR;
        walk.node = create_node(model, VMFS_S_IFREG | mode);
        walk.node->nlink = 1;
        add_entry(&walk, walk.node);
    } else if ((flags & VMFS_O_TRUNC) != 0) {
        model_resize(walk.node, 0);
    }
    walk.node->open_count++;
    *out = walk.node;
    return 0;
}

void model_close(struct model_node *node)
{
    node->open_count--;
    release_node(node);
}
