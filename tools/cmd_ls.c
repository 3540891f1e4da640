/* cmd_ls.c -- vmfs ls: list directories
 *
 * With -R the directories still to be listed are kept in a stack, deepest first. */
#include "names.h"
#include "path.h"
#include "show.h"
#include "tool.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

static void long_show(const struct vmfs_stat *status)
{
    char mode[MODE_TEXT_BYTES];
    char time[TIME_TEXT_BYTES];
    uint32_t type = status->mode & VMFS_S_IFMT;

    mode_show(status->mode, mode);
    time_show(status->mtime_ns, false, time);
    printf("%s %3" PRIu32 " %5" PRIu32 " %5" PRIu32 " ", mode, status->nlink, status->uid,
           status->gid);
    if (type == VMFS_S_IFCHR || type == VMFS_S_IFBLK)
        printf("%5u, %4u", major(status->rdev), minor(status->rdev));
    else
        printf("%11" PRIu64, status->size);
    printf(" %s ", time);
}

/* Prints one line for the object at `path`, under the name `name`. */
static void entry_show(struct tool *tool, const char *path, const char *name)
{
    struct vmfs_stat status = {.mode = 0};

    if (tool->is_set['l']) {
        int err = vmfs_stat(tool->fs, path, VMFS_NOFOLLOW, &status);
        if (err) {
            tool_fail_inside(tool, err, path);
            return;
        }
        long_show(&status);
    }
    name_show(name);
    if ((status.mode & VMFS_S_IFMT) == VMFS_S_IFLNK) {
        int err;
        printf(" -> ");
        err = target_show(tool->fs, path);
        if (err)
            tool_fail_inside(tool, err, path);
    }
    printf("\n");
}

static int names_read(struct tool *tool, const char *path, struct names *names,
                      struct names *directories)
{
    struct vmfs_dirent entry;
    struct vmfs_dir *dir;
    int found = vmfs_dir_open(tool->fs, path, &dir);

    if (found < 0)
        return found;
    while ((found = vmfs_dir_read(dir, &entry)) > 0) {
        bool is_dots = name_is_dots(entry.name);
        if (!is_dots || tool->is_set['a'])
            names_add(names, entry.name);
        if (!is_dots && entry.type == VMFS_S_IFDIR)
            names_add(directories, entry.name);
    }
    vmfs_dir_close(dir);
    names_sort(names);
    names_sort(directories);
    return found;
}

/* The subdirectories go onto the stack in reverse, so that the first one is listed first. */
static void directory_show(struct tool *tool, const char *path, struct names *stack)
{
    struct names names = {NULL, 0, 0}, directories = {NULL, 0, 0};
    struct path below;
    size_t i, length;
    int err = names_read(tool, path, &names, &directories);

    if (err)
        tool_fail_inside(tool, err, path);
    path_init(&below, path);
    length = below.length;
    for (i = 0; i < names.count; i++) {
        path_push(&below, names.items[i]);
        entry_show(tool, below.text, names.items[i]);
        path_cut(&below, length);
    }
    for (i = directories.count; i > 0; i--) {
        path_push(&below, directories.items[i - 1]);
        names_add(stack, below.text);
        path_cut(&below, length);
    }
    path_free(&below);
    names_free(&names);
    names_free(&directories);
}

static void tree_show(struct tool *tool, const char *path)
{
    struct names stack = {NULL, 0, 0};
    bool is_first = true;

    names_add(&stack, path);
    while (stack.count > 0) {
        char *next = stack.items[--stack.count];
        if (!is_first)
            printf("\n");
        is_first = false;
        name_show(next);
        printf(":\n");
        directory_show(tool, next, &stack);
        free(next);
    }
    names_free(&stack);
}

static void path_show(struct tool *tool, const char *path)
{
    struct names unused = {NULL, 0, 0};
    struct vmfs_stat status;
    /* As ls does, -l shows a link that is named, not what it leads to. */
    int err = vmfs_stat(tool->fs, path, tool->is_set['l'] ? VMFS_NOFOLLOW : 0, &status);

    if (err) {
        tool_fail_inside(tool, err, path);
    } else if ((status.mode & VMFS_S_IFMT) != VMFS_S_IFDIR) {
        entry_show(tool, path, path);
    } else if (tool->is_set['R']) {
        tree_show(tool, path);
    } else {
        directory_show(tool, path, &unused);
        names_free(&unused);
    }
}

static void ls_run(struct tool *tool)
{
    char *path = path_absolute(tool->operand_count > 0 ? tool->operands[0] : "/");

    path_show(tool, path);
    free(path);
}

const struct verb verb_ls = {
    .name = "ls",
    .synopsis = "[--peek] [-l] [-a] [-R] REGION [/PATH]",
    .summary = "list a directory",
    .help = "Lists /PATH, by default the root directory: names in the order of their bytes, one\n"
            "on each line.\n\n"
            "  -l, --long          with mode, links, owner, group, size, time and link target\n"
            "  -a, --all           with '.' and '..'\n"
            "  -R, --recursive     with all directories below\n",
    .options = (const int[]){OPTION_PEEK, 'l', 'a', 'R', 0},
    .operands_min = 1,
    .operands_max = 2,
    .opens = OPENS_READ,
    .failed_status = STATUS_FAILED,
    .usage_status = STATUS_USAGE,
    .run = ls_run,
};
