/* inventory.c -- the walk through the public interface, and the comparison of two */
#include "inventory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "seed.h"

#define DEPTH_MAX   40u
#define BLOCK_BYTES 4096u

#define VALUE_BYTES (VMFS_XATTR_MAX + 1u)
#define LIST_BYTES  8192u

struct walk {
    struct vmfs *fs;
    struct inventory *out;
    unsigned depth;
};

static uint64_t digest(uint64_t start, const void *bytes, size_t count)
{
    const uint8_t *at = bytes;
    uint64_t value = seed_mix(start, count);
    for (; count >= 8; count -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        value = (value ^ word) * 0x9e3779b97f4a7c15u;
        value ^= value >> 29;
    }
    for (; count > 0; count--, at++)
        value = (value ^ *at) * 0x100000001b3u;
    return value;
}

static void add(struct walk *walk, const struct inventory_piece *piece)
{
    struct inventory *out = walk->out;
    if (out->count == out->room) {
        out->room = out->room ? 2 * out->room : 1024;
        out->pieces = realloc(out->pieces, out->room * sizeof *out->pieces);
        if (!out->pieces)
            abort();
    }
    out->pieces[out->count++] = *piece;
}

static void add_error(struct walk *walk, uint64_t id, int64_t err, const char *what)
{
    struct inventory_piece piece = {.id = id, .kind = INVENTORY_ERROR, .what = (uint64_t)-err};
    snprintf(piece.name, sizeof piece.name, "%s: %lld", what, (long long)err);
    add(walk, &piece);
}

static void add_blocks(struct walk *walk, uint64_t id, const uint8_t *bytes, size_t count,
                       uint64_t offset)
{
    for (size_t at = 0; at < count; at += BLOCK_BYTES) {
        size_t step = count - at < BLOCK_BYTES ? count - at : BLOCK_BYTES;
        while (step > 0 &&
               bytes[at + step - 1] == 0) /* the same whether the file ends there or not */
            step--;
        if (step == 0)
            continue;
        uint64_t block = (offset + at) / BLOCK_BYTES;
        struct inventory_piece piece = {.id = id,
                                        .kind = INVENTORY_DATA,
                                        .child = block,
                                        .what = digest(block, bytes + at, step)};
        snprintf(piece.name, sizeof piece.name, "block %llu", (unsigned long long)block);
        add(walk, &piece);
    }
}

static void walk_data(struct walk *walk, uint64_t id)
{
    static uint8_t buffer[64 * BLOCK_BYTES];
    struct vmfs_file *file;
    int err = vmfs_file_open_at(walk->fs, vmfs_at(id, ""), VMFS_O_RDONLY, 0, &file);
    if (err) {
        add_error(walk, id, err, "open");
        return;
    }
    int64_t at = 0;
    while ((at = vmfs_file_seek(file, at, VMFS_SEEK_DATA)) >= 0) {
        at -= at % BLOCK_BYTES;
        int64_t got = vmfs_file_pread(file, buffer, sizeof buffer, (uint64_t)at);
        if (got <= 0) {
            if (got < 0)
                add_error(walk, id, got, "read");
            break;
        }
        add_blocks(walk, id, buffer, (size_t)got, (uint64_t)at);
        at += (got + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
    }
    (void)vmfs_file_close(file);
}

static void walk_xattrs(struct walk *walk, uint64_t id)
{
    char names[LIST_BYTES];
    static uint8_t value[VALUE_BYTES];
    int64_t bytes =
        vmfs_xattr_list_at(walk->fs, vmfs_at(id, ""), VMFS_NOFOLLOW, names, sizeof names);
    if (bytes < 0)
        add_error(walk, id, bytes, "list");
    for (int64_t at = 0; at < bytes; at += (int64_t)strlen(names + at) + 1) {
        const char *name = names + at;
        int64_t got =
            vmfs_xattr_get_at(walk->fs, vmfs_at(id, ""), VMFS_NOFOLLOW, name, value, sizeof value);
        struct inventory_piece piece = {.id = id, .kind = INVENTORY_XATTR};
        snprintf(piece.name, sizeof piece.name, "%s", name);
        piece.what = digest(digest(1, name, strlen(name)), value, got > 0 ? (size_t)got : 0);
        if (got < 0)
            add_error(walk, id, got, name);
        else
            add(walk, &piece);
    }
}

static void walk_link(struct walk *walk, uint64_t id)
{
    char target[VMFS_PATH_MAX + 1];
    int64_t got = vmfs_readlink_at(walk->fs, vmfs_at(id, ""), target, sizeof target);
    struct inventory_piece piece = {.id = id, .kind = INVENTORY_LINK};
    if (got < 0) {
        add_error(walk, id, got, "readlink");
        return;
    }
    piece.what = digest(2, target, (size_t)got);
    snprintf(piece.name, sizeof piece.name, "%.*s", (int)(got < 40 ? got : 40), target);
    add(walk, &piece);
}

static void walk_object(struct walk *walk, uint64_t id);

static void walk_names(struct walk *walk, uint64_t id)
{
    struct vmfs_dir *dir;
    struct vmfs_dirent entry;
    int err = vmfs_dir_open_at(walk->fs, vmfs_at(id, ""), &dir);
    if (err) {
        add_error(walk, id, err, "opendir");
        return;
    }
    while ((err = vmfs_dir_read(dir, &entry)) == 1) {
        if (strcmp(entry.name, ".") == 0 || strcmp(entry.name, "..") == 0)
            continue;
        struct inventory_piece piece = {.id = id, .kind = INVENTORY_NAME, .child = entry.ino};
        piece.what = digest(entry.type, entry.name, entry.name_bytes);
        snprintf(piece.name, sizeof piece.name, "%.47s", entry.name);
        add(walk, &piece);
        walk_object(walk, entry.ino);
    }
    if (err)
        add_error(walk, id, err, "readdir");
    (void)vmfs_dir_close(dir);
}

static void walk_object(struct walk *walk, uint64_t id)
{
    struct vmfs_stat stat;
    int err = vmfs_stat_at(walk->fs, vmfs_at(id, ""), VMFS_NOFOLLOW, &stat);
    if (err || walk->depth == DEPTH_MAX) {
        add_error(walk, id, err ? err : -1, "stat");
        return;
    }
    uint32_t type = stat.mode & VMFS_S_IFMT;
    const uint64_t words[] = {stat.mode,
                              stat.uid,
                              stat.gid,
                              stat.rdev,
                              type == VMFS_S_IFDIR ? 0 : stat.size,
                              type == VMFS_S_IFDIR ? 0 : (uint64_t)stat.mtime_ns,
                              (uint64_t)stat.btime_ns};
    add(walk, &(struct inventory_piece){.id = id, .kind = INVENTORY_LIFE, .what = type});
    add(walk, &(struct inventory_piece){
                  .id = id, .kind = INVENTORY_STAT, .what = digest(3, words, sizeof words)});
    walk_xattrs(walk, id);
    walk->depth++;
    if (type == VMFS_S_IFREG)
        walk_data(walk, id);
    if (type == VMFS_S_IFLNK)
        walk_link(walk, id);
    if (type == VMFS_S_IFDIR)
        walk_names(walk, id);
    walk->depth--;
}

static int compare(const void *first, const void *second)
{
    const struct inventory_piece *a = first;
    const struct inventory_piece *b = second;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->child != b->child)
        return a->child < b->child ? -1 : 1;
    if (a->what != b->what)
        return a->what < b->what ? -1 : 1;
    return 0;
}

/* What has several names was met as often. */
static void unite(struct inventory *out)
{
    uint32_t kept = 0;
    qsort(out->pieces, out->count, sizeof *out->pieces, compare);
    for (uint32_t at = 0; at < out->count; at++)
        if (kept == 0 || compare(&out->pieces[kept - 1], &out->pieces[at]) != 0)
            out->pieces[kept++] = out->pieces[at];
    out->count = kept;
}

void inventory_take(struct vmfs *fs, struct inventory *out)
{
    struct vmfs_stat root;
    struct walk walk = {.fs = fs, .out = out};
    *out = (struct inventory){.count = 0};
    int err = vmfs_stat(fs, "/", 0, &root);
    if (err)
        add_error(&walk, 0, err, "root");
    else
        walk_object(&walk, root.ino);
    unite(out);
}

void inventory_free(struct inventory *inventory)
{
    free(inventory->pieces);
    *inventory = (struct inventory){.count = 0};
}

void inventory_compare(const struct inventory *before, const struct inventory *after,
                       inventory_fn lost, inventory_fn gained, void *arg)
{
    uint32_t a = 0;
    uint32_t b = 0;
    while (a < before->count || b < after->count) {
        int order = a == before->count  ? 1
                    : b == after->count ? -1
                                        : compare(&before->pieces[a], &after->pieces[b]);
        if (order < 0)
            lost(arg, &before->pieces[a]);
        if (order > 0)
            gained(arg, &after->pieces[b]);
        a += order <= 0;
        b += order >= 0;
    }
}

const char *inventory_kind_text(enum inventory_kind kind)
{
    static const char *const texts[INVENTORY_KINDS] = {"life",      "stat",   "name", "data",
                                                       "attribute", "target", "error"};
    return texts[kind];
}
