/* repair_copy.c -- making copies, and the demands on every repair */
#include "repair_copy.h"

#include <string.h>

static void copy_from(struct copy *copy, const uint8_t *memory, uint64_t bytes)
{
    *copy = (struct copy){.memory = map_guarded(bytes), .bytes = bytes};
    memcpy(copy->memory, memory, bytes);
    memset(copy->memory + VM_OWNER_BLOCK * VM_BLOCK_BYTES, 0, VM_BLOCK_BYTES);
}

void copy_take(struct copy *copy)
{
    copy_from(copy, world.memory, world.bytes);
}

void copy_again(struct copy *copy, const struct copy *of)
{
    copy_from(copy, of->memory, of->bytes);
}

void copy_free(struct copy *copy)
{
    if (copy->fs)
        copy_close(copy);
    unmap_guarded(copy->memory, copy->bytes);
}

int copy_open(struct copy *copy, uint32_t flags)
{
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    options.flags = flags;
    options.log = region_log_keep;
    options.log_arg = &copy->log;
    return vmfs_attach(copy->memory, copy->bytes, &options, &copy->fs);
}

void copy_close(struct copy *copy)
{
    must(vmfs_close(copy->fs), "close");
    copy->fs = NULL;
}

void copy_learn(struct inventory *inventory)
{
    struct copy copy;
    copy_take(&copy);
    must(copy_open(&copy, 0), "attach");
    inventory_take(copy.fs, inventory);
    copy_free(&copy);
}

bool copy_repair(struct copy *copy, struct repair_judge *judge, const char *what)
{
    struct vmfs_check_result result = {.problems = 1};
    int err = vmfs_repair(copy->fs, judge_hear, judge, &result);
    cr_expect_eq(err, 0, "%s: repair returned %d, last: %s", what, err, judge->last);
    cr_expect_eq(result.problems, 0, "%s: %llu problems left, last: %s", what,
                 (unsigned long long)result.problems, judge->last);
    const char *wrong = err ? NULL : judge_losses(judge, copy->fs);
    cr_expect_null(wrong, "%s: %s (and %u more)", what, wrong, judge->violations - 1);
    judge->lines = 0;
    err = vmfs_repair(copy->fs, judge_hear, judge, &result);
    cr_expect(err == 0 && judge->lines == 0, "%s: the second repair said %s", what, judge->last);
    return err == 0 && judge->lines == 0;
}
