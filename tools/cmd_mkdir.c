/* cmd_mkdir.c -- vmfs mkdir: create directories */
#include "path.h"
#include "tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_directory(struct tool *tool, const char *path)
{
    struct vmfs_stat status;

    return vmfs_stat(tool->fs, path, 0, &status) == 0 &&
           (status.mode & VMFS_S_IFMT) == VMFS_S_IFDIR;
}

/* Each directory on the way, the last name excepted, which gets the mode asked for. */
static int parents_make(struct tool *tool, char *path, uint32_t mode)
{
    char *slash = path;

    while ((slash = strchr(slash + 1, '/')) != NULL) {
        int err;
        *slash = '\0';
        err = vmfs_mkdir(tool->fs, path, mode);
        if (err && is_directory(tool, path))
            err = 0;
        if (err) {
            tool_fail_inside(tool, err, path);
            *slash = '/';
            return err;
        }
        *slash = '/';
    }
    return 0;
}

static void directory_make(struct tool *tool, char *path, uint32_t mode_parents, uint32_t mode)
{
    int err;

    if (tool->is_set['p'] && parents_make(tool, path, mode_parents))
        return;
    err = vmfs_mkdir(tool->fs, path, mode);
    if (err == -EEXIST && tool->is_set['p'] && is_directory(tool, path))
        return;
    if (err)
        tool_fail_inside(tool, err, path);
}

static bool mode_parse(const char *text, uint32_t *mode)
{
    char *end;
    unsigned long value = strtoul(text, &end, 8);

    *mode = (uint32_t)value;
    return *text >= '0' && *text <= '7' && !*end && value <= 07777;
}

static void mkdir_run(struct tool *tool)
{
    mode_t mask = umask(0);
    uint32_t mode_parents = 0777 & ~mask;
    uint32_t mode = mode_parents;
    int i;

    if (tool->is_set['m'] && !mode_parse(tool->values['m'], &mode)) {
        tool_fail_text(tool, tool->values['m'], "is not a mode in octal digits");
        tool->status = tool->verb->usage_status;
        return;
    }
    for (i = 0; i < tool->operand_count; i++) {
        char *path = path_absolute(tool->operands[i]);
        directory_make(tool, path, mode_parents, mode);
        free(path);
    }
}

const struct verb verb_mkdir = {
    .name = "mkdir",
    .synopsis = "[-p] [-m MODE] REGION /PATH...",
    .summary = "create directories",
    .help = "Creates each directory /PATH.\n\n"
            "  -p, --parents       with the directories that lead to it; it may exist\n"
            "  -m, --mode MODE     permission bits in octal digits instead of 0777 less umask\n",
    .options = (const int[]){'p', 'm', 0},
    .operands_min = 2,
    .operands_max = INT32_MAX,
    .opens = OPENS_WRITE,
    .failed_status = STATUS_FAILED,
    .usage_status = STATUS_USAGE,
    .run = mkdir_run,
};
