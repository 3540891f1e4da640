/* model_acl.c -- access control lists of the model
 *
 * A list is kept as the value of its attribute. Written from acl(5) and the rules of Linux. */
#include "model_fs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_BYTES   4u
#define ENTRY_BYTES  8u
#define ENTRIES_MAX  511u
#define ACCESS_NAME  "system.posix_acl_access"
#define DEFAULT_NAME "system.posix_acl_default"

enum tag {
    TAG_OWNER = 1,
    TAG_USER = 2,
    TAG_OWNING_GROUP = 4,
    TAG_GROUP = 8,
    TAG_MASK = 16,
    TAG_OTHERS = 32,
};

bool model_is_acl(const char *name)
{
    return strcmp(name, ACCESS_NAME) == 0 || strcmp(name, DEFAULT_NAME) == 0;
}

static size_t count_of(size_t size)
{
    return (size - HEAD_BYTES) / ENTRY_BYTES;
}

static uint8_t *entry_of(uint8_t *value, size_t i)
{
    return value + HEAD_BYTES + i * ENTRY_BYTES;
}

static unsigned tag_of(const uint8_t *entry)
{
    return entry[0] | (unsigned)entry[1] << 8;
}

/* The entry that a mode's nine bits speak of in these three. */
static uint8_t *class_of(uint8_t *value, size_t size, unsigned shift)
{
    uint8_t *owning_group = NULL;
    for (size_t i = 0; i < count_of(size); i++) {
        uint8_t *entry = entry_of(value, i);
        unsigned tag = tag_of(entry);
        if ((shift == 6 && tag == TAG_OWNER) || (shift == 0 && tag == TAG_OTHERS) ||
            (shift == 3 && tag == TAG_MASK))
            return entry;
        if (tag == TAG_OWNING_GROUP)
            owning_group = entry;
    }
    return owning_group;
}

static uint32_t mode_of(uint8_t *value, size_t size)
{
    uint32_t mode = 0;
    for (unsigned shift = 0; shift <= 6; shift += 3)
        mode |= (uint32_t)class_of(value, size, shift)[2] << shift;
    return mode;
}

static void put_mode(uint8_t *value, size_t size, uint32_t mode)
{
    for (unsigned shift = 0; shift <= 6; shift += 3)
        class_of(value, size, shift)[2] = (uint8_t)(mode >> shift & 7);
}

/* What may follow: owner, users, owning group, groups, mask, others. */
static bool may_follow(unsigned tag, unsigned last, bool has_named)
{
    switch (tag) {
    case TAG_OWNER:
        return last == 0;
    case TAG_USER:
        return last == TAG_OWNER || last == TAG_USER;
    case TAG_OWNING_GROUP:
        return last == TAG_OWNER || last == TAG_USER;
    case TAG_GROUP:
    case TAG_MASK:
        return last == TAG_OWNING_GROUP || last == TAG_GROUP;
    case TAG_OTHERS:
        return last == TAG_MASK || (last == TAG_OWNING_GROUP && !has_named);
    default:
        return false;
    }
}

/* Also forgets ids that mean nothing. */
static bool is_sound(uint8_t *value, size_t size)
{
    static const uint8_t none[4] = {0xff, 0xff, 0xff, 0xff};
    unsigned last = 0;
    bool has_named = false;
    for (size_t i = 0; i < count_of(size); i++) {
        uint8_t *entry = entry_of(value, i);
        unsigned tag = tag_of(entry);
        bool is_named = tag == TAG_USER || tag == TAG_GROUP;
        if (!may_follow(tag, last, has_named) || entry[2] > 7 || entry[3] != 0)
            return false;
        if (is_named && memcmp(entry + 4, none, 4) == 0)
            return false;
        if (!is_named)
            memcpy(entry + 4, none, 4);
        has_named = has_named || is_named;
        last = tag;
    }
    return last == TAG_OTHERS;
}

static int check_value(const uint8_t *value, size_t size)
{
    if (size > HEAD_BYTES + ENTRIES_MAX * ENTRY_BYTES)
        return -E2BIG;
    if (size < HEAD_BYTES)
        return -EINVAL;
    if (value[0] != 2 || value[1] != 0 || value[2] != 0 || value[3] != 0)
        return -EOPNOTSUPP;
    return (size - HEAD_BYTES) % ENTRY_BYTES == 0 ? 0 : -EINVAL;
}

int model_acl_check(const struct model_node *node, const char *name, const void *bytes, size_t size)
{
    int err = size != 0 ? check_value(bytes, size) : 0;
    if (err != 0 || size <= HEAD_BYTES)
        return err;
    uint8_t *value = model_allocate(size);
    memcpy(value, bytes, size);
    err = is_sound(value, size) ? 0 : -EINVAL;
    free(value);
    if (strcmp(name, DEFAULT_NAME) != 0 || model_is_dir(node))
        return err;
    return err != 0 ? model_note(node->model, err, -EACCES) : -EACCES;
}

int model_acl_set(struct model_node *node, const char *name, const void *bytes, size_t size)
{
    bool is_default = strcmp(name, DEFAULT_NAME) == 0;
    if (size <= HEAD_BYTES)
        return model_xattr_drop(node, name);
    uint8_t *value = model_allocate(size);
    memcpy(value, bytes, size);
    (void)is_sound(value, size);
    if (!is_default)
        node->mode = (node->mode & ~(uint32_t)0777) | mode_of(value, size);
    if (!is_default && count_of(size) == 3)
        (void)model_xattr_drop(node, name);
    else
        model_xattr_keep(node, name, value, size);
    free(value);
    return 1;
}

void model_acl_chmod(struct model_node *node, uint32_t mode)
{
    struct model_xattr *acl = model_xattr_of(node, ACCESS_NAME);
    node->mode = model_type(node) | (mode & 07777);
    if (acl != NULL)
        put_mode(acl->value, acl->value_bytes, mode);
}

void model_acl_inherit(struct model_node *parent, struct model_node *node, uint32_t umask)
{
    struct model_xattr *acl = model_xattr_of(parent, DEFAULT_NAME);
    if (model_type(node) == VMFS_S_IFLNK)
        return;
    if (acl == NULL) {
        node->mode &= ~(umask & 0777);
        return;
    }
    size_t size = acl->value_bytes;
    uint8_t *value = model_allocate(size);
    memcpy(value, acl->value, size);
    uint32_t mode = mode_of(value, size) & node->mode;
    put_mode(value, size, mode);
    node->mode = (node->mode & ~(uint32_t)0777) | mode;
    if (count_of(size) > 3)
        model_xattr_keep(node, ACCESS_NAME, value, size);
    if (model_is_dir(node))
        model_xattr_keep(node, DEFAULT_NAME, acl->value, size);
    free(value);
}
