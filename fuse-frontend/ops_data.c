/* ops_data.c -- the bytes of files */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "convert.h"
#include "files.h"
#include "ops.h"
#include "transport.h"

/* What a reply of MAX_IO_BYTES may consist of: a piece for each block and for both ends, while writev() takes
 * 1,024 with the header. Holes are pieces of zeros. */
#define PIECES (MAX_IO_BYTES / IO_BLOCK + 2)

/* The kernel could not read what it was given: a part of the region is lost, and the request is answered with
 * EIO. Touching it here makes the library see that, too; by a handle of its own, as the caller, who has had
 * his answer, may have closed his. */
static void touch_lost(struct vmfs *fs, fuse_ino_t ino, size_t size, off_t offset)
{
    struct vmfs_file *file;
    char *buffer = malloc(size);
    if (buffer && vmfs_file_open_at(fs, place_self(ino), VMFS_O_RDONLY, 0, &file) == 0) {
        (void)vmfs_file_pread(file, buffer, size, (uint64_t)offset);
        (void)vmfs_file_close(file);
    }
    free(buffer);
}

/* From the region to the kernel in one copy. */
void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
    struct vmfs *fs = fs_of(req);
    struct vmfs_iovec pieces[PIECES];
    struct iovec iov[PIECES];
    struct vmfs_view view;
    unsigned count = PIECES;
    int64_t got = vmfs_file_view(files_get(fi->fh), size, (uint64_t)offset, pieces, &count, &view);
    if (got < 0) {
        reply_result(req, got);
        return;
    }
    for (unsigned i = 0; i < count; i++)
        iov[i] = (struct iovec){.iov_base = pieces[i].base, .iov_len = pieces[i].length};
    int sent = fuse_reply_iov(req, iov, (int)count);
    vmfs_view_end(&view);
    if (sent == -EFAULT)
        touch_lost(fs, ino, size, offset);
}

/* What the kernel writes back out of its pages has its place, however the file it guesses was opened. */
static int write_flags(const struct fuse_file_info *fi)
{
    return (fi->flags & O_APPEND && !fi->writepage ? VMFS_RW_APPEND : 0) |
           (fi->flags & O_DSYNC ? VMFS_RW_DSYNC : 0) |
           (transport_flags()->kills_priv ? VMFS_RW_KILL_PRIV : 0);
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *buffer, size_t size, off_t offset,
              struct fuse_file_info *fi)
{
    const struct vmfs_iovec iov = {.base = (void *)(uintptr_t)buffer, .length = size};
    if (fi->flags & O_DIRECT && transport_flags()->kills_priv)
        lose_sgid(req, ino);
    int64_t written =
        vmfs_file_pwritev2(files_get(fi->fh), &iov, 1, (uint64_t)offset, write_flags(fi));
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

/* The kernel asks for these two only. */
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *fi)
{
    (void)ino;
    int how = whence == SEEK_DATA ? VMFS_SEEK_DATA : VMFS_SEEK_HOLE;
    int64_t found = vmfs_file_seek(files_get(fi->fh), offset, how);
    if (found < 0)
        reply_result(req, found);
    else
        fuse_reply_lseek(req, found);
}

/* What a reply can say: its count has 32 bits, while a hole of any length is copied in one call. */
#define COPY_BYTES_MAX ((size_t)1 << 30)

void op_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t off_in,
                        struct fuse_file_info *fi_in, fuse_ino_t ino_out, off_t off_out,
                        struct fuse_file_info *fi_out, size_t len, int flags)
{
    (void)ino_in;
    (void)ino_out;
    (void)flags;
    int64_t copied =
        vmfs_file_copy_range(files_get(fi_in->fh), (uint64_t)off_in, files_get(fi_out->fh),
                             (uint64_t)off_out, len < COPY_BYTES_MAX ? len : COPY_BYTES_MAX);
    if (copied < 0)
        reply_result(req, copied);
    else
        fuse_reply_write(req, (size_t)copied);
}
