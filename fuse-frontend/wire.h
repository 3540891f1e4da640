/* wire.h -- the kernel's side of FUSE: <linux/fuse.h> of Debian 12 (7.38), and what came after it */
#ifndef VMFS_FUSE_WIRE_H
#define VMFS_FUSE_WIRE_H

#include <linux/fuse.h>
#include <stdint.h>

/* Bits of the INIT request and reply, 32 and more in flags2. */
#define WIRE_DIRECT_IO_ALLOW_MMAP (1ull << 36)

/* Requests that libfuse 3.14 does not know. */
#define WIRE_SYNCFS             50
#define WIRE_TMPFILE            51
#define WIRE_STATX              52
#define WIRE_COPY_FILE_RANGE_64 53

struct wire_statx_in {
    uint32_t getattr_flags;
    uint32_t zero_;
    uint64_t fh;
    uint32_t sx_flags;
    uint32_t sx_mask;
};

struct wire_time {
    int64_t seconds;
    uint32_t ns;
    int32_t zero_;
};

struct wire_statx {
    uint32_t mask; /* STATX_... of <linux/stat.h> */
    uint32_t blksize;
    uint64_t attributes;
    uint32_t nlink;
    uint32_t uid;
    uint32_t gid;
    uint16_t mode;
    uint16_t zero0_;
    uint64_t ino;
    uint64_t size;
    uint64_t blocks;
    uint64_t attributes_mask;
    struct wire_time atime;
    struct wire_time btime;
    struct wire_time ctime;
    struct wire_time mtime;
    uint32_t rdev_major;
    uint32_t rdev_minor;
    uint32_t dev_major;
    uint32_t dev_minor;
    uint64_t zero1_[14];
};

struct wire_statx_out {
    uint64_t attr_valid; /* seconds for which the kernel may believe it */
    uint32_t attr_valid_ns;
    uint32_t flags;
    uint64_t zero_[2];
    struct wire_statx stat;
};

/* With FUSE_SETXATTR_EXT two words follow the old struct, the first with FUSE_SETXATTR_ACL_KILL_SGID. */
#define WIRE_SETXATTR_EXT_BYTES 8

#endif
