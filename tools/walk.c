/* walk.c -- a tree inside the region, one entry after the other
 *
 * The stack of open directories is on the heap, so the depth of a tree has no limit here. */
#include "walk.h"

#include <stdlib.h>

void walk_start(struct walk *walk, struct vmfs *fs, const char *path)
{
    *walk = (struct walk){.fs = fs, .type = VMFS_S_IFDIR};
    path_init(&walk->path, path);
}

int walk_enter(struct walk *walk)
{
    struct vmfs_dir *dir;
    int err = vmfs_dir_open(walk->fs, walk->path.text, &dir);

    if (err)
        return err;
    if (walk->depth == walk->capacity) {
        walk->capacity = walk->capacity ? 2 * walk->capacity : 16;
        walk->levels = memory_grow(walk->levels, walk->capacity * sizeof(*walk->levels));
    }
    walk->levels[walk->depth++] = (struct walk_level){dir, walk->path.length};
    return 0;
}

static int entry_read(struct vmfs_dir *dir, struct vmfs_dirent *entry)
{
    int found;

    do
        found = vmfs_dir_read(dir, entry);
    while (found > 0 && name_is_dots(entry->name));
    return found;
}

/* A directory is closed before it is left, so that the caller may remove it. */
static void level_finish(struct walk_level *level)
{
    if (level->dir)
        vmfs_dir_close(level->dir);
    level->dir = NULL;
}

enum walk_event walk_next(struct walk *walk)
{
    struct vmfs_dirent entry;
    struct walk_level *level;
    int found;

    if (walk->depth == 0)
        return WALK_END;
    level = &walk->levels[walk->depth - 1];
    path_cut(&walk->path, level->path_length);
    found = level->dir ? entry_read(level->dir, &entry) : 0;
    if (found > 0) {
        path_push(&walk->path, entry.name);
        walk->type = entry.type;
        return WALK_ENTRY;
    }
    level_finish(level);
    walk->err = found;
    if (found < 0)
        return WALK_FAILED;
    walk->depth--;
    return WALK_LEAVE;
}

void walk_stop(struct walk *walk)
{
    while (walk->depth > 0)
        level_finish(&walk->levels[--walk->depth]);
    free(walk->levels);
    walk->levels = NULL;
    path_free(&walk->path);
}
