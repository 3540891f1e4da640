/* op_vmfs.c -- runs an operation on the library */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "op.h"

struct call {
    const struct op *op;
    struct op_world *world;
    struct op_result *result;
    struct vmfs_at at;
    struct vmfs_at other;
    char path[2 * VMFS_PATH_MAX];
    char other_path[2 * VMFS_PATH_MAX];
};

static void add_prefix(char *full, size_t full_bytes, const char *prefix, const char *path)
{
    const char *slash = prefix[0] != '\0' && path[0] != '/' ? "/" : "";
    snprintf(full, full_bytes, "%s%s%s", prefix, slash, path);
}

static uint64_t dir_id(const struct op_slot *slot)
{
    return slot->held != 0 ? slot->held : vmfs_dir_ino(slot->dir);
}

static struct vmfs_at place_of(const struct op_world *world, const struct op_place *place,
                               const char *path)
{
    struct vmfs_at at = vmfs_at(0, path);
    if (place->base == OP_BASE_DIR)
        at.dir = dir_id(&world->dirs[place->slot]);
    else if (place->base == OP_BASE_FILE)
        at.dir = vmfs_file_ino(world->slots[place->slot].file);
    else if (place->base == OP_BASE_STALE)
        at.dir = world->dead_ino;
    at.uid = place->uid;
    at.gid = place->gid;
    at.umask = place->umask;
    return at;
}

static int run_plain_name(const struct call *call)
{
    const struct op *op = call->op;
    struct vmfs *fs = call->world->fs;
    const char *path = call->path;
    switch ((int)op->kind) {
    case OP_MKDIR:
        return vmfs_mkdir(fs, path, op->mode);
    case OP_MKNOD:
        return vmfs_mknod(fs, path, op->mode, op->rdev);
    case OP_SYMLINK:
        return vmfs_symlink(fs, op->other, path);
    case OP_LINK:
        return vmfs_link(fs, path, call->other_path);
    case OP_UNLINK:
        return vmfs_unlink(fs, path);
    case OP_RMDIR:
        return vmfs_rmdir(fs, path);
    default:
        return vmfs_rename(fs, path, call->other_path, op->flags);
    }
}

/* The other way to do the same: what is made is held for a moment, and its attributes are those that a stat finds. */
static int make_and_release(struct vmfs *fs, struct vmfs_at at, const struct vmfs_make *what)
{
    struct vmfs_stat made;
    struct vmfs_stat seen;
    int err = vmfs_make(fs, at, what, &made);
    if (err != 0)
        return err;
    err = vmfs_stat_at(fs, vmfs_at(made.ino, ""), VMFS_NOFOLLOW, &seen);
    if (err == 0 && memcmp(&made, &seen, sizeof(made)) != 0)
        err = -EIO;
    int released = vmfs_release(fs, made.ino, 1);
    return err != 0 ? err : released;
}

static int run_make(const struct call *call)
{
    const struct op *op = call->op;
    const struct vmfs_make what = {
        .mode = op->kind == OP_MKDIR     ? VMFS_S_IFDIR | op->mode
                : op->kind == OP_SYMLINK ? VMFS_S_IFLNK
                                         : op->mode,
        .rdev = op->rdev,
        .target = op->kind == OP_SYMLINK ? op->other : NULL,
    };
    return make_and_release(call->world->fs, call->at, &what);
}

/* Some calls are made in their other form, as their pattern says. */
static bool is_other_way(const struct op *op)
{
    return (op->pattern >> 40) % 3 == 0;
}

static int run_placed_name(const struct call *call)
{
    const struct op *op = call->op;
    struct vmfs *fs = call->world->fs;
    struct vmfs_at at = call->at;
    uint32_t type = op->mode & VMFS_S_IFMT;
    bool is_making = op->kind == OP_SYMLINK || (op->kind == OP_MKDIR && type == 0) ||
                     (op->kind == OP_MKNOD && type != VMFS_S_IFDIR && type != VMFS_S_IFLNK);
    if (is_making && is_other_way(op))
        return run_make(call);
    switch ((int)op->kind) {
    case OP_MKDIR:
        return vmfs_mkdir_at(fs, at, op->mode);
    case OP_MKNOD:
        return vmfs_mknod_at(fs, at, op->mode, op->rdev);
    case OP_SYMLINK:
        return vmfs_symlink_at(fs, op->other, at);
    case OP_LINK:
        return vmfs_link_at(fs, at, call->other, (int)op->flags);
    case OP_UNLINK:
        return vmfs_unlink_at(fs, at);
    case OP_RMDIR:
        return vmfs_rmdir_at(fs, at);
    default:
        return vmfs_rename_at(fs, at, call->other, op->flags);
    }
}

static int run_attr(const struct call *call, bool is_plain)
{
    const struct op *op = call->op;
    struct vmfs *fs = call->world->fs;
    struct vmfs_attr attr = op_attr(op);
    if (!is_plain)
        return vmfs_setattr_at(fs, call->at, 0, &attr);
    switch ((int)op->kind) {
    case OP_CHMOD:
        return vmfs_chmod(fs, call->path, attr.mode);
    case OP_CHOWN:
        return vmfs_chown(fs, call->path, attr.uid, attr.gid);
    case OP_UTIMENS:
        return vmfs_utimens(fs, call->path, attr.atime_ns, attr.mtime_ns);
    case OP_TRUNCATE:
        return vmfs_truncate(fs, call->path, attr.size);
    default:
        return vmfs_setattr(fs, call->path, 0, &attr);
    }
}

static int64_t run_xattr(const struct call *call, bool is_plain)
{
    const struct op *op = call->op;
    struct vmfs *fs = call->world->fs;
    uint8_t *data = call->result->data;
    int flags = (int)op->flags;
    switch ((int)op->kind) {
    case OP_XATTR_SET:
        op_xattr_value(op, data);
        return is_plain ? vmfs_xattr_set(fs, call->path, flags, op->name, data, op->length)
                        : vmfs_xattr_set_at(fs, call->at, flags, op->name, data, op->length);
    case OP_XATTR_REMOVE:
        return is_plain ? vmfs_xattr_remove(fs, call->path, flags, op->name)
                        : vmfs_xattr_remove_at(fs, call->at, flags, op->name);
    case OP_XATTR_GET:
        return is_plain ? vmfs_xattr_get(fs, call->path, flags, op->name, data, op->length)
                        : vmfs_xattr_get_at(fs, call->at, flags, op->name, data, op->length);
    default:
        return is_plain ? vmfs_xattr_list(fs, call->path, flags, (char *)data, op->length)
                        : vmfs_xattr_list_at(fs, call->at, flags, (char *)data, op->length);
    }
}

static int run_open(const struct call *call, bool is_plain)
{
    const struct op *op = call->op;
    struct op_world *world = call->world;
    struct op_slot *slot = &world->slots[op->slot];
    int err = is_plain
                  ? vmfs_file_open(world->fs, call->path, (int)op->flags, op->mode, &slot->file)
                  : vmfs_file_open_at(world->fs, call->at, (int)op->flags, op->mode, &slot->file);
    if (err == 0) {
        slot->is_open = true;
        slot->flags = op->flags;
    }
    return err;
}

/* The plain paths of places that can only be named by a place get the region's root. */
static int run_file_link(const struct call *call, struct vmfs_file *file)
{
    struct vmfs_at at = call->at;
    if (call->op->at.base == OP_BASE_NONE)
        at.path = call->path;
    return vmfs_file_link(file, at);
}

static int64_t run_write(const struct op *op, struct vmfs_file *file, struct op_result *result)
{
    static const uint8_t much[VMFS_ATOMIC_MAX + MODEL_BLOCK];
    struct vmfs_iovec iov[OP_PIECES];
    bool is_here = op->kind == OP_WRITE_HERE;
    if (op->length > OP_DATA_MAX)
        return is_here ? vmfs_file_write(file, much, op->length)
                       : vmfs_file_pwrite(file, much, op->length, op->offset);
    seed_fill(result->data, op->length, op->pattern);
    if (op->flags != 0) {
        unsigned pieces = op_pieces(op, result->data, op->length, iov);
        iov[0] = pieces > 0 ? iov[0] : (struct vmfs_iovec){result->data, op->length};
        return vmfs_file_pwritev2(file, iov, pieces > 0 ? pieces : 1, op->offset, (int)op->flags);
    }
    if (op->pieces == 0)
        return is_here ? vmfs_file_write(file, result->data, op->length)
                       : vmfs_file_pwrite(file, result->data, op->length, op->offset);
    unsigned count = op_pieces(op, result->data, op->length, iov);
    return is_here ? vmfs_file_writev(file, iov, count)
                   : vmfs_file_pwritev(file, iov, count, op->offset);
}

static int64_t read_view(const struct op *op, struct vmfs_file *file, struct op_result *result)
{
    static struct vmfs_iovec iov[VMFS_IOV_MAX];
    struct vmfs_view view;
    unsigned count = VMFS_IOV_MAX;
    int64_t got = vmfs_file_view(file, op->length, op->offset, iov, &count, &view);
    if (got < 0)
        return got;
    uint8_t *at = result->data;
    for (unsigned i = 0; i < count; at += iov[i++].length)
        memcpy(at, iov[i].base, iov[i].length);
    vmfs_view_end(&view);
    return got;
}

static int64_t run_read(const struct op *op, struct vmfs_file *file, struct op_result *result)
{
    struct vmfs_iovec iov[OP_PIECES];
    bool is_here = op->kind == OP_READ_HERE;
    if (!is_here && op->pieces == 0 && is_other_way(op))
        return read_view(op, file, result);
    if (op->pieces == 0)
        return is_here ? vmfs_file_read(file, result->data, op->length)
                       : vmfs_file_pread(file, result->data, op->length, op->offset);
    unsigned count = op_pieces(op, result->data, op->length, iov);
    return is_here ? vmfs_file_readv(file, iov, count)
                   : vmfs_file_preadv(file, iov, count, op->offset);
}

static bool is_open_elsewhere(const struct op_world *world, const struct op_slot *slot)
{
    uint64_t ino = vmfs_file_ino(slot->file);
    for (unsigned i = 0; i < OP_SLOTS; i++) {
        const struct op_slot *other = &world->slots[i];
        if (other != slot && other->is_open && vmfs_file_ino(other->file) == ino)
            return true;
    }
    return false;
}

static int close_slot(struct op_world *world, struct op_slot *slot)
{
    struct vmfs_stat stat;
    if (vmfs_file_stat(slot->file, &stat) == 0 && stat.nlink == 0 &&
        !is_open_elsewhere(world, slot))
        world->dead_ino = stat.ino;
    slot->is_open = false;
    return vmfs_file_close(slot->file);
}

static int64_t run_slot(const struct call *call)
{
    const struct op *op = call->op;
    struct op_world *world = call->world;
    struct op_result *result = call->result;
    struct op_slot *slot = &world->slots[op->slot];
    struct vmfs_attr attr = op_attr(op);
    switch ((int)op->kind) {
    case OP_WRITE:
    case OP_WRITE_HERE:
        return run_write(op, slot->file, result);
    case OP_ALLOCATE:
        return vmfs_file_allocate(slot->file, (int)op->flags, op->offset, op->length);
    case OP_COPY:
        return vmfs_file_copy_range2(slot->file, op->offset, world->slots[op->other_slot].file,
                                     op->other_offset, op->length, (int)op->flags);
    case OP_FTRUNCATE:
        return vmfs_file_truncate(slot->file, op->length);
    case OP_FSETATTR:
        return vmfs_file_setattr(slot->file, &attr);
    case OP_FILE_LINK:
        return run_file_link(call, slot->file);
    case OP_SYNC:
        return vmfs_file_sync(slot->file);
    case OP_READ:
    case OP_READ_HERE:
        return run_read(op, slot->file, result);
    case OP_SEEK:
        return vmfs_file_seek(slot->file, (int64_t)op->offset, (int)op->flags);
    case OP_FSTAT:
        result->has_stat = true;
        return vmfs_file_stat(slot->file, &result->stat);
    default:
        return close_slot(world, slot);
    }
}

static int64_t read_by_id(const struct call *call, uint64_t dir)
{
    struct vmfs *fs = call->world->fs;
    struct vmfs_dirent entry;
    struct vmfs_stat stat;
    uint64_t cookie = 0;
    int err = 0;
    while (err == 0 && (err = vmfs_dir_read_at(fs, dir, cookie, &entry, &stat)) == 1) {
        op_digest_entry(call->result, entry.name, entry.type);
        bool is_dots = cookie < 2;
        bool is_same = stat.ino == entry.ino && (stat.mode & VMFS_S_IFMT) == entry.type;
        cookie = entry.cookie;
        err = is_dots ? 0 : vmfs_release(fs, entry.ino, 1);
        err = is_same ? err : -EIO;
    }
    return err < 0 ? err : call->result->code;
}

static int hold(const struct call *call, struct op_slot *slot)
{
    struct vmfs_stat stat;
    int err = vmfs_lookup(call->world->fs, call->at, &stat);
    slot->held = err == 0 ? stat.ino : 0;
    slot->is_open = err == 0;
    return err;
}

static int close_dir(struct vmfs *fs, struct op_slot *slot)
{
    uint64_t held = slot->held;
    slot->is_open = false;
    slot->held = 0;
    return held != 0 ? vmfs_release(fs, held, 1) : vmfs_dir_close(slot->dir);
}

static int64_t run_dir(const struct call *call, bool is_plain)
{
    const struct op *op = call->op;
    struct op_world *world = call->world;
    struct op_slot *slot = &world->dirs[op->slot];
    if (op->kind == OP_DIR_CLOSE)
        return close_dir(world->fs, slot);
    if (op->kind == OP_DIR_OPEN && op->flags == OP_HELD)
        return hold(call, slot);
    if (op->kind == OP_DIR_OPEN) {
        slot->held = 0;
        int err = is_plain ? vmfs_dir_open(world->fs, call->path, &slot->dir)
                           : vmfs_dir_open_at(world->fs, call->at, &slot->dir);
        slot->is_open = err == 0;
        return err;
    }
    if (slot->held != 0 || is_other_way(op))
        return read_by_id(call, dir_id(slot));
    struct vmfs_dirent entry;
    int err = vmfs_dir_seek(slot->dir, 0);
    unsigned count = 0;
    while (err >= 0 && (err = vmfs_dir_read(slot->dir, &entry)) == 1) {
        op_digest_entry(call->result, entry.name, entry.type);
        if (++count % 8 == op->pattern % 8)
            err = vmfs_dir_seek(slot->dir, entry.cookie);
    }
    return err < 0 ? err : call->result->code;
}

static int64_t stat_by_lookup(const struct call *call)
{
    struct op_result *result = call->result;
    int err = vmfs_lookup(call->world->fs, call->at, &result->stat);
    result->has_stat = err == 0;
    return err != 0 ? err : vmfs_release(call->world->fs, result->stat.ino, 1);
}

static int64_t run_reading(const struct call *call, bool is_plain)
{
    const struct op *op = call->op;
    struct vmfs *fs = call->world->fs;
    struct op_result *result = call->result;
    if (op->kind == OP_READLINK)
        return is_plain ? vmfs_readlink(fs, call->path, (char *)result->data, OP_DATA_MAX)
                        : vmfs_readlink_at(fs, call->at, (char *)result->data, OP_DATA_MAX);
    if (!is_plain && (op->flags & VMFS_NOFOLLOW) != 0 && is_other_way(op))
        return stat_by_lookup(call);
    int err = is_plain ? vmfs_stat(fs, call->path, (int)op->flags, &result->stat)
                       : vmfs_stat_at(fs, call->at, (int)op->flags, &result->stat);
    result->has_stat = err == 0;
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

void op_run_vmfs(const struct op *op, struct op_world *world, struct op_result *result)
{
    struct call call = {.op = op, .world = world, .result = result};
    add_prefix(call.path, sizeof(call.path), world->prefix, op->path);
    add_prefix(call.other_path, sizeof(call.other_path), world->prefix, op->other);
    call.at = place_of(world, &op->at, op->path);
    call.other = place_of(world, &op->other_at, op->other);
    memset(result, 0, offsetof(struct op_result, data) + sizeof(uint64_t));
    bool is_plain = op->at.base == OP_BASE_NONE;
    if (op->kind == OP_OPEN || op->kind == OP_TMPFILE)
        result->code = run_open(&call, is_plain);
    else if (op->kind <= OP_RENAME)
        result->code = is_plain ? run_plain_name(&call) : run_placed_name(&call);
    else if (op->kind <= OP_SETFLAGS)
        result->code = run_attr(&call, is_plain);
    else if (op_is_slot_kind(op->kind))
        result->code = run_slot(&call);
    else if (op->kind == OP_STAT || op->kind == OP_READLINK)
        result->code = run_reading(&call, is_plain);
    else if (op->kind >= OP_DIR_OPEN)
        result->code = run_dir(&call, is_plain);
    else
        result->code = run_xattr(&call, is_plain);
    keep_data(op, result);
}

static int close_open_slot(struct op_world *world, struct op_slot *slot, bool is_dir)
{
    slot->is_open = false;
    int err = 0;
    if (slot->node != NULL)
        model_close(slot->node);
    else
        err = is_dir ? close_dir(world->fs, slot) : vmfs_file_close(slot->file);
    slot->node = NULL;
    return err;
}

int op_close_slots(struct op_world *world)
{
    int first_err = 0;
    for (unsigned i = 0; i < OP_SLOTS + OP_DIR_SLOTS; i++) {
        bool is_dir = i >= OP_SLOTS;
        struct op_slot *slot = is_dir ? &world->dirs[i - OP_SLOTS] : &world->slots[i];
        int err = slot->is_open ? close_open_slot(world, slot, is_dir) : 0;
        first_err = first_err != 0 ? first_err : err;
    }
    world->dead_ino = 0;
    return first_err;
}
