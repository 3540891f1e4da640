/* ops_data.c -- the bytes of files */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "convert.h"
#include "files.h"
#include "ops.h"
#include "transport.h"

/* A short answer means the end of the file to the kernel. */
void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
    (void)ino;
    char *buffer = malloc(size);
    int64_t got =
        buffer ? vmfs_file_pread(files_get(fi->fh), buffer, size, (uint64_t)offset) : -ENOMEM;
    if (got < 0)
        reply_result(req, got);
    else
        fuse_reply_buf(req, buffer, (size_t)got);
    free(buffer);
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *buffer, size_t size, off_t offset,
              struct fuse_file_info *fi)
{
    (void)ino;
    int64_t written = vmfs_file_pwrite(files_get(fi->fh), buffer, size, (uint64_t)offset);
    if (written < 0)
        reply_result(req, written);
    else
        fuse_reply_write(req, (size_t)written);
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
                  struct fuse_file_info *fi)
{
    (void)ino;
    reply_result(req,
                 vmfs_file_allocate(files_get(fi->fh), mode, (uint64_t)offset, (uint64_t)length));
}

void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *fi)
{
    (void)ino;
    int how = whence == SEEK_DATA ? VMFS_SEEK_DATA : VMFS_SEEK_HOLE;
    int64_t found = whence == SEEK_DATA || whence == SEEK_HOLE
                        ? vmfs_file_seek(files_get(fi->fh), offset, how)
                        : -EINVAL;
    if (found < 0)
        reply_result(req, found);
    else
        fuse_reply_lseek(req, found);
}

void op_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t off_in,
                        struct fuse_file_info *fi_in, fuse_ino_t ino_out, off_t off_out,
                        struct fuse_file_info *fi_out, size_t len, int flags)
{
    (void)ino_in;
    (void)ino_out;
    (void)flags;
    int64_t copied = vmfs_file_copy_range(files_get(fi_in->fh), (uint64_t)off_in,
                                          files_get(fi_out->fh), (uint64_t)off_out, len);
    if (copied < 0)
        reply_result(req, copied);
    else
        fuse_reply_write(req, (size_t)copied);
}
