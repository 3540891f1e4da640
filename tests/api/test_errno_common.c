/* test_errno_common.c -- the errors that every call can return, on every call
 *
 * The table has each public call that takes a handle, with good arguments over a context that a test
 * spoils in one way. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "errno_case.h"

TestSuite(errno_common, .init = errno_set_up, .fini = errno_tear_down);

#define CALL_PATH    0x01u /* takes a path */
#define CALL_AT      0x02u /* takes a place */
#define CALL_CHANGES 0x04u
#define CALL_NEW     0x08u /* makes the name */
#define CALL_FILE    0x10u /* takes an open file */
#define CALL_READS   0x20u /* ... opened for reading */
#define CALL_WRITES  0x40u /* ... opened for writing */
#define CALL_DIR     0x80u

struct context {
    struct vmfs *fs;
    struct vmfs_file *file;
    struct vmfs_dir *dir;
    struct vmfs_at at;
};

struct call {
    const char *function;
    unsigned kind;
    int64_t (*run)(const struct context *context);
};

static const struct vmfs_attr mode = {.mask = VMFS_ATTR_MODE, .mode = 0600};
static const struct vmfs_iovec iov = {out.bytes, 8};
static const struct vmfs_iovec value = {(void *)(uintptr_t) "v", 1};

static int64_t run_closing(const struct context *context)
{
    return vmfs_closing(context->fs);
}

static int64_t run_info(const struct context *context)
{
    return vmfs_info(context->fs, &out.info);
}

static int64_t run_durability(const struct context *context)
{
    return vmfs_durability(context->fs);
}

static int64_t run_statfs(const struct context *context)
{
    return vmfs_statfs(context->fs, &out.statfs);
}

static int64_t run_sync(const struct context *context)
{
    return vmfs_sync(context->fs);
}

static int64_t run_counters(const struct context *context)
{
    return vmfs_counters(context->fs, VMFS_COUNTERS_HANDLE, &out.counters);
}

static int64_t run_check(const struct context *context)
{
    return vmfs_check(context->fs, NULL, NULL, &out.result);
}

static int64_t run_repair(const struct context *context)
{
    return vmfs_repair(context->fs, NULL, NULL, &out.result);
}

static void take_line(void *arg, const char *line)
{
    (void)arg;
    (void)line;
}

static int64_t run_dump(const struct context *context)
{
    return vmfs_dump(context->fs, VMFS_DUMP_SUPER, 0, take_line, NULL);
}

static void take_range(void *arg, const struct vmfs_map_range *range)
{
    (void)arg;
    (void)range;
}

static int64_t run_map(const struct context *context)
{
    return vmfs_map(context->fs, VMFS_NO_OFFSET, take_range, NULL);
}

static int64_t run_stat(const struct context *context)
{
    return vmfs_stat(context->fs, context->at.path, 0, &out.stat);
}

static int64_t run_stat_at(const struct context *context)
{
    return vmfs_stat_at(context->fs, context->at, 0, &out.stat);
}

static int64_t run_setattr(const struct context *context)
{
    return vmfs_setattr(context->fs, context->at.path, 0, &mode);
}

static int64_t run_setattr_at(const struct context *context)
{
    return vmfs_setattr_at(context->fs, context->at, 0, &mode);
}

static int64_t run_chmod(const struct context *context)
{
    return vmfs_chmod(context->fs, context->at.path, 0600);
}

static int64_t run_chown(const struct context *context)
{
    return vmfs_chown(context->fs, context->at.path, 1, 1);
}

static int64_t run_utimens(const struct context *context)
{
    return vmfs_utimens(context->fs, context->at.path, 1, 1);
}

static int64_t run_truncate(const struct context *context)
{
    return vmfs_truncate(context->fs, context->at.path, 1);
}

static int64_t run_mkdir(const struct context *context)
{
    return vmfs_mkdir(context->fs, context->at.path, 0755);
}

static int64_t run_mkdir_at(const struct context *context)
{
    return vmfs_mkdir_at(context->fs, context->at, 0755);
}

static int64_t run_mknod(const struct context *context)
{
    return vmfs_mknod(context->fs, context->at.path, 0644, 0);
}

static int64_t run_mknod_at(const struct context *context)
{
    return vmfs_mknod_at(context->fs, context->at, 0644, 0);
}

static int64_t run_symlink(const struct context *context)
{
    return vmfs_symlink(context->fs, "target", context->at.path);
}

static int64_t run_symlink_at(const struct context *context)
{
    return vmfs_symlink_at(context->fs, "target", context->at);
}

static int64_t run_readlink(const struct context *context)
{
    return vmfs_readlink(context->fs, context->at.path, out.bytes, sizeof(out.bytes));
}

static int64_t run_readlink_at(const struct context *context)
{
    return vmfs_readlink_at(context->fs, context->at, out.bytes, sizeof(out.bytes));
}

static int64_t run_link(const struct context *context)
{
    return vmfs_link(context->fs, "/file", context->at.path);
}

static int64_t run_link_at(const struct context *context)
{
    return vmfs_link_at(context->fs, vmfs_at(0, "/file"), context->at, 0);
}

static int64_t run_unlink(const struct context *context)
{
    return vmfs_unlink(context->fs, context->at.path);
}

static int64_t run_unlink_at(const struct context *context)
{
    return vmfs_unlink_at(context->fs, context->at);
}

static int64_t run_rmdir(const struct context *context)
{
    return vmfs_rmdir(context->fs, context->at.path);
}

static int64_t run_rmdir_at(const struct context *context)
{
    return vmfs_rmdir_at(context->fs, context->at);
}

static int64_t run_rename(const struct context *context)
{
    return vmfs_rename(context->fs, context->at.path, "/renamed", 0);
}

static int64_t run_rename_at(const struct context *context)
{
    return vmfs_rename_at(context->fs, context->at, vmfs_at(0, "/renamed"), 0);
}

static int64_t run_file_open(const struct context *context)
{
    return vmfs_file_open(context->fs, context->at.path, VMFS_O_CREAT | VMFS_O_RDWR, 0644,
                          &out.file);
}

static int64_t run_file_open_at(const struct context *context)
{
    return vmfs_file_open_at(context->fs, context->at, VMFS_O_CREAT | VMFS_O_RDWR, 0644, &out.file);
}

static int64_t run_dir_open(const struct context *context)
{
    return vmfs_dir_open(context->fs, context->at.path, &out.dir);
}

static int64_t run_dir_open_at(const struct context *context)
{
    return vmfs_dir_open_at(context->fs, context->at, &out.dir);
}

static int64_t run_xattr_set(const struct context *context)
{
    return vmfs_xattr_set(context->fs, context->at.path, 0, "user.a", "v", 1);
}

static int64_t run_xattr_set_at(const struct context *context)
{
    return vmfs_xattr_set_at(context->fs, context->at, 0, "user.a", "v", 1);
}

static int64_t run_xattr_get(const struct context *context)
{
    return vmfs_xattr_get(context->fs, context->at.path, 0, "user.a", out.bytes, sizeof(out.bytes));
}

static int64_t run_xattr_get_at(const struct context *context)
{
    return vmfs_xattr_get_at(context->fs, context->at, 0, "user.a", out.bytes, sizeof(out.bytes));
}

static int64_t run_xattr_list(const struct context *context)
{
    return vmfs_xattr_list(context->fs, context->at.path, 0, out.bytes, sizeof(out.bytes));
}

static int64_t run_xattr_list_at(const struct context *context)
{
    return vmfs_xattr_list_at(context->fs, context->at, 0, out.bytes, sizeof(out.bytes));
}

static int64_t run_xattr_remove(const struct context *context)
{
    return vmfs_xattr_remove(context->fs, context->at.path, 0, "user.there");
}

static int64_t run_xattr_remove_at(const struct context *context)
{
    return vmfs_xattr_remove_at(context->fs, context->at, 0, "user.there");
}

static int64_t run_access_at(const struct context *context)
{
    const struct vmfs_cred cred = {1, 1, NULL, 0};
    return vmfs_access_at(context->fs, context->at, 0, &cred, 0);
}

static int64_t run_lookup(const struct context *context)
{
    return vmfs_lookup(context->fs, context->at, &out.stat);
}

static int64_t run_make(const struct context *context)
{
    const struct vmfs_make what = {.mode = 0644};
    return vmfs_make(context->fs, context->at, &what, &out.stat);
}

static int64_t run_hold(const struct context *context)
{
    return vmfs_hold(context->fs, 0);
}

static int64_t run_release(const struct context *context)
{
    return vmfs_release(context->fs, 0, 1);
}

static int64_t run_dir_read_at(const struct context *context)
{
    return vmfs_dir_read_at(context->fs, 0, 2, &out.entry, &out.stat);
}

static int64_t run_file_link(const struct context *context)
{
    return vmfs_file_link(context->file, vmfs_at(0, "/linked"));
}

static int64_t run_file_pread(const struct context *context)
{
    return vmfs_file_pread(context->file, out.bytes, 8, 0);
}

static int64_t run_file_preadv(const struct context *context)
{
    return vmfs_file_preadv(context->file, &iov, 1, 0);
}

/* What a good call leaves is ended at once. */
static int64_t run_file_view(const struct context *context)
{
    struct vmfs_iovec pieces[1];
    unsigned count = 1;
    struct vmfs_view view;
    int64_t result = vmfs_file_view(context->file, 8, 0, pieces, &count, &view);
    if (result >= 0)
        vmfs_view_end(&view);
    return result;
}

static int64_t run_file_read(const struct context *context)
{
    return vmfs_file_read(context->file, out.bytes, 8);
}

static int64_t run_file_readv(const struct context *context)
{
    return vmfs_file_readv(context->file, &iov, 1);
}

static int64_t run_file_pwrite(const struct context *context)
{
    return vmfs_file_pwrite(context->file, "v", 1, 0);
}

static int64_t run_file_pwritev(const struct context *context)
{
    return vmfs_file_pwritev(context->file, &value, 1, 0);
}

static int64_t run_file_pwritev2(const struct context *context)
{
    return vmfs_file_pwritev2(context->file, &value, 1, 0, VMFS_RW_KILL_PRIV);
}

static int64_t run_file_write(const struct context *context)
{
    return vmfs_file_write(context->file, "v", 1);
}

static int64_t run_file_writev(const struct context *context)
{
    return vmfs_file_writev(context->file, &value, 1);
}

static int64_t run_file_allocate(const struct context *context)
{
    return vmfs_file_allocate(context->file, 0, 0, 8192);
}

static int64_t run_file_copy_range(const struct context *context)
{
    return vmfs_file_copy_range(context->file, 0, context->file, 50000, 8);
}

static int64_t run_file_copy_range2(const struct context *context)
{
    return vmfs_file_copy_range2(context->file, 0, context->file, 50000, 8, VMFS_RW_KILL_PRIV);
}

static int64_t run_file_seek(const struct context *context)
{
    return vmfs_file_seek(context->file, 0, VMFS_SEEK_END);
}

static int64_t run_file_stat(const struct context *context)
{
    return vmfs_file_stat(context->file, &out.stat);
}

static int64_t run_file_setattr(const struct context *context)
{
    return vmfs_file_setattr(context->file, &mode);
}

static int64_t run_file_truncate(const struct context *context)
{
    return vmfs_file_truncate(context->file, 1);
}

static int64_t run_file_sync(const struct context *context)
{
    return vmfs_file_sync(context->file);
}

static int64_t run_dir_read(const struct context *context)
{
    return vmfs_dir_read(context->dir, &out.entry);
}

static int64_t run_dir_seek(const struct context *context)
{
    return vmfs_dir_seek(context->dir, 0);
}

static const struct call calls[] = {
    {"vmfs_info", 0, run_info},
    {"vmfs_closing", 0, run_closing},
    {"vmfs_durability", 0, run_durability},
    {"vmfs_statfs", 0, run_statfs},
    {"vmfs_sync", 0, run_sync},
    {"vmfs_counters", 0, run_counters},
    {"vmfs_check", 0, run_check},
    {"vmfs_repair", 0, run_repair},
    {"vmfs_dump", 0, run_dump},
    {"vmfs_map", 0, run_map},
    {"vmfs_stat", CALL_PATH, run_stat},
    {"vmfs_stat_at", CALL_PATH | CALL_AT, run_stat_at},
    {"vmfs_setattr", CALL_PATH | CALL_CHANGES, run_setattr},
    {"vmfs_setattr_at", CALL_PATH | CALL_AT | CALL_CHANGES, run_setattr_at},
    {"vmfs_chmod", CALL_PATH | CALL_CHANGES, run_chmod},
    {"vmfs_chown", CALL_PATH | CALL_CHANGES, run_chown},
    {"vmfs_utimens", CALL_PATH | CALL_CHANGES, run_utimens},
    {"vmfs_truncate", CALL_PATH | CALL_CHANGES, run_truncate},
    {"vmfs_mkdir", CALL_PATH | CALL_CHANGES | CALL_NEW, run_mkdir},
    {"vmfs_mkdir_at", CALL_PATH | CALL_AT | CALL_CHANGES | CALL_NEW, run_mkdir_at},
    {"vmfs_mknod", CALL_PATH | CALL_CHANGES | CALL_NEW, run_mknod},
    {"vmfs_mknod_at", CALL_PATH | CALL_AT | CALL_CHANGES | CALL_NEW, run_mknod_at},
    {"vmfs_symlink", CALL_PATH | CALL_CHANGES | CALL_NEW, run_symlink},
    {"vmfs_symlink_at", CALL_PATH | CALL_AT | CALL_CHANGES | CALL_NEW, run_symlink_at},
    {"vmfs_readlink", CALL_PATH, run_readlink},
    {"vmfs_readlink_at", CALL_PATH | CALL_AT, run_readlink_at},
    {"vmfs_link", CALL_PATH | CALL_CHANGES | CALL_NEW, run_link},
    {"vmfs_link_at", CALL_PATH | CALL_AT | CALL_CHANGES | CALL_NEW, run_link_at},
    {"vmfs_unlink", CALL_PATH | CALL_CHANGES, run_unlink},
    {"vmfs_unlink_at", CALL_PATH | CALL_AT | CALL_CHANGES, run_unlink_at},
    {"vmfs_rmdir", CALL_PATH | CALL_CHANGES, run_rmdir},
    {"vmfs_rmdir_at", CALL_PATH | CALL_AT | CALL_CHANGES, run_rmdir_at},
    {"vmfs_rename", CALL_PATH | CALL_CHANGES, run_rename},
    {"vmfs_rename_at", CALL_PATH | CALL_AT | CALL_CHANGES, run_rename_at},
    {"vmfs_file_open", CALL_PATH | CALL_CHANGES | CALL_NEW, run_file_open},
    {"vmfs_file_open_at", CALL_PATH | CALL_AT | CALL_CHANGES | CALL_NEW, run_file_open_at},
    {"vmfs_dir_open", CALL_PATH, run_dir_open},
    {"vmfs_dir_open_at", CALL_PATH | CALL_AT, run_dir_open_at},
    {"vmfs_access_at", CALL_PATH | CALL_AT, run_access_at},
    {"vmfs_xattr_set", CALL_PATH | CALL_CHANGES, run_xattr_set},
    {"vmfs_xattr_set_at", CALL_PATH | CALL_AT | CALL_CHANGES, run_xattr_set_at},
    {"vmfs_xattr_get", CALL_PATH, run_xattr_get},
    {"vmfs_xattr_get_at", CALL_PATH | CALL_AT, run_xattr_get_at},
    {"vmfs_xattr_list", CALL_PATH, run_xattr_list},
    {"vmfs_xattr_list_at", CALL_PATH | CALL_AT, run_xattr_list_at},
    {"vmfs_xattr_remove", CALL_PATH | CALL_CHANGES, run_xattr_remove},
    {"vmfs_xattr_remove_at", CALL_PATH | CALL_AT | CALL_CHANGES, run_xattr_remove_at},
    {"vmfs_lookup", CALL_PATH | CALL_AT, run_lookup},
    {"vmfs_make", CALL_PATH | CALL_AT | CALL_CHANGES | CALL_NEW, run_make},
    {"vmfs_hold", 0, run_hold},
    {"vmfs_release", 0, run_release},
    {"vmfs_dir_read_at", 0, run_dir_read_at},
    {"vmfs_file_link", CALL_FILE | CALL_CHANGES, run_file_link},
    {"vmfs_file_pread", CALL_FILE | CALL_READS, run_file_pread},
    {"vmfs_file_preadv", CALL_FILE | CALL_READS, run_file_preadv},
    {"vmfs_file_view", CALL_FILE | CALL_READS, run_file_view},
    {"vmfs_file_read", CALL_FILE | CALL_READS, run_file_read},
    {"vmfs_file_readv", CALL_FILE | CALL_READS, run_file_readv},
    {"vmfs_file_pwrite", CALL_FILE | CALL_CHANGES | CALL_WRITES, run_file_pwrite},
    {"vmfs_file_pwritev2", CALL_FILE | CALL_CHANGES | CALL_WRITES, run_file_pwritev2},
    {"vmfs_file_pwritev", CALL_FILE | CALL_CHANGES | CALL_WRITES, run_file_pwritev},
    {"vmfs_file_write", CALL_FILE | CALL_CHANGES | CALL_WRITES, run_file_write},
    {"vmfs_file_writev", CALL_FILE | CALL_CHANGES | CALL_WRITES, run_file_writev},
    {"vmfs_file_allocate", CALL_FILE | CALL_CHANGES | CALL_WRITES, run_file_allocate},
    {"vmfs_file_copy_range2", CALL_FILE | CALL_CHANGES | CALL_WRITES, run_file_copy_range2},
    {"vmfs_file_copy_range", CALL_FILE | CALL_CHANGES | CALL_WRITES, run_file_copy_range},
    {"vmfs_file_seek", CALL_FILE, run_file_seek},
    {"vmfs_file_stat", CALL_FILE, run_file_stat},
    {"vmfs_file_setattr", CALL_FILE | CALL_CHANGES, run_file_setattr},
    {"vmfs_file_truncate", CALL_FILE | CALL_CHANGES | CALL_WRITES, run_file_truncate},
    {"vmfs_file_sync", CALL_FILE, run_file_sync},
    {"vmfs_dir_read", CALL_DIR, run_dir_read},
    {"vmfs_dir_seek", CALL_DIR, run_dir_seek},
};

#define CALLS (sizeof(calls) / sizeof(calls[0]))

static struct context good(void)
{
    struct context context = {fs, file_rw, dir, vmfs_at(0, "/file")};
    return context;
}

static void expect_call(const struct call *call, const struct context *context, int wanted)
{
    errno_begin();
    errno_end(call->function, wanted, call->run(context), __LINE__);
}

/* The calls of one kind, with one path. */
static void expect_path(unsigned kind, const char *path, int wanted)
{
    struct context context = good();
    context.at.path = path;
    for (size_t i = 0; i < CALLS; i++) {
        if ((calls[i].kind & kind) == kind)
            expect_call(&calls[i], &context, wanted);
    }
}

Test(errno_common, enoent)
{
    expect_path(CALL_PATH, "/missing/below", -ENOENT);
    struct context context = good();
    context.at.path = "/missing";
    for (size_t i = 0; i < CALLS; i++) {
        if ((calls[i].kind & CALL_PATH) != 0 && (calls[i].kind & CALL_NEW) == 0)
            expect_call(&calls[i], &context, -ENOENT);
    }
}

Test(errno_common, enotdir)
{
    expect_path(CALL_PATH, "/file/below", -ENOTDIR);
    expect_path(CALL_PATH, "/link/below", -ENOTDIR);
    expect_path(CALL_PATH, "/fifo/below", -ENOTDIR);
}

Test(errno_common, eloop)
{
    expect_path(CALL_PATH, "/loop/below", -ELOOP);
}

Test(errno_common, enametoolong)
{
    static char path[VMFS_PATH_MAX + 2];
    path[0] = '/';
    memset(path + 1, 'n', 256);
    expect_path(CALL_PATH, path, -ENAMETOOLONG);
    for (size_t i = 0; i < sizeof(path) - 1; i++)
        path[i] = i % 2 == 0 ? '/' : '.';
    expect_path(CALL_PATH, path, -ENAMETOOLONG);
}

/* An id that names nothing any more, and one that never did. */
Test(errno_common, estale_of_places)
{
    struct context context = good();
    const uint64_t ids[] = {dead, dead + ((uint64_t)1 << 44)};
    static const char *const paths[] = {"", "name"};
    for (unsigned form = 0; form < 4; form++) {
        context.at.dir = ids[form / 2];
        context.at.path = paths[form % 2];
        for (size_t i = 0; i < CALLS; i++) {
            bool is_named = (calls[i].kind & CALL_NEW) != 0 || strstr(calls[i].function, "name") ||
                            strstr(calls[i].function, "unlink") ||
                            strstr(calls[i].function, "rmdir");
            if ((calls[i].kind & CALL_AT) != 0 && (form % 2 == 1 || !is_named))
                expect_call(&calls[i], &context, -ESTALE);
        }
    }
}

Test(errno_common, einval_of_null_handles)
{
    struct context context = {.at = vmfs_at(0, "/file")};
    for (size_t i = 0; i < CALLS; i++)
        expect_call(&calls[i], &context, -EINVAL);
}

Test(errno_common, ebusy_of_repair)
{
    CASE(vmfs_repair, EBUSY, vmfs_repair(fs, NULL, NULL, &out.result));
}

Test(errno_common, einval_of_looking)
{
    CASE(vmfs_dump, EINVAL, vmfs_dump(fs, VMFS_DUMP_INODE, dead + 1000, take_line, NULL));
    CASE(vmfs_dump, EINVAL, vmfs_dump(fs, VMFS_DUMP_TREE, dead, take_line, NULL));
    CASE(vmfs_dump, EINVAL, vmfs_dump(fs, (enum vmfs_dump_what)99, 0, take_line, NULL));
    CASE(vmfs_dump, EINVAL, vmfs_dump(fs, VMFS_DUMP_BLOCK, (uint64_t)1 << 60, take_line, NULL));
    CASE(vmfs_map, EINVAL, vmfs_map(fs, (uint64_t)1 << 60, take_range, NULL));
}

Test(errno_common, einval_of_null_paths)
{
    expect_path(CALL_PATH, NULL, -EINVAL);
}

/* In a forked child every call fails, and tells the parent's region nothing. */
Test(errno_common, estale_after_fork)
{
    struct context context = good();
    pid_t pid = fork();
    if (pid == 0) {
        int wrong = 0;
        out.info.struct_bytes = sizeof(out.info);
        for (size_t i = 0; i < CALLS; i++) {
            int64_t got = calls[i].run(&context);
            if (got != -ESTALE) {
                fprintf(stderr, "%s returned %lld after fork\n", calls[i].function, (long long)got);
                wrong = 1;
            }
        }
        wrong |= vmfs_file_close(file_r) != 0 ? 2 : 0;
        wrong |= vmfs_file_close(file_w) != 0 || vmfs_file_close(file_rw) != 0 ? 2 : 0;
        wrong |= vmfs_dir_close(dir) != 0 ? 2 : 0;
        wrong |= vmfs_close(fs) != 0 ? 4 : 0;
        _exit(wrong);
    }
    int status = 0;
    cr_assert(waitpid(pid, &status, 0) == pid);
    cr_assert(status == 0, "status 0x%x", (unsigned)status);
}

/* While the thread has a view, every call fails, and so does the end of a handle; then all is as before. */
Test(errno_common, edeadlk)
{
    struct context context = good();
    struct vmfs_view view;
    struct vmfs_iovec piece;
    unsigned count = 1;
    expect_code(vmfs_file_view(file_rw, 8, 0, &piece, &count, &view), 8);
    errno_is_blind = true;
    for (size_t i = 0; i < CALLS; i++)
        expect_call(&calls[i], &context, -EDEADLK);
    CASE(vmfs_file_close, EDEADLK, vmfs_file_close(file_rw));
    CASE(vmfs_dir_close, EDEADLK, vmfs_dir_close(dir));
    CASE(vmfs_close, EBUSY, vmfs_close(fs));
    vmfs_view_end(&view);
    errno_is_blind = false;
    CASE(vmfs_file_open, ENOENT, vmfs_file_open(fs, "/none", VMFS_O_RDONLY, 0, &out.file));
}

static void close_all(void)
{
    expect_ok(vmfs_file_close(file_r));
    expect_ok(vmfs_file_close(file_w));
    expect_ok(vmfs_file_close(file_rw));
    expect_ok(vmfs_dir_close(dir));
    expect_ok(vmfs_close(fs));
}

static void open_all(uint32_t flags)
{
    int access = (flags & VMFS_RDONLY) != 0 ? VMFS_O_RDONLY : VMFS_O_RDWR;
    expect_ok(region_open(fixture.path, flags, &fixture.log, &fs));
    fixture.fs = fs;
    file_r = fixture_file(&fixture, "/file", VMFS_O_RDONLY);
    file_w = fixture_file(&fixture, "/file", access);
    file_rw = fixture_file(&fixture, "/other", access);
    expect_ok(vmfs_dir_open(fs, "/dir", &dir));
}

/* A file of a read-only handle is open for reading only: that, too, stands against writing. */
Test(errno_common, erofs)
{
    close_all();
    open_all(VMFS_RDONLY);
    struct context context = good();
    for (size_t i = 0; i < CALLS; i++) {
        context.at.path = (calls[i].kind & CALL_NEW) != 0 ? "/new" : "/file";
        if (strstr(calls[i].function, "rmdir"))
            context.at.path = "/empty";
        if ((calls[i].kind & CALL_CHANGES) == 0 || (calls[i].kind & CALL_WRITES) != 0)
            continue;
        expect_call(&calls[i], &context, -EROFS);
    }
    for (size_t i = 0; i < CALLS; i++) {
        int64_t got = (calls[i].kind & CALL_WRITES) != 0 ? calls[i].run(&context) : -EROFS;
        cr_assert(got == -EROFS || got == -EBADF, "%s returned %lld", calls[i].function,
                  (long long)got);
    }
    close_all();
    open_all(0);
}

/* Spoils all behind superblocks and journal, or puts it back. */
static void spoil_region(void)
{
    int fd = open(fixture.path, O_RDWR | O_CLOEXEC);
    struct stat stat;
    cr_assert(fd >= 0 && fstat(fd, &stat) == 0);
    struct vmfs_info info = {.struct_bytes = sizeof(info)};
    expect_ok(vmfs_info(fs, &info));
    size_t start = (size_t)(info.lane_count * info.lane_bytes + 8 * VMFS_BLOCK_SIZE);
    start = (start + VMFS_BLOCK_SIZE - 1) / VMFS_BLOCK_SIZE * VMFS_BLOCK_SIZE;
    size_t bytes = (size_t)stat.st_size;
    uint64_t *words = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    cr_assert(words != MAP_FAILED);
    for (size_t i = start / 8; i < bytes / 8; i++)
        words[i] ^= 0x0123456789abcdef;
    munmap(words, bytes);
    close(fd);
}

/* What needs no structure of the region cannot find it damaged. */
static bool needs_structure(const struct call *call)
{
    return (call->kind & (CALL_PATH | CALL_FILE)) != 0 &&
           strcmp(call->function, "vmfs_file_sync") != 0;
}

Test(errno_common, euclean)
{
    struct context context = good();
    expect_ok(vmfs_sync(fs));
    errno_is_blind = true;
    for (size_t i = 0; i < CALLS; i++) {
        spoil_region();
        context.fs = fs;
        context.file = file_rw;
        context.dir = dir;
        context.at.path = (calls[i].kind & CALL_NEW) != 0 ? "/new" : "/file";
        int64_t got = calls[i].run(&context);
        int64_t after = vmfs_mkdir(fs, "/after", 0755);
        spoil_region();
        cr_assert(!needs_structure(&calls[i]) || got == -EUCLEAN, "%s returned %lld on damage",
                  calls[i].function, (long long)got);
        cr_assert(!needs_structure(&calls[i]) || after == -EROFS || after == -EUCLEAN,
                  "a change after the damage that %s found returned %lld", calls[i].function,
                  (long long)after);
        if (got == -EUCLEAN) {
            close_all();
            open_all(0);
        }
    }
    errno_is_blind = false;
}

Test(errno_common, enospc)
{
    static char block[VMFS_BLOCK_SIZE];
    struct vmfs_file *filler = fixture_file(&fixture, "/filler", VMFS_O_CREAT | VMFS_O_RDWR);
    uint64_t at = 0;
    while (vmfs_file_pwrite(filler, block, sizeof(block), at) > 0)
        at += sizeof(block);
    CASE(vmfs_file_pwrite, ENOSPC, vmfs_file_pwrite(filler, block, sizeof(block), at));
    CASE(vmfs_file_allocate, ENOSPC, vmfs_file_allocate(filler, 0, at, 1 << 24));
    CASE(vmfs_file_copy_range, ENOSPC,
         vmfs_file_copy_range(file_rw, 0, filler, at + 65536, VMFS_BLOCK_SIZE));
    expect_ok(vmfs_file_seek(filler, (int64_t)at, VMFS_SEEK_SET) >= 0 ? 0 : -1);
    CASE(vmfs_file_write, ENOSPC, vmfs_file_write(filler, block, sizeof(block)));
    struct vmfs_iovec whole = {block, sizeof(block)};
    CASE(vmfs_file_writev, ENOSPC, vmfs_file_writev(filler, &whole, 1));
    CASE(vmfs_file_pwritev, ENOSPC, vmfs_file_pwritev(filler, &whole, 1, at));
    CASE(vmfs_file_pwritev2, ENOSPC, vmfs_file_pwritev2(filler, &whole, 1, at, 0));
    CASE(vmfs_file_copy_range2, ENOSPC,
         vmfs_file_copy_range2(file_rw, 0, filler, at + 65536, VMFS_BLOCK_SIZE, 0));
    expect_ok(vmfs_file_close(filler));
    expect_ok(vmfs_unlink(fs, "/filler"));
}
