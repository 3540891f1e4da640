/* cmd_stat.c -- vmfs stat: all attributes of a file */
#include "path.h"
#include "show.h"
#include "tool.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

static void time_field(const char *label, int64_t time_ns)
{
    char text[TIME_TEXT_BYTES];

    time_show(time_ns, true, text);
    printf("%s: %s\n", label, text);
}

/* The letters of lsattr(1). */
static void flags_show(uint32_t flags)
{
    printf("flags: %c%c%c%c\n", flags & VMFS_INODE_IMMUTABLE ? 'i' : '-',
           flags & VMFS_INODE_APPEND ? 'a' : '-', flags & VMFS_INODE_NODUMP ? 'd' : '-',
           flags & VMFS_INODE_NOATIME ? 'A' : '-');
}

static void attributes_show(const char *path, const struct vmfs_stat *status)
{
    char mode[MODE_TEXT_BYTES];

    mode_show(status->mode, mode);
    printf("path: ");
    name_show(path);
    printf("\ntype: %s\n", type_show(status->mode));
    printf("inode: %" PRIu64 "\n", status->ino);
    printf("mode: %04" PRIo32 " %s\n", status->mode & 07777, mode);
    flags_show(status->flags);
    printf("links: %" PRIu32 "\n", status->nlink);
    printf("uid: %" PRIu32 "\n", status->uid);
    printf("gid: %" PRIu32 "\n", status->gid);
    printf("size: %" PRIu64 "\n", status->size);
    printf("blocks: %" PRIu64 "\n", status->blocks);
    printf("device: %u:%u\n", major(status->rdev), minor(status->rdev));
    time_field("access", status->atime_ns);
    time_field("modify", status->mtime_ns);
    time_field("change", status->ctime_ns);
    time_field("birth", status->btime_ns);
}

static void target_field(struct tool *tool, const char *path)
{
    int err;

    printf("target: ");
    err = target_show(tool->fs, path);
    printf("\n");
    if (err)
        tool_fail_inside(tool, err, path);
}

static void xattr_fields(struct tool *tool, const char *path, int flags)
{
    int64_t size = vmfs_xattr_list(tool->fs, path, flags, NULL, 0);
    char *names = size > 0 ? memory_grow(NULL, (size_t)size) : NULL;
    const char *name;

    if (size > 0)
        size = vmfs_xattr_list(tool->fs, path, flags, names, (size_t)size);
    if (size < 0)
        tool_fail_inside(tool, (int)size, path);
    for (name = names; size > 0 && name < names + size; name += strlen(name) + 1) {
        int64_t value_bytes = vmfs_xattr_get(tool->fs, path, flags, name, NULL, 0);
        if (value_bytes < 0) {
            tool_fail_inside(tool, (int)value_bytes, path);
            continue;
        }
        printf("attribute: ");
        name_show(name);
        printf(" %" PRId64 " bytes\n", value_bytes);
    }
    free(names);
}

static void path_stat(struct tool *tool, const char *path)
{
    int flags = tool->is_set['L'] ? 0 : VMFS_NOFOLLOW;
    struct vmfs_stat status;
    uint32_t type;
    int err = vmfs_stat(tool->fs, path, flags, &status);

    if (err) {
        tool_fail_inside(tool, err, path);
        return;
    }
    attributes_show(path, &status);
    type = status.mode & VMFS_S_IFMT;
    if (type == VMFS_S_IFLNK)
        target_field(tool, path);
    xattr_fields(tool, path, flags);
}

/* What the region tells as a whole. */
static void region_show(struct tool *tool)
{
    struct vmfs_info info = {.struct_bytes = sizeof(info)};
    struct vmfs_statfs space;
    int err = vmfs_info(tool->fs, &info);

    if (!err)
        err = vmfs_statfs(tool->fs, &space);
    if (err) {
        tool_fail(tool, err, tool->region);
        return;
    }
    printf("inodes: %" PRIu64 "\n", info.inodes_used);
    printf("orphans: %" PRIu64 "\n", info.orphans);
    printf("blocks: %" PRIu64 " of %" PRIu64 " used, %" PRIu64 " bytes each\n",
           space.blocks_total - space.blocks_free, space.blocks_total, space.block_bytes);
    printf("journal: %" PRIu64 " of %" PRIu64 " bytes used, %" PRIu64 " records %s\n",
           info.journal_bytes_used, info.lane_count * info.lane_bytes, info.journal_records,
           tool->is_set[OPTION_PEEK] ? "above the watermark" : "replayed by this open");
    if (tool->operand_count > 0)
        printf("\n");
}

static void stat_run(struct tool *tool)
{
    int i;

    if (tool->is_set[OPTION_COUNTERS])
        region_show(tool);
    else if (tool->operand_count == 0)
        tool_fail_text(tool, tool->region, "a path, or --counters for the region as a whole?");
    for (i = 0; i < tool->operand_count; i++) {
        if (i > 0)
            printf("\n");
        path_stat(tool, tool->operands[i]);
    }
}

const struct verb verb_stat = {
    .name = "stat",
    .synopsis = "[--peek] [-L] [--counters] REGION [/PATH...]",
    .summary = "show all attributes of a file",
    .help = "Prints each attribute of /PATH on a line of its own, after a label and a colon.\n\n"
            "  --counters          first the region as a whole: inodes, orphans, blocks, journal; "
            "last\n"
            "                      what the work cost\n"
            "  -L, --dereference   of what a symbolic link leads to, not of the link\n",
    .options = (const int[]){OPTION_PEEK, 'L', 0},
    .operands_min = 1,
    .operands_max = INT32_MAX,
    .opens = OPENS_READ,
    .failed_status = STATUS_FAILED,
    .usage_status = STATUS_USAGE,
    .run = stat_run,
};
