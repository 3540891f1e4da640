/* data_ops.c -- draws operations on bytes and applies them to the model */
#include "data_ops.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[] = {
#define DATA_KIND_NAME(kind, name) name,
    DATA_KINDS(DATA_KIND_NAME)
#undef DATA_KIND_NAME
};

static const char *const slot_names[] = {
#define DATA_SLOT_NAME(slot, flags) #slot,
    DATA_SLOTS(DATA_SLOT_NAME)
#undef DATA_SLOT_NAME
};

static const int slot_flags[] = {
#define DATA_SLOT_FLAGS(slot, flags) flags,
    DATA_SLOTS(DATA_SLOT_FLAGS)
#undef DATA_SLOT_FLAGS
};

/* clang-format off */
#define ALL_WEIGHTS                                                                                \
    [DATA_READ] = 20, [DATA_READ_HERE] = 6, [DATA_WRITE] = 24, [DATA_WRITE_HERE] = 6,              \
    [DATA_APPEND] = 6, [DATA_TRUNCATE] = 8, [DATA_ALLOCATE] = 4, [DATA_PUNCH] = 6,                 \
    [DATA_ZERO] = 5, [DATA_COPY] = 6, [DATA_SEEK] = 4, [DATA_SYNC] = 2, [DATA_DROP] = 3,           \
    [DATA_REOPEN] = 2, [DATA_REPLACE] = 1, [DATA_SENDFILE] = 2, [DATA_COMPARE] = 1

const struct data_config data_configs[] = {
    {.name = "buffered", .processes = 1, .slots = {[DATA_SLOT_PLAIN] = 8, [DATA_SLOT_APPEND] = 1},
     .weights = {ALL_WEIGHTS}},
    {.name = "direct", .processes = 1, .slots = {[DATA_SLOT_DIRECT] = 1},
     .weights = {ALL_WEIGHTS}},
    {.name = "odd", .processes = 1, .is_unaligned = true,
     .slots = {[DATA_SLOT_DIRECT] = 8, [DATA_SLOT_PLAIN] = 1},
     .weights = {ALL_WEIGHTS, [DATA_MAP_READ] = 4, [DATA_MAP_WRITE] = 4}},
    {.name = "mapped", .processes = 1, .is_kept_mapped = true,
     .slots = {[DATA_SLOT_PLAIN] = 8, [DATA_SLOT_APPEND] = 1, [DATA_SLOT_READ] = 1},
     .weights = {ALL_WEIGHTS, [DATA_MAP_READ] = 30, [DATA_MAP_WRITE] = 40, [DATA_MAP_PRIVATE] = 6}},
    {.name = "descriptors", .processes = 1, .is_kept_mapped = true,
     .slots = {3, 3, 3, 3, 3, 3},
     .weights = {ALL_WEIGHTS, [DATA_MAP_READ] = 6, [DATA_MAP_WRITE] = 8,
                 [DATA_MAP_PRIVATE] = 2}},
    {.name = "processes", .processes = 4, .is_kept_mapped = true,
     .slots = {6, 2, 2, 3, 1, 1},
     .weights = {ALL_WEIGHTS, [DATA_MAP_READ] = 6, [DATA_MAP_WRITE] = 8, [DATA_MAP_PRIVATE] = 2}},
    {.name = "stripes", .processes = 4, .is_striped = true, .is_kept_mapped = true,
     .slots = {[DATA_SLOT_PLAIN] = 6, [DATA_SLOT_READ] = 2, [DATA_SLOT_WRITE] = 1, [DATA_SLOT_SYNC] = 1},
     .weights = {[DATA_READ] = 20, [DATA_WRITE] = 24, [DATA_MAP_READ] = 10, [DATA_MAP_WRITE] = 12,
                 [DATA_SYNC] = 1, [DATA_DROP] = 3, [DATA_REOPEN] = 2, [DATA_COMPARE] = 1}},
    {.name = NULL},
};
/* clang-format on */

const char *data_kind_name(enum data_kind kind)
{
    return kind_names[kind];
}

int data_slot_flags(enum data_slot slot)
{
    return slot_flags[slot];
}

void data_model_init(struct data_model *model, const struct data_config *config, unsigned process)
{
    *model = (struct data_model){.config = config, .process = process};
    for (unsigned i = 0; i < DATA_FILES; i++) {
        model->files[i].bytes = calloc(1, DATA_MAX + DATA_PAGE);
        if (model->files[i].bytes == NULL)
            abort();
        model->files[i].size = config->is_striped ? DATA_MAX : 0;
    }
}

void data_model_fini(struct data_model *model)
{
    for (unsigned i = 0; i < DATA_FILES; i++)
        free(model->files[i].bytes);
}

/* ------------------------------------------------------------------------------- the drawing --- */

static unsigned draw_weighted(struct seed *seed, const uint8_t *weights, unsigned count)
{
    unsigned total = 0;
    for (unsigned i = 0; i < count; i++)
        total += weights[i];
    uint64_t drawn = seed_below(seed, total);
    unsigned chosen = 0;
    while (drawn >= weights[chosen])
        drawn -= weights[chosen++];
    return chosen;
}

static bool is_reading(enum data_kind kind)
{
    return kind == DATA_READ || kind == DATA_READ_HERE || kind == DATA_SENDFILE;
}

static bool is_writing(enum data_kind kind)
{
    return kind == DATA_WRITE || kind == DATA_WRITE_HERE || kind == DATA_TRUNCATE ||
           kind == DATA_ALLOCATE || kind == DATA_PUNCH || kind == DATA_ZERO;
}

static bool may_read(enum data_slot slot)
{
    return (slot_flags[slot] & O_ACCMODE) != O_WRONLY;
}

static bool may_write(enum data_slot slot)
{
    return (slot_flags[slot] & O_ACCMODE) != O_RDONLY;
}

static enum data_slot draw_slot(struct seed *seed, const struct data_config *config, bool reads,
                                bool writes)
{
    for (;;) {
        enum data_slot slot = (enum data_slot)draw_weighted(seed, config->slots, DATA_SLOT_COUNT);
        if ((!reads || may_read(slot)) && (!writes || may_write(slot)))
            return slot;
    }
}

/* Mostly short, now and then long; the ends often at a page or beside one. */
static size_t draw_length(struct seed *seed)
{
    switch (seed_below(seed, 16)) {
    case 0:
    case 1:
        return seed_below(seed, 16) + 1;
    case 2:
    case 3:
        return DATA_PAGE * (seed_below(seed, 4) + 1);
    case 4:
    case 5:
        return DATA_PAGE * (seed_below(seed, 4) + 1) + seed_below(seed, 3) - 1;
    case 6:
        return seed_below(seed, 1200000) + 1;
    case 7:
    case 8:
        return seed_below(seed, 131072) + 1;
    default:
        return seed_below(seed, 20000) + 1;
    }
}

static size_t draw_offset(struct seed *seed, const struct data_file *file, size_t length)
{
    size_t limit = DATA_MAX - length;
    size_t offset = seed_below(seed, limit + 1);
    uint64_t form = seed_below(seed, 10);
    if (form < 2 && file->size <= limit)
        return file->size;
    if (form < 6 && file->size > 0)
        offset = seed_below(seed, file->size) % (limit + 1);
    if (form % 2 == 0)
        offset &= ~(DATA_PAGE - 1);
    return offset;
}

static void draw_range(struct data_op *op, const struct data_model *model, struct seed *seed)
{
    op->length = draw_length(seed);
    op->offset = draw_offset(seed, &model->files[op->file], op->length);
    if (!model->config->is_striped)
        return;
    size_t own = DATA_MAX / DATA_STRIPE / model->config->processes;
    size_t stripe = seed_below(seed, own) * model->config->processes + model->process;
    op->offset = stripe * DATA_STRIPE + op->offset % DATA_STRIPE;
    size_t left = (stripe + 1) * DATA_STRIPE - op->offset;
    op->length = op->length < left ? op->length : left;
}

/* Direct I/O takes whole pages. */
static void align_range(size_t *offset, size_t *length)
{
    size_t end = *offset + *length + DATA_PAGE - 1;
    size_t limit = DATA_MAX / DATA_PAGE * DATA_PAGE;
    end = end < limit ? end & ~(DATA_PAGE - 1) : limit;
    *offset &= ~(DATA_PAGE - 1);
    if (*offset >= end)
        *offset = end - DATA_PAGE;
    *length = end - *offset;
}

static void draw_copy(struct data_op *op, const struct data_model *model, struct seed *seed)
{
    const struct data_file *from = &model->files[op->file];
    op->other_file = (unsigned)seed_below(seed, DATA_FILES);
    op->slot = draw_slot(seed, model->config, true, false);
    do
        op->other_slot = draw_slot(seed, model->config, false, true);
    while (op->other_slot == DATA_SLOT_APPEND);
    if (op->other_slot == DATA_SLOT_DIRECT)
        op->other_slot = DATA_SLOT_PLAIN;
    op->other_offset = draw_offset(seed, &model->files[op->other_file], op->length);
    if (seed_chance(seed, 40))
        op->other_offset = op->other_offset / DATA_PAGE * DATA_PAGE + op->offset % DATA_PAGE;
    if (op->other_offset > DATA_MAX - op->length)
        op->other_offset = 0;
    bool overlaps = op->file == op->other_file && op->offset < op->other_offset + op->length &&
                    op->other_offset < op->offset + op->length;
    if (overlaps || op->offset >= from->size)
        op->kind = DATA_READ;
}

/* What the drawn range must not do with this file as it is. */
static void fit(struct data_op *op, const struct data_model *model)
{
    const struct data_file *file = &model->files[op->file];
    bool is_mapping =
        op->kind == DATA_MAP_READ || op->kind == DATA_MAP_WRITE || op->kind == DATA_MAP_PRIVATE;
    if (is_mapping && file->size == 0)
        op->kind = DATA_WRITE;
    else if (is_mapping && op->offset >= file->size)
        op->offset %= file->size;
    if (is_mapping && file->size > 0 && op->length > file->size - op->offset)
        op->length = file->size - op->offset;
    bool is_at_end =
        op->kind == DATA_APPEND || (op->slot == DATA_SLOT_APPEND && op->kind <= DATA_APPEND);
    if (is_at_end && !is_reading(op->kind) && op->length > DATA_MAX - file->size)
        op->kind = DATA_TRUNCATE;
    size_t position = file->positions[op->slot];
    if (op->kind == DATA_WRITE_HERE && position + op->length > DATA_MAX - 2 * DATA_PAGE)
        op->kind = DATA_WRITE;
    bool is_direct = op->slot == DATA_SLOT_DIRECT;
    if (is_direct && !model->config->is_unaligned &&
        (op->kind == DATA_WRITE_HERE || op->kind == DATA_READ_HERE) && position % DATA_PAGE != 0)
        op->kind = op->kind == DATA_READ_HERE ? DATA_READ : DATA_WRITE;
}

void data_draw(struct data_op *op, const struct data_model *model, struct seed *seed)
{
    const struct data_config *config = model->config;
    memset(op, 0, sizeof(*op));
    op->kind = (enum data_kind)draw_weighted(seed, config->weights, DATA_KIND_COUNT);
    op->file = config->is_striped ? 0 : (unsigned)seed_below(seed, DATA_FILES);
    op->form = (unsigned)seed_below(seed, 4);
    op->pattern = seed_next(seed);
    draw_range(op, model, seed);
    op->slot = op->kind == DATA_APPEND
                   ? DATA_SLOT_APPEND
                   : draw_slot(seed, config, is_reading(op->kind), is_writing(op->kind));
    if (op->kind == DATA_COPY)
        draw_copy(op, model, seed);
    if (op->kind == DATA_TRUNCATE && seed_chance(seed, 30))
        op->offset = seed_below(seed, 70000);
    fit(op, model);
    bool is_transfer = op->kind <= DATA_WRITE_HERE;
    if (op->slot == DATA_SLOT_DIRECT && (op->kind == DATA_COPY || op->kind == DATA_SENDFILE))
        op->slot =
            DATA_SLOT_PLAIN; /* by pages, also past the pages: some filesystems refuse others */
    if (is_transfer && !may_write(op->slot) && !is_reading(op->kind))
        op->slot = DATA_SLOT_PLAIN;
    if (is_transfer && op->slot == DATA_SLOT_DIRECT && !config->is_unaligned)
        align_range(&op->offset, &op->length);
}

/* ------------------------------------------------------------------------------ the applying --- */

size_t data_start(const struct data_op *op, const struct data_model *model)
{
    const struct data_file *file = &model->files[op->file];
    bool is_write =
        op->kind == DATA_WRITE || op->kind == DATA_WRITE_HERE || op->kind == DATA_APPEND;
    if (is_write && op->slot == DATA_SLOT_APPEND)
        return file->size;
    bool is_here = op->kind == DATA_WRITE_HERE || op->kind == DATA_READ_HERE;
    return is_here ? file->positions[op->slot] : op->offset;
}

size_t data_readable(const struct data_op *op, const struct data_model *model)
{
    const struct data_file *file = &model->files[op->file];
    size_t start = data_start(op, model);
    if (start >= file->size)
        return 0;
    return op->length < file->size - start ? op->length : file->size - start;
}

static void grow(struct data_file *file, size_t end)
{
    if (file->size < end)
        file->size = end;
}

static void truncate_model(struct data_file *file, size_t size)
{
    if (size < file->size)
        memset(file->bytes + size, 0, file->size - size);
    file->size = size;
}

static void clear_range(struct data_file *file, const struct data_op *op, bool is_growing)
{
    size_t end = op->offset + op->length;
    if (is_growing)
        grow(file, end);
    if (op->offset < file->size)
        memset(file->bytes + op->offset, 0, (end < file->size ? end : file->size) - op->offset);
}

static void copy_range(const struct data_op *op, struct data_model *model)
{
    struct data_file *to = &model->files[op->other_file];
    size_t bytes = data_readable(op, model);
    memmove(to->bytes + op->other_offset, model->files[op->file].bytes + op->offset, bytes);
    grow(to, op->other_offset + bytes);
}

static void store_bytes(const struct data_op *op, struct data_model *model)
{
    struct data_file *file = &model->files[op->file];
    size_t start = data_start(op, model);
    seed_fill(file->bytes + start, op->length, op->pattern);
    grow(file, start + op->length);
    if (op->kind == DATA_WRITE_HERE || op->kind == DATA_APPEND)
        file->positions[op->slot] = start + op->length;
}

static void replace_file(struct data_file *file)
{
    truncate_model(file, 0);
    memset(file->positions, 0, sizeof(file->positions));
    file->is_map_dirty = false;
}

void data_apply(const struct data_op *op, struct data_model *model)
{
    struct data_file *file = &model->files[op->file];
    switch ((int)op->kind) {
    case DATA_READ_HERE:
        file->positions[op->slot] += data_readable(op, model);
        break;
    case DATA_MAP_WRITE:
        file->is_map_dirty = true;
        store_bytes(op, model);
        break;
    case DATA_WRITE:
    case DATA_WRITE_HERE:
    case DATA_APPEND:
        store_bytes(op, model);
        break;
    case DATA_TRUNCATE:
        truncate_model(file, op->offset);
        break;
    case DATA_ALLOCATE:
        if (op->form != 1)
            grow(file, op->offset + op->length);
        break;
    case DATA_PUNCH:
        clear_range(file, op, false);
        break;
    case DATA_ZERO:
        clear_range(file, op, op->form != 1);
        break;
    case DATA_COPY:
        copy_range(op, model);
        break;
    case DATA_REOPEN:
        file->positions[op->slot] = 0;
        break;
    case DATA_REPLACE:
        replace_file(file);
        break;
    case DATA_SYNC:
    case DATA_SEEK:
        file->is_map_dirty = false;
        break;
    default:
        break;
    }
}

/* The end of the stripe at `offset`, or of the file if that has none. */
static size_t stripe_end(const struct data_model *model, size_t offset)
{
    return model->config->is_striped ? (offset / DATA_STRIPE + 1) * DATA_STRIPE : DATA_MAX;
}

static bool is_own(const struct data_model *model, size_t offset)
{
    return !model->config->is_striped ||
           offset / DATA_STRIPE % model->config->processes == model->process;
}

size_t data_differs(const struct data_model *model, unsigned file, size_t offset,
                    const uint8_t *bytes, size_t length)
{
    const uint8_t *wanted = model->files[file].bytes + offset;
    for (size_t at = 0; at < length;) {
        size_t step = stripe_end(model, offset + at) - (offset + at);
        if (step > length - at)
            step = length - at;
        if (is_own(model, offset + at) && memcmp(bytes + at, wanted + at, step) != 0) {
            while (bytes[at] == wanted[at])
                at++;
            return at;
        }
        at += step;
    }
    return length;
}

void data_to_text(const struct data_op *op, char *text, size_t text_bytes)
{
    int used =
        snprintf(text, text_bytes, "%s file %u %s form %u: %zu bytes at %zu", kind_names[op->kind],
                 op->file, slot_names[op->slot], op->form, op->length, op->offset);
    if (op->kind == DATA_COPY && used > 0 && (size_t)used < text_bytes)
        snprintf(text + used, text_bytes - (size_t)used, " to file %u %s at %zu", op->other_file,
                 slot_names[op->other_slot], op->other_offset);
}
