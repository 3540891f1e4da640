/* attr.c -- stat and setattr */
#include "inode/attr.h"

#include "inode/acl.h"
#include "inode/data.h"
#include "inode/open.h"
#include "inode/priv.h"

void vm_attr_get(const struct vm_inode *inode, struct vm_stat *out)
{
    const struct vm_inode_media *m = &inode->m;
    *out = (struct vm_stat){
        .id = inode->id,
        .mode = vm_get16(m->mode),
        .nlink = vm_get32(m->nlink),
        .uid = vm_get32(m->uid),
        .gid = vm_get32(m->gid),
        .rdev = m->form == VM_BODY_DEVICE ? vm_get64(m->body.word[0]) : 0,
        .size = vm_get64(m->size),
        .blocks = vm_inode_blocks(inode),
        .atime_ns = (int64_t)vm_get64(m->atime_ns),
        .mtime_ns = (int64_t)vm_get64(m->mtime_ns),
        .ctime_ns = (int64_t)vm_get64(m->ctime_ns),
        .btime_ns = (int64_t)vm_get64(m->btime_ns),
        .flags = vm_inode_flags(inode),
    };
}

static void set_owner(struct vm_inode *inode, const struct vm_attr *attr)
{
    if (attr->mask & VM_ATTR_UID)
        inode->m.uid = vm_put32(attr->uid);
    if (attr->mask & VM_ATTR_GID)
        inode->m.gid = vm_put32(attr->gid);
    bool is_changed = attr->mask & (VM_ATTR_UID | VM_ATTR_GID);
    if (!is_changed || vm_inode_is_directory(inode) || (attr->mask & VM_ATTR_MODE))
        return;
    inode->m.mode = vm_put16((uint16_t)vm_priv_mode(vm_inode_mode(inode)));
}

/* K1 */
static int kill_privileges(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_attr *attr)
{
    const uint32_t killing = VM_ATTR_SIZE | VM_ATTR_UID | VM_ATTR_GID | VM_ATTR_KILL_PRIV;
    if (!(attr->mask & killing) || vm_inode_is_directory(inode))
        return 0;
    int killed = vm_priv_kill(ctx, inode, attr->mask & VM_ATTR_KILL_PRIV);
    return killed < 0 ? killed : 0;
}

static int set_fields(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_attr *attr)
{
    int result = kill_privileges(ctx, inode, attr);
    if (result)
        return result;
    set_owner(inode, attr);
    result = attr->mask & VM_ATTR_MODE ? vm_acl_chmod(ctx, inode, attr->mode) : 0;
    if (result)
        return result;
    if (attr->mask & VM_ATTR_SIZE)
        vm_inode_touch(ctx, inode);
    if (attr->mask & VM_ATTR_ATIME)
        inode->m.atime_ns = vm_put64((uint64_t)attr->atime_ns);
    if (attr->mask & VM_ATTR_MTIME)
        inode->m.mtime_ns = vm_put64((uint64_t)attr->mtime_ns);
    if (attr->mask & VM_ATTR_FLAGS)
        vm_inode_set_flags(inode, attr->flags);
    vm_inode_touch_change(ctx, inode);
    if (attr->mask & VM_ATTR_CTIME)
        inode->m.ctime_ns = vm_put64((uint64_t)attr->ctime_ns);
    return 0;
}

/* The flags themselves can always be set, and the present time on what is append-only. */
static int check_changeable(struct vm_ctx *ctx, const struct vm_inode *inode,
                            const struct vm_attr *attr)
{
    uint32_t others = attr->mask & ~VM_ATTR_FLAGS;
    const uint32_t present = VM_ATTR_TOUCH | VM_ATTR_ATIME | VM_ATTR_MTIME;
    if (others == 0)
        return 0;
    return vm_inode_check_change(ctx, inode, others == present);
}

static int check_resizable(struct vm_ctx *ctx, const struct vm_inode *inode)
{
    if (vm_inode_is_directory(inode))
        return vm_raise(&ctx->err, VMFS_R_IS_A_DIRECTORY, inode->id);
    if (!vm_inode_is_file(inode))
        return vm_raise(&ctx->err, VMFS_R_NOT_A_FILE, inode->id);
    return vm_inode_check_change(ctx, inode, false);
}

/* Cutting off what is beyond the end lets the stripe go: what was asked before may not hold any more. */
static int load(struct vm_ctx *ctx, uint64_t id, const struct vm_attr *attr, struct vm_inode *inode)
{
    int result = vm_open_load(ctx, id, inode);
    if (result || !(attr->mask & VM_ATTR_SIZE) || !vm_inode_is_beyond(inode))
        return result;
    result = vm_data_trim_beyond(ctx, inode); /* D4 */
    return result ? result : vm_open_load(ctx, id, inode);
}

static int set_locked(struct vm_ctx *ctx, uint64_t id, const struct vm_attr *attr)
{
    struct vm_inode inode;
    int result = load(ctx, id, attr, &inode);
    if (result == 0 && (attr->mask & VM_ATTR_SIZE))
        result = check_resizable(ctx, &inode);
    if (result == 0)
        result = check_changeable(ctx, &inode, attr);
    if (result || !attr->mask) /* setting nothing is no change, of ctime neither */
        return result;
    result = set_fields(ctx, &inode, attr);
    if (result)
        return result;
    if (attr->mask & VM_ATTR_SIZE)
        return vm_data_resize(ctx, &inode, attr->size);
    result = vm_inode_store(ctx, &inode);
    return result ? result : vm_tx_commit(ctx);
}

int vm_attr_set(struct vm_ctx *ctx, uint64_t id, const struct vm_attr *attr)
{
    int result = vm_tx_begin(ctx);
    if (result)
        return result;
    vm_lock_inodes(ctx, &id, 1);
    result = set_locked(ctx, id, attr);
    vm_unlock_inodes(ctx);
    vm_tx_end(ctx);
    return result;
}
