/* ops_names.c -- operations on names and attributes
 *
 * Three life cycles. Growing: entries are added to a directory of the row's own until it holds
 * OP_ENTRIES_MAX, then it is emptied and a fresh one made. Standing: a directory holds
 * OP_ENTRIES_MAX entries at the start of every batch. Flat: OP_ROOT_FILES files in the root, chosen
 * at random. All making, taking away and formatting of names happens outside the timed window. */
#include <inttypes.h>
#include <stdio.h>

#include "ops.h"
#include "random.h"

static void format_directory(const struct op_context *context, char *path)
{
    snprintf(path, OP_PATH_BYTES, "%s.%" PRIu64, context->op->name, context->directory);
}

static void format_entry(const struct op_context *context, char *path, char prefix, uint64_t number)
{
    snprintf(path, OP_PATH_BYTES, "%s.%" PRIu64 "/%c%06" PRIu64, context->op->name,
             context->directory, prefix, number);
}

static void format_target(const struct op_context *context, char *path)
{
    snprintf(path, OP_PATH_BYTES, "%s.target", context->op->name);
}

static void format_root_file(const struct op_context *context, char *path, uint64_t number)
{
    snprintf(path, OP_PATH_BYTES, "%s-%06" PRIu64, context->op->name, number);
}

static int make_file(struct op_context *context, const char *path)
{
    return context->fs->calls->create(context->fs, path);
}

static int make_directory(struct op_context *context, const char *path)
{
    return context->fs->calls->mkdir(context->fs, path);
}

static int unmake_file(struct op_context *context, const char *path)
{
    return context->fs->calls->unlink(context->fs, path);
}

static int unmake_directory(struct op_context *context, const char *path)
{
    return context->fs->calls->rmdir(context->fs, path);
}

static int enter_directory(struct op_context *context)
{
    char path[OP_PATH_BYTES];

    format_directory(context, path);
    return make_directory(context, path);
}

static int replace_directory(struct op_context *context)
{
    char path[OP_PATH_BYTES];

    for (uint64_t i = 0; i < context->cursor; i++) {
        format_entry(context, path, 'f', i);
        int err = context->op->unmake(context, path);
        if (err != 0)
            return err;
    }
    format_directory(context, path);
    int err = unmake_directory(context, path);
    if (err != 0)
        return err;
    context->directory++;
    context->cursor = 0;
    return enter_directory(context);
}

static int growing_prepare(struct op_context *context, uint32_t count)
{
    if (context->cursor + count > OP_ENTRIES_MAX) {
        int err = replace_directory(context);
        if (err != 0)
            return err;
    }
    for (uint32_t i = 0; i < count; i++)
        format_entry(context, context->from[i], 'f', context->cursor++);
    return 0;
}

static int target_setup(struct op_context *context)
{
    format_target(context, context->to[0]);
    int err = make_file(context, context->to[0]);

    return err != 0 ? err : enter_directory(context);
}

static int standing_setup(struct op_context *context)
{
    char path[OP_PATH_BYTES];
    int err = enter_directory(context);

    for (uint64_t i = 0; err == 0 && i < OP_ENTRIES_MAX; i++) {
        format_entry(context, path, 'f', i);
        err = context->op->make(context, path);
    }
    return err;
}

static int removal_prepare(struct op_context *context, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        format_entry(context, context->from[i], 'f', context->cursor++ % OP_ENTRIES_MAX);
    return 0;
}

static int removal_settle(struct op_context *context, uint32_t count)
{
    int err = 0;

    for (uint32_t i = 0; err == 0 && i < count; i++)
        err = context->op->make(context, context->from[i]);
    return err;
}

/* Every other pass over the directory renames back. */
static int rename_prepare(struct op_context *context, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t number = context->cursor % OP_ENTRIES_MAX;
        bool is_back = context->cursor / OP_ENTRIES_MAX % 2 == 1;

        format_entry(context, context->from[i], is_back ? 'g' : 'f', number);
        format_entry(context, context->to[i], is_back ? 'f' : 'g', number);
        context->cursor++;
    }
    return 0;
}

static int flat_setup(struct op_context *context)
{
    char path[OP_PATH_BYTES];
    int err = 0;

    for (uint64_t i = 0; err == 0 && i < OP_ROOT_FILES; i++) {
        format_root_file(context, path, i);
        err = context->op->make(context, path);
    }
    return err;
}

static int flat_prepare(struct op_context *context, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        format_root_file(context, context->from[i], random_below(&context->random, OP_ROOT_FILES));
    return 0;
}

static int create_call(struct op_context *context, uint32_t index)
{
    return context->fs->calls->create(context->fs, context->from[index]);
}

static int mknod_call(struct op_context *context, uint32_t index)
{
    return context->fs->calls->mknod(context->fs, context->from[index]);
}

static int mkdir_call(struct op_context *context, uint32_t index)
{
    return context->fs->calls->mkdir(context->fs, context->from[index]);
}

static int symlink_call(struct op_context *context, uint32_t index)
{
    return context->fs->calls->symlink(context->fs, "../target/of/the/link", context->from[index]);
}

static int link_call(struct op_context *context, uint32_t index)
{
    return context->fs->calls->link(context->fs, context->to[0], context->from[index]);
}

static int unlink_call(struct op_context *context, uint32_t index)
{
    return context->fs->calls->unlink(context->fs, context->from[index]);
}

static int rmdir_call(struct op_context *context, uint32_t index)
{
    return context->fs->calls->rmdir(context->fs, context->from[index]);
}

static int rename_call(struct op_context *context, uint32_t index)
{
    return context->fs->calls->rename(context->fs, context->from[index], context->to[index]);
}

static int stat1_call(struct op_context *context, uint32_t index)
{
    return context->fs->calls->stat(context->fs, context->from[index]);
}

static int open_close_call(struct op_context *context, uint32_t index)
{
    return context->fs->calls->open_close(context->fs, context->from[index]);
}

/* The attribute calls below pass a value that differs from the one before, so that no side can take
 * the change for none. */
static int chmod_call(struct op_context *context, uint32_t index)
{
    uint32_t mode = (uint32_t)(context->cursor++ % 0777);

    return context->fs->calls->chmod(context->fs, context->from[index], mode);
}

static int truncate_call(struct op_context *context, uint32_t index)
{
    uint64_t size_bytes = 1 + context->cursor++ % 4093;

    return context->fs->calls->truncate(context->fs, context->from[index], size_bytes);
}

static int set_attribute(struct op_context *context, const char *path)
{
    uint64_t value[4] = {context->cursor++};

    return context->fs->calls->setxattr(context->fs, path, value, sizeof(value));
}

static int setxattr_call(struct op_context *context, uint32_t index)
{
    return set_attribute(context, context->from[index]);
}

static int make_file_with_attribute(struct op_context *context, const char *path)
{
    int err = make_file(context, path);

    return err != 0 ? err : set_attribute(context, path);
}

const struct bench_op op_create = {
    .name = "create",
    .setup = enter_directory,
    .prepare = growing_prepare,
    .call = create_call,
    .unmake = unmake_file,
};

const struct bench_op op_mknod = {
    .name = "mknod",
    .setup = enter_directory,
    .prepare = growing_prepare,
    .call = mknod_call,
    .unmake = unmake_file,
};

const struct bench_op op_mkdir = {
    .name = "mkdir",
    .setup = enter_directory,
    .prepare = growing_prepare,
    .call = mkdir_call,
    .unmake = unmake_directory,
};

const struct bench_op op_symlink = {
    .name = "symlink",
    .setup = enter_directory,
    .prepare = growing_prepare,
    .call = symlink_call,
    .unmake = unmake_file,
};

const struct bench_op op_link = {
    .name = "link",
    .setup = target_setup,
    .prepare = growing_prepare,
    .call = link_call,
    .unmake = unmake_file,
};

const struct bench_op op_unlink = {
    .name = "unlink",
    .setup = standing_setup,
    .prepare = removal_prepare,
    .call = unlink_call,
    .settle = removal_settle,
    .make = make_file,
};

const struct bench_op op_rmdir = {
    .name = "rmdir",
    .setup = standing_setup,
    .prepare = removal_prepare,
    .call = rmdir_call,
    .settle = removal_settle,
    .make = make_directory,
};

const struct bench_op op_rename = {
    .name = "rename",
    .setup = standing_setup,
    .prepare = rename_prepare,
    .call = rename_call,
    .make = make_file,
};

const struct bench_op op_stat1 = {
    .name = "stat1",
    .setup = flat_setup,
    .prepare = flat_prepare,
    .call = stat1_call,
    .make = make_file,
};

const struct bench_op op_open_close = {
    .name = "open_close",
    .setup = flat_setup,
    .prepare = flat_prepare,
    .call = open_close_call,
    .make = make_file,
};

const struct bench_op op_chmod = {
    .name = "chmod",
    .setup = flat_setup,
    .prepare = flat_prepare,
    .call = chmod_call,
    .make = make_file,
};

const struct bench_op op_truncate = {
    .name = "truncate",
    .setup = flat_setup,
    .prepare = flat_prepare,
    .call = truncate_call,
    .make = make_file,
};

const struct bench_op op_setxattr = {
    .name = "setxattr",
    .setup = flat_setup,
    .prepare = flat_prepare,
    .call = setxattr_call,
    .make = make_file_with_attribute,
};
