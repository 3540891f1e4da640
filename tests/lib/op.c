/* op.c -- what all sides of an operation share, and the comparison of their results */
#include "op.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const kind_names[OP_KIND_COUNT] = {
#define OP_NAME(kind, name) [OP_##kind] = name,
    OP_KINDS(OP_NAME)
#undef OP_NAME
};

const char *op_kind_name(enum op_kind kind)
{
    return kind_names[kind];
}

bool op_is_slot_kind(enum op_kind kind)
{
    return kind >= OP_WRITE && kind <= OP_CLOSE;
}

struct vmfs_attr op_attr(const struct op *op)
{
    struct vmfs_attr attr = op->attr;
    switch ((int)op->kind) {
    case OP_CHMOD:
        attr.mask = VMFS_ATTR_MODE;
        break;
    case OP_CHOWN:
        attr.mask = VMFS_ATTR_UID | VMFS_ATTR_GID;
        break;
    case OP_UTIMENS:
        attr.mask = VMFS_ATTR_ATIME | VMFS_ATTR_MTIME;
        break;
    case OP_SETFLAGS:
        attr.mask = VMFS_ATTR_FLAGS;
        break;
    case OP_TRUNCATE:
    case OP_FTRUNCATE:
        attr.mask = VMFS_ATTR_SIZE;
        attr.size = op->length;
        break;
    default:
        break;
    }
    return attr;
}

unsigned op_pieces(const struct op *op, void *base, size_t length, struct vmfs_iovec iov[OP_PIECES])
{
    struct seed seed;
    uint8_t *at = base;
    seed_init(&seed, op->pattern ^ 0x5eed);
    for (unsigned i = 0; i < op->pieces; i++) {
        size_t bytes = seed_chance(&seed, 20) ? 0 : (size_t)seed_below(&seed, length + 1);
        if (i + 1 == op->pieces)
            bytes = length;
        iov[i] = (struct vmfs_iovec){bytes > 0 ? at : NULL, bytes};
        at += bytes;
        length -= bytes;
    }
    return op->pieces;
}

void op_digest_entry(struct op_result *result, const char *name, uint32_t type)
{
    uint64_t digest = type;
    for (const char *at = name; *at != '\0'; at++)
        digest = seed_mix(digest, (uint64_t)(unsigned char)*at);
    uint64_t sum;
    memcpy(&sum, result->data, sizeof(sum));
    sum += digest;
    memcpy(result->data, &sum, sizeof(sum));
    result->data_bytes = sizeof(sum);
    result->code++;
}

/* ----------------------------------------------------------------------------------- comparison */

static bool stats_agree(const struct vmfs_stat *a, const struct op_result *model)
{
    const struct vmfs_stat *b = &model->stat;
    const struct model_node *node = model->node;
    return a->mode == b->mode && a->nlink == b->nlink && a->uid == b->uid && a->gid == b->gid &&
           a->rdev == b->rdev && a->size == b->size && a->flags == b->flags &&
           (!node->is_atime_known || a->atime_ns == b->atime_ns) &&
           (!node->is_mtime_known || a->mtime_ns == b->mtime_ns) &&
           (!node->is_ctime_known || a->ctime_ns == b->ctime_ns) &&
           (!node->is_btime_known || a->btime_ns == b->btime_ns);
}

bool op_codes_agree(int64_t code, const struct op_result *model)
{
    if (code == model->code)
        return true;
    for (unsigned i = 0; i < model->model->error_count && model->code < 0; i++) {
        if (code < 0 && code == model->model->errors[i])
            return true;
    }
    return false;
}

static void stat_to_text(const struct vmfs_stat *stat, char text[256])
{
    snprintf(text, 256, "mode %o nlink %u owner %u:%u size %llu flags %x times %lld %lld %lld %lld",
             stat->mode, stat->nlink, stat->uid, stat->gid, (unsigned long long)stat->size,
             stat->flags, (long long)stat->atime_ns, (long long)stat->mtime_ns,
             (long long)stat->ctime_ns, (long long)stat->btime_ns);
}

bool op_results_agree(const struct op *op, const struct op_result *vmfs,
                      const struct op_result *model, char *text, size_t text_bytes)
{
    char op_text[512];
    char found[256];
    char wanted[256];
    op_to_text(op, op_text, sizeof(op_text));
    if (!op_codes_agree(vmfs->code, model)) {
        snprintf(text, text_bytes, "%s returned %lld instead of %lld", op_text,
                 (long long)vmfs->code, (long long)model->code);
        return false;
    }
    if (vmfs->data_bytes != model->data_bytes ||
        memcmp(vmfs->data, model->data, vmfs->data_bytes) != 0) {
        snprintf(text, text_bytes, "%s gave other bytes", op_text);
        return false;
    }
    if (model->has_stat && !stats_agree(&vmfs->stat, model)) {
        stat_to_text(&vmfs->stat, found);
        stat_to_text(&model->stat, wanted);
        snprintf(text, text_bytes, "%s: %s instead of %s", op_text, found, wanted);
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
    case OP_TMPFILE:
    case OP_SYMLINK:
    case OP_LINK:
    case OP_FILE_LINK:
    case OP_RENAME:
    case OP_XATTR_SET:
    case OP_WRITE:
    case OP_WRITE_HERE:
    case OP_ALLOCATE:
    case OP_COPY:
    case OP_CHMOD: /* of what has an ACL, which is written anew */
        return true;
    case OP_SETATTR:
    case OP_FSETATTR:
        return (op->attr.mask & VMFS_ATTR_MODE) != 0;
    default:
        return false;
    }
}

static void add_to_attr(struct op *op, uint64_t bits)
{
    if (bits % 8 == 0)
        op->attr.mask |= VMFS_ATTR_KILL_PRIV;
    if (bits % 8 == 1)
        op->attr.mask |= VMFS_ATTR_CTIME;
    op->attr.ctime_ns = bits % 16 == 1 ? VMFS_TIME_NOW : (int64_t)(bits >> 8);
    if ((op->attr.mask & VMFS_ATTR_MODE) != 0 && bits % 2 == 0)
        op->attr.mode |= 06000;
}

void op_add_privileges(struct op *op)
{
    uint64_t bits = op->pattern >> 24;
    switch ((int)op->kind) {
    case OP_SETATTR:
    case OP_FSETATTR:
        add_to_attr(op, bits);
        break;
    case OP_CHMOD:
        op->attr.mode |= bits % 2 == 0 ? 06000 : 0;
        break;
    case OP_OPEN:
        op->flags |= bits % 2 == 0 ? VMFS_O_KILL_PRIV : 0;
        break;
    case OP_WRITE:
        op->flags |= bits % 4 == 0 ? VMFS_RW_KILL_PRIV : 0;
        op->flags |= bits % 16 == 2 ? VMFS_RW_DSYNC : 0;
        break;
    case OP_COPY:
        op->flags |= bits % 4 == 0 ? VMFS_RW_KILL_PRIV : 0;
        break;
    case OP_ALLOCATE:
        op->flags |= bits % 4 == 0 ? VMFS_ALLOC_KILL_PRIV : 0;
        break;
    case OP_XATTR_SET:
    case OP_XATTR_GET:
    case OP_XATTR_REMOVE:
        if (bits % 4 == 0 && strncmp(op->name, "security.", 9) == 0)
            snprintf(op->name, sizeof(op->name), "security.capability");
        break;
    default:
        break;
    }
}

static void place_to_text(const struct op_place *at, char text[64])
{
    static const char *const bases[] = {"", "root:", "dir", "file", "stale:"};
    bool has_slot = at->base == OP_BASE_DIR || at->base == OP_BASE_FILE;
    int used = has_slot ? snprintf(text, 64, "%s%u:", bases[at->base], at->slot)
                        : snprintf(text, 64, "%s", bases[at->base]);
    if (at->uid != UINT32_MAX || at->umask != 0)
        snprintf(text + used, 64 - (size_t)used, "(as %u:%u umask %o)", at->uid, at->gid,
                 at->umask);
}

void op_to_text(const struct op *op, char *text, size_t text_bytes)
{
    const char *name = kind_names[op->kind];
    char at[64];
    char other_at[64];
    place_to_text(&op->at, at);
    place_to_text(&op->other_at, other_at);
    if (op->kind == OP_FILE_LINK)
        snprintf(text, text_bytes, "file_link slot %u %s\"%.200s\"", op->slot, at, op->path);
    else if (op_is_slot_kind(op->kind))
        snprintf(text, text_bytes,
                 "%s slot %u offset %llu length %llu to slot %u offset %llu flags 0x%x mask 0x%x "
                 "pieces %u",
                 name, op->slot, (unsigned long long)op->offset, (unsigned long long)op->length,
                 op->other_slot, (unsigned long long)op->other_offset, op->flags, op->attr.mask,
                 op->pieces);
    else if (op->kind == OP_OPEN || op->kind == OP_TMPFILE || op->kind >= OP_DIR_OPEN)
        snprintf(text, text_bytes, "%s slot %u %s\"%.200s\" flags 0%o mode 0%o", name, op->slot, at,
                 op->path, op->flags, op->mode);
    else if (op->kind == OP_LINK || op->kind == OP_RENAME || op->kind == OP_SYMLINK)
        snprintf(text, text_bytes, "%s %s\"%.180s\" %s\"%.180s\" flags 0x%x", name, at, op->path,
                 other_at, op->other, op->flags);
    else
        snprintf(text, text_bytes,
                 "%s %s\"%.200s\" \"%.40s\" mode 0%o mask 0x%x size %llu flags 0x%x", name, at,
                 op->path, op->name, op->mode, op->attr.mask, (unsigned long long)op->length,
                 op->flags);
}
