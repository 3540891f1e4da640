/* reach.c -- counts visits to a large directory and to a region without space */
#include "reach.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct model_node *big_directory(struct model *model)
{
    const struct model_entry *entry = model_lookup(model, model->root, "big");
    return entry != NULL && model_is_dir(entry->node) ? entry->node : NULL;
}

static bool is_in_big(const char *path)
{
    return strncmp(path, "/big/", 5) == 0 && strchr(path + 5, '/') == NULL;
}

static void note_directory(struct reach *reach, const struct op *op, const struct op_world *model,
                           int64_t code)
{
    const struct model_node *big = big_directory(model->model);
    if (big == NULL)
        return;
    if (big->size > reach->directory_max)
        reach->directory_max = big->size;
    if (big->size < REACH_DIRECTORY || code < 0)
        return;
    if (op->kind == OP_DIR_READ && model->dirs[op->slot].node == big)
        reach->reads++;
    else if (op->kind == OP_RENAME && is_in_big(op->path))
        reach->renames++;
    else if (op->kind == OP_UNLINK && is_in_big(op->path))
        reach->removals++;
}

/* A write of a block or more ends a phase. */
static void note_space(struct reach *reach, const struct op *op, const struct op_world *model,
                       int64_t code)
{
    if (code == -ENOSPC && !reach->is_full) {
        reach->is_full = true;
        reach->full_phases++;
    }
    if (!reach->is_full || code < 0)
        return;
    bool is_cut = op->kind == OP_FTRUNCATE && op->length < model->slots[op->slot].node->size;
    if (op->kind == OP_UNLINK || op->kind == OP_RMDIR)
        reach->full_removals++;
    else if (is_cut)
        reach->full_cuts++;
    else if ((op->kind == OP_WRITE || op->kind == OP_WRITE_HERE) && code >= 4096)
        reach->is_full = false;
}

void reach_note(struct reach *reach, const struct op *op, const struct op_world *model,
                int64_t code)
{
    note_directory(reach, op, model, code);
    note_space(reach, op, model, code);
}

void reach_print(const struct reach *reach)
{
    printf("largest directory %llu entries; with %u or more: read %llu times, %llu renames, %llu "
           "removals\n"
           "%llu times without space; meanwhile %llu names removed, %llu files cut\n",
           (unsigned long long)reach->directory_max, REACH_DIRECTORY,
           (unsigned long long)reach->reads, (unsigned long long)reach->renames,
           (unsigned long long)reach->removals, (unsigned long long)reach->full_phases,
           (unsigned long long)reach->full_removals, (unsigned long long)reach->full_cuts);
}

static unsigned demand(uint64_t count, uint64_t least, const char *what)
{
    if (count >= least)
        return 0;
    printf("reach: %llu %s, at least %llu are wanted\n", (unsigned long long)count, what,
           (unsigned long long)least);
    return 1;
}

unsigned reach_verify(const struct reach *reach, bool is_long)
{
    uint64_t least = is_long ? 20 : 1;
    unsigned missing = demand(reach->full_phases, least, "times without space");
    missing += demand(reach->full_removals, least, "names removed without space");
    if (!is_long) /* which may be without space too short to cut a file */
        return missing;
    missing += demand(reach->full_cuts, least, "files cut without space");
    missing += demand(reach->directory_max, REACH_DIRECTORY, "entries in the largest directory");
    missing += demand(reach->reads, 10, "times that directory was read");
    missing += demand(reach->renames, 100, "renames in it");
    missing += demand(reach->removals, 100, "removals in it");
    return missing;
}
