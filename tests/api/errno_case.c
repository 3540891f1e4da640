/* errno_case.c -- the region of the errno cases, and the look at it after each */
#include "errno_case.h"

#include <string.h>

struct outputs out;
struct fixture fixture;
struct vmfs *fs;
struct vmfs_file *file_r;
struct vmfs_file *file_w;
struct vmfs_file *file_rw;
struct vmfs_dir *dir;
uint64_t dead;
bool errno_is_blind;

static uint64_t digest_before;

static void set_flags(const char *path, uint32_t flags)
{
    struct vmfs_attr attr = {.mask = VMFS_ATTR_FLAGS, .flags = flags};
    expect_ok(vmfs_setattr(fs, path, 0, &attr));
}

static void make_sticky(void)
{
    struct vmfs_at at = vmfs_at(0, "/sticky/theirs");
    at.uid = at.gid = 1;
    expect_ok(vmfs_mkdir(fs, "/sticky", 01777));
    expect_ok(vmfs_mknod_at(fs, at, VMFS_S_IFREG | 0644, 0));
    at.path = "/sticky/dir";
    expect_ok(vmfs_mkdir_at(fs, at, 0755));
}

void errno_set_up(void)
{
    struct vmfs_file *file;
    errno_is_blind = false;
    fixture_open(&fixture, "errno", 16 * REGION_MIB);
    fs = fixture.fs;
    expect_ok(vmfs_mkdir(fs, "/dir", 0755));
    expect_ok(vmfs_mkdir(fs, "/dir/sub", 0755));
    expect_ok(vmfs_mkdir(fs, "/empty", 0755));
    expect_ok(region_put_file(fs, "/file", 100, 1));
    expect_ok(region_put_file(fs, "/other", 9000, 1));
    expect_ok(region_put_file(fs, "/frozen", 10, 1));
    expect_ok(region_put_file(fs, "/growing", 10, 1));
    expect_ok(vmfs_symlink(fs, "file", "/link"));
    expect_ok(vmfs_symlink(fs, "nowhere", "/dangling"));
    expect_ok(vmfs_symlink(fs, "loop", "/loop"));
    expect_ok(vmfs_mknod(fs, "/fifo", VMFS_S_IFIFO | 0644, 0));
    expect_ok(vmfs_mkdir(fs, "/closed", 0755));
    expect_ok(vmfs_mknod(fs, "/closed/file", 0644, 0));
    expect_ok(vmfs_xattr_set(fs, "/file", 0, "user.there", "value", 5));
    make_sticky();
    file = fixture_file(&fixture, "/gone", VMFS_O_CREAT | VMFS_O_RDWR);
    dead = vmfs_file_ino(file);
    expect_ok(vmfs_file_close(file));
    expect_ok(vmfs_unlink(fs, "/gone"));
    file_r = fixture_file(&fixture, "/file", VMFS_O_RDONLY);
    file_w = fixture_file(&fixture, "/file", VMFS_O_WRONLY);
    file_rw = fixture_file(&fixture, "/other", VMFS_O_RDWR);
    expect_ok(vmfs_dir_open(fs, "/dir", &dir));
    set_flags("/frozen", VMFS_INODE_IMMUTABLE);
    set_flags("/growing", VMFS_INODE_APPEND);
    set_flags("/closed", VMFS_INODE_IMMUTABLE);
}

void errno_tear_down(void)
{
    expect_ok(vmfs_file_close(file_r));
    expect_ok(vmfs_file_close(file_w));
    expect_ok(vmfs_file_close(file_rw));
    expect_ok(vmfs_dir_close(dir));
    fixture_close(&fixture);
}

void errno_begin(void)
{
    memset(&out, 0x5a, sizeof(out));
    digest_before = errno_is_blind ? 0 : region_digest(fs, "/");
    out.info.struct_bytes = sizeof(out.info);
}

void errno_end(const char *function, int wanted, int64_t got, int line)
{
    static struct outputs untouched;
    memset(&untouched, 0x5a, sizeof(untouched));
    untouched.info.struct_bytes = sizeof(untouched.info);
    cr_assert(got == wanted, "line %d: %s returned %lld (%s) instead of %d (%s)", line, function,
              (long long)got, got < 0 ? strerror((int)-got) : "a count", wanted, strerror(-wanted));
    cr_assert(memcmp(&out, &untouched, sizeof(out)) == 0,
              "line %d: %s failed and changed an output parameter", line, function);
    if (!errno_is_blind)
        cr_assert(region_digest(fs, "/") == digest_before,
                  "line %d: %s failed and changed the region", line, function);
}
