/* op_generate.c -- draws operations: mostly ones that succeed, some that must fail */
#include <stdio.h>
#include <string.h>

#include "op.h"

struct generator {
    struct op *op;
    const struct op_world *world;
    const struct op_profile *profile;
    struct seed *seed;
};

enum wanted { WANT_ANY, WANT_FILE, WANT_DIR, WANT_LINK, WANT_NOT_DIR };

/* Relative frequencies in a model that is half full. */
static const unsigned weights[OP_KIND_COUNT] = {
    [OP_MKDIR] = 5,     [OP_MKNOD] = 5,     [OP_OPEN] = 14,        [OP_SYMLINK] = 4,
    [OP_LINK] = 5,      [OP_UNLINK] = 9,    [OP_RMDIR] = 4,        [OP_RENAME] = 14,
    [OP_CHMOD] = 3,     [OP_CHOWN] = 3,     [OP_UTIMENS] = 3,      [OP_TRUNCATE] = 4,
    [OP_SETATTR] = 3,   [OP_XATTR_SET] = 5, [OP_XATTR_REMOVE] = 3, [OP_WRITE] = 24,
    [OP_FTRUNCATE] = 4, [OP_READ] = 8,      [OP_FSTAT] = 2,        [OP_CLOSE] = 9,
    [OP_STAT] = 6,      [OP_READLINK] = 2,  [OP_XATTR_GET] = 3,    [OP_XATTR_LIST] = 2,
};

static bool is_wanted(const struct model_node *node, enum wanted wanted)
{
    switch (wanted) {
    case WANT_FILE:
        return model_type(node) == VMFS_S_IFREG;
    case WANT_DIR:
        return model_is_dir(node);
    case WANT_LINK:
        return model_type(node) == VMFS_S_IFLNK;
    case WANT_NOT_DIR:
        return !model_is_dir(node);
    case WANT_ANY:
    default:
        return true;
    }
}

/* An entry of the wanted kind if a few draws find one, else any, else null. */
static const struct model_entry *pick_entry(struct generator *gen, enum wanted wanted)
{
    const struct model *model = gen->world->model;
    const struct model_entry *entry = NULL;
    if (model->entry_count == 0)
        return NULL;
    for (int i = 0; i < 12; i++) {
        entry = model->entries[seed_below(gen->seed, model->entry_count)];
        if (is_wanted(entry->node, wanted))
            break;
    }
    return entry;
}

static void pick_existing(struct generator *gen, enum wanted wanted, char *path)
{
    const struct model_entry *entry = pick_entry(gen, wanted);
    if (entry == NULL || !model_entry_path(entry, path))
        memcpy(path, "/none", sizeof("/none"));
}

static void append_name(struct generator *gen, char *path)
{
    char name[VMFS_NAME_MAX + 2];
    uint64_t number = seed_below(gen->seed, gen->profile->name_range);
    int used = snprintf(name, sizeof(name), "n%u", (unsigned)number);
    if (number % 8 == 7) {
        size_t length = 20 + (size_t)(number * 37 % (VMFS_NAME_MAX - 20 + 1));
        memset(name + used, 'a' + (int)(number % 26), length - (size_t)used);
        name[length] = '\0';
    }
    size_t path_bytes = strlen(path);
    snprintf(path + path_bytes, VMFS_PATH_MAX + 512 - path_bytes, "/%s", name);
}

static void pick_dir(struct generator *gen, char *path)
{
    const struct model_entry *entry = pick_entry(gen, WANT_DIR);
    path[0] = '\0';
    if (entry == NULL || !model_is_dir(entry->node) || seed_chance(gen->seed, 25))
        return;
    if (!model_entry_path(entry, path) || strlen(path) > 1024)
        path[0] = '\0';
}

/* A path that likely does not exist, in a directory that does. */
static void pick_new(struct generator *gen, char *path)
{
    pick_dir(gen, path);
    append_name(gen, path);
}

static void insert_at(char *path, size_t position, const char *text)
{
    size_t bytes = strlen(text);
    if (strlen(path) + bytes > VMFS_PATH_MAX + 400)
        return;
    memmove(path + position + bytes, path + position, strlen(path + position) + 1);
    memcpy(path + position, text, bytes);
}

static void make_long(char *path, size_t name_bytes)
{
    size_t used = strlen(path);
    path[used++] = '/';
    memset(path + used, 'L', name_bytes);
    path[used + name_bytes] = '\0';
}

static void repeat_dots(char *path)
{
    while (strlen(path) <= VMFS_PATH_MAX)
        insert_at(path, 0, "/.");
}

/* Makes a path odd but equal, or wrong. */
static void make_messy(struct generator *gen, char *path)
{
    const char *slash = strrchr(path, '/');
    size_t last = slash != NULL ? (size_t)(slash - path) : 0;
    switch (seed_below(gen->seed, 10)) {
    case 0:
        insert_at(path, last, "/.");
        break;
    case 1:
        insert_at(path, last, "/");
        break;
    case 2:
        if (gen->profile->has_outside)
            insert_at(path, 0, "/..");
        break;
    case 3:
        if (path[0] == '/' && path[1] != '\0')
            memmove(path, path + 1, strlen(path));
        break;
    case 4:
        insert_at(path, last, "/missing");
        break;
    case 5:
        append_name(gen, path);
        break;
    case 6:
        if (strlen(path) < 2048)
            make_long(path, 254 + seed_below(gen->seed, 4));
        break;
    case 7:
        repeat_dots(path);
        break;
    case 8:
        insert_at(path, strlen(path), seed_chance(gen->seed, 50) ? "/." : "/..");
        break;
    default:
        path[seed_below(gen->seed, 2)] = '\0';
        break;
    }
}

static void finish_path(struct generator *gen, char *path)
{
    if (gen->profile->messy > 0 && seed_chance(gen->seed, gen->profile->messy))
        make_messy(gen, path);
}

/* ------------------------------------------------------------------------ kinds of operation ---
 */

static void draw_symlink(struct generator *gen)
{
    struct op *op = gen->op;
    pick_new(gen, op->path);
    if (gen->profile->has_outside && seed_chance(gen->seed, 50)) {
        pick_existing(gen, WANT_ANY, op->other);
    } else {
        op->other[0] = '\0';
        append_name(gen, op->other);
        memmove(op->other, op->other + 1, strlen(op->other));
    }
    if (seed_chance(gen->seed, 5)) {
        size_t bytes = 1 + (size_t)seed_below(gen->seed, VMFS_PATH_MAX);
        memset(op->other, 't', bytes);
        op->other[bytes] = '\0';
    }
}

static void draw_rename(struct generator *gen)
{
    struct op *op = gen->op;
    pick_existing(gen, WANT_ANY, op->path);
    uint64_t form = seed_below(gen->seed, 10);
    if (form < 5)
        pick_new(gen, op->other);
    else
        pick_existing(gen, WANT_ANY, op->other);
    if (form == 0 || form == 5)
        op->flags = VMFS_RENAME_NOREPLACE;
    else if (form == 1 || form >= 8)
        op->flags = VMFS_RENAME_EXCHANGE;
    finish_path(gen, op->other);
}

static void draw_open(struct generator *gen)
{
    struct op *op = gen->op;
    static const uint32_t modes[] = {VMFS_O_RDWR, VMFS_O_RDWR, VMFS_O_RDWR, VMFS_O_WRONLY,
                                     VMFS_O_RDONLY};
    op->flags = modes[seed_below(gen->seed, 5)];
    if (seed_chance(gen->seed, 60)) {
        op->flags |= VMFS_O_CREAT;
        pick_new(gen, op->path);
    } else {
        pick_existing(gen, seed_chance(gen->seed, 90) ? WANT_FILE : WANT_ANY, op->path);
    }
    if (seed_chance(gen->seed, 10))
        op->flags |= VMFS_O_EXCL | VMFS_O_CREAT;
    if (seed_chance(gen->seed, 15) && (op->flags & VMFS_O_ACCMODE) != VMFS_O_RDONLY)
        op->flags |= VMFS_O_TRUNC;
    if (seed_chance(gen->seed, 25))
        op->flags |= VMFS_O_APPEND;
    if (seed_chance(gen->seed, 10))
        op->flags |= VMFS_O_NOFOLLOW;
}

static uint64_t draw_length(struct generator *gen)
{
    uint64_t limit = gen->profile->file_max;
    switch (seed_below(gen->seed, 8)) {
    case 0:
        return seed_below(gen->seed, 16);
    case 1:
        return 4096;
    case 2:
        return seed_below(gen->seed, limit / 2) + 1;
    case 3:
        return 8 * (1 + seed_below(gen->seed, 64));
    default:
        return seed_below(gen->seed, limit / 16) + 1;
    }
}

static uint64_t draw_size(struct generator *gen)
{
    if (gen->profile->sparse_max > 0 && seed_chance(gen->seed, 10))
        return seed_below(gen->seed, gen->profile->sparse_max);
    uint64_t size = seed_below(gen->seed, gen->profile->file_max);
    return seed_chance(gen->seed, 40) ? size & ~(uint64_t)4095 : size;
}

static void draw_range(struct generator *gen)
{
    struct op *op = gen->op;
    op->length = draw_length(gen);
    op->offset = seed_below(gen->seed, gen->profile->file_max - op->length + 1);
    if (seed_chance(gen->seed, 40))
        op->offset &= ~(uint64_t)4095;
    const struct model_node *node = gen->world->slots[op->slot].node;
    if (node != NULL && node->size + op->length <= gen->profile->file_max &&
        seed_chance(gen->seed, 25))
        op->offset = node->size;
}

/* An append must not carry a sparse file beyond what the model can hold. */
static void limit_append(struct generator *gen)
{
    struct op *op = gen->op;
    const struct op_slot *slot = &gen->world->slots[op->slot];
    if ((slot->flags & VMFS_O_APPEND) == 0 || slot->node == NULL)
        return;
    if (slot->node->size + op->length > 4 * gen->profile->file_max)
        op->kind = OP_FTRUNCATE;
    if (op->kind == OP_FTRUNCATE)
        op->length = 0;
}

static int64_t draw_time(struct generator *gen)
{
    int64_t time_ns = (int64_t)(seed_next(gen->seed) >> 2);
    return seed_chance(gen->seed, 10) ? -(time_ns / 16) : time_ns;
}

static void draw_attr(struct generator *gen)
{
    struct op *op = gen->op;
    struct vmfs_attr *attr = &op->attr;
    attr->mode = (uint32_t)seed_below(gen->seed, 01000) | (seed_chance(gen->seed, 20) ? 01000 : 0);
    attr->uid = (uint32_t)seed_below(gen->seed, 70000);
    attr->gid = (uint32_t)seed_below(gen->seed, 70000);
    attr->atime_ns = draw_time(gen);
    attr->mtime_ns = draw_time(gen);
    attr->size = draw_size(gen);
    attr->mask = 1 + (uint32_t)seed_below(gen->seed, 63);
    if ((attr->mask & VMFS_ATTR_SIZE) != 0)
        pick_existing(gen, WANT_FILE, op->path);
    else
        pick_existing(gen, WANT_ANY, op->path);
}

static void draw_xattr_name(struct generator *gen)
{
    struct op *op = gen->op;
    uint64_t number = seed_below(gen->seed, 8);
    snprintf(op->name, sizeof(op->name), "user.x%u", (unsigned)number);
    if (number == 7) {
        memset(op->name + 5, 'y', 250);
        op->name[255] = '\0';
    }
    if (gen->profile->messy == 0 || !seed_chance(gen->seed, 5))
        return;
    static const char *const wrong[] = {"user.", "trusted.a", "plain", ""};
    snprintf(op->name, sizeof(op->name), "%s", wrong[seed_below(gen->seed, 4)]);
}

static void draw_xattr(struct generator *gen)
{
    struct op *op = gen->op;
    pick_existing(gen, seed_chance(gen->seed, 60) ? WANT_FILE : WANT_DIR, op->path);
    draw_xattr_name(gen);
    op->length = seed_below(gen->seed, 64);
    if (seed_chance(gen->seed, 10))
        op->length = seed_below(gen->seed, 6000);
    if (seed_chance(gen->seed, 20))
        op->flags = seed_chance(gen->seed, 50) ? VMFS_XATTR_CREATE : VMFS_XATTR_REPLACE;
    if (op->kind != OP_XATTR_SET)
        op->flags = 0;
}

static void draw_mknod(struct generator *gen)
{
    static const uint32_t types[] = {
        0, VMFS_S_IFREG, VMFS_S_IFIFO, VMFS_S_IFCHR, VMFS_S_IFBLK, VMFS_S_IFSOCK};
    struct op *op = gen->op;
    pick_new(gen, op->path);
    uint32_t type = types[seed_below(gen->seed, 6)];
    op->mode |= type;
    if (type == VMFS_S_IFCHR || type == VMFS_S_IFBLK)
        op->rdev = seed_below(gen->seed, 1 << 20);
}

static void draw_mkdir(struct generator *gen)
{
    pick_new(gen, gen->op->path);
}

static void draw_link(struct generator *gen)
{
    pick_existing(gen, WANT_NOT_DIR, gen->op->path);
    pick_new(gen, gen->op->other);
    finish_path(gen, gen->op->other);
}

static void draw_any(struct generator *gen)
{
    pick_existing(gen, WANT_ANY, gen->op->path);
}

static void draw_not_dir(struct generator *gen)
{
    pick_existing(gen, WANT_NOT_DIR, gen->op->path);
}

static void draw_dir(struct generator *gen)
{
    pick_existing(gen, WANT_DIR, gen->op->path);
}

static void draw_symlink_path(struct generator *gen)
{
    pick_existing(gen, WANT_LINK, gen->op->path);
}

static void draw_truncate(struct generator *gen)
{
    pick_existing(gen, WANT_FILE, gen->op->path);
    gen->op->length = draw_size(gen);
}

static void draw_ftruncate(struct generator *gen)
{
    gen->op->length = draw_size(gen);
}

static void draw_nothing(struct generator *gen)
{
    (void)gen;
}

static void (*const draws[OP_KIND_COUNT])(struct generator *) = {
    [OP_MKDIR] = draw_mkdir,
    [OP_MKNOD] = draw_mknod,
    [OP_OPEN] = draw_open,
    [OP_SYMLINK] = draw_symlink,
    [OP_LINK] = draw_link,
    [OP_UNLINK] = draw_not_dir,
    [OP_RMDIR] = draw_dir,
    [OP_RENAME] = draw_rename,
    [OP_CHMOD] = draw_attr,
    [OP_CHOWN] = draw_attr,
    [OP_UTIMENS] = draw_attr,
    [OP_TRUNCATE] = draw_truncate,
    [OP_SETATTR] = draw_attr,
    [OP_XATTR_SET] = draw_xattr,
    [OP_XATTR_REMOVE] = draw_xattr,
    [OP_WRITE] = draw_range,
    [OP_FTRUNCATE] = draw_ftruncate,
    [OP_READ] = draw_range,
    [OP_FSTAT] = draw_nothing,
    [OP_CLOSE] = draw_nothing,
    [OP_STAT] = draw_any,
    [OP_READLINK] = draw_symlink_path,
    [OP_XATTR_GET] = draw_xattr,
    [OP_XATTR_LIST] = draw_xattr,
};

static bool is_slot_kind(enum op_kind kind)
{
    return kind >= OP_WRITE && kind <= OP_CLOSE;
}

static unsigned weight_of(struct generator *gen, enum op_kind kind)
{
    bool is_full = gen->world->model->entry_count >= gen->profile->names_max;
    if (gen->profile->is_changing && (kind >= OP_STAT || kind == OP_READ || kind == OP_FSTAT))
        return 0;
    bool is_removing = kind == OP_UNLINK || kind == OP_RMDIR;
    return is_full && is_removing ? 4 * weights[kind] : weights[kind];
}

static enum op_kind draw_kind(struct generator *gen)
{
    unsigned total = 0;
    for (unsigned kind = 0; kind < OP_KIND_COUNT; kind++)
        total += weight_of(gen, (enum op_kind)kind);
    uint64_t drawn = seed_below(gen->seed, total);
    unsigned kind = 0;
    while (drawn >= weight_of(gen, (enum op_kind)kind)) {
        drawn -= weight_of(gen, (enum op_kind)kind);
        kind++;
    }
    return (enum op_kind)kind;
}

void op_generate(struct op *op, const struct op_world *world, struct seed *seed,
                 const struct op_profile *profile)
{
    struct generator gen = {.op = op, .world = world, .profile = profile, .seed = seed};
    memset(op, 0, offsetof(struct op, path));
    op->path[0] = op->other[0] = '\0';
    op->kind = draw_kind(&gen);
    op->slot = (unsigned)seed_below(seed, OP_SLOTS);
    bool is_open = world->slots[op->slot].is_open;
    if (is_slot_kind(op->kind) && !is_open)
        op->kind = OP_OPEN;
    else if (op->kind == OP_OPEN && is_open)
        op->kind = OP_WRITE;
    op->mode = (uint32_t)seed_below(seed, 01000);
    op->pattern = seed_next(seed);
    draws[op->kind](&gen);
    if (op->kind == OP_WRITE)
        limit_append(&gen);
    if (!is_slot_kind(op->kind))
        finish_path(&gen, op->path);
}
