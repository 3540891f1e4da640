/* options.h -- the command line of vmfs-fuse */
#ifndef VMFS_FUSE_OPTIONS_H
#define VMFS_FUSE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STATUS_OK = 0,
    STATUS_FAILED = 1,
    STATUS_USAGE = 2,
};

struct options {
    char *region;     /* absolute, so that it still leads there from "/" */
    char *mountpoint; /* the same */
    char *title; /* the command line itself, as ps shows it, in which a process may write another */
    size_t title_bytes;
    char *kernel; /* what mount(2) is told, "ro,noexec"; null for nothing */
    bool is_foreground;
    bool is_debug;
    bool is_read_only;
    bool leaves_atime;
    bool has_writeback;
    bool has_sandbox;
    bool is_auto_unmounted;
    bool is_unchecked;   /* nobody but root is let in, who may do everything */
    uint32_t durability; /* enum vmfs_durability */
    uint32_t threads;
    uint32_t wait_ms;      /* for vmfs_options */
    uint64_t create_bytes; /* 0: the region must exist */
    uint64_t offset_bytes;
    bool is_offset_auto; /* offset_bytes is found when the region is opened */
    uint64_t length_bytes;
};

/* Reads the command line and says on standard error what is wrong with it. Returns true if there is
 * something to mount; else *status is what to exit with. */
bool options_parse(struct options *options, int argc, char **argv, int *status);

void options_free(struct options *options);

#endif
