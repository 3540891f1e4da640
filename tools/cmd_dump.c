/* cmd_dump.c -- vmfs dump: the structures of a region as text */
#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    enum vmfs_dump_what what;
    bool has_where;
} parts[] = {
    {"super", VMFS_DUMP_SUPER, false}, {"journal", VMFS_DUMP_JOURNAL, false},
    {"inode", VMFS_DUMP_INODE, true},  {"block", VMFS_DUMP_BLOCK, true},
    {"tree", VMFS_DUMP_TREE, false},
};
#define PART_COUNT (sizeof(parts) / sizeof(parts[0]))

static void line_print(void *arg, const char *line)
{
    (void)arg;
    puts(line);
}

/* A number, or a path where an inode is meant. */
static int where_parse(struct tool *tool, const char *text, uint64_t *out)
{
    struct vmfs_stat status;
    int err;

    if (*text != '/')
        return size_parse(text, out);
    err = vmfs_stat(tool->fs, text, VMFS_NOFOLLOW, &status);
    if (!err)
        *out = status.ino;
    return err;
}

static void part_dump(struct tool *tool, size_t part)
{
    const char *text = tool->operand_count > 1 ? tool->operands[1] : NULL;
    uint64_t where = 0;
    int err = 0;

    if (parts[part].has_where && !text) {
        tool_fail_text(tool, parts[part].name, "which one?");
        return;
    }
    if (text)
        err = where_parse(tool, text, &where);
    if (!err)
        err = vmfs_dump(tool->fs, parts[part].what, where, line_print, NULL);
    if (err)
        tool_fail(tool, err, text ? text : parts[part].name);
}

static void dump_run(struct tool *tool)
{
    size_t part = 0;
    int err;

    while (part < PART_COUNT && strcmp(parts[part].name, tool->operands[0]) != 0)
        part++;
    if (part == PART_COUNT) {
        tool_fail_text(tool, tool->operands[0], "is not super, journal, inode, block or tree");
        return;
    }
    err = tool_open(tool, VMFS_RDONLY | tool_peek(tool));
    if (err == -EUCLEAN) {
        tool_note(tool, tool->region, "is damaged and shown as it is, journal not replayed");
        err = tool_open(tool, VMFS_RDONLY | VMFS_PEEK);
    }
    if (err)
        tool_fail(tool, err, tool->region);
    else
        part_dump(tool, part);
}

const struct verb verb_dump = {
    .name = "dump",
    .synopsis = "[--peek] REGION super | journal | inode N|/PATH | block OFFSET | tree [N|/PATH]",
    .summary = "print structures of a region as text",
    .help =
        "Prints what is on the medium, sound or not: each structure says 'check=good' or\n"
        "'check=BAD'. The lines are '<structure>: <label>=<value> ...'.\n\n"
        "  super               superblocks, watermark and owner lines, zones, groups, inode map\n"
        "  journal             each record of this era, with its entries\n"
        "  inode N | /PATH     the inode with this id, its nodes and its attributes\n"
        "  block OFFSET        whatever lies in the block at this byte of the region\n"
        "  tree [N | /PATH]    a directory, by default the root, with all below it\n\n"
        "A region that is too damaged to be opened is shown without a replay of its journal.\n",
    .options = (const int[]){OPTION_PEEK, 0},
    .operands_min = 2,
    .operands_max = 3,
    .opens = OPENS_ITSELF,
    .failed_status = STATUS_FAILED,
    .usage_status = STATUS_USAGE,
    .run = dump_run,
};
