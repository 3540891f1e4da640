/* map.c -- the file behind a region
 *
 * A region is locked by an open-file-description lock on its range of the file: exclusive for writers,
 * shared for readers. The kernel drops it when the process dies, so it is never stale. Who is met is waited for as
 * api/owner.h says. */
#include "api/map.h"

#include <errno.h>
#include <fcntl.h>
#include <libpmem.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/guard.h"
#include "api/owner.h"
#include "base/util.h"

#define HUGE_BYTES       ((uint64_t)2 << 20)
#define SIGNATURES_BYTES ((uint64_t)1 << 20)

/* One region file on its way to be mapped. */
struct mapping {
    struct vmfs *fs;
    struct vm_err *err;
    const char *path;
    const struct vmfs_options *options;
    struct stat st;
    struct vm_device device;
    bool
        has_map_sync; /* a store is durable without the kernel, also the filesystem's own metadata */
    struct vm_backing found;
    uint64_t file_bytes;
    struct vm_owner_wait wait;
};

static int64_t system_error(struct vm_err *err, const char *text)
{
    int number = errno;
    vm_raise_text(err, VMFS_R_SYSTEM_CALL, text, (uint64_t)number);
    return -number;
}

static int64_t bad_size(struct vm_err *err, uint64_t len_bytes)
{
    return vm_errno(vm_raise(err, VMFS_R_REGION_SIZE, len_bytes));
}

static int64_t exists_already(const struct mapping *mapping)
{
    return vm_errno(vm_raise(mapping->err, VMFS_R_REGION_EXISTS, 0));
}

static bool wants(const struct mapping *mapping, uint32_t flag)
{
    return mapping->options->flags & flag;
}

/* Opened again, this time exclusively: the kernel refuses a device that is mounted or part of another. The
 * file that is open is meant, whatever the path has come to lead to. */
static int64_t claim_device(struct mapping *mapping, int flags)
{
    struct vmfs *fs = mapping->fs;
    char path[40];
    if (!S_ISBLK(mapping->st.st_mode) || fs->is_read_only)
        return 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fs->fd);
    mapping->wait.fd = fs->fd;
    int fd = open(path, flags | O_EXCL);
    while (fd < 0 && errno == EBUSY && vm_owner_has(&mapping->wait) &&
           vm_owner_wait(&mapping->wait))
        fd = open(path, flags | O_EXCL);
    if (fd < 0 && mapping->wait.pid)
        return vm_owner_busy(mapping->err, mapping->wait.pid);
    if (fd < 0)
        return system_error(mapping->err, "the device cannot be had alone, errno ");
    close(fs->fd);
    fs->fd = fd;
    return 0;
}

/* A device is always there already. Whether something is on it, its first bytes will tell (check_unused()). */
static bool is_device(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && (S_ISBLK(st.st_mode) || S_ISCHR(st.st_mode));
}

static int64_t open_file(struct mapping *mapping)
{
    struct vmfs *fs = mapping->fs;
    uint32_t mode = mapping->options->mode ? mapping->options->mode : 0600;
    int flags = (fs->is_read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK; /* a fifo */
    if (wants(mapping, VMFS_CREATE)) {
        fs->fd = open(mapping->path, flags | O_CREAT | O_EXCL, (mode_t)mode);
        if (fs->fd >= 0)
            mapping->found.created = mapping->path;
        if (fs->fd < 0 && errno == EEXIST && !wants(mapping, VMFS_FORCE) &&
            !is_device(mapping->path))
            return exists_already(mapping);
    }
    if (fs->fd < 0)
        fs->fd = open(mapping->path, flags);
    if (fs->fd < 0)
        return system_error(mapping->err, "the region cannot be opened, errno ");
    if (fstat(fs->fd, &mapping->st) != 0 || vm_device_look(fs->fd, &mapping->device) != 0)
        return system_error(mapping->err, "the region cannot be examined, errno ");
    if (mapping->device.is_read_only && !fs->is_read_only)
        return vm_errno(vm_raise(mapping->err, VMFS_R_DEVICE_READ_ONLY, 0));
    /* A device's pages are larger than those that the guard puts in their place. */
    if (wants(mapping, VMFS_GUARD) && !S_ISREG(mapping->st.st_mode))
        return vm_errno(vm_raise(mapping->err, VMFS_R_GUARD_PLACE, 0));
    return claim_device(mapping, flags);
}

static int64_t lock_range(struct mapping *mapping)
{
    struct vmfs *fs = mapping->fs;
    if (fs->is_peek)
        return 0;
    struct flock lock = {.l_type = fs->is_read_only ? F_RDLCK : F_WRLCK,
                         .l_whence = SEEK_SET,
                         .l_start = (off_t)mapping->options->offset_bytes,
                         .l_len = (off_t)mapping->options->length_bytes};
    while (fcntl(fs->fd, F_OFD_SETLK, &lock) != 0) {
        if (errno != EAGAIN && errno != EACCES)
            return system_error(mapping->err, "the region cannot be locked, errno ");
        mapping->wait.fd = fs->fd;
        if (!vm_owner_wait(&mapping->wait))
            return vm_owner_busy(mapping->err, mapping->wait.pid);
    }
    return 0;
}

static bool sizes_file(const struct mapping *mapping)
{
    return wants(mapping, VMFS_CREATE) && mapping->options->region_bytes &&
           S_ISREG(mapping->st.st_mode);
}

static int64_t grow_for_format(struct mapping *mapping)
{
    uint64_t need = mapping->options->offset_bytes + mapping->options->region_bytes;
    if (!sizes_file(mapping) || mapping->file_bytes >= need)
        return 0;
    if (ftruncate(mapping->fs->fd, (off_t)need) != 0)
        return system_error(mapping->err, "the region cannot be sized, errno ");
    mapping->file_bytes = need;
    return 0;
}

/* The file's old bytes go last, when nothing else can refuse any more; the mapping then shows the new
 * ones. */
static int64_t empty_for_format(struct mapping *mapping)
{
    const struct vmfs_options *options = mapping->options;
    bool is_whole = options->offset_bytes == 0 && options->length_bytes == 0;
    bool is_empty = mapping->st.st_size == 0;
    if (!sizes_file(mapping))
        return 0;
    mapping->found.is_zeroed = is_whole || is_empty;
    if (!is_whole || is_empty)
        return 0;
    if (ftruncate(mapping->fs->fd, 0) != 0 ||
        ftruncate(mapping->fs->fd, (off_t)options->region_bytes) != 0)
        return system_error(mapping->err, "the region cannot be emptied, errno ");
    return 0;
}

/* A file that was made to grow, and will not be formatted. */
static void shrink_back(const struct mapping *mapping)
{
    if (sizes_file(mapping) && mapping->file_bytes > (uint64_t)mapping->st.st_size)
        (void)ftruncate(mapping->fs->fd, mapping->st.st_size);
}

static int64_t check_sizes(struct mapping *mapping)
{
    const struct vmfs_options *options = mapping->options;
    uint64_t region_bytes = options->region_bytes;
    bool is_format = wants(mapping, VMFS_CREATE);
    if (options->offset_bytes % VM_BLOCK_BYTES || options->length_bytes % VM_BLOCK_BYTES ||
        options->offset_bytes > INT64_MAX || options->length_bytes > INT64_MAX)
        return bad_size(mapping->err, options->offset_bytes);
    if (is_format && region_bytes &&
        (region_bytes % VM_BLOCK_BYTES || region_bytes < VMFS_REGION_MIN ||
         region_bytes > INT64_MAX / 2 ||
         (options->length_bytes && region_bytes > options->length_bytes)))
        return bad_size(mapping->err, region_bytes);
    return 0;
}

/* A DAX device shows nothing that is not made of its units. */
static int64_t check_alignment(struct mapping *mapping)
{
    const struct vmfs_options *options = mapping->options;
    uint64_t size = wants(mapping, VMFS_CREATE) ? options->region_bytes : 0;
    uint64_t align = mapping->device.align_bytes;
    if ((options->offset_bytes | options->length_bytes | size) & (align - 1))
        return vm_errno(vm_raise_text(
            mapping->err, VMFS_R_DEVICE_ALIGN,
            "on this DAX device offset, length and size must be multiples of ", align));
    return 0;
}

static int64_t find_bytes(struct mapping *mapping)
{
    const struct vmfs_options *options = mapping->options;
    struct vmfs *fs = mapping->fs;
    mapping->file_bytes = mapping->device.bytes;
    int64_t result = check_alignment(mapping);
    if (result == 0)
        result = grow_for_format(mapping);
    if (result)
        return result;
    uint64_t left = mapping->file_bytes > options->offset_bytes
                        ? mapping->file_bytes - options->offset_bytes
                        : 0;
    uint64_t limit = options->length_bytes ? options->length_bytes : UINT64_MAX;
    if (wants(mapping, VMFS_CREATE) && options->region_bytes) {
        limit = options->region_bytes;
        if (left < limit) /* a device does not grow */
            return bad_size(mapping->err, left);
    }
    fs->map_bytes = left < limit ? left : limit;
    fs->map_bytes -= fs->map_bytes % mapping->device.align_bytes;
    fs->file_offset = options->offset_bytes;
    if (wants(mapping, VMFS_CREATE) && fs->map_bytes < VMFS_REGION_MIN)
        return bad_size(mapping->err, fs->map_bytes);
    if (fs->map_bytes < VM_BLOCK_BYTES)
        return vm_errno(vm_raise(mapping->err, VMFS_R_REGION_SHORT, fs->map_bytes));
    return 0; /* whether a short one was cut off, its superblock tells */
}

static void *map_at(const struct mapping *mapping, void *address, int flags)
{
    struct vmfs *fs = mapping->fs;
    bool is_seen_only = fs->is_peek || fs->view_unit_bytes;
    fs->map_flags = flags;
    fs->map_protection = is_seen_only ? PROT_READ : PROT_READ | PROT_WRITE;
    return mmap(address, fs->map_bytes, fs->map_protection, flags | MAP_FIXED, fs->fd,
                (off_t)fs->file_offset);
}

/* A reader maps privately and cannot see from that what a writer would get. */
static bool takes_map_sync(const struct mapping *mapping)
{
    void *probe = mmap(NULL, mapping->device.align_bytes, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC,
                       mapping->fs->fd, (off_t)mapping->fs->file_offset);
    if (probe == MAP_FAILED)
        return false;
    munmap(probe, mapping->device.align_bytes);
    return true;
}

/* MAP_SYNC where the file has DAX. Readers who apply what is in the journal do it on private pages; a DAX
 * device has none, so there it is shared and read-only until vm_map_own(). */
static void *map_best(struct mapping *mapping, uint8_t *start)
{
    struct vmfs *fs = mapping->fs;
    bool is_device = mapping->device.kind == VM_DEVICE_DAX;
    bool is_private = fs->is_read_only && !fs->is_peek && !is_device;
    void *map = MAP_FAILED;
    if (fs->is_read_only && !fs->is_peek && is_device)
        fs->view_unit_bytes = mapping->device.align_bytes;
    if (!fs->is_read_only)
        map = map_at(mapping, start, MAP_SHARED_VALIDATE | MAP_SYNC);
    mapping->has_map_sync = map != MAP_FAILED || (fs->is_read_only && takes_map_sync(mapping));
    if (map == MAP_FAILED)
        map = map_at(mapping, start, is_private ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED);
    return map;
}

/* Aligned like the file, so that the kernel can use huge pages. */
static int64_t map_file(struct mapping *mapping)
{
    struct vmfs *fs = mapping->fs;
    uint64_t align =
        mapping->device.align_bytes > HUGE_BYTES ? mapping->device.align_bytes : HUGE_BYTES;
    uint64_t span = fs->map_bytes + align;
    uint8_t *reserved =
        mmap(NULL, span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserved == MAP_FAILED)
        return system_error(mapping->err, "no address space for the region, errno ");
    uint64_t skip = (align - ((uintptr_t)reserved - fs->file_offset) % align) % align;
    void *map = map_best(mapping, reserved + skip);
    if (map == MAP_FAILED) {
        int64_t result = system_error(mapping->err, "the region cannot be mapped, errno ");
        munmap(reserved, span);
        return result;
    }
    if (skip)
        munmap(reserved, skip);
    uint64_t end = skip + fs->map_bytes;
    if (end < span)
        munmap(reserved + end, span - end);
    fs->map = map;
    fs->stores = map;
    return 0;
}

static int64_t choose_durability(struct mapping *mapping)
{
    struct vmfs *fs = mapping->fs;
    bool is_device = mapping->device.kind == VM_DEVICE_DAX;
    bool is_pmem = mapping->has_map_sync || is_device || pmem_is_pmem(fs->map, fs->map_bytes);
    uint32_t level = mapping->options->durability;
    if (level == VMFS_DURABILITY_AUTO)
        level = is_pmem ? VMFS_DURABILITY_POWER : VMFS_DURABILITY_PROCESS;
    fs->kind = mapping->device.kind;
    return vm_choose_backend(fs, mapping->err, level, is_pmem, !is_device);
}

static const struct vm_persist_ops *backend_for(const struct vmfs *fs, uint32_t level, bool is_pmem,
                                                bool is_file)
{
    if (level == VMFS_DURABILITY_PROCESS && is_file)
        return vm_persist_none();
    if (is_pmem)
        return vm_persist_pmem();
    return level == VMFS_DURABILITY_POWER && fs->fd >= 0 ? vm_persist_sync() : vm_persist_none();
}

static void start_sync(struct vmfs *fs)
{
    vm_sync_init(&fs->sync_state, (uint64_t)sysconf(_SC_PAGESIZE));
    fs->sync = &fs->sync_state;
}

/* Memory that the caller has mapped cannot be asked what an msync of it would mean. */
int64_t vm_choose_backend(struct vmfs *fs, struct vm_err *err, uint32_t level, bool is_pmem,
                          bool is_file)
{
    const struct vm_persist_ops *ops = backend_for(fs, level, is_pmem, is_file);
    if (level == VMFS_DURABILITY_POWER && ops == vm_persist_none() && !fs->is_read_only)
        return vm_errno(vm_raise(err, VMFS_R_DURABILITY, level));
    if (ops == vm_persist_sync() && !fs->is_read_only)
        start_sync(fs);
    fs->backend = ops->name;
    fs->ops = fs->is_read_only ? vm_persist_none() : ops; /* a private view needs no more */
    fs->durability = level;
    fs->is_page_cache = level == VMFS_DURABILITY_PROCESS && is_file && fs->fd >= 0;
    return 0;
}

/* Partition tables and superblocks of whatever kind lie in the first MiB. */
static int64_t check_unused(struct mapping *mapping)
{
    const struct vmfs *fs = mapping->fs;
    if (!wants(mapping, VMFS_CREATE) || wants(mapping, VMFS_FORCE) || mapping->found.created)
        return 0;
    uint64_t len_bytes = vm_min(fs->map_bytes, SIGNATURES_BYTES);
    bool is_zero = fs->map[0] == 0 && memcmp(fs->map, fs->map + 1, len_bytes - 1) == 0;
    if (!S_ISREG(mapping->st.st_mode) && is_zero)
        return 0;
    return exists_already(mapping);
}

static int64_t map_steps(struct mapping *mapping)
{
    int64_t result = check_sizes(mapping);
    if (result == 0)
        result = open_file(mapping);
    if (result == 0)
        result = lock_range(mapping);
    if (result == 0)
        result = find_bytes(mapping);
    if (result == 0)
        result = map_file(mapping);
    if (result == 0)
        result = check_unused(mapping);
    if (result == 0 && wants(mapping, VMFS_GUARD))
        result = vm_errno(vm_guard_start(mapping->fs, mapping->err));
    if (result == 0)
        result = choose_durability(mapping);
    if (result == 0)
        result = empty_for_format(mapping);
    return result;
}

int64_t vm_map_open(struct vmfs *fs, struct vm_err *err, const char *path,
                    const struct vmfs_options *options, struct vm_backing *out)
{
    struct mapping mapping = {
        .fs = fs,
        .err = err,
        .path = path,
        .options = options,
        .wait = {.offset = options->offset_bytes,
                 .length = options->length_bytes,
                 .wait_ms = fs->wait_ms},
    };
    int64_t result = map_steps(&mapping);
    *out = mapping.found;
    if (result)
        shrink_back(&mapping);
    return result;
}

static uint64_t view_units(const struct vmfs *fs)
{
    return fs->map_bytes / fs->view_unit_bytes;
}

/* The copy takes the unit's place at once, so that nobody sees a hole. */
static bool own_unit(struct vmfs *fs, uint64_t unit)
{
    uint64_t len_bytes = fs->view_unit_bytes;
    uint8_t *place = fs->map + unit * len_bytes;
    uint8_t *copy = mmap(NULL, len_bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (copy == MAP_FAILED)
        return false;
    memcpy(copy, place, len_bytes);
    if (mremap(copy, len_bytes, len_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, place) == MAP_FAILED) {
        munmap(copy, len_bytes);
        return false;
    }
    fs->view_owned[unit] = true;
    return true;
}

bool vm_map_own(struct vmfs *fs, uint64_t offset, uint64_t len_bytes)
{
    bool is_owned = true;
    if (!fs->view_owned)
        fs->view_owned = fs->platform.alloc(fs->platform.arg, view_units(fs));
    if (!fs->view_owned)
        return false;
    uint64_t end = offset + len_bytes;
    for (uint64_t unit = offset / fs->view_unit_bytes; unit * fs->view_unit_bytes < end; unit++)
        is_owned = is_owned && (fs->view_owned[unit] || own_unit(fs, unit));
    return is_owned;
}

/* After a failed msync the page cache holds what the medium does not have, and calls it clean: without this
 * the next open would find and build on it (Y5). */
static void drop_unwritten(const struct vmfs *fs)
{
    (void)posix_fadvise(fs->fd, (off_t)fs->file_offset, (off_t)fs->map_bytes, POSIX_FADV_DONTNEED);
}

void vm_map_close(struct vmfs *fs)
{
    bool is_forked = vm_is_forked(fs);
    vm_guard_stop(fs);
    if (fs->fd < 0)
        return;
    if (fs->map)
        munmap(fs->map, fs->map_bytes);
    if (fs->view_owned)
        fs->platform.free(fs->platform.arg, fs->view_owned, view_units(fs));
    if (fs->sync && !is_forked) {
        if (vm_sync_counts(fs->sync).has_failed)
            drop_unwritten(fs);
        vm_sync_fini(fs->sync);
    }
    if (!is_forked) {
        struct flock unlock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
        (void)fcntl(fs->fd, F_OFD_SETLK, &unlock);
    }
    close(fs->fd);
}

/* As in Y4 and Y5: the kernel tells of an error once, and then calls the lost pages clean. */
int64_t vm_map_sync(struct vmfs *fs)
{
    if (!fs->is_page_cache || fs->is_read_only)
        return 0;
    int state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state); /* Y7 */
    vm_lock_take(&fs->msync_lock, &fs->platform);
    if (fs->msync_errno == 0 && msync(fs->map, fs->map_bytes, MS_SYNC) != 0)
        fs->msync_errno = errno;
    int number = fs->msync_errno;
    vm_lock_release(&fs->msync_lock, &fs->platform);
    pthread_setcancelstate(state, NULL);
    return -number;
}

/* A directory that may not be read cannot be asked either. */
static int sync_directory_of(const char *path)
{
    char directory[VMFS_PATH_MAX + 1] = ".";
    const char *slash = strrchr(path, '/');
    size_t len = slash == path ? 1 : slash ? (size_t)(slash - path) : 0;
    if (len >= sizeof directory)
        return 0;
    if (slash) {
        memcpy(directory, path, len);
        directory[len] = '\0';
    }
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    bool is_lost = fsync(fd) != 0 && errno == EIO;
    close(fd);
    return is_lost ? -EIO : 0;
}

int64_t vm_map_keep_name(const struct vmfs *fs, struct vm_err *err, const char *path)
{
    if (fs->durability != VMFS_DURABILITY_POWER)
        return 0;
    if ((fsync(fs->fd) != 0 && errno == EIO) || sync_directory_of(path)) {
        errno = EIO;
        return system_error(err, "the region's name cannot be made durable, errno ");
    }
    return 0;
}
