/* acl.c -- POSIX ACLs */
#include "inode/acl.h"

#include <string.h>

#include "base/check.h"

#define OWNER_SHIFT 6u
#define GROUP_SHIFT 3u
#define RWX_BITS    0777u

/* Entries of an ACL that says no more than a mode. */
#define ENTRIES_OF_MODE 3u

/* The value of an ACL. */
struct value {
    struct vm_acl_media head;
    struct vm_acl_entry_media entries[VM_ACL_ENTRIES_MAX];
};

VM_CHECK_OFFSET(struct value, entries, sizeof(struct vm_acl_media));

/* An ACL in memory. */
struct acl {
    struct value m;
    uint32_t count;
};

static const char *const names[] = {
    [VM_ACL_ACCESS] = "system.posix_acl_access",
    [VM_ACL_DEFAULT] = "system.posix_acl_default",
};

static struct vm_name name_of(enum vm_acl_kind kind)
{
    return (struct vm_name){(const uint8_t *)names[kind], (uint32_t)strlen(names[kind])};
}

bool vm_acl_is_name(struct vm_name name, enum vm_acl_kind *kind_out)
{
    for (enum vm_acl_kind kind = VM_ACL_ACCESS; kind <= VM_ACL_DEFAULT; kind++) {
        struct vm_name own = name_of(kind);
        *kind_out = kind;
        if (name.len_bytes == own.len_bytes && memcmp(name.bytes, own.bytes, own.len_bytes) == 0)
            return true;
    }
    return false;
}

static uint64_t bytes_of(uint32_t count)
{
    return offsetof(struct value, entries) + count * sizeof(struct vm_acl_entry_media);
}

static uint32_t tag_of(const struct vm_acl_entry_media *entry)
{
    return vm_get16(entry->tag);
}

static uint32_t permissions_of(const struct vm_acl_entry_media *entry)
{
    return vm_get16(entry->permissions);
}

static void put_permissions(struct vm_acl_entry_media *entry, uint32_t permissions)
{
    entry->permissions = vm_put16((uint16_t)permissions);
}

static bool is_named(uint32_t tag)
{
    return tag == VM_ACL_USER || tag == VM_ACL_GROUP;
}

/* Copies a value that is no longer than an ACL can be. Has it the length of one? */
static bool acl_copy(const void *value, uint64_t len_bytes, struct acl *out)
{
    const uint64_t entry_bytes = sizeof(struct vm_acl_entry_media);
    VM_ASSERT(len_bytes <= sizeof out->m);
    memcpy(&out->m, value, len_bytes);
    if (len_bytes < bytes_of(0))
        return false;
    out->count = (uint32_t)((len_bytes - bytes_of(0)) / entry_bytes);
    return bytes_of(out->count) == len_bytes;
}

/* The tag may stand here if it is not below the one before; only users and groups come more than once. */
static bool entry_is_sound(const struct vm_acl_entry_media *entry, uint32_t *last, uint32_t *seen)
{
    uint32_t tag = tag_of(entry);
    bool is_tag = tag && (tag & (tag - 1)) == 0 && tag <= VM_ACL_OTHER;
    bool is_sound = is_tag && tag >= *last && (tag != *last || is_named(tag)) &&
                    permissions_of(entry) <= VM_MAY_ALL &&
                    (!is_named(tag) || vm_get32(entry->id) != VM_ACL_NO_ID);
    *last = tag;
    *seen |= tag;
    return is_sound;
}

/* An id where the tag needs none means nothing: as Linux, it is not kept. */
static bool acl_is_sound(struct acl *acl)
{
    const uint32_t always = VM_ACL_USER_OBJ | VM_ACL_GROUP_OBJ | VM_ACL_OTHER;
    const uint32_t masked = VM_ACL_USER | VM_ACL_GROUP;
    uint32_t last = 0;
    uint32_t seen = 0;
    for (uint32_t index = 0; index < acl->count; index++) {
        struct vm_acl_entry_media *entry = &acl->m.entries[index];
        if (!entry_is_sound(entry, &last, &seen))
            return false;
        if (!is_named(last))
            entry->id = vm_put32(VM_ACL_NO_ID);
    }
    return (seen & always) == always && (!(seen & masked) || (seen & VM_ACL_MASK));
}

static bool acl_parse(const void *value, uint64_t len_bytes, struct acl *out)
{
    return len_bytes <= sizeof out->m && acl_copy(value, len_bytes, out) &&
           vm_get32(out->m.head.version) == VM_ACL_VERSION && acl_is_sound(out);
}

/* 1 and the ACL, 0 where there is none, or a reason. */
static int acl_load(struct vm_ctx *ctx, const struct vm_inode *inode, enum vm_acl_kind kind,
                    struct acl *out)
{
    struct value value;
    uint64_t len_bytes;
    int found = vm_get64(inode->m.xattr_root) == 0
                    ? 0
                    : vm_xattr_load(ctx, inode, name_of(kind), &value, sizeof value, &len_bytes);
    if (found <= 0)
        return found;
    if (acl_parse(&value, len_bytes, out))
        return 1;
    return ctx->region->has_acls ? vm_raise(&ctx->err, VMFS_R_ACL_DAMAGED, inode->id) : 0;
}

static int acl_store(struct vm_ctx *ctx, struct vm_inode *inode, enum vm_acl_kind kind,
                     const struct acl *acl)
{
    const struct vm_xattr_value value = {.bytes = &acl->m, .len_bytes = bytes_of(acl->count)};
    return vm_xattr_set(ctx, inode, name_of(kind), &value);
}

/* 1, or 0 where there was none. */
static int acl_drop(struct vm_ctx *ctx, struct vm_inode *inode, enum vm_acl_kind kind)
{
    uint64_t len_bytes;
    int found = vm_xattr_load(ctx, inode, name_of(kind), NULL, 0, &len_bytes);
    if (found <= 0)
        return found;
    int result = vm_xattr_remove(ctx, inode, name_of(kind));
    return result ? result : 1;
}

static void put_mode(struct vm_inode *inode, uint32_t bits, uint32_t mask)
{
    inode->m.mode = vm_put16((uint16_t)((vm_inode_mode(inode) & ~mask) | (bits & mask)));
}

/* The entry that the group bits of the mode mean, in a sound ACL. */
static struct vm_acl_entry_media *group_class(struct acl *acl)
{
    struct vm_acl_entry_media *group = NULL;
    for (uint32_t index = 0; index < acl->count; index++) {
        uint32_t tag = tag_of(&acl->m.entries[index]);
        if (tag == VM_ACL_GROUP_OBJ || tag == VM_ACL_MASK)
            group = &acl->m.entries[index];
    }
    VM_ASSERT(group);
    return group;
}

/* Of a sound ACL the first entry is the owner's and the last is everybody else's. */
static struct vm_acl_entry_media *other_class(struct acl *acl)
{
    return &acl->m.entries[acl->count - 1];
}

static uint32_t acl_mode(struct acl *acl)
{
    return permissions_of(&acl->m.entries[0]) << OWNER_SHIFT |
           permissions_of(group_class(acl)) << GROUP_SHIFT | permissions_of(other_class(acl));
}

static void acl_put_mode(struct acl *acl, uint32_t mode)
{
    put_permissions(&acl->m.entries[0], mode >> OWNER_SHIFT & VM_MAY_ALL);
    put_permissions(group_class(acl), mode >> GROUP_SHIFT & VM_MAY_ALL);
    put_permissions(other_class(acl), mode & VM_MAY_ALL);
}

bool vm_acl_is_sound(const struct vm_ctx *ctx, const struct vm_inode *inode, struct vm_name name,
                     const void *value, uint64_t len_bytes)
{
    struct acl acl;
    enum vm_acl_kind kind;
    if (!ctx->region->has_acls || !vm_acl_is_name(name, &kind))
        return true;
    if (inode->m.kind == VM_INODE_SYMLINK || !acl_parse(value, len_bytes, &acl))
        return false;
    if (kind == VM_ACL_DEFAULT)
        return vm_inode_is_directory(inode);
    return acl.count > ENTRIES_OF_MODE &&
           acl_mode(&acl) == (vm_inode_mode(inode) & RWX_BITS); /* C1 */
}

int vm_acl_check_kind(struct vm_ctx *ctx, const struct vm_inode *inode)
{
    bool is_link = inode->m.kind == VM_INODE_SYMLINK;
    return is_link ? vm_raise(&ctx->err, VMFS_R_ACL_SYMLINK, inode->id) : 0;
}

/* 1 and an ACL with entries, 0 for a value that removes, or a reason. In the order of Linux. */
static int value_parse(struct vm_ctx *ctx, const struct vm_acl_value *value, struct acl *acl)
{
    uint64_t len_bytes = value->len_bytes;
    if (len_bytes == 0)
        return 0;
    if (len_bytes > sizeof acl->m)
        return vm_raise(&ctx->err, VMFS_R_ACL_SIZE, len_bytes);
    bool has_length = acl_copy(value->bytes, len_bytes, acl);
    if (len_bytes >= bytes_of(0) && vm_get32(acl->m.head.version) != VM_ACL_VERSION)
        return vm_raise(&ctx->err, VMFS_R_ACL_VERSION, vm_get32(acl->m.head.version));
    if (!has_length)
        return vm_raise(&ctx->err, VMFS_R_ACL_LENGTH, len_bytes);
    return acl->count > 0;
}

int vm_acl_set(struct vm_ctx *ctx, struct vm_inode *inode, enum vm_acl_kind kind,
               const struct vm_acl_value *value)
{
    struct acl acl;
    int given = value_parse(ctx, value, &acl);
    if (given <= 0)
        return given ? given : acl_drop(ctx, inode, kind);
    if (kind == VM_ACL_DEFAULT && !vm_inode_is_directory(inode))
        return vm_raise(&ctx->err, VMFS_R_ACL_PLACE, inode->id);
    if (!acl_is_sound(&acl))
        return vm_raise(&ctx->err, VMFS_R_ACL_FORM, inode->id);
    if (kind == VM_ACL_ACCESS)
        put_mode(inode, acl_mode(&acl), RWX_BITS); /* C1 */
    if (kind == VM_ACL_ACCESS && value->kills_set_group)
        put_mode(inode, 0, VM_MODE_SET_GROUP);
    bool is_kept = kind == VM_ACL_DEFAULT || acl.count > ENTRIES_OF_MODE;
    int result = is_kept ? acl_store(ctx, inode, kind, &acl) : acl_drop(ctx, inode, kind);
    return result < 0 ? result : 1;
}

int vm_acl_chmod(struct vm_ctx *ctx, struct vm_inode *inode, uint32_t bits)
{
    struct acl acl;
    int found = acl_load(ctx, inode, VM_ACL_ACCESS, &acl);
    if (found < 0)
        return found;
    put_mode(inode, bits, VM_MODE_BITS);
    if (found == 0 || acl_mode(&acl) == (bits & RWX_BITS))
        return 0;
    acl_put_mode(&acl, bits);
    return acl_store(ctx, inode, VM_ACL_ACCESS, &acl); /* C1 */
}

int vm_acl_inherit(struct vm_ctx *ctx, const struct vm_inode *dir, struct vm_inode *child)
{
    struct acl acl;
    VM_ASSERT(child->m.kind != VM_INODE_SYMLINK);
    int found = acl_load(ctx, dir, VM_ACL_DEFAULT, &acl);
    if (found < 0)
        return found;
    uint32_t mode = vm_inode_mode(child);
    if (found == 0) {
        put_mode(child, mode & ~ctx->umask, RWX_BITS);
        return 0;
    }
    int result = 0;
    if (vm_inode_is_directory(child))
        result = acl_store(ctx, child, VM_ACL_DEFAULT, &acl);
    acl_put_mode(&acl, acl_mode(&acl) & mode);
    put_mode(child, acl_mode(&acl), RWX_BITS);
    if (result == 0 && acl.count > ENTRIES_OF_MODE)
        result = acl_store(ctx, child, VM_ACL_ACCESS, &acl); /* C1 */
    return result;
}

static bool is_in_group(const struct vm_cred *cred, uint32_t gid)
{
    bool is_in = cred->gid == gid;
    for (uint32_t index = 0; !is_in && index < cred->group_count; index++)
        is_in = cred->groups[index] == gid;
    return is_in;
}

/* Does an entry speak of the caller? */
static bool entry_matches(const struct vm_acl_entry_media *entry, const struct vm_inode *inode,
                          const struct vm_cred *cred)
{
    switch (tag_of(entry)) {
    case VM_ACL_USER:
        return vm_get32(entry->id) == cred->uid;
    case VM_ACL_GROUP_OBJ:
        return is_in_group(cred, vm_get32(inode->m.gid));
    case VM_ACL_GROUP:
        return is_in_group(cred, vm_get32(entry->id));
    default:
        return false;
    }
}

/* What the ACL lets somebody do who is not the owner. The first entry for a user decides; of those for groups, one
 * that grants all of it; if none does, nobody else's permissions count. */
static bool acl_grants(struct acl *acl, const struct vm_inode *inode, const struct vm_cred *cred,
                       uint32_t want)
{
    struct vm_acl_entry_media *group = group_class(acl);
    uint32_t limit = tag_of(group) == VM_ACL_MASK ? permissions_of(group) : VM_MAY_ALL;
    bool is_met = false;
    for (uint32_t index = 0; index < acl->count; index++) {
        const struct vm_acl_entry_media *entry = &acl->m.entries[index];
        if (!entry_matches(entry, inode, cred))
            continue;
        bool grants = (permissions_of(entry) & want) == want;
        if (grants || tag_of(entry) == VM_ACL_USER)
            return grants && (limit & want) == want;
        is_met = true;
    }
    return !is_met && (permissions_of(other_class(acl)) & want) == want;
}

/* As Linux: an ACL whose mask is empty is not looked at. 1, 0 or a reason. */
static int grants(struct vm_ctx *ctx, const struct vm_inode *inode, const struct vm_cred *cred,
                  uint32_t want)
{
    struct acl acl;
    uint32_t mode = vm_inode_mode(inode);
    if (cred->uid == vm_get32(inode->m.uid))
        return (mode >> OWNER_SHIFT & want) == want;
    bool has_group = mode >> GROUP_SHIFT & VM_MAY_ALL;
    int found = has_group ? acl_load(ctx, inode, VM_ACL_ACCESS, &acl) : 0;
    if (found < 0)
        return found;
    if (found)
        return acl_grants(&acl, inode, cred, want);
    uint32_t shift = is_in_group(cred, vm_get32(inode->m.gid)) ? GROUP_SHIFT : 0;
    return (mode >> shift & want) == want;
}

/* What the superuser may do whatever the mode says: all, but run what nobody may run. */
static bool overrides(const struct vm_inode *inode, const struct vm_cred *cred, uint32_t want)
{
    const uint32_t execute_bits = 0111;
    return cred->uid == 0 && (!(want & VM_MAY_EXECUTE) || vm_inode_is_directory(inode) ||
                              (vm_inode_mode(inode) & execute_bits));
}

int vm_acl_check(struct vm_ctx *ctx, const struct vm_inode *inode, const struct vm_cred *cred,
                 uint32_t want)
{
    if (overrides(inode, cred, want))
        return 0;
    int granted = grants(ctx, inode, cred, want);
    if (granted < 0)
        return granted;
    return granted ? 0 : vm_raise(&ctx->err, VMFS_R_ACCESS_DENIED, inode->id);
}
