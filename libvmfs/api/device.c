/* device.c -- what kind of thing the file behind a region is, as the system tells it */
#include "api/device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "media/format.h"

#define ALIGN_BYTES ((uint64_t)2 << 20) /* of DAX devices that do not tell theirs */

/* A number that sysfs tells of a character device, or 0. */
static uint64_t sysfs_number(dev_t device, const char *name)
{
    char path[96];
    unsigned long long number = 0;
    snprintf(path, sizeof path, "/sys/dev/char/%u:%u/%s", major(device), minor(device), name);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    if (fscanf(file, "%llu", &number) != 1)
        number = 0;
    fclose(file);
    return number;
}

static bool sysfs_link_has(const char *kind, dev_t device, const char *name, const char *part)
{
    char path[96];
    char target[512];
    snprintf(path, sizeof path, "/sys/dev/%s/%u:%u%s", kind, major(device), minor(device), name);
    ssize_t got = readlink(path, target, sizeof target - 1);
    target[got < 0 ? 0 : got] = '\0';
    return strstr(target, part);
}

static void look_character(dev_t device, struct vm_device *out)
{
    if (!sysfs_link_has("char", device, "/subsystem", "/dax"))
        return;
    uint64_t align = sysfs_number(device, "align");
    bool is_power = align >= VM_BLOCK_BYTES && !(align & (align - 1));
    out->kind = VM_DEVICE_DAX;
    out->bytes = sysfs_number(device, "size");
    out->align_bytes = is_power ? align : ALIGN_BYTES;
    out->is_read_only = sysfs_number(device, "../../read_only"); /* of the memory that it is on */
}

static void look_block(int fd, dev_t device, struct vm_device *out)
{
    bool is_pmem = sysfs_link_has("block", device, "", "/block/pmem");
    out->kind = is_pmem ? VM_DEVICE_PMEM_BLOCK : VM_DEVICE_BLOCK;
    if (ioctl(fd, BLKGETSIZE64, &out->bytes) != 0)
        out->bytes = 0;
    int is_read_only = 0;
    out->is_read_only = ioctl(fd, BLKROGET, &is_read_only) == 0 && is_read_only;
}

static bool is_memory_file(int fd)
{
    struct statfs at;
    return fstatfs(fd, &at) == 0 &&
           (at.f_type == TMPFS_MAGIC || at.f_type == RAMFS_MAGIC || at.f_type == HUGETLBFS_MAGIC);
}

static bool is_dax(int fd)
{
    struct statx at;
    return statx(fd, "", AT_EMPTY_PATH, 0, &at) == 0 && (at.stx_attributes & STATX_ATTR_DAX);
}

int vm_device_look(int fd, struct vm_device *out)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -1;
    *out = (struct vm_device){.kind = VM_DEVICE_FILE, .align_bytes = VM_BLOCK_BYTES};
    if (S_ISCHR(st.st_mode)) {
        look_character(st.st_rdev, out);
    } else if (S_ISBLK(st.st_mode)) {
        look_block(fd, st.st_rdev, out);
    } else {
        out->bytes = (uint64_t)st.st_size;
        out->kind = is_memory_file(fd) ? VM_DEVICE_TMPFS : VM_DEVICE_FILE;
        if (is_dax(fd))
            out->kind = VM_DEVICE_DAX_FILE;
    }
    return 0;
}

static bool read_mapped(int fd, uint64_t offset, void *out, size_t len_bytes)
{
    struct vm_device device;
    if (vm_device_look(fd, &device) != 0 || device.kind != VM_DEVICE_DAX)
        return false;
    uint64_t within = offset % device.align_bytes;
    if (offset > device.bytes || device.bytes - offset < device.align_bytes - within)
        return false;
    uint8_t *map =
        mmap(NULL, device.align_bytes, PROT_READ, MAP_SHARED, fd, (off_t)(offset - within));
    if (map == MAP_FAILED)
        return false;
    memcpy(out, map + within, len_bytes);
    munmap(map, device.align_bytes);
    return true;
}

bool vm_device_read(int fd, uint64_t offset, void *out, size_t len_bytes)
{
    ssize_t got = pread(fd, out, len_bytes, (off_t)offset);
    if (got < 0 && errno == EINVAL)
        return read_mapped(fd, offset, out, len_bytes);
    return got == (ssize_t)len_bytes;
}
