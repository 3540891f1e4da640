/* vmfs_reasons.h -- why a call can fail: a part of vmfs.h, which includes it */
#ifndef VMFS_REASONS_H
#define VMFS_REASONS_H

/* Every way to fail: x(NAME, errno, stable number, text). A number is never given a new meaning. */
// clang-format off
#define VMFS_REASONS(x)                                                                            \
    x(ARGUMENT,            EINVAL,       1, "an argument is outside its range")                    \
    x(MEMORY,              ENOMEM,       2, "no memory for volatile state")                        \
    x(SYSTEM,              EIO,          3, "a fence failed: the medium refused")                  \
    x(FORKED,              ESTALE,       4, "the handle was inherited through fork")               \
    x(READ_ONLY,           EROFS,        5, "the handle is read-only")                             \
    x(POISONED,            EUCLEAN,      6, "the region was found damaged earlier")                \
    x(BUSY,                EBUSY,        7, "the region is in use")                                \
    x(REGION_SIZE,         EINVAL,       8, "the region's size or alignment is wrong")             \
    x(REGION_TRUNCATED,    EUCLEAN,      9, "the region is shorter than its superblock says")      \
    x(REGION_FOREIGN,      EMEDIUMTYPE, 10, "this is not a vmfs region")                           \
    x(REGION_NEWER,        EPROTONOSUPPORT, 11, "the region needs a newer libvmfs")                \
    x(REGION_EXISTS,       EEXIST,      12, "there is something here already")                     \
    x(SUPER_DAMAGED,       EUCLEAN,     13, "both superblocks are damaged")                        \
    x(DURABILITY,          EOPNOTSUPP,  14, "the region cannot give the durability asked for")     \
    x(WATERMARK_DAMAGED,   EUCLEAN,     15, "both watermark copies are damaged")                   \
    x(RECORD_TARGET,       EUCLEAN,     16, "a journal record names a place it may not change")    \
    x(RECORD_SHAPE,        EUCLEAN,     17, "a journal record is malformed behind a valid check")  \
    x(NEEDS_REPLAY,        EROFS,       18, "the journal must be replayed, which needs writing")   \
    x(TOTALS_LOST,         EUCLEAN,     19, "the newest watermark is damaged, totals are lost")    \
    x(OFFSET,              EUCLEAN,     20, "an offset points outside its area")                   \
    x(GROUP_DAMAGED,       EUCLEAN,     21, "a group descriptor fails its check")                  \
    x(NO_SPACE,            ENOSPC,      23, "no free blocks")                                      \
    x(NODE_DAMAGED,        EUCLEAN,     24, "an index node fails its check")                       \
    x(SLOT_DAMAGED,        EUCLEAN,     25, "an entry of an index leaf fails its check")           \
    x(NAME_HASH_FULL,      ENOSPC,      26, "too many names share one hash")                       \
    x(INODE_MAP,           EUCLEAN,     27, "the inode map fails its check")                       \
    x(INODE_DAMAGED,       EUCLEAN,     28, "an inode fails its check")                            \
    x(INODE_STALE,         ESTALE,      29, "the inode id names no living inode")                  \
    x(NO_INODES,           ENOSPC,      30, "the inode map is full")                               \
    x(EXTENT_DAMAGED,      EUCLEAN,     31, "an extent fails its check")                           \
    x(TOO_BIG,             EFBIG,       32, "beyond the largest file size")                        \
    x(NOT_FOUND,           ENOENT,      33, "no such name")                                        \
    x(EXISTS,              EEXIST,      34, "the name exists")                                     \
    x(NOT_A_DIRECTORY,     ENOTDIR,     35, "not a directory")                                     \
    x(IS_A_DIRECTORY,      EISDIR,      36, "is a directory")                                      \
    x(NOT_EMPTY,           ENOTEMPTY,   37, "the directory is not empty")                          \
    x(NAME_TOO_LONG,       ENAMETOOLONG, 38, "a name or path is too long")                         \
    x(NAME_INVALID,        EINVAL,      39, "the name is '.', '..' or empty")                      \
    x(SYMLINK_LOOP,        ELOOP,       40, "too many symbolic links")                             \
    x(RENAME_CYCLE,        EINVAL,      41, "a directory cannot move below itself")                \
    x(LINK_MAX,            EMLINK,      42, "too many links")                                      \
    x(LINK_DIRECTORY,      EPERM,       43, "directories cannot be hard-linked")                   \
    x(NOT_A_SYMLINK,       EINVAL,      44, "not a symbolic link")                                 \
    x(NOT_A_FILE,          EINVAL,      45, "not a regular file")                                  \
    x(NOT_OPENABLE,        ENXIO,       46, "a device, fifo or socket cannot be opened here")      \
    x(ROOT_BUSY,           EBUSY,       47, "the root directory cannot be moved or removed")       \
    x(DIRECTORY_DEAD,      ENOENT,      48, "the directory was removed")                           \
    x(XATTR_MISSING,       ENODATA,     49, "no such attribute")                                   \
    x(XATTR_EXISTS,        EEXIST,      50, "the attribute exists")                                \
    x(XATTR_NAMESPACE,     EOPNOTSUPP,  51, "attributes of this namespace are not kept")           \
    x(XATTR_NAME,          ERANGE,      52, "the attribute's name is empty or too long")           \
    x(XATTR_NO_NAME,       EINVAL,     171, "a namespace of attributes without a name in it")          \
    x(XATTR_SIZE,          E2BIG,       53, "the attribute's value is too large")                  \
    x(XATTR_BUFFER,        ERANGE,      54, "the buffer is too small")                             \
    x(XATTR_KIND,          EPERM,       55, "only files and directories have user attributes")     \
    x(BAD_HANDLE,          EBADF,       56, "the file was not opened for this")                    \
    x(SYMLINK_EMPTY,       ENOENT,      57, "an empty symbolic link or path")                      \
    x(OPEN_FILES,          EBUSY,       58, "files are still open")                                \
    x(SYMLINK_REFUSED,     ELOOP,       59, "the last component is a symbolic link")               \
    x(RECORD_OVERLAP,      EUCLEAN,     61, "two journal records overlap")                         \
    x(ZONE_DAMAGED,        EUCLEAN,     62, "the zone state fails its check")                      \
    x(ZONE_BEHIND,         EUCLEAN,    160, "a zone has more groups than its state tells of")      \
    x(XATTR_DAMAGED,       EUCLEAN,     63, "an extended attribute fails its check")               \
    x(OPEN_DIRECTORY,      EISDIR,      65, "a directory cannot be opened as a file")              \
    x(OVER_DIRECTORY,      EISDIR,      66, "a file cannot replace a directory")                   \
    x(OVER_FILE,           ENOTDIR,     67, "a directory cannot replace a file")                   \
    x(BACKING,             ENOSPC,      68, "the file behind the region cannot grow")              \
    x(CHUNK_DAMAGED,       EUCLEAN,     69, "the head of an inode chunk fails its check")          \
    x(NO_DATA,             ENXIO,       70, "no data there or behind")                             \
    x(PATH_NOT_DIRECTORY,  ENOTDIR,     71, "a path that ends in '/' names no directory")          \
    x(RMDIR_FILE,          ENOTDIR,     72, "rmdir of what is not a directory")                    \
    x(UNLINK_DIRECTORY,    EPERM,       73, "unlink of a directory")                              \
    x(SYSTEM_CALL,         EIO,         74, "a system call failed")                               \
    x(REGION_SHORT,        EMEDIUMTYPE, 75, "too short to be a vmfs region")                      \
    x(MEMORY_SIZE,         EINVAL,      76, "the memory is misaligned or too small")              \
    x(MEMORY_FORMATTED,    EEXIST,      77, "the memory holds a filesystem already")              \
    x(TARGET_TOO_LONG,     ENAMETOOLONG, 78, "the target of a symbolic link is too long")         \
    x(RENAME_NOT_DIRECTORY, ENOTDIR,    79, "only a directory can get a name that ends in '/'")   \
    x(CREATE_DIRECTORY,    EISDIR,      80, "a file cannot get a name that ends in '/'")          \
    x(SEEK_RANGE,          EINVAL,      81, "a position before the start or beyond all")          \
    x(OPENDIR_FILE,        ENOTDIR,     82, "opendir of what is not a directory")                 \
    x(SUPER_GEOMETRY,      EUCLEAN,     83, "the superblock's numbers contradict each other")      \
    x(EXTENT_ORDER,        EUCLEAN,     84, "extents overlap or are out of order")                 \
    x(REMAP_RANGE,         EINVAL,      93, "collapse or insert is not inside the file")           \
    x(IMMUTABLE,           EPERM,       85, "the inode is immutable")                              \
    x(APPEND_ONLY,         EPERM,       86, "the inode is append-only")                            \
    x(ATOMIC_SIZE,         EMSGSIZE,    87, "more than one atomic write takes")                     \
    x(COPY_OVERLAP,        EINVAL,      88, "the ranges of a copy overlap")                        \
    x(ATOMIC_PIECES,       ENOSPC,      89, "an atomic write lies in too many pieces")             \
    x(STICKY,              EPERM,       97, "the directory is sticky and the entry somebody else's") \
    x(PLACE_STALE,         ESTALE,      98, "the place's id names no living inode")                \
    x(OVER_ANCESTOR,       ENOTEMPTY,   99, "what is moved lies below what it would replace")          \
    x(REPAIR_OPEN,         EBUSY,      106, "files are open, so nothing can be repaired")           \
    x(NOT_HELD,            EINVAL,     140, "more holds are given back than there are")            \
    x(VIEW_OPEN,           EDEADLK,    141, "the calling thread has not ended its view")           \
    x(DUMP_WHERE,          EINVAL,     105, "there is nothing to dump there")                      \
    x(BACKING_LOST,        EIO,        113, "a part of the region was lost by its backing")        \
    x(GUARD_PLACE,         EOPNOTSUPP, 114, "only a region in a regular file can be guarded")      \
    x(GUARD_MEMORY,        ENOMEM,     115, "no memory for the guard")                            \
    x(DEVICE_ALIGN,        EINVAL,     180, "not a multiple of the device's alignment")             \
    x(VIEW_MEMORY,         ENOMEM,     181, "no memory for a private view of the device")           \
    x(DEVICE_READ_ONLY,    EROFS,      182, "the device takes no stores")                           \
    x(REPAIR_FIRST,        EUCLEAN,    120, "opened for repair, which has not been done yet")      \
    x(ACCESS_DENIED,       EACCES,     130, "neither mode nor ACL lets the caller do this")          \
    x(READ_ONLY_FILE,      EROFS,      138, "the handle is read-only, and so is what lies in it")     \
    x(ACL_LENGTH,          EINVAL,     131, "no ACL has this length")                                \
    x(ACL_FORM,            EINVAL,     132, "the entries are not those of an ACL")                   \
    x(ACL_VERSION,         EOPNOTSUPP, 133, "an ACL of another version")                             \
    x(ACL_SIZE,            E2BIG,      134, "the ACL has too many entries")                          \
    x(ACL_PLACE,           EACCES,     135, "only a directory has a default ACL")                    \
    x(ACL_SYMLINK,         EOPNOTSUPP, 136, "a symbolic link has no ACL")                            \
    x(ACL_DAMAGED,         EUCLEAN,    137, "a stored ACL is malformed")                             \
    x(SUPER_LOST,          EUCLEAN,    121, "both superblocks are damaged, and neither what they still say " \
                                            "nor the region's size leads to a zone or a group")
// clang-format on

enum vmfs_reason {
    VMFS_R_NONE = 0, /* plain information */
#define VMFS_REASON_ENUM(name, err, number, text) VMFS_R_##name = number,
    VMFS_REASONS(VMFS_REASON_ENUM)
#undef VMFS_REASON_ENUM
};

#endif
