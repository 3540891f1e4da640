/* repair_rescue.c -- an inode of which one half fails its hash
 *
 * Line 0 and the rest have a hash each. With one of them right this is an inode of its slot, and the other half
 * is believed as far as something else bears it out: kind and type each other, the form the body, extents and
 * nodes their own hashes, links and blocks a count, size and parent the maps and the names. Owner, mode and
 * times cannot be borne out and are kept, with a report; the target of a symbolic link, the number of a device and
 * what kind of special file it is cannot be either, and such an inode is lost with them. */
#include <string.h>

#include "base/hash.h"
#include "base/util.h"
#include "check/repair.h"
#include "index/node.h"

struct rescue {
    struct vm_check *check;
    struct vm_inode *inode;
    bool is_rest_sound;
};

static bool is_zero(const uint8_t *bytes, size_t len_bytes)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, len_bytes - 1) == 0;
}

static bool hash_is_right(const struct vm_check *check, const struct vm_inode *inode, bool is_rest)
{
    uint64_t seed = check->region->hash_seed ^ vm_id_slot(inode->id);
    const struct vm_inode_media *m = &inode->m;
    if (is_rest)
        return vm_get32(m->hash1) == vm_hash32(seed, &m->project, VM_INODE_BYTES - 68);
    return vm_get32(m->hash0) == vm_hash32(seed, &m->mode, 52);
}

/* The head of a map, if one is there that nobody else has. */
static bool map_load(const struct rescue *rescue, uint64_t root, union vm_head *head)
{
    return root && vm_head_load(rescue->check->ctx, root, head) == 0 &&
           !vm_bit_is_set(rescue->check->met, root / VM_BLOCK_BYTES);
}

static bool root_load(const struct rescue *rescue, union vm_head *head)
{
    return map_load(rescue, vm_get64(rescue->inode->m.body.word[0]), head);
}

/* The kind of the leaves that the map in the body leads to; 0 if there is no map. */
static uint8_t leaf_kind(const struct rescue *rescue)
{
    union vm_head head;
    if (!root_load(rescue, &head))
        return 0;
    for (unsigned level = 0; level < VM_NODE_LEVEL_MAX && head.node.kind == VM_NODE_INNER;
         level++) {
        struct vm_place child;
        vm_child_place(rescue->check->ctx, &head, 0, &child);
        if (vm_head_load(rescue->check->ctx, child.offset, &head))
            return 0;
    }
    return head.node.kind;
}

static bool has_extents(const struct rescue *rescue)
{
    unsigned sound = 0;
    for (unsigned index = 0; index < VM_INODE_EXTENTS; index++) {
        struct vm_extent extent;
        const struct vm_extent_media *media = &rescue->inode->m.body.extents[index];
        if (vm_get32(media->blocks) && vm_extent_load(rescue->check->ctx, media, 0, &extent) == 0)
            sound++;
    }
    return sound > 0;
}

/* A device, fifo or socket? No body bears out that an empty one is a file because its type now says so. */
static bool is_special(const struct vm_inode_media *m)
{
    return (m->form == VM_BODY_DEVICE || m->kind == VM_INODE_SPECIAL) &&
           is_zero(m->body.bytes, VM_INODE_BODY);
}

/* What the body bears out, as an index of pairs in kind_find(); or `otherwise`. */
static unsigned kind_of_body(const struct rescue *rescue, unsigned otherwise)
{
    uint8_t kind = leaf_kind(rescue);
    if (kind == VM_NODE_NAMED)
        return 1;
    return kind == VM_NODE_FIXED || has_extents(rescue) ? 0 : otherwise;
}

/* Of kind and type the one that is possible; of two that are and differ, what the body bears out. */
static void kind_find(const struct rescue *rescue)
{
    static const struct {
        uint8_t kind;
        uint32_t type;
    } pairs[] = {{VM_INODE_FILE, VM_MODE_FILE},
                 {VM_INODE_DIRECTORY, VM_MODE_DIRECTORY},
                 {VM_INODE_SYMLINK, VM_MODE_SYMLINK}};
    struct vm_inode_media *m = &rescue->inode->m;
    if (is_special(m))
        return;
    uint32_t type = vm_get16(m->mode) & VM_MODE_TYPE;
    unsigned by_kind = 3;
    unsigned by_type = 3;
    for (unsigned index = 0; index < 3; index++) {
        by_kind = m->kind == pairs[index].kind ? index : by_kind;
        by_type = type == pairs[index].type ? index : by_type;
    }
    unsigned chosen = by_kind < 3 ? by_kind : by_type;
    if (by_kind < 3 && by_type < 3 && by_kind != by_type)
        chosen = kind_of_body(rescue, chosen);
    if (chosen == 3)
        return; /* a device or the like, or nothing */
    m->kind = pairs[chosen].kind;
    m->mode = vm_put16((uint16_t)((vm_get16(m->mode) & VM_MODE_BITS) | pairs[chosen].type));
}

/* What the body is, by itself. False if it is nothing that such an inode has. */
static bool form_find(const struct rescue *rescue)
{
    struct vm_inode_media *m = &rescue->inode->m;
    union vm_head head;
    if (m->kind == VM_INODE_SYMLINK)
        return rescue->is_rest_sound;
    if (m->kind == VM_INODE_SPECIAL || is_special(m))
        return false;
    bool is_directory = m->kind == VM_INODE_DIRECTORY;
    if (is_zero(m->body.bytes, VM_INODE_BODY))
        m->form = VM_BODY_EMPTY;
    else if (!is_directory && has_extents(rescue))
        m->form = VM_BODY_EXTENTS;
    else if (root_load(rescue, &head))
        m->form = VM_BODY_TREE;
    else
        return false;
    return true;
}

/* The tag of a map whose root checks is that of its nodes. */
static void rest_find(const struct rescue *rescue)
{
    struct vm_inode_media *m = &rescue->inode->m;
    union vm_head head;
    m->base_inode = vm_put64(0);
    if (m->form == VM_BODY_TREE && root_load(rescue, &head))
        m->tag = head.node.tag;
    else if (map_load(rescue, vm_get64(m->xattr_root), &head))
        m->tag = head.node.tag;
}

/* A target that lies in the inode ends before its first zero. */
static void target_measure(struct vm_inode *inode)
{
    const uint8_t *bytes = inode->m.body.bytes;
    uint64_t length = 0;
    while (length < VM_INODE_BODY && bytes[length])
        length++;
    vm_inode_set_size(inode, length);
}

/* Whoever has no link would be freed; counting comes later. */
static void line_find(const struct rescue *rescue)
{
    struct vm_inode *inode = rescue->inode;
    uint32_t least = inode->m.kind == VM_INODE_DIRECTORY ? 2 : 1;
    if (vm_inode_nlink(inode) < least || vm_inode_nlink(inode) > VMFS_LINK_MAX)
        vm_inode_set_nlink(inode, least);
    if (inode->m.kind == VM_INODE_SYMLINK && inode->m.form == VM_BODY_BYTES)
        target_measure(inode);
    else if (vm_inode_size(inode) > VMFS_FILE_MAX)
        vm_inode_set_size(inode, 0);
}

bool vm_repair_rescue(struct vm_check *check, struct vm_inode *inode)
{
    struct vm_inode_media before = inode->m;
    const struct rescue rescue = {
        .check = check, .inode = inode, .is_rest_sound = hash_is_right(check, inode, true)};
    bool is_line_sound = hash_is_right(check, inode, false);
    bool is_dead =
        is_line_sound && (inode->m.kind == VM_INODE_FREE || inode->m.form == VM_BODY_RETIRED);
    if (rescue.is_rest_sound == is_line_sound || is_dead)
        return false;
    if (rescue.is_rest_sound)
        kind_find(&rescue);
    bool is_found = form_find(&rescue);
    if (is_line_sound)
        rest_find(&rescue);
    else
        line_find(&rescue);
    uint64_t generation = vm_get32(inode->m.generation) & VM_GENERATION_MAX;
    inode->id = generation << VM_SLOT_BITS | vm_id_slot(inode->id);
    vm_repair_seal(check->ctx, inode);
    if (is_found && inode->m.kind != VM_INODE_FREE &&
        vm_inode_check(check->ctx, vm_id_slot(inode->id), inode->offset, &inode->m) == 0)
        return true;
    inode->m = before;
    return false;
}
