/* cmd_info.c -- vmfs info: what a region is, how full it is and what its durability means */
#include "tool.h"

#include <inttypes.h>
#include <stdio.h>

static void uuid_print(const uint8_t uuid[16])
{
    size_t i;

    printf("uuid: ");
    for (i = 0; i < 16; i++)
        printf("%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
    printf("\n");
}

static void owner_print(const struct vmfs_info *info)
{
    static const char *const states[] = {"held", "served", "closing"};
    uint32_t state = info->owner_state;

    if (info->owner_pid)
        printf("owner: process %" PRIu64 ", %s\n", info->owner_pid,
               state <= VMFS_OWNER_CLOSING ? states[state] : "in an unknown state");
    else
        printf("owner: none\n");
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole > 0 ? 100.0 * (double)part / (double)whole : 0.0;
}

static void info_print(const struct tool *tool, const struct vmfs_info *info,
                       const struct vmfs_statfs *space)
{
    uint64_t journal_bytes = info->lane_count * info->lane_bytes;
    uint64_t blocks_used = space->blocks_total - space->blocks_free;

    printf("region: %s\n", tool->region);
    printf("offset: %" PRIu64 "\n", tool->options.offset_bytes);
    printf("size: %" PRIu64 "\n", info->region_bytes);
    uuid_print(info->uuid);
    printf("format: %" PRIu32 "\n", info->format_version);
    printf("features: compat=0x%" PRIx64 " ro_compat=0x%" PRIx64 " incompat=0x%" PRIx64 "\n",
           info->features_compat, info->features_ro_compat, info->features_incompat);
    printf("durability: %s\n", info->meaning);
    printf("backend: %s\n", info->backend);
    owner_print(info);
    printf("lanes: %" PRIu64 " of %" PRIu64 " bytes\n", info->lane_count, info->lane_bytes);
    printf("journal: %" PRIu64 " of %" PRIu64 " bytes used (%.1f%%), %" PRIu64 " records %s\n",
           info->journal_bytes_used, journal_bytes,
           percent(info->journal_bytes_used, journal_bytes), info->journal_records,
           tool->is_set[OPTION_PEEK] ? "above the watermark" : "replayed by this open");
    printf("blocks: %" PRIu64 " of %" PRIu64 " used (%.1f%%), %" PRIu64 " bytes each\n",
           blocks_used, space->blocks_total, percent(blocks_used, space->blocks_total),
           space->block_bytes);
    printf("inodes: %" PRIu64 "\n", info->inodes_used);
    printf("orphans: %" PRIu64 "\n", info->orphans);
}

static void info_run(struct tool *tool)
{
    struct vmfs_info info = {.struct_bytes = sizeof(info)};
    struct vmfs_statfs space;
    int err = vmfs_info(tool->fs, &info);

    if (!err)
        err = vmfs_statfs(tool->fs, &space);
    if (err)
        tool_fail(tool, err, tool->region);
    else
        info_print(tool, &info, &space);
}

const struct verb verb_info = {
    .name = "info",
    .synopsis = "[--peek] REGION",
    .summary = "tell what a region is and how full it is",
    .help = "Prints offset, size, format, durability, owner, journal and space of REGION, one\n"
            "labelled line each. Stores nothing: a journal that is not replayed yet is replayed\n"
            "privately.\n",
    .options = (const int[]){OPTION_PEEK, 0},
    .operands_min = 1,
    .operands_max = 1,
    .opens = OPENS_READ,
    .failed_status = STATUS_FAILED,
    .usage_status = STATUS_USAGE,
    .run = info_run,
};
