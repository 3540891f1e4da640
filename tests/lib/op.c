/* op.c -- runs an operation on the library and on the model, and compares what they returned */
#include "op.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const kind_names[OP_KIND_COUNT] = {
    [OP_MKDIR] = "mkdir",       [OP_MKNOD] = "mknod",         [OP_OPEN] = "open",
    [OP_SYMLINK] = "symlink",   [OP_LINK] = "link",           [OP_UNLINK] = "unlink",
    [OP_RMDIR] = "rmdir",       [OP_RENAME] = "rename",       [OP_CHMOD] = "chmod",
    [OP_CHOWN] = "chown",       [OP_UTIMENS] = "utimens",     [OP_TRUNCATE] = "truncate",
    [OP_SETATTR] = "setattr",   [OP_XATTR_SET] = "xattr_set", [OP_XATTR_REMOVE] = "xattr_remove",
    [OP_WRITE] = "write",       [OP_FTRUNCATE] = "ftruncate", [OP_READ] = "read",
    [OP_FSTAT] = "fstat",       [OP_CLOSE] = "close",         [OP_STAT] = "stat",
    [OP_READLINK] = "readlink", [OP_XATTR_GET] = "xattr_get", [OP_XATTR_LIST] = "xattr_list",
};

static const struct vmfs_attr *attr_of(const struct op *op, struct vmfs_attr *attr)
{
    *attr = op->attr;
    if (op->kind == OP_CHMOD)
        attr->mask = VMFS_ATTR_MODE;
    else if (op->kind == OP_CHOWN)
        attr->mask = VMFS_ATTR_UID | VMFS_ATTR_GID;
    else if (op->kind == OP_UTIMENS)
        attr->mask = VMFS_ATTR_ATIME | VMFS_ATTR_MTIME;
    else if (op->kind == OP_TRUNCATE || op->kind == OP_FTRUNCATE)
        attr->mask = VMFS_ATTR_SIZE;
    if (attr->mask == VMFS_ATTR_SIZE)
        attr->size = op->kind == OP_SETATTR ? op->attr.size : op->length;
    return attr;
}

static void clear_result(struct op_result *result)
{
    memset(result, 0, offsetof(struct op_result, data));
}

static bool can_read(const struct op_slot *slot)
{
    return (slot->flags & VMFS_O_ACCMODE) != VMFS_O_WRONLY;
}

static bool can_write(const struct op_slot *slot)
{
    return (slot->flags & VMFS_O_ACCMODE) != VMFS_O_RDONLY;
}

static void keep_data(struct op_result *result)
{
    if (result->code > 0)
        result->data_bytes = (size_t)result->code;
}

/* --------------------------------------------------------------------------- the library's side */

struct full_paths {
    char path[2 * VMFS_PATH_MAX];
    char other[2 * VMFS_PATH_MAX];
};

static void add_prefix(char *full, size_t full_bytes, const char *prefix, const char *path)
{
    const char *slash = prefix[0] != '\0' && path[0] != '/' ? "/" : "";
    snprintf(full, full_bytes, "%s%s%s", prefix, slash, path);
}

static int run_names(const struct op *op, struct vmfs *fs, const char *path, const char *other)
{
    switch ((int)op->kind) {
    case OP_MKDIR:
        return vmfs_mkdir(fs, path, op->mode);
    case OP_MKNOD:
        return vmfs_mknod(fs, path, op->mode, op->rdev);
    case OP_SYMLINK:
        return vmfs_symlink(fs, op->other, path);
    case OP_LINK:
        return vmfs_link(fs, path, other);
    case OP_UNLINK:
        return vmfs_unlink(fs, path);
    case OP_RMDIR:
        return vmfs_rmdir(fs, path);
    default:
        return vmfs_rename(fs, path, other, op->flags);
    }
}

static int run_attr(const struct op *op, struct vmfs *fs, const char *path)
{
    switch ((int)op->kind) {
    case OP_CHMOD:
        return vmfs_chmod(fs, path, op->attr.mode);
    case OP_CHOWN:
        return vmfs_chown(fs, path, op->attr.uid, op->attr.gid);
    case OP_UTIMENS:
        return vmfs_utimens(fs, path, op->attr.atime_ns, op->attr.mtime_ns);
    case OP_TRUNCATE:
        return vmfs_truncate(fs, path, op->length);
    default:
        return vmfs_setattr(fs, path, 0, &op->attr);
    }
}

static int64_t run_xattr(const struct op *op, struct vmfs *fs, const char *path,
                         struct op_result *result)
{
    int flags = (int)op->flags;
    switch ((int)op->kind) {
    case OP_XATTR_SET:
        seed_fill(result->data, op->length, op->pattern);
        return vmfs_xattr_set(fs, path, flags, op->name, result->data, op->length);
    case OP_XATTR_REMOVE:
        return vmfs_xattr_remove(fs, path, flags, op->name);
    case OP_XATTR_GET:
        return vmfs_xattr_get(fs, path, flags, op->name, result->data, sizeof(result->data));
    default:
        return vmfs_xattr_list(fs, path, flags, (char *)result->data, sizeof(result->data));
    }
}

static int run_open(const struct op *op, struct op_world *world, const char *path)
{
    struct op_slot *slot = &world->slots[op->slot];
    int err = vmfs_file_open(world->fs, path, (int)op->flags, op->mode, &slot->file);
    if (err == 0) {
        slot->is_open = true;
        slot->flags = op->flags;
    }
    return err;
}

static int64_t run_slot(const struct op *op, struct op_world *world, struct op_result *result)
{
    struct op_slot *slot = &world->slots[op->slot];
    switch ((int)op->kind) {
    case OP_WRITE:
        seed_fill(result->data, op->length, op->pattern);
        return vmfs_file_pwrite(slot->file, result->data, op->length, op->offset);
    case OP_FTRUNCATE:
        return vmfs_file_truncate(slot->file, op->length);
    case OP_READ:
        return vmfs_file_pread(slot->file, result->data, op->length, op->offset);
    case OP_FSTAT:
        result->has_stat = true;
        return vmfs_file_stat(slot->file, &result->stat);
    default:
        slot->is_open = false;
        return vmfs_file_close(slot->file);
    }
}

void op_run_vmfs(const struct op *op, struct op_world *world, struct op_result *result)
{
    struct full_paths full;
    add_prefix(full.path, sizeof(full.path), world->prefix, op->path);
    add_prefix(full.other, sizeof(full.other), world->prefix, op->other);
    clear_result(result);
    if (op->kind == OP_OPEN) {
        result->code = run_open(op, world, full.path);
    } else if (op->kind <= OP_RENAME) {
        result->code = run_names(op, world->fs, full.path, full.other);
    } else if (op->kind <= OP_SETATTR) {
        result->code = run_attr(op, world->fs, full.path);
    } else if (op->kind >= OP_WRITE && op->kind <= OP_CLOSE) {
        result->code = run_slot(op, world, result);
    } else if (op->kind == OP_STAT) {
        result->code = vmfs_stat(world->fs, full.path, VMFS_NOFOLLOW, &result->stat);
        result->has_stat = result->code == 0;
    } else if (op->kind == OP_READLINK) {
        result->code = vmfs_readlink(world->fs, full.path, (char *)result->data, OP_DATA_MAX);
    } else {
        result->code = run_xattr(op, world->fs, full.path, result);
    }
    if (op->kind == OP_READ || op->kind == OP_READLINK || op->kind == OP_XATTR_GET)
        keep_data(result);
}

int op_close_slots(struct op_world *world)
{
    int first_err = 0;
    for (unsigned i = 0; i < OP_SLOTS; i++) {
        struct op_slot *slot = &world->slots[i];
        if (!slot->is_open)
            continue;
        slot->is_open = false;
        int err = 0;
        if (slot->node != NULL)
            model_close(slot->node);
        else
            err = vmfs_file_close(slot->file);
        slot->node = NULL;
        first_err = first_err != 0 ? first_err : err;
    }
    return first_err;
}

/* ----------------------------------------------------------------------------- the model's side */

static int model_names(const struct op *op, struct model *model)
{
    switch ((int)op->kind) {
    case OP_MKDIR:
        return model_mkdir(model, op->path, op->mode);
    case OP_MKNOD:
        return model_mknod(model, op->path, op->mode, op->rdev);
    case OP_SYMLINK:
        return model_symlink(model, op->other, op->path);
    case OP_LINK:
        return model_link(model, op->path, op->other);
    case OP_UNLINK:
        return model_unlink(model, op->path);
    case OP_RMDIR:
        return model_rmdir(model, op->path);
    default:
        return model_rename(model, op->path, op->other, op->flags);
    }
}

static int64_t model_xattr(const struct op *op, struct model *model, struct op_result *result)
{
    int flags = (int)op->flags;
    switch ((int)op->kind) {
    case OP_XATTR_SET:
        seed_fill(result->data, op->length, op->pattern);
        return model_xattr_set(model, op->path, flags, op->name, result->data, op->length);
    case OP_XATTR_REMOVE:
        return model_xattr_remove(model, op->path, flags, op->name);
    case OP_XATTR_GET:
        return model_xattr_get(model, op->path, flags, op->name, result->data, OP_DATA_MAX);
    default:
        return model_xattr_list(model, op->path, flags, (char *)result->data, OP_DATA_MAX);
    }
}

static int model_run_open(const struct op *op, struct op_world *world)
{
    struct op_slot *slot = &world->slots[op->slot];
    int err = model_open(world->model, op->path, (int)op->flags, op->mode, &slot->node);
    if (err == 0) {
        slot->is_open = true;
        slot->flags = op->flags;
    }
    return err;
}

static int64_t model_run_write(const struct op *op, const struct op_slot *slot,
                               int64_t written_bytes, struct op_result *result)
{
    if (!can_write(slot))
        return -EBADF;
    uint64_t offset = (slot->flags & VMFS_O_APPEND) != 0 ? slot->node->size : op->offset;
    uint64_t length = op->length;
    if (written_bytes > 0 && (uint64_t)written_bytes < length)
        length = (uint64_t)written_bytes;
    seed_fill(result->data, op->length, op->pattern);
    return model_pwrite(slot->node, result->data, length, offset);
}

static void stat_node(const struct model_node *node, struct op_result *result)
{
    result->has_stat = true;
    result->is_atime_known = node->is_atime_known;
    result->is_mtime_known = node->is_mtime_known;
    model_node_stat(node, &result->stat);
}

static int64_t model_run_slot(const struct op *op, struct op_world *world, int64_t written_bytes,
                              struct op_result *result)
{
    struct op_slot *slot = &world->slots[op->slot];
    struct vmfs_attr attr;
    switch ((int)op->kind) {
    case OP_WRITE:
        return model_run_write(op, slot, written_bytes, result);
    case OP_FTRUNCATE:
        return can_write(slot) ? model_node_setattr(slot->node, attr_of(op, &attr)) : -EBADF;
    case OP_READ:
        if (!can_read(slot))
            return -EBADF;
        return model_pread(slot->node, result->data, op->length, op->offset);
    case OP_FSTAT:
        stat_node(slot->node, result);
        return 0;
    default:
        slot->is_open = false;
        model_close(slot->node);
        slot->node = NULL;
        return 0;
    }
}

static int model_run_stat(const struct op *op, struct model *model, struct op_result *result)
{
    struct model_node *node;
    int err = model_find(model, op->path, VMFS_NOFOLLOW, &node);
    if (err == 0)
        stat_node(node, result);
    return err;
}

void op_run_model(const struct op *op, struct op_world *world, int64_t written_bytes,
                  struct op_result *result)
{
    struct vmfs_attr attr;
    clear_result(result);
    result->model = world->model;
    world->model->error_count = 0;
    if (op->kind == OP_OPEN)
        result->code = model_run_open(op, world);
    else if (op->kind <= OP_RENAME)
        result->code = model_names(op, world->model);
    else if (op->kind <= OP_SETATTR)
        result->code = model_setattr(world->model, op->path, 0, attr_of(op, &attr));
    else if (op->kind >= OP_WRITE && op->kind <= OP_CLOSE)
        result->code = model_run_slot(op, world, written_bytes, result);
    else if (op->kind == OP_STAT)
        result->code = model_run_stat(op, world->model, result);
    else if (op->kind == OP_READLINK)
        result->code = model_readlink(world->model, op->path, (char *)result->data, OP_DATA_MAX);
    else
        result->code = model_xattr(op, world->model, result);
    if (op->kind == OP_READ || op->kind == OP_READLINK || op->kind == OP_XATTR_GET)
        keep_data(result);
}

/* ----------------------------------------------------------------------------------- comparison */

static bool stats_agree(const struct op_result *vmfs, const struct op_result *model)
{
    const struct vmfs_stat *a = &vmfs->stat;
    const struct vmfs_stat *b = &model->stat;
    return a->mode == b->mode && a->nlink == b->nlink && a->uid == b->uid && a->gid == b->gid &&
           a->rdev == b->rdev && a->size == b->size &&
           (!model->is_atime_known || a->atime_ns == b->atime_ns) &&
           (!model->is_mtime_known || a->mtime_ns == b->mtime_ns);
}

static bool codes_agree(int64_t code, const struct op_result *model)
{
    if (code == model->code)
        return true;
    for (unsigned i = 0; i < model->model->error_count && model->code < 0; i++) {
        if (code == model->model->errors[i])
            return true;
    }
    return false;
}

bool op_results_agree(const struct op *op, const struct op_result *vmfs,
                      const struct op_result *model, char *text, size_t text_bytes)
{
    char op_text[512];
    op_to_text(op, op_text, sizeof(op_text));
    if (!codes_agree(vmfs->code, model)) {
        snprintf(text, text_bytes, "%s returned %lld instead of %lld", op_text,
                 (long long)vmfs->code, (long long)model->code);
        return false;
    }
    if (vmfs->data_bytes != model->data_bytes ||
        memcmp(vmfs->data, model->data, vmfs->data_bytes) != 0) {
        snprintf(text, text_bytes, "%s gave other bytes", op_text);
        return false;
    }
    if (model->has_stat && !stats_agree(vmfs, model)) {
        snprintf(text, text_bytes, "%s: mode %o nlink %u size %llu instead of %o %u %llu", op_text,
                 vmfs->stat.mode, vmfs->stat.nlink, (unsigned long long)vmfs->stat.size,
                 model->stat.mode, model->stat.nlink, (unsigned long long)model->stat.size);
        return false;
    }
    return true;
}

bool op_may_need_space(const struct op *op)
{
    switch ((int)op->kind) {
    case OP_MKDIR:
    case OP_MKNOD:
    case OP_OPEN:
    case OP_SYMLINK:
    case OP_LINK:
    case OP_RENAME:
    case OP_XATTR_SET:
    case OP_WRITE:
        return true;
    case OP_TRUNCATE:
    case OP_FTRUNCATE:
        return op->length != 0;
    case OP_SETATTR:
        return (op->attr.mask & VMFS_ATTR_SIZE) != 0 && op->attr.size != 0;
    default:
        return false;
    }
}

void op_to_text(const struct op *op, char *text, size_t text_bytes)
{
    const char *name = kind_names[op->kind];
    if (op->kind >= OP_WRITE && op->kind <= OP_CLOSE)
        snprintf(text, text_bytes, "%s slot %u offset %llu length %llu", name, op->slot,
                 (unsigned long long)op->offset, (unsigned long long)op->length);
    else if (op->kind == OP_OPEN)
        snprintf(text, text_bytes, "open slot %u \"%.200s\" flags 0%o", op->slot, op->path,
                 op->flags);
    else if (op->kind == OP_LINK || op->kind == OP_RENAME || op->kind == OP_SYMLINK)
        snprintf(text, text_bytes, "%s \"%.200s\" \"%.200s\" flags 0x%x", name, op->path, op->other,
                 op->flags);
    else
        snprintf(text, text_bytes,
                 "%s \"%.200s\" \"%.40s\" mode 0%o mask 0x%x size %llu flags 0x%x", name, op->path,
                 op->name, op->mode, op->attr.mask, (unsigned long long)op->length, op->flags);
}
