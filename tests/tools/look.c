/* look.c -- everything that looks at a region and stores nothing, at once */
#include "look.h"

#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 40
#define NAMES_MAX 20000

static bool note(struct look *look, int64_t code)
{
    look->calls++;
    look->errors += code < 0;
    return code >= 0;
}

static void count_line(void *arg, const char *line)
{
    struct look *look = arg;
    look->lines += strlen(line) > 0;
}

static void count_problem(void *arg, const struct vmfs_problem *problem)
{
    struct look *look = arg;
    look->problems += strlen(problem->text) > 0 && problem->pass > 0;
}

struct cover {
    uint64_t at;
    bool is_broken;
};

static void cover_range(void *arg, const struct vmfs_map_range *range)
{
    struct cover *cover = arg;
    if (range->offset != cover->at || range->length == 0)
        cover->is_broken = true;
    cover->at += range->length;
}

static void walk(struct vmfs *fs, const char *path, int depth, struct look *look);

static void look_at_name(struct vmfs *fs, const char *path, int depth, struct look *look)
{
    static char buffer[65536];
    struct vmfs_file *file;
    struct vmfs_stat stat;
    if (!note(look, vmfs_stat(fs, path, VMFS_NOFOLLOW, &stat)))
        return;
    note(look, vmfs_xattr_list(fs, path, VMFS_NOFOLLOW, buffer, sizeof buffer));
    if ((stat.mode & VMFS_S_IFMT) == VMFS_S_IFLNK)
        note(look, vmfs_readlink(fs, path, buffer, sizeof buffer));
    if ((stat.mode & VMFS_S_IFMT) == VMFS_S_IFDIR)
        walk(fs, path, depth + 1, look);
    if ((stat.mode & VMFS_S_IFMT) != VMFS_S_IFREG ||
        !note(look, vmfs_file_open(fs, path, VMFS_O_RDONLY, 0, &file)))
        return;
    int64_t got = vmfs_file_pread(file, buffer, sizeof buffer, 0);
    if (note(look, got))
        look->bytes += (uint64_t)got;
    note(look, vmfs_file_close(file));
}

static void walk(struct vmfs *fs, const char *path, int depth, struct look *look)
{
    struct vmfs_dirent entry;
    struct vmfs_dir *dir;
    if (depth > DEPTH_MAX || !note(look, vmfs_dir_open(fs, *path ? path : "/", &dir)))
        return;
    int more = 1;
    while (look->left > 0 && more > 0) {
        look->left--;
        char below[VMFS_PATH_MAX + 1];
        more = vmfs_dir_read(dir, &entry);
        note(look, more);
        if (more <= 0 || strcmp(entry.name, ".") == 0 || strcmp(entry.name, "..") == 0)
            continue;
        look->names++;
        int length = snprintf(below, sizeof below, "%s/%s", path, entry.name);
        if (length > 0 && (size_t)length < sizeof below)
            look_at_name(fs, below, depth, look);
    }
    note(look, vmfs_dir_close(dir));
}

bool look_at(struct vmfs *fs, struct look *look)
{
    struct vmfs_info info = {.struct_bytes = sizeof info};
    struct vmfs_check_result result;
    struct vmfs_statfs space;
    struct cover cover = {.at = 0};
    note(look, vmfs_info(fs, &info));
    note(look, vmfs_statfs(fs, &space));
    note(look, vmfs_check(fs, count_problem, look, &result));
    note(look, vmfs_dump(fs, VMFS_DUMP_SUPER, 0, count_line, look));
    note(look, vmfs_dump(fs, VMFS_DUMP_JOURNAL, 0, count_line, look));
    note(look, vmfs_dump(fs, VMFS_DUMP_TREE, 0, count_line, look));
    for (uint64_t slot = 0; slot < 64; slot++)
        note(look, vmfs_dump(fs, VMFS_DUMP_INODE, slot, count_line, look));
    for (uint64_t offset = 0; offset < info.region_bytes; offset += info.region_bytes / 64 + 1)
        note(look, vmfs_dump(fs, VMFS_DUMP_BLOCK, offset, count_line, look));
    bool is_covered = true;
    look->left = NAMES_MAX;
    if (note(look, vmfs_map(fs, VMFS_NO_OFFSET, cover_range, &cover)))
        is_covered = !cover.is_broken && cover.at == info.region_bytes;
    walk(fs, "", 0, look);
    return is_covered;
}
