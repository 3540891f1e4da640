/* private.c -- drawing for trees on a mount */
#include "private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"

struct private_tree *private_create(uint64_t seed, const struct op_profile *profile,
                                    bool is_stepwise)
{
    struct private_tree *tree = model_allocate(sizeof(*tree));
    tree->profile = profile;
    tree->is_stepwise = is_stepwise;
    tree->world.model = model_create(0, 0);
    tree->world.is_paged = true;
    seed_init(&tree->stream, seed);
    return tree;
}

void private_destroy(struct private_tree *tree)
{
    if (tree == NULL)
        return;
    op_close_slots(&tree->world);
    model_destroy(tree->world.model);
    free(tree);
}

/* Several attributes are several calls, and the kernel passes no mode on that moves data. */
static void make_one_step(struct op *op)
{
    const uint32_t owner = VMFS_ATTR_UID | VMFS_ATTR_GID;
    const uint32_t times = VMFS_ATTR_ATIME | VMFS_ATTR_MTIME;
    uint32_t mask = op->attr.mask;
    if ((mask & owner) != 0)
        op->attr.mask = mask & owner;
    else
        op->attr.mask = (mask & times) != 0 ? mask & times : mask & (0 - mask);
    if (op->kind == OP_ALLOCATE && (op->flags & (VMFS_ALLOC_COLLAPSE | VMFS_ALLOC_INSERT)) != 0)
        op->flags = VMFS_ALLOC_ZERO;
}

void private_draw(struct private_tree *tree)
{
    struct op *op = &tree->op;
    op_generate(op, &tree->world, &tree->stream, tree->profile);
    /* No system call writes atomically, and access control lists have tests of their own. */
    if (op->kind == OP_OPEN || op->kind == OP_TMPFILE)
        op->flags &= ~(uint32_t)VMFS_O_ATOMIC;
    if (strncmp(op->name, "system.posix", 12) == 0)
        memcpy(op->name, "user.list", sizeof("user.list"));
    if (tree->is_stepwise)
        make_one_step(op);
}

void private_apply(struct private_tree *tree)
{
    op_run_model(&tree->op, &tree->world, OP_DATA_MAX, &tree->result);
    tree->done++;
}

void private_settle(struct private_tree *tree)
{
    struct model *model = tree->world.model;
    op_close_slots(&tree->world);
    model->root->is_atime_known = false;
    for (size_t i = 0; i < model->entry_count; i++)
        model->entries[i]->node->is_atime_known = false;
}

bool private_agrees(struct private_tree *tree, struct vmfs *fs, const char *prefix)
{
    char text[512];
    if (compare_tree(fs, prefix, tree->world.model, NULL, text) == 0)
        return true;
    printf("%s after %llu operations: %s\n", prefix, (unsigned long long)tree->done, text);
    return false;
}
