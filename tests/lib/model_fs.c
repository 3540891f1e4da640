/* model_fs.c -- names: path walking and every call that changes a directory */
#include "model_fs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SYMLINKS_MAX 40

void *model_allocate(size_t bytes)
{
    void *memory = calloc(1, bytes);
    if (memory == NULL) {
        fprintf(stderr, "model_fs: no memory for %zu bytes\n", bytes);
        abort();
    }
    return memory;
}

int model_note(struct model *model, int other, int first)
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

struct model_entry *model_lookup(struct model *model, const struct model_node *dir,
                                 const char *name)
{
    uint32_t name_bytes = (uint32_t)strlen(name);
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
    node->model = model;
    node->mode = mode;
    node->uid = model->owner_uid;
    node->gid = model->owner_gid;
    node->btime_ns = model->now_ns;
    node->is_btime_known = model->now_ns != 0;
    model_touch(node);
    node->atime_ns = model->now_ns;
    node->is_atime_known = model->now_ns != 0;
    return node;
}

/* A node that `walk` is about to name, or a nameless one below walk->node. */
static struct model_node *create_owned(const struct model_walk *walk, struct model_node *parent,
                                       uint32_t mode)
{
    struct model_node *node = create_node(walk->model, mode);
    node->uid = walk->uid;
    node->gid = walk->gid;
    if ((parent->mode & 02000) != 0) {
        node->gid = parent->gid;
        node->mode |= model_is_dir(node) ? 02000 : 0;
    }
    model_acl_inherit(parent, node, walk->umask);
    return node;
}

void model_touch_change(struct model_node *node)
{
    node->ctime_ns = node->model->now_ns;
    node->is_ctime_known = node->ctime_ns != 0;
}

void model_touch(struct model_node *node)
{
    node->mtime_ns = node->model->now_ns;
    node->is_mtime_known = node->mtime_ns != 0;
    model_touch_change(node);
}

void model_touch_access(struct model_node *node)
{
    const int64_t day_ns = (int64_t)86400 * 1000000000;
    if ((node->flags & VMFS_INODE_NOATIME) != 0 || !node->model->keeps_atime)
        return;
    if (node->model->now_ns == 0 || !node->is_atime_known || !node->is_mtime_known ||
        !node->is_ctime_known) {
        node->is_atime_known = false;
        return;
    }
    int64_t now_ns = node->model->now_ns;
    bool is_old = node->atime_ns <= node->mtime_ns || node->atime_ns <= node->ctime_ns ||
                  now_ns - node->atime_ns >= day_ns;
    if (!is_old)
        return;
    if (!node->is_atime_lazy)
        node->atime_older_count = 0;
    if (node->atime_older_count < MODEL_ATIMES_MAX)
        node->atime_older_ns[node->atime_older_count] = node->atime_ns;
    node->atime_older_count++;
    node->atime_ns = now_ns;
    node->is_atime_lazy = true;
}

void model_untouch_access(struct model_node *node, const struct model_node *before)
{
    node->is_atime_known = before->is_atime_known;
    node->is_atime_lazy = before->is_atime_lazy;
    node->atime_ns = before->atime_ns;
    node->atime_older_count = before->atime_older_count;
    memcpy(node->atime_older_ns, before->atime_older_ns, sizeof(node->atime_older_ns));
}

void model_sync(struct model *model)
{
    for (size_t i = 0; i <= model->entry_count; i++) {
        struct model_node *node = i > 0 ? model->entries[i - 1]->node : model->root;
        node->is_atime_lazy = false;
    }
}

void model_crash(struct model *model)
{
    for (size_t i = 0; i <= model->entry_count; i++) {
        struct model_node *node = i > 0 ? model->entries[i - 1]->node : model->root;
        node->is_atime_known = node->is_atime_known && !node->is_atime_lazy;
    }
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

void model_add_entry(struct model_walk *at, struct model_node *node)
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
    model_touch(at->parent);
    if (model_is_dir(node)) {
        at->parent->nlink++;
        node->self = entry;
    }
}

void model_remove_entry(struct model *model, struct model_entry *entry)
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
    model_touch(dir);
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
    model->keeps_atime = true;
    model->root = create_node(model, VMFS_S_IFDIR | 0755);
    model->root->nlink = 2;
    return model;
}

void model_destroy(struct model *model)
{
    while (model->entry_count > 0) {
        struct model_entry *entry = model->entries[model->entry_count - 1];
        while (model_is_dir(entry->node) && entry->node->entries != NULL)
            entry = entry->node->entries;
        struct model_node *node = entry->node;
        model_remove_entry(model, entry);
        node->nlink = model_is_dir(node) ? 0 : node->nlink - 1;
        node->open_count = 0;
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

static int walk_from(struct model_walk *walk, struct model_node *dir, const char *path,
                     bool follow);

static int follow_link(struct model_walk *walk, struct model_node *dir, bool follow)
{
    if (++walk->symlinks > SYMLINKS_MAX)
        return model_note(walk->model, -ENAMETOOLONG, -ELOOP);
    const struct model_node *link = walk->node;
    char *target = model_allocate(link->data_bytes + 1);
    memcpy(target, link->data, link->data_bytes);
    int err = walk_from(walk, dir, target, follow);
    free(target);
    return err;
}

/* Looks up one component that is neither the last nor special, or the last one itself. */
static int walk_component(struct model_walk *walk, struct model_node *dir, const char *name,
                          size_t bytes)
{
    walk->parent = dir;
    walk->last = MODEL_LAST_NORMAL;
    if (bytes > VMFS_NAME_MAX)
        return -ENAMETOOLONG;
    memset(walk->name, 0, sizeof(walk->name));
    memcpy(walk->name, name, bytes);
    walk->name_bytes = (uint32_t)bytes;
    if (bytes == 1 && name[0] == '.') {
        walk->last = MODEL_LAST_DOT;
        walk->node = dir;
    } else if (bytes == 2 && name[0] == '.' && name[1] == '.') {
        walk->last = MODEL_LAST_DOTDOT;
        walk->node = dir->self != NULL ? dir->self->dir : dir;
    } else {
        struct model_entry *entry = model_lookup(walk->model, dir, walk->name);
        walk->node = entry != NULL ? entry->node : NULL;
    }
    return 0;
}

static int walk_from(struct model_walk *walk, struct model_node *dir, const char *path, bool follow)
{
    if (path[0] == '/')
        dir = walk->model->root;
    path += strspn(path, "/");
    walk->parent = dir;
    walk->node = dir;
    walk->last = MODEL_LAST_ROOT;
    while (*path != '\0') {
        size_t bytes = strcspn(path, "/");
        const char *rest = path + bytes + strspn(path + bytes, "/");
        bool is_last = *rest == '\0';
        bool has_slash = path[bytes] == '/';
        if (!model_is_dir(dir))
            return bytes > VMFS_NAME_MAX ? model_note(walk->model, -ENAMETOOLONG, -ENOTDIR)
                                         : -ENOTDIR;
        if (dir->nlink == 0)
            return model_note(walk->model, bytes > VMFS_NAME_MAX ? -ENAMETOOLONG : -ENOENT,
                              -ENOENT);
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

int model_walk(struct model_walk *walk, struct model *model, const struct model_at *at, bool follow)
{
    memset(walk, 0, sizeof(*walk));
    walk->model = model;
    walk->uid = at->uid != UINT32_MAX ? at->uid : model->owner_uid;
    walk->gid = at->gid != UINT32_MAX ? at->gid : model->owner_gid;
    walk->umask = at->umask;
    if (at->path[0] == '\0' && at->dir == NULL && !at->is_stale)
        return -ENOENT;
    if (strlen(at->path) > VMFS_PATH_MAX)
        return at->is_stale ? model_note(model, -ESTALE, -ENAMETOOLONG) : -ENAMETOOLONG;
    if (at->is_stale && at->path[0] != '/')
        return -ESTALE;
    struct model_node *dir = at->dir != NULL ? at->dir : model->root;
    if (at->path[0] == '\0') {
        walk->node = walk->parent = dir;
        walk->last = MODEL_LAST_ROOT;
        return 0;
    }
    int err = walk_from(walk, dir, at->path, follow);
    if (err == 0 && walk->has_trailing_slash && walk->node != NULL && !model_is_dir(walk->node))
        return -ENOTDIR;
    return err;
}

int model_find(struct model *model, const struct model_at *at, int flags, struct model_node **out)
{
    struct model_walk walk;
    int err = model_walk(&walk, model, at, (flags & VMFS_NOFOLLOW) == 0);
    if (err == 0 && walk.node == NULL)
        err = -ENOENT;
    if (err == 0)
        *out = walk.node;
    return err;
}

/* -------------------------------------------------------------------------------- changing --- */

int model_may_add(const struct model_walk *walk)
{
    return (walk->parent->flags & VMFS_INODE_IMMUTABLE) != 0 ? -EPERM : 0;
}

int model_may_remove(const struct model_walk *walk)
{
    const uint32_t kept = VMFS_INODE_IMMUTABLE | VMFS_INODE_APPEND;
    const struct model_node *dir = walk->parent;
    bool is_stuck = (dir->mode & 01000) != 0 && walk->uid != 0 && walk->uid != dir->uid &&
                    walk->uid != walk->node->uid;
    return is_stuck || ((dir->flags | walk->node->flags) & kept) != 0 ? -EPERM : 0;
}

static int walk_to_create(struct model_walk *walk, struct model *model, const struct model_at *at,
                          bool is_dir)
{
    int err = model_walk(walk, model, at, false);
    if (err != 0)
        return err;
    int forbidden = model_may_add(walk);
    if (walk->last != MODEL_LAST_NORMAL || walk->node != NULL)
        err = -EEXIST;
    else if (walk->has_trailing_slash && !is_dir)
        err = -ENOENT;
    return err != 0 && forbidden != 0 ? model_note(model, forbidden, err) : err + forbidden;
}

int model_mkdir(struct model *model, const struct model_at *at, uint32_t mode)
{
    struct model_walk walk;
    int err = walk_to_create(&walk, model, at, true);
    if (err != 0)
        return err;
    struct model_node *node = create_owned(&walk, walk.parent, VMFS_S_IFDIR | mode);
    node->nlink = 2;
    model_add_entry(&walk, node);
    return 0;
}

int model_mknod(struct model *model, const struct model_at *at, uint32_t mode, uint64_t rdev)
{
    uint32_t type = mode & VMFS_S_IFMT;
    if (type == 0)
        type = VMFS_S_IFREG;
    if (type == VMFS_S_IFDIR || type == VMFS_S_IFLNK)
        return -EINVAL;
    struct model_walk walk;
    int err = walk_to_create(&walk, model, at, false);
    if (err != 0)
        return err;
    struct model_node *node = create_owned(&walk, walk.parent, type | (mode & 07777));
    node->nlink = 1;
    if (type == VMFS_S_IFBLK || type == VMFS_S_IFCHR)
        node->rdev = rdev;
    model_add_entry(&walk, node);
    return 0;
}

int model_symlink(struct model *model, const char *target, const struct model_at *at)
{
    size_t bytes = strlen(target);
    if (bytes == 0)
        return -ENOENT;
    if (bytes > VMFS_PATH_MAX)
        return -ENAMETOOLONG;
    struct model_walk walk;
    int err = walk_to_create(&walk, model, at, false);
    if (err != 0)
        return err;
    struct model_node *node = create_owned(&walk, walk.parent, VMFS_S_IFLNK | 0777);
    node->nlink = 1;
    node->data = model_allocate(bytes);
    memcpy(node->data, target, bytes);
    node->data_bytes = node->size = bytes;
    model_add_entry(&walk, node);
    return 0;
}

int64_t model_readlink(struct model *model, const struct model_at *at, char *buffer, size_t size)
{
    struct model_node *node;
    int err = model_find(model, at, VMFS_NOFOLLOW, &node);
    if (err != 0)
        return err;
    if (model_type(node) != VMFS_S_IFLNK)
        return -EINVAL;
    memcpy(buffer, node->data, size < node->data_bytes ? size : node->data_bytes);
    model_touch_access(node);
    return (int64_t)node->data_bytes;
}

/* The checks of a second name, once both places were walked. */
static int check_link(struct model *model, const struct model_node *node, int place_err)
{
    const uint32_t kept = VMFS_INODE_IMMUTABLE | VMFS_INODE_APPEND;
    const int errors[] = {
        place_err,
        model_is_dir(node) || (node->flags & kept) != 0 ? -EPERM : 0,
        node->nlink == 0 && !node->is_linkable ? -ENOENT : 0,
        node->nlink >= VMFS_LINK_MAX ? -EMLINK : 0,
    };
    int first = 0;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (errors[i] != 0)
            first = model_note(model, errors[i], first != 0 ? first : errors[i]);
    }
    return first;
}

int model_node_link(struct model *model, struct model_node *node, const struct model_at *at)
{
    struct model_walk walk;
    int err = check_link(model, node, walk_to_create(&walk, model, at, false));
    if (err != 0)
        return err;
    node->nlink++;
    node->is_linkable = false;
    model_touch_change(node);
    model_add_entry(&walk, node);
    return 0;
}

int model_link(struct model *model, const struct model_at *existing, const struct model_at *at,
               int flags)
{
    struct model_node *node;
    struct model_walk walk;
    int follow = (flags & VMFS_FOLLOW) != 0 ? 0 : VMFS_NOFOLLOW;
    int err = model_find(model, existing, follow, &node);
    if (err == 0)
        return model_node_link(model, node, at);
    int other = walk_to_create(&walk, model, at, false);
    return other != 0 ? model_note(model, other, err) : err;
}

void model_drop_name(struct model_walk *walk)
{
    struct model_node *node = walk->node;
    model_remove_entry(walk->model, model_lookup(walk->model, walk->parent, walk->name));
    node->nlink = model_is_dir(node) ? 0 : node->nlink - 1;
    model_touch_change(node);
    release_node(node);
}

/* Of an error and of what forbids a removal, the first; the other is as good. */
static int join_forbidden(struct model_walk *walk, int err)
{
    int forbidden =
        walk->node != NULL && walk->last == MODEL_LAST_NORMAL ? model_may_remove(walk) : 0;
    return err != 0 && forbidden != 0 ? model_note(walk->model, forbidden, err) : err + forbidden;
}

int model_unlink(struct model *model, const struct model_at *at)
{
    struct model_walk walk;
    int err = model_walk(&walk, model, at, false);
    if (err != 0)
        return err;
    if (walk.node == NULL)
        return -ENOENT;
    if (walk.last == MODEL_LAST_DOT || walk.last == MODEL_LAST_DOTDOT)
        model_note(model, -EINVAL, 0);
    err = join_forbidden(&walk, model_is_dir(walk.node) ? -EPERM : 0);
    if (err == 0)
        model_drop_name(&walk);
    return err;
}

int model_rmdir(struct model *model, const struct model_at *at)
{
    struct model_walk walk;
    int err = model_walk(&walk, model, at, false);
    if (err != 0)
        return err;
    if (walk.last == MODEL_LAST_ROOT)
        return -EBUSY;
    if (walk.last == MODEL_LAST_DOT)
        return -EINVAL;
    if (walk.last == MODEL_LAST_DOTDOT) {
        model_note(model, walk.node == model->root ? -EBUSY : -EINVAL, 0);
        return -ENOTEMPTY;
    }
    if (walk.node == NULL)
        return -ENOENT;
    if (!model_is_dir(walk.node))
        err = -ENOTDIR;
    else if (walk.node->entries != NULL)
        err = -ENOTEMPTY;
    err = join_forbidden(&walk, err);
    if (err == 0)
        model_drop_name(&walk);
    return err;
}

/* ---------------------------------------------------------------------------------- opening --- */

static bool is_writing(int flags)
{
    return (flags & VMFS_O_ACCMODE) != VMFS_O_RDONLY;
}

static int check_flags(const struct model_node *node, int flags)
{
    bool is_changing = is_writing(flags) || (flags & VMFS_O_TRUNC) != 0;
    if ((node->flags & VMFS_INODE_IMMUTABLE) != 0 && is_changing)
        return -EPERM;
    bool is_overwriting =
        (is_writing(flags) && (flags & VMFS_O_APPEND) == 0) || (flags & VMFS_O_TRUNC) != 0;
    return (node->flags & VMFS_INODE_APPEND) != 0 && is_overwriting ? -EPERM : 0;
}

static int check_open(const struct model_walk *walk, int flags)
{
    bool is_create = (flags & VMFS_O_CREAT) != 0;
    if (is_create && (flags & VMFS_O_EXCL) != 0 && walk->node != NULL)
        return -EEXIST;
    if (walk->node == NULL)
        return is_create ? 0 : -ENOENT;
    switch (model_type(walk->node)) {
    case VMFS_S_IFREG:
        return check_flags(walk->node, flags);
    case VMFS_S_IFDIR:
        return -EISDIR;
    case VMFS_S_IFLNK:
        return -ELOOP;
    default:
        return -ENXIO;
    }
}

static int open_nameless(struct model *model, const struct model_at *at, int flags, uint32_t mode,
                         struct model_node **out)
{
    struct model_walk walk;
    int err = model_walk(&walk, model, at, (flags & VMFS_O_NOFOLLOW) == 0);
    if (err == 0 && walk.node == NULL)
        err = -ENOENT;
    if (err == 0 && !model_is_dir(walk.node))
        err =
            model_type(walk.node) == VMFS_S_IFLNK ? model_note(model, -ELOOP, -ENOTDIR) : -ENOTDIR;
    if (err == 0 && walk.node->nlink == 0)
        err = -ENOENT;
    if (err == 0 && (walk.node->flags & VMFS_INODE_IMMUTABLE) != 0)
        err = -EPERM;
    if (!is_writing(flags) || (flags & VMFS_O_CREAT) != 0)
        err = err != 0 ? model_note(model, err, -EINVAL) : -EINVAL;
    if (err != 0)
        return err;
    struct model_node *node = create_owned(&walk, walk.node, VMFS_S_IFREG | (mode & 07777));
    node->is_linkable = (flags & VMFS_O_EXCL) == 0;
    node->open_count++;
    *out = node;
    return 0;
}

static int open_new(struct model_walk *walk, uint32_t mode, struct model_node **out)
{
    int err = walk->has_trailing_slash ? -EISDIR : 0;
    int forbidden = model_may_add(walk);
    if (err != 0 || forbidden != 0)
        return err != 0 ? model_note(walk->model, forbidden, err) : forbidden;
    walk->node = create_owned(walk, walk->parent, VMFS_S_IFREG | mode);
    walk->node->nlink = 1;
    model_add_entry(walk, walk->node);
    walk->node->open_count++;
    *out = walk->node;
    return 0;
}

int model_open(struct model *model, const struct model_at *at, int flags, uint32_t mode,
               struct model_node **out)
{
    if ((flags & VMFS_O_TMPFILE) == VMFS_O_TMPFILE)
        return open_nameless(model, at, flags, mode, out);
    bool is_exclusive = (flags & VMFS_O_CREAT) != 0 && (flags & VMFS_O_EXCL) != 0;
    struct model_walk walk;
    int err = model_walk(&walk, model, at, (flags & VMFS_O_NOFOLLOW) == 0 && !is_exclusive);
    if (err == 0)
        err = check_open(&walk, flags);
    if (err != 0)
        return err;
    if (walk.node == NULL)
        return open_new(&walk, mode, out);
    if ((flags & VMFS_O_TRUNC) != 0)
        model_kill(walk.node, (flags & VMFS_O_KILL_PRIV) != 0);
    if ((flags & VMFS_O_TRUNC) != 0)
        model_resize(walk.node, 0);
    walk.node->open_count++;
    *out = walk.node;
    return 0;
}

int model_hold(struct model *model, const struct model_at *at, struct model_node **out)
{
    struct model_node *node;
    int err = model_find(model, at, VMFS_NOFOLLOW, &node);
    if (err != 0)
        return err;
    node->open_count++;
    *out = node;
    return 0;
}

int model_dir_open(struct model *model, const struct model_at *at, struct model_node **out)
{
    struct model_node *node;
    int err = model_find(model, at, 0, &node);
    if (err == 0 && !model_is_dir(node))
        err = -ENOTDIR;
    if (err != 0)
        return err;
    node->open_count++;
    *out = node;
    return 0;
}

void model_close(struct model_node *node)
{
    node->open_count--;
    release_node(node);
}
