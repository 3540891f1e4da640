/* xattrs.h -- extended attributes "user.*" from the host to the region and back */
#ifndef XATTRS_H
#define XATTRS_H

#include <vmfs.h>

/* Copies those of the host's file or directory `fd` to `path` in the region. A host filesystem
 * without attributes has none. *side is set on failure. */
enum xattrs_side { XATTRS_HOST, XATTRS_REGION };
int xattrs_put(struct vmfs *fs, const char *path, int fd, enum xattrs_side *side);

/* Copies those of `path` in the region to `fd`. -EOPNOTSUPP if the host cannot keep them. */
int xattrs_get(struct vmfs *fs, const char *path, int fd, enum xattrs_side *side);

#endif
