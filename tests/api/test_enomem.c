/* test_enomem.c -- an allocator that fails: at each of its calls in turn */
#include <stdio.h>
#include <unistd.h>

#include "api/handle.h"
#include "api/platform.h"
#include "errno_case.h"

void __real_vm_platform_init(struct vmfs *made);
void __wrap_vm_platform_init(struct vmfs *made);

TestSuite(enomem, .init = errno_set_up, .fini = errno_tear_down);

static unsigned left = UINT32_MAX; /* allocations that succeed */
static void *(*real_alloc)(void *arg, size_t len_bytes);

void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);

static bool may_allocate(void)
{
    if (left == 0)
        return false;
    left--;
    return true;
}

/* What api/ takes from the C library, for handles. */
void *__wrap_calloc(size_t count, size_t bytes)
{
    return may_allocate() ? __real_calloc(count, bytes) : NULL;
}

void *__wrap_malloc(size_t bytes)
{
    return may_allocate() ? __real_malloc(bytes) : NULL;
}

static void *alloc_some(void *arg, size_t len_bytes)
{
    return may_allocate() ? real_alloc(arg, len_bytes) : NULL;
}

void __wrap_vm_platform_init(struct vmfs *made)
{
    __real_vm_platform_init(made);
    real_alloc = made->platform.alloc;
    made->platform.alloc = alloc_some;
}

Test(enomem, handles_of_files_and_directories)
{
    errno_is_blind = true;
    int create = VMFS_O_CREAT | VMFS_O_RDWR;
    for (unsigned i = 0; i < 2; i++) {
        left = i;
        CASE(vmfs_file_open, ENOMEM,
             vmfs_file_open(fs, "/closed/file", VMFS_O_RDONLY, 0, &out.file));
        left = i;
        CASE(vmfs_file_open, ENOMEM, vmfs_file_open(fs, "/new", create, 0644, &out.file));
        left = i;
        CASE(vmfs_dir_open, ENOMEM, vmfs_dir_open(fs, "/empty", &out.dir));
    }
    uint64_t sub = vmfs_dir_ino(dir);
    left = 0;
    CASE(vmfs_lookup, ENOMEM, vmfs_lookup(fs, vmfs_at(0, "/empty"), &out.stat));
    CASE(vmfs_hold, ENOMEM, vmfs_hold(fs, 0));
    const struct vmfs_make what = {.mode = VMFS_S_IFREG | 0644};
    CASE(vmfs_make, ENOMEM, vmfs_make(fs, vmfs_at(0, "/new"), &what, &out.stat));
    CASE(vmfs_dir_read_at, ENOMEM, vmfs_dir_read_at(fs, sub, 2, &out.entry, &out.stat));
    CASE(vmfs_stat, ENOENT, vmfs_stat(fs, "/new", 0, &out.stat));
    left = UINT32_MAX;
    errno_is_blind = false;
}

Test(enomem, checking_fails_at_each_allocation)
{
    unsigned count = 0;
    errno_is_blind = true;
    for (;; count++) {
        struct vmfs_check_result result;
        left = count;
        if (vmfs_check(fs, NULL, NULL, &result) == 0)
            break;
        left = count;
        CASE(vmfs_check, ENOMEM, vmfs_check(fs, NULL, NULL, &out.result));
    }
    left = UINT32_MAX;
    errno_is_blind = false;
    cr_assert(count >= 1 && count < 1000, "%u allocations", count);
}

static void take_range(void *arg, const struct vmfs_map_range *range)
{
    (void)arg;
    (void)range;
}

Test(enomem, mapping_fails_at_each_allocation)
{
    unsigned count = 0;
    errno_is_blind = true;
    for (;; count++) {
        left = count;
        if (vmfs_map(fs, 0, take_range, NULL) == 0)
            break;
        left = count;
        CASE(vmfs_map, ENOMEM, vmfs_map(fs, 0, take_range, NULL));
    }
    left = UINT32_MAX;
    errno_is_blind = false;
    cr_assert(count >= 1 && count < 1000, "%u allocations", count);
}

Test(enomem, opening_fails_at_each_allocation)
{
    unsigned count = 0;
    char path[REGION_PATH_MAX + 8];
    struct vmfs *second;
    snprintf(path, sizeof(path), "%s-x", fixture.path);
    expect_ok(region_format(path, 4 << 20, NULL, &second));
    expect_ok(vmfs_close(second));
    errno_is_blind = true;
    for (;; count++) {
        left = count;
        if (vmfs_open(path, NULL, &second) == 0)
            break;
        left = count;
        CASE(vmfs_open, ENOMEM, vmfs_open(path, NULL, &out.fs));
    }
    left = UINT32_MAX;
    errno_is_blind = false;
    cr_assert(count >= 1 && count < 1000, "%u allocations", count);
    expect_ok(vmfs_close(second));
    unlink(path);
}
