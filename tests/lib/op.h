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

#define OP_SLOTS     4
#define OP_DIR_SLOTS 2
#define OP_DATA_MAX  262144
#define OP_PIECES    8
#define OP_PATH_ROOM (VMFS_PATH_MAX + 512)

/* x(KIND, name) */
#define OP_KINDS(x)                                                                                \
    x(MKDIR, "mkdir") x(MKNOD, "mknod")                                                            \
        x(OPEN, "open") /* into a slot that is free, as the next one */                            \
        x(TMPFILE, "tmpfile") x(SYMLINK, "symlink") x(LINK, "link") x(UNLINK, "unlink")            \
            x(RMDIR, "rmdir") x(RENAME, "rename") x(CHMOD, "chmod") x(CHOWN, "chown")              \
                x(UTIMENS, "utimens") x(TRUNCATE, "truncate") x(SETATTR, "setattr")                \
                    x(SETFLAGS, "setflags") x(XATTR_SET, "xattr_set")                              \
                        x(XATTR_REMOVE, "xattr_remove")                                            \
                            x(WRITE, "write") /* on a slot, from here to close */                  \
        x(WRITE_HERE, "write_here") x(ALLOCATE, "allocate") x(COPY, "copy")                        \
            x(FTRUNCATE, "ftruncate") x(FSETATTR, "fsetattr") x(FILE_LINK, "file_link")            \
                x(SYNC, "sync") x(READ, "read") x(READ_HERE, "read_here") x(SEEK, "seek")          \
                    x(FSTAT, "fstat") x(CLOSE, "close") x(STAT, "stat") x(READLINK, "readlink")    \
                        x(XATTR_GET, "xattr_get") x(XATTR_LIST, "xattr_list")                      \
                            x(DIR_OPEN, "dir_open") /* into a free directory slot */               \
        x(DIR_READ, "dir_read") x(DIR_CLOSE, "dir_close")

enum op_kind {
#define OP_ENUM(kind, name) OP_##kind,
    OP_KINDS(OP_ENUM)
#undef OP_ENUM
        OP_KIND_COUNT
};

/* A flag of OP_DIR_OPEN: what the path names, of any type, is held; and let go by OP_DIR_CLOSE. */
#define OP_HELD 0x1u

/* What a path starts from. */
enum op_base {
    OP_BASE_NONE,  /* a call that takes a plain path */
    OP_BASE_ROOT,  /* a place with directory id 0 */
    OP_BASE_DIR,   /* the open directory in slot base_slot */
    OP_BASE_FILE,  /* the open file in slot base_slot */
    OP_BASE_STALE, /* the id of a file that is gone */
};

struct op_place {
    enum op_base base;
    unsigned slot;
    uint32_t uid;
    uint32_t gid;
    uint32_t umask;
};

struct op {
    enum op_kind kind;
    unsigned slot;
    unsigned other_slot; /* what is copied to */
    unsigned pieces;     /* 0: one plain buffer; else a vector of so many */
    uint32_t flags;      /* of open, rename, allocate (its mode), seek (its whence) ... */
    uint32_t mode;
    uint64_t rdev;
    uint64_t offset;
    uint64_t other_offset;
    uint64_t length;
    uint64_t pattern; /* of the bytes that are written */
    bool is_maskless; /* an ACL without the entry that it may need */
    struct vmfs_attr attr;
    struct op_place at;
    struct op_place other_at;
    char name[272]; /* of an extended attribute */
    char path[OP_PATH_ROOM];
    char other[OP_PATH_ROOM]; /* the second path, or a link's target */
};

/* What the generator may produce. */
struct op_profile {
    size_t names_max;    /* names in the model at which removal prevails */
    uint64_t file_max;   /* ordinary file sizes in bytes, at most OP_DATA_MAX */
    uint64_t sparse_max; /* 0, or the largest size that truncation may give */
    unsigned name_range; /* how many different short names there are */
    unsigned messy;      /* percent of paths that are made odd or wrong */
    size_t bulk_names;   /* names that are made in one directory before all else */
    bool is_bulk_links;  /* they are links to one file */
    bool has_outside;    /* absolute link targets and '..' above the root may appear */
    bool has_places;     /* calls relative to directories, other callers, inode flags */
    bool is_changing;    /* no operations that only read */
    bool has_privileges; /* set-id bits and capabilities come and are taken away */
};

/* One side's open files and directories. */
struct op_slot {
    struct vmfs_file *file;
    struct vmfs_dir *dir;
    uint64_t held; /* an inode that is held, in place of a directory that is open */
    struct model_node *node;
    int64_t position; /* on the model's side */
    uint32_t flags;
    bool is_open;
};

struct op_world {
    struct vmfs *fs;     /* null on the model's side */
    const char *prefix;  /* directory of the region that is the model's root, "" for "/" */
    struct model *model; /* null on the library's side */
    bool is_paged;       /* a kernel may cut one call into several, where pages end */
    uint64_t dead_ino;   /* of a file that is gone, or 0; not 0 on both sides at once */
    struct op_slot slots[OP_SLOTS];
    struct op_slot dirs[OP_DIR_SLOTS];
};

struct op_result {
    int64_t code;
    const struct model *model;     /* whose other errors are as good as a negative code; or null */
    const struct model_node *node; /* whose stat this is; on the model's side only */
    bool has_stat;
    struct vmfs_stat stat;
    size_t data_bytes;
    uint8_t data[OP_DATA_MAX];
};

/* Draws the next operation; `world` is the model's side, before it. */
void op_generate(struct op *op, const struct op_world *world, struct seed *seed,
                 const struct op_profile *profile);

void op_run_vmfs(const struct op *op, struct op_world *world, struct op_result *result);

/* `library_code` is what the library returned: a write on a region that becomes full may be short,
 * and a seek may find one of several places. */
void op_run_model(const struct op *op, struct op_world *world, int64_t library_code,
                  struct op_result *result);

/* Makes some operations give or take privileges: decided by their pattern, without another draw. */
void op_add_privileges(struct op *op);

/* Closes what is open, in slot order. */
int op_close_slots(struct op_world *world);

/* True if the two agree; otherwise says in `text` how they differ. */
bool op_results_agree(const struct op *op, const struct op_result *vmfs,
                      const struct op_result *model, char *text, size_t text_bytes);

/* True if `code` is the model's, or an error that is as good. */
bool op_codes_agree(int64_t code, const struct op_result *model);

/* True if the operation may need space and so may fail with -ENOSPC. */
bool op_may_need_space(const struct op *op);

/* True for a kind that acts on a file slot. */
bool op_is_slot_kind(enum op_kind kind);

/* Draws how long the ACL is that an operation sets, and what is wrong with it. */
void op_draw_acl(struct op *op, struct seed *seed);

/* The value that an operation on attributes sets. Where the name is that of an ACL and the length that of one, it is
 * one; but with an offset the byte there is wrong. */
void op_xattr_value(const struct op *op, uint8_t *data);

/* The attributes that the operation sets. */
struct vmfs_attr op_attr(const struct op *op);

/* Cuts `length` bytes at `base` into op->pieces pieces, some of them empty; returns how many. */
unsigned op_pieces(const struct op *op, void *base, size_t length,
                   struct vmfs_iovec iov[OP_PIECES]);

/* Adds one entry of a directory to a digest that does not depend on their order. */
void op_digest_entry(struct op_result *result, const char *name, uint32_t type);

/* The operation in one line. */
void op_to_text(const struct op *op, char *text, size_t text_bytes);
const char *op_kind_name(enum op_kind kind);

#endif
