/* cmd_format.c -- vmfs format: make a new, empty filesystem */
#include "tool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static void format_run(struct tool *tool)
{
    struct vmfs_info info = {.struct_bytes = sizeof(info)};
    bool is_forced = tool->is_set['f'];
    int err = tool_open(tool, VMFS_CREATE | (is_forced ? VMFS_FORCE : 0));

    if (err == -EEXIST && !is_forced) {
        tool_fail_text(tool, tool->region, "there is something already; --force formats over it");
        return;
    }
    if (!err)
        err = vmfs_info(tool->fs, &info);
    if (err) {
        tool_fail(tool, err, tool->region);
        return;
    }
    printf("formatted: %s, %" PRIu64 " bytes\n", tool->region, info.region_bytes);
    printf("durability: %s\n", info.meaning);
}

const struct verb verb_format = {
    .name = "format",
    .synopsis = "REGION --size BYTES [--force]",
    .summary = "make a new, empty filesystem",
    .help = "Creates the file REGION and formats it, or a device with nothing on it.\n\n"
            "  --size BYTES        its size, at least 1M; may be left out for a device, or with\n"
            "                      --force where the file exists\n"
            "  -f, --force         format over whatever is in REGION; all of it is lost\n",
    .options = (const int[]){'f', OPTION_SIZE, 0},
    .operands_min = 1,
    .operands_max = 1,
    .opens = OPENS_ITSELF,
    .failed_status = STATUS_FAILED,
    .usage_status = STATUS_USAGE,
    .run = format_run,
};
