/* 02_attach.c -- a filesystem over memory that the program mapped itself
 *
 * vmfs_attach() takes any address: here anonymous memory, which lives as long as the process. The
 * same call serves memory shared with another process, a guest's memory, or a DAX mapping. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <vmfs.h>

#define REGION_BYTES ((size_t)8 << 20)
#define FILE_COUNT   10

static int failed(const char *what, int64_t err)
{
    fprintf(stderr, "attach: %s: %s\n", what, strerror((int)-err));
    return -1;
}

static int file_write(struct vmfs *fs, const char *path)
{
    struct vmfs_file *file;
    int64_t written;
    int err = vmfs_file_open(fs, path, VMFS_O_CREAT | VMFS_O_EXCL | VMFS_O_WRONLY, 0600, &file);

    if (err)
        return failed(path, err);
    written = vmfs_file_write(file, path, strlen(path));
    vmfs_file_close(file);
    return written < 0 ? failed(path, written) : 0;
}

/* Each file holds its own path. */
static int file_check(struct vmfs *fs, const char *path)
{
    char text[32] = "";
    struct vmfs_file *file;
    int64_t got;
    int err = vmfs_file_open(fs, path, VMFS_O_RDONLY, 0, &file);

    if (err)
        return failed(path, err);
    got = vmfs_file_read(file, text, sizeof(text) - 1);
    vmfs_file_close(file);
    if (got < 0)
        return failed(path, got);
    if (strcmp(text, path) != 0) {
        fprintf(stderr, "attach: %s holds '%s'\n", path, text);
        return -1;
    }
    return 0;
}

static int files_each(struct vmfs *fs, int (*act)(struct vmfs *fs, const char *path))
{
    char path[32];
    int i;

    for (i = 0; i < FILE_COUNT; i++) {
        snprintf(path, sizeof(path), "/file-%d", i);
        if (act(fs, path))
            return -1;
    }
    return 0;
}

/* Attaches, does one thing with all files, and detaches: the memory stays as it is. */
static int session(void *memory, uint32_t flags, int (*act)(struct vmfs *fs, const char *path))
{
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    struct vmfs *fs;
    int result;
    int err;

    options.flags = flags;
    err = vmfs_attach(memory, REGION_BYTES, &options, &fs);
    if (err)
        return failed("the region", err);
    result = files_each(fs, act);
    err = vmfs_close(fs);
    return err ? failed("closing the region", err) : result;
}

int main(void)
{
    void *memory =
        mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int err;

    if (memory == MAP_FAILED) {
        perror("attach: mmap");
        return 1;
    }
    /* New anonymous memory reads as zero: saying so saves formatting from clearing it. */
    err = session(memory, VMFS_CREATE | VMFS_ZEROED, file_write);
    if (!err)
        err = session(memory, 0, file_check);
    if (!err)
        err = session(memory, VMFS_RDONLY, file_check);
    munmap(memory, REGION_BYTES);
    if (err)
        return 1;
    printf("%d files written, and read after attaching again\n", FILE_COUNT);
    return 0;
}
