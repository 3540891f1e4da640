/* data_model.h -- a file as an array of bytes, and which of its blocks hold data */
#ifndef TESTS_API_DATA_MODEL_H
#define TESTS_API_DATA_MODEL_H

#include "fixture.h"
#include "seed.h"

#define DATA_BLOCKS 96u
#define DATA_BYTES  ((uint64_t)DATA_BLOCKS * VMFS_BLOCK_SIZE)

enum data_state {
    DATA_NONE, /* a hole, with or without blocks */
    DATA_WRITTEN,
    DATA_UNKNOWN, /* reads as zero; the region may have been too full to make it a hole */
};

struct data_model {
    struct vmfs_file *file;
    struct vmfs_file *atomic; /* the same, opened with VMFS_O_ATOMIC */
    uint64_t seed;            /* of the run, for messages */
    unsigned step;
    bool is_full;  /* calls may fail for want of space */
    bool is_small; /* records are so small that an atomic write may lie in too many pieces */
    uint64_t size;
    uint8_t bytes[DATA_BYTES]; /* zero behind the size */
    enum data_state blocks[DATA_BLOCKS];
};

enum data_op {
    DATA_WRITE,
    DATA_WRITEV,
    DATA_TRUNCATE,
    DATA_RESERVE,
    DATA_RESERVE_KEEP,
    DATA_PUNCH,
    DATA_ZERO,
    DATA_ZERO_KEEP,
    DATA_COPY,
    DATA_ATOMIC,
    DATA_OP_COUNT
};

/* One random operation on both; ends the test if they differ in what they return. */
void data_step(struct data_model *model, struct seed *seed);

/* Ends the test if the file's bytes, size or holes are not the model's. */
void data_compare(struct data_model *model);

#endif
