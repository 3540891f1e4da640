/* data_ops.h -- random operations on the bytes of files, and what they must do
 *
 * An operation is a pure function of a seed and of the model before it, so that a failure replays
 * from its seed, and so that the model alone tells what a file must hold after so many operations. */
#ifndef TESTS_FUSE_DATA_OPS_H
#define TESTS_FUSE_DATA_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "seed.h"

#define DATA_FILES  2
#define DATA_MAX    ((size_t)2500 * 1024 + 777) /* bytes of a file */
#define DATA_PAGE   ((size_t)4096)
#define DATA_STRIPE ((size_t)10007) /* of a file that several processes share */

/* The descriptors of each file, all of them open all the time. */
#define DATA_SLOTS(x)                                                                              \
    x(PLAIN, O_RDWR) x(APPEND, O_RDWR | O_APPEND) x(READ, O_RDONLY) x(DIRECT, O_RDWR | O_DIRECT)   \
        x(WRITE, O_WRONLY) x(SYNC, O_RDWR | O_DSYNC)

enum data_slot {
#define DATA_SLOT_ENUM(slot, flags) DATA_SLOT_##slot,
    DATA_SLOTS(DATA_SLOT_ENUM)
#undef DATA_SLOT_ENUM
        DATA_SLOT_COUNT
};

/* x(KIND, name) */
#define DATA_KINDS(x)                                                                              \
    x(READ, "read") x(READ_HERE, "read_here") x(WRITE, "write") x(WRITE_HERE, "write_here")        \
        x(APPEND, "append") x(TRUNCATE, "truncate") x(MAP_READ, "map_read")                        \
            x(MAP_WRITE, "map_write") x(MAP_PRIVATE, "map_private") x(ALLOCATE, "allocate")        \
                x(PUNCH, "punch") x(ZERO, "zero") x(COPY, "copy") x(SEEK, "seek") x(SYNC, "sync")  \
                    x(DROP, "drop") x(REOPEN, "reopen") x(REPLACE, "replace")                      \
                        x(SENDFILE, "sendfile") x(COMPARE, "compare")

enum data_kind {
#define DATA_KIND_ENUM(kind, name) DATA_##kind,
    DATA_KINDS(DATA_KIND_ENUM)
#undef DATA_KIND_ENUM
        DATA_KIND_COUNT
};

struct data_op {
    enum data_kind kind;
    unsigned file;
    unsigned other_file; /* that is copied to */
    enum data_slot slot;
    enum data_slot other_slot;
    unsigned
        form; /* which of several calls that do the same; of allocate and zero: 1 keeps the size */
    size_t offset;
    size_t other_offset;
    size_t length;
    uint64_t pattern; /* of the bytes that are written */
};

/* What may be drawn, and how often. */
struct data_config {
    const char *name;
    unsigned processes;
    bool is_striped; /* the processes share one file, in which each has stripes of its own */
    bool is_kept_mapped;
    bool is_unaligned; /* direct I/O of any bytes, where the filesystem takes it */
    uint8_t slots[DATA_SLOT_COUNT];
    uint8_t weights[DATA_KIND_COUNT];
};

struct data_file {
    uint8_t *bytes; /* DATA_MAX of them, zeros behind the size */
    size_t size;
    size_t positions[DATA_SLOT_COUNT];
    bool is_map_dirty; /* bytes stored through a mapping that no sync has followed */
};

struct data_model {
    const struct data_config *config;
    unsigned process;
    struct data_file files[DATA_FILES];
};

/* The configurations; the last one has no name. */
extern const struct data_config data_configs[];

void data_model_init(struct data_model *model, const struct data_config *config, unsigned process);
void data_model_fini(struct data_model *model);

void data_draw(struct data_op *op, const struct data_model *model, struct seed *seed);
void data_apply(const struct data_op *op, struct data_model *model);

/* Bytes that a read of the operation's range returns. */
size_t data_readable(const struct data_op *op, const struct data_model *model);

/* Where the operation stores or reads: an appending descriptor writes at the end. */
size_t data_start(const struct data_op *op, const struct data_model *model);

/* The first of `length` bytes from `offset` on that is not the model's, or `length`. In a file of
 * stripes those of others may be anything. */
size_t data_differs(const struct data_model *model, unsigned file, size_t offset,
                    const uint8_t *bytes, size_t length);

void data_to_text(const struct data_op *op, char *text, size_t text_bytes);
const char *data_kind_name(enum data_kind kind);
int data_slot_flags(enum data_slot slot);

#endif
