/* model_rename.c -- rename: what it forbids, and what it does */
#include <errno.h>

#include "model_fs.h"

static bool is_ancestor(const struct model_node *ancestor, const struct model_node *node)
{
    while (node != ancestor && node->self != NULL)
        node = node->self->dir;
    return node == ancestor;
}

/* The checks of what a rename replaces; 0 or an error. */
static int check_replaced(const struct model_walk *from, const struct model_walk *to)
{
    if (to->node == NULL || to->node == from->node)
        return 0;
    if (model_is_dir(from->node) && !model_is_dir(to->node))
        return -ENOTDIR;
    if (!model_is_dir(from->node) && model_is_dir(to->node))
        return -EISDIR;
    return model_is_dir(to->node) && to->node->entries != NULL ? -ENOTEMPTY : 0;
}

/* A directory would come to lie below itself. */
static int check_cycle(const struct model_walk *from, const struct model_walk *to, bool is_exchange)
{
    if (model_is_dir(from->node) && is_ancestor(from->node, to->parent))
        return -EINVAL;
    if (to->node == NULL || !model_is_dir(to->node) || !is_ancestor(to->node, from->parent))
        return 0;
    return is_exchange ? -EINVAL : -ENOTEMPTY;
}

static int check_exists(const struct model_walk *from, const struct model_walk *to, uint32_t flags)
{
    if (from->node == NULL || ((flags & VMFS_RENAME_EXCHANGE) != 0 && to->node == NULL))
        return -ENOENT;
    return (flags & VMFS_RENAME_NOREPLACE) != 0 && to->node != NULL ? -EEXIST : 0;
}

static int check_slashes(const struct model_walk *from, const struct model_walk *to,
                         bool is_exchange)
{
    bool has_slash = from->has_trailing_slash || (to->has_trailing_slash && !is_exchange);
    return has_slash && !model_is_dir(from->node) ? -ENOTDIR : 0;
}

/* A last component that cannot be renamed is an error whatever else is wrong. */
static void note_last(const struct model_walk *walk)
{
    if (walk->last != MODEL_LAST_NORMAL)
        model_note(walk->model, -EBUSY, 0);
    if (walk->last > MODEL_LAST_ROOT)
        model_note(walk->model, -EINVAL, 0);
}

static int check_last(const struct model_walk *from, const struct model_walk *to, uint32_t flags)
{
    if (from->last != MODEL_LAST_NORMAL)
        return -EBUSY;
    if (to->last != MODEL_LAST_NORMAL)
        return (flags & VMFS_RENAME_NOREPLACE) != 0 ? -EEXIST : -EBUSY;
    return 0;
}

static int check_forbidden(const struct model_walk *from, const struct model_walk *to)
{
    if (from->node == to->node)
        return 0;
    int err = model_may_remove(from);
    if (err == 0)
        err = to->node != NULL ? model_may_remove(to) : model_may_add(to);
    return err;
}

/* All that is wrong with a rename whose paths could be walked: the first is returned. */
static int check_rename(const struct model_walk *from, const struct model_walk *to, uint32_t flags)
{
    bool is_exchange = (flags & VMFS_RENAME_EXCHANGE) != 0;
    bool is_whole =
        from->node != NULL && from->last == MODEL_LAST_NORMAL && to->last == MODEL_LAST_NORMAL;
    const int errors[] = {
        check_last(from, to, flags),
        check_exists(from, to, flags),
        is_whole ? check_slashes(from, to, is_exchange) : 0,
        is_whole ? check_cycle(from, to, is_exchange) : 0,
        is_whole ? check_forbidden(from, to) : 0,
        is_whole && !is_exchange ? check_replaced(from, to) : 0,
    };
    int first = 0;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (errors[i] != 0)
            first = model_note(from->model, errors[i], first != 0 ? first : errors[i]);
    }
    return first;
}

/* Walks two paths: which of two errors is returned is open. */
static int walk_both(struct model *model, struct model_walk *from, struct model_walk *to,
                     const struct model_at *places[2], uint32_t flags)
{
    int err = model_walk(from, model, places[0], false);
    int other = model_walk(to, model, places[1], false);
    if (err == 0)
        note_last(from);
    if (err == 0 && from->node == NULL)
        model_note(model, -ENOENT, 0);
    if (other == 0)
        note_last(to);
    if (other == 0 && to->last != MODEL_LAST_NORMAL && (flags & VMFS_RENAME_NOREPLACE) != 0)
        model_note(model, -EEXIST, 0);
    return err != 0 && other != 0 ? model_note(model, other, err) : err + other;
}

int model_rename(struct model *model, const struct model_at *from_at, const struct model_at *to_at,
                 uint32_t flags)
{
    uint32_t known = VMFS_RENAME_NOREPLACE | VMFS_RENAME_EXCHANGE;
    if ((flags & ~known) != 0 || (flags & known) == known)
        return -EINVAL;
    struct model_walk from;
    struct model_walk to;
    int err = walk_both(model, &from, &to, (const struct model_at *[]){from_at, to_at}, flags);
    if (err == 0)
        err = check_rename(&from, &to, flags);
    if (err != 0 || from.node == to.node)
        return err;
    struct model_entry *old = model_lookup(model, from.parent, from.name);
    struct model_node *moved = from.node;
    struct model_node *other = to.node;
    if (other != NULL && (flags & VMFS_RENAME_EXCHANGE) == 0) {
        model_drop_name(&to);
        other = NULL;
    } else if (other != NULL) {
        model_remove_entry(model, model_lookup(model, to.parent, to.name));
        model_touch_change(other);
    }
    model_remove_entry(model, old);
    model_touch_change(moved);
    model_add_entry(&to, moved);
    if (other != NULL)
        model_add_entry(&from, other);
    return 0;
}
