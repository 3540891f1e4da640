/* vmfs.h -- a filesystem that is memory
 *
 * libvmfs turns a mapped region of memory into a journaled, byte-addressable filesystem. There is no
 * block layer, no page cache and no kernel call between a program and its files: a read is a copy
 * out of the region, a durable write is a copy into it and one fence.
 *
 * A tour
 * ------
 * A *region* is a run of bytes: a DAX file or device, a file on tmpfs, a plain file, or memory that
 * the program mapped itself. vmfs_open() finds a region by path, vmfs_attach() takes one by address;
 * both give a *handle*, `struct vmfs`, on which everything else works:
 *
 *     struct vmfs_options options = VMFS_OPTIONS_INIT;
 *     options.flags = VMFS_CREATE;
 *     options.region_bytes = 256 << 20;
 *     struct vmfs *fs;
 *     int err = vmfs_open("/dev/shm/region", &options, &fs);
 *
 *     struct vmfs_file *file;
 *     err = vmfs_file_open(fs, "/greeting", VMFS_O_CREAT | VMFS_O_WRONLY, 0644, &file);
 *     int64_t written = vmfs_file_write(file, "hello", 5);       // durable when it returns
 *     vmfs_file_close(file);
 *     vmfs_close(fs);
 *
 * Link with -lvmfs (`pkg-config --cflags --libs vmfs`).
 *
 * What is durable when
 * --------------------
 * P1  Every call that changes names or attributes is atomic, and durable when it returns. After a
 *     crash at any instant the region holds the old state or the new one, never a mix.
 * P2  A write that has returned is durable. A crash inside a write leaves each aligned 8 bytes old or
 *     new and the size old or new; never bytes of another file, of freed space or of memory that
 *     was never written.
 * P3  A call that fails has changed nothing.
 * "Durable" means what the region can give, and vmfs_info() says which of the two it is: at
 * VMFS_DURABILITY_POWER the bytes outlive the loss of power, at VMFS_DURABILITY_PROCESS they outlive
 * the process (SIGKILL included) and reach the medium with vmfs_sync() or vmfs_file_sync().
 * POWER costs no system call on persistent memory. On any other file, and on a block device, it must
 * be asked for: then each fence is an msync() of the pages that the call has changed, shared by all
 * threads that wait for one at that moment. If it fails, whoever waits for it gets -EIO, no change is
 * accepted any more (-EUCLEAN), and vmfs_close() lets the system forget what it has not written, so
 * that the next open finds what the medium has.
 * Below, "durable at return" is not repeated for each function; where something is not, it says so.
 *
 * Errors
 * ------
 * Functions return 0, or a count >= 0, or a negative errno value. On failure output parameters are
 * untouched. These can come from every call that takes a handle and are not listed again:
 *   -ESTALE    the handle was inherited through fork(); only its close function may be called
 *   -EUCLEAN   the region is damaged: a structure failed its check. The handle becomes read-only
 *   -EROFS     a changing call on a read-only handle (asked for, or after damage)
 *   -EINVAL    a null pointer or an undefined flag
 *   -EDEADLK   the calling thread has a view that it has not ended (vmfs_file_view())
 * Path calls also return -ENOENT, -ENOTDIR, -ELOOP (more than 40 symbolic links) and -ENAMETOOLONG
 * (a component over 255 bytes, a path over 4,095). Calls that need space return -ENOSPC. Each error
 * has a *reason*, finer than errno, handed to the log hook with the place where it arose.
 *
 * Threads
 * -------
 * Any number of threads may use one handle, and one file or directory handle, at once, unless a
 * function says "exclusive". Opening, closing and the file position of one `struct vmfs_file` are
 * serialised by the caller. Calls on one object appear in some order; each is atomic to the others.
 *
 * Caveats
 * -------
 * - A region belongs to one process at a time, or to any number of read-only ones. A second open
 *   returns -EBUSY, after a wait if the owner is about to end, and the log hook names its pid.
 * - Do not use a handle in a signal handler. After fork() the child's handles are dead.
 * - Closing a handle with files still open is an error of the program: close them first.
 * - Whoever can map the region can change every byte of it: permissions are those of the region's
 *   own file. This library stores modes, owners and ACLs, and tells what they say (vmfs_access_at()); it does not
 *   enforce them.
 * - The backing file must not be truncated while it is open: touching the lost part raises SIGBUS,
 *   or with VMFS_GUARD gives -EIO.
 * - Access times are kept as with relatime: reading sets one that is not newer than the last change or
 *   is a day old. They are seen at once, and durable some checkpoints later, at the latest with
 *   vmfs_sync() or vmfs_close(); not at return.
 *
 * The library prints nothing, never exits, and but for VMFS_GUARD installs no signal handler and
 * keeps no global state. */
#ifndef VMFS_H
#define VMFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmfs_reasons.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VMFS_VERSION_MAJOR 0
#define VMFS_VERSION_MINOR 1
#define VMFS_VERSION_PATCH 0

/* Longest name in bytes, longest path in bytes without its NUL, longest symbolic link target. */
#define VMFS_NAME_MAX 255
#define VMFS_PATH_MAX 4095
/* Most hard links to one file; one more is -EMLINK. */
#define VMFS_LINK_MAX 65000
/* Largest value of one extended attribute, in bytes. */
#define VMFS_XATTR_MAX 65536
/* Largest file, in bytes. */
#define VMFS_FILE_MAX ((uint64_t)1 << 60)
/* The smallest region that can be formatted, in bytes. */
#define VMFS_REGION_MIN ((uint64_t)1 << 20)
/* A region's size, offset and address are multiples of this. */
#define VMFS_BLOCK_SIZE 4096

/* The attached region. Created by vmfs_open() or vmfs_attach(), freed by vmfs_close(). */
struct vmfs;
/* An open file, freed by vmfs_file_close(). */
struct vmfs_file;
/* An open directory with a position, freed by vmfs_dir_close(). */
struct vmfs_dir;

/* ------------------------------------------------------------------------------------------------
 * Reasons and the log
 * --------------------------------------------------------------------------------------------- */

/* The text of a reason, or "unknown reason". Static, never freed. Any thread. */
const char *vmfs_reason_str(int reason);

enum vmfs_log_level {
    VMFS_LOG_ERROR = 1, /* damage, or a handle that could not be opened */
    VMFS_LOG_INFO = 2,  /* what was chosen at open; what recovery did */
    VMFS_LOG_DEBUG = 3, /* each ordinary failure of a call */
};

/* Called from within library calls, from any thread, possibly with locks held: it must be quick and
 * must not call the library. `reason` is a vmfs_reason, or 0 for plain information; `file` and
 * `line` say where it arose; `text` lives until the hook returns. */
typedef void (*vmfs_log_fn)(void *arg, int level, int reason, const char *file, int line,
                            const char *text);

/* The library's version, "major.minor.patch". Static. Any thread. */
const char *vmfs_version(void);

/* ------------------------------------------------------------------------------------------------
 * Opening and closing a region
 * --------------------------------------------------------------------------------------------- */

/* What a return from a changing call means. */
enum vmfs_durability {
    VMFS_DURABILITY_AUTO = 0, /* POWER where that costs no system call, else PROCESS */
    VMFS_DURABILITY_POWER =
        1, /* survives loss of power, as far as the medium keeps what it has taken */
    VMFS_DURABILITY_PROCESS =
        2, /* survives the death of the process; sync calls reach the medium */
};

/* Flags of vmfs_open() and vmfs_attach(). */
#define VMFS_RDONLY 0x1 /* store nothing; an unreplayed journal is replayed privately */
#define VMFS_CREATE 0x2 /* format; by path: create the file, or take a device on which nothing is */
#define VMFS_FORCE  0x4 /* with VMFS_CREATE: format over whatever is there */
#define VMFS_ZEROED 0x8 /* VMFS_CREATE on vmfs_attach(): the memory is known to read as zero */
/* With VMFS_RDONLY on vmfs_open(): looks at a region although somebody else may have it open for
 * writing. Nothing is locked and nothing replayed, so what is read may be a mixture of two states,
 * and an error may be gone at the next try. For tools that watch. */
#define VMFS_PEEK 0x10
/* vmfs_open() only: touching a part of the region that its backing has lost (a truncated file, a media
 * error, no memory behind a sparse file) makes the call return -EIO and the handle read-only, instead of
 * raising SIGBUS in the caller. What is not lost can be read on. Other calls in progress at that moment
 * return -EIO too; what a failed call stored in output parameters and buffers is then undefined, and
 * whether a change that failed so has happened shows at the next open. vmfs_sync(), and vmfs_close() of a
 * handle that was writable, return -EIO from then on. Needs a regular file (-EOPNOTSUPP). The bytes
 * between the end of a truncated file and the end of its last page read as zeros, which nobody can tell
 * from a loss. Installs one SIGBUS handler for the process, from the first guarded open to the last
 * close; it passes on what is not its own, and a handler installed later must pass on to it. */
#define VMFS_GUARD 0x20

/* Opens a region for vmfs_repair(), also one that is so damaged that it cannot be opened otherwise: a
 * superblock that is whole is enough, or two that are not where geometry and seeds are left in one of
 * them. Stores nothing but who has the region open. Until vmfs_repair() has returned 0 all other calls
 * but vmfs_close() return -EUCLEAN; then the handle is as any other. Not with VMFS_RDONLY or
 * VMFS_CREATE. */
#define VMFS_REPAIR 0x40

/* The handle serves others, who may end it from outside at any moment: a mount. Who wants the region next
 * gives it a short while to do so (wait_ms). Not with VMFS_RDONLY. */
#define VMFS_SERVED 0x80

/* Reading leaves access times, of directories and symbolic links as well: VMFS_O_NOATIME for all that this handle
 * does. */
#define VMFS_NOATIME 0x100

/* For wait_ms: whatever the owner means to do. */
#define VMFS_NO_WAIT UINT32_MAX

/* Set with VMFS_OPTIONS_INIT, then change fields. Fields added by later versions are behind the
 * size that the caller was compiled with and take their defaults. */
struct vmfs_options {
    uint32_t struct_bytes; /* sizeof(struct vmfs_options) */
    uint32_t flags;        /* VMFS_RDONLY ... */
    uint32_t durability;   /* enum vmfs_durability */
    uint32_t mode;         /* permission bits of a created region file; 0 means 0600 */
    uint64_t region_bytes; /* with VMFS_CREATE: the region's size; 0 means the existing file's */
    uint64_t offset_bytes; /* where the region starts inside the file */
    uint64_t length_bytes; /* how much of the file it may use; 0 means up to the end */
    uint32_t owner_uid;    /* owner of what is created through this handle; */
    uint32_t owner_gid;    /*   UINT32_MAX, the default, means the process's effective ids */
    vmfs_log_fn log;       /* may be null: silent */
    void *log_arg;
    uint32_t wait_ms; /* how long to wait for an owner that is about to end (vmfs_open()), in
                         milliseconds; 0 means 10,000, VMFS_NO_WAIT not at all */
    uint32_t zero_;
};

#define VMFS_OPTIONS_INIT                                                                          \
    {                                                                                              \
        .struct_bytes = sizeof(struct vmfs_options), .owner_uid = UINT32_MAX,                      \
        .owner_gid = UINT32_MAX                                                                    \
    }

/* Opens the region in the file or device at `path`, recovers it if it was not closed, and stores the
 * handle in *out. With VMFS_CREATE it is formatted first. `options` may be null: defaults.
 * Costs the same for ten files and for ten million: one scan of the journal (at most 4 MiB).
 * A region belongs to one owner. One that is closing is waited for, up to wait_ms; one that serves others
 * (VMFS_SERVED) up to a second of that, since it may have been told to end and not have noticed yet; so is one that has
 * not said who it is. For any other, and for readers, nobody waits. VMFS_PEEK does not ask.
 *   -EBUSY            another process or handle has it, and still had it after that; the log names the pid
 *   -EMEDIUMTYPE      not a vmfs region
 *   -EPROTONOSUPPORT  made by a newer version with features unknown here
 *   -EUCLEAN          truncated, or damaged beyond opening
 *   -EOPNOTSUPP       VMFS_GUARD on what is not a regular file
 *   -EEXIST           VMFS_CREATE without VMFS_FORCE, and the file exists, or is a device whose first MiB is not
 *                     all zeros
 *   -EINVAL           size or offset not a multiple of VMFS_BLOCK_SIZE, or below VMFS_REGION_MIN, or more
 *                     than the device has; on a DAX device, size, offset or length not a multiple of its
 *                     alignment, which the log names
 *   -EIO              VMFS_GUARD, and the file was cut off meanwhile
 *   -EROFS            without VMFS_RDONLY, and the device takes no stores: it would lose them without a word
 *   -EACCES, -ENOENT, -EROFS, -ENOMEM, ... as the system returned them for the file
 * With VMFS_RDONLY a DAX device is mapped shared and only for reading; where a crash has left something in the
 * journal, copies in memory take the place of the parts that it changes, each of the device's alignment (mostly 2 MiB).
 * Durable at return: the format, at VMFS_DURABILITY_POWER also the name of a created file, and whatever
 * recovery completed. Any thread. */
int vmfs_open(const char *path, const struct vmfs_options *options, struct vmfs **out);

/* The same over `length` bytes at `address`, mapped by the caller, who keeps them mapped and unmaps
 * them after vmfs_close(). `address` and `length` are multiples of VMFS_BLOCK_SIZE. A read-only
 * attach of a region with an unreplayed journal is -EROFS, as there is nowhere to replay to.
 * VMFS_DURABILITY_AUTO asks libpmem whether the range is persistent memory; where it is not,
 * VMFS_DURABILITY_POWER is -EOPNOTSUPP, as nothing tells what an msync of it would mean. Other errors as
 * vmfs_open(). */
int vmfs_attach(void *address, size_t length, const struct vmfs_options *options,
                struct vmfs **out);

enum vmfs_namespace_mode { VMFS_NAMESPACE_FSDAX = 1, VMFS_NAMESPACE_DEVDAX = 2 };

/* What Linux has made of an NVDIMM, as the info block at its head says (ndctl create-namespace). */
struct vmfs_namespace {
    enum vmfs_namespace_mode mode;
    uint64_t data_offset_bytes; /* from the file's start on: what a guest sees as its device */
    uint64_t tail_bytes;        /* at the file's end, which it does not see */
    uint64_t file_bytes;        /* for which it was made; in a file of another size it is void */
};

/* Looks for an info block in the file at `path`, the host's file behind a guest's NVDIMM. Returns 1 with it in `out`, 0
 * if there is none, or it fails its checksum. What it says is not compared with the file; it may be made up.
 *   -EINVAL       a pointer is null
 *   -ENOENT, ...  as the system returned them for the file
 * Any thread; nothing is locked or stored. */
int vmfs_namespace_find(const char *path, struct vmfs_namespace *out);

/* One place in a file where a region begins. */
struct vmfs_region_place {
    uint64_t offset_bytes; /* as in vmfs_options */
    uint64_t
        length_bytes; /* of the region; of what is behind it, where it is damaged or there is none */
};

/* Looks for the regions in the file or device at `path`: the host's file behind a guest's NVDIMM begins with what
 * the guest's Linux keeps there and shows to nobody in it (an info block in mode fsdax or devdax, struct pages), an
 * image with whatever else. Returns how many there are and stores the first `count` of them, by offset. 1 is the
 * one to open; more are for the user to choose from. 0: none, and the first place is where the data begin, behind
 * an info block if there is one: where a guest would look, and so where to format.
 * What is damaged so far that its size is unknown, or cut off, counts; what lies inside of another region does not,
 * as that is a file in it. A region in a file of another filesystem's image is found, but whether it lies there in
 * one piece nobody can tell. Nothing is locked, stored or trusted. Reads the superblocks of each region and one
 * word of each block with data outside of them; what cannot be read is passed over.
 *   -EINVAL       `count` is 0
 *   -ENOENT, ...  as the system returned them for the file
 * Any thread. */
int vmfs_region_find(const char *path, struct vmfs_region_place *places, uint32_t count);

/* Checkpoints the journal, marks the region free, and frees the handle. Exclusive. With files or
 * directories still open it returns -EBUSY and does nothing; what is held is let go. In a forked child it frees the handle
 * without touching the region. Returns the error of the last checkpoint, or -EIO if an msync
 * has failed before; the handle is gone. */
int vmfs_close(struct vmfs *fs);

/* Says that vmfs_close() will be called soon: from now on whoever wants the region waits for it (wait_ms). For one who
 * has more to finish before it can close, as a mount. vmfs_close() says the same by itself. Nothing on a read-only
 * handle. Any thread; not durable, which nobody needs. */
int vmfs_closing(struct vmfs *fs);

/* What vmfs_info() tells. */
struct vmfs_info {
    uint32_t struct_bytes;    /* set by the caller to sizeof(struct vmfs_info) */
    uint32_t format_version;  /* of the medium */
    uint8_t uuid[16];         /* drawn at format */
    uint64_t region_bytes;    /* size of the region */
    uint64_t features_compat; /* feature masks of the superblock */
    uint64_t features_ro_compat;
    uint64_t features_incompat;
    uint64_t lane_count;         /* journal lanes */
    uint64_t lane_bytes;         /* bytes of each */
    uint64_t journal_records;    /* records that were replayed by this open */
    uint64_t journal_bytes_used; /* ring space not yet released, now */
    uint64_t checkpoint_fences;  /* fences spent in checkpoints by this handle */
    uint64_t inodes_used;        /* files, directories and all else that lives */
    uint64_t orphans;            /* unlinked but open, or not yet freed */
    uint32_t durability;         /* enum vmfs_durability: what a writer's return means here */
    uint32_t is_read_only;       /* asked for, or after damage */
    char backend[16];            /* how stores become durable: "pmem", "sync" or "none" */
    char meaning[128];           /* the durability in one line for a person */
    uint64_t sync_rounds; /* backend "sync": group commits by this handle, each of all fences */
    uint64_t sync_calls;  /*   that had gathered, and the calls of msync that they took */
    uint64_t owner_pid;   /* the process that has the region open for writing, 0 nobody */
    uint32_t owner_state; /* enum vmfs_owner_state: what that means to do */
    uint32_t zero_;
    uint64_t inodes_open; /* open or held through this handle, each once */
};

/* What whoever has a region open means to do. */
enum vmfs_owner_state {
    VMFS_OWNER_HELD = 0,    /* keep it as long as it likes */
    VMFS_OWNER_SERVED = 1,  /* VMFS_SERVED: keep it until it is told to end */
    VMFS_OWNER_CLOSING = 2, /* end: vmfs_close() runs, or will in a moment */
};

/* Fills `info`. Any thread. */
int vmfs_info(struct vmfs *fs, struct vmfs_info *info);

/* The durability that a return has on this handle: an enum vmfs_durability, never AUTO. */
int vmfs_durability(struct vmfs *fs);

/* Space of the region in bytes and inodes. Space that waits for a checkpoint counts as free. */
struct vmfs_statfs {
    uint64_t block_bytes;
    uint64_t blocks_total;
    uint64_t blocks_free;
    uint64_t inodes_used;
    uint64_t name_max;
};

/* O(1) and exact. Any thread. */
int vmfs_statfs(struct vmfs *fs, struct vmfs_statfs *out);

/* Makes everything that has returned survive loss of power, as far as the region's backing can: a
 * checkpoint of the journal and, where the region is a page-cache mapping, an msync of it.
 *   -EIO, -ENOSPC   from msync: nothing is promised about writes since the last good sync, and no later
 *                   one on this handle is good: the system takes the pages that it lost for written */
int vmfs_sync(struct vmfs *fs);

/* Cost of the calls so far. */
struct vmfs_counters {
    uint64_t ops;    /* calls that ended */
    uint64_t fences; /* ordering points issued */
    uint64_t lines;  /* 64-byte lines flushed or written past the cache */
    uint64_t bytes;  /* bytes stored into the region */
    uint64_t shared; /* locks taken and words written that threads on other objects share, too */
};

enum vmfs_counters_scope {
    VMFS_COUNTERS_HANDLE = 0, /* all threads, since open; opening itself not included */
    VMFS_COUNTERS_THREAD = 1, /* calls made by the calling thread on this handle */
    VMFS_COUNTERS_OPEN = 2,   /* what opening (and formatting and recovery) cost */
};

/* Exact for THREAD and OPEN; HANDLE is exact while no other thread is inside a call. */
int vmfs_counters(struct vmfs *fs, enum vmfs_counters_scope scope, struct vmfs_counters *out);

/* ------------------------------------------------------------------------------------------------
 * Places
 * --------------------------------------------------------------------------------------------- */

/* Every call that takes a path exists a second time, named ..._at(), with a place instead. `dir` is an
 * inode id, from vmfs_dir_ino(), vmfs_file_ino() or vmfs_stat.ino; an id is never used twice, so it
 * cannot come to mean another object: at worst it is -ESTALE. 0 means the root. A path with a leading
 * '/' starts at the root whatever `dir` is; the empty path means the object `dir` itself, of any
 * type and also without a name while it is open or held, and needs no lookup. Calls that make, take away or
 * move a name need one: the empty path is -ENOENT there. A directory that was removed and is still
 * open is -ENOENT for every other path, what is no directory -ENOTDIR, an id of nothing -ESTALE. */
struct vmfs_at {
    uint64_t dir;
    const char *path;
    uint32_t uid; /* who calls: owner of what is created, and judged by sticky directories; */
    uint32_t gid; /*   UINT32_MAX means the handle's owner_uid and owner_gid */
    uint32_t
        umask; /* taken from the mode of what is made, unless the directory has a default ACL */
};

static inline struct vmfs_at vmfs_at(uint64_t dir, const char *path)
{
    struct vmfs_at at = {dir, path, UINT32_MAX, UINT32_MAX, 0};
    return at;
}

/* ------------------------------------------------------------------------------------------------
 * Attributes
 * --------------------------------------------------------------------------------------------- */

/* File types in `mode`, as POSIX numbers them on Linux. */
#define VMFS_S_IFMT   0170000
#define VMFS_S_IFSOCK 0140000
#define VMFS_S_IFLNK  0120000
#define VMFS_S_IFREG  0100000
#define VMFS_S_IFBLK  0060000
#define VMFS_S_IFDIR  0040000
#define VMFS_S_IFCHR  0020000
#define VMFS_S_IFIFO  0010000

/* Attributes of an inode. Times are nanoseconds since 1970-01-01 UTC, negative before it. */
struct vmfs_stat {
    uint64_t ino;   /* 64-bit id, never used for another file again */
    uint32_t mode;  /* type and permission bits */
    uint32_t nlink; /* names; for a directory 2 + its subdirectories */
    uint32_t uid;
    uint32_t gid;
    uint64_t rdev;   /* device number of a device node */
    uint64_t size;   /* bytes; of a directory: number of entries */
    uint64_t blocks; /* 512-byte units that it occupies */
    int64_t atime_ns;
    int64_t mtime_ns;
    int64_t ctime_ns;
    int64_t btime_ns; /* birth */
    uint32_t flags;   /* VMFS_INODE_... */
    uint32_t zero_;
};

/* Inode flags, enforced by the library whoever calls. */
#define VMFS_INODE_IMMUTABLE 0x1 /* -EPERM for every change but of these flags */
#define VMFS_INODE_APPEND    0x2 /* data and names are only added */
#define VMFS_INODE_NOATIME   0x4 /* reading leaves the access time */
#define VMFS_INODE_NODUMP    0x8 /* kept for backup programs */

#define VMFS_NOFOLLOW 0x1 /* act on a symbolic link itself */

/* Attributes of what `path` names. flags: 0 or VMFS_NOFOLLOW. No fence. */
int vmfs_stat(struct vmfs *fs, const char *path, int flags, struct vmfs_stat *out);
int vmfs_stat_at(struct vmfs *fs, struct vmfs_at at, int flags, struct vmfs_stat *out);

/* Which fields of vmfs_attr are to be set. */
#define VMFS_ATTR_MODE  0x01
#define VMFS_ATTR_UID   0x02
#define VMFS_ATTR_GID   0x04
#define VMFS_ATTR_SIZE  0x08
#define VMFS_ATTR_ATIME 0x10
#define VMFS_ATTR_MTIME 0x20
#define VMFS_ATTR_FLAGS 0x40
#define VMFS_ATTR_KILL_PRIV                                                                        \
    0x80                      /* no field: takes a file's set-id bits away, as VMFS_RW_KILL_PRIV */
#define VMFS_ATTR_CTIME 0x100 /* instead of the present time: for who has kept changes back */

/* A time that means "now". */
#define VMFS_TIME_NOW INT64_MIN

/* New attributes; only the fields in `mask` are read. */
struct vmfs_attr {
    uint32_t mask;
    uint32_t mode; /* permission bits; the type is kept */
    uint32_t uid;
    uint32_t gid;
    uint64_t size;
    int64_t atime_ns;
    int64_t mtime_ns;
    uint32_t flags; /* VMFS_INODE_... */
    int64_t ctime_ns;
};

/* Sets several attributes in one atomic step. A given owner or group clears set-user-id, and set-group-id where the
 * group may execute, of all but directories, unless the mode is given too. A mode changes the access ACL with it.
 *   -EISDIR, -EINVAL  a size for a directory, or for what is not a regular file
 *   -EPERM            the inode is immutable or append-only, and the mask has more than
 *                     VMFS_ATTR_FLAGS; an append-only one lets both times become VMFS_TIME_NOW
 *   -EFBIG            a size over VMFS_FILE_MAX */
int vmfs_setattr(struct vmfs *fs, const char *path, int flags, const struct vmfs_attr *attr);
int vmfs_setattr_at(struct vmfs *fs, struct vmfs_at at, int flags, const struct vmfs_attr *attr);

/* Shorthands for vmfs_setattr(), following symbolic links. In vmfs_chown() UINT32_MAX keeps an id.
 */
int vmfs_chmod(struct vmfs *fs, const char *path, uint32_t mode);
int vmfs_chown(struct vmfs *fs, const char *path, uint32_t uid, uint32_t gid);
int vmfs_utimens(struct vmfs *fs, const char *path, int64_t atime_ns, int64_t mtime_ns);
int vmfs_truncate(struct vmfs *fs, const char *path, uint64_t size);

/* Somebody, with all the groups that he is in: the order does not matter, and `gid` need not be among them. */
struct vmfs_cred {
    uint32_t uid;
    uint32_t gid;
    const uint32_t *groups; /* may be null if there are none */
    uint32_t group_count;
};

#define VMFS_R_OK 4
#define VMFS_W_OK 2
#define VMFS_X_OK 1

/* May `cred` do all of `mask`, VMFS_R_OK | VMFS_W_OK | VMFS_X_OK, to what the place names? 0 or -EACCES, from the mode
 * and the access ACL, by the rules of Linux: uid 0 may do everything, but execute what is no directory and has no
 * execute bit. Every directory in which a component of the path is looked up, `at.dir` included, must let `cred`
 * search it; an empty path asks nothing of `at.dir` but `mask`. mask 0 asks whether it is there and can be reached.
 * flags: 0 or VMFS_NOFOLLOW. No fence. `at.uid` and `at.gid` mean nothing here.
 *   -EACCES  no, or a directory on the way may not be searched
 *   -EPERM   VMFS_W_OK, and it is immutable
 *   -EROFS   VMFS_W_OK on a read-only handle, of a file, directory or symbolic link */
int vmfs_access_at(struct vmfs *fs, struct vmfs_at at, int flags, const struct vmfs_cred *cred,
                   int mask);

/* ------------------------------------------------------------------------------------------------
 * Names
 * --------------------------------------------------------------------------------------------- */

/* Paths are absolute within the region; a leading '/' may be left out. Each call is one atomic,
 * durable step with one fence in the steady state. Errors beside the common ones: */

/* The mode of what is made is `mode` without at.umask; or, in a directory with a default ACL, what that says
 * (Extended attributes). The set-group-id bit stays as it was asked for: whether its maker may give it, who knows all
 * his groups decides, for a mount the kernel.
 * What is made in a directory with the set-group-id bit gets its group, and directories the bit. In a
 * sticky directory only uid 0, its owner and the entry's owner remove, replace or move an entry: -EPERM.
 * In an immutable directory names neither come nor go, in an append-only one they only come: -EPERM. */

/* -EEXIST  the name exists (as any type, a dangling symbolic link included) */
int vmfs_mkdir(struct vmfs *fs, const char *path, uint32_t mode);
int vmfs_mkdir_at(struct vmfs *fs, struct vmfs_at at, uint32_t mode);

/* Creates a regular file, device node, fifo or socket; the type is in `mode` (0 means regular),
 * `rdev` counts for devices. -EEXIST; -EINVAL for another type. */
int vmfs_mknod(struct vmfs *fs, const char *path, uint32_t mode, uint64_t rdev);
int vmfs_mknod_at(struct vmfs *fs, struct vmfs_at at, uint32_t mode, uint64_t rdev);

/* Creates a symbolic link at `path`. `target` is stored as it is, 1 to 4,095 bytes, unchecked.
 * -EEXIST; -ENOENT for an empty target; -ENAMETOOLONG. */
int vmfs_symlink(struct vmfs *fs, const char *target, const char *path);
int vmfs_symlink_at(struct vmfs *fs, const char *target, struct vmfs_at at);

/* What vmfs_make() makes. */
struct vmfs_make {
    uint32_t mode;      /* type and permission bits; no type means a regular file */
    uint64_t rdev;      /* counts for devices */
    const char *target; /* of a symbolic link, as in vmfs_symlink(); null for all else */
};

/* Makes a regular file, directory, symbolic link, device node, fifo or socket, and holds it (see vmfs_hold())
 * from the start; *out are its attributes as they were made, whatever others have done to it since. Errors
 * as vmfs_mknod(), vmfs_mkdir() and vmfs_symlink(); -ENOMEM; then nothing was made. */
int vmfs_make(struct vmfs *fs, struct vmfs_at at, const struct vmfs_make *what,
              struct vmfs_stat *out);

/* Copies up to `size` bytes of the target into `buffer`, without a NUL, and returns the target's full
 * length. -EINVAL if it is not a symbolic link. */
int64_t vmfs_readlink(struct vmfs *fs, const char *path, char *buffer, size_t size);
int64_t vmfs_readlink_at(struct vmfs *fs, struct vmfs_at at, char *buffer, size_t size);

/* Gives the file at `existing` a second name. A symbolic link is linked itself, not followed.
 * -EEXIST; -EPERM for a directory, and for what is immutable or append-only; -EMLINK beyond
 * VMFS_LINK_MAX. */
int vmfs_link(struct vmfs *fs, const char *existing, const char *path);
/* flags: 0, or VMFS_FOLLOW to link what a symbolic link at `existing` means. */
#define VMFS_FOLLOW 0x2
int vmfs_link_at(struct vmfs *fs, struct vmfs_at existing, struct vmfs_at at, int flags);

/* Removes a name; the file lives on while it has other names or is open. -EPERM for a directory. */
int vmfs_unlink(struct vmfs *fs, const char *path);
int vmfs_unlink_at(struct vmfs *fs, struct vmfs_at at);

/* Removes an empty directory. -ENOTEMPTY; -EBUSY for the root; -EINVAL for a last component '.' or
 * '..'. Only this gives back the space that a directory's names once took. */
int vmfs_rmdir(struct vmfs *fs, const char *path);
int vmfs_rmdir_at(struct vmfs *fs, struct vmfs_at at);

/* ---- knowing inodes by their ids ----
 *
 * Who remembers an id for later, as a kernel or a server of files does, *holds* the inode: it lives on without
 * a name, whatever its type, as it does while it is open, and is found by its id with the empty path. Holds are
 * counted, and cost memory only: about 50 bytes for each inode that is held, given back when few are left.
 * Nothing is durable about them: what has no name and is only held is freed by vmfs_close(), or after a crash. */

/* Counts one hold on the inode `ino`, 0 for the root. -ESTALE an id of nothing; -ENOMEM. No fence. */
int vmfs_hold(struct vmfs *fs, uint64_t ino);

/* Gives `count` holds back, at least 1; the last one of what has no name and is not open frees it. Of what has a
 * name no fence and no record. -EINVAL if there are not so many, and none is given back. */
int vmfs_release(struct vmfs *fs, uint64_t ino, uint64_t count);

/* Looks a name up, also "." and "..", without following a symbolic link that it means, holds the inode, and
 * stores its attributes as of that moment; of the empty path, `at.dir` itself. No fence. -ENOMEM. */
int vmfs_lookup(struct vmfs *fs, struct vmfs_at at, struct vmfs_stat *out);

#define VMFS_RENAME_NOREPLACE 0x1 /* -EEXIST if `to` exists */
#define VMFS_RENAME_EXCHANGE  0x2 /* both exist, and change places */

/* Moves a name. What `to` named is replaced in the same step, if the types agree: a directory
 * replaces an empty directory only. Two names of one file: nothing happens.
 *   -EINVAL     a directory would move below itself; both flags
 *   -EISDIR, -ENOTDIR, -ENOTEMPTY   `to` cannot be replaced by `from`
 *   -EBUSY      the root, or a last component '.' or '..' */
int vmfs_rename(struct vmfs *fs, const char *from, const char *to, uint32_t flags);
int vmfs_rename_at(struct vmfs *fs, struct vmfs_at from, struct vmfs_at to, uint32_t flags);

/* ------------------------------------------------------------------------------------------------
 * Files
 * --------------------------------------------------------------------------------------------- */

/* Open flags, with the values that Linux gives them on x86-64. */
#define VMFS_O_RDONLY   00
#define VMFS_O_WRONLY   01
#define VMFS_O_RDWR     02
#define VMFS_O_ACCMODE  03
#define VMFS_O_CREAT    0100
#define VMFS_O_EXCL     0200
#define VMFS_O_TRUNC    01000
#define VMFS_O_APPEND   02000
#define VMFS_O_NOFOLLOW 0400000
/* Each write is followed by vmfs_file_sync(), which costs nothing at VMFS_DURABILITY_POWER. */
#define VMFS_O_DSYNC 010000
#define VMFS_O_SYNC  04010000
/* Reading leaves the access time. */
#define VMFS_O_NOATIME 01000000
/* A new file without a name; the path is a directory's. */
#define VMFS_O_TMPFILE 020200000
/* Each write is all or nothing after a crash, and at most VMFS_ATOMIC_MAX bytes. */
#define VMFS_O_ATOMIC 0100000000
/* With VMFS_O_TRUNC, what is cut off takes the set-id bits along, as VMFS_ATTR_KILL_PRIV. */
#define VMFS_O_KILL_PRIV 0200000000
/* These say nothing here, and are accepted. */
#define VMFS_O_NOCTTY    0400
#define VMFS_O_NONBLOCK  04000
#define VMFS_O_DIRECT    040000
#define VMFS_O_LARGEFILE 0100000
#define VMFS_O_CLOEXEC   02000000

/* Largest write that VMFS_O_ATOMIC takes, in bytes; more is -EMSGSIZE. It needs free space, also where
 * the file has its blocks, and that not in too many pieces for one journal record: else -ENOSPC. It is
 * never written in part. */
#define VMFS_ATOMIC_MAX ((uint64_t)1 << 20)

/* Opens, and with VMFS_O_CREAT creates, a regular file. `mode` are the permission bits of a new file, as in
 * vmfs_mknod(). An unlinked file stays readable and writable while it is open. A
 * VMFS_O_TMPFILE file is gone when it is closed, unless vmfs_file_link() has named it; with
 * VMFS_O_EXCL it can never be named.
 *   -EINVAL   VMFS_O_TMPFILE with VMFS_O_CREAT, or not for writing
 *   -EEXIST   VMFS_O_CREAT | VMFS_O_EXCL, and the name exists
 *   -EPERM    for writing or with VMFS_O_TRUNC, and it is immutable; or append-only, and it is not
 *             VMFS_O_APPEND, or is VMFS_O_TRUNC
 *   -EISDIR   a directory
 *   -ELOOP    VMFS_O_NOFOLLOW and a symbolic link
 *   -ENXIO    a device, fifo or socket */
int vmfs_file_open(struct vmfs *fs, const char *path, int flags, uint32_t mode,
                   struct vmfs_file **out);
int vmfs_file_open_at(struct vmfs *fs, struct vmfs_at at, int flags, uint32_t mode,
                      struct vmfs_file **out);

/* The id of the open file: vmfs_stat.ino. Any thread. */
uint64_t vmfs_file_ino(const struct vmfs_file *file);

/* Gives an open file a name, also one that has none. -ENOENT for a file whose last name was removed or
 * that was opened with VMFS_O_TMPFILE | VMFS_O_EXCL; else as vmfs_link(). */
int vmfs_file_link(struct vmfs_file *file, struct vmfs_at at);

/* Frees the handle; the last close of an unlinked file frees its space. Exclusive. The handle is
 * gone whatever is returned. */
int vmfs_file_close(struct vmfs_file *file);

/* Read up to `length` bytes at `offset`; holes read as zeros. Returns the bytes read, 0 at the end.
 * No fence, no lock shared with other readers. -EBADF if opened for writing only. */
int64_t vmfs_file_pread(struct vmfs_file *file, void *buffer, size_t length, uint64_t offset);

/* Write `length` bytes at `offset`, extending the file if need be; with VMFS_O_APPEND at the end of
 * the file, atomically, whatever `offset` is. Returns the bytes written: fewer than `length` only
 * when the region becomes full after some of them.
 *   -EBADF   opened for reading only
 *   -ENOSPC  nothing could be written
 *   -EFBIG   beyond VMFS_FILE_MAX */
int64_t vmfs_file_pwrite(struct vmfs_file *file, const void *buffer, size_t length,
                         uint64_t offset);

/* The same at the file position, which they advance. One thread at a time per handle. */
int64_t vmfs_file_read(struct vmfs_file *file, void *buffer, size_t length);
int64_t vmfs_file_write(struct vmfs_file *file, const void *buffer, size_t length);

/* The same from and into several buffers, in order, as one read or write: others see all of it or
 * nothing. count: 0 to VMFS_IOV_MAX; the lengths must not add up to more than INT64_MAX. */
struct vmfs_iovec {
    void *base;
    size_t length;
};
#define VMFS_IOV_MAX 1024
int64_t vmfs_file_preadv(struct vmfs_file *file, const struct vmfs_iovec *iov, unsigned count,
                         uint64_t offset);
int64_t vmfs_file_pwritev(struct vmfs_file *file, const struct vmfs_iovec *iov, unsigned count,
                          uint64_t offset);
int64_t vmfs_file_readv(struct vmfs_file *file, const struct vmfs_iovec *iov, unsigned count);
int64_t vmfs_file_writev(struct vmfs_file *file, const struct vmfs_iovec *iov, unsigned count);

/* Flags of one write. A file's privileges go when it is changed: the attribute `security.capability` with every
 * write, truncation, allocation and change of owner, in the same step; the set-id bits only where the caller says
 * so, who knows whether its user may keep them: set-user-id, and set-group-id if the group may execute. */
#define VMFS_RW_DSYNC     0x2     /* as VMFS_O_DSYNC */
#define VMFS_RW_APPEND    0x10    /* as VMFS_O_APPEND */
#define VMFS_RW_KILL_PRIV 0x10000 /* takes the set-id bits away */

/* As vmfs_file_pwritev(). */
int64_t vmfs_file_pwritev2(struct vmfs_file *file, const struct vmfs_iovec *iov, unsigned count,
                           uint64_t offset, int flags);

/* Modes of vmfs_file_allocate(), with Linux's values. */
#define VMFS_ALLOC_KEEP_SIZE 0x01    /* may be added to RESERVE (mode 0) and ZERO */
#define VMFS_ALLOC_PUNCH     0x02    /* the range becomes a hole; needs KEEP_SIZE, as on Linux */
#define VMFS_ALLOC_COLLAPSE  0x08    /* takes the range out; what is behind it moves down */
#define VMFS_ALLOC_ZERO      0x10    /* the range reads as zero and has blocks */
#define VMFS_ALLOC_INSERT    0x20    /* makes room: what is behind `offset` moves up, over a hole */
#define VMFS_ALLOC_KILL_PRIV 0x10000 /* may be added to each: takes the set-id bits away */

/* Mode 0 gives the range blocks, so that writing there cannot fail for want of space, and extends the
 * file to it; data that is there stays. RESERVE, PUNCH and ZERO are like writes: durable at return, a
 * crash inside leaves each byte as it was or zero. COLLAPSE and INSERT are atomic.
 *   -EINVAL      length 0; another combination; COLLAPSE or INSERT not in whole blocks, or COLLAPSE
 *                up to the end, or INSERT at or behind it
 *   -EBADF       not opened for writing
 *   -EFBIG       beyond VMFS_FILE_MAX
 *   -EPERM       immutable, or append-only and not mode 0
 *   -ENOSPC      the region is full; RESERVE and ZERO may have given some of the range its blocks,
 *                but no byte that can be read has changed */
int vmfs_file_allocate(struct vmfs_file *file, int mode, uint64_t offset, uint64_t length);

/* Copies bytes between two files, or within one where the ranges do not overlap (-EINVAL), inside the
 * region and without a buffer. Holes stay holes. Returns how many: fewer than `length` at the end of
 * `from`, when the region becomes full, or after a few MiB, so that others get their turn; 0 at the
 * end. -EBADF (also a `to` opened with VMFS_O_APPEND), -EFBIG, -ENOSPC as read and write; -EXDEV
 * between two handles of regions. */
int64_t vmfs_file_copy_range(struct vmfs_file *from, uint64_t from_offset, struct vmfs_file *to,
                             uint64_t to_offset, uint64_t length);
/* flags: VMFS_RW_DSYNC and VMFS_RW_KILL_PRIV, for `to`. */
int64_t vmfs_file_copy_range2(struct vmfs_file *from, uint64_t from_offset, struct vmfs_file *to,
                              uint64_t to_offset, uint64_t length, int flags);

/* A view: up to `length` bytes from `offset` on as pieces of the region itself, of which iov[] gets at most
 * *count, 1 to VMFS_IOV_MAX; of holes, as pieces of 64 KiB of zeros at most. Returns the bytes, fewer than `length`
 * at the end of the file or of iov[], and stores in *count how many pieces they take. They may only be read, and
 * until vmfs_view_end() no block of them is given to another file, whatever is done to this one; stores of
 * others into the same bytes are seen, also in part. Access times as read; no fence. -EBADF if opened for
 * writing only. With VMFS_GUARD, what the region has lost reads as zeros there, and a system call that is handed
 * such bytes fails with EFAULT.
 * A view is for the moment that it takes to copy or send its bytes: space that is freed meanwhile cannot be used
 * again, and vmfs_sync(), writers once the journal is full, and whoever needs the last space wait for its end.
 * So the thread that has it may call nothing on this handle but vmfs_view_end() (-EDEADLK; the first 255 threads
 * of a handle are told), nor wait for a thread that is in a call. 256 views may be open at once; one more waits. A
 * view ends before its file and the handle are closed (-EBUSY); after a call that failed there is none. */
struct vmfs_view {
    struct vmfs *fs; /* all of it is the library's */
    uint32_t pin;
    uint32_t thread;
};
int64_t vmfs_file_view(struct vmfs_file *file, size_t length, uint64_t offset,
                       struct vmfs_iovec *iov, unsigned *count, struct vmfs_view *view);

/* Ends it; does nothing with one that has ended. Any thread; the thread that had it may go on then. */
void vmfs_view_end(struct vmfs_view *view);

#define VMFS_SEEK_SET  0
#define VMFS_SEEK_CUR  1
#define VMFS_SEEK_END  2
#define VMFS_SEEK_DATA 3 /* the next byte at or after `offset` that is not in a hole */
#define VMFS_SEEK_HOLE 4 /* the next hole at or after `offset`; the end of the file is one */

/* Moves the file position and returns it. -EINVAL before 0; -ENXIO for DATA and HOLE before 0 and
 * beyond the last data. Holes are found to the block. */
int64_t vmfs_file_seek(struct vmfs_file *file, int64_t offset, int whence);

/* vmfs_stat() and vmfs_setattr() on an open file, also an unlinked one. */
int vmfs_file_stat(struct vmfs_file *file, struct vmfs_stat *out);
int vmfs_file_setattr(struct vmfs_file *file, const struct vmfs_attr *attr);

/* Sets the size. Growing leaves a hole; shrinking frees. -EBADF; -EFBIG. */
int vmfs_file_truncate(struct vmfs_file *file, uint64_t size);

/* As vmfs_sync(): on a VMFS_DURABILITY_POWER region there is nothing left to do and no fence. */
int vmfs_file_sync(struct vmfs_file *file);

/* ------------------------------------------------------------------------------------------------
 * Directories
 * --------------------------------------------------------------------------------------------- */

/* One entry. The name is followed by a NUL. */
struct vmfs_dirent {
    uint64_t ino;
    uint64_t cookie; /* position after this entry, for vmfs_dir_seek() */
    uint32_t type;   /* VMFS_S_IF... */
    uint32_t name_bytes;
    char name[VMFS_NAME_MAX + 1];
};

/* -ENOTDIR */
int vmfs_dir_open(struct vmfs *fs, const char *path, struct vmfs_dir **out);
int vmfs_dir_open_at(struct vmfs *fs, struct vmfs_at at, struct vmfs_dir **out);
/* The id of the open directory, for vmfs_at(). Any thread. */
uint64_t vmfs_dir_ino(const struct vmfs_dir *dir);
/* Exclusive. */
int vmfs_dir_close(struct vmfs_dir *dir);

/* Stores the next entry, "." and ".." first, and returns 1; 0 at the end. The order is fixed but
 * otherwise unspecified. Entries that stay are seen exactly once, whatever is added or removed
 * meanwhile. No fence. One thread at a time per handle. */
int vmfs_dir_read(struct vmfs_dir *dir, struct vmfs_dirent *out);

/* Continues after the entry that had this cookie, which need not exist any more; 0 is the start.
 * Cookies stay valid across handles, crashes and reopening. */
int vmfs_dir_seek(struct vmfs_dir *dir, uint64_t cookie);

/* The same without a handle: stores the entry behind the one that had this cookie and returns 1, or 0 at the end
 * and for a directory that was removed and is open or held. With `stat` also the attributes of what the entry
 * means, which is held (see vmfs_hold()) unless the entry is "." or "..". No fence. Any thread.
 *   -ESTALE   `dir` is an id of nothing; 0 means the root
 *   -ENOTDIR  it is no directory
 *   -ENOENT   with `stat`, in a damaged region: the entry means nothing
 *   -ENOMEM   it cannot be held */
int vmfs_dir_read_at(struct vmfs *fs, uint64_t dir, uint64_t cookie, struct vmfs_dirent *entry,
                     struct vmfs_stat *stat);

/* ------------------------------------------------------------------------------------------------
 * Extended attributes
 * --------------------------------------------------------------------------------------------- */

/* Names are "user.NAME", "trusted.NAME" or "security.NAME" with at least one byte after the dot and
 * VMFS_NAME_MAX in all, or "system.posix_acl_access" and "system.posix_acl_default". user attributes
 * are kept on files and directories only, ACLs on all but symbolic links, the others on everything. Values have up
 * to VMFS_XATTR_MAX bytes and mean nothing to the library, but for those of ACLs. flags: VMFS_NOFOLLOW or 0, and in
 * vmfs_xattr_set() also: */
#define VMFS_XATTR_CREATE  0x10 /* -EEXIST if it is there */
#define VMFS_XATTR_REPLACE 0x20 /* -ENODATA if it is not */
/* An access ACL takes the set-group-id bit of the mode away in the same step: what Linux decides for a caller who
 * is neither in the file's group nor privileged. */
#define VMFS_XATTR_KILL_SGID 0x40
/* vmfs_xattr_list() leaves out names of trusted attributes. */
#define VMFS_XATTR_NO_TRUSTED 0x80
/* Common errors: -EOPNOTSUPP another namespace, or an ACL of a symbolic link, -ERANGE the name's length, -EINVAL a
 * namespace alone, -EPERM a user attribute of what is neither file nor directory, or a change of an immutable or
 * append-only inode. */

/* ACLs are values in the form in which Linux's setxattr() takes them: 32 bits with the version, 2, then for each entry
 * 16 bits tag, 16 bits permissions, 32 bits id, all little-endian; owner, users, owning group, groups, mask, others.
 * - The access ACL and the permission bits of the mode agree, always and in one step: setting one sets the other. An
 *   access ACL with only the three entries that a mode has is not kept. chmod changes its mask, or where it has none
 *   its owning group.
 * - What is made in a directory with a default ACL gets it as access ACL, limited by the mode that was asked for, and
 *   no umask counts; new directories also get it as default ACL. Symbolic links get neither.
 * - Setting an empty value, or one without entries, removes the ACL; removing one that is not there is no error.
 *   VMFS_XATTR_CREATE and _REPLACE are ignored. All of this is as on Linux.
 * - Nobody is stopped by them: vmfs_access_at() tells what they say.
 * Errors of setting one, beside the common ones: -EINVAL not well-formed; -EOPNOTSUPP another version; -E2BIG more than
 * 511 entries; -EACCES a default ACL of what is no directory. */

/* -E2BIG a value over VMFS_XATTR_MAX. Atomic: the old value or the new one. */
int vmfs_xattr_set(struct vmfs *fs, const char *path, int flags, const char *name,
                   const void *value, size_t size);
int vmfs_xattr_set_at(struct vmfs *fs, struct vmfs_at at, int flags, const char *name,
                      const void *value, size_t size);

/* Returns the value's size; copies it if `size` is not 0. -ENODATA; -ERANGE if `size` is too small.
 */
int64_t vmfs_xattr_get(struct vmfs *fs, const char *path, int flags, const char *name, void *value,
                       size_t size);
int64_t vmfs_xattr_get_at(struct vmfs *fs, struct vmfs_at at, int flags, const char *name,
                          void *value, size_t size);

/* Returns the bytes of all names, each with its NUL; copies them if `size` is not 0. -ERANGE. */
int64_t vmfs_xattr_list(struct vmfs *fs, const char *path, int flags, char *names, size_t size);
int64_t vmfs_xattr_list_at(struct vmfs *fs, struct vmfs_at at, int flags, char *names, size_t size);

/* -ENODATA, but for ACLs. */
int vmfs_xattr_remove(struct vmfs *fs, const char *path, int flags, const char *name);
int vmfs_xattr_remove_at(struct vmfs *fs, struct vmfs_at at, int flags, const char *name);

/* ------------------------------------------------------------------------------------------------
 * Checking
 * --------------------------------------------------------------------------------------------- */

/* What vmfs_check() found. */
struct vmfs_check_result {
    uint64_t problems;
    uint64_t inodes; /* living inodes met */
    uint64_t names;  /* directory entries met */
    uint64_t blocks; /* blocks in use by them */
};

/* One problem, alive until the function that gets it returns. */
#define VMFS_NO_OFFSET UINT64_MAX
struct vmfs_problem {
    uint32_t pass;         /* stable id of the pass that found it */
    int reason;            /* what a call fails with that meets it: a vmfs_reason, or 0 where each
                              structure is sound by itself but contradicts another */
    const char *pass_name; /* a word */
    uint64_t ino;          /* the inode it is about, 0 for none */
    uint64_t offset;       /* the byte of the region where it lies, or VMFS_NO_OFFSET */
    const char *text;      /* a line for a person, without newline, pass or reason */
    bool is_mended;        /* vmfs_repair(): this was done, it is no problem */
};

/* Called for each problem, but for those beyond the first thousand of a pass. */
typedef void (*vmfs_check_fn)(void *arg, const struct vmfs_problem *problem);

/* One of the passes of which a check consists. */
struct vmfs_check_pass {
    uint32_t id;       /* never given to another pass */
    const char *name;  /* a word */
    const char *prose; /* what holds on a sound region, in one line */
};

/* Stores the pass with this index, in the order in which they run, and returns 1; 0 behind the last.
 * Static strings. Any thread. */
int vmfs_check_pass(unsigned index, struct vmfs_check_pass *out);

/* Walks every structure and compares them with each other; stores nothing. Exclusive: no other call
 * may run on the handle. Memory: about 1 bit per block and 10 bytes per inode of the region.
 * Returns 0 also when problems were found. `report` may be null. -ENOMEM. */
int vmfs_check(struct vmfs *fs, vmfs_check_fn report, void *arg, struct vmfs_check_result *out);

/* Finds what is wrong as vmfs_check() does, and makes the region sound again. Superblocks, watermark lines,
 * heads and bitmaps are written again from what the rest says; wrong counts are set right; a damaged
 * inode and names that lead to nothing are cut off; what is sound in a damaged map is kept; what lives
 * without a name gets one in /lost+found, "#" and its inode id. A damaged field costs at most the object that it
 * describes, or a part of it. Blocks that two files have are copied for one of them, and both are told;
 * what lies in them may be either's. Whatever is done is told, as a problem with `is_mended`; what cannot
 * be kept is never cut off silently. *out is what is left: no problems, where all could be mended. Power
 * may fail at any moment: the region can be repaired again. What cannot be opened otherwise is opened
 * with VMFS_REPAIR.
 * Exclusive, and without open files, directories and holds on the handle. A handle that damage had made
 * read-only can be written to again once nothing is wrong.
 *   -EBUSY   files or directories are open, or inodes held
 *   -ENOSPC  there is no room for what must be written anew */
int vmfs_repair(struct vmfs *fs, vmfs_check_fn report, void *arg, struct vmfs_check_result *out);

/* Structures of the medium as text. */
enum vmfs_dump_what {
    VMFS_DUMP_SUPER = 1,   /* superblocks, watermark and owner lines, zones, groups, inode map */
    VMFS_DUMP_JOURNAL = 2, /* each record of this era, with its entries */
    VMFS_DUMP_INODE =
        3, /* the inode in the slot of the id `where`, with its nodes and attributes */
    VMFS_DUMP_BLOCK = 4, /* whatever lies in the block at the byte `where` of the region */
    VMFS_DUMP_TREE = 5,  /* the directory with the id `where`, 0 the root, with all below it */
};

/* Called for each line: no newline, alive until it returns. */
typedef void (*vmfs_text_fn)(void *arg, const char *line);

/* Prints what is there, sound or not: each structure says "check=good" or "check=BAD". The lines are
 * "<structure>: <label>=<value> ..." and stay so; what belongs to one is indented below it. Names are
 * quoted, with all but printable ASCII as \xNN. Stores nothing. Exclusive, but with VMFS_PEEK.
 *   -EINVAL  nothing like it is at `where` */
int vmfs_dump(struct vmfs *fs, enum vmfs_dump_what what, uint64_t where, vmfs_text_fn text,
              void *arg);

/* Who owns bytes of the region. */
enum vmfs_map_kind {
    VMFS_MAP_FREE = 0,
    VMFS_MAP_LOST = 1, /* not free, but nothing leads there: damage, or freed above the watermark */
    VMFS_MAP_SUPERBLOCK = 2,
    VMFS_MAP_WATERMARK = 3,
    VMFS_MAP_OWNER = 4,     /* who has the region open */
    VMFS_MAP_LANE = 5,      /* of the journal; `owner` is its number */
    VMFS_MAP_ZONE_HEAD = 6, /* `owner` is the number of the zone */
    VMFS_MAP_INODE_MAP = 7,
    VMFS_MAP_INODE_CHUNK = 8, /* `owner` is the slot of its first inode */
    VMFS_MAP_NODE = 9,        /* names or extents of the inode `owner` */
    VMFS_MAP_DATA = 10,       /* of the inode `owner`, from `file_offset` on */
    VMFS_MAP_XATTR_NODE = 11, /* names and short values of attributes of the inode `owner` */
    VMFS_MAP_XATTR = 12,      /* a long value of one */
    VMFS_MAP_RESERVED = 13,   /* at the front, not used by this version */
};

/* One range with one owner, alive until the function that gets it returns. */
struct vmfs_map_range {
    uint64_t offset; /* of the region, in bytes */
    uint64_t length;
    uint32_t kind;         /* enum vmfs_map_kind */
    const char *kind_name; /* a word: "free", "lost", "superblock", ... */
    uint64_t owner;
    uint64_t file_offset;
};

typedef void (*vmfs_map_fn)(void *arg, const struct vmfs_map_range *range);

/* Hands out ranges in the order of their offsets so that each byte of the region is in exactly one; or,
 * if `offset` is not VMFS_NO_OFFSET, only the range with that byte. Of blocks that damage gave to two
 * owners, the first that fsck meets has them. Stores nothing. Exclusive, but with VMFS_PEEK. Memory: as
 * vmfs_check(), and 40 bytes for each range.
 *   -EINVAL  an offset outside the region; -ENOMEM */
int vmfs_map(struct vmfs *fs, uint64_t offset, vmfs_map_fn fn, void *arg);

#ifdef __cplusplus
}
#endif
#endif
