/* in_flight.c -- what an operation that was cut short may leave */
#include "in_flight.h"

#include <stdio.h>

#include "compare.h"

/* The slot whose file an operation that was cut may have changed in part: a write that is not atomic, a
 * copy, a change of a range's blocks. Null for one that is all or nothing. */
static const struct op_slot *torn_slot(const struct op_world *world, const struct op *op)
{
    const struct op_slot *slot = &world->slots[op->slot];
    switch ((int)op->kind) {
    case OP_WRITE:
    case OP_WRITE_HERE:
        return (slot->flags & VMFS_O_ATOMIC) != 0 ? NULL : slot;
    case OP_COPY:
        return &world->slots[op->other_slot];
    case OP_ALLOCATE:
        return (op->flags & (VMFS_ALLOC_COLLAPSE | VMFS_ALLOC_INSERT)) != 0 ? NULL : slot;
    default:
        return NULL;
    }
}

bool in_flight_agrees(struct vmfs *fs, const char *prefix, struct op_world *world,
                      const struct op *op, struct op_result *result, char text[2048])
{
    char without[512];
    char with[512];
    char op_text[512];
    if (compare_tree(fs, prefix, world->model, NULL, without) == 0)
        return true;
    const struct op_slot *slot = torn_slot(world, op);
    bool is_write = slot != NULL && slot->node != NULL;
    struct compare_partial partial = {.is_paged = world->is_paged};
    if (is_write)
        compare_partial_init(&partial, slot->node);
    op_run_model(op, world, OP_DATA_MAX, result);
    bool is_equal = compare_tree(fs, prefix, world->model, is_write ? &partial : NULL, with) == 0;
    if (is_equal && is_write)
        is_equal = compare_settle(fs, prefix, world->model, &partial) == 0;
    compare_partial_free(&partial);
    op_to_text(op, op_text, sizeof(op_text));
    if (!is_equal)
        snprintf(text, 2048,
                 "at the acknowledged operations: %s\n  with the one in flight (%s): %s", without,
                 op_text, with);
    return is_equal;
}
