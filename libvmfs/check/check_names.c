/* check_names.c -- names, link counts, and the way to the root */
#include "check/state.h"
#include "name/dir.h"

#define TYPE_SHIFT 12u

static void check_subdirectory(struct vm_check *check, const struct vm_inode *dir,
                               const struct vm_inode *child)
{
    uint64_t slot = vm_id_slot(child->id);
    check->links[vm_id_slot(dir->id)]++;
    if ((check->flags[slot] & VM_SLOT_NAMED) || slot == VM_ROOT_ID) {
        vm_problem(check, NAMES, NONE, "directory %i is named again, in directory %i", child->id,
                   dir->id);
        if (slot == VM_ROOT_ID || vm_get64(child->m.parent) != dir->id)
            return;
        vm_slot_mark(check, check->parents[slot]); /* its '..' says which of the names counts */
        check->parents[slot] = (uint32_t)vm_id_slot(dir->id);
        return;
    }
    check->flags[slot] |= VM_SLOT_NAMED;
    check->parents[slot] = (uint32_t)vm_id_slot(dir->id);
}

void vm_check_entry(struct vm_check *check, const struct vm_inode *dir,
                    const struct vm_named_hit *hit, const uint8_t *name)
{
    uint64_t id = hit->entry.value;
    uint64_t slot = vm_id_slot(id);
    struct vm_inode child = {.id = 0};
    if (!vm_name_is_allowed(name, hit->entry.name_bytes))
        vm_problem(check, NAMES, NONE, "directory %i has a name for inode %i that no name may be",
                   dir->id, id);
    if (slot < check->slot_count && (check->flags[slot] & VM_SLOT_LIVING))
        vm_slot_load(check, slot, &child);
    if (child.id != id || id == 0) {
        vm_problem(check, NAMES, NONE, "directory %i names inode %i, which does not live", dir->id,
                   id);
        return;
    }
    if (vm_inode_mode(&child) >> TYPE_SHIFT != hit->entry.type)
        vm_problem(check, NAMES, NONE, "directory %i says that inode %i is of type %n", dir->id, id,
                   hit->entry.type);
    if (vm_inode_is_directory(&child))
        check_subdirectory(check, dir, &child);
    else
        check->links[slot]++;
}

/* Entries are looked at where the maps are walked; what they say together is looked at here. */
int vm_check_names(struct vm_check *check)
{
    for (uint64_t slot = 0; slot < check->slot_count; slot++) {
        struct vm_inode dir;
        struct vm_inode parent;
        if (!(check->flags[slot] & VM_SLOT_NAMED))
            continue;
        vm_slot_load(check, slot, &dir);
        vm_slot_load(check, check->parents[slot], &parent);
        if (vm_get64(dir.m.parent) != parent.id)
            vm_problem(check, NAMES, NONE, "directory %i is named in %n but has %n as '..'", dir.id,
                       parent.id, vm_get64(dir.m.parent));
    }
    return 0;
}

/* What has links and no name is the next pass's business. */
static void check_links(struct vm_check *check, const struct vm_inode *inode)
{
    uint64_t slot = vm_id_slot(inode->id);
    uint64_t links = vm_inode_nlink(inode);
    uint64_t met = check->links[slot];
    bool is_named = check->flags[slot] & VM_SLOT_NAMED;
    if (!vm_inode_is_directory(inode)) {
        if (links != met && met > 0)
            vm_problem(check, LINKS, NONE, "inode %i has %n links but %n names", inode->id, links,
                       met);
        return;
    }
    if (links == 0 && (is_named || met))
        vm_problem(check, LINKS, NONE,
                   "directory %i was removed but has a name or %n subdirectories", inode->id, met);
    if (links != 0 && links != met + 2)
        vm_problem(check, LINKS, NONE, "directory %i has %n links but %n subdirectories", inode->id,
                   links, met);
}

int vm_check_links(struct vm_check *check)
{
    for (uint64_t slot = 0; slot < check->slot_count; slot++) {
        struct vm_inode inode;
        if (!(check->flags[slot] & VM_SLOT_LIVING))
            continue;
        vm_slot_load(check, slot, &inode);
        check_links(check, &inode);
    }
    return 0;
}

/* Walks up from a directory to one whose fate is known and gives all on the way the same; who comes
 * back to its own way, or to no name, is lost. */
static void climb(struct vm_check *check, uint64_t start)
{
    const uint8_t known = VM_SLOT_REACHED | VM_SLOT_LOST | VM_SLOT_CLIMBED;
    uint64_t slot = start;
    while (!(check->flags[slot] & known)) {
        check->flags[slot] |= VM_SLOT_CLIMBED;
        if (check->flags[slot] & VM_SLOT_NAMED)
            slot = check->parents[slot];
    }
    uint8_t fate = check->flags[slot] & VM_SLOT_REACHED ? VM_SLOT_REACHED : VM_SLOT_LOST;
    for (slot = start; check->flags[slot] & VM_SLOT_CLIMBED; slot = check->parents[slot]) {
        check->flags[slot] = (uint8_t)((check->flags[slot] & ~VM_SLOT_CLIMBED) | fate);
        if (!(check->flags[slot] & VM_SLOT_NAMED))
            break;
    }
}

int vm_check_reach(struct vm_check *check)
{
    if (check->slot_count > VM_ROOT_ID)
        check->flags[VM_ROOT_ID] |= VM_SLOT_REACHED;
    for (uint64_t slot = 0; slot < check->slot_count; slot++) {
        struct vm_inode inode;
        if (!(check->flags[slot] & VM_SLOT_LIVING))
            continue;
        bool is_directory = check->flags[slot] & VM_SLOT_DIRECTORY;
        if (is_directory)
            climb(check, slot);
        bool is_lost = is_directory ? check->flags[slot] & VM_SLOT_LOST : check->links[slot] == 0;
        if (!is_lost)
            continue;
        vm_slot_load(check, slot, &inode);
        if (vm_inode_nlink(&inode) > 0)
            vm_problem(check, REACH, NONE, "inode %i has %n links but cannot be reached", inode.id,
                       vm_inode_nlink(&inode));
    }
    return 0;
}
