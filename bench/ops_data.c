/* ops_data.c -- 4 KiB reads, overwrites and appends of a file of OP_FILE_BYTES */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ops.h"
#include "random.h"

#define FILL_BYTES ((uint32_t)1 << 20)

int op_draw_offsets(struct op_context *context, uint32_t count)
{
    uint32_t pages = (uint32_t)(OP_FILE_BYTES / OP_PAGE_BYTES);

    for (uint32_t i = 0; i < count; i++)
        context->offsets[i] = (uint64_t)random_below(&context->random, pages) * OP_PAGE_BYTES;
    return 0;
}

static void format_file(const struct op_context *context, char *path)
{
    snprintf(path, OP_PATH_BYTES, "%s.%" PRIu64, context->op->name, context->directory);
}

static int open_fresh(struct op_context *context)
{
    char path[OP_PATH_BYTES];

    format_file(context, path);
    int err = context->fs->calls->file_open(context->fs, path, &context->file);

    context->is_file_open = err == 0;
    return err;
}

static int close_open(struct op_context *context)
{
    if (!context->is_file_open)
        return 0;
    context->is_file_open = false;
    return context->fs->calls->file_close(context->file);
}

static void file_teardown(struct op_context *context)
{
    (void)close_open(context);
}

static int fill_file(struct op_context *context)
{
    uint8_t *block = malloc(FILL_BYTES);
    int err = block == NULL ? -ENOMEM : 0;

    for (uint32_t i = 0; err == 0 && i < FILL_BYTES; i++)
        block[i] = (uint8_t)(i * 31u);
    for (uint64_t at = 0; err == 0 && at < OP_FILE_BYTES; at += FILL_BYTES)
        err = context->fs->calls->file_pwrite(context->file, block, FILL_BYTES, at);
    free(block);
    return err;
}

static int filled_setup(struct op_context *context)
{
    int err = open_fresh(context);

    return err != 0 ? err : fill_file(context);
}

static int replace_file(struct op_context *context)
{
    char path[OP_PATH_BYTES];
    int err = close_open(context);

    format_file(context, path);
    if (err == 0)
        err = context->fs->calls->unlink(context->fs, path);
    context->directory++;
    context->cursor = 0;
    return err != 0 ? err : open_fresh(context);
}

static int append_prepare(struct op_context *context, uint32_t count)
{
    if (context->cursor + (uint64_t)count * OP_PAGE_BYTES > OP_FILE_BYTES) {
        int err = replace_file(context);
        if (err != 0)
            return err;
    }
    for (uint32_t i = 0; i < count; i++) {
        context->offsets[i] = context->cursor;
        context->cursor += OP_PAGE_BYTES;
    }
    return 0;
}

static int read_call(struct op_context *context, uint32_t index)
{
    return context->fs->calls->file_pread(context->file, context->page, OP_PAGE_BYTES,
                                          context->offsets[index]);
}

static int write_call(struct op_context *context, uint32_t index)
{
    return context->fs->calls->file_pwrite(context->file, context->page, OP_PAGE_BYTES,
                                           context->offsets[index]);
}

const struct bench_op op_read4k = {
    .name = "read4k",
    .setup = filled_setup,
    .prepare = op_draw_offsets,
    .call = read_call,
    .teardown = file_teardown,
};

const struct bench_op op_overwrite4k = {
    .name = "overwrite4k",
    .setup = filled_setup,
    .prepare = op_draw_offsets,
    .call = write_call,
    .teardown = file_teardown,
};

const struct bench_op op_append4k = {
    .name = "append4k",
    .setup = open_fresh,
    .prepare = append_prepare,
    .call = write_call,
    .teardown = file_teardown,
};
