/* cmd_fsck.c -- vmfs fsck: compare every structure of a region with the others
 *
 * The exit status follows fsck(8): 0 clean, 4 damage found, 8 the check could not run. */
#include "tool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static void problem_print(void *arg, const char *problem)
{
    (void)arg;
    printf("%s\n", problem);
}

static void damage_conclude(struct tool *tool, uint64_t problems)
{
    printf("damaged: %" PRIu64 " problems\n", problems);
    tool->status = STATUS_FSCK_DAMAGED;
}

/* Damage that ends the check early is a finding too; any other failure is no answer. */
static void failure_conclude(struct tool *tool, int err)
{
    if (err != -EUCLEAN) {
        tool_fail(tool, err, tool->region);
        return;
    }
    problem_print(NULL, tool->log_text[0] ? tool->log_text : "the region cannot be opened");
    damage_conclude(tool, 1);
}

static void region_check(struct tool *tool)
{
    struct vmfs_info info = {.struct_bytes = sizeof(info)};
    struct vmfs_check_result result;
    int err = vmfs_info(tool->fs, &info);

    if (!err) {
        printf("journal: %" PRIu64 " records to replay\n", info.journal_records);
        err = vmfs_check(tool->fs, problem_print, NULL, &result);
    }
    if (err)
        failure_conclude(tool, err);
    else if (result.problems > 0)
        damage_conclude(tool, result.problems);
    else
        printf("clean: %" PRIu64 " inodes, %" PRIu64 " names, %" PRIu64 " blocks\n", result.inodes,
               result.names, result.blocks);
}

static void fsck_run(struct tool *tool)
{
    int err;

    if (tool->is_set[OPTION_REPAIR]) {
        tool_fail_text(tool, tool->region, "this version finds damage but cannot repair it");
        return;
    }
    err = tool_open(tool, VMFS_RDONLY);
    if (err)
        failure_conclude(tool, err);
    else
        region_check(tool);
}

const struct verb verb_fsck = {
    .name = "fsck",
    .synopsis = "REGION",
    .summary = "check a region for damage",
    .help = "Walks every structure of REGION and compares them with each other. Prints each\n"
            "problem on a line, and a last line that starts with 'clean:' or 'damaged:'. Stores\n"
            "nothing: a journal that is not replayed yet is replayed privately.\n\n"
            "  --repair            is refused: this version cannot repair\n\n"
            "Exit status: 0 clean, 4 damaged, 8 the check could not run.\n",
    .options = (const int[]){OPTION_REPAIR, 0},
    .operands_min = 1,
    .operands_max = 1,
    .opens = OPENS_ITSELF,
    .failed_status = STATUS_FSCK_CANNOT,
    .usage_status = STATUS_FSCK_CANNOT,
    .run = fsck_run,
};
