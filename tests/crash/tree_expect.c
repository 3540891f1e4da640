/* tree_expect.c -- the tree that a model says must be there */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "api/handle.h"
#include "tree.h"

struct expect {
    struct vmfs *fs;
    struct tree *tree;
    struct model *model;
    char *text;
    bool is_lost;
};

static void __attribute__((format(printf, 3, 4)))
lose(struct expect *expect, const char *name, const char *format, ...)
{
    if (expect->is_lost)
        return;
    expect->is_lost = true;
    int used = snprintf(expect->text, 512, "\"%.200s\": ", name);
    va_list args;
    va_start(args, format);
    vsnprintf(expect->text + used, 512 - (size_t)used, format, args);
    va_end(args);
}

/* A time that the model leaves open becomes that of the library. */
static void settle_times(struct model_node *node, const struct vmfs_stat *stat)
{
    if (!node->is_mtime_known)
        node->mtime_ns = stat->mtime_ns;
    if (!node->is_ctime_known)
        node->ctime_ns = stat->ctime_ns;
    if (!node->is_btime_known)
        node->btime_ns = stat->btime_ns;
    if (!node->is_atime_known) {
        node->atime_ns = stat->atime_ns;
        node->is_atime_lazy = false;
    }
    node->is_mtime_known = node->is_ctime_known = true;
    node->is_btime_known = node->is_atime_known = true;
}

static void expect_content(struct tree_object *object, const struct model_node *node)
{
    uint64_t head = tree_content_bytes(node->size);
    uint64_t tail = node->size - head < TREE_CONTENT_TAIL ? node->size - head : TREE_CONTENT_TAIL;
    uint8_t last[TREE_CONTENT_TAIL] = {0};
    object->bytes = model_allocate(head + 8);
    if (node->data_bytes > 0)
        memcpy(object->bytes, node->data, node->data_bytes < head ? node->data_bytes : head);
    object->content = tree_hash(3, object->bytes, head);
    for (uint64_t at = 0; at < tail; at++)
        if (node->size - tail + at < node->data_bytes)
            last[at] = node->data[node->size - tail + at];
    if (tail > 0)
        object->content = tree_hash(object->content, last, tail);
}

/* The library's answer, if the model says that it may be so; else an error. */
static int64_t seek(struct expect *expect, struct vmfs_file *file, const struct model_node *node,
                    int64_t offset, int whence)
{
    int64_t found = vmfs_file_seek(file, offset, whence);
    int64_t right = model_seek(node, offset, whence, found);
    if (found != right)
        lose(expect, "", "seek %d from %lld gives %lld, the model says %lld", whence,
             (long long)offset, (long long)found, (long long)right);
    return expect->is_lost ? -EIO : found;
}

static void expect_extents(struct expect *expect, struct tree_object *object,
                           const struct model_node *node)
{
    struct vmfs_file *file;
    int err = vmfs_file_open_at(expect->fs, vmfs_at(object->stat.ino, ""),
                                VMFS_O_RDONLY | VMFS_O_NOATIME, 0, &file);
    if (err) {
        lose(expect, "", "open returns %d", err);
        return;
    }
    int64_t end = 0;
    while (end >= 0 && end < (int64_t)node->size) {
        int64_t start = seek(expect, file, node, end, VMFS_SEEK_DATA);
        end = start < 0 ? start : seek(expect, file, node, start, VMFS_SEEK_HOLE);
        if (end > 0)
            tree_add_extent(expect->tree, object, (uint64_t)start, (uint64_t)end);
    }
    vmfs_file_close(file);
}

static void expect_atimes(struct tree_object *object, const struct model_node *node)
{
    object->is_atime_free = node->is_atime_lazy && node->atime_older_count > MODEL_ATIMES_MAX;
    object->atime_count = node->is_atime_lazy ? node->atime_older_count : 0;
    if (!object->is_atime_free)
        memcpy(object->atimes, node->atime_older_ns, object->atime_count * sizeof(int64_t));
}

static void expect_dir(struct expect *expect, const struct model_node *dir, uint64_t ino);

static void expect_node(struct expect *expect, struct model_node *node,
                        const struct vmfs_stat *stat, uint64_t parent, const char *name)
{
    if (((node->mode ^ stat->mode) & VMFS_S_IFMT) != 0)
        lose(expect, name, "has type 0%o", stat->mode);
    struct tree_object *object = expect->is_lost ? NULL : tree_add_object(expect->tree, stat->ino);
    if (!object)
        return;
    settle_times(node, stat);
    model_node_stat(node, &object->stat);
    object->stat.ino = stat->ino;
    object->stat.blocks = stat->blocks;
    object->parent = parent;
    object->name = tree_keep_name(expect->tree, name);
    expect_atimes(object, node);
    if (model_type(node) == VMFS_S_IFLNK)
        object->content = tree_hash(4, node->data, node->data_bytes);
    for (const struct model_xattr *xattr = node->xattrs; xattr; xattr = xattr->next)
        tree_add_xattr(object, xattr->name, xattr->value, xattr->value_bytes);
    if (model_type(node) == VMFS_S_IFREG) {
        expect_content(object, node);
        expect_extents(expect, object, node);
    }
    tree_seal(expect->tree, object);
    node->seen_ino = stat->ino;
    if (model_is_dir(node))
        expect_dir(expect, node, stat->ino);
}

static void expect_entry(struct expect *expect, const struct model_entry *entry, uint64_t dir)
{
    struct vmfs_stat stat;
    int err = vmfs_stat_at(expect->fs, vmfs_at(dir, entry->name), VMFS_NOFOLLOW, &stat);
    if (err)
        lose(expect, entry->name, "stat returns %d", err);
    if (expect->is_lost)
        return;
    const struct tree_object *known = tree_find(expect->tree, stat.ino);
    bool is_again = known && entry->node->seen_ino == stat.ino && !model_is_dir(entry->node);
    if (known && !is_again)
        lose(expect, entry->name, "has the id of another object");
    if (!known && entry->node->seen_ino != 0)
        lose(expect, entry->name, "is not the object that its other name names");
    tree_add_entry(expect->tree, dir, stat.ino, entry->name, true);
    if (!known)
        expect_node(expect, entry->node, &stat, dir, entry->name);
}

static void expect_dir(struct expect *expect, const struct model_node *dir, uint64_t ino)
{
    for (const struct model_entry *entry = dir->entries; entry; entry = entry->dir_next)
        expect_entry(expect, entry, ino);
}

bool tree_expect(struct tree *tree, struct model *model, struct vmfs *fs, char text[512])
{
    struct expect expect = {.fs = fs, .tree = tree, .model = model, .text = text};
    struct vmfs_stat stat;
    tree_clear(tree);
    text[0] = '\0';
    for (size_t index = 0; index < model->entry_count; index++)
        model->entries[index]->node->seen_ino = 0;
    fs->leaves_atime = true; /* looking changes nothing */
    int err = vmfs_stat(fs, "/", 0, &stat);
    if (err)
        lose(&expect, "/", "stat returns %d", err);
    else
        expect_node(&expect, model->root, &stat, stat.ino, "");
    fs->leaves_atime = false;
    if (tree->error)
        lose(&expect, "", "%s: error %lld", tree->error_what, (long long)tree->error);
    return !expect.is_lost;
}
