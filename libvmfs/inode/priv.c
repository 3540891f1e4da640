/* priv.c -- taking set-id bits and capabilities away */
#include "inode/priv.h"

#include <string.h>

#include "inode/xattr.h"

#define SET_USER      04000u
#define GROUP_EXECUTE 00010u

uint32_t vm_priv_mode(uint32_t mode)
{
    return mode & ~(SET_USER | (mode & GROUP_EXECUTE ? VM_MODE_SET_GROUP : 0));
}

static int kill_capability(struct vm_ctx *ctx, struct vm_inode *inode)
{
    static const char text[] = "security.capability";
    const struct vm_name name = {(const uint8_t *)text, sizeof text - 1};
    struct vm_map map = vm_inode_xattr_map(inode);
    struct vm_named_hit hit;
    int found = map.root ? vm_named_find(ctx, &map, name, &hit) : 0;
    if (found <= 0)
        return found;
    int result = vm_xattr_remove(ctx, inode, name);
    return result ? result : 1;
}

int vm_priv_kill(struct vm_ctx *ctx, struct vm_inode *inode, bool with_set_id)
{
    uint32_t mode = vm_inode_mode(inode);
    bool is_changed = with_set_id && vm_inode_is_file(inode) && vm_priv_mode(mode) != mode;
    if (is_changed)
        inode->m.mode = vm_put16((uint16_t)vm_priv_mode(mode));
    int result = kill_capability(ctx, inode);
    return result ? result : is_changed;
}
