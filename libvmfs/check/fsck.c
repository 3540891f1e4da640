/* fsck.c -- running the passes, and what they all need */
#include "check/fsck.h"

#include "base/check.h"
#include "base/text.h"
#include "base/util.h"
#include "check/repair.h"
#include "check/state.h"
#include "inode/table.h"

#define LINE_BYTES 240u
/* Problems of a pass behind these are counted only: one broken block can be the cause of millions. */
#define LINES_MAX 1000u

struct pass {
    struct vmfs_check_pass told;
    int (*run)(struct vm_check *check);
};

static const struct pass passes[] = {
#define PASS_ROW(NAME, number, name, run, prose) {{number, name, prose}, run},
    VM_CHECK_PASSES(PASS_ROW)
#undef PASS_ROW
};

#define PASS_COUNT (sizeof passes / sizeof passes[0])

const struct vmfs_check_pass *vm_check_pass_at(unsigned index)
{
    return index < PASS_COUNT ? &passes[index].told : NULL;
}

static const char *pass_name(enum vm_check_pass pass)
{
    unsigned index = 0;
    while (passes[index].told.id != pass)
        index++;
    return passes[index].told.name;
}

/* The text with its numbers in it; where it is goes into the problem. */
static void problem_fill(struct vmfs_problem *problem, struct vm_text *line, const char *text,
                         const uint64_t *numbers)
{
    for (; *text; text++) {
        const char letter[2] = {*text, '\0'};
        if (*text != '%') {
            vm_text_str(line, letter);
            continue;
        }
        uint64_t number = *numbers++;
        vm_text_u64(line, number);
        text++;
        VM_ASSERT(*text == 'n' || *text == 'i' || *text == 'b' || *text == 'o');
        if (*text == 'i' && problem->ino == 0)
            problem->ino = number;
        if (*text == 'b')
            problem->offset = number * VM_BLOCK_BYTES;
        if (*text == 'o')
            problem->offset = number;
    }
}

void vm_problem_report(struct vm_check *check, struct vm_kind kind, const char *text,
                       const uint64_t *numbers)
{
    check->result.problems++;
    if (check->lines[kind.pass]++ >= LINES_MAX || !check->report || check->is_quiet)
        return;
    char bytes[LINE_BYTES];
    struct vm_text line = vm_text_init(bytes, sizeof bytes);
    struct vmfs_problem problem = {.pass = kind.pass,
                                   .pass_name = pass_name(kind.pass),
                                   .reason = kind.reason,
                                   .offset = VMFS_NO_OFFSET,
                                   .text = bytes};
    problem_fill(&problem, &line, text, numbers);
    check->report(check->arg, &problem);
}

void vm_mended_report(struct vm_check *check, enum vm_check_pass pass, const char *text,
                      const uint64_t *numbers)
{
    char bytes[LINE_BYTES];
    struct vm_text line = vm_text_init(bytes, sizeof bytes);
    struct vmfs_problem problem = {.pass = pass,
                                   .pass_name = pass_name(pass),
                                   .offset = VMFS_NO_OFFSET,
                                   .text = bytes,
                                   .is_mended = true};
    problem_fill(&problem, &line, text, numbers);
    if (check->report)
        check->report(check->arg, &problem);
}

/* Hands out the runs of fresh bits of a word that begins at `block`. */
static void tell_fresh(struct vm_check *check, const struct vm_use *use, uint64_t block,
                       uint64_t fresh, uint64_t start)
{
    while (fresh && check->on_use) {
        unsigned first = (unsigned)__builtin_ctzll(fresh);
        uint64_t rest = fresh >> first;
        unsigned count = ~rest ? (unsigned)__builtin_ctzll(~rest) : 64;
        struct vm_use part = *use;
        part.file_block += block + first - start;
        check->on_use(check->use_arg, &part, block + first, count);
        fresh &= ~vm_bit_run(first, count);
    }
}

bool vm_blocks_meet(struct vm_check *check, uint64_t block, uint64_t count,
                    const struct vm_use *use)
{
    uint64_t start = block;
    uint64_t first_again = 0;
    uint64_t again_count = 0;
    while (count) {
        unsigned bit = (unsigned)(block % 64);
        unsigned step = (unsigned)vm_min(count, 64 - bit);
        uint64_t run = vm_bit_run(bit, step);
        uint64_t again = check->met[block / 64] & run;
        check->met[block / 64] |= run;
        tell_fresh(check, use, block - bit, run & ~again, start);
        if (again && again_count == 0)
            first_again = block - bit + (unsigned)__builtin_ctzll(again);
        if (check->again)
            check->again[block / 64] |= again;
        uint64_t again_here = vm_popcount64(again);
        again_count += again_here;
        if (check->overlap_left < again_here) /* F1 */
            break;
        check->overlap_left -= again_here;
        block += step;
        count -= step;
    }
    if (use->kind != VMFS_MAP_DATA && use->kind != VMFS_MAP_XATTR)
        vm_blocks_prove(check, start, block - start);
    if (again_count == 0)
        return true;
    vm_problem(check, BLOCKS, NONE,
               "block %b is used twice, again by inode %i (%n blocks of one run)", first_again,
               use->kind == VMFS_MAP_INODE_CHUNK ? 0 : use->ino, again_count);
    return false;
}

void vm_blocks_prove(struct vm_check *check, uint64_t block, uint64_t count)
{
    for (uint64_t index = block; check->proved && index < block + count; index++)
        check->proved[index / 64] |= (uint64_t)1 << index % 64;
}

void vm_slot_mark(struct vm_check *check, uint64_t slot)
{
    check->marked += !(check->flags[slot] & VM_SLOT_MARKED);
    check->flags[slot] |= VM_SLOT_MARKED;
}

void vm_slot_load(struct vm_check *check, uint64_t slot, struct vm_inode *out)
{
    const struct vm_itable *table = check->ctx->itable;
    uint64_t index = slot & (((uint64_t)1 << table->chunk_stride_log2) - 1);
    uint64_t block = check->chunk_blocks[slot >> table->chunk_stride_log2] + 1;
    out->offset = block * VM_BLOCK_BYTES + index * VM_INODE_BYTES;
    (void)vm_read(check->ctx, out->offset, &out->m, sizeof out->m); /* was read before */
    uint64_t generation = vm_get32(out->m.generation) & VM_GENERATION_MAX;
    out->id = generation << VM_SLOT_BITS | slot;
    out->was_orphan = false;
}

static int blocks_prepare(struct vm_check *check)
{
    const struct vm_region *region = check->region;
    void *memory;
    check->met_bytes = (region->blocks / 64 + 2) * sizeof *check->met;
    check->overlap_left = region->blocks;
    check->walks_left = 4 * region->blocks;
    int result = vm_alloc(check->ctx, check->met_bytes, &memory);
    check->met = memory;
    uint64_t **const bits[] = {&check->again, &check->proved, &check->kept};
    for (unsigned index = 0; result == 0 && check->is_repair && index < 3; index++) {
        result = vm_alloc(check->ctx, check->met_bytes, &memory);
        *bits[index] = memory;
    }
    if (result == 0)
        result = vm_alloc(check->ctx, region->lane_bytes, &memory);
    check->lane = result ? NULL : memory;
    if (result)
        return result;
    check->chunk_max = check->ctx->itable->chunk_max;
    result = vm_alloc(check->ctx, (check->chunk_max + 1) * sizeof *check->chunk_blocks, &memory);
    check->chunk_blocks = memory;
    return result;
}

static void part_free(const struct vm_check *check, void *memory, size_t len_bytes)
{
    const struct vm_platform *platform = check->region->platform;
    if (memory)
        platform->free(platform->arg, memory, len_bytes);
}

void vm_check_free(struct vm_check *check)
{
    part_free(check, check->met, check->met_bytes);
    part_free(check, check->again, check->met_bytes);
    part_free(check, check->proved, check->met_bytes);
    part_free(check, check->kept, check->met_bytes);
    part_free(check, check->lane, check->region->lane_bytes);
    part_free(check, check->chunk_blocks, (check->chunk_max + 1) * sizeof *check->chunk_blocks);
    part_free(check, check->links, check->slot_count * sizeof *check->links);
    part_free(check, check->parents, check->slot_count * sizeof *check->parents);
    part_free(check, check->flags, check->slot_count);
}

static int check_with(struct vm_check *check, enum vm_check_pass first, enum vm_check_pass last)
{
    struct vm_err *err = &check->ctx->err;
    bool was_speculative = err->is_speculative;
    err->is_speculative = true; /* what the lower ranks find wrong is reported, not raised */
    int result = blocks_prepare(check);
    for (unsigned index = 0; result == 0 && index < PASS_COUNT; index++)
        if (passes[index].told.id >= first && passes[index].told.id <= last)
            result = passes[index].run(check);
    err->is_speculative = was_speculative;
    return result;
}

int vm_check_all(struct vm_check *check)
{
    return check_with(check, 0, VM_PASS_END);
}

int vm_check_run(struct vm_ctx *ctx, vmfs_check_fn report, void *arg, struct vmfs_check_result *out)
{
    struct vm_check check = {.ctx = ctx, .region = ctx->region, .report = report, .arg = arg};
    int result = vm_check_all(&check);
    vm_check_free(&check);
    if (result == 0)
        *out = check.result;
    return result;
}

int vm_check_uses(struct vm_ctx *ctx, vm_use_fn fn, void *arg)
{
    struct vm_check check = {.ctx = ctx, .region = ctx->region, .on_use = fn, .use_arg = arg};
    int result = check_with(&check, VM_PASS_GROUPS, VM_PASS_MAPS);
    vm_check_free(&check);
    return result;
}
