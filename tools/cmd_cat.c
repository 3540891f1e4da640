/* cmd_cat.c -- vmfs cat: write files to standard output */
#include "path.h"
#include "tool.h"

#include <stdlib.h>

#define BUFFER_BYTES ((size_t)1 << 18)

static void file_write(struct tool *tool, struct vmfs_file *file, const char *path, char *buffer)
{
    int64_t got;

    while ((got = vmfs_file_read(file, buffer, BUFFER_BYTES)) > 0) {
        int err = tool_write_stdout(buffer, (size_t)got);
        if (err) {
            tool_fail(tool, err, "standard output");
            return;
        }
    }
    if (got < 0)
        tool_fail_inside(tool, (int)got, path);
}

static void cat_run(struct tool *tool)
{
    char *buffer = memory_grow(NULL, BUFFER_BYTES);
    int i;

    for (i = 0; i < tool->operand_count; i++) {
        struct vmfs_file *file;
        int err = vmfs_file_open(tool->fs, tool->operands[i], VMFS_O_RDONLY, 0, &file);
        if (err) {
            tool_fail_inside(tool, err, tool->operands[i]);
            continue;
        }
        file_write(tool, file, tool->operands[i], buffer);
        vmfs_file_close(file);
    }
    free(buffer);
}

const struct verb verb_cat = {
    .name = "cat",
    .synopsis = "[--peek] REGION /PATH...",
    .summary = "write files to standard output",
    .help = "Writes the contents of each file /PATH to standard output, one after the other.\n",
    .options = (const int[]){OPTION_PEEK, 0},
    .operands_min = 2,
    .operands_max = INT32_MAX,
    .opens = OPENS_READ,
    .failed_status = STATUS_FAILED,
    .usage_status = STATUS_USAGE,
    .run = cat_run,
};
