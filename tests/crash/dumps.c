/* dumps.c -- compares with trees that were there without a crash */
#include "dumps.h"

#include <errno.h>
#include <string.h>

static uint64_t word_at(const struct dump *dump, uint64_t at, uint64_t end)
{
    uint64_t value = 0;
    uint64_t stop = dump->target_bytes < end ? dump->target_bytes : end;
    if (at < stop)
        memcpy(&value, dump->content + at, stop - at < 8 ? stop - at : 8);
    return value;
}

/* Each aligned 8 bytes as one of the allowed dumps has them, zero behind its end. */
static bool words_are_allowed(const struct dumps *dumps, const struct dump *dump)
{
    for (uint64_t at = 0; at < dump->target_bytes; at += 8) {
        uint64_t end = dump->target_bytes;
        uint64_t value = word_at(dump, at, end);
        bool is_known = false;
        for (unsigned index = 0; index < DUMP_COUNT; index++)
            is_known =
                is_known || ((dumps->allowed >> index & 1) && dumps->all[index]->has_target &&
                             word_at(dumps->all[index], at, end) == value);
        if (!is_known)
            return false;
    }
    return true;
}

static bool is_same_target(const struct dump *dump, const struct dump *other)
{
    return dump->has_target == other->has_target && dump->target_bytes == other->target_bytes &&
           memcmp(dump->content, other->content, dump->has_target ? dump->target_bytes : 0) == 0;
}

static const char *compare_dump(const struct dumps *dumps, const struct dump *dump)
{
    const char *reason = "the tree is neither the one before nor the one after";
    if (dump->error)
        return "reading the tree fails";
    for (unsigned index = 0; index < DUMP_COUNT; index++) {
        const struct dump *allowed = dumps->all[index];
        if (!(dumps->allowed >> index & 1) || dump->digest != allowed->digest)
            continue;
        if (is_same_target(dump, allowed))
            return NULL;
        reason = "a word of the file is neither old nor new";
        bool is_torn_right = dump->has_target && dump->target_bytes == allowed->target_bytes &&
                             words_are_allowed(dumps, dump);
        if (!dumps->is_exact && is_torn_right)
            return NULL;
    }
    return reason;
}

static const char *look(struct dumps *dumps, struct vmfs *fs, FILE *details)
{
    struct dump *dump = dumps->found;
    if (!world_is_sound(fs, details))
        return "vmfs_check finds problems";
    dump->target = dumps->all[DUMP_NONE]->target;
    dump->is_torn = !dumps->is_exact;
    dump->has_no_ids = dumps->all[DUMP_NONE]->has_no_ids;
    dump->out = details;
    world_dump(fs, dump);
    if (details && dump->error)
        fprintf(details, "    error %d at %s\n", dump->error, dump->error_path);
    const char *reason = compare_dump(dumps, dump);
    if (dumps->is_full)
        dump->dir_count = 0;
    if (!reason)
        reason = world_use_up(fs, dump, dumps->empty_blocks);
    return reason;
}

static const char *examine(void *arg, struct vmfs *fs, FILE *details)
{
    const char *reason = look(arg, fs, details);
    if (vmfs_close(fs) && !reason)
        reason = "close fails";
    return reason;
}

static int recover(void *arg, struct medium *medium, struct vmfs **out)
{
    (void)arg;
    return world_attach(medium, 0, out);
}

static bool excuses(void *arg, int err)
{
    const struct dumps *dumps = arg;
    return dumps->is_format && !dumps->is_exact && (err == -EMEDIUMTYPE || err == -EUCLEAN);
}

static uint64_t rules(void *arg)
{
    const struct dumps *dumps = arg;
    return dumps->allowed * 2 + dumps->is_exact;
}

void dumps_init(struct dumps *dumps)
{
    *dumps = (struct dumps){.found = (void *)medium_pages(sizeof *dumps->found)};
    for (unsigned index = 0; index < DUMP_COUNT; index++)
        dumps->all[index] = (void *)medium_pages(sizeof *dumps->all[index]);
    dumps->judge = (struct judge){.arg = dumps,
                                  .recover = recover,
                                  .examine = examine,
                                  .excuses = excuses,
                                  .rules = rules,
                                  .dump = world_dump_image};
}
