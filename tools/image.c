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

/* The info block of a namespace, as the kernel's drivers/nvdimm/pfn.h has it. */
#define INFO_OFFSET     4096
#define INFO_BYTES      4096
#define INFO_DATA       56
#define INFO_PAGES      64
#define INFO_START_PAD  76
#define INFO_END_TRUNC  80
#define INFO_CHECK      (INFO_BYTES - 8)
#define INFO_PAGE_BYTES 4096

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

static uint64_t number_at(const unsigned char *block, size_t offset, unsigned bytes)
{
    uint64_t value = 0;

    while (bytes-- > 0)
        value = value << 8 | block[offset + bytes];
    return value;
}

/* The kernel's Fletcher sum over 32-bit words, the sum's own place taken as zero. */
static uint64_t info_sum(const unsigned char *block)
{
    uint32_t low = 0;
    uint64_t high = 0;
    size_t i;

    for (i = 0; i < INFO_BYTES; i += 4) {
        low += i < INFO_CHECK ? (uint32_t)number_at(block, i, 4) : 0;
        high += low;
    }
    return high << 32 | low;
}

static void namespace_look(int fd, struct image *image)
{
    unsigned char block[INFO_BYTES];
    uint64_t start;

    if (pread(fd, block, sizeof(block), INFO_OFFSET) != sizeof(block) ||
        number_at(block, INFO_CHECK, 8) != info_sum(block))
        return;
    if (memcmp(block, "NVDIMM_DAX_INFO", 16) == 0)
        image->holds = HOLDS_DEVDAX;
    else if (memcmp(block, "NVDIMM_PFN_INFO", 16) == 0)
        image->holds = HOLDS_FSDAX;
    else
        return;
    start = number_at(block, INFO_START_PAD, 4);
    image->data_offset = start + number_at(block, INFO_DATA, 8);
    image->namespace_bytes = image->data_offset + number_at(block, INFO_END_TRUNC, 4) +
                             number_at(block, INFO_PAGES, 8) * INFO_PAGE_BYTES;
}

static void ext4_look(int fd, struct image *image)
{
    unsigned char magic[2];

    if (image->data_offset < INT64_MAX / 2 &&
        pread(fd, magic, 2, (off_t)image->data_offset + 1024 + 56) == 2)
        image->has_ext4 = number_at(magic, 0, 2) == EXT4_SUPER_MAGIC;
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
        namespace_look(fd, image);
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
