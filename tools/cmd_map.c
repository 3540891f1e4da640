/* cmd_map.c -- vmfs map: who owns each byte of a region */
#include "json.h"
#include "tool.h"

#include <inttypes.h>
#include <stdio.h>

struct listing {
    bool is_json;
    bool is_first;
};

static bool has_owner(const struct vmfs_map_range *range)
{
    return range->kind == VMFS_MAP_LANE || range->kind == VMFS_MAP_ZONE_HEAD ||
           range->kind >= VMFS_MAP_INODE_CHUNK;
}

/* What the number of the owner counts. */
static const char *owner_label(const struct vmfs_map_range *range)
{
    switch (range->kind) {
    case VMFS_MAP_LANE:
        return "lane";
    case VMFS_MAP_ZONE_HEAD:
        return "zone";
    case VMFS_MAP_INODE_CHUNK:
        return "first_slot";
    default:
        return "inode";
    }
}

static void range_json(struct listing *listing, const struct vmfs_map_range *range)
{
    json_comma(&listing->is_first);
    printf("\n  {\"offset\": %" PRIu64 ", \"length\": %" PRIu64 ", \"kind\": ", range->offset,
           range->length);
    json_string(range->kind_name);
    if (has_owner(range))
        printf(", \"%s\": %" PRIu64, owner_label(range), range->owner);
    if (range->kind == VMFS_MAP_DATA)
        printf(", \"file_offset\": %" PRIu64, range->file_offset);
    printf("}");
}

static void range_print(void *arg, const struct vmfs_map_range *range)
{
    struct listing *listing = arg;

    if (listing->is_json) {
        range_json(listing, range);
        return;
    }
    printf("%" PRIu64 " %" PRIu64 " %s", range->offset, range->length, range->kind_name);
    if (has_owner(range))
        printf(" %s=%" PRIu64, owner_label(range), range->owner);
    if (range->kind == VMFS_MAP_DATA)
        printf(" file_offset=%" PRIu64, range->file_offset);
    printf("\n");
}

static void map_run(struct tool *tool)
{
    struct listing listing = {.is_json = tool->is_set[OPTION_JSON], .is_first = true};
    uint64_t offset = VMFS_NO_OFFSET;
    int err = 0;

    if (tool->operand_count > 0)
        err = size_parse(tool->operands[0], &offset);
    if (listing.is_json)
        printf("[");
    if (!err)
        err = vmfs_map(tool->fs, offset, range_print, &listing);
    if (listing.is_json)
        printf("\n]\n");
    if (err)
        tool_fail(tool, err, tool->operand_count > 0 ? tool->operands[0] : tool->region);
}

const struct verb verb_map = {
    .name = "map",
    .synopsis = "[--json] [--peek] REGION [OFFSET]",
    .summary = "tell who owns each byte of a region",
    .help = "Prints the region as ranges in order, one on each line: offset and length in bytes,\n"
            "what it is, and whose. Each byte is in exactly one range. With OFFSET only the range\n"
            "with that byte. 'lost' is space that is not free and to which nothing leads.\n\n"
            "  --json              one JSON list of objects\n",
    .options = (const int[]){OPTION_JSON, OPTION_PEEK, 0},
    .operands_min = 1,
    .operands_max = 2,
    .opens = OPENS_READ,
    .failed_status = STATUS_FAILED,
    .usage_status = STATUS_USAGE,
    .run = map_run,
};
