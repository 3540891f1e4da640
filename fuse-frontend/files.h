/* files.h -- which files are open, as a mount may end while programs have some */
#ifndef VMFS_FUSE_FILES_H
#define VMFS_FUSE_FILES_H

#include "frontend.h"

/* What the kernel calls the file from now on (fuse_file_info.fh). Takes the file: it is closed by
 * files_close(), or with -ENOMEM here. */
int files_add(struct vmfs_file *file, uint64_t *fh);

struct vmfs_file *files_get(uint64_t fh);

int files_close(uint64_t fh);

/* Closes what is left when nobody serves any more. */
void files_close_all(void);

#endif
