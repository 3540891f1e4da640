/* find.c -- where in a file there are regions
 *
 * Data begin at 0, or behind what Linux keeps at the head of an NVDIMM's namespace in mode fsdax or devdax, which
 * guests do not see and hosts do. From there each block that holds data is looked at for a superblock, and what
 * is found whole is passed over with all that lies in it. Every byte may have been made up. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "api/device.h"
#include "api/handle.h"
#include "base/util.h"
#include "media/super.h"

/* The namespace's info block, 4096 bytes into it, as Linux has it since 4.3 (drivers/nvdimm/pfn.h). The checksum
 * is that of Fletcher over 32-bit words, with its own field as zero.
 * OFFSET SIZE FIELD
 *   0  16  signature
 *  54   2  version_minor
 *  56   8  data_offset    from the namespace's start, without start_pad
 *  64   8  pages          of 4096 bytes: the data
 *  76   4  start_pad      in versions from 1 on, as the next
 *  80   4  end_trunc      bytes that are left out at the end
 *4088   8  checksum       */
#define INFO_OFFSET      4096u
#define INFO_BYTES       4096u
#define INFO_PAGE_BYTES  4096u
#define SIGNATURE_BYTES  16u
#define AT_VERSION_MINOR 54u
#define AT_DATA_OFFSET   56u
#define AT_PAGES         64u
#define AT_START_PAD     76u
#define AT_END_TRUNC     80u
#define AT_CHECKSUM      4088u

#define SUPER_B_OFFSET ((uint64_t)VM_SUPER_B_BLOCK * VM_BLOCK_BYTES)
#define HEAD_BYTES     (SUPER_B_OFFSET + VM_BLOCK_BYTES)
#define NOWHERE        UINT64_MAX

struct search {
    int fd;
    const uint8_t *map; /* of a DAX device, which has no read() */
    uint64_t map_bytes;
    uint64_t start; /* of the data; then of what lies in no region yet */
    uint64_t end;
    uint64_t known_data_end; /* up to where there is no hole */
    uint64_t damaged;        /* the last place that is no whole region, or NOWHERE */
    struct vmfs_region_place *places;
    uint32_t room;
    uint32_t found;
};

/* `offset` is a multiple of the block size and below search->end. */
static bool look(const struct search *search, uint64_t offset, void *out, size_t len_bytes)
{
    if (!search->map)
        return pread(search->fd, out, len_bytes, (off_t)offset) == (ssize_t)len_bytes;
    if (!vm_range_inside(offset, len_bytes, search->map_bytes))
        return false;
    memcpy(out, search->map + offset, len_bytes);
    return true;
}

static uint32_t info32(const uint8_t *info, unsigned at)
{
    struct vm_le32 field;
    memcpy(&field, info + at, sizeof field);
    return vm_get32(field);
}

static uint64_t info64(const uint8_t *info, unsigned at)
{
    struct vm_le64 field;
    memcpy(&field, info + at, sizeof field);
    return vm_get64(field);
}

static uint64_t info_checksum(const uint8_t *info)
{
    uint32_t low = 0;
    uint64_t high = 0;
    for (unsigned at = 0; at < INFO_BYTES; at += 4) {
        low += at / 8 == AT_CHECKSUM / 8 ? 0 : info32(info, at);
        high += low;
    }
    return high << 32 | low;
}

/* False if this is no info block. */
static bool info_parse(const uint8_t *info, struct vmfs_namespace *out)
{
    bool is_fsdax = memcmp(info, "NVDIMM_PFN_INFO", SIGNATURE_BYTES) == 0;
    bool is_devdax = memcmp(info, "NVDIMM_DAX_INFO", SIGNATURE_BYTES) == 0;
    if ((!is_fsdax && !is_devdax) || info64(info, AT_CHECKSUM) != info_checksum(info))
        return false;
    bool has_pads = info32(info, AT_VERSION_MINOR) & 0xffff;
    uint64_t start_pad = has_pads ? info32(info, AT_START_PAD) : 0;
    uint64_t offset = info64(info, AT_DATA_OFFSET);
    if (!vm_range_inside(offset, start_pad, INT64_MAX))
        return false;
    out->mode = is_fsdax ? VMFS_NAMESPACE_FSDAX : VMFS_NAMESPACE_DEVDAX;
    out->data_offset_bytes = offset + start_pad;
    out->tail_bytes = has_pads ? info32(info, AT_END_TRUNC) : 0;
    out->file_bytes =
        out->data_offset_bytes + info64(info, AT_PAGES) * INFO_PAGE_BYTES + out->tail_bytes;
    return true;
}

/* Between which offsets there are data: what an info block says that cannot be is not taken. */
static void find_bounds(struct search *search)
{
    uint8_t info[INFO_BYTES];
    struct vmfs_namespace found;
    if (search->map || search->end < INFO_OFFSET + INFO_BYTES ||
        !look(search, INFO_OFFSET, info, sizeof info) || !info_parse(info, &found))
        return;
    uint64_t start = found.data_offset_bytes;
    if (start < INFO_OFFSET + INFO_BYTES || start % VM_BLOCK_BYTES || start >= search->end ||
        found.tail_bytes >= search->end - start)
        return;
    search->start = start;
    search->end -= found.tail_bytes;
}

static void add(struct search *search, uint64_t offset, uint64_t len_bytes)
{
    if (search->found < search->room)
        search->places[search->found] = (struct vmfs_region_place){offset, len_bytes};
    search->found += search->found < INT_MAX;
}

/* The bytes of the whole region that begins at `offset`, or 0. Its superblocks say where they lie: one is never
 * taken for the other. */
static uint64_t region_bytes(const struct search *search, uint64_t offset)
{
    uint8_t head[HEAD_BYTES];
    struct vm_err quiet = {.log = NULL};
    struct vm_super_choice choice = {.is_read_only = true};
    struct vm_super_media super;
    struct vm_region region = {.platform = NULL};
    uint64_t left = search->end - offset;
    if (left < sizeof head || !look(search, offset, head, sizeof head) ||
        vm_super_load(&quiet, head, sizeof head, &choice, &super) != 0 ||
        vm_region_init(&quiet, &region, &super, head, left) != 0)
        return 0;
    return region.bytes;
}

/* A superblock of something damaged, cut off or newer. It may have another, which is the same place. */
static void add_damaged(struct search *search, uint64_t at)
{
    struct vm_super_media super;
    bool is_b = look(search, at, &super, sizeof super) && vm_get64(super.self) == SUPER_B_OFFSET &&
                at - search->start >= SUPER_B_OFFSET;
    uint64_t place = is_b ? at - SUPER_B_OFFSET : at;
    if (place != search->damaged)
        add(search, place, search->end - place);
    search->damaged = place;
}

/* Looks at one block; returns where to look next. */
static uint64_t examine(struct search *search, uint64_t at)
{
    struct vm_le64 magic;
    if (!look(search, at, &magic, sizeof magic) || vm_get64(magic) != VM_MAGIC_SUPER)
        return at + VM_BLOCK_BYTES;
    uint64_t place = at;
    uint64_t len_bytes = region_bytes(search, place);
    if (!len_bytes && at - search->start >= SUPER_B_OFFSET) {
        place = at - SUPER_B_OFFSET;
        len_bytes = region_bytes(search, place);
    }
    if (!len_bytes) {
        add_damaged(search, at);
        return at + VM_BLOCK_BYTES;
    }
    add(search, place, len_bytes);
    search->start = place + len_bytes;
    return search->start;
}

/* The first block from `at` on that may hold data. */
static uint64_t next_data(struct search *search, uint64_t at)
{
    if (at < search->known_data_end)
        return at;
    off_t data = lseek(search->fd, (off_t)at, SEEK_DATA);
    if (data < 0 && errno == ENXIO)
        return search->end;
    off_t hole = data < 0 ? -1 : lseek(search->fd, data, SEEK_HOLE);
    search->known_data_end = hole < 0 ? search->end : (uint64_t)hole;
    return data < 0 ? at : vm_max(at, (uint64_t)data / VM_BLOCK_BYTES * VM_BLOCK_BYTES);
}

static void search_all(struct search *search)
{
    find_bounds(search);
    search->places[0] = (struct vmfs_region_place){search->start, search->end - search->start};
    uint64_t at = search->start;
    while (at < search->end) {
        at = next_data(search, at);
        if (at < search->end)
            at = examine(search, at);
    }
}

static int64_t search_file(struct search *search)
{
    struct vm_device device;
    if (vm_device_look(search->fd, &device) != 0)
        return -errno;
    search->end = device.bytes / VM_BLOCK_BYTES * VM_BLOCK_BYTES;
    if (device.kind != VM_DEVICE_DAX) {
        search_all(search);
        return search->found;
    }
    search->known_data_end = search->end;
    void *map = mmap(NULL, search->end, PROT_READ, MAP_SHARED, search->fd, 0);
    if (map == MAP_FAILED)
        return -errno;
    search->map = map;
    search->map_bytes = search->end;
    search_all(search);
    munmap(map, search->map_bytes);
    return search->found;
}

int vmfs_namespace_find(const char *path, struct vmfs_namespace *out)
{
    uint8_t info[INFO_BYTES];
    if (!path || !out)
        return (int)vm_bad_argument();
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    bool is_read = pread(fd, info, sizeof info, INFO_OFFSET) == (ssize_t)sizeof info;
    close(fd);
    return is_read && info_parse(info, out);
}

int vmfs_region_find(const char *path, struct vmfs_region_place *places, uint32_t count)
{
    if (!path || !places || count == 0)
        return (int)vm_bad_argument();
    struct search search = {.damaged = NOWHERE, .places = places, .room = count};
    search.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (search.fd < 0)
        return -errno;
    int result = (int)search_file(&search);
    close(search.fd);
    return result;
}
