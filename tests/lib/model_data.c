/* model_data.c -- the content of a model's file */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model_fs.h"

static void *grow(void *old, size_t old_bytes, size_t bytes)
{
    uint8_t *memory = model_allocate(bytes);
    if (old_bytes > 0)
        memcpy(memory, old, old_bytes);
    free(old);
    return memory;
}

/* Makes `bytes` of content be there, zeros behind what was. */
static void extend_data(struct model_node *node, size_t bytes)
{
    if (bytes <= node->data_bytes)
        return;
    if (bytes > node->data_room) {
        node->data_room = bytes + bytes / 2 + 64;
        node->data = grow(node->data, node->data_bytes, node->data_room);
    }
    memset(node->data + node->data_bytes, 0, bytes - node->data_bytes);
    node->data_bytes = bytes;
}

/* ---------------------------------------------------------------------------------- blocks --- */

/* Makes the first `count` blocks have a state of their own. */
static void extend_blocks(struct model_node *node, size_t count)
{
    if (count <= node->block_count)
        return;
    if (count > node->block_room) {
        node->block_room = count * 2 + 16;
        node->blocks = grow(node->blocks, node->block_count, node->block_room);
    }
    memset(node->blocks + node->block_count, MODEL_HOLE, count - node->block_count);
    node->block_count = count;
}

static void mark_blocks(struct model_node *node, uint64_t start, uint64_t end,
                        enum model_block state)
{
    size_t first = (size_t)(start / MODEL_BLOCK);
    size_t last = (size_t)((end + MODEL_BLOCK - 1) / MODEL_BLOCK);
    if (start >= end)
        return;
    extend_blocks(node, last);
    memset(node->blocks + first, (int)state, last - first);
}

/* The part of the range that has a state, in whole blocks, becomes holes. */
static void free_blocks(struct model_node *node, uint64_t start, uint64_t end)
{
    uint64_t first = (start + MODEL_BLOCK - 1) / MODEL_BLOCK;
    uint64_t last = end / MODEL_BLOCK;
    if (last > node->block_count)
        last = node->block_count;
    if (first < last)
        memset(node->blocks + first, MODEL_HOLE, (size_t)(last - first));
}

static enum model_block block_at(const struct model_node *node, uint64_t offset)
{
    uint64_t block = offset / MODEL_BLOCK;
    return block < node->block_count ? (enum model_block)node->blocks[block] : MODEL_HOLE;
}

/* True if `found` may be the next data, or hole, from `offset` on. */
static bool is_right(const struct model_node *node, uint64_t offset, uint64_t found, int whence)
{
    enum model_block wanted = whence == VMFS_SEEK_DATA ? MODEL_DATA : MODEL_HOLE;
    if (found < offset || found > node->size ||
        (found > offset && found % MODEL_BLOCK != 0 && found != node->size))
        return false;
    bool is_end = found == node->size;
    if (is_end && whence == VMFS_SEEK_DATA)
        return false;
    for (uint64_t at = offset; at < found; at = (at / MODEL_BLOCK + 1) * MODEL_BLOCK) {
        if (block_at(node, at) == wanted)
            return false;
        if (at / MODEL_BLOCK >= node->block_count)
            break;
    }
    enum model_block state = block_at(node, found);
    return is_end || state == wanted || state == MODEL_EITHER;
}

int64_t model_seek(const struct model_node *node, int64_t offset, int whence, int64_t found)
{
    uint64_t start = (uint64_t)offset;
    if (offset < 0 || start >= node->size)
        return -ENXIO;
    if (found >= 0 && is_right(node, start, (uint64_t)found, whence))
        return found;
    if (whence == VMFS_SEEK_HOLE) {
        while (start < node->size && block_at(node, start) == MODEL_DATA)
            start = (start / MODEL_BLOCK + 1) * MODEL_BLOCK;
        return (int64_t)(start < node->size ? start : node->size);
    }
    uint64_t stored = (uint64_t)node->block_count * MODEL_BLOCK;
    uint64_t end = node->size < stored ? node->size : stored;
    bool is_possible = false;
    for (; start < end; start = (start / MODEL_BLOCK + 1) * MODEL_BLOCK) {
        if (block_at(node, start) == MODEL_DATA)
            return (int64_t)start;
        is_possible = is_possible || block_at(node, start) == MODEL_EITHER;
    }
    return found == -ENXIO || !is_possible ? -ENXIO : -EIO;
}

/* --------------------------------------------------------------------------------- content --- */

int model_resize(struct model_node *node, uint64_t size)
{
    if (model_is_dir(node))
        return -EISDIR;
    if (model_type(node) != VMFS_S_IFREG)
        return -EINVAL;
    if (size > VMFS_FILE_MAX)
        return -EFBIG;
    if (size < node->data_bytes)
        node->data_bytes = (size_t)size;
    uint64_t blocks = (size + MODEL_BLOCK - 1) / MODEL_BLOCK;
    if (blocks < node->block_count)
        node->block_count = (size_t)blocks;
    node->size = size;
    model_touch(node);
    return 0;
}

int64_t model_pread(struct model_node *node, void *buffer, size_t length, uint64_t offset)
{
    if (length > 0)
        model_touch_access(node);
    if (offset >= node->size)
        return 0;
    if (length > node->size - offset)
        length = (size_t)(node->size - offset);
    memset(buffer, 0, length);
    if (offset < node->data_bytes) {
        size_t stored = node->data_bytes - (size_t)offset;
        memcpy(buffer, node->data + offset, stored < length ? stored : length);
    }
    return (int64_t)length;
}

static int check_change(const struct model_node *node, bool is_adding)
{
    if ((node->flags & VMFS_INODE_IMMUTABLE) != 0)
        return -EPERM;
    return (node->flags & VMFS_INODE_APPEND) != 0 && !is_adding ? -EPERM : 0;
}

static void store(struct model_node *node, const void *buffer, size_t length, uint64_t offset)
{
    size_t end = (size_t)offset + length;
    extend_data(node, end);
    memcpy(node->data + offset, buffer, length);
    if (end > node->size)
        node->size = end;
}

int64_t model_pwrite(struct model_node *node, const void *buffer, size_t length, uint64_t offset,
                     uint32_t open_flags)
{
    bool is_append = (open_flags & VMFS_O_APPEND) != 0;
    if (is_append)
        offset = node->size;
    if (length == 0)
        return 0;
    int err = 0;
    if (offset > VMFS_FILE_MAX || length > VMFS_FILE_MAX - offset)
        err = -EFBIG;
    int forbidden = check_change(node, is_append);
    if (err != 0 || forbidden != 0)
        return err != 0 && forbidden != 0 ? model_note(node->model, forbidden, err)
                                          : err + forbidden;
    store(node, buffer, length, offset);
    mark_blocks(node, offset, offset + length, MODEL_DATA);
    model_kill(node, false);
    model_touch(node);
    return (int64_t)length;
}

static void zero_range(struct model_node *node, uint64_t start, uint64_t end)
{
    if (end > node->data_bytes)
        end = node->data_bytes;
    if (start < end)
        memset(node->data + start, 0, (size_t)(end - start));
}

static void collapse(struct model_node *node, uint64_t offset, uint64_t length)
{
    if (offset + length < node->data_bytes) {
        memmove(node->data + offset, node->data + offset + length,
                node->data_bytes - (size_t)(offset + length));
        node->data_bytes -= (size_t)length;
    } else if (offset < node->data_bytes) {
        node->data_bytes = (size_t)offset;
    }
    size_t first = (size_t)(offset / MODEL_BLOCK);
    size_t count = (size_t)(length / MODEL_BLOCK);
    if (first + count < node->block_count) {
        memmove(node->blocks + first, node->blocks + first + count,
                node->block_count - first - count);
        node->block_count -= count;
    } else if (first < node->block_count) {
        node->block_count = first;
    }
    node->size -= length;
}

static void insert(struct model_node *node, uint64_t offset, uint64_t length)
{
    size_t old_bytes = node->data_bytes;
    if (offset < old_bytes) {
        extend_data(node, old_bytes + (size_t)length);
        memmove(node->data + offset + length, node->data + offset, old_bytes - (size_t)offset);
        memset(node->data + offset, 0, (size_t)length);
    }
    size_t first = (size_t)(offset / MODEL_BLOCK);
    size_t count = (size_t)(length / MODEL_BLOCK);
    size_t old_count = node->block_count;
    if (first < old_count) {
        extend_blocks(node, old_count + count);
        memmove(node->blocks + first + count, node->blocks + first, old_count - first);
        memset(node->blocks + first, MODEL_HOLE, count);
    }
    node->size += length;
}

/* A block that a zeroed range covers in part, and that was a hole, may have become data. */
static void loosen_edges(struct model_node *node, uint64_t start, uint64_t end)
{
    const uint64_t edges[] = {start, end};
    for (size_t i = 0; i < 2; i++) {
        if (edges[i] % MODEL_BLOCK != 0 && block_at(node, edges[i]) == MODEL_HOLE)
            mark_blocks(node, edges[i], edges[i] + 1, MODEL_EITHER);
    }
}

/* All of the last block that can be read may be in a range: then the block may go. */
static void loosen_last(struct model_node *node, uint64_t start)
{
    uint64_t last = (node->size - 1) / MODEL_BLOCK * MODEL_BLOCK;
    if (last >= start && block_at(node, last) == MODEL_DATA)
        mark_blocks(node, last, last + 1, MODEL_EITHER);
}

void model_loosen(struct model_node *node, uint64_t start, uint64_t end)
{
    uint64_t last = (node->data_bytes + MODEL_BLOCK - 1) / MODEL_BLOCK;
    if (last > end / MODEL_BLOCK)
        last = end / MODEL_BLOCK;
    for (uint64_t block = (start + MODEL_BLOCK - 1) / MODEL_BLOCK; block < last; block++)
        if (block_at(node, block * MODEL_BLOCK) == MODEL_HOLE)
            mark_blocks(node, block * MODEL_BLOCK, (block + 1) * MODEL_BLOCK, MODEL_EITHER);
}

static int check_reserve(const struct model_node *node, int mode, uint64_t offset, uint64_t length)
{
    switch (mode) {
    case 0:
    case VMFS_ALLOC_KEEP_SIZE:
    case VMFS_ALLOC_PUNCH | VMFS_ALLOC_KEEP_SIZE:
    case VMFS_ALLOC_ZERO:
    case VMFS_ALLOC_ZERO | VMFS_ALLOC_KEEP_SIZE:
    case VMFS_ALLOC_COLLAPSE:
    case VMFS_ALLOC_INSERT:
        break;
    default:
        return -EINVAL;
    }
    bool is_moving = mode == VMFS_ALLOC_COLLAPSE || mode == VMFS_ALLOC_INSERT;
    if (length == 0 || (is_moving && (offset % MODEL_BLOCK != 0 || length % MODEL_BLOCK != 0)))
        return -EINVAL;
    if (offset > VMFS_FILE_MAX || length > VMFS_FILE_MAX - offset)
        return is_moving ? model_note(node->model, -EINVAL, -EFBIG) : -EFBIG;
    if (mode == VMFS_ALLOC_COLLAPSE && offset + length >= node->size)
        return -EINVAL;
    if (mode != VMFS_ALLOC_INSERT)
        return 0;
    if (offset >= node->size)
        return -EINVAL;
    return length > VMFS_FILE_MAX - node->size ? -EFBIG : 0;
}

int model_reserve(struct model_node *node, int flags, uint64_t offset, uint64_t length)
{
    int mode = flags & ~VMFS_ALLOC_KILL_PRIV;
    int err = check_reserve(node, mode, offset, length);
    bool is_adding = (mode & ~VMFS_ALLOC_KEEP_SIZE) == 0;
    int forbidden = check_change(node, is_adding);
    if (err != 0 || forbidden != 0)
        return err != 0 && forbidden != 0 ? model_note(node->model, forbidden, err)
                                          : err + forbidden;
    uint64_t end = offset + length;
    if (mode == VMFS_ALLOC_COLLAPSE) {
        collapse(node, offset, length);
    } else if (mode == VMFS_ALLOC_INSERT) {
        insert(node, offset, length);
    } else if ((mode & (VMFS_ALLOC_PUNCH | VMFS_ALLOC_ZERO)) != 0) {
        zero_range(node, offset, end);
        free_blocks(node, offset, end);
    }
    if ((mode & VMFS_ALLOC_ZERO) != 0)
        loosen_edges(node, offset, end);
    bool is_to_end = (mode & (VMFS_ALLOC_PUNCH | VMFS_ALLOC_ZERO)) != 0 && end >= node->size;
    if (is_to_end && offset < node->size)
        loosen_last(node, offset);
    bool is_extending = mode == 0 || mode == VMFS_ALLOC_ZERO;
    if (is_extending && end > node->size)
        node->size = end;
    model_kill(node, (flags & VMFS_ALLOC_KILL_PRIV) != 0);
    node->is_mtime_known = node->is_ctime_known = false;
    return 0;
}

int64_t model_copy(struct model_node *from, uint64_t from_offset, struct model_node *to,
                   uint64_t to_offset, uint64_t length)
{
    if (length > INT64_MAX || from_offset > VMFS_FILE_MAX)
        return -EINVAL;
    if (length == 0)
        return 0;
    if (from_offset >= from->size) {
        model_touch_access(from);
        return 0;
    }
    if (length > from->size - from_offset)
        length = from->size - from_offset;
    if (check_change(to, false) != 0)
        return -EPERM;
    uint8_t *bytes = model_allocate((size_t)length);
    struct model_node unread = *from;
    model_pread(&unread, bytes, (size_t)length, from_offset);
    store(to, bytes, (size_t)length, to_offset);
    mark_blocks(to, to_offset, to_offset + length, MODEL_EITHER);
    model_kill(to, false);
    model_touch(to);
    model_touch_access(from);
    free(bytes);
    return (int64_t)length;
}
