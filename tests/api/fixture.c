/* fixture.c -- a fresh region for each test */
#include "fixture.h"

#include <string.h>
#include <unistd.h>

void expect_code_at(int64_t got, int64_t wanted, const char *call, const char *file, int line)
{
    cr_assert(got == wanted, "%s:%d: %s returned %lld (%s) instead of %lld", file, line, call,
              (long long)got, got < 0 ? strerror((int)-got) : "a count", (long long)wanted);
}

void fixture_open(struct fixture *fixture, const char *name, uint64_t bytes)
{
    memset(fixture, 0, sizeof(*fixture));
    region_path(fixture->path, name);
    int err = region_format(fixture->path, bytes, &fixture->log, &fixture->fs);
    cr_assert(err == 0, "format of %s returned %d: %s", fixture->path, err, fixture->log.text);
}

void fixture_close(struct fixture *fixture)
{
    expect_ok(region_check(fixture->fs));
    expect_ok(vmfs_close(fixture->fs));
    unlink(fixture->path);
}

void fixture_reopen(struct fixture *fixture)
{
    expect_ok(vmfs_close(fixture->fs));
    int err = region_open(fixture->path, 0, &fixture->log, &fixture->fs);
    cr_assert(err == 0, "open of %s returned %d: %s", fixture->path, err, fixture->log.text);
}

struct vmfs_file *fixture_file(struct fixture *fixture, const char *path, int flags)
{
    struct vmfs_file *file = NULL;
    int err = vmfs_file_open(fixture->fs, path, flags, 0644, &file);
    cr_assert(err == 0, "open of %s returned %d", path, err);
    return file;
}

struct vmfs_stat fixture_stat(struct fixture *fixture, const char *path)
{
    struct vmfs_stat stat;
    int err = vmfs_stat(fixture->fs, path, VMFS_NOFOLLOW, &stat);
    cr_assert(err == 0, "stat of %s returned %d", path, err);
    return stat;
}
