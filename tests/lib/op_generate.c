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
    [OP_MKDIR] = 5,        [OP_MKNOD] = 5,      [OP_OPEN] = 14,      [OP_TMPFILE] = 10,
    [OP_SYMLINK] = 4,      [OP_LINK] = 5,       [OP_UNLINK] = 9,     [OP_RMDIR] = 4,
    [OP_RENAME] = 14,      [OP_CHMOD] = 3,      [OP_CHOWN] = 3,      [OP_UTIMENS] = 3,
    [OP_TRUNCATE] = 4,     [OP_SETATTR] = 3,    [OP_SETFLAGS] = 3,   [OP_XATTR_SET] = 6,
    [OP_XATTR_REMOVE] = 3, [OP_WRITE] = 22,     [OP_WRITE_HERE] = 6, [OP_ALLOCATE] = 10,
    [OP_COPY] = 4,         [OP_FTRUNCATE] = 4,  [OP_FSETATTR] = 2,   [OP_FILE_LINK] = 8,
    [OP_SYNC] = 1,         [OP_READ] = 8,       [OP_READ_HERE] = 4,  [OP_SEEK] = 6,
    [OP_FSTAT] = 3,        [OP_CLOSE] = 8,      [OP_STAT] = 6,       [OP_READLINK] = 2,
    [OP_XATTR_GET] = 4,    [OP_XATTR_LIST] = 2, [OP_DIR_OPEN] = 3,   [OP_DIR_READ] = 2,
    [OP_DIR_CLOSE] = 1,
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

/* Looks an object up, and makes or takes no name. */
static bool is_looking(enum op_kind kind)
{
    return (kind >= OP_CHMOD && kind <= OP_XATTR_REMOVE) || kind == OP_STAT ||
           kind == OP_XATTR_GET || kind == OP_XATTR_LIST || kind == OP_DIR_OPEN;
}

/* A path through a link that leads to itself. */
static void make_looping(struct generator *gen, char *path)
{
    const struct model *model = gen->world->model;
    for (unsigned i = 0; i < 300 && model->entry_count > 0; i++) {
        const struct model_entry *entry = model->entries[seed_below(gen->seed, model->entry_count)];
        const struct model_node *node = entry->node;
        bool is_loop = model_type(node) == VMFS_S_IFLNK && node->size == entry->name_bytes &&
                       memcmp(node->data, entry->name, entry->name_bytes) == 0;
        if (!is_loop || !model_entry_path(entry, path))
            continue;
        if (strlen(path) < VMFS_PATH_MAX - 8)
            insert_at(path, strlen(path), "/below");
        return;
    }
}

/* Makes a path odd but equal, or wrong. */
static void make_messy(struct generator *gen, char *path)
{
    const char *slash = strrchr(path, '/');
    size_t last = slash != NULL ? (size_t)(slash - path) : 0;
    switch (seed_below(gen->seed, 13)) {
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
    case 9:
        if (is_looking(gen->op->kind))
            insert_at(path, strlen(path), "/");
        break;
    case 10:
    case 11:
        make_looping(gen, path);
        break;
    default:
        path[seed_below(gen->seed, 2)] = '\0';
        break;
    }
}

static bool is_dead(const struct op_slot *slot)
{
    return slot->node->nlink == 0;
}

/* An absolute path becomes one below the directory in the place's slot, or of the object itself. */
static void make_relative(struct generator *gen, struct op_place *at, char *path, bool may_be_empty)
{
    const struct op_slot *slots = at->base == OP_BASE_DIR ? gen->world->dirs : gen->world->slots;
    const struct model_node *dir = slots[at->slot].node;
    if (at->base == OP_BASE_FILE || (may_be_empty && seed_chance(gen->seed, 30))) {
        path[0] = '\0';
        if (!may_be_empty)
            at->base = OP_BASE_ROOT;
        return;
    }
    const struct model_entry *entry = dir->entries;
    for (uint64_t i = seed_below(gen->seed, 8); i > 0 && entry != NULL; i--)
        entry = entry->dir_next;
    path[0] = '\0';
    if (entry != NULL && seed_chance(gen->seed, 60))
        snprintf(path, OP_PATH_ROOM, "/%s", entry->name);
    else
        append_name(gen, path);
    memmove(path, path + 1, strlen(path));
}

/* Who calls, if not the handle's owner: nobody whom a sticky directory lets pass. */
static void draw_caller(struct generator *gen, struct op_place *at)
{
    at->uid = (uint32_t)seed_below(gen->seed, 3) * 1000;
    at->gid = (uint32_t)seed_below(gen->seed, 3) * 1000;
}

/* Only a call with a place tells a umask. */
static void draw_umask(struct generator *gen, struct op_place *at)
{
    static const uint32_t masks[] = {0, 022, 027, 077};
    uint32_t drawn = (uint32_t)seed_below(gen->seed, 01000);
    at->umask = seed_chance(gen->seed, 20) ? drawn : masks[seed_below(gen->seed, 4)];
}

/* Chooses what the path starts from and who calls. `may_be_empty`: the call takes the object itself. */
static void draw_place(struct generator *gen, struct op_place *at, char *path, bool may_be_empty)
{
    *at = (struct op_place){.base = OP_BASE_NONE, .uid = UINT32_MAX, .gid = UINT32_MAX};
    if (!gen->profile->has_places || !seed_chance(gen->seed, 40))
        return;
    at->base = OP_BASE_ROOT;
    draw_umask(gen, at);
    unsigned slot = (unsigned)seed_below(gen->seed, OP_SLOTS);
    uint64_t form = seed_below(gen->seed, 10);
    if (form < 4 && gen->world->dirs[slot % OP_DIR_SLOTS].is_open) {
        at->base = OP_BASE_DIR;
        at->slot = slot % OP_DIR_SLOTS;
    } else if (form < 6 && may_be_empty && gen->world->slots[slot].is_open) {
        at->base = OP_BASE_FILE;
        at->slot = slot;
    } else if (form == 6 && gen->world->dead_ino != 0 && seed_chance(gen->seed, 30)) {
        at->base = OP_BASE_STALE;
        path[0] = '\0';
        if (!may_be_empty || seed_chance(gen->seed, 50))
            memcpy(path, "name", sizeof("name"));
    }
    if (at->base == OP_BASE_DIR || at->base == OP_BASE_FILE)
        make_relative(gen, at, path, may_be_empty);
    if (at->base == OP_BASE_ROOT && path[0] == '\0')
        memcpy(path, "/none", sizeof("/none"));
}

/* The uid and gid of a place count where names are made or taken away. */
static void draw_naming_place(struct generator *gen)
{
    struct op *op = gen->op;
    draw_place(gen, &op->at, op->path, false);
    if (op->at.base != OP_BASE_NONE && op->at.base != OP_BASE_STALE && seed_chance(gen->seed, 50))
        draw_caller(gen, &op->at);
}

static bool is_below_dead(const struct generator *gen, const struct op_place *at)
{
    return at->base == OP_BASE_STALE ||
           (at->base == OP_BASE_DIR && is_dead(&gen->world->dirs[at->slot]));
}

static void finish_path(struct generator *gen, const struct op_place *at, char *path)
{
    bool is_odd = gen->profile->messy > 0 && seed_chance(gen->seed, gen->profile->messy);
    if (is_odd && path[0] != '\0' && !is_below_dead(gen, at))
        make_messy(gen, path);
    bool is_spoilt = is_odd && at->base == OP_BASE_DIR;
    if (path[0] == '\0' && (at->base == OP_BASE_ROOT || is_spoilt))
        memcpy(path, "none", sizeof("none"));
}

/* ------------------------------------------------------------------------ kinds of operation ---
 */

static void draw_symlink(struct generator *gen)
{
    struct op *op = gen->op;
    pick_new(gen, op->path);
    draw_naming_place(gen);
    if (gen->profile->has_outside && seed_chance(gen->seed, 50)) {
        pick_existing(gen, WANT_ANY, op->other);
    } else {
        op->other[0] = '\0';
        append_name(gen, op->other);
        memmove(op->other, op->other + 1, strlen(op->other));
    }
    if (gen->profile->messy > 0 && seed_chance(gen->seed, 5)) {
        size_t bytes = (size_t)seed_below(gen->seed, VMFS_PATH_MAX + 3);
        memset(op->other, 't', bytes);
        op->other[bytes] = '\0';
    }
    if (gen->profile->messy > 0 && seed_chance(gen->seed, 2))
        op->other[0] = '\0';
    const char *last = strrchr(op->path, '/');
    if (gen->profile->messy > 0 && last != NULL && last[1] != '\0' && seed_chance(gen->seed, 15))
        snprintf(op->other, sizeof(op->other), "%.255s", last + 1);
}

/* Both places of a call with two, or none: a call that takes plain paths takes two. */
static void draw_second_place(struct generator *gen)
{
    struct op *op = gen->op;
    draw_place(gen, &op->other_at, op->other, false);
    if (op->at.base == OP_BASE_NONE && op->other_at.base != OP_BASE_NONE)
        op->at.base = op->path[0] != '\0' ? OP_BASE_ROOT : OP_BASE_NONE;
    else if (op->at.base != OP_BASE_NONE && op->other_at.base == OP_BASE_NONE)
        op->other_at.base = OP_BASE_ROOT;
    op->other_at.uid = op->at.uid;
    op->other_at.gid = op->at.gid;
    finish_path(gen, &op->other_at, op->other);
}

static void draw_rename(struct generator *gen)
{
    struct op *op = gen->op;
    pick_existing(gen, WANT_ANY, op->path);
    draw_naming_place(gen);
    uint64_t form = seed_below(gen->seed, 10);
    if (form < 5)
        pick_new(gen, op->other);
    else
        pick_existing(gen, WANT_ANY, op->other);
    if (form == 0 || form == 5)
        op->flags = VMFS_RENAME_NOREPLACE;
    else if (form == 1 || form >= 8)
        op->flags = VMFS_RENAME_EXCHANGE;
    if (gen->profile->messy > 0 && seed_chance(gen->seed, 1))
        op->flags = VMFS_RENAME_NOREPLACE | VMFS_RENAME_EXCHANGE;
    draw_second_place(gen);
}

/* The file that most names of a directory are of, or any: what others bring there begins no new one. */
static const struct model_entry *find_hub(const struct model_node *dir)
{
    const struct model_entry *any = NULL;
    for (const struct model_entry *hub = dir->entries; hub != NULL; hub = hub->dir_next) {
        if (model_type(hub->node) != VMFS_S_IFREG)
            continue;
        if (hub->node->nlink > dir->size / 2)
            return hub;
        if (any == NULL)
            any = hub;
    }
    return any;
}

static const struct model_entry *find_big(const struct generator *gen)
{
    struct model *model = gen->world->model;
    const struct model_entry *big = model_lookup(model, model->root, "big");
    return big != NULL && model_is_dir(big->node) ? big : NULL;
}

/* In a session of many links mostly the file that has them, so that its handle is linked as well. */
static bool pick_hub(struct generator *gen, char *path)
{
    if (!gen->profile->is_bulk_links || !seed_chance(gen->seed, 50))
        return false;
    const struct model_entry *big = find_big(gen);
    const struct model_entry *hub = big != NULL ? find_hub(big->node) : NULL;
    return hub != NULL && model_entry_path(hub, path);
}

static void draw_open(struct generator *gen)
{
    struct op *op = gen->op;
    static const uint32_t modes[] = {VMFS_O_WRONLY, VMFS_O_RDONLY, VMFS_O_RDWR};
    uint64_t number = seed_below(gen->seed, 12);
    op->flags = modes[number < 2 ? number : 2];
    if (pick_hub(gen, op->path))
        return;
    bool is_new = seed_chance(gen->seed, 60);
    if (is_new) {
        op->flags |= VMFS_O_CREAT;
        pick_new(gen, op->path);
    } else {
        pick_existing(gen, seed_chance(gen->seed, 90) ? WANT_FILE : WANT_ANY, op->path);
    }
    draw_place(gen, &op->at, op->path, !is_new);
    if (seed_chance(gen->seed, 10) && op->path[0] != '\0')
        op->flags |= VMFS_O_EXCL | VMFS_O_CREAT;
    if (seed_chance(gen->seed, 15) && (op->flags & VMFS_O_ACCMODE) != VMFS_O_RDONLY)
        op->flags |= VMFS_O_TRUNC;
    if (seed_chance(gen->seed, 25))
        op->flags |= VMFS_O_APPEND;
    if (seed_chance(gen->seed, 10))
        op->flags |= VMFS_O_NOFOLLOW;
    if (seed_chance(gen->seed, 15))
        op->flags |= VMFS_O_ATOMIC;
    if (seed_chance(gen->seed, 10))
        op->flags |= VMFS_O_NOATIME;
    if (seed_chance(gen->seed, 5))
        op->flags |= VMFS_O_DSYNC;
}

static void draw_tmpfile(struct generator *gen)
{
    struct op *op = gen->op;
    pick_existing(gen, seed_chance(gen->seed, 95) ? WANT_DIR : WANT_ANY, op->path);
    if (op->path[0] == '\0' || seed_chance(gen->seed, 20))
        memcpy(op->path, "/", 2);
    draw_place(gen, &op->at, op->path, true);
    op->flags = VMFS_O_TMPFILE | VMFS_O_RDWR;
    if (seed_chance(gen->seed, 20))
        op->flags |= VMFS_O_EXCL;
    if (gen->profile->messy > 0 && seed_chance(gen->seed, 3))
        op->flags &= ~(uint32_t)VMFS_O_ACCMODE;
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
    if (gen->profile->messy > 0 && seed_chance(gen->seed, 2))
        return VMFS_FILE_MAX + 1 + seed_below(gen->seed, 1000);
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
    if (gen->profile->has_places && seed_chance(gen->seed, 25))
        op->pieces = 1 + (unsigned)seed_below(gen->seed, OP_PIECES);
}

/* Where the operation would store: as a write at the position, or at the end. */
static uint64_t start_of_write(const struct op *op, const struct op_slot *slot)
{
    if ((slot->flags & VMFS_O_APPEND) != 0)
        return slot->node->size;
    return op->kind == OP_WRITE_HERE ? (uint64_t)slot->position : op->offset;
}

/* A write must not carry a sparse file beyond what the model can hold: it shrinks the file instead. */
static void limit_write(struct generator *gen)
{
    struct op *op = gen->op;
    const struct op_slot *slot = &gen->world->slots[op->slot];
    if (slot->node == NULL || start_of_write(op, slot) <= 4 * gen->profile->file_max)
        return;
    op->kind = OP_FTRUNCATE;
    op->length = 0;
    if (slot->node->size > 4 * gen->profile->file_max)
        return;
    op->kind = OP_SEEK;
    op->offset = 0;
    op->flags = VMFS_SEEK_SET;
}

static void draw_write(struct generator *gen)
{
    struct op *op = gen->op;
    const struct op_slot *slot = &gen->world->slots[op->slot];
    draw_range(gen);
    bool is_rare = gen->profile->messy > 0 && seed_chance(gen->seed, 2);
    if (is_rare && (slot->flags & VMFS_O_ATOMIC) != 0)
        op->length = VMFS_ATOMIC_MAX + 1 + seed_below(gen->seed, 100);
    else if (is_rare && op->kind == OP_WRITE && (slot->flags & VMFS_O_APPEND) == 0)
        op->offset = VMFS_FILE_MAX + 1 - op->length;
    if (op->offset < VMFS_FILE_MAX / 2)
        limit_write(gen);
}

static void draw_allocate(struct generator *gen)
{
    static const uint32_t modes[] = {
        0,
        VMFS_ALLOC_KEEP_SIZE,
        VMFS_ALLOC_PUNCH | VMFS_ALLOC_KEEP_SIZE,
        VMFS_ALLOC_PUNCH | VMFS_ALLOC_KEEP_SIZE,
        VMFS_ALLOC_ZERO,
        VMFS_ALLOC_ZERO | VMFS_ALLOC_KEEP_SIZE,
        VMFS_ALLOC_COLLAPSE,
        VMFS_ALLOC_INSERT,
    };
    struct op *op = gen->op;
    draw_range(gen);
    op->pieces = 0;
    op->flags = modes[seed_below(gen->seed, 8)];
    const struct model_node *node = gen->world->slots[op->slot].node;
    bool is_moving = op->flags == VMFS_ALLOC_COLLAPSE || op->flags == VMFS_ALLOC_INSERT;
    if (is_moving && node != NULL && seed_chance(gen->seed, 90)) {
        op->length = 4096 * (1 + seed_below(gen->seed, 4));
        op->offset = seed_below(gen->seed, node->size / 4096 + 1) * 4096;
        if (op->offset > gen->profile->file_max)
            op->offset = 0;
    }
    if (op->flags == VMFS_ALLOC_INSERT && node != NULL &&
        node->data_bytes > 4 * gen->profile->file_max)
        op->flags = VMFS_ALLOC_COLLAPSE;
    if (gen->profile->messy == 0 || !seed_chance(gen->seed, 4))
        return;
    static const uint32_t wrong[] = {VMFS_ALLOC_PUNCH, 0x40, VMFS_ALLOC_COLLAPSE | 1,
                                     VMFS_ALLOC_INSERT | VMFS_ALLOC_ZERO};
    op->flags = wrong[seed_below(gen->seed, 4)];
    if (seed_chance(gen->seed, 50)) {
        op->flags = seed_chance(gen->seed, 50) ? 0 : VMFS_ALLOC_ZERO;
        op->length = seed_chance(gen->seed, 50) ? 0 : VMFS_FILE_MAX;
        op->offset += 1;
    }
}

static void draw_copy(struct generator *gen)
{
    struct op *op = gen->op;
    draw_range(gen);
    op->pieces = 0;
    const struct op_slot *slots = gen->world->slots;
    op->other_slot = (unsigned)seed_below(gen->seed, OP_SLOTS);
    op->other_offset = seed_below(gen->seed, gen->profile->file_max - op->length + 1);
    if (seed_chance(gen->seed, 50))
        op->other_offset = op->other_offset & ~(uint64_t)4095;
    bool is_usable =
        slots[op->other_slot].is_open && (slots[op->other_slot].flags & VMFS_O_APPEND) == 0;
    if (!is_usable)
        op->kind = OP_READ;
}

static void draw_seek(struct generator *gen)
{
    struct op *op = gen->op;
    op->flags = (uint32_t)seed_below(gen->seed, 5);
    op->offset = seed_below(gen->seed, gen->profile->file_max);
    const struct op_slot *slot = &gen->world->slots[op->slot];
    if (op->flags == VMFS_SEEK_CUR)
        op->offset = seed_below(gen->seed, 4096);
    if (op->flags == VMFS_SEEK_END && slot->node != NULL)
        op->offset = -seed_below(gen->seed, slot->node->size % gen->profile->file_max + 2);
    if (op->flags >= VMFS_SEEK_DATA && slot->node != NULL && slot->node->size > 0)
        op->offset = seed_below(gen->seed, slot->node->size + slot->node->size / 8);
    if (gen->profile->messy > 0 && seed_chance(gen->seed, 3))
        op->offset = UINT64_MAX - seed_below(gen->seed, 100000);
}

static int64_t draw_time(struct generator *gen)
{
    int64_t time_ns = (int64_t)(seed_next(gen->seed) >> 2);
    if (seed_chance(gen->seed, 10))
        return VMFS_TIME_NOW;
    return seed_chance(gen->seed, 10) ? -(time_ns / 16) : time_ns;
}

/* Permission bits: set-gid on directories is passed on, and a sticky directory is not writable by
 * others, as Linux would then refuse to follow its links. */
static uint32_t draw_mode(struct generator *gen)
{
    uint32_t mode = (uint32_t)seed_below(gen->seed, 01000);
    if (seed_chance(gen->seed, 25))
        mode = (mode | 01000) & ~(uint32_t)02;
    if (gen->profile->has_places && seed_chance(gen->seed, 20))
        mode |= seed_chance(gen->seed, 70) ? 02000 : 04000;
    return mode;
}

static void fill_attr(struct generator *gen)
{
    struct vmfs_attr *attr = &gen->op->attr;
    attr->mode = draw_mode(gen);
    attr->uid = (uint32_t)seed_below(gen->seed, 4) * 1000;
    attr->gid = (uint32_t)seed_below(gen->seed, 70000);
    attr->atime_ns = draw_time(gen);
    attr->mtime_ns = draw_time(gen);
    attr->size = draw_size(gen);
    attr->mask = (uint32_t)seed_below(gen->seed, 64);
}

static void draw_attr(struct generator *gen)
{
    struct op *op = gen->op;
    fill_attr(gen);
    bool needs_file = (op->attr.mask & VMFS_ATTR_SIZE) != 0 && !seed_chance(gen->seed, 5);
    pick_existing(gen, needs_file ? WANT_FILE : WANT_ANY, op->path);
    draw_place(gen, &op->at, op->path, true);
}

static void draw_fsetattr(struct generator *gen)
{
    fill_attr(gen);
    if (seed_chance(gen->seed, 50))
        gen->op->attr.mask &= ~(uint32_t)VMFS_ATTR_SIZE;
}

/* Few files have flags that forbid, and those lose them soon. */
static void draw_flags(struct generator *gen)
{
    static const uint32_t flags[] = {VMFS_INODE_IMMUTABLE, VMFS_INODE_APPEND, VMFS_INODE_NOATIME,
                                     VMFS_INODE_NODUMP};
    struct op *op = gen->op;
    if (!gen->profile->has_places) {
        op->kind = OP_CHMOD;
        draw_attr(gen);
        return;
    }
    const struct model_entry *picked =
        pick_entry(gen, seed_chance(gen->seed, 70) ? WANT_FILE : WANT_DIR);
    bool is_fit =
        picked != NULL && (model_is_dir(picked->node) || model_type(picked->node) == VMFS_S_IFREG);
    if (!is_fit || !model_entry_path(picked, op->path)) {
        op->kind = OP_STAT;
        memcpy(op->path, "/", 2);
        return;
    }
    const struct model *model = gen->world->model;
    op->kind = OP_SETFLAGS;
    for (unsigned i = 0; i < 60 && model->entry_count > 0; i++) {
        const struct model_entry *entry = model->entries[seed_below(gen->seed, model->entry_count)];
        if (entry->node->flags != 0 && model_entry_path(entry, op->path))
            return;
    }
    op->attr.flags = flags[seed_below(gen->seed, 4)];
}

static void draw_xattr_name(struct generator *gen)
{
    static const char *const spaces[] = {"user.", "user.", "user.", "trusted.", "security."};
    struct op *op = gen->op;
    uint64_t number = seed_below(gen->seed, 8);
    const char *space = spaces[gen->profile->has_places ? seed_below(gen->seed, 5) : 0];
    snprintf(op->name, sizeof(op->name), "%sx%u", space, (unsigned)number);
    if (number == 7) {
        memset(op->name + strlen(space), 'y', 260 - strlen(space));
        op->name[255] = '\0';
    }
    if (gen->profile->has_places && seed_chance(gen->seed, 30))
        snprintf(op->name, sizeof(op->name), "system.posix_acl_%s",
                 seed_chance(gen->seed, 50) ? "access" : "default");
    if (gen->profile->messy == 0 || !seed_chance(gen->seed, 5))
        return;
    static const char *const wrong[] = {"user.", "plain", "", "system.other"};
    snprintf(op->name, sizeof(op->name), "%s", wrong[seed_below(gen->seed, 4)]);
    if (seed_chance(gen->seed, 20)) {
        memset(op->name, 'u', 262);
        memcpy(op->name, "user.", 5);
    }
}

/* Mostly an attribute that is there. */
static void pick_xattr(struct generator *gen)
{
    struct op *op = gen->op;
    const struct model *model = gen->world->model;
    for (unsigned i = 0; i < 100 && model->entry_count > 0; i++) {
        const struct model_entry *entry = model->entries[seed_below(gen->seed, model->entry_count)];
        bool is_fit = entry->node->xattrs != NULL && model_type(entry->node) != VMFS_S_IFLNK;
        if (!is_fit || !model_entry_path(entry, op->path))
            continue;
        snprintf(op->name, sizeof(op->name), "%s", entry->node->xattrs->name);
        return;
    }
}

static void draw_xattr(struct generator *gen)
{
    struct op *op = gen->op;
    static const enum wanted wanted[] = {WANT_FILE, WANT_FILE, WANT_FILE, WANT_DIR, WANT_ANY};
    pick_existing(gen, wanted[seed_below(gen->seed, 5)], op->path);
    draw_place(gen, &op->at, op->path, true);
    draw_xattr_name(gen);
    op->length = op->kind == OP_XATTR_SET ? seed_below(gen->seed, 64) : OP_DATA_MAX;
    if (op->kind == OP_XATTR_SET && seed_chance(gen->seed, 10))
        op->length = seed_below(gen->seed, 6000);
    if (gen->profile->has_places && op->kind == OP_XATTR_SET && seed_chance(gen->seed, 2))
        op->length = VMFS_XATTR_MAX - 2 + seed_below(gen->seed, 4);
    else if (op->kind != OP_XATTR_SET && seed_chance(gen->seed, 10))
        op->length = seed_below(gen->seed, 16);
    if (op->kind == OP_XATTR_SET && model_is_acl(op->name))
        op_draw_acl(op, gen->seed);
    if (op->kind == OP_XATTR_SET && seed_chance(gen->seed, 20))
        op->flags = seed_chance(gen->seed, 50) ? VMFS_XATTR_CREATE : VMFS_XATTR_REPLACE;
    if (gen->profile->has_places && seed_chance(gen->seed, model_is_acl(op->name) ? 50 : 20))
        op->flags |= VMFS_NOFOLLOW;
    bool is_reading = op->kind == OP_XATTR_GET || op->kind == OP_XATTR_REMOVE;
    if (is_reading && op->at.base <= OP_BASE_ROOT && seed_chance(gen->seed, 60))
        pick_xattr(gen);
}

static void draw_mknod(struct generator *gen)
{
    static const uint32_t types[] = {
        0, VMFS_S_IFREG, VMFS_S_IFIFO, VMFS_S_IFCHR, VMFS_S_IFBLK, VMFS_S_IFSOCK};
    struct op *op = gen->op;
    pick_new(gen, op->path);
    draw_naming_place(gen);
    uint32_t type = types[seed_below(gen->seed, 6)];
    if (gen->profile->messy > 0 && seed_chance(gen->seed, 2))
        type = VMFS_S_IFLNK;
    op->mode |= type;
    if (type == VMFS_S_IFCHR || type == VMFS_S_IFBLK)
        op->rdev = seed_below(gen->seed, 1 << 20);
}

static void draw_mkdir(struct generator *gen)
{
    pick_new(gen, gen->op->path);
    draw_naming_place(gen);
}

static void draw_link(struct generator *gen)
{
    struct op *op = gen->op;
    pick_existing(gen, seed_chance(gen->seed, 95) ? WANT_NOT_DIR : WANT_ANY, op->path);
    draw_place(gen, &op->at, op->path, false);
    pick_new(gen, op->other);
    draw_second_place(gen);
    if (op->at.base != OP_BASE_NONE && seed_chance(gen->seed, 30))
        op->flags = VMFS_FOLLOW;
}

/* A slot with the file that has as many links as it may, if there is one. */
static void prefer_full_hub(struct generator *gen)
{
    for (unsigned slot = 0; gen->profile->is_bulk_links && slot < OP_SLOTS; slot++) {
        const struct op_slot *open = &gen->world->slots[slot];
        if (open->is_open && open->node->nlink >= VMFS_LINK_MAX)
            gen->op->slot = slot;
    }
}

static void draw_file_link(struct generator *gen)
{
    struct op *op = gen->op;
    prefer_full_hub(gen);
    pick_new(gen, op->path);
    draw_place(gen, &op->at, op->path, false);
    if (op->at.base == OP_BASE_NONE && op->path[0] == '\0')
        memcpy(op->path, "/none", sizeof("/none"));
    finish_path(gen, &op->at, op->path);
}

static void draw_any(struct generator *gen)
{
    struct op *op = gen->op;
    enum wanted wanted =
        op->kind == OP_READLINK && seed_chance(gen->seed, 80) ? WANT_LINK : WANT_ANY;
    pick_existing(gen, wanted, op->path);
    draw_place(gen, &op->at, op->path, op->kind == OP_STAT);
    if (op->kind == OP_STAT && seed_chance(gen->seed, 70))
        op->flags = VMFS_NOFOLLOW;
}

static void draw_removal(struct generator *gen)
{
    struct op *op = gen->op;
    bool is_odd = gen->profile->messy > 0 && seed_chance(gen->seed, 4);
    enum wanted wanted = op->kind == OP_RMDIR ? WANT_DIR : WANT_NOT_DIR;
    pick_existing(gen, is_odd ? WANT_ANY : wanted, op->path);
    const struct model *model = gen->world->model;
    for (unsigned i = 0; op->kind == OP_RMDIR && i < 30 && model->entry_count > 0; i++) {
        const struct model_entry *entry = model->entries[seed_below(gen->seed, model->entry_count)];
        bool is_empty = model_is_dir(entry->node) && entry->node->entries == NULL;
        if (is_empty && seed_chance(gen->seed, 80) && model_entry_path(entry, op->path))
            break;
    }
    draw_naming_place(gen);
}

static void draw_truncate(struct generator *gen)
{
    pick_existing(gen, seed_chance(gen->seed, 95) ? WANT_FILE : WANT_ANY, gen->op->path);
    draw_place(gen, &gen->op->at, gen->op->path, true);
    gen->op->length = draw_size(gen);
}

static void draw_ftruncate(struct generator *gen)
{
    gen->op->length = draw_size(gen);
}

static void draw_dir_open(struct generator *gen)
{
    struct op *op = gen->op;
    if (gen->profile->bulk_names > 0 && seed_chance(gen->seed, 50)) {
        memcpy(op->path, "/big", sizeof("/big"));
        return;
    }
    pick_existing(gen, seed_chance(gen->seed, 90) ? WANT_DIR : WANT_ANY, op->path);
    draw_place(gen, &op->at, op->path, false);
}

static void draw_nothing(struct generator *gen)
{
    (void)gen;
}

static void (*const draws[OP_KIND_COUNT])(struct generator *) = {
    [OP_MKDIR] = draw_mkdir,        [OP_MKNOD] = draw_mknod,
    [OP_OPEN] = draw_open,          [OP_TMPFILE] = draw_tmpfile,
    [OP_SYMLINK] = draw_symlink,    [OP_LINK] = draw_link,
    [OP_UNLINK] = draw_removal,     [OP_RMDIR] = draw_removal,
    [OP_RENAME] = draw_rename,      [OP_CHMOD] = draw_attr,
    [OP_CHOWN] = draw_attr,         [OP_UTIMENS] = draw_attr,
    [OP_TRUNCATE] = draw_truncate,  [OP_SETATTR] = draw_attr,
    [OP_SETFLAGS] = draw_flags,     [OP_XATTR_SET] = draw_xattr,
    [OP_XATTR_REMOVE] = draw_xattr, [OP_WRITE] = draw_write,
    [OP_WRITE_HERE] = draw_write,   [OP_ALLOCATE] = draw_allocate,
    [OP_COPY] = draw_copy,          [OP_FTRUNCATE] = draw_ftruncate,
    [OP_FSETATTR] = draw_fsetattr,  [OP_FILE_LINK] = draw_file_link,
    [OP_SYNC] = draw_nothing,       [OP_READ] = draw_range,
    [OP_READ_HERE] = draw_range,    [OP_SEEK] = draw_seek,
    [OP_FSTAT] = draw_nothing,      [OP_CLOSE] = draw_nothing,
    [OP_STAT] = draw_any,           [OP_READLINK] = draw_any,
    [OP_XATTR_GET] = draw_xattr,    [OP_XATTR_LIST] = draw_xattr,
    [OP_DIR_OPEN] = draw_dir_open,  [OP_DIR_READ] = draw_nothing,
    [OP_DIR_CLOSE] = draw_nothing,
};

static unsigned weight_of(struct generator *gen, enum op_kind kind)
{
    bool is_full = gen->world->model->entry_count >= gen->profile->names_max;
    bool is_reading = kind >= OP_STAT || kind == OP_READ || kind == OP_READ_HERE ||
                      kind == OP_SEEK || kind == OP_FSTAT;
    if (gen->profile->is_changing && is_reading)
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

/* Now and then the file of too many names is opened, or linked by a handle: it is refused there, too. */
static bool draw_full_hub(struct generator *gen, const struct model_entry *hub)
{
    struct op *op = gen->op;
    const struct op_slot *slots = gen->world->slots;
    if (!seed_chance(gen->seed, 10))
        return false;
    for (op->slot = 0; op->slot < OP_SLOTS; op->slot++)
        if (slots[op->slot].is_open && slots[op->slot].node == hub->node) {
            op->kind = OP_FILE_LINK;
            return true;
        }
    for (op->slot = 0; op->slot < OP_SLOTS; op->slot++)
        if (!slots[op->slot].is_open) {
            op->kind = OP_OPEN;
            op->flags = VMFS_O_RDONLY;
            snprintf(op->path, sizeof(op->path), "/big/%s", hub->name);
            return true;
        }
    op->slot = 0;
    return false;
}

/* One of the many names of the one large directory. */
static void draw_bulk(struct generator *gen)
{
    struct op *op = gen->op;
    const struct model *model = gen->world->model;
    const struct model_node *root = model->root;
    const struct model_entry *big =
        root->entries != NULL ? model_lookup(gen->world->model, root, "big") : NULL;
    if (big == NULL) {
        op->kind = OP_MKDIR;
        op->mode = 0755;
        memcpy(op->path, "/big", sizeof("/big"));
        return;
    }
    char name[64];
    snprintf(name, sizeof(name), "/big/%llx-%llu", (unsigned long long)(op->pattern & 0xffff),
             (unsigned long long)big->node->size);
    op->kind = OP_MKNOD;
    op->mode |= VMFS_S_IFREG;
    memcpy(op->path, name, sizeof(name));
    const struct model_entry *hub = gen->profile->is_bulk_links ? find_hub(big->node) : NULL;
    if (hub == NULL)
        return;
    if (hub->node->flags != 0) {
        op->kind = OP_SETFLAGS;
        snprintf(op->path, sizeof(op->path), "/big/%s", hub->name);
        return;
    }
    if (hub->node->nlink >= VMFS_LINK_MAX && draw_full_hub(gen, hub))
        return;
    op->kind = OP_LINK;
    memcpy(op->other, name, sizeof(name));
    snprintf(op->path, sizeof(op->path), "/big/%s", hub->name);
}

/* A slot kind needs an open slot, an opening kind a free one. */
static void fit_kind(struct op *op, const struct op_world *world)
{
    bool is_open = world->slots[op->slot].is_open;
    bool is_opening = op->kind == OP_OPEN || op->kind == OP_TMPFILE;
    if (op_is_slot_kind(op->kind) && !is_open)
        op->kind = OP_OPEN;
    else if (is_opening && is_open)
        op->kind = OP_WRITE;
    if (op->kind < OP_DIR_OPEN)
        return;
    op->slot %= OP_DIR_SLOTS;
    if (world->dirs[op->slot].is_open && op->kind == OP_DIR_OPEN)
        op->kind = OP_DIR_READ;
    else if (!world->dirs[op->slot].is_open)
        op->kind = OP_DIR_OPEN;
}

/* Once the many links are refused there is time for others. */
static unsigned bulk_percent(const struct generator *gen)
{
    const struct model_entry *big = gen->profile->is_bulk_links ? find_big(gen) : NULL;
    return big != NULL && big->node->size >= VMFS_LINK_MAX ? 50 : 97;
}

void op_generate(struct op *op, const struct op_world *world, struct seed *seed,
                 const struct op_profile *profile)
{
    struct generator gen = {.op = op, .world = world, .profile = profile, .seed = seed};
    memset(op, 0, offsetof(struct op, path));
    op->path[0] = op->other[0] = '\0';
    op->at.uid = op->at.gid = op->other_at.uid = op->other_at.gid = UINT32_MAX;
    op->kind = draw_kind(&gen);
    op->slot = (unsigned)seed_below(seed, OP_SLOTS);
    fit_kind(op, world);
    op->mode = (uint32_t)seed_below(seed, 01000);
    op->pattern = seed_next(seed);
    if (world->model->entry_count < profile->bulk_names && seed_chance(seed, bulk_percent(&gen))) {
        draw_bulk(&gen);
        return;
    }
    draws[op->kind](&gen);
    if (profile->has_privileges)
        op_add_privileges(op);
    if (op_is_slot_kind(op->kind) || op->kind > OP_DIR_OPEN || op->kind == OP_SETFLAGS)
        return;
    finish_path(&gen, &op->at, op->path);
}
