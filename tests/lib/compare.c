/* compare.c -- walks a region's tree and a model's side by side */
#include "compare.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES  4096
#define SPARSE_TAIL 8192

struct compare {
    struct vmfs *fs;
    const char *prefix;
    const struct compare_partial *partial;
    unsigned differences;
    char *text;
    uint64_t *inos;
    size_t ino_count;
    size_t ino_room;
    uint64_t round;
};

static void __attribute__((format(printf, 3, 4)))
report(struct compare *compare, const char *path, const char *format, ...)
{
    if (compare->differences++ > 0)
        return;
    int used = snprintf(compare->text, 512, "%.200s: ", path);
    va_list args;
    va_start(args, format);
    vsnprintf(compare->text + used, 512 - (size_t)used, format, args);
    va_end(args);
}

void compare_partial_init(struct compare_partial *partial, struct model_node *node)
{
    partial->node = node;
    partial->size_old = node->size;
    partial->data_old_bytes = node->data_bytes;
    partial->data_old = model_allocate(node->data_bytes + 1);
    if (node->data_bytes > 0)
        memcpy(partial->data_old, node->data, node->data_bytes);
}

void compare_partial_free(struct compare_partial *partial)
{
    free(partial->data_old);
    partial->data_old = NULL;
}

/* --------------------------------------------------------------------------------- content --- */

static bool read_exactly(struct vmfs_file *file, uint8_t *buffer, size_t length, uint64_t offset)
{
    return vmfs_file_pread(file, buffer, length, offset) == (int64_t)length;
}

static uint8_t old_byte(const struct compare_partial *partial, size_t offset)
{
    return offset < partial->data_old_bytes ? partial->data_old[offset] : 0;
}

/* Each aligned word of `found` is the old one or the new one. */
static bool words_are_old_or_new(const struct compare_partial *partial, const uint8_t *found,
                                 size_t length)
{
    const struct model_node *node = partial->node;
    for (size_t word = 0; word < length; word += 8) {
        bool is_old = true;
        bool is_new = true;
        for (size_t i = word; i < word + 8 && i < length; i++) {
            uint8_t new_byte = i < node->data_bytes ? node->data[i] : 0;
            is_old = is_old && found[i] == old_byte(partial, i);
            is_new = is_new && found[i] == new_byte;
        }
        if (!is_old && !is_new)
            return false;
    }
    return true;
}

static void report_content(struct compare *compare, const char *path, const uint8_t *found,
                           const struct model_node *node)
{
    size_t first = 0;
    while (found[first] == node->data[first])
        first++;
    size_t count = 0;
    while (first + count < node->data_bytes && found[first + count] != node->data[first + count])
        count++;
    report(compare, path, "content differs from byte %zu on, %zu bytes or more: 0x%02x for 0x%02x",
           first, count, found[first], node->data[first]);
}

static void compare_head(struct compare *compare, const char *path, struct vmfs_file *file,
                         const struct model_node *node, uint64_t size)
{
    bool is_partial = compare->partial != NULL && compare->partial->node == node;
    size_t length = node->data_bytes;
    if (is_partial && compare->partial->data_old_bytes > length)
        length = compare->partial->data_old_bytes;
    if (length > size)
        length = (size_t)size;
    uint8_t *found = model_allocate(length + 1);
    if (!read_exactly(file, found, length, 0))
        report(compare, path, "short or failed read of %zu bytes", length);
    else if (is_partial && !words_are_old_or_new(compare->partial, found, length))
        report(compare, path, "bytes of a cut write are neither old nor new");
    else if (!is_partial && length > 0 && memcmp(found, node->data, length) != 0)
        report_content(compare, path, found, node);
    free(found);
}

/* The bytes behind those the model stores are zeros: looks at both ends of them. */
static void compare_tail(struct compare *compare, const char *path, struct vmfs_file *file,
                         const struct model_node *node)
{
    static const uint8_t zeros[SPARSE_TAIL];
    uint8_t found[SPARSE_TAIL];
    uint64_t length = node->size - node->data_bytes;
    if (length > SPARSE_TAIL)
        length = SPARSE_TAIL;
    if (!read_exactly(file, found, (size_t)length, node->data_bytes) ||
        memcmp(found, zeros, (size_t)length) != 0)
        report(compare, path, "bytes after the last write are not zero");
    if (!read_exactly(file, found, (size_t)length, node->size - length) ||
        memcmp(found, zeros, (size_t)length) != 0)
        report(compare, path, "bytes at the end are not zero");
}

static void compare_content(struct compare *compare, const char *path,
                            const struct model_node *node, uint64_t size)
{
    struct vmfs_file *file;
    int err = vmfs_file_open(compare->fs, path, VMFS_O_RDONLY | VMFS_O_NOFOLLOW | VMFS_O_NOATIME, 0,
                             &file);
    if (err != 0) {
        report(compare, path, "open returned %d", err);
        return;
    }
    compare_head(compare, path, file, node, size);
    if (compare->partial == NULL || compare->partial->node != node)
        compare_tail(compare, path, file, node);
    vmfs_file_close(file);
}

static void compare_target(struct compare *compare, const char *path, struct model_node *node)
{
    char target[VMFS_PATH_MAX + 1];
    int64_t length = vmfs_readlink(compare->fs, path, target, sizeof(target));
    if (length != (int64_t)node->data_bytes || memcmp(target, node->data, node->data_bytes) != 0)
        report(compare, path, "the link's target differs (readlink returned %lld)",
               (long long)length);
    model_touch_access(node);
}

/* ------------------------------------------------------------------------------ attributes --- */

static void compare_xattrs(struct compare *compare, const char *path, const struct model_node *node)
{
    int64_t names_bytes = 0;
    static _Thread_local uint8_t value[VMFS_XATTR_MAX];
    for (const struct model_xattr *xattr = node->xattrs; xattr != NULL; xattr = xattr->next) {
        names_bytes += (int64_t)strlen(xattr->name) + 1;
        int64_t got =
            vmfs_xattr_get(compare->fs, path, VMFS_NOFOLLOW, xattr->name, value, sizeof(value));
        if (got != (int64_t)xattr->value_bytes ||
            memcmp(value, xattr->value, xattr->value_bytes) != 0)
            report(compare, path, "attribute %.40s differs (get returned %lld)", xattr->name,
                   (long long)got);
    }
    int64_t listed = vmfs_xattr_list(compare->fs, path, VMFS_NOFOLLOW, NULL, 0);
    if (listed != names_bytes)
        report(compare, path, "attribute names take %lld bytes instead of %lld", (long long)listed,
               (long long)names_bytes);
}

static void add_ino(struct compare *compare, uint64_t ino)
{
    if (compare->ino_count == compare->ino_room) {
        compare->ino_room = compare->ino_room * 2 + 256;
        compare->inos = realloc(compare->inos, compare->ino_room * sizeof(uint64_t));
        if (compare->inos == NULL)
            abort();
    }
    compare->inos[compare->ino_count++] = ino;
}

static int order_inos(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void compare_distinct_inos(struct compare *compare)
{
    if (compare->ino_count > 0)
        qsort(compare->inos, compare->ino_count, sizeof(uint64_t), order_inos);
    for (size_t i = 1; i < compare->ino_count; i++) {
        if (compare->inos[i] == compare->inos[i - 1])
            report(compare, compare->prefix, "two files share inode %llx",
                   (unsigned long long)compare->inos[i]);
    }
    free(compare->inos);
}

static void compare_size(struct compare *compare, const char *path, const struct model_node *node,
                         uint64_t size)
{
    const struct compare_partial *partial = compare->partial;
    bool is_partial = partial != NULL && partial->node == node;
    bool is_old = is_partial && size == partial->size_old;
    bool is_between = is_partial && partial->is_paged && size > partial->size_old &&
                      size < node->size && size % PAGE_BYTES == 0;
    if (size != node->size && !is_old && !is_between)
        report(compare, path, "size %llu instead of %llu", (unsigned long long)size,
               (unsigned long long)node->size);
}

static void compare_attributes(struct compare *compare, const char *path,
                               const struct model_node *node, const struct vmfs_stat *stat)
{
    bool is_partial = compare->partial != NULL && compare->partial->node == node;
    if (stat->mode != node->mode)
        report(compare, path, "mode 0%o instead of 0%o", stat->mode, node->mode);
    if (stat->nlink != node->nlink)
        report(compare, path, "nlink %u instead of %u", stat->nlink, node->nlink);
    if (stat->uid != node->uid || stat->gid != node->gid)
        report(compare, path, "owner %u:%u instead of %u:%u", stat->uid, stat->gid, node->uid,
               node->gid);
    if (stat->rdev != node->rdev)
        report(compare, path, "rdev %llu instead of %llu", (unsigned long long)stat->rdev,
               (unsigned long long)node->rdev);
    if (node->is_atime_known && stat->atime_ns != node->atime_ns)
        report(compare, path, "atime %lld instead of %lld", (long long)stat->atime_ns,
               (long long)node->atime_ns);
    if (node->is_mtime_known && !is_partial && stat->mtime_ns != node->mtime_ns)
        report(compare, path, "mtime %lld instead of %lld", (long long)stat->mtime_ns,
               (long long)node->mtime_ns);
    if (node->is_ctime_known && !is_partial && stat->ctime_ns != node->ctime_ns)
        report(compare, path, "ctime %lld instead of %lld", (long long)stat->ctime_ns,
               (long long)node->ctime_ns);
    if (node->is_btime_known && stat->btime_ns != node->btime_ns)
        report(compare, path, "btime %lld instead of %lld", (long long)stat->btime_ns,
               (long long)node->btime_ns);
    if (stat->flags != node->flags)
        report(compare, path, "flags 0x%x instead of 0x%x", stat->flags, node->flags);
    compare_size(compare, path, node, stat->size);
}

/* ------------------------------------------------------------------------------------- tree --- */

static void compare_entries(struct compare *compare, const char *path,
                            const struct model_node *node, uint64_t ino);

static void compare_node(struct compare *compare, const char *path, struct model_node *node)
{
    struct vmfs_stat stat;
    int err = vmfs_stat(compare->fs, path[0] != '\0' ? path : "/", VMFS_NOFOLLOW, &stat);
    if (err != 0) {
        report(compare, path, "stat returned %d", err);
        return;
    }
    compare_attributes(compare, path, node, &stat);
    if (node->seen_round == compare->round) {
        if (node->seen_ino != stat.ino)
            report(compare, path, "is not the file that its other name names");
        return;
    }
    node->seen_round = compare->round;
    node->seen_ino = stat.ino;
    add_ino(compare, stat.ino);
    if (model_type(node) == VMFS_S_IFREG)
        compare_content(compare, path, node, stat.size);
    if (model_type(node) == VMFS_S_IFLNK)
        compare_target(compare, path, node);
    if (node->xattrs != NULL || model_type(node) == VMFS_S_IFREG || model_is_dir(node))
        compare_xattrs(compare, path[0] != '\0' ? path : "/", node);
    if (model_is_dir(node)) {
        model_touch_access(node);
        compare_entries(compare, path, node, stat.ino);
    }
}

/* Every name that the region lists is in the model, and there are as many. */
static void compare_listing(struct compare *compare, const char *path, const struct model_node *dir,
                            uint64_t ino)
{
    struct vmfs_dir *handle;
    struct vmfs_dirent entry;
    int err = vmfs_dir_open(compare->fs, path[0] != '\0' ? path : "/", &handle);
    if (err != 0) {
        report(compare, path, "dir_open returned %d", err);
        return;
    }
    uint64_t count = 0;
    while ((err = vmfs_dir_read(handle, &entry)) == 1) {
        count++;
        if (count == 1 && (strcmp(entry.name, ".") != 0 || entry.ino != ino))
            report(compare, path, "the first entry is %.40s", entry.name);
        if (count == 2 && strcmp(entry.name, "..") != 0)
            report(compare, path, "the second entry is %.40s", entry.name);
        if (count <= 2)
            continue;
        const struct model_entry *known = model_lookup(dir->model, dir, entry.name);
        if (known == NULL)
            report(compare, path, "has a name too many: %.40s", entry.name);
        else if (entry.type != model_type(known->node) || entry.name_bytes != known->name_bytes)
            report(compare, path, "entry %.40s has type 0%o", entry.name, entry.type);
    }
    if (err != 0)
        report(compare, path, "dir_read returned %d", err);
    else if (count != dir->size + 2)
        report(compare, path, "lists %llu entries instead of %llu", (unsigned long long)count,
               (unsigned long long)dir->size + 2);
    vmfs_dir_close(handle);
}

static void compare_entries(struct compare *compare, const char *path,
                            const struct model_node *node, uint64_t ino)
{
    compare_listing(compare, path, node, ino);
    char *child = model_allocate(2 * VMFS_PATH_MAX);
    for (const struct model_entry *entry = node->entries; entry != NULL; entry = entry->dir_next) {
        snprintf(child, 2 * VMFS_PATH_MAX, "%s/%s", path, entry->name);
        if (strlen(child) <= VMFS_PATH_MAX)
            compare_node(compare, child, entry->node);
    }
    free(child);
}

unsigned compare_tree(struct vmfs *fs, const char *prefix, struct model *model,
                      const struct compare_partial *partial, char text[512])
{
    struct compare compare = {.fs = fs, .prefix = prefix, .partial = partial, .text = text};
    compare.round = model->root->seen_round + 1;
    text[0] = '\0';
    compare_node(&compare, prefix, model->root);
    compare_distinct_inos(&compare);
    return compare.differences;
}

void compare_touch(struct model *model)
{
    char path[VMFS_PATH_MAX + 1];
    model_touch_access(model->root);
    for (size_t i = 0; i < model->entry_count; i++) {
        struct model_node *node = model->entries[i]->node;
        bool is_read = model_is_dir(node) || model_type(node) == VMFS_S_IFLNK;
        if (is_read && model_entry_path(model->entries[i], path))
            model_touch_access(node);
    }
}

static const struct model_entry *find_by_node(const struct model *model,
                                              const struct model_node *node)
{
    for (size_t i = 0; i < model->entry_count; i++) {
        if (model->entries[i]->node == node)
            return model->entries[i];
    }
    return NULL;
}

int compare_settle(struct vmfs *fs, const char *prefix, struct model *model,
                   const struct compare_partial *partial)
{
    const struct model_entry *entry = find_by_node(model, partial->node);
    if (entry == NULL)
        return 0;
    char inside[VMFS_PATH_MAX + 1];
    char path[2 * VMFS_PATH_MAX];
    if (!model_entry_path(entry, inside))
        return -ENAMETOOLONG;
    snprintf(path, sizeof(path), "%s%s", prefix, inside);
    struct vmfs_file *file;
    struct vmfs_stat stat;
    int err = vmfs_file_open(fs, path, VMFS_O_RDONLY, 0, &file);
    if (err != 0)
        return err;
    err = vmfs_file_stat(file, &stat);
    if (err == 0) {
        struct model_node *node = partial->node;
        if (stat.size < node->data_bytes)
            node->data_bytes = (size_t)stat.size;
        node->size = stat.size;
        int64_t got = vmfs_file_pread(file, node->data, node->data_bytes, 0);
        err = got < 0 ? (int)got : 0;
        node->is_mtime_known = false;
    }
    vmfs_file_close(file);
    return err;
}
