/* test_device.c -- regions on a DAX device: never a private mapping, an msync, an fsync or a fallocate
 *
 * A file plays the device: vm_device_look() of this program calls it one, and mmap() and mremap() refuse what the
 * kernel's driver refuses (drivers/dax/device.c: check_vma, dev_dax_split). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/device.h"
#include "api/handle.h"
#include "fixture.h"
#include "media/super.h"

#define ALIGN_BYTES  (2 * REGION_MIB)
#define DEVICE_BYTES (64 * REGION_MIB)

static struct {
    char path[REGION_PATH_MAX];
    struct region_log log;
    uint8_t *map; /* the device's mapping, while there is one */
    uint64_t map_bytes;
    unsigned copies;    /* private ones that were put in the place of a unit */
    unsigned forbidden; /* calls that a device must never see */
    bool has_no_memory;
    bool is_read_only;
} at;

static bool is_device(int fd)
{
    struct stat there, path;
    return fd >= 0 && fstat(fd, &there) == 0 && stat(at.path, &path) == 0 &&
           there.st_ino == path.st_ino && there.st_dev == path.st_dev;
}

int __real_vm_device_look(int fd, struct vm_device *out);
int __wrap_vm_device_look(int fd, struct vm_device *out);
int __wrap_vm_device_look(int fd, struct vm_device *out)
{
    int failed = __real_vm_device_look(fd, out);
    if (!failed && is_device(fd))
        *out = (struct vm_device){.kind = VM_DEVICE_DAX,
                                  .bytes = DEVICE_BYTES,
                                  .is_read_only = at.is_read_only,
                                  .align_bytes = ALIGN_BYTES};
    return failed;
}

static bool is_aligned(const void *address, uint64_t len_bytes)
{
    return (uintptr_t)address % ALIGN_BYTES == 0 && len_bytes % ALIGN_BYTES == 0;
}

static bool cuts(const void *address, uint64_t len_bytes)
{
    bool is_outside = !at.map || (const uint8_t *)address + len_bytes <= at.map ||
                      (const uint8_t *)address >= at.map + at.map_bytes;
    return !is_outside && !is_aligned(address, len_bytes);
}

void *__real_mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    if (at.has_no_memory && fd < 0 && length == ALIGN_BYTES) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    if (!is_device(fd))
        return __real_mmap64(address, length, protection, flags, fd, offset);
    bool is_private = (flags & MAP_TYPE) == MAP_PRIVATE;
    if (is_private || !is_aligned(address, length) || offset % (off_t)ALIGN_BYTES) {
        errno = EINVAL;
        return MAP_FAILED;
    }
    if ((flags & MAP_TYPE) == MAP_SHARED_VALIDATE) /* tmpfs has no MAP_SYNC */
        flags = MAP_SHARED | (flags & MAP_FIXED);
    at.map = __real_mmap64(address, length, protection, flags, fd, offset);
    at.map_bytes = length;
    return at.map;
}

int __real_munmap(void *address, size_t length);
int __wrap_munmap(void *address, size_t length);
int __wrap_munmap(void *address, size_t length)
{
    if (cuts(address, length)) {
        errno = EINVAL;
        return -1;
    }
    if (address == at.map)
        at.map = NULL;
    return __real_munmap(address, length);
}

void *__real_mremap(void *old, size_t old_length, size_t length, int flags, void *place);
void *__wrap_mremap(void *old, size_t old_length, size_t length, int flags, void *place);
void *__wrap_mremap(void *old, size_t old_length, size_t length, int flags, void *place)
{
    if (cuts(place, length)) {
        errno = EINVAL;
        return MAP_FAILED;
    }
    at.copies++;
    return __real_mremap(old, old_length, length, flags, place);
}

#define FORBID(name, head, call)                                                                   \
    int __real_##name head;                                                                        \
    int __wrap_##name head;                                                                        \
    int __wrap_##name head                                                                         \
    {                                                                                              \
        at.forbidden++;                                                                            \
        return __real_##name call;                                                                 \
    }
FORBID(msync, (void *address, size_t length, int flags), (address, length, flags))
FORBID(fsync, (int fd), (fd))
FORBID(fallocate64, (int fd, int mode, off_t offset, off_t length), (fd, mode, offset, length))
FORBID(posix_fadvise64, (int fd, off_t offset, off_t length, int advice),
       (fd, offset, length, advice))
FORBID(ftruncate64, (int fd, off_t length), (fd, length))

static void setup(void)
{
    memset(&at, 0, sizeof at);
    region_path(at.path, "device");
    int fd = open(at.path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    static uint8_t old[REGION_MIB];
    memset(old, 0xa5, sizeof old);
    for (uint64_t done = 0; done < DEVICE_BYTES; done += sizeof old)
        cr_assert_eq(write(fd, old, sizeof old), (ssize_t)sizeof old);
    close(fd);
}

static void teardown(void)
{
    unlink(at.path);
}

TestSuite(device, .init = setup, .fini = teardown, .timeout = 60);

static int open_device(struct vmfs_options options, struct vmfs **fs)
{
    options.struct_bytes = sizeof options;
    options.owner_uid = options.owner_gid = UINT32_MAX;
    options.log = region_log_keep;
    options.log_arg = &at.log;
    return vmfs_open(at.path, &options, fs);
}

static struct vmfs *format(void)
{
    struct vmfs *fs = NULL;
    expect_ok(open_device((struct vmfs_options){.flags = VMFS_CREATE | VMFS_FORCE}, &fs));
    return fs;
}

static uint8_t *device_bytes(void)
{
    uint8_t *bytes = malloc(DEVICE_BYTES);
    int fd = open(at.path, O_RDONLY | O_CLOEXEC);
    cr_assert_eq(read(fd, bytes, DEVICE_BYTES), (ssize_t)DEVICE_BYTES);
    close(fd);
    return bytes;
}

static void expect_bytes(uint8_t *wanted)
{
    uint8_t *got = device_bytes();
    cr_assert_eq(memcmp(got, wanted, DEVICE_BYTES), 0, "the device has changed");
    free(got);
    free(wanted);
}

/* The device as a crash leaves it while `fs` goes on: put back over what it becomes when it is closed. */
static void close_and_crash(struct vmfs *fs)
{
    uint8_t *bytes = device_bytes();
    expect_ok(vmfs_close(fs));
    int fd = open(at.path, O_WRONLY | O_CLOEXEC);
    cr_assert_eq(write(fd, bytes, DEVICE_BYTES), (ssize_t)DEVICE_BYTES);
    close(fd);
    free(bytes);
}

Test(device, is_power_by_itself)
{
    struct vmfs *fs = format();
    struct vmfs_info info = {.struct_bytes = sizeof info};
    expect_ok(vmfs_info(fs, &info));
    cr_assert_eq(info.durability, VMFS_DURABILITY_POWER);
    cr_assert_str_eq(info.backend, "pmem");
    cr_assert(strstr(info.meaning, "DAX device"), "%s", info.meaning);
    cr_assert_eq(info.region_bytes, DEVICE_BYTES);
    expect_ok(region_put_file(fs, "/file", 300000, 1));
    expect_ok(vmfs_sync(fs));
    cr_assert_eq(region_check(fs), 0);
    expect_ok(vmfs_close(fs));
    cr_assert_eq(at.forbidden, 0);
}

/* What was on the device before is not taken for zeros. */
Test(device, old_bytes_do_not_shine_through)
{
    struct vmfs *fs = format();
    struct vmfs_file *file;
    uint8_t bytes[8192];
    expect_ok(vmfs_file_open(fs, "/sparse", VMFS_O_CREAT | VMFS_O_RDWR, 0600, &file));
    expect_code(vmfs_file_pwrite(file, "x", 1, 1000), 1);
    expect_code(vmfs_file_pwrite(file, "y", 1, 3 * REGION_MIB), 1);
    expect_code(vmfs_file_pread(file, bytes, sizeof bytes, 0), sizeof bytes);
    for (unsigned i = 0; i < sizeof bytes; i++)
        cr_assert_eq(bytes[i], i == 1000 ? 'x' : 0, "byte %u is 0x%x", i, bytes[i]);
    expect_code(vmfs_file_pread(file, bytes, 1, 3 * REGION_MIB - 1), 1);
    cr_assert_eq(bytes[0], 0);
    vmfs_file_close(file);
    expect_ok(vmfs_close(fs));
}

Test(device, what_is_not_aligned_is_refused)
{
    const struct vmfs_options wrong[] = {
        {.offset_bytes = REGION_MIB},
        {.length_bytes = 3 * REGION_MIB},
        {.flags = VMFS_CREATE | VMFS_FORCE, .region_bytes = 5 * REGION_MIB},
        {.flags = VMFS_RDONLY, .offset_bytes = 4096},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct vmfs *fs;
        expect_code(open_device(wrong[i], &fs), -EINVAL);
        cr_assert_eq(at.log.reason, VMFS_R_DEVICE_ALIGN);
        cr_assert(strstr(at.log.text, " 2097152"), "%s", at.log.text);
    }
    struct vmfs *fs;
    expect_ok(open_device((struct vmfs_options){.flags = VMFS_CREATE | VMFS_FORCE,
                                                .offset_bytes = 4 * REGION_MIB,
                                                .region_bytes = 16 * REGION_MIB},
                          &fs));
    expect_ok(vmfs_close(fs));
    expect_ok(open_device((struct vmfs_options){.offset_bytes = 4 * REGION_MIB}, &fs));
    expect_ok(vmfs_close(fs));
}

/* Nothing to recover: the view is the device itself, and nothing is copied. */
Test(device, reading_only)
{
    struct vmfs *fs = format();
    expect_ok(region_put_file(fs, "/file", 300000, 1));
    uint64_t digest = region_digest(fs, "/");
    expect_ok(vmfs_close(fs));
    uint8_t *bytes = device_bytes();
    expect_ok(open_device((struct vmfs_options){.flags = VMFS_RDONLY}, &fs));
    cr_assert_eq(vmfs_durability(fs), VMFS_DURABILITY_POWER);
    cr_assert_eq(region_digest(fs, "/"), digest);
    cr_assert_eq(region_check(fs), 0);
    expect_ok(vmfs_close(fs));
    cr_assert_eq(at.copies, 0);
    cr_assert_eq(at.forbidden, 0);
    expect_bytes(bytes);
}

/* Leaves records in the journal. */
static void fill(struct vmfs *fs)
{
    char path[32];
    for (int i = 0; i < 300; i++) {
        snprintf(path, sizeof path, "/file%d", i);
        expect_ok(region_put_file(fs, path, (size_t)i * 100, (uint64_t)i));
    }
    for (int i = 0; i < 300; i++) {
        snprintf(path, sizeof path, "/dir%d", i);
        expect_ok(vmfs_mkdir(fs, path, 0700));
    }
}

Test(device, reading_only_after_a_crash)
{
    struct vmfs *fs = format();
    fill(fs);
    uint64_t digest = region_digest(fs, "/");
    close_and_crash(fs);
    uint8_t *bytes = device_bytes();
    expect_ok(open_device((struct vmfs_options){.flags = VMFS_RDONLY}, &fs));
    struct vmfs_info info = {.struct_bytes = sizeof info};
    expect_ok(vmfs_info(fs, &info));
    cr_assert_gt(info.journal_records, 0);
    cr_assert_eq(region_digest(fs, "/"), digest);
    cr_assert_eq(region_check(fs), 0);
    expect_ok(vmfs_close(fs));
    cr_assert_gt(at.copies, 0);
    cr_assert_lt(at.copies, DEVICE_BYTES / ALIGN_BYTES);
    cr_assert_eq(at.forbidden, 0);
    expect_bytes(bytes);
    expect_ok(open_device((struct vmfs_options){0}, &fs));
    cr_assert_eq(region_digest(fs, "/"), digest);
    expect_ok(vmfs_close(fs));
}

static void flip(uint64_t offset)
{
    uint8_t byte;
    int fd = open(at.path, O_RDWR | O_CLOEXEC);
    cr_assert_eq(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= 1;
    cr_assert_eq(pwrite(fd, &byte, 1, (off_t)offset), 1);
    close(fd);
}

static void put(uint64_t offset, const void *bytes, size_t length)
{
    int fd = open(at.path, O_RDWR | O_CLOEXEC);
    cr_assert_eq(pwrite(fd, bytes, length, (off_t)offset), (ssize_t)length);
    close(fd);
}

struct journal {
    uint64_t nonce;
    uint64_t watermark;
    uint64_t start;
    uint64_t end;
};

static struct journal journal_of(const uint8_t *bytes)
{
    struct vm_super_media super;
    struct vm_watermark line;
    unsigned copy;
    memcpy(&super, bytes, sizeof super);
    cr_assert_eq(vm_watermark_load(&(struct vm_err){.log = NULL}, bytes, &line, &copy), 0);
    uint64_t start = vm_get64(super.lane_offset);
    return (struct journal){
        .nonce = line.nonce,
        .watermark = line.watermark,
        .start = start,
        .end = start + (uint64_t)vm_get32(super.lane_count) * vm_get32(super.lane_bytes),
    };
}

static uint64_t sequence_at(uint64_t offset)
{
    struct vm_record_media record;
    int fd = open(at.path, O_RDONLY | O_CLOEXEC);
    cr_assert_eq(pread(fd, &record, sizeof record, (off_t)offset), sizeof record);
    close(fd);
    return vm_get64(record.sequence);
}

/* Where the last record above the watermark is that has a number below `limit`. */
static uint64_t find_last(uint64_t limit)
{
    uint8_t *bytes = device_bytes();
    struct journal journal = journal_of(bytes);
    uint64_t last = journal.watermark;
    uint64_t found = 0;
    for (uint64_t offset = journal.start; offset < journal.end; offset += 64) {
        struct vm_record_media record;
        memcpy(&record, bytes + offset, sizeof record);
        uint64_t sequence = vm_get64(record.sequence);
        if (vm_get64(record.nonce) != journal.nonce || sequence <= last || sequence >= limit)
            continue;
        last = sequence;
        found = offset;
    }
    free(bytes);
    cr_assert_gt(found, 0);
    return found;
}

/* What a loss of power leaves of a record that was on its way: the head, and not what it checks. */
static void put_torn_record(void)
{
    uint8_t *bytes = device_bytes();
    struct journal journal = journal_of(bytes);
    free(bytes);
    struct vm_record_media torn = {.nonce = vm_put64(journal.nonce),
                                   .sequence = vm_put64(journal.watermark + 1000),
                                   .len_bytes = vm_put32(sizeof torn)};
    put(journal.end - sizeof torn, &torn, sizeof torn);
}

/* What was torn does not count, and is no damage: also to the checker of a reader. */
static void expect_sound_view(void)
{
    struct vmfs *fs;
    uint8_t *bytes = device_bytes();
    expect_ok(open_device((struct vmfs_options){.flags = VMFS_RDONLY}, &fs));
    cr_assert_eq(region_check(fs), 0);
    expect_ok(vmfs_close(fs));
    expect_bytes(bytes);
}

Test(device, reading_only_what_was_torn)
{
    struct vmfs *fs = format();
    fill(fs);
    close_and_crash(fs);
    put_torn_record();
    expect_sound_view();
    expect_ok(open_device((struct vmfs_options){0}, &fs));
    expect_ok(vmfs_close(fs));
    expect_sound_view();
    cr_assert_gt(at.copies, 0);
    at.copies = 0;
    expect_sound_view();
    cr_assert_eq(at.copies, 0);
}

#define LINE_A ((uint64_t)VM_WATERMARK_A_BLOCK * VM_BLOCK_BYTES)
#define LINE_B ((uint64_t)VM_WATERMARK_B_BLOCK * VM_BLOCK_BYTES)

/* There is nothing to be applied, but a torn record, or a torn watermark line, or one of the era before. */
Test(device, reading_only_what_was_torn_and_nothing_else)
{
    struct vmfs *fs = format();
    fill(fs);
    expect_ok(vmfs_close(fs));
    put_torn_record();
    expect_sound_view();
    expect_ok(open_device((struct vmfs_options){0}, &fs));
    expect_ok(vmfs_close(fs));
    uint8_t *bytes = device_bytes();
    const uint64_t lines[] = {LINE_A, LINE_B};
    for (int i = 0; i < 2; i++) {
        flip(lines[i] + offsetof(struct vm_watermark_media, blocks_free));
        expect_sound_view();
        expect_ok(open_device((struct vmfs_options){0}, &fs));
        expect_ok(vmfs_close(fs));
    }
    put(LINE_B, bytes + LINE_B, sizeof(struct vm_watermark_media));
    free(bytes);
    expect_sound_view();
}

/* A loss of power may take a record away and leave later ones, of other threads. */
Test(device, reading_only_what_has_a_gap)
{
    static const struct vm_record_media gone;
    struct vmfs *fs = format();
    fill(fs);
    for (unsigned i = 0; i < 500; i++)
        expect_ok(vmfs_chmod(fs, "/dir7", 0700 + i % 8));
    close_and_crash(fs);
    uint64_t last = find_last(UINT64_MAX);
    put(find_last(sequence_at(last)), &gone, sizeof gone);
    expect_sound_view();
}

Test(device, no_memory_for_a_view)
{
    struct vmfs *fs = format();
    fill(fs);
    close_and_crash(fs);
    uint8_t *bytes = device_bytes();
    at.has_no_memory = true;
    expect_code(open_device((struct vmfs_options){.flags = VMFS_RDONLY}, &fs), -ENOMEM);
    cr_assert_eq(at.log.reason, VMFS_R_VIEW_MEMORY);
    expect_bytes(bytes);
}

/* The kernel opens and maps such a device for writing, and the stores are lost. */
Test(device, one_that_takes_no_stores)
{
    struct vmfs *fs = format();
    fill(fs);
    close_and_crash(fs);
    at.is_read_only = true;
    expect_code(open_device((struct vmfs_options){0}, &fs), -EROFS);
    expect_code(open_device((struct vmfs_options){.flags = VMFS_CREATE | VMFS_FORCE}, &fs), -EROFS);
    cr_assert_eq(at.log.reason, VMFS_R_DEVICE_READ_ONLY);
    expect_ok(open_device((struct vmfs_options){.flags = VMFS_RDONLY}, &fs));
    cr_assert_eq(region_check(fs), 0);
    expect_ok(vmfs_close(fs));
}

Test(device, looking_on_and_sharing)
{
    struct vmfs *fs = format();
    struct vmfs *second;
    expect_code(open_device((struct vmfs_options){.wait_ms = VMFS_NO_WAIT}, &second), -EBUSY);
    expect_code(open_device((struct vmfs_options){.flags = VMFS_RDONLY}, &second), -EBUSY);
    expect_ok(open_device((struct vmfs_options){.flags = VMFS_RDONLY | VMFS_PEEK}, &second));
    expect_ok(vmfs_close(second));
    expect_ok(vmfs_close(fs));
    expect_ok(open_device((struct vmfs_options){.flags = VMFS_RDONLY}, &fs));
    expect_ok(open_device((struct vmfs_options){.flags = VMFS_RDONLY}, &second));
    expect_ok(vmfs_close(second));
    expect_ok(vmfs_close(fs));
}

/* The line of each kind of place, at both levels, says what is special there and is not cut off. */
Test(device, meanings)
{
    static const struct {
        enum vm_device_kind kind;
        uint32_t level;
        const char *backend;
        const char *wanted;
    } rows[] = {
        {VM_DEVICE_MEMORY, VMFS_DURABILITY_POWER, "pmem", "as far as the memory does"},
        {VM_DEVICE_MEMORY, VMFS_DURABILITY_PROCESS, "none", "sync calls add nothing"},
        {VM_DEVICE_FILE, VMFS_DURABILITY_POWER, "pmem", "as far as the memory does"},
        {VM_DEVICE_FILE, VMFS_DURABILITY_POWER, "sync", "an msync to the device"},
        {VM_DEVICE_FILE, VMFS_DURABILITY_PROCESS, "none", "sync calls reach the medium"},
        {VM_DEVICE_TMPFS, VMFS_DURABILITY_POWER, "pmem", "as far as the memory does"},
        {VM_DEVICE_TMPFS, VMFS_DURABILITY_POWER, "sync", "in memory (tmpfs)"},
        {VM_DEVICE_TMPFS, VMFS_DURABILITY_PROCESS, "none", "in memory (tmpfs)"},
        {VM_DEVICE_DAX_FILE, VMFS_DURABILITY_POWER, "pmem", "under the DAX mount"},
        {VM_DEVICE_DAX_FILE, VMFS_DURABILITY_POWER, "sync", "the host flushes"},
        {VM_DEVICE_DAX_FILE, VMFS_DURABILITY_PROCESS, "none", "process and guest"},
        {VM_DEVICE_DAX, VMFS_DURABILITY_POWER, "pmem", "the DAX device"},
        {VM_DEVICE_DAX, VMFS_DURABILITY_PROCESS, "pmem", "costs no system call"},
        {VM_DEVICE_BLOCK, VMFS_DURABILITY_POWER, "pmem", "as far as the memory does"},
        {VM_DEVICE_BLOCK, VMFS_DURABILITY_POWER, "sync", "an msync to the device"},
        {VM_DEVICE_BLOCK, VMFS_DURABILITY_PROCESS, "none", "sync calls reach the device"},
        {VM_DEVICE_PMEM_BLOCK, VMFS_DURABILITY_POWER, "pmem", "as far as the memory does"},
        {VM_DEVICE_PMEM_BLOCK, VMFS_DURABILITY_POWER, "sync", "fsdax, it needs none"},
        {VM_DEVICE_PMEM_BLOCK, VMFS_DURABILITY_PROCESS, "none", "fsdax, it is power"},
    };
    struct vmfs_info info;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct vmfs fs = {
            .kind = rows[i].kind, .durability = rows[i].level, .backend = rows[i].backend};
        const char *text = vm_durability_text(&fs);
        const char *level = rows[i].level == VMFS_DURABILITY_POWER ? "power: " : "process: ";
        cr_assert(text && strstr(text, rows[i].wanted), "row %zu: %s", i, text);
        cr_assert_eq(strncmp(text, level, strlen(level)), 0, "row %zu: %s", i, text);
        cr_assert_lt(strlen(text), sizeof info.meaning, "row %zu has %zu", i, strlen(text));
    }
}
