/* op.h -- one random operation, run on the library and on the model
 *
 * An operation is a pure function of a seed and of the state of the model before it. It is run with
 * op_run_vmfs() and op_run_model(), whose results must agree. */
#ifndef TESTS_OP_H
#define TESTS_OP_H

#include <stdint.h>

#include "model_fs.h"
#include "seed.h"
#include "vmfs.h"

#define OP_SLOTS    4
#define OP_DATA_MAX 262144

enum op_kind {
    OP_MKDIR,
    OP_MKNOD,
    OP_OPEN, /* into a slot that is free */
    OP_SYMLINK,
    OP_LINK,
    OP_UNLINK,
    OP_RMDIR,
    OP_RENAME,
    OP_CHMOD,
    OP_CHOWN,
    OP_UTIMENS,
    OP_TRUNCATE,
    OP_SETATTR,
    OP_XATTR_SET,
    OP_XATTR_REMOVE,
    OP_WRITE, /* on a slot, as are the next four */
    OP_FTRUNCATE,
    OP_READ,
    OP_FSTAT,
    OP_CLOSE,
    OP_STAT,
    OP_READLINK,
    OP_XATTR_GET,
    OP_XATTR_LIST,
    OP_KIND_COUNT
};

struct op {
    enum op_kind kind;
    unsigned slot;
    uint32_t flags;
    uint32_t mode;
    uint64_t rdev;
    uint64_t offset;
    uint64_t length;
    uint64_t pattern; /* of the bytes that are written */
    struct vmfs_attr attr;
    char name[272]; /* of an extended attribute */
    char path[VMFS_PATH_MAX + 512];
    char other[VMFS_PATH_MAX + 512]; /* the second path, or a link's target */
};

/* What the generator may produce. */
struct op_profile {
    size_t names_max;    /* names in the model at which removal prevails */
    uint64_t file_max;   /* ordinary file sizes in bytes, at most OP_DATA_MAX */
    uint64_t sparse_max; /* 0, or the largest size that truncation may give */
    unsigned name_range; /* how many different short names there are */
    unsigned messy;      /* percent of paths that are made odd or wrong */
    bool has_outside;    /* absolute link targets and '..' above the root may appear */
    bool is_changing;    /* no operations that only read */
};

/* One side's open files. */
struct op_slot {
    struct vmfs_file *file;
    struct model_node *node;
    uint32_t flags;
    bool is_open;
};

struct op_world {
    struct vmfs *fs;     /* null on the model's side */
    const char *prefix;  /* directory of the region that is the model's root, "" for "/" */
    struct model *model; /* null on the library's side */
    struct op_slot slots[OP_SLOTS];
};

struct op_result {
    int64_t code;
    const struct model *model; /* whose other errors are as good as a negative code; or null */
    bool has_stat;
    struct vmfs_stat stat;
    bool is_atime_known; /* of stat; on the model's side only */
    bool is_mtime_known;
    size_t data_bytes;
    uint8_t data[OP_DATA_MAX];
};

/* Draws the next operation; `world` is the model's side, before it. */
void op_generate(struct op *op, const struct op_world *world, struct seed *seed,
                 const struct op_profile *profile);

void op_run_vmfs(const struct op *op, struct op_world *world, struct op_result *result);

/* `written_bytes` is what the library wrote: a write on a region that becomes full may be short. */
void op_run_model(const struct op *op, struct op_world *world, int64_t written_bytes,
                  struct op_result *result);

/* Closes what is open, in slot order. */
int op_close_slots(struct op_world *world);

/* True if the two agree; otherwise says in `text` how they differ. */
bool op_results_agree(const struct op *op, const struct op_result *vmfs,
                      const struct op_result *model, char *text, size_t text_bytes);

/* True if the operation may need space and so may fail with -ENOSPC. */
bool op_may_need_space(const struct op *op);

/* The operation in one line. */
void op_to_text(const struct op *op, char *text, size_t text_bytes);

#endif
