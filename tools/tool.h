/* tool.h -- what the verbs of the vmfs command share
 *
 * One run of the command is one `struct tool`: the verb, its operands and options, the open region,
 * and the exit status that the run has earned so far. A verb reports each failure with one of the
 * tool_fail functions and goes on where it can; main() closes the region and exits with the status.
 *
 * Functions return 0 or a negative errno value, as those of vmfs.h do. */
#ifndef TOOL_H
#define TOOL_H

#include "progress.h"

#include <stdbool.h>
#include <stdint.h>
#include <vmfs.h>

/* Options are numbered by their letter; those that have none come after the letters. */
enum {
    OPTION_SIZE = 128,
    OPTION_FORCE,
    OPTION_EXCHANGE,
    OPTION_REPAIR,
    OPTION_JSON,
    OPTION_PASS,
    OPTION_PEEK,
    OPTION_COUNTERS,
    OPTION_DURABILITY,
    OPTION_OFFSET,
    OPTION_LENGTH,
    OPTION_WAIT,
    OPTION_INTERVAL,
    OPTION_QEMU,
    OPTION_FIRECRACKER,
    OPTION_LIBVIRT,
    OPTION_NVDIMM,
    OPTION_VIRTIO_PMEM,
    OPTION_READONLY,
    OPTION_MEMORY,
    OPTION_HELP,
    OPTION_COUNT,
};

/* Exit statuses. */
enum {
    STATUS_OK = 0,
    STATUS_FAILED = 1,
    STATUS_USAGE = 2,
    STATUS_FSCK_MENDED = 1,
    STATUS_FSCK_DAMAGED = 4,
    STATUS_FSCK_CANNOT = 8,
};

struct tool;

/* How main() opens the region before it runs a verb. */
enum verb_opens { OPENS_READ, OPENS_WRITE, OPENS_ITSELF };

struct verb {
    const char *name;
    const char *synopsis; /* what follows the name on the command line */
    const char *summary;  /* one line for the list of verbs */
    const char *help;     /* what it does and its own options, lines with newlines */
    const int *options;   /* ids of its own options, 0 at the end */
    int operands_min;     /* REGION included */
    int operands_max;
    enum verb_opens opens;
    int failed_status; /* what a failure makes of the exit status */
    int usage_status;
    void (*run)(struct tool *tool);
};

struct tool {
    const struct verb *verb;
    const char *region;
    char **operands; /* those after REGION */
    int operand_count;
    bool is_set[OPTION_COUNT];
    const char *values[OPTION_COUNT];
    struct vmfs_options options;
    bool is_offset_auto; /* options.offset_bytes is found when the region is opened */
    struct vmfs *fs;
    struct progress progress;
    char log_text[256]; /* what the library said about the last error, or empty */
    int status;
};

/* Each verb, in the file cmd_NAME.c. */
extern const struct verb verb_format, verb_info, verb_fsck, verb_ls, verb_cat, verb_stat, verb_put,
    verb_get, verb_rm, verb_mv, verb_mkdir, verb_dump, verb_map, verb_top, verb_guest;

/* Opens the region with `flags` of vmfs_open() and the common options. Reports nothing. */
int tool_open(struct tool *tool, uint32_t flags);

/* VMFS_PEEK if --peek was given. */
uint32_t tool_peek(const struct tool *tool);

/* Prints the counters if they were asked for, then closes the region. */
void tool_close(struct tool *tool);

/* Reports that something failed: with a name as the caller wrote it, with a path inside the region,
 * or with words of its own. Each gives the run its failed status. */
void tool_fail(struct tool *tool, int err, const char *name);
void tool_fail_inside(struct tool *tool, int err, const char *path);
void tool_fail_text(struct tool *tool, const char *name, const char *text);

/* Says something on standard error that is not a failure. */
void tool_note(struct tool *tool, const char *name, const char *text);

/* Writes all of `buffer` to standard output at once, past any stdio buffer. */
int tool_write_stdout(const void *buffer, size_t size_bytes);

/* Reads a number with an optional suffix K, M, G or T. -EINVAL if it is none, -ERANGE if too big.
 */
int size_parse(const char *text, uint64_t *out);

#endif
