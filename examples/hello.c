/* hello.c -- the first program: open a region or create it, write, read back, rename, list
 *
 * Usage: hello REGION. It can run any number of times on the same region. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <vmfs.h>

static const char greeting[] = "hello, memory\n";

/* Says what failed and why. Functions of the library return a negative errno value. */
static int failed(const char *what, int64_t err)
{
    fprintf(stderr, "hello: %s: %s\n", what, strerror((int)-err));
    return -1;
}

/* Opens the region, and makes it first if there is none. */
static int region_open(const char *path, struct vmfs **fs)
{
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    int err = vmfs_open(path, &options, fs);

    if (err == -ENOENT) {
        options.flags = VMFS_CREATE;
        options.region_bytes = 16 << 20;
        err = vmfs_open(path, &options, fs);
    }
    return err ? failed(path, err) : 0;
}

static int greeting_write(struct vmfs *fs)
{
    struct vmfs_file *file;
    int64_t written;
    int err =
        vmfs_file_open(fs, "/draft", VMFS_O_CREAT | VMFS_O_TRUNC | VMFS_O_WRONLY, 0644, &file);

    if (err)
        return failed("/draft", err);
    written = vmfs_file_write(file, greeting, strlen(greeting));
    vmfs_file_close(file);
    if (written < 0)
        return failed("/draft", written);

    /* The bytes are durable now: there is no flush to call. Nor is there a moment when a reader, or
     * a crash, could find /greeting half written: the new name comes with all of it. */
    err = vmfs_rename(fs, "/draft", "/greeting", 0);
    return err ? failed("/draft to /greeting", err) : 0;
}

static int greeting_read(struct vmfs *fs)
{
    char text[sizeof(greeting)] = "";
    struct vmfs_file *file;
    int64_t got;
    int err = vmfs_file_open(fs, "/greeting", VMFS_O_RDONLY, 0, &file);

    if (err)
        return failed("/greeting", err);
    got = vmfs_file_read(file, text, sizeof(text) - 1);
    vmfs_file_close(file);
    if (got < 0)
        return failed("/greeting", got);
    if (strcmp(text, greeting) != 0) {
        fprintf(stderr, "hello: /greeting does not hold what was written\n");
        return -1;
    }
    printf("%s", text);
    return 0;
}

static int root_list(struct vmfs *fs)
{
    struct vmfs_dirent entry;
    struct vmfs_dir *dir;
    int found = vmfs_dir_open(fs, "/", &dir);

    if (found < 0)
        return failed("/", found);
    while ((found = vmfs_dir_read(dir, &entry)) > 0)
        printf("%8" PRIu64 " %s\n", entry.ino, entry.name);
    vmfs_dir_close(dir);
    return found < 0 ? failed("/", found) : 0;
}

int main(int argc, char **argv)
{
    struct vmfs *fs;
    int err;

    if (argc != 2) {
        fprintf(stderr, "Usage: hello REGION\n");
        return 2;
    }
    if (region_open(argv[1], &fs))
        return 1;
    err = greeting_write(fs);
    if (!err)
        err = greeting_read(fs);
    if (!err)
        err = root_list(fs);
    if (vmfs_close(fs) || err)
        return 1;
    return 0;
}
