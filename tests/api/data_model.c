/* data_model.c -- random operations on a file and on its model */
#include "data_model.h"

#include <errno.h>
#include <string.h>

#define BLOCK      ((uint64_t)VMFS_BLOCK_SIZE)
#define PIECES_MAX 9u

static const char *const op_names[DATA_OP_COUNT] = {"write",
                                                    "writev",
                                                    "truncate",
                                                    "reserve",
                                                    "reserve keeping the size",
                                                    "punch",
                                                    "zero",
                                                    "zero keeping the size",
                                                    "copy",
                                                    "atomic write"};

/* One operation's numbers. */
struct step {
    enum data_op op;
    uint64_t offset;
    uint64_t length;
    uint64_t from;
};

static uint64_t draw_place(struct seed *seed)
{
    uint64_t block = seed_below(seed, DATA_BLOCKS) * BLOCK;
    switch (seed_below(seed, 4)) {
    case 0:
        return block;
    case 1:
        return block + seed_below(seed, 24);
    case 2:
        return block + BLOCK - 1 - seed_below(seed, 24);
    default:
        return block + seed_below(seed, BLOCK);
    }
}

static void draw(struct step *step, struct seed *seed)
{
    uint64_t a = draw_place(seed);
    uint64_t b = seed_chance(seed, 60) ? a + 1 + seed_below(seed, 4 * BLOCK) : draw_place(seed);
    if (b > DATA_BYTES)
        b = DATA_BYTES;
    if (a == b)
        b = a < DATA_BYTES ? a + 1 : a - 1;
    step->op = (enum data_op)seed_below(seed, DATA_OP_COUNT);
    step->offset = a < b ? a : b;
    step->length = a < b ? b - a : a - b;
    step->from = draw_place(seed);
}

/* ---- the file ---- */

static int64_t write_pieces(struct vmfs_file *file, uint8_t *bytes, const struct step *step,
                            struct seed *seed)
{
    struct vmfs_iovec pieces[PIECES_MAX];
    unsigned count = 0;
    uint64_t at = 0;
    while (at < step->length) {
        uint64_t left = step->length - at;
        uint64_t most = seed_chance(seed, 50) ? 11 : left;
        uint64_t length = count + 1 == PIECES_MAX ? left : seed_below(seed, most + 1);
        if (length > left)
            length = left;
        pieces[count++] = (struct vmfs_iovec){bytes + at, length};
        at += length;
    }
    return vmfs_file_pwritev(file, pieces, count, step->offset);
}

static int64_t run(const struct data_model *model, const struct step *step, uint8_t *bytes,
                   struct seed *seed)
{
    struct vmfs_file *file = model->file;
    switch ((int)step->op) {
    case DATA_WRITE:
        return vmfs_file_pwrite(file, bytes, step->length, step->offset);
    case DATA_ATOMIC:
        return vmfs_file_pwrite(model->atomic, bytes, step->length, step->offset);
    case DATA_WRITEV:
        return write_pieces(file, bytes, step, seed);
    case DATA_TRUNCATE:
        return vmfs_file_truncate(file, step->offset);
    case DATA_RESERVE:
        return vmfs_file_allocate(file, 0, step->offset, step->length);
    case DATA_RESERVE_KEEP:
        return vmfs_file_allocate(file, VMFS_ALLOC_KEEP_SIZE, step->offset, step->length);
    case DATA_PUNCH:
        return vmfs_file_allocate(file, VMFS_ALLOC_PUNCH | VMFS_ALLOC_KEEP_SIZE, step->offset,
                                  step->length);
    case DATA_ZERO:
        return vmfs_file_allocate(file, VMFS_ALLOC_ZERO, step->offset, step->length);
    case DATA_ZERO_KEEP:
        return vmfs_file_allocate(file, VMFS_ALLOC_ZERO | VMFS_ALLOC_KEEP_SIZE, step->offset,
                                  step->length);
    default:
        return vmfs_file_copy_range(file, step->from, file, step->offset, step->length);
    }
}

/* ---- the model ---- */

static uint64_t low(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void put(struct data_model *model, uint64_t offset, const uint8_t *bytes, uint64_t length)
{
    memcpy(model->bytes + offset, bytes, length);
    for (uint64_t block = offset / BLOCK; length && block * BLOCK < offset + length; block++)
        model->blocks[block] = DATA_WRITTEN;
    if (length && offset + length > model->size)
        model->size = offset + length;
}

/* A range that reaches the end of the file has all of its last block. */
static void clear(struct data_model *model, uint64_t offset, uint64_t length, bool is_sure)
{
    uint64_t end = offset + length;
    uint64_t stop = end / BLOCK;
    if (end >= model->size && stop < (model->size + BLOCK - 1) / BLOCK)
        stop = (model->size + BLOCK - 1) / BLOCK;
    if (offset < model->size)
        memset(model->bytes + offset, 0, low(end, model->size) - offset);
    for (uint64_t block = (offset + BLOCK - 1) / BLOCK; block < stop; block++)
        if (is_sure || model->blocks[block] != DATA_NONE)
            model->blocks[block] = is_sure ? DATA_NONE : DATA_UNKNOWN;
}

static void resize(struct data_model *model, uint64_t size)
{
    if (size < model->size)
        memset(model->bytes + size, 0, model->size - size);
    for (uint64_t block = (size + BLOCK - 1) / BLOCK; block < DATA_BLOCKS; block++)
        model->blocks[block] = DATA_NONE;
    model->size = size;
}

/* Whole blocks of zeros out of a hole become a hole; of others one cannot say. */
static void copy(struct data_model *model, const struct step *step, uint64_t length)
{
    static uint8_t bytes[DATA_BYTES];
    memcpy(bytes, model->bytes + step->from, length);
    memcpy(model->bytes + step->offset, bytes, length);
    for (uint64_t block = step->offset / BLOCK; block * BLOCK < step->offset + length; block++)
        model->blocks[block] = DATA_UNKNOWN;
    if (length && step->offset + length > model->size)
        model->size = step->offset + length;
}

static uint64_t copy_length(const struct data_model *model, const struct step *step)
{
    return step->from < model->size ? low(step->length, model->size - step->from) : 0;
}

static int64_t expected(const struct data_model *model, const struct step *step)
{
    bool is_write = step->op == DATA_WRITE || step->op == DATA_WRITEV || step->op == DATA_ATOMIC;
    if (is_write)
        return (int64_t)step->length;
    if (step->op != DATA_COPY)
        return 0;
    uint64_t length = copy_length(model, step);
    bool is_apart = step->from + length <= step->offset || step->offset + length <= step->from;
    return is_apart ? (int64_t)length : -EINVAL;
}

static void apply(struct data_model *model, const struct step *step, const uint8_t *bytes,
                  int64_t result)
{
    uint64_t end = step->offset + step->length;
    switch ((int)step->op) {
    case DATA_WRITE:
    case DATA_WRITEV:
    case DATA_ATOMIC:
        put(model, step->offset, bytes, (uint64_t)result);
        break;
    case DATA_TRUNCATE:
        resize(model, step->offset);
        break;
    case DATA_PUNCH:
        clear(model, step->offset, step->length, true);
        break;
    case DATA_ZERO:
    case DATA_ZERO_KEEP:
        clear(model, step->offset, step->length, !model->is_full);
        break;
    case DATA_COPY:
        copy(model, step, (uint64_t)result);
        break;
    default:
        break;
    }
    if ((step->op == DATA_RESERVE || step->op == DATA_ZERO) && end > model->size)
        model->size = end;
}

/* On a full region a write may make written what was reserved around it. */
static void note_reserved(struct data_model *model, const struct step *step)
{
    bool is_reserving = step->op == DATA_RESERVE || step->op == DATA_RESERVE_KEEP ||
                        step->op == DATA_ZERO || step->op == DATA_ZERO_KEEP;
    uint64_t end = step->offset + step->length;
    for (uint64_t block = step->offset / BLOCK; is_reserving && block * BLOCK < end; block++)
        if (model->blocks[block] == DATA_NONE)
            model->blocks[block] = DATA_UNKNOWN;
}

void data_step(struct data_model *model, struct seed *seed)
{
    static uint8_t bytes[DATA_BYTES];
    struct step step;
    draw(&step, seed);
    model->step++;
    seed_fill(bytes, step.length, seed_next(seed));
    int64_t wanted = expected(model, &step);
    int64_t result = run(model, &step, bytes, seed);
    bool may_fail = model->is_full || (model->is_small && step.op == DATA_ATOMIC);
    bool is_short =
        may_fail && wanted >= 0 &&
        (result == -ENOSPC || (step.op != DATA_ATOMIC && result > 0 && result < wanted));
    if (result != wanted && !is_short)
        cr_assert_fail("seed %llu step %u: %s of %llu at %llu returned %lld",
                       (unsigned long long)model->seed, model->step, op_names[step.op],
                       (unsigned long long)step.length, (unsigned long long)step.offset,
                       (long long)result);
    if (result >= 0)
        apply(model, &step, bytes, result);
    if (model->is_full)
        note_reserved(model, &step);
}

/* ---- comparison ---- */

static void compare_holes(const struct data_model *model)
{
    uint64_t blocks = (model->size + BLOCK - 1) / BLOCK;
    for (uint64_t block = 0; block < blocks; block++) {
        int64_t at = (int64_t)(block * BLOCK);
        int64_t data = vmfs_file_seek(model->file, at, VMFS_SEEK_DATA);
        bool is_written = model->blocks[block] == DATA_WRITTEN;
        if (model->blocks[block] != DATA_UNKNOWN && (data == at) != is_written)
            cr_assert_fail("seed %llu step %u: block %llu: data at %lld, state %d",
                           (unsigned long long)model->seed, model->step, (unsigned long long)block,
                           (long long)data, (int)model->blocks[block]);
    }
}

void data_compare(struct data_model *model)
{
    static uint8_t found[DATA_BYTES + 1];
    int64_t got = vmfs_file_pread(model->file, found, sizeof found, 0);
    if (got != (int64_t)model->size)
        cr_assert_fail("seed %llu step %u: %lld bytes instead of %llu",
                       (unsigned long long)model->seed, model->step, (long long)got,
                       (unsigned long long)model->size);
    uint64_t at = 0;
    bool is_same = memcmp(found, model->bytes, model->size) == 0;
    while (!is_same && found[at] == model->bytes[at])
        at++;
    cr_assert(is_same, "seed %llu step %u: byte %llu is %02x, not %02x",
              (unsigned long long)model->seed, model->step, (unsigned long long)at, found[at],
              model->bytes[at]);
    compare_holes(model);
}
