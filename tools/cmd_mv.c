/* cmd_mv.c -- vmfs mv: rename, or exchange two names */
#include "path.h"
#include "tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As mv(1) does: into a directory that exists. */
static void dest_choose(struct tool *tool, struct path *dest, const char *base)
{
    struct vmfs_stat status;

    if (tool->is_set[OPTION_EXCHANGE] || !*base)
        return;
    if (vmfs_stat(tool->fs, dest->text, 0, &status) == 0 &&
        (status.mode & VMFS_S_IFMT) == VMFS_S_IFDIR)
        path_push(dest, base);
}

static void move_failed(struct tool *tool, int err, const char *from, const char *to)
{
    size_t size_bytes = strlen(from) + strlen(to) + sizeof(" to ");
    char *both = memory_grow(NULL, size_bytes);

    snprintf(both, size_bytes, "%s to %s", from, to);
    tool_fail_inside(tool, err, both);
    free(both);
}

static void name_move(struct tool *tool, const char *from, struct path *dest)
{
    char *base = path_base(from);
    uint32_t flags = 0;
    int err;

    if (tool->is_set['n'])
        flags |= VMFS_RENAME_NOREPLACE;
    if (tool->is_set[OPTION_EXCHANGE])
        flags |= VMFS_RENAME_EXCHANGE;
    dest_choose(tool, dest, base);
    err = vmfs_rename(tool->fs, from, dest->text, flags);
    if (err)
        move_failed(tool, err, from, dest->text);
    free(base);
}

static void mv_run(struct tool *tool)
{
    char *from = path_absolute(tool->operands[0]);
    char *to = path_absolute(tool->operands[1]);
    struct path dest;

    path_init(&dest, to);
    name_move(tool, from, &dest);
    path_free(&dest);
    free(to);
    free(from);
}

const struct verb verb_mv = {
    .name = "mv",
    .synopsis = "[-n] [--exchange] REGION /FROM /TO",
    .summary = "rename a file or directory",
    .help = "Gives /FROM the name /TO in one atomic step, replacing what /TO named. If /TO is a\n"
            "directory, /FROM moves into it.\n\n"
            "  -n, --no-clobber    fail if /TO exists\n"
            "  --exchange          both exist, and change places\n",
    .options = (const int[]){'n', OPTION_EXCHANGE, 0},
    .operands_min = 3,
    .operands_max = 3,
    .opens = OPENS_WRITE,
    .failed_status = STATUS_FAILED,
    .usage_status = STATUS_USAGE,
    .run = mv_run,
};
