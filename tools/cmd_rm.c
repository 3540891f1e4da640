/* cmd_rm.c -- vmfs rm: remove files and trees */
#include "path.h"
#include "tool.h"
#include "walk.h"

#include <errno.h>
#include <stdlib.h>

static void name_remove(struct tool *tool, const char *path)
{
    int err = vmfs_unlink(tool->fs, path);

    if (err)
        tool_fail_inside(tool, err, path);
    else
        progress_add(&tool->progress, 1, 0);
}

static void directory_remove(struct tool *tool, const char *path)
{
    int err = vmfs_rmdir(tool->fs, path);

    if (err)
        tool_fail_inside(tool, err, path);
}

static void walk_into(struct tool *tool, struct walk *walk)
{
    int err = walk_enter(walk);

    if (err)
        tool_fail_inside(tool, err, walk->path.text);
}

static void tree_remove(struct tool *tool, const char *path)
{
    enum walk_event event;
    struct walk walk;

    walk_start(&walk, tool->fs, path);
    walk_into(tool, &walk);
    while ((event = walk_next(&walk)) != WALK_END) {
        if (event == WALK_FAILED)
            tool_fail_inside(tool, walk.err, walk.path.text);
        else if (event == WALK_LEAVE)
            directory_remove(tool, walk.path.text);
        else if (walk.type == VMFS_S_IFDIR)
            walk_into(tool, &walk);
        else
            name_remove(tool, walk.path.text);
    }
    walk_stop(&walk);
}

/* rmdir would refuse the root in the end, but only after everything below it was gone. */
static bool is_root(struct tool *tool, const struct vmfs_stat *status)
{
    struct vmfs_stat root;

    return vmfs_stat(tool->fs, "/", 0, &root) == 0 && root.ino == status->ino;
}

static void path_remove(struct tool *tool, const char *path)
{
    struct vmfs_stat status;
    int err = vmfs_stat(tool->fs, path, VMFS_NOFOLLOW, &status);

    if (err == -ENOENT && tool->is_set['f'])
        return;
    if (err)
        tool_fail_inside(tool, err, path);
    else if ((status.mode & VMFS_S_IFMT) != VMFS_S_IFDIR)
        name_remove(tool, path);
    else if (!tool->is_set['r'])
        tool_fail_text(tool, path, "is a directory, which takes -r");
    else if (is_root(tool, &status))
        tool_fail_text(tool, path, "the root directory cannot be removed");
    else
        tree_remove(tool, path);
}

static void rm_run(struct tool *tool)
{
    int i;

    for (i = 0; i < tool->operand_count; i++) {
        char *path = path_absolute(tool->operands[i]);
        path_remove(tool, path);
        free(path);
    }
}

const struct verb verb_rm = {
    .name = "rm",
    .synopsis = "[-r] [-f] REGION /PATH...",
    .summary = "remove files",
    .help = "Removes each /PATH. A symbolic link is removed itself, not what it leads to.\n\n"
            "  -r, --recursive     remove directories with all that is in them\n"
            "  -f, --force         do not mind names that do not exist\n",
    .options = (const int[]){'r', 'f', 0},
    .operands_min = 2,
    .operands_max = INT32_MAX,
    .opens = OPENS_WRITE,
    .failed_status = STATUS_FAILED,
    .usage_status = STATUS_USAGE,
    .run = rm_run,
};
