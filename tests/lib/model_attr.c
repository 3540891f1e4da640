/* model_attr.c -- one inode of the model: attributes, plain and extended */
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
    free(node->blocks);
    node->data = node->blocks = NULL;
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
    out->ctime_ns = node->ctime_ns;
    out->btime_ns = node->btime_ns;
    out->flags = node->flags;
}

static uint32_t without_set_id(uint32_t mode)
{
    return mode & ((mode & 010) != 0 ? ~(uint32_t)06000 : ~(uint32_t)04000);
}

void model_kill(struct model_node *node, bool with_set_id)
{
    if (with_set_id && model_type(node) == VMFS_S_IFREG)
        node->mode = without_set_id(node->mode);
    (void)model_xattr_drop(node, "security.capability");
}

static void set_owner(struct model_node *node, const struct vmfs_attr *attr)
{
    const uint32_t killing = VMFS_ATTR_UID | VMFS_ATTR_GID | VMFS_ATTR_SIZE | VMFS_ATTR_KILL_PRIV;
    if ((attr->mask & killing) != 0 && !model_is_dir(node))
        model_kill(node, (attr->mask & VMFS_ATTR_KILL_PRIV) != 0);
    if ((attr->mask & (VMFS_ATTR_UID | VMFS_ATTR_GID)) == 0)
        return;
    if ((attr->mask & VMFS_ATTR_UID) != 0)
        node->uid = attr->uid;
    if ((attr->mask & VMFS_ATTR_GID) != 0)
        node->gid = attr->gid;
    if (!model_is_dir(node))
        node->mode = without_set_id(node->mode);
}

static void set_times(struct model_node *node, const struct vmfs_attr *attr)
{
    int64_t now_ns = node->model->now_ns;
    if ((attr->mask & VMFS_ATTR_ATIME) != 0) {
        bool is_now = attr->atime_ns == VMFS_TIME_NOW;
        node->atime_ns = is_now ? now_ns : attr->atime_ns;
        node->is_atime_known = !is_now || now_ns != 0;
        node->is_atime_lazy = false;
    }
    if ((attr->mask & VMFS_ATTR_MTIME) != 0) {
        bool is_now = attr->mtime_ns == VMFS_TIME_NOW;
        node->mtime_ns = is_now ? now_ns : attr->mtime_ns;
        node->is_mtime_known = !is_now || now_ns != 0;
    }
    if ((attr->mask & VMFS_ATTR_CTIME) != 0) {
        bool is_now = attr->ctime_ns == VMFS_TIME_NOW;
        node->ctime_ns = is_now ? now_ns : attr->ctime_ns;
        node->is_ctime_known = !is_now || now_ns != 0;
    }
}

/* What Linux's notify_change() and its callers say of flagged inodes. */
static int check_flags(const struct model_node *node, const struct vmfs_attr *attr)
{
    const uint32_t times = VMFS_ATTR_ATIME | VMFS_ATTR_MTIME;
    uint32_t mask = attr->mask & ~(uint32_t)VMFS_ATTR_FLAGS;
    if (mask != 0 && (node->flags & VMFS_INODE_IMMUTABLE) != 0)
        return -EPERM;
    bool is_now = (mask & times) == times && attr->atime_ns == VMFS_TIME_NOW &&
                  attr->mtime_ns == VMFS_TIME_NOW;
    if (is_now)
        mask &= ~times;
    return mask != 0 && (node->flags & VMFS_INODE_APPEND) != 0 ? -EPERM : 0;
}

static int check_size(const struct model_node *node, const struct vmfs_attr *attr)
{
    if ((attr->mask & VMFS_ATTR_SIZE) == 0)
        return 0;
    if (model_is_dir(node))
        return -EISDIR;
    if (model_type(node) != VMFS_S_IFREG)
        return -EINVAL;
    return attr->size > VMFS_FILE_MAX ? -EFBIG : 0;
}

int model_node_setattr(struct model_node *node, const struct vmfs_attr *attr)
{
    int err = check_size(node, attr);
    int forbidden = check_flags(node, attr);
    if (err != 0 || forbidden != 0)
        return err != 0 && forbidden != 0 ? model_note(node->model, forbidden, err)
                                          : err + forbidden;
    if ((attr->mask & VMFS_ATTR_SIZE) != 0)
        model_resize(node, attr->size);
    set_owner(node, attr);
    if ((attr->mask & VMFS_ATTR_MODE) != 0)
        model_acl_chmod(node, attr->mode);
    if (attr->mask != 0)
        model_touch_change(node);
    set_times(node, attr);
    if ((attr->mask & VMFS_ATTR_FLAGS) != 0)
        node->flags = attr->flags;
    return 0;
}

int model_setattr(struct model *model, const struct model_at *at, int flags,
                  const struct vmfs_attr *attr)
{
    struct model_node *node;
    int err = model_find(model, at, flags, &node);
    return err != 0 ? err : model_node_setattr(node, attr);
}

/* --------------------------------------------------------------------- extended attributes --- */

static bool is_user(const char *name)
{
    return strncmp(name, "user.", 5) == 0;
}

static int check_xattr_name(const char *name)
{
    static const char *const prefixes[] = {"user.", "trusted.", "security."};
    size_t bytes = strlen(name);
    if (bytes == 0 || bytes > XATTR_NAME_MAX)
        return -ERANGE;
    if (model_is_acl(name))
        return 0;
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        size_t prefix_bytes = strlen(prefixes[i]);
        if (strncmp(name, prefixes[i], prefix_bytes) == 0)
            return name[prefix_bytes] == '\0' ? -EINVAL : 0;
    }
    return -EOPNOTSUPP;
}

/* The link that holds the attribute, or the one at the end of the list. */
static struct model_xattr **find_xattr(struct model_node *node, const char *name)
{
    struct model_xattr **link = &node->xattrs;
    while (*link != NULL && strcmp((*link)->name, name) != 0)
        link = &(*link)->next;
    return link;
}

struct model_xattr *model_xattr_of(struct model_node *node, const char *name)
{
    return *find_xattr(node, name);
}

void model_xattr_keep(struct model_node *node, const char *name, const void *value, size_t size)
{
    struct model_xattr **link = find_xattr(node, name);
    if (*link == NULL) {
        *link = model_allocate(sizeof(struct model_xattr));
        (*link)->name = model_allocate(strlen(name) + 1);
        memcpy((*link)->name, name, strlen(name));
    }
    free((*link)->value);
    (*link)->value = model_allocate(size + 1);
    memcpy((*link)->value, value, size);
    (*link)->value_bytes = size;
}

int model_xattr_drop(struct model_node *node, const char *name)
{
    struct model_xattr **link = find_xattr(node, name);
    struct model_xattr *xattr = *link;
    if (xattr == NULL)
        return 0;
    *link = xattr->next;
    free_xattr(xattr);
    return 1;
}

/* Finds the attribute's place. All that is wrong is noted: the name and the path may be looked at in
 * any order. */
static int find_xattr_place(struct model *model, const struct model_at *at, int flags,
                            const char *name, struct model_xattr ***out)
{
    int err = check_xattr_name(name);
    struct model_node *node = NULL;
    int other = model_find(model, at, flags & VMFS_NOFOLLOW, &node);
    /* A system sees what forbids attributes of this node before it misses the name. */
    if (err == -EINVAL && other == 0)
        return model_note(model, -EPERM, err);
    if (err != 0 || other != 0)
        return err != 0 && other != 0 ? model_note(model, other, err) : err + other;
    model->found = node;
    if (model_is_acl(name) && model_type(node) == VMFS_S_IFLNK)
        return -EOPNOTSUPP;
    if (is_user(name) && model_type(node) != VMFS_S_IFREG && !model_is_dir(node))
        return -EPERM;
    *out = find_xattr(node, name);
    return 0;
}

/* What forbids a change of the attributes of model->found. */
static int check_xattr_change(const struct model *model)
{
    const uint32_t kept = VMFS_INODE_IMMUTABLE | VMFS_INODE_APPEND;
    return (model->found->flags & kept) != 0 ? -EPERM : 0;
}

/* What is wrong with a value may be seen before the node's flags are, or behind them. */
static int change_acl(struct model *model, const char *name, const void *value, size_t size)
{
    int forbidden = check_xattr_change(model);
    int wrong = model_acl_check(model->found, name, value, size);
    if (forbidden != 0 || wrong != 0)
        return forbidden != 0 && wrong != 0 ? model_note(model, wrong, forbidden)
                                            : forbidden + wrong;
    if (model_acl_set(model->found, name, value, size) > 0)
        model_touch_change(model->found);
    return 0;
}

int model_xattr_set(struct model *model, const struct model_at *at, int flags, const char *name,
                    const void *value, size_t size)
{
    struct model_xattr **link;
    int err = find_xattr_place(model, at, flags, name, &link);
    if (size > VMFS_XATTR_MAX)
        return err != 0 ? model_note(model, err, -E2BIG) : -E2BIG;
    bool is_link = err == -EOPNOTSUPP && model_is_acl(name);
    int wrong = is_link ? model_acl_check(model->found, name, value, size) : 0;
    if (err != 0)
        return wrong != 0 ? model_note(model, wrong, err) : err;
    if (model_is_acl(name))
        return change_acl(model, name, value, size);
    err = check_xattr_change(model);
    int exists = 0;
    if (*link != NULL && (flags & VMFS_XATTR_CREATE) != 0)
        exists = -EEXIST;
    if (*link == NULL && (flags & VMFS_XATTR_REPLACE) != 0)
        exists = -ENODATA;
    if (err != 0 || exists != 0)
        return err != 0 ? model_note(model, exists, err) : exists;
    model_touch_change(model->found);
    model_xattr_keep(model->found, name, value, size);
    return 0;
}

int64_t model_xattr_get(struct model *model, const struct model_at *at, int flags, const char *name,
                        void *value, size_t size)
{
    struct model_xattr **link;
    int err = find_xattr_place(model, at, flags, name, &link);
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

int64_t model_xattr_list(struct model *model, const struct model_at *at, int flags, char *names,
                         size_t size)
{
    struct model_node *node;
    int err = model_find(model, at, flags & VMFS_NOFOLLOW, &node);
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

int model_xattr_remove(struct model *model, const struct model_at *at, int flags, const char *name)
{
    struct model_xattr **link;
    int err = find_xattr_place(model, at, flags, name, &link);
    if (err != 0)
        return err;
    if (model_is_acl(name))
        return change_acl(model, name, NULL, 0);
    err = check_xattr_change(model);
    if (err != 0 || *link == NULL)
        return err != 0 && *link == NULL ? model_note(model, -ENODATA, err)
                                         : err + (*link == NULL ? -ENODATA : 0);
    model_touch_change(model->found);
    (void)model_xattr_drop(model->found, name);
    return 0;
}
