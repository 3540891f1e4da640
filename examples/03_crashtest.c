/* 03_crashtest.c -- a program's own promise, checked in every state that a power cut could leave
 *
 * The promise: after a crash the settings are the old ones or the new ones, whole. One way to save them
 * keeps it and one does not. Usage: crashtest. It needs no region: the library makes one in memory. */
#include <stdio.h>
#include <string.h>
#include <vmfs-crashtest.h>

static const char old_text[] = "color=blue\nsize=small\n";
static const char new_text[] = "color=green\nsize=large\n";

static int put(struct vmfs *fs, const char *path, const char *text)
{
    struct vmfs_file *file;
    if (vmfs_file_open(fs, path, VMFS_O_CREAT | VMFS_O_TRUNC | VMFS_O_WRONLY, 0600, &file) != 0)
        return -1;
    int64_t put = vmfs_file_write(file, text, strlen(text));
    return vmfs_file_close(file) || put != (int64_t)strlen(text) ? -1 : 0;
}

static int prepare(struct vmfs *fs, void *arg)
{
    (void)arg;
    return put(fs, "/settings", old_text);
}

/* Wrong: between the two calls inside put() the file is empty. */
static int save_in_place(struct vmfs *fs, void *arg)
{
    (void)arg;
    int err = put(fs, "/settings", new_text); /* the line that the report names is inside */
    vmfs_crashtest_promise(1);
    return err;
}

/* Right: all of the new text comes with the new name, in one step. */
static int save_beside(struct vmfs *fs, void *arg)
{
    (void)arg;
    int err = put(fs, "/settings.new", new_text);
    err = err ? err : vmfs_rename(fs, "/settings.new", "/settings", 0);
    vmfs_crashtest_promise(1);
    return err;
}

/* New settings once they were promised, old or new ones before. */
static int check(struct vmfs *fs, uint64_t promised, void *arg)
{
    (void)arg;
    char text[64] = "";
    struct vmfs_file *file;
    if (vmfs_file_open(fs, "/settings", VMFS_O_RDONLY, 0, &file) != 0)
        return 1;
    (void)vmfs_file_read(file, text, sizeof text - 1);
    vmfs_file_close(file);
    return strcmp(text, new_text) == 0 || (!promised && strcmp(text, old_text) == 0) ? 0 : 1;
}

static int try_it(const char *name, int (*run)(struct vmfs *fs, void *arg),
                  struct vmfs_crashtest_result *result)
{
    struct vmfs_crashtest test = VMFS_CRASHTEST_INIT;
    test.prepare = prepare;
    test.run = run;
    test.check = check;
    int err = vmfs_crashtest_run(&test, result);
    printf("%s: %llu states, %llu violations %s\n", name, (unsigned long long)result->states,
           (unsigned long long)result->violations, result->where);
    return err;
}

int main(void)
{
    struct vmfs_crashtest_result wrong;
    struct vmfs_crashtest_result right;
    if (try_it("save_in_place", save_in_place, &wrong) ||
        try_it("save_beside", save_beside, &right))
        return 2;
    return wrong.violations > 0 && right.violations == 0 ? 0 : 1;
}
