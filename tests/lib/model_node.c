/* model_node.c -- one inode of the model: content, attributes, extended attributes */
#include "model_fs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XATTR_NAME_MAX 255

static void free_xattr(struct model_xattr *xattr)
{
    free(xattr->name);
    free(xattr->value);
    free(xattr);
}

void model_node_clear(struct model_node *node)
{
    while (node->xattrs != NULL) {
        struct model_xattr *next = node->xattrs->next;
        free_xattr(node->xattrs);
        node->xattrs = next;
    }
    free(node->data);
    node->data = NULL;
}

/* --------------------------------------------------------------------------------- content --- */

static void reserve_data(struct model_node *node, size_t bytes)
{
    if (bytes <= node->data_room)
        return;
    size_t room = bytes + bytes / 2 + 64;
    uint8_t *data = model_allocate(room);
    if (node->data_bytes > 0)
        memcpy(data, node->data, node->data_bytes);
    free(node->data);
    node->data = data;
    node->data_room = room;
}

int model_resize(struct model_node *node, uint64_t size)
{
    if (model_is_dir(node))
        return -EISDIR;
    if (model_type(node) != VMFS_S_IFREG)
        return -EINVAL;
    if (size > VMFS_FILE_MAX)
        return -EFBIG;
    if (size < node->data_bytes)
        node->data_bytes = (size_t)size;
    node->size = size;
    node->is_mtime_known = false;
    return 0;
}

int64_t model_pread(const struct model_node *node, void *buffer, size_t length, uint64_t offset)
{
    if (offset >= node->size)
        return 0;
    if (length > node->size - offset)
        length = (size_t)(node->size - offset);
    memset(buffer, 0, length);
    if (offset < node->data_bytes) {
        size_t stored = node->data_bytes - (size_t)offset;
        memcpy(buffer, node->data + offset, stored < length ? stored : length);
    }
    return (int64_t)length;
}

int64_t model_pwrite(struct model_node *node, const void *buffer, size_t length, uint64_t offset)
{
    if (length == 0)
        return 0;
    if (offset > VMFS_FILE_MAX || length > VMFS_FILE_MAX - offset)
        return -EFBIG;
    size_t end = (size_t)offset + length;
    reserve_data(node, end);
    if (offset > node->data_bytes)
        memset(node->data + node->data_bytes, 0, (size_t)offset - node->data_bytes);
    memcpy(node->data + offset, buffer, length);
    if (end > node->data_bytes)
        node->data_bytes = end;
    if (end > node->size)
        node->size = end;
    node->is_mtime_known = false;
    return (int64_t)length;
}

/* ------------------------------------------------------------------------------ attributes --- */

void model_node_stat(const struct model_node *node, struct vmfs_stat *out)
{
    memset(out, 0, sizeof(*out));
    out->mode = node->mode;
    out->nlink = node->nlink;
    out->uid = node->uid;
    out->gid = node->gid;
    out->rdev = node->rdev;
    out->size = node->size;
    out->atime_ns = node->atime_ns;
    out->mtime_ns = node->mtime_ns;
}

int model_stat(struct model *model, const char *path, int flags, struct vmfs_stat *out)
{
    struct model_node *node;
    int err = model_find(model, path, flags, &node);
    if (err == 0)
        model_node_stat(node, out);
    return err;
}

static void set_owner(struct model_node *node, const struct vmfs_attr *attr)
{
    uint32_t uid = (attr->mask & VMFS_ATTR_UID) != 0 ? attr->uid : node->uid;
    uint32_t gid = (attr->mask & VMFS_ATTR_GID) != 0 ? attr->gid : node->gid;
    bool is_changed = uid != node->uid || gid != node->gid;
    node->uid = uid;
    node->gid = gid;
    if (is_changed && model_type(node) == VMFS_S_IFREG)
        node->mode &= ~(uint32_t)06000;
}

int model_node_setattr(struct model_node *node, const struct vmfs_attr *attr)
{
    if ((attr->mask & VMFS_ATTR_SIZE) != 0) {
        int err = model_resize(node, attr->size);
        if (err != 0)
            return err;
    }
    set_owner(node, attr);
    if ((attr->mask & VMFS_ATTR_MODE) != 0)
        node->mode = model_type(node) | (attr->mode & 07777);
    if ((attr->mask & VMFS_ATTR_ATIME) != 0) {
        node->atime_ns = attr->atime_ns;
        node->is_atime_known = attr->atime_ns != VMFS_TIME_NOW;
    }
    if ((attr->mask & VMFS_ATTR_MTIME) != 0) {
        node->mtime_ns = attr->mtime_ns;
        node->is_mtime_known = attr->mtime_ns != VMFS_TIME_NOW;
    }
    return 0;
}

int model_setattr(struct model *model, const char *path, int flags, const struct vmfs_attr *attr)
{
    struct model_node *node;
    int err = model_find(model, path, flags, &node);
    return err != 0 ? err : model_node_setattr(node, attr);
}

/* --------------------------------------------------------------------- extended attributes --- */

static int check_xattr_name(const char *name)
{
    if (strncmp(name, "user.", 5) != 0)
        return -EOPNOTSUPP;
    return name[5] == '\0' || strlen(name) > XATTR_NAME_MAX ? -ERANGE : 0;
}

/* The link that holds the attribute, or the one at the end of the list. */
static struct model_xattr **find_xattr(struct model_node *node, const char *name)
{
    struct model_xattr **link = &node->xattrs;
    while (*link != NULL && strcmp((*link)->name, name) != 0)
        link = &(*link)->next;
    return link;
}

static int find_xattr_node(struct model *model, const char *path, int flags,
                           struct model_node **out)
{
    struct model_node *node;
    int err = model_find(model, path, flags & VMFS_NOFOLLOW, &node);
    if (err != 0)
        return err;
    if (model_type(node) != VMFS_S_IFREG && !model_is_dir(node))
        return -EPERM;
    *out = node;
    return 0;
}

static int find_xattr_place(struct model *model, const char *path, int flags, const char *name,
                            struct model_xattr ***out)
{
    int err = check_xattr_name(name);
    if (err != 0)
        return err;
    struct model_node *node;
    err = find_xattr_node(model, path, flags, &node);
    if (err == 0)
        *out = find_xattr(node, name);
    return err;
}

int model_xattr_set(struct model *model, const char *path, int flags, const char *name,
                    const void *value, size_t size)
{
    struct model_xattr **link;
    if (size > VMFS_XATTR_MAX)
        return -E2BIG;
    int err = find_xattr_place(model, path, flags, name, &link);
    if (err != 0)
        return err;
    if (*link != NULL && (flags & VMFS_XATTR_CREATE) != 0)
        return -EEXIST;
    if (*link == NULL && (flags & VMFS_XATTR_REPLACE) != 0)
        return -ENODATA;
    if (*link == NULL) {
        *link = model_allocate(sizeof(struct model_xattr));
        (*link)->name = model_allocate(strlen(name) + 1);
        memcpy((*link)->name, name, strlen(name));
    }
    free((*link)->value);
    (*link)->value = model_allocate(size + 1);
    memcpy((*link)->value, value, size);
    (*link)->value_bytes = size;
    return 0;
}

int64_t model_xattr_get(struct model *model, const char *path, int flags, const char *name,
                        void *value, size_t size)
{
    struct model_xattr **link;
    int err = find_xattr_place(model, path, flags, name, &link);
    if (err != 0)
        return err;
    if (*link == NULL)
        return -ENODATA;
    size_t bytes = (*link)->value_bytes;
    if (size == 0)
        return (int64_t)bytes;
    if (size < bytes)
        return -ERANGE;
    memcpy(value, (*link)->value, bytes);
    return (int64_t)bytes;
}

int64_t model_xattr_list(struct model *model, const char *path, int flags, char *names, size_t size)
{
    struct model_node *node;
    int err = model_find(model, path, flags & VMFS_NOFOLLOW, &node);
    if (err != 0)
        return err;
    size_t used = 0;
    for (const struct model_xattr *xattr = node->xattrs; xattr != NULL; xattr = xattr->next)
        used += strlen(xattr->name) + 1;
    if (size == 0)
        return (int64_t)used;
    if (size < used)
        return -ERANGE;
    for (const struct model_xattr *xattr = node->xattrs; xattr != NULL; xattr = xattr->next) {
        size_t bytes = strlen(xattr->name) + 1;
        memcpy(names, xattr->name, bytes);
        names += bytes;
    }
    return (int64_t)used;
}

int model_xattr_remove(struct model *model, const char *path, int flags, const char *name)
{
    struct model_xattr **link;
    int err = find_xattr_place(model, path, flags, name, &link);
    if (err != 0)
        return err;
    if (*link == NULL)
        return -ENODATA;
    struct model_xattr *xattr = *link;
    *link = xattr->next;
    free_xattr(xattr);
    return 0;
}
