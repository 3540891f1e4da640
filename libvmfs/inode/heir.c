/* heir.c -- remapping a file whose map is too large for one record */
#include "inode/heir.h"

#include "base/check.h"
#include "base/util.h"
#include "inode/data.h"
#include "inode/extent.h"
#include "inode/open.h"
#include "inode/reap.h"
#include "inode/remap.h"
#include "inode/table.h"
#include "space/space.h"

#define LEAVES_PER_TURN 4u
#define PATIENT_TURNS   4u

/* One remap on its way. Steps return 1 when the file was changed while the locks were let go. */
struct heir {
    struct vm_ctx *ctx;
    const struct vm_shift *shift;
    struct vm_inode file;
    struct vm_inode inode; /* the heir itself */
    struct vm_open open;   /* so that nobody reaps it before its time */
    bool is_patient;       /* lets the locks go now and then */
    uint64_t extents;      /* of the new map */
    uint64_t gone_blocks;
    uint64_t old_nodes;
    uint64_t new_nodes;
    struct vm_extent
        items[VM_INODE_EXTENTS]; /* the first of them: a map that small needs no nodes */
    struct vm_extent run;        /* of the heir's blocks, looked up last */
    struct vm_build build;
};

/* ---- making and ending it ---- */

static int heir_make(struct heir *heir)
{
    struct vm_ctx *ctx = heir->ctx;
    uint64_t id;
    uint64_t offset;
    int result = vm_table_take(ctx, &id, &offset);
    if (result)
        return result;
    vm_lock_inodes(ctx, &id, 1);
    vm_inode_make(ctx, id, offset, VM_MODE_FILE, &heir->inode);
    result = vm_inode_store(ctx, &heir->inode);
    if (result == 0)
        result = vm_tx_commit(ctx);
    if (result == 0) {
        heir->open = (struct vm_open){.id = id, .handles = 1, .is_hidden = true};
        vm_opens_insert(ctx, &heir->open);
    }
    vm_unlock_inodes(ctx);
    return result;
}

/* Whatever it has by now is freed, unless there was damage: then nothing is stored any more. */
static int heir_end(struct heir *heir, int result)
{
    bool is_dead;
    int ended = vm_open_release(heir->ctx, heir->inode.id, &is_dead);
    bool may_reap = ended == 0 && is_dead && !(result < 0 && vm_is_damage(result));
    if (may_reap)
        ended = vm_reap(heir->ctx, heir->inode.id); /* X2 */
    return result ? result : ended;
}

/* Lets others have the locks for a moment: 1 if the file's stripe is not as it was (X3). */
static int turn(struct heir *heir)
{
    const struct vm_stripe *stripe = vm_stripe_of(heir->ctx, heir->file.id);
    uint64_t version = vm_stripe_version(stripe);
    if (!heir->is_patient)
        return 0;
    vm_pause_inodes(heir->ctx);
    return vm_stripe_version(stripe) != version;
}

/* ---- the old map ---- */

static int walk_leaf(struct heir *heir, struct vm_shift_stream *stream, uint64_t *key)
{
    struct vm_leaf_extents leaf;
    struct vm_map map = vm_inode_data_map(&heir->file);
    int result = vm_extents_leaf(heir->ctx, &map, *key, &leaf);
    if (result)
        return result;
    heir->old_nodes += leaf.nodes;
    *key = leaf.next;
    for (uint32_t index = 0; result == 0 && index < leaf.count; index++)
        result = vm_shift_add(heir->ctx, stream, &heir->file, &leaf.items[index]);
    return result;
}

static int walk(struct heir *heir, struct vm_shift_stream *stream)
{
    uint64_t key = 0;
    int result = 0;
    heir->old_nodes = 0;
    for (unsigned leaves = 1; result == 0 && key < VM_KEY_MAX; leaves++) {
        result = walk_leaf(heir, stream, &key);
        if (result == 0 && leaves % LEAVES_PER_TURN == 0)
            result = turn(heir);
    }
    return result ? result : vm_shift_end(heir->ctx, stream);
}

static int count_out(struct vm_ctx *ctx, void *arg, const struct vm_extent *extent)
{
    struct heir *heir = arg;
    (void)ctx;
    if (heir->extents < VM_INODE_EXTENTS)
        heir->items[heir->extents] = *extent;
    heir->extents++;
    return 0;
}

static int count(struct heir *heir)
{
    struct vm_shift_stream stream = {.shift = heir->shift, .out = count_out, .arg = heir};
    heir->extents = 0;
    int result = walk(heir, &stream);
    heir->gone_blocks = stream.gone_blocks;
    heir->new_nodes = heir->extents > VM_INODE_EXTENTS ? vm_build_nodes(heir->extents) : 0;
    return result;
}

/* ---- blocks for the new map ---- */

static uint64_t blocks_taken(const struct heir *heir)
{
    return vm_inode_size(&heir->inode) / VM_BLOCK_BYTES;
}

/* As many runs as one record takes; they become the heir's data. */
static int take_runs(struct heir *heir)
{
    struct vm_ctx *ctx = heir->ctx;
    uint64_t have = blocks_taken(heir);
    int result = 0;
    while (have < heir->new_nodes && vm_file_has_room(ctx, &heir->inode)) {
        struct vm_run run;
        uint64_t want = vm_min(heir->new_nodes - have, VM_GROUP_BLOCKS);
        result = vm_space_take_run(ctx, 0, 0, want, &run);
        if (result)
            return result;
        const struct vm_extent extent = {.file_block = have,
                                         .block = run.block,
                                         .blocks = (uint32_t)run.count,
                                         .birth = ctx->region->epoch};
        result = vm_file_add(ctx, &heir->inode, &extent);
        if (result)
            return result;
        have += run.count;
    }
    vm_inode_set_size(&heir->inode, have * VM_BLOCK_BYTES);
    result = vm_inode_store(ctx, &heir->inode);
    if (result == 0)
        result = vm_tx_commit(ctx);
    return result ? result : vm_tx_renew(ctx);
}

/* Exactly as many as the new map has nodes: an earlier turn may have taken more. */
static int take_blocks(struct heir *heir)
{
    int result = 0;
    while (result == 0 && blocks_taken(heir) < heir->new_nodes) {
        result = take_runs(heir);
        if (result == 0)
            result = turn(heir);
    }
    if (result || blocks_taken(heir) == heir->new_nodes)
        return result;
    int more = 1;
    vm_inode_set_size(&heir->inode, heir->new_nodes * VM_BLOCK_BYTES);
    while (more > 0)
        more = vm_data_trim_step(heir->ctx, &heir->inode);
    return more;
}

/* ---- the new map ---- */

static int node_place(void *arg, uint64_t index, uint64_t *offset_out)
{
    struct heir *heir = arg;
    struct vm_extent *run = &heir->run;
    VM_ASSERT(index < heir->new_nodes);
    if (index < run->file_block || index >= run->file_block + run->blocks) {
        int found = vm_file_floor(heir->ctx, &heir->inode, index, run);
        if (found < 0)
            return found;
        if (!found || index >= run->file_block + run->blocks)
            return vm_extent_disorder(heir->ctx, &heir->inode);
    }
    *offset_out = (run->block + (index - run->file_block)) * VM_BLOCK_BYTES;
    return 0;
}

static int build_out(struct vm_ctx *ctx, void *arg, const struct vm_extent *extent)
{
    struct heir *heir = arg;
    return vm_build_add(ctx, &heir->build, extent);
}

static int build(struct heir *heir, uint64_t *root_out)
{
    struct vm_map map = vm_inode_data_map(&heir->file);
    struct vm_shift_stream stream = {.shift = heir->shift, .out = build_out, .arg = heir};
    heir->run.blocks = 0;
    if (heir->new_nodes == 0)
        return 0;
    vm_build_start(&heir->build, &map, node_place, heir);
    int result = walk(heir, &stream);
    if (result)
        return result;
    return vm_build_finish(heir->ctx, &heir->build, root_out);
}

/* ---- the exchange ---- */

static void retire(struct heir *heir)
{
    const struct vm_map old = vm_inode_data_map(&heir->file);
    const struct vm_map list = vm_inode_data_map(&heir->inode);
    struct vm_inode_media *m = &heir->inode.m;
    vm_file_inline_put(heir->ctx, &heir->inode, NULL, 0);
    m->form = VM_BODY_RETIRED;
    m->body.retired = (struct vm_retired_media){.root = vm_put64(old.root),
                                                .tag = vm_put64(old.tag),
                                                .first = vm_put64(heir->shift->first),
                                                .end = vm_put64(heir->shift->end),
                                                .list_root = vm_put64(list.root)};
    m->base_epoch = heir->file.m.base_epoch;
    vm_inode_set_size(&heir->inode, 0);
}

static int exchange(struct heir *heir, uint64_t root)
{
    struct vm_ctx *ctx = heir->ctx;
    int64_t inherited = (int64_t)(heir->old_nodes + heir->gone_blocks) - (int64_t)heir->new_nodes;
    retire(heir);
    vm_inode_add_blocks(&heir->inode, inherited);
    struct vm_map map = vm_inode_data_map(&heir->file);
    map.root = root;
    if (heir->new_nodes)
        vm_inode_put_data_map(&heir->file, &map);
    else
        vm_file_inline_put(ctx, &heir->file, heir->items, (uint32_t)heir->extents);
    vm_inode_add_blocks(&heir->file, -inherited);
    int result = vm_shift_inode(ctx, &heir->file, heir->shift);
    if (result == 0)
        result = vm_inode_store(ctx, &heir->inode);
    if (result == 0)
        result = vm_inode_store(ctx, &heir->file);
    return result ? result : vm_tx_commit(ctx); /* X1 */
}

/* The file needs no heir any more. */
#define NO_TREE 2

/* From looking at the file to its new map: 1 to begin again. */
static int attempt(struct heir *heir)
{
    uint64_t root = 0;
    int result = vm_shift_load(heir->ctx, heir->file.id, heir->shift, &heir->file);
    if (result == 0 && heir->file.m.form != VM_BODY_TREE)
        return NO_TREE;
    if (result == 0)
        result = count(heir);
    if (result == 0)
        result = take_blocks(heir);
    if (result == 0)
        result = build(heir, &root);
    return result ? result : exchange(heir, root);
}

static int attempts(struct heir *heir)
{
    const uint64_t ids[2] = {heir->file.id, heir->inode.id};
    int result = vm_tx_renew(heir->ctx);
    vm_lock_inodes(heir->ctx, ids, 2);
    if (result == 0)
        result = 1;
    for (unsigned turns = 0; result == 1; turns++) {
        heir->is_patient = turns < PATIENT_TURNS;
        result = attempt(heir);
    }
    vm_unlock_inodes(heir->ctx);
    return result;
}

int vm_heir_remap(struct vm_ctx *ctx, uint64_t id, const struct vm_shift *shift)
{
    struct heir heir = {.ctx = ctx, .shift = shift, .file = {.id = id}};
    int result = vm_tx_begin(ctx);
    if (result)
        return result;
    result = heir_make(&heir);
    bool is_made = result == 0;
    if (is_made)
        result = attempts(&heir);
    vm_tx_end(ctx);
    return is_made ? heir_end(&heir, result) : result;
}
