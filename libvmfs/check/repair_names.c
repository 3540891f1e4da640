/* repair_names.c -- parents, link counts, and what cannot be reached */
#include "check/repair.h"

#include <string.h>

#include "base/text.h"
#include "inode/table.h"
#include "name/dir.h"
#include "name/nsop.h"

#define LOST_MODE (VM_MODE_DIRECTORY | 0700u)

int vm_repair_parents(struct vm_check *check)
{
    for (uint64_t slot = 0; slot < check->slot_count; slot++) {
        struct vm_inode dir;
        struct vm_inode parent;
        if (!(check->flags[slot] & VM_SLOT_NAMED))
            continue;
        vm_slot_load(check, slot, &dir);
        vm_slot_load(check, check->parents[slot], &parent);
        int result = vm_repair_room(check->ctx, 0, 8);
        if (result)
            return result;
        if (vm_get64(dir.m.parent) == parent.id)
            continue;
        dir.m.parent = vm_put64(parent.id);
        vm_repair_store(check->ctx, &dir);
        vm_mended(check, NAMES, "directory %i has inode %n as '..'", dir.id, parent.id);
    }
    return 0;
}

/* What an inode's links must be; what has none and no name is left as it is. */
static uint32_t links_wanted(const struct vm_check *check, const struct vm_inode *inode)
{
    uint64_t slot = vm_id_slot(inode->id);
    uint32_t met = check->links[slot];
    if (!vm_inode_is_directory(inode))
        return met ? met : vm_inode_nlink(inode);
    bool is_dead = vm_inode_nlink(inode) == 0 && !(check->flags[slot] & VM_SLOT_NAMED) && !met;
    return is_dead ? 0 : met + 2;
}

int vm_repair_links(struct vm_check *check)
{
    for (uint64_t slot = 0; slot < check->slot_count; slot++) {
        struct vm_inode inode;
        if (!(check->flags[slot] & VM_SLOT_LIVING))
            continue;
        vm_slot_load(check, slot, &inode);
        uint32_t wanted = links_wanted(check, &inode);
        int result = vm_repair_room(check->ctx, 0, 8);
        if (result)
            return result;
        if (wanted == vm_inode_nlink(&inode))
            continue;
        vm_mended(check, LINKS, "inode %i has %n links now, not %n", inode.id, wanted,
                  vm_inode_nlink(&inode));
        vm_inode_set_nlink(&inode, wanted);
        vm_repair_store(check->ctx, &inode);
    }
    return 0;
}

/* ---- lost and found ---- */

static struct vm_name text_name(const struct vm_text *text)
{
    return (struct vm_name){(const uint8_t *)text->bytes, (uint32_t)text->used};
}

/* The directory for what is lost: made where there is none; under another name where that is no
 * directory. */
static int lost_directory(struct vm_ctx *ctx, uint64_t *id_out)
{
    for (unsigned number = 0; number < 100; number++) {
        char bytes[32];
        uint32_t type = 0;
        struct vm_text text = vm_text_init(bytes, sizeof bytes);
        vm_text_str(&text, "lost+found");
        if (number)
            vm_text_u64(&text, number);
        int result = vm_dir_lookup(ctx, VM_ROOT_ID, text_name(&text), id_out, &type);
        if (result < 0)
            return result;
        if (result == 0) {
            const struct vm_new new = {.mode = LOST_MODE};
            return vm_name_create(ctx, VM_ROOT_ID, text_name(&text), &new, id_out);
        }
        if (type == VM_MODE_DIRECTORY)
            return 0;
    }
    return -VMFS_R_EXISTS;
}

/* "#ID", or "#ID.N" where that is taken: 1 and where it would lie, or a reason. */
static int lost_name(struct vm_ctx *ctx, const struct vm_inode *lost, uint64_t id,
                     struct vm_text *text, struct vm_named_hit *hit)
{
    for (uint64_t number = 1;; number++) {
        *text = vm_text_init(text->bytes, text->size);
        vm_text_str(text, "#");
        vm_text_u64(text, id);
        if (number > 1)
            vm_text_str(text, ".");
        if (number > 1)
            vm_text_u64(text, number);
        int result = vm_dir_find(ctx, lost, text_name(text), hit);
        if (result <= 0)
            return result ? result : 1;
    }
}

static int name_lost(struct vm_ctx *ctx, uint64_t lost_id, struct vm_inode *child)
{
    char bytes[64];
    struct vm_named_hit hit;
    struct vm_inode lost;
    struct vm_text text = vm_text_init(bytes, sizeof bytes);
    int result = vm_dir_load(ctx, lost_id, &lost);
    if (result == 0)
        result = lost_name(ctx, &lost, child->id, &text, &hit);
    if (result < 0)
        return result;
    result = vm_dir_add(ctx, &lost, text_name(&text), &hit, child);
    if (result)
        return result;
    if (vm_inode_is_directory(child)) {
        vm_inode_set_nlink(&lost, vm_inode_nlink(&lost) + 1);
        child->m.parent = vm_put64(lost_id);
    } else {
        vm_inode_set_nlink(child, 1);
    }
    vm_repair_store(ctx, child);
    vm_repair_store(ctx, &lost);
    return 0;
}

static int find_home(struct vm_check *check, uint64_t lost_id, uint64_t slot)
{
    struct vm_ctx *ctx = check->ctx;
    struct vm_inode child;
    vm_slot_load(check, slot, &child);
    int result = vm_tx_begin(ctx);
    if (result)
        return result;
    result = name_lost(ctx, lost_id, &child);
    if (result == 0)
        result = vm_tx_commit(ctx);
    vm_tx_end(ctx);
    if (result == 0)
        vm_mended(check, REACH, "inode %i, which had no way to it, is in /lost+found", child.id);
    return result;
}

static bool is_lost(struct vm_check *check, uint64_t slot)
{
    struct vm_inode inode;
    if (!(check->flags[slot] & VM_SLOT_LIVING))
        return false;
    vm_slot_load(check, slot, &inode);
    if (vm_inode_nlink(&inode) == 0)
        return false;
    return check->flags[slot] & VM_SLOT_DIRECTORY ? check->flags[slot] & VM_SLOT_LOST
                                                  : check->links[slot] == 0;
}

/* Directories without a name come first, with all below them; if there are none, the lost ones lie in a
 * circle, which is cut at one. */
int vm_repair_lost(struct vm_check *check)
{
    uint64_t lost_id;
    uint64_t circle = 0;
    unsigned named = 0;
    int result = lost_directory(check->ctx, &lost_id);
    for (uint64_t slot = 0; result == 0 && slot < check->slot_count; slot++) {
        if (!is_lost(check, slot))
            continue;
        bool is_below =
            (check->flags[slot] & VM_SLOT_DIRECTORY) && (check->flags[slot] & VM_SLOT_NAMED);
        if (is_below && circle == 0)
            circle = slot;
        if (is_below)
            continue;
        result = find_home(check, lost_id, slot);
        named++;
    }
    if (result == 0 && named == 0 && circle)
        result = find_home(check, lost_id, circle);
    return result;
}
