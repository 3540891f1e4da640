/* deeds.c -- the table of deeds, and running one */
#include "deeds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/handle.h"
#include "base/hash.h"

#define TREE_NOW_NS    ((int64_t)1000000000000000000)
#define HISTORY_NOW_NS ((int64_t)1100000000000000000)
#define OPEN_NOW_NS    ((int64_t)1200000000000000000)
#define STEP_NS        ((int64_t)1000000000)

#define AS_OWNER                                                                                   \
    {                                                                                              \
        .uid = UINT32_MAX, .gid = UINT32_MAX                                                       \
    }
#define OF_OWNER .at = AS_OWNER, .other_at = AS_OWNER
#define OP(k, ...)                                                                                 \
    {                                                                                              \
        OF_OWNER, .kind = OP_##k, __VA_ARGS__                                                      \
    }
#define LONG_TARGET                                                                                \
    "a/target/that/does/not/fit/into/an/inode/and/therefore/gets/a/block/of/its/own/"              \
    "a/target/that/does/not/fit/into/an/inode/and/therefore/gets/a/block/of/its/own/"

#define DEED(n, k, ...)                                                                            \
    {                                                                                              \
        .name = n, .op = OP(k, __VA_ARGS__)                                                        \
    }
#define TEARS(n, k, ...)                                                                           \
    {                                                                                              \
        .name = n, .is_torn = true, .op = OP(k, __VA_ARGS__)                                       \
    }
#define READS(n, k, ...)                                                                           \
    {                                                                                              \
        .name = n, .is_reader = true, .op = OP(k, __VA_ARGS__)                                     \
    }
#define MOVES(n, k, ...)                                                                           \
    {                                                                                              \
        .name = n, .moves_dirs = true, .op = OP(k, __VA_ARGS__)                                    \
    }
#define OPENS(n, k, ...)                                                                           \
    {                                                                                              \
        .name = n, .takes_slot = true, .op = OP(k, .slot = DEED_SLOT_FREE, __VA_ARGS__)            \
    }

const struct deed deeds[] = {
    DEED("create", MKNOD, .path = "/d1/new", .mode = 0600),
    DEED("create-two", MKNOD, .path = "/d1/two", .mode = 0600),
    DEED("create-far", MKNOD, .path = "/d2/new", .mode = 0600),
    OPENS("create-open", OPEN, .path = "/d1/new", .flags = VMFS_O_CREAT | VMFS_O_EXCL | VMFS_O_RDWR,
          .mode = 0640),
    OPENS("open-trunc", OPEN, .path = "/f", .flags = VMFS_O_TRUNC | VMFS_O_WRONLY),
    OPENS("tmpfile", TMPFILE, .path = "/d1", .flags = VMFS_O_TMPFILE | VMFS_O_RDWR, .mode = 0600),
    DEED("mkdir", MKDIR, .path = "/d1/new", .mode = 0755),
    DEED("mkdir-in", MKDIR, .path = "/empty/in", .mode = 0700),
    MOVES("rmdir", RMDIR, .path = "/empty"),
    MOVES("rmdir-sub", RMDIR, .path = "/d2/sub"),
    DEED("symlink", SYMLINK, .path = "/d1/new", .other = LONG_TARGET),
    DEED("link", LINK, .path = "/d1/b", .other = "/d1/b2"),
    DEED("link-far", LINK, .path = "/d1/b", .other = "/d2/b2"),
    DEED("link-a", LINK, .path = "/d1/a", .other = "/empty/a2"),
    DEED("unlink-b", UNLINK, .path = "/d1/b"),
    DEED("unlink-a", UNLINK, .path = "/d1/a"),
    DEED("unlink-f", UNLINK, .path = "/f"),
    DEED("unlink-new", UNLINK, .path = "/d1/new"),
    DEED("rename-near", RENAME, .path = "/d1/a", .other = "/d1/a2"),
    DEED("rename-there", RENAME, .path = "/d1/a", .other = "/d2/a"),
    DEED("rename-back", RENAME, .path = "/d2/x", .other = "/d1/x"),
    DEED("rename-over", RENAME, .path = "/d2/x", .other = "/d1/b"),
    DEED("rename-new", RENAME, .path = "/d1/a", .other = "/d1/new"),
    MOVES("rename-dir", RENAME, .path = "/d2/sub", .other = "/d1/sub"),
    MOVES("rename-down", RENAME, .path = "/d2", .other = "/empty/d2"),
    MOVES("rename-up", RENAME, .path = "/empty", .other = "/d2/sub/e"),
    MOVES("rename-dirs", RENAME, .path = "/d2/sub", .other = "/empty"),
    DEED("exchange", RENAME, .path = "/d1/a", .other = "/d2/x", .flags = VMFS_RENAME_EXCHANGE),
    MOVES("exchange-dirs", RENAME, .path = "/d1", .other = "/d2", .flags = VMFS_RENAME_EXCHANGE),
    TEARS("write", WRITE, .offset = 1003, .length = 2500, .pattern = 71),
    TEARS("write-two", WRITE, .offset = 3001, .length = 3000, .pattern = 72),
    TEARS("write-end", WRITE, .offset = 9000, .length = 5000, .pattern = 73),
    TEARS("append", WRITE, .slot = DEED_SLOT_APPEND, .length = 700, .pattern = 74),
    TEARS("append-b", WRITE, .slot = DEED_SLOT_B, .offset = 8192, .length = 4096, .pattern = 75),
    DEED("truncate", TRUNCATE, .path = "/f", .length = 5000),
    DEED("extend", FTRUNCATE, .length = 20000),
    TEARS("punch", ALLOCATE, .flags = VMFS_ALLOC_PUNCH | VMFS_ALLOC_KEEP_SIZE, .offset = 1000,
          .length = 6000),
    TEARS("zero", ALLOCATE, .flags = VMFS_ALLOC_ZERO, .offset = 3000, .length = 4000),
    DEED("reserve", ALLOCATE, .offset = 8192, .length = 12288),
    DEED("collapse", ALLOCATE, .flags = VMFS_ALLOC_COLLAPSE, .offset = 0, .length = 4096),
    DEED("insert", ALLOCATE, .flags = VMFS_ALLOC_INSERT, .offset = 4096, .length = 4096),
    TEARS("copy", COPY, .offset = 100, .other_slot = DEED_SLOT_B, .other_offset = 4096,
          .length = 6000),
    DEED("close", CLOSE, .slot = DEED_SLOT_B),
    {.name = "reap", .wants_orphan = true, .op = OP(CLOSE, .slot = DEED_SLOT_FREE)},
    DEED("file-link", FILE_LINK, .slot = DEED_SLOT_B, .path = "/d2/linked"),
    DEED("xattr", XATTR_SET, .path = "/d1/b", .name = "user.k", .length = 30, .pattern = 76),
    DEED("xattr-two", XATTR_SET, .path = "/d1/b", .name = "user.k", .length = 50, .pattern = 77),
    DEED("xattr-big", XATTR_SET, .path = "/d1/b", .name = "user.big", .length = 3000,
         .pattern = 78),
    DEED("xattr-remove", XATTR_REMOVE, .path = "/d1/b", .name = "user.k"),
    DEED("chmod", CHMOD, .path = "/d1/b", .attr.mode = 0604),
    DEED("utimens", UTIMENS, .path = "/f", .attr.atime_ns = 5000, .attr.mtime_ns = 6000),
    READS("read", READ, .length = 16000),
    READS("stat-f", STAT, .path = "/f"),
    READS("stat-b", STAT, .path = "/d1/b"),
    READS("stat-new", STAT, .path = "/d1/new"),
    READS("stat-a", STAT, .path = "/d1/a"),
    READS("xattr-get", XATTR_GET, .path = "/d1/b", .name = "user.k", .length = 100),
    READS("readlink", READLINK, .path = "/s"),
    {.name = "list", .kind = DEED_LIST, .is_reader = true},
    {.name = "sync", .kind = DEED_SYNC},
    {.name = "checkpoint", .kind = DEED_CHECKPOINT},
};

const unsigned deed_count = sizeof deeds / sizeof deeds[0];

const struct deed *deed_find(const char *name, size_t name_bytes)
{
    for (unsigned index = 0; index < deed_count; index++)
        if (strlen(deeds[index].name) == name_bytes &&
            memcmp(deeds[index].name, name, name_bytes) == 0)
            return &deeds[index];
    return NULL;
}

/* ---- what comes before ---- */

#define FILE_OPS(name, bytes, seed)                                                                \
    OP(OPEN, .path = name, .flags = VMFS_O_CREAT | VMFS_O_WRONLY, .mode = 0640),                   \
        OP(WRITE, .length = bytes, .pattern = seed), OP(CLOSE, .slot = 0)

static const struct op tree_ops[] = {
    OP(MKDIR, .path = "/d1", .mode = 0755),
    OP(MKDIR, .path = "/d2", .mode = 0755),
    OP(MKDIR, .path = "/d2/sub", .mode = 0755),
    OP(MKDIR, .path = "/empty", .mode = 0755),
    FILE_OPS("/f", 10000, 2),
    FILE_OPS("/d1/a", 100, 3),
    FILE_OPS("/d1/b", 8192, 4),
    FILE_OPS("/d2/x", 5000, 5),
    OP(MKNOD, .path = "/d1/c", .mode = 0600),
    OP(SYMLINK, .path = "/s", .other = "d1/a"),
    OP(XATTR_SET, .path = "/d1/b", .name = "user.k", .length = 20, .pattern = 6),
};

/* Freed blocks, nodes and inodes whose records are still there. */
static const struct op history_ops[] = {
    FILE_OPS("/d2/old", 9000, 16),
    OP(XATTR_SET, .path = "/d2/old", .name = "user.h", .length = 300, .pattern = 17),
    OP(MKDIR, .path = "/d2/olddir", .mode = 0700),
    OP(MKNOD, .path = "/d2/olddir/x", .mode = 0600),
    OP(CHMOD, .path = "/d1/a", .attr.mode = 0604),
    OP(TRUNCATE, .path = "/d2/x", .length = 4500),
    OP(UNLINK, .path = "/d2/olddir/x"),
    OP(RMDIR, .path = "/d2/olddir"),
    OP(UNLINK, .path = "/d2/old"),
    OP(TRUNCATE, .path = "/d2/x", .length = 5000),
    OP(OPEN, .path = "/f", .flags = VMFS_O_WRONLY),
    OP(WRITE, .offset = 2000, .length = 200, .pattern = 18),
    OP(CLOSE, .slot = 0),
};

static struct op_result results[DEED_THREADS_MAX];

static void run_op(struct side *side, unsigned thread, const struct op *op, int64_t now_ns)
{
    struct op_result *result = &results[thread];
    if (side->fs) {
        side->medium->now_ns = now_ns;
        op_run_vmfs(op, &side->worlds[thread], result);
    } else {
        side->model->now_ns = now_ns;
        op_run_model(op, &side->worlds[thread], (int64_t)op->length, result);
        /* The model leaves open what the times are; two runs must agree all the same. */
        if (op->kind == OP_ALLOCATE && result->code == 0)
            model_touch(side->worlds[thread].slots[op->slot].node);
    }
}

static void must_run(struct side *side, unsigned thread, const struct op *op, int64_t now_ns)
{
    char text[512];
    run_op(side, thread, op, now_ns);
    if (results[thread].code >= 0)
        return;
    op_to_text(op, text, sizeof text);
    fprintf(stderr, "deeds.c: %s: %s\n", text, strerror((int)-results[thread].code));
    exit(2);
}

static void run_ops(struct side *side, const struct op *ops, unsigned count, int64_t now_ns)
{
    for (unsigned index = 0; index < count; index++)
        must_run(side, 0, &ops[index], now_ns + index * STEP_NS);
}

void side_make_tree(struct side *side)
{
    run_ops(side, tree_ops, sizeof tree_ops / sizeof tree_ops[0], TREE_NOW_NS);
}

void side_history(struct side *side)
{
    run_ops(side, history_ops, sizeof history_ops / sizeof history_ops[0], HISTORY_NOW_NS);
}

void side_open(struct side *side, unsigned thread, bool has_orphan)
{
    static const struct op handles[] = {
        OP(OPEN, .path = "/f", .slot = DEED_SLOT_F, .flags = VMFS_O_RDWR),
        OP(OPEN, .path = "/d1/b", .slot = DEED_SLOT_B, .flags = VMFS_O_RDWR),
        OP(OPEN, .path = "/f", .slot = DEED_SLOT_APPEND, .flags = VMFS_O_WRONLY | VMFS_O_APPEND),
        OP(DIR_OPEN, .path = "/d1", .slot = 0),
    };
    static const struct op orphan[] = {
        OP(OPEN, .path = "/d2/gone", .slot = DEED_SLOT_FREE, .flags = VMFS_O_CREAT | VMFS_O_RDWR,
           .mode = 0600),
        OP(WRITE, .slot = DEED_SLOT_FREE, .length = 6000, .pattern = 19),
        OP(UNLINK, .path = "/d2/gone"),
    };
    int64_t now_ns = OPEN_NOW_NS + thread * 100 * STEP_NS;
    for (unsigned index = 0; index < sizeof handles / sizeof handles[0]; index++)
        must_run(side, thread, &handles[index], now_ns += STEP_NS);
    for (unsigned index = 0; has_orphan && index < sizeof orphan / sizeof orphan[0]; index++)
        must_run(side, thread, &orphan[index], now_ns += STEP_NS);
}

void side_close(struct side *side, unsigned thread)
{
    if (op_close_slots(&side->worlds[thread])) {
        fprintf(stderr, "deeds.c: a handle cannot be closed\n");
        exit(2);
    }
}

/* ---- a deed ---- */

static void keep_entry(struct answer *answer, const char *name, uint32_t type)
{
    if (answer->entry_count < DEED_ENTRIES_MAX)
        answer->entries[answer->entry_count++] = vm_hash64(type, name, strlen(name));
}

static void list_fs(struct vmfs_dir *dir, struct answer *answer)
{
    struct vmfs_dirent entry;
    int more = vmfs_dir_seek(dir, 0);
    while (more >= 0 && (more = vmfs_dir_read(dir, &entry)) > 0)
        if (strcmp(entry.name, ".") != 0 && strcmp(entry.name, "..") != 0)
            keep_entry(answer, entry.name, entry.type);
    answer->code = more;
}

static void list_model(struct model_node *dir, struct answer *answer)
{
    model_touch_access(dir);
    for (const struct model_entry *entry = dir->entries; entry; entry = entry->dir_next)
        keep_entry(answer, entry->name, model_type(entry->node));
}

static void run_list(struct side *side, unsigned thread, struct answer *answer)
{
    struct op_slot *slot = &side->worlds[thread].dirs[0];
    if (side->fs)
        list_fs(slot->dir, answer);
    else
        list_model(slot->node, answer);
}

static void run_checkpoint(struct side *side, const struct deed *deed, struct answer *answer)
{
    struct vm_ctx ctx;
    if (!side->fs)
        return;
    if (deed->kind == DEED_SYNC) {
        answer->code = vmfs_sync(side->fs);
        return;
    }
    vm_ctx_init(side->fs, &ctx);
    int result = vm_checkpoint(&ctx, false);
    answer->code = result < 0 ? -EIO : 0;
}

static void keep_result(const struct op_result *result, struct answer *answer)
{
    answer->code = result->code;
    answer->data_bytes = result->data_bytes;
    answer->data = vm_hash64(0, result->data, result->data_bytes);
    answer->has_stat = result->has_stat;
    answer->stat = result->stat;
    if (!result->model)
        return;
    answer->other_count = result->model->error_count;
    memcpy(answer->others, result->model->errors, sizeof answer->others);
}

void side_run(struct side *side, unsigned thread, const struct deed *deed, int64_t now_ns,
              struct answer *answer)
{
    *answer = (struct answer){0};
    if (side->fs)
        side->medium->now_ns = now_ns;
    else
        side->model->now_ns = now_ns;
    if (deed->kind == DEED_LIST) {
        run_list(side, thread, answer);
    } else if (deed->kind == DEED_OP) {
        run_op(side, thread, &deed->op, now_ns);
        keep_result(&results[thread], answer);
    } else {
        run_checkpoint(side, deed, answer);
    }
}

/* ---- a deed whose paths were walked before ---- */

unsigned deed_paths(const struct deed *deed)
{
    if (deed->kind != DEED_OP || (op_is_slot_kind(deed->op.kind) && deed->op.kind != OP_FILE_LINK))
        return 0;
    return deed->op.kind == OP_LINK || deed->op.kind == OP_RENAME ? 2 : 1;
}

static bool walk_one(struct model *model, const char *path, struct walked *walked)
{
    struct model_walk walk;
    const struct model_at at = {.path = path, .uid = UINT32_MAX, .gid = UINT32_MAX};
    if (model_walk(&walk, model, &at, false) != 0 || walk.last != MODEL_LAST_NORMAL)
        return false;
    walk.parent->open_count++;
    walked->dirs[walked->count] = walk.parent;
    memcpy(walked->names[walked->count], walk.name, walk.name_bytes);
    walked->names[walked->count++][walk.name_bytes] = '\0';
    return true;
}

void side_let_go(struct walked *walked)
{
    while (walked->count > 0)
        model_close(walked->dirs[--walked->count]);
}

bool side_walk(struct side *side, const struct deed *deed, struct walked *walked)
{
    return walk_one(side->model, walked->count ? deed->op.other : deed->op.path, walked);
}

void side_run_walked(struct side *side, unsigned thread, const struct deed *deed,
                     struct walked *walked, struct answer *answer)
{
    static struct deed from;
    struct op_world *world = &side->worlds[thread];
    const struct op_slot dirs[2] = {world->dirs[0], world->dirs[1]};
    from = *deed;
    from.op.at.base = OP_BASE_DIR;
    from.op.at.slot = 0;
    snprintf(from.op.path, sizeof from.op.path, "%s", walked->names[0]);
    world->dirs[0].node = walked->dirs[0];
    if (walked->count > 1) {
        from.op.other_at.base = OP_BASE_DIR;
        from.op.other_at.slot = 1;
        snprintf(from.op.other, sizeof from.op.other, "%s", walked->names[1]);
        world->dirs[1].node = walked->dirs[1];
    }
    side_run(side, thread, &from, side->model->now_ns, answer);
    world->dirs[0] = dirs[0];
    world->dirs[1] = dirs[1];
    side_let_go(walked);
}

static bool codes_agree(const struct answer *library, const struct answer *model)
{
    bool agree = library->code == model->code;
    for (unsigned index = 0; index < model->other_count && model->code < 0; index++)
        agree = agree || library->code == model->others[index];
    return agree;
}

bool answers_agree(const struct answer *library, const struct answer *model)
{
    const struct vmfs_stat *a = &library->stat;
    const struct vmfs_stat *b = &model->stat;
    if (!codes_agree(library, model) || library->has_stat != model->has_stat)
        return false;
    if (library->data_bytes != model->data_bytes || library->data != model->data)
        return false;
    return !library->has_stat ||
           (a->mode == b->mode && a->nlink == b->nlink && a->uid == b->uid && a->gid == b->gid &&
            a->rdev == b->rdev && a->size == b->size && a->flags == b->flags &&
            a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns && a->btime_ns == b->btime_ns);
}
