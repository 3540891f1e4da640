/* nsop.c -- create, link, unlink */
#include "name/nsop.h"

#include <string.h>

#include "base/check.h"
#include "inode/acl.h"
#include "inode/data.h"
#include "inode/extent.h"
#include "inode/open.h"
#include "inode/reap.h"
#include "inode/table.h"
#include "name/path.h"
#include "space/space.h"

int vm_name_exists(struct vm_ctx *ctx, uint64_t id)
{
    return vm_raise(&ctx->err, VMFS_R_EXISTS, id);
}

int vm_dir_check_empty(struct vm_ctx *ctx, const struct vm_inode *dir)
{
    if (vm_inode_size(dir) != 0)
        return vm_raise(&ctx->err, VMFS_R_NOT_EMPTY, dir->id);
    return 0;
}

/* A target that does not fit into the inode gets a block, which nothing points to yet (H9). */
static int store_target(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_new *new)
{
    vm_inode_set_size(inode, new->target_bytes);
    if (new->target_bytes <= VM_INODE_BODY) {
        inode->m.form = VM_BODY_BYTES;
        memcpy(inode->m.body.bytes, new->target, new->target_bytes);
        return 0;
    }
    VM_ASSERT(new->target_bytes <= VM_BLOCK_BYTES);
    uint64_t offset;
    int result = vm_space_take_node(ctx, &offset);
    if (result)
        return result;
    vm_tx_payload(ctx, offset, new->target, new->target_bytes);
    vm_tx_payload_zero(ctx, offset + new->target_bytes, VM_BLOCK_BYTES - new->target_bytes);
    struct vm_extent extent = {
        .block = offset / VM_BLOCK_BYTES, .blocks = 1, .birth = ctx->region->epoch};
    return vm_file_add(ctx, inode, &extent);
}

/* As in Linux: a set-group-id directory hands down its group, and to directories the bit. */
static void inherit(const struct vm_inode *dir, struct vm_inode *child)
{
    if (!(vm_inode_mode(dir) & VM_MODE_SET_GROUP))
        return;
    child->m.gid = dir->m.gid;
    if (vm_inode_is_directory(child))
        child->m.mode = vm_put16((uint16_t)(vm_inode_mode(child) | VM_MODE_SET_GROUP));
}

/* Takes a slot and makes the inode in it, all that needs no lock. The record of an older inode in this
 * slot is in its home, so nobody else stores there. */
static int child_make(struct vm_ctx *ctx, uint64_t dir_id, const struct vm_new *new,
                      struct vm_inode *child)
{
    uint64_t id;
    uint64_t offset;
    int result = vm_table_take(ctx, &id, &offset);
    if (result)
        return result;
    vm_inode_make(ctx, id, offset, new->mode, child);
    vm_inode_set_nlink(child, new->is_nameless ? 0 : vm_inode_is_directory(child) ? 2 : 1);
    if (vm_inode_is_directory(child))
        child->m.parent = vm_put64(dir_id);
    if (child->m.kind == VM_INODE_SPECIAL) {
        child->m.form = VM_BODY_DEVICE;
        child->m.body.word[0] = vm_put64(new->rdev);
    }
    return 0;
}

/* Stages the inode, with what it has from its directory. Blocks for a target or an ACL are taken here, as nobody waits
 * for a stripe who has blocks (S4). */
static int child_store(struct vm_ctx *ctx, const struct vm_inode *dir, const struct vm_new *new,
                       struct vm_inode *child)
{
    inherit(dir, child);
    int result = child->m.kind == VM_INODE_SYMLINK ? store_target(ctx, child, new)
                                                   : vm_acl_inherit(ctx, dir, child);
    return result ? result : vm_inode_store(ctx, child);
}

static int look_again(struct vm_ctx *ctx, uint64_t dir_id, struct vm_name name,
                      struct vm_dir_miss *miss)
{
    int result = vm_dir_load(ctx, dir_id, &miss->dir);
    if (result == 0)
        result = vm_dir_find(ctx, &miss->dir, name, &miss->hit);
    return result > 0 ? vm_name_exists(ctx, miss->hit.entry.value) : result;
}

/* `made` is what became of the child that was made before the lock was taken. */
static int create_locked(struct vm_ctx *ctx, uint64_t dir_id, struct vm_name name,
                         const struct vm_new *new, struct vm_inode *child, int made)
{
    struct vm_dir_miss again;
    bool is_known = vm_dir_still_misses(ctx, dir_id, new->miss);
    struct vm_dir_miss *miss = is_known ? new->miss : &again;
    struct vm_inode *dir = &miss->dir;
    int result = is_known ? 0 : look_again(ctx, dir_id, name, miss);
    if (result == 0)
        result = vm_inode_check_change(ctx, dir, true);
    if (result == 0)
        result = made ? made : child_store(ctx, dir, new, child);
    if (result == 0)
        result = vm_dir_add(ctx, dir, name, &miss->hit, child);
    if (result)
        return result;
    if (vm_inode_is_directory(child))
        vm_inode_set_nlink(dir, vm_inode_nlink(dir) + 1);
    result = vm_inode_store(ctx, dir);
    return result ? result : vm_tx_commit(ctx);
}

/* Memory for the entry of a new inode whose stripe is locked, before anything is staged; null if nobody has it. */
static int open_new(struct vm_ctx *ctx, uint64_t id, const struct vm_new *new, struct vm_open **out)
{
    *out = NULL;
    if (new->handles == 0 && new->holds == 0)
        return 0;
    int result = vm_opens_new(ctx, id, out);
    if (result)
        return result;
    (*out)->handles = new->handles;
    (*out)->holds = new->holds;
    (*out)->is_linkable = new->is_linkable;
    return 0;
}

/* What was made is open from the moment on at which others can see it. */
static void open_made(struct vm_ctx *ctx, struct vm_open *open, int made)
{
    if (open && made == 0)
        vm_opens_insert(ctx, open); /* O3 */
    else if (open)
        vm_opens_free(ctx, open);
}

static int tell_made(const struct vm_inode *child, const struct vm_new *new, uint64_t *id_out)
{
    *id_out = child->id;
    if (new->stat)
        vm_attr_get(child, new->stat);
    return 0;
}

/* The new inode's stripe is taken too: who still knows the slot by an older id must not read it while it is
 * stored. */
static void lock_new(struct vm_ctx *ctx, uint64_t dir_id, uint64_t child_id)
{
    const uint64_t ids[2] = {dir_id, child_id};
    vm_lock_inodes(ctx, ids, 2);
}

/* What can be done before the directory is locked is: many create in one directory. */
int vm_name_create(struct vm_ctx *ctx, uint64_t dir_id, struct vm_name name,
                   const struct vm_new *new, uint64_t *id_out)
{
    VM_ASSERT(!new->is_nameless);
    struct vm_inode child;
    int result = vm_tx_begin(ctx);
    if (result)
        return result;
    struct vm_open *open = NULL;
    int made = child_make(ctx, dir_id, new, &child);
    lock_new(ctx, dir_id, made ? 0 : child.id);
    if (made == 0)
        made = open_new(ctx, child.id, new, &open);
    result = create_locked(ctx, dir_id, name, new, &child, made);
    open_made(ctx, open, result);
    vm_unlock_inodes(ctx);
    vm_tx_end(ctx);
    return result ? result : tell_made(&child, new, id_out);
}

static int tmpfile_locked(struct vm_ctx *ctx, uint64_t dir_id, const struct vm_new *new,
                          struct vm_inode *child)
{
    struct vm_inode dir;
    int result = vm_dir_load(ctx, dir_id, &dir);
    if (result == 0)
        result = vm_inode_check_change(ctx, &dir, true);
    if (result == 0)
        result = child_store(ctx, &dir, new, child);
    return result ? result : vm_tx_commit(ctx);
}

/* The directory is left as it is, but it must be one while the file is made. */
int vm_name_tmpfile(struct vm_ctx *ctx, uint64_t dir_id, const struct vm_new *new, uint64_t *id_out)
{
    VM_ASSERT(new->handles > 0 && new->is_nameless);
    VM_ASSERT((new->mode &VM_MODE_TYPE) == VM_MODE_FILE);
    struct vm_inode child;
    struct vm_open *open;
    int result = vm_tx_begin(ctx);
    if (result)
        return result;
    result = child_make(ctx, dir_id, new, &child);
    if (result == 0) {
        lock_new(ctx, dir_id, child.id);
        result = open_new(ctx, child.id, new, &open);
        if (result == 0)
            result = tmpfile_locked(ctx, dir_id, new, &child);
        open_made(ctx, open, result);
        vm_unlock_inodes(ctx);
    }
    vm_tx_end(ctx);
    return result ? result : tell_made(&child, new, id_out);
}

/* In the order of Linux's vfs_link(). */
static int check_linkable(struct vm_ctx *ctx, const struct vm_inode *inode)
{
    int result = vm_inode_check_change(ctx, inode, false);
    if (result)
        return result;
    if (vm_inode_is_directory(inode))
        return vm_raise(&ctx->err, VMFS_R_LINK_DIRECTORY, inode->id);
    const struct vm_open *open = vm_open_find(ctx, inode->id);
    if (vm_inode_nlink(inode) == 0 && !(open && open->is_linkable))
        return vm_inode_stale(ctx, inode->id); /* its path may lead to another one now */
    if (vm_inode_nlink(inode) >= VMFS_LINK_MAX)
        return vm_raise(&ctx->err, VMFS_R_LINK_MAX, inode->id);
    return 0;
}

static int link_locked(struct vm_ctx *ctx, uint64_t dir_id, struct vm_name name, uint64_t id)
{
    struct vm_inode dir;
    struct vm_inode inode;
    struct vm_named_hit hit;
    int result = vm_dir_load(ctx, dir_id, &dir);
    if (result == 0)
        result = vm_dir_find(ctx, &dir, name, &hit);
    if (result > 0)
        return vm_name_exists(ctx, hit.entry.value);
    if (result == 0)
        result = vm_open_load(ctx, id, &inode);
    if (result == 0)
        result = vm_inode_check_change(ctx, &dir, true);
    if (result == 0)
        result = check_linkable(ctx, &inode);
    if (result == 0)
        result = vm_dir_add(ctx, &dir, name, &hit, &inode);
    if (result)
        return result;
    vm_inode_set_nlink(&inode, vm_inode_nlink(&inode) + 1);
    vm_inode_touch_change(ctx, &inode);
    result = vm_inode_store(ctx, &inode);
    if (result == 0)
        result = vm_inode_store(ctx, &dir);
    if (result == 0)
        result = vm_tx_commit(ctx);
    struct vm_open *open = result ? NULL : vm_open_find(ctx, id);
    if (open)
        open->is_linkable = false; /* whoever takes its names away means it */
    return result;
}

int vm_name_link(struct vm_ctx *ctx, uint64_t dir_id, struct vm_name name, uint64_t id)
{
    int result = vm_tx_begin(ctx);
    if (result)
        return result;
    const uint64_t ids[2] = {dir_id, id};
    vm_lock_inodes(ctx, ids, 2);
    result = link_locked(ctx, dir_id, name, id);
    vm_unlock_inodes(ctx);
    vm_tx_end(ctx);
    return result;
}

int vm_name_drop_link(struct vm_ctx *ctx, struct vm_inode *inode)
{
    bool is_directory = vm_inode_is_directory(inode);
    vm_inode_set_nlink(inode, is_directory ? 0 : vm_inode_nlink(inode) - 1);
    vm_inode_touch_change(ctx, inode);
    if (vm_inode_nlink(inode) > 0 || vm_open_find(ctx, inode->id))
        return vm_inode_store(ctx, inode);
    return vm_reap_stage(ctx, inode);
}

int vm_unlink_directory(struct vm_ctx *ctx, uint64_t id)
{
    return vm_raise(&ctx->err, VMFS_R_UNLINK_DIRECTORY, id);
}

static int check_sticky(struct vm_ctx *ctx, const struct vm_inode *dir,
                        const struct vm_inode *child)
{
    bool is_allowed = !(vm_inode_mode(dir) & VM_MODE_STICKY) || ctx->uid == 0 ||
                      ctx->uid == vm_get32(child->m.uid) || ctx->uid == vm_get32(dir->m.uid);
    return is_allowed ? 0 : vm_raise(&ctx->err, VMFS_R_STICKY, child->id);
}

/* In the order of Linux's may_delete(). */
int vm_name_check_delete(struct vm_ctx *ctx, const struct vm_inode *dir,
                         const struct vm_inode *child)
{
    int result = vm_inode_check_change(ctx, dir, false);
    if (result == 0)
        result = check_sticky(ctx, dir, child);
    return result ? result : vm_inode_check_change(ctx, child, false);
}

static int check_unlink(struct vm_ctx *ctx, const struct vm_inode *child, bool is_rmdir)
{
    if (vm_inode_is_directory(child) != is_rmdir)
        return is_rmdir ? vm_raise(&ctx->err, VMFS_R_RMDIR_FILE, child->id)
                        : vm_unlink_directory(ctx, child->id);
    return is_rmdir ? vm_dir_check_empty(ctx, child) : 0;
}

/* What an unlink works on, loaded under the locks. */
struct unlinking {
    struct vm_inode dir;
    struct vm_inode child;
    struct vm_named_hit hit;
};

/* Loads the directory, finds the name and locks what it means: 1, 0 with the id where that lock cannot
 * be had in this order, or a reason. */
static int unlink_find(struct vm_ctx *ctx, uint64_t dir_id, struct vm_name name,
                       struct unlinking *un)
{
    int result = vm_dir_load(ctx, dir_id, &un->dir);
    if (result)
        return result;
    result = vm_dir_find(ctx, &un->dir, name, &un->hit);
    if (result <= 0)
        return result ? result : vm_path_missing(ctx);
    return vm_lock_another(ctx, un->hit.entry.value);
}

/* 1 if the rest of the inode is to be freed, without locks. */
static int unlink_staged(struct vm_ctx *ctx, struct unlinking *un, bool is_rmdir)
{
    int result = vm_inode_load(ctx, un->hit.entry.value, &un->child);
    if (result == 0)
        result = vm_name_check_delete(ctx, &un->dir, &un->child);
    if (result == 0)
        result = check_unlink(ctx, &un->child, is_rmdir);
    if (result == 0)
        result = vm_dir_remove(ctx, &un->dir, &un->hit);
    if (result)
        return result;
    if (is_rmdir)
        vm_inode_set_nlink(&un->dir, vm_inode_nlink(&un->dir) - 1);
    int more = vm_name_drop_link(ctx, &un->child);
    result = more < 0 ? more : vm_inode_store(ctx, &un->dir);
    if (result == 0)
        result = vm_tx_commit(ctx);
    return result ? result : more;
}

/* 1, and the id of an inode to be freed. */
static int unlink_begun(struct vm_ctx *ctx, uint64_t dir_id, struct vm_name name, bool is_rmdir,
                        uint64_t *rest_out)
{
    struct unlinking un;
    uint64_t id = 0;
    int found = 0;
    while (found == 0) {
        const uint64_t ids[2] = {dir_id, id};
        vm_lock_inodes(ctx, ids, 2);
        found = unlink_find(ctx, dir_id, name, &un);
        if (found == 0) {
            id = un.hit.entry.value;
            vm_unlock_inodes(ctx);
        }
    }
    int result = found < 0 ? found : unlink_staged(ctx, &un, is_rmdir);
    vm_unlock_inodes(ctx);
    if (result > 0)
        *rest_out = un.child.id;
    return result;
}

int vm_name_unlink(struct vm_ctx *ctx, uint64_t dir_id, struct vm_name name, bool is_rmdir)
{
    int result = vm_tx_begin(ctx);
    if (result)
        return result;
    uint64_t rest;
    result = unlink_begun(ctx, dir_id, name, is_rmdir, &rest);
    vm_tx_end(ctx);
    return result > 0 ? vm_reap(ctx, rest) : result; /* O2 */
}
