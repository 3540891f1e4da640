/* model_fs.h -- what a POSIX filesystem does, in ordinary memory
 *
 * An independent model of the calls in vmfs.h, for tests that compare. It shares types and
 * constants with vmfs.h and no code with the library. It knows no limit of space, no crash and no
 * threads. Every function returns what the vmfs function of the same name must return. Where
 * several errors apply to one call POSIX lets any of them be returned: this returns what Linux
 * does, and notes the others in model.errors. */
#ifndef TESTS_MODEL_FS_H
#define TESTS_MODEL_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmfs.h"

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
    bool is_atime_known; /* set by the caller, and not changed by anything else since */
    bool is_mtime_known;
    unsigned open_count;
    struct model_xattr *xattrs;
    struct model_entry *entries; /* of a directory */
    struct model_entry *self;    /* the one name of a directory; null for the root */
    uint64_t seen_ino;           /* owned by tree comparison */
    uint64_t seen_round;
};

#define MODEL_BUCKETS    4096
#define MODEL_ERRORS_MAX 8

struct model {
    struct model_node *root;
    struct model_entry **entries;
    size_t entry_count;
    size_t entry_room;
    uint32_t owner_uid;
    uint32_t owner_gid;
    int errors[MODEL_ERRORS_MAX]; /* where several apply at once, all that POSIX allows */
    unsigned error_count;         /* set to 0 by the caller before a call */
    struct model_entry *buckets[MODEL_BUCKETS];
};

/* An empty filesystem whose new nodes belong to uid:gid. Never fails: a test without memory ends.
 */
struct model *model_create(uint32_t uid, uint32_t gid);
void model_destroy(struct model *model);

int model_mkdir(struct model *model, const char *path, uint32_t mode);
int model_mknod(struct model *model, const char *path, uint32_t mode, uint64_t rdev);
int model_symlink(struct model *model, const char *target, const char *path);
int64_t model_readlink(struct model *model, const char *path, char *buffer, size_t size);
int model_link(struct model *model, const char *existing, const char *path);
int model_unlink(struct model *model, const char *path);
int model_rmdir(struct model *model, const char *path);
int model_rename(struct model *model, const char *from, const char *to, uint32_t flags);
int model_stat(struct model *model, const char *path, int flags, struct vmfs_stat *out);
int model_setattr(struct model *model, const char *path, int flags, const struct vmfs_attr *attr);

/* The node is the handle; access modes are the caller's to keep. */
int model_open(struct model *model, const char *path, int flags, uint32_t mode,
               struct model_node **out);
void model_close(struct model_node *node);
int64_t model_pread(const struct model_node *node, void *buffer, size_t length, uint64_t offset);
int64_t model_pwrite(struct model_node *node, const void *buffer, size_t length, uint64_t offset);
int model_node_setattr(struct model_node *node, const struct vmfs_attr *attr);
void model_node_stat(const struct model_node *node, struct vmfs_stat *out);

int model_xattr_set(struct model *model, const char *path, int flags, const char *name,
                    const void *value, size_t size);
int64_t model_xattr_get(struct model *model, const char *path, int flags, const char *name,
                        void *value, size_t size);
/* The bytes of all names, in any order; of what can have no attributes: 0, as on Linux. */
int64_t model_xattr_list(struct model *model, const char *path, int flags, char *names,
                         size_t size);
int model_xattr_remove(struct model *model, const char *path, int flags, const char *name);

/* The node's type, one of VMFS_S_IF... */
uint32_t model_type(const struct model_node *node);
bool model_is_dir(const struct model_node *node);

/* Writes the absolute path of an entry, always shorter than VMFS_PATH_MAX + 1; false if longer. */
bool model_entry_path(const struct model_entry *entry, char *path);

/* What `path` names; flags: 0 or VMFS_NOFOLLOW. 0 or a negative errno. */
int model_find(struct model *model, const char *path, int flags, struct model_node **out);

/* Sets a file's size, as truncate does. */
int model_resize(struct model_node *node, uint64_t size);

/* Frees what a node holds outside the tree: content and attributes. */
void model_node_clear(struct model_node *node);

/* Zeroed memory, or the end of the test program. */
void *model_allocate(size_t bytes);

#endif
