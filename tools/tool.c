/* tool.c -- opening and closing the region, error messages and counters for every verb */
#include "tool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The errno value alone often says too little: the library's text names the owner of a busy region
 * or the structure that is damaged. It is kept until the failure it belongs to is reported.
 * Ordinary failures of calls are not kept, as verbs also make calls that may fail; opening may not.
 */
static void log_keep(void *arg, int level, int reason, const char *file, int line, const char *text)
{
    struct tool *tool = arg;

    (void)file;
    (void)line;
    /* What the operating system refused, the errno value says better. */
    if (reason == VMFS_R_SYSTEM)
        return;
    if (level == VMFS_LOG_ERROR || (!tool->fs && reason != 0))
        snprintf(tool->log_text, sizeof(tool->log_text), "%s", text);
}

#define PLACES_MAX 8

/* What is said of too many places; the list ends where it does not fit any more. */
static void places_describe(struct tool *tool, const struct vmfs_region_place *places, int count)
{
    char *text = tool->log_text;
    size_t room = sizeof(tool->log_text);
    int used = snprintf(text, room, "%d regions, choose one with --offset:", count);
    int i;

    for (i = 0; i < count && i < PLACES_MAX && used >= 0 && (size_t)used < room; i++)
        used += snprintf(text + used, room - (size_t)used, " %" PRIu64, places[i].offset_bytes);
}

/* --offset auto: where the one region is, or would be formatted. */
static int offset_find(struct tool *tool, uint32_t flags)
{
    struct vmfs_region_place places[PLACES_MAX];
    int count = vmfs_region_find(tool->region, places, PLACES_MAX);

    if (count == -ENOENT && (flags & VMFS_CREATE))
        return 0;
    if (count < 0)
        return count;
    if (count > 1) {
        places_describe(tool, places, count);
        return -EINVAL;
    }
    tool->options.offset_bytes = places[0].offset_bytes;
    if ((flags & VMFS_CREATE) && !tool->options.length_bytes && !tool->options.region_bytes)
        tool->options.length_bytes = places[0].length_bytes;
    if (tool->is_set['v']) {
        char text[64];
        snprintf(text, sizeof(text), "the region begins at offset %" PRIu64,
                 places[0].offset_bytes);
        tool_note(tool, tool->region, text);
    }
    return 0;
}

int tool_open(struct tool *tool, uint32_t flags)
{
    int err = tool->is_offset_auto ? offset_find(tool, flags) : 0;

    if (err)
        return err;
    tool->options.flags = flags;
    tool->options.log = log_keep;
    tool->options.log_arg = tool;
    err = vmfs_open(tool->region, &tool->options, &tool->fs);
    if (!err)
        tool->log_text[0] = '\0';
    return err;
}

uint32_t tool_peek(const struct tool *tool)
{
    return tool->is_set[OPTION_PEEK] ? VMFS_PEEK : 0;
}

static void counters_print(struct tool *tool)
{
    struct vmfs_counters opened, worked, synced;
    int err = vmfs_counters(tool->fs, VMFS_COUNTERS_OPEN, &opened);

    if (!err)
        err = vmfs_counters(tool->fs, VMFS_COUNTERS_HANDLE, &worked);
    /* What closing costs cannot be read once the handle is gone. Closing is a checkpoint, and so is
     * a sync, so the sync is measured; a read-only handle has nothing to sync. */
    if (!err && !(tool->options.flags & VMFS_RDONLY))
        err = vmfs_sync(tool->fs);
    if (!err)
        err = vmfs_counters(tool->fs, VMFS_COUNTERS_HANDLE, &synced);
    if (err) {
        tool_fail(tool, err, tool->region);
        return;
    }
    fflush(stdout);
    fprintf(stderr,
            "counters ops=%" PRIu64 " fences=%" PRIu64 " lines=%" PRIu64 " bytes=%" PRIu64
            " open_fences=%" PRIu64 " close_fences=%" PRIu64 "\n",
            worked.ops, worked.fences, worked.lines, worked.bytes, opened.fences,
            synced.fences - worked.fences);
}

void tool_close(struct tool *tool)
{
    int err;

    if (!tool->fs)
        return;
    progress_clear(&tool->progress);
    if (tool->is_set[OPTION_COUNTERS])
        counters_print(tool);
    err = vmfs_close(tool->fs);
    tool->fs = NULL;
    if (err)
        tool_fail(tool, err, tool->region);
}

static void failure_begin(struct tool *tool)
{
    progress_clear(&tool->progress);
    fflush(stdout);
    fprintf(stderr, "vmfs %s: ", tool->verb->name);
    tool->status = tool->verb->failed_status;
}

static void failure_end(struct tool *tool, int err)
{
    fprintf(stderr, ": %s", strerror(-err));
    if (tool->log_text[0])
        fprintf(stderr, " (%s)", tool->log_text);
    fprintf(stderr, "\n");
    tool->log_text[0] = '\0';
}

void tool_fail(struct tool *tool, int err, const char *name)
{
    failure_begin(tool);
    fprintf(stderr, "%s", name);
    failure_end(tool, err);
}

void tool_fail_inside(struct tool *tool, int err, const char *path)
{
    failure_begin(tool);
    fprintf(stderr, "%s:%s", tool->region, path);
    failure_end(tool, err);
}

void tool_fail_text(struct tool *tool, const char *name, const char *text)
{
    failure_begin(tool);
    fprintf(stderr, "%s: %s\n", name, text);
}

void tool_note(struct tool *tool, const char *name, const char *text)
{
    progress_clear(&tool->progress);
    fflush(stdout);
    fprintf(stderr, "vmfs %s: %s: %s\n", tool->verb->name, name, text);
}

int tool_write_stdout(const void *buffer, size_t size_bytes)
{
    const char *next = buffer;

    while (size_bytes > 0) {
        ssize_t written = write(STDOUT_FILENO, next, size_bytes);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        next += written;
        size_bytes -= (size_t)written;
    }
    return 0;
}

static unsigned suffix_shift(char suffix)
{
    switch (suffix) {
    case 'k':
    case 'K':
        return 10;
    case 'm':
    case 'M':
        return 20;
    case 'g':
    case 'G':
        return 30;
    case 't':
    case 'T':
        return 40;
    default:
        return 0;
    }
}

int size_parse(const char *text, uint64_t *out)
{
    uint64_t value = 0;
    unsigned shift;

    if (*text < '0' || *text > '9')
        return -EINVAL;
    for (; *text >= '0' && *text <= '9'; text++) {
        unsigned digit = (unsigned)(*text - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return -ERANGE;
        value = value * 10 + digit;
    }
    shift = suffix_shift(*text);
    if (text[0] != '\0' && (shift == 0 || text[1] != '\0'))
        return -EINVAL;
    if (value > UINT64_MAX >> shift)
        return -ERANGE;
    *out = value << shift;
    return 0;
}
