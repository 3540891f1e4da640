/* image.c -- a file that is, or is to be, the memory storage of a guest: what it lies on and what it holds */
#include "image.h"
#include "path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define FUSE_MAGIC 0x65735546
#define XFS_MAGIC  0x58465342

static const struct {
    unsigned long magic;
    enum image_backing backing;
    const char *name;
} filesystems[] = {
    {TMPFS_MAGIC, BACKING_MEMORY, "tmpfs"},
    {HUGETLBFS_MAGIC, BACKING_MEMORY, "hugetlbfs"},
    {FUSE_MAGIC, BACKING_FUSE, "a FUSE mount"},
    {EXT4_SUPER_MAGIC, BACKING_FILE, "ext4"},
    {XFS_MAGIC, BACKING_FILE, "xfs"},
    {BTRFS_SUPER_MAGIC, BACKING_FILE, "btrfs"},
    {OVERLAYFS_SUPER_MAGIC, BACKING_FILE, "overlayfs"},
    {NFS_SUPER_MAGIC, BACKING_FILE, "nfs"},
    {0, BACKING_FILE, "a filesystem"},
};

static void filesystem_name(const struct statfs *where, struct image *image)
{
    size_t i = 0;

    while (filesystems[i].magic != 0 && filesystems[i].magic != (unsigned long)where->f_type)
        i++;
    image->filesystem = filesystems[i].name;
    image->backing = filesystems[i].backing;
}

static bool is_dax(int fd)
{
    void *mapped = mmap(NULL, 4096, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);

    if (mapped == MAP_FAILED)
        return false;
    munmap(mapped, 4096);
    return true;
}

static void namespace_look(const char *path, struct image *image)
{
    struct vmfs_namespace found;

    if (vmfs_namespace_find(path, &found) != 1)
        return;
    image->holds = found.mode == VMFS_NAMESPACE_DEVDAX ? HOLDS_DEVDAX : HOLDS_FSDAX;
    image->data_offset = found.data_offset_bytes;
    image->namespace_bytes = found.file_bytes;
}

static void ext4_look(int fd, struct image *image)
{
    unsigned char magic[2];

    if (image->data_offset < INT64_MAX / 2 &&
        pread(fd, magic, 2, (off_t)image->data_offset + 1024 + 56) == 2)
        image->has_ext4 = (magic[0] | magic[1] << 8) == EXT4_SUPER_MAGIC;
}

/* Whoever has the region open, a guest among them, is not disturbed. */
static void region_look(struct tool *tool, struct image *image)
{
    struct vmfs *fs;
    struct vmfs_options options = VMFS_OPTIONS_INIT;

    options.flags = VMFS_RDONLY | VMFS_PEEK;
    options.offset_bytes = image->data_offset;
    if (vmfs_open(tool->region, &options, &fs) != 0)
        return;
    vmfs_close(fs);
    image->has_region = true;
    if (image->holds == HOLDS_NOTHING)
        image->holds = HOLDS_REGION;
}

static int file_look(struct tool *tool, struct image *image, const struct stat *status)
{
    struct statfs where;
    int fd = open(tool->region, O_RDONLY | O_CLOEXEC);
    int err = 0;

    if (fd < 0)
        return -errno;
    image->exists = true;
    image->size_bytes = (uint64_t)status->st_size;
    image->allocated_bytes = (uint64_t)status->st_blocks * 512;
    image->path = realpath(tool->region, NULL);
    if (!image->path || fstatfs(fd, &where) != 0) {
        err = -errno;
    } else {
        filesystem_name(&where, image);
        if (image->backing == BACKING_FILE && is_dax(fd))
            image->backing = BACKING_DAX;
        namespace_look(image->path, image);
        ext4_look(fd, image);
        region_look(tool, image);
    }
    close(fd);
    return err;
}

/* What is to be made: its folder must be there. */
static int plan_look(struct tool *tool, struct image *image)
{
    char *parent = text_copy(tool->region);
    char *slash = strrchr(parent, '/');
    struct statfs where;
    struct path path;
    char *folder;
    int err = 0;

    if (slash)
        *slash = '\0';
    folder = realpath(!slash ? "." : *parent ? parent : "/", NULL);
    if (!folder || statfs(folder, &where) != 0) {
        err = -errno;
    } else {
        filesystem_name(&where, image);
        path_init(&path, folder);
        path_push(&path, slash ? slash + 1 : parent);
        image->path = path.text;
    }
    free(folder);
    free(parent);
    return err;
}

int image_look(struct tool *tool, struct image *image)
{
    struct stat status;
    int err = 0;

    *image = (struct image){0};
    if (stat(tool->region, &status) != 0)
        err =
            errno == ENOENT && !path_ends_in_slash(tool->region) ? plan_look(tool, image) : -errno;
    else if (S_ISREG(status.st_mode))
        err = file_look(tool, image, &status);
    if (err) {
        tool_fail(tool, err, tool->region);
    } else if (!image->path) {
        tool_fail_text(tool, tool->region,
                       "not a regular file, of which a guest's memory can be made");
        err = -EINVAL;
    }
    return err;
}

void image_free(struct image *image)
{
    free(image->path);
}
