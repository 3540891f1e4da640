/* model_fs.h -- what a POSIX filesystem does, in ordinary memory
 *
 * An independent model of the calls in vmfs.h, for tests that compare. It shares types and
 * constants with vmfs.h and no code with the library. It knows no limit of space, no crash and no
 * threads. Every function returns what the vmfs function of the same name must return. Where
 * several errors apply to one call POSIX lets any of them be returned: this returns what Linux
 * does, and notes the others in model.errors.
 *
 * Times are modelled exactly where the caller sets model.now_ns, the time that the library will read,
 * before each call; else only those that the caller gave are known. */
#ifndef TESTS_MODEL_FS_H
#define TESTS_MODEL_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmfs.h"

#define MODEL_ATIMES_MAX 4

struct model;
struct model_node;

struct model_xattr {
    struct model_xattr *next;
    char *name;
    uint8_t *value;
    size_t value_bytes;
};

/* One name. Entries of a directory form a list, all entries of the model an array. */
struct model_entry {
    struct model_entry *dir_next;
    struct model_entry *dir_prev;
    struct model_entry *hash_next;
    struct model_node *dir;
    struct model_node *node;
    size_t index; /* in model.entries */
    uint64_t hash;
    uint32_t name_bytes;
    char name[VMFS_NAME_MAX + 1];
};

struct model_node {
    uint32_t mode;
    uint32_t nlink;
    uint32_t uid;
    uint32_t gid;
    uint64_t rdev;
    uint64_t size;
    uint8_t *data; /* file content or link target; bytes from data_bytes to size are 0 */
    size_t data_bytes;
    size_t data_room;
    int64_t atime_ns;
    int64_t mtime_ns;
    int64_t ctime_ns;
    int64_t btime_ns;
    bool is_atime_known;
    bool is_atime_lazy;         /* set by reading: a crash may take it back to one of these; */
    unsigned atime_older_count; /* beyond MODEL_ATIMES_MAX only the first are there */
    int64_t atime_older_ns[MODEL_ATIMES_MAX];
    bool is_mtime_known;
    bool is_ctime_known;
    bool is_btime_known;
    bool is_linkable; /* made without a name, and may get one */
    uint32_t flags;   /* VMFS_INODE_... */
    uint8_t *blocks;  /* enum model_block of each block; those behind are holes */
    size_t block_count;
    size_t block_room;
    struct model *model;
    unsigned open_count;
    struct model_xattr *xattrs;
    struct model_entry *entries; /* of a directory */
    struct model_entry *self;    /* the one name of a directory; null for the root */
    uint64_t seen_ino;           /* owned by tree comparison */
    uint64_t seen_round;
};

/* What seeking for data and holes may find. */
enum model_block { MODEL_HOLE, MODEL_DATA, MODEL_EITHER };

/* Where a call acts, as struct vmfs_at; no `dir` is a call that takes a plain path. */
struct model_at {
    struct model_node *dir;
    const char *path;
    uint32_t uid;
    uint32_t gid;
    uint32_t umask;
    bool is_stale; /* `dir` is the id of what is gone */
};

#define MODEL_BLOCK      4096
#define MODEL_BUCKETS    65536
#define MODEL_ERRORS_MAX 8

struct model {
    struct model_node *root;
    struct model_entry **entries;
    size_t entry_count;
    size_t entry_room;
    uint32_t owner_uid;
    uint32_t owner_gid;
    int64_t now_ns;               /* 0: unknown */
    bool keeps_atime;             /* reading sets access times, as with relatime */
    struct model_node *found;     /* of the attribute call that runs */
    int errors[MODEL_ERRORS_MAX]; /* where several apply at once, all that POSIX allows */
    unsigned error_count;         /* set to 0 by the caller before a call */
    struct model_entry *buckets[MODEL_BUCKETS];
};

/* An empty filesystem whose new nodes belong to uid:gid. Never fails: a test without memory ends.
 */
struct model *model_create(uint32_t uid, uint32_t gid);
void model_destroy(struct model *model);

int model_mkdir(struct model *model, const struct model_at *at, uint32_t mode);
int model_mknod(struct model *model, const struct model_at *at, uint32_t mode, uint64_t rdev);
int model_symlink(struct model *model, const char *target, const struct model_at *at);
int64_t model_readlink(struct model *model, const struct model_at *at, char *buffer, size_t size);
int model_link(struct model *model, const struct model_at *existing, const struct model_at *at,
               int flags);
int model_unlink(struct model *model, const struct model_at *at);
int model_rmdir(struct model *model, const struct model_at *at);
int model_rename(struct model *model, const struct model_at *from, const struct model_at *to,
                 uint32_t flags);
int model_setattr(struct model *model, const struct model_at *at, int flags,
                  const struct vmfs_attr *attr);

/* The node is the handle; access modes are the caller's to keep. */
int model_open(struct model *model, const struct model_at *at, int flags, uint32_t mode,
               struct model_node **out);
/* Open, whatever it is: so it outlives its last name. Symbolic links are not followed. */
int model_hold(struct model *model, const struct model_at *at, struct model_node **out);
int model_dir_open(struct model *model, const struct model_at *at, struct model_node **out);
int model_node_link(struct model *model, struct model_node *node, const struct model_at *at);
void model_close(struct model_node *node);
int64_t model_pread(struct model_node *node, void *buffer, size_t length, uint64_t offset);
/* open_flags: of the handle. With VMFS_O_APPEND `offset` is the size. */
int64_t model_pwrite(struct model_node *node, const void *buffer, size_t length, uint64_t offset,
                     uint32_t open_flags);
int model_reserve(struct model_node *node, int flags, uint64_t offset, uint64_t length);

/* What was stored in whole blocks of the range, and is zeroed, may be data still. */
void model_loosen(struct model_node *node, uint64_t start, uint64_t end);
int64_t model_copy(struct model_node *from, uint64_t from_offset, struct model_node *to,
                   uint64_t to_offset, uint64_t length);
/* `found` if that is a right answer to a seek for data or holes, else an answer that is right. */
int64_t model_seek(const struct model_node *node, int64_t offset, int whence, int64_t found);
int model_node_setattr(struct model_node *node, const struct vmfs_attr *attr);
/* What a change of its bytes or its owner takes away from a file: its capability, and with_set_id the set-id bits. */
void model_kill(struct model_node *node, bool with_set_id);
void model_node_stat(const struct model_node *node, struct vmfs_stat *out);

int model_xattr_set(struct model *model, const struct model_at *at, int flags, const char *name,
                    const void *value, size_t size);
int64_t model_xattr_get(struct model *model, const struct model_at *at, int flags, const char *name,
                        void *value, size_t size);
/* The bytes of all names, in any order. */
int64_t model_xattr_list(struct model *model, const struct model_at *at, int flags, char *names,
                         size_t size);
int model_xattr_remove(struct model *model, const struct model_at *at, int flags, const char *name);

/* The node's type, one of VMFS_S_IF... */
uint32_t model_type(const struct model_node *node);
bool model_is_dir(const struct model_node *node);

/* Writes the absolute path of an entry, always shorter than VMFS_PATH_MAX + 1; false if longer. */
bool model_entry_path(const struct model_entry *entry, char *path);

/* What `at` names; flags: 0 or VMFS_NOFOLLOW. 0 or a negative errno. */
int model_find(struct model *model, const struct model_at *at, int flags, struct model_node **out);

/* The entry of a directory, or null. */
struct model_entry *model_lookup(struct model *model, const struct model_node *dir,
                                 const char *name);

/* Sets a file's size, as truncate does. */
int model_resize(struct model_node *node, uint64_t size);

/* What happens to times: `mtime` and `ctime` or `ctime` alone become now, `atime` as relatime says. */
void model_touch(struct model_node *node);
void model_touch_change(struct model_node *node);
void model_touch_access(struct model_node *node);
/* A crash: access times that were kept lazily are not known any more. */
void model_crash(struct model *model);
/* All access times have become durable. */
void model_sync(struct model *model);
/* Takes back what reading has done to the access time. */
void model_untouch_access(struct model_node *node, const struct model_node *before);

/* Notes an error that applies as well, and returns the one that comes first. */
int model_note(struct model *model, int other, int first);

/* Frees what a node holds outside the tree: content and attributes. */
void model_node_clear(struct model_node *node);

/* Zeroed memory, or the end of the test program. */
void *model_allocate(size_t bytes);

/* ---- between the model's own files ---- */

/* Keeps a value, or takes it away: 1, or 0 where there is none. */
void model_xattr_keep(struct model_node *node, const char *name, const void *value, size_t size);
int model_xattr_drop(struct model_node *node, const char *name);
/* Null if there is none. */
struct model_xattr *model_xattr_of(struct model_node *node, const char *name);

/* Access control lists. Is a value one, and may the node have it? 0 or an errno. Then it can be set, or with an
 * empty one removed: 1, or 0 where that changes nothing. What chmod does to the mode and to the list; and what a
 * new node gets from its directory. */
bool model_is_acl(const char *name);
int model_acl_check(const struct model_node *node, const char *name, const void *bytes,
                    size_t size);
int model_acl_set(struct model_node *node, const char *name, const void *bytes, size_t size);
void model_acl_chmod(struct model_node *node, uint32_t mode);
void model_acl_inherit(struct model_node *parent, struct model_node *node, uint32_t umask);

enum model_last { MODEL_LAST_NORMAL, MODEL_LAST_ROOT, MODEL_LAST_DOT, MODEL_LAST_DOTDOT };

/* A walk in progress, and its result: the last component, and what it names if it exists. */
struct model_walk {
    struct model *model;
    struct model_node *parent;
    struct model_node *node;
    uint32_t uid;
    uint32_t gid;
    uint32_t umask;
    enum model_last last;
    bool has_trailing_slash;
    unsigned symlinks;
    uint32_t name_bytes;
    char name[VMFS_NAME_MAX + 1];
};

/* Walks as far as the last component, which need not exist. */
int model_walk(struct model_walk *walk, struct model *model, const struct model_at *at,
               bool follow);
void model_add_entry(struct model_walk *at, struct model_node *node);
void model_remove_entry(struct model *model, struct model_entry *entry);
/* Takes the name away that `walk` ended at. */
void model_drop_name(struct model_walk *walk);
/* 0, or -EPERM where flags or the sticky bit forbid the change. */
int model_may_add(const struct model_walk *walk);
int model_may_remove(const struct model_walk *walk);

#endif
