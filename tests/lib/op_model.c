/* op_model.c -- runs an operation on the model */
#include <errno.h>
#include <string.h>

#include "op.h"

static bool can_read(const struct op_slot *slot)
{
    return (slot->flags & VMFS_O_ACCMODE) != VMFS_O_WRONLY;
}

static bool can_write(const struct op_slot *slot)
{
    return (slot->flags & VMFS_O_ACCMODE) != VMFS_O_RDONLY;
}

static struct model_at place_of(const struct op_world *world, const struct op_place *place,
                                const char *path)
{
    struct model_at at = {
        .path = path, .uid = place->uid, .gid = place->gid, .umask = place->umask};
    if (place->base == OP_BASE_ROOT)
        at.dir = world->model->root;
    else if (place->base == OP_BASE_DIR)
        at.dir = world->dirs[place->slot].node;
    else if (place->base == OP_BASE_FILE)
        at.dir = world->slots[place->slot].node;
    at.is_stale = place->base == OP_BASE_STALE;
    return at;
}

static int run_names(const struct op *op, struct op_world *world, const struct model_at *at,
                     const struct model_at *other)
{
    struct model *model = world->model;
    switch ((int)op->kind) {
    case OP_MKDIR:
        return model_mkdir(model, at, op->mode);
    case OP_MKNOD:
        return model_mknod(model, at, op->mode, op->rdev);
    case OP_SYMLINK:
        return model_symlink(model, op->other, at);
    case OP_LINK:
        return model_link(model, at, other, (int)op->flags);
    case OP_UNLINK:
        return model_unlink(model, at);
    case OP_RMDIR:
        return model_rmdir(model, at);
    default:
        return model_rename(model, at, other, op->flags);
    }
}

static int64_t run_xattr(const struct op *op, struct model *model, const struct model_at *at,
                         struct op_result *result)
{
    int flags = (int)op->flags;
    switch ((int)op->kind) {
    case OP_XATTR_SET:
        op_xattr_value(op, result->data);
        return model_xattr_set(model, at, flags, op->name, result->data, op->length);
    case OP_XATTR_REMOVE:
        return model_xattr_remove(model, at, flags, op->name);
    case OP_XATTR_GET:
        return model_xattr_get(model, at, flags, op->name, result->data, op->length);
    default:
        return model_xattr_list(model, at, flags, (char *)result->data, op->length);
    }
}

static int run_open(const struct op *op, struct op_world *world, const struct model_at *at)
{
    struct op_slot *slot = &world->slots[op->slot];
    int err = model_open(world->model, at, (int)op->flags, op->mode, &slot->node);
    if (err == 0) {
        slot->is_open = true;
        slot->flags = op->flags;
        slot->position = 0;
    }
    return err;
}

static int64_t run_write(const struct op *op, struct op_slot *slot, int64_t library_code,
                         struct op_result *result)
{
    struct model *model = slot->node->model;
    bool is_atomic = (slot->flags & VMFS_O_ATOMIC) != 0;
    if (!can_write(slot))
        return model_note(model, is_atomic && op->length > VMFS_ATOMIC_MAX ? -EMSGSIZE : -EBADF,
                          -EBADF);
    if (is_atomic && op->length > VMFS_ATOMIC_MAX)
        return -EMSGSIZE;
    uint64_t length = op->length;
    if (library_code > 0 && (uint64_t)library_code < length && !is_atomic)
        length = (uint64_t)library_code;
    bool is_here = op->kind == OP_WRITE_HERE;
    uint64_t offset = is_here ? (uint64_t)slot->position : op->offset;
    seed_fill(result->data, op->length, op->pattern);
    uint32_t append = !is_here && (op->flags & VMFS_RW_APPEND) != 0 ? VMFS_O_APPEND : 0;
    int64_t code = model_pwrite(slot->node, result->data, length, offset, slot->flags | append);
    if (code > 0 && (op->flags & VMFS_RW_KILL_PRIV) != 0)
        model_kill(slot->node, true);
    if (code > 0 && is_here)
        slot->position =
            (slot->flags & VMFS_O_APPEND) != 0 ? (int64_t)slot->node->size : slot->position + code;
    return code;
}

/* A handle that leaves access times has read. */
static void restore_atime(const struct op_slot *slot, const struct model_node *before)
{
    if ((slot->flags & VMFS_O_NOATIME) != 0)
        model_untouch_access(slot->node, before);
}

static int64_t run_read(const struct op *op, struct op_slot *slot, struct op_result *result)
{
    if (!can_read(slot))
        return -EBADF;
    bool is_here = op->kind == OP_READ_HERE;
    uint64_t offset = is_here ? (uint64_t)slot->position : op->offset;
    const struct model_node before = *slot->node;
    int64_t code = model_pread(slot->node, result->data, op->length, offset);
    restore_atime(slot, &before);
    if (code > 0 && is_here)
        slot->position += code;
    return code;
}

static bool do_overlap(const struct op *op, uint64_t length)
{
    return op->offset < op->other_offset + length && op->other_offset < op->offset + length;
}

static int64_t run_copy(const struct op *op, struct op_world *world, int64_t library_code)
{
    struct op_slot *from = &world->slots[op->slot];
    struct op_slot *to = &world->slots[op->other_slot];
    struct model *model = world->model;
    uint64_t length = op->length;
    if (op->offset >= from->node->size)
        length = 0;
    else if (length > from->node->size - op->offset)
        length = from->node->size - op->offset;
    bool is_inside = from->node == to->node && length > 0 && do_overlap(op, length);
    if (!can_read(from) || !can_write(to))
        return is_inside ? model_note(model, -EINVAL, -EBADF) : -EBADF;
    if (is_inside)
        return model_note(model, to->node->flags != 0 ? -EPERM : -EINVAL, -EINVAL);
    if (library_code > 0 && (uint64_t)library_code < length)
        length = (uint64_t)library_code;
    const struct model_node before = *from->node;
    int64_t code = model_copy(from->node, op->offset, to->node, op->other_offset,
                              op->length > 0 && length == 0 ? op->length : length);
    restore_atime(from, &before);
    if (code > 0 && (op->flags & VMFS_RW_KILL_PRIV) != 0)
        model_kill(to->node, true);
    return code;
}

static int64_t run_seek(const struct op *op, struct op_slot *slot, int64_t library_code)
{
    int64_t offset = (int64_t)op->offset;
    int64_t code = offset;
    if (op->flags == VMFS_SEEK_CUR)
        code = slot->position + offset;
    else if (op->flags == VMFS_SEEK_END)
        code = (int64_t)slot->node->size + offset;
    else if (op->flags != VMFS_SEEK_SET)
        code = model_seek(slot->node, offset, (int)op->flags, library_code);
    if (code < 0 && op->flags <= VMFS_SEEK_END)
        return -EINVAL;
    if (code >= 0)
        slot->position = code;
    return code;
}

static void stat_node(const struct model_node *node, struct op_result *result)
{
    result->has_stat = true;
    result->node = node;
    model_node_stat(node, &result->stat);
}

static int64_t close_slot(struct op_world *world, struct op_slot *slot)
{
    if (slot->node->nlink == 0 && slot->node->open_count == 1)
        world->dead_ino = 1;
    slot->is_open = false;
    model_close(slot->node);
    slot->node = NULL;
    return 0;
}

static int64_t run_changing_slot(const struct op *op, struct op_world *world,
                                 const struct model_at *at, int64_t library_code)
{
    struct op_slot *slot = &world->slots[op->slot];
    struct vmfs_attr attr = op_attr(op);
    bool has_size = (attr.mask & VMFS_ATTR_SIZE) != 0;
    switch ((int)op->kind) {
    case OP_ALLOCATE:
        if (can_write(slot))
            return model_reserve(slot->node, (int)op->flags, op->offset, op->length);
        model_note(world->model, -EFBIG, 0);
        return model_note(world->model, -EINVAL, -EBADF);
    case OP_COPY:
        return run_copy(op, world, library_code);
    case OP_FTRUNCATE:
    case OP_FSETATTR:
        if (has_size && !can_write(slot))
            return model_note(world->model, -EPERM, -EBADF);
        return model_node_setattr(slot->node, &attr);
    case OP_FILE_LINK:
        return model_node_link(world->model, slot->node, at);
    case OP_SEEK:
        return run_seek(op, slot, library_code);
    case OP_SYNC:
        return 0;
    default:
        return close_slot(world, slot);
    }
}

static int64_t run_slot(const struct op *op, struct op_world *world, const struct model_at *at,
                        int64_t library_code, struct op_result *result)
{
    struct op_slot *slot = &world->slots[op->slot];
    switch ((int)op->kind) {
    case OP_WRITE:
    case OP_WRITE_HERE:
        return run_write(op, slot, library_code, result);
    case OP_READ:
    case OP_READ_HERE:
        return run_read(op, slot, result);
    case OP_FSTAT:
        stat_node(slot->node, result);
        return 0;
    default:
        return run_changing_slot(op, world, at, library_code);
    }
}

static int64_t run_dir(const struct op *op, struct op_world *world, const struct model_at *at,
                       struct op_result *result)
{
    struct op_slot *slot = &world->dirs[op->slot];
    if (op->kind == OP_DIR_CLOSE) {
        slot->is_open = false;
        model_close(slot->node);
        slot->node = NULL;
        return 0;
    }
    if (op->kind == OP_DIR_OPEN) {
        int err = op->flags == OP_HELD ? model_hold(world->model, at, &slot->node)
                                       : model_dir_open(world->model, at, &slot->node);
        slot->is_open = err == 0;
        return err;
    }
    if (slot->node->nlink == 0)
        return 0;
    model_touch_access(slot->node);
    op_digest_entry(result, ".", VMFS_S_IFDIR);
    op_digest_entry(result, "..", VMFS_S_IFDIR);
    for (const struct model_entry *entry = slot->node->entries; entry != NULL;
         entry = entry->dir_next)
        op_digest_entry(result, entry->name, model_type(entry->node));
    return result->code;
}

static int run_stat(const struct op *op, struct model *model, const struct model_at *at,
                    struct op_result *result)
{
    struct model_node *node;
    int err = model_find(model, at, (int)op->flags, &node);
    if (err == 0)
        stat_node(node, result);
    return err;
}

static void keep_data(const struct op *op, struct op_result *result)
{
    bool is_reading = op->kind == OP_READ || op->kind == OP_READ_HERE || op->kind == OP_READLINK ||
                      (op->kind == OP_XATTR_GET && op->length > 0);
    if (is_reading)
        result->data_bytes = result->code > 0 ? (size_t)result->code : 0;
    else if (op->kind != OP_DIR_READ || result->code < 0)
        result->data_bytes = 0;
}

void op_run_model(const struct op *op, struct op_world *world, int64_t library_code,
                  struct op_result *result)
{
    struct model_at at = place_of(world, &op->at, op->path);
    struct model_at other = place_of(world, &op->other_at, op->other);
    struct vmfs_attr attr = op_attr(op);
    memset(result, 0, offsetof(struct op_result, data) + sizeof(uint64_t));
    result->model = world->model;
    world->model->error_count = 0;
    if (op->kind == OP_OPEN || op->kind == OP_TMPFILE)
        result->code = run_open(op, world, &at);
    else if (op->kind <= OP_RENAME)
        result->code = run_names(op, world, &at, &other);
    else if (op->kind <= OP_SETFLAGS)
        result->code = model_setattr(world->model, &at, 0, &attr);
    else if (op_is_slot_kind(op->kind))
        result->code = run_slot(op, world, &at, library_code, result);
    else if (op->kind == OP_STAT)
        result->code = run_stat(op, world->model, &at, result);
    else if (op->kind == OP_READLINK)
        result->code = model_readlink(world->model, &at, (char *)result->data, OP_DATA_MAX);
    else if (op->kind >= OP_DIR_OPEN)
        result->code = run_dir(op, world, &at, result);
    else
        result->code = run_xattr(op, world->model, &at, result);
    keep_data(op, result);
}
