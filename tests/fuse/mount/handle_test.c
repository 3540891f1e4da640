/* handle_test.c -- handles of files as an NFS server keeps them: they outlive the mount and the name
 *
 * handle_test save MOUNT FILE...    prints a line for each path below MOUNT: its handle, then the path
 * handle_test open MOUNT LINES      each handle of the file LINES leads to what its path leads to
 * handle_test gone MOUNT LINES      each handle is ESTALE
 * handle_test forge MOUNT           handles that nobody gave out are ESTALE, whatever they hold */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HANDLE_BYTES 128

union kept {
    struct file_handle head;
    unsigned char room[sizeof(struct file_handle) + HANDLE_BYTES];
};

/* The handle's own bytes, which lie behind its head. */
static unsigned char *bytes_of(union kept *kept)
{
    return kept->room + sizeof(struct file_handle);
}

static int failures;

static void fail(const char *path, const char *what)
{
    printf("FAIL %s: %s (%s)\n", path, what, strerror(errno));
    failures++;
}

static void save(int mount_fd, const char *path)
{
    union kept kept = {.head = {.handle_bytes = HANDLE_BYTES}};
    int mount_id;
    if (name_to_handle_at(mount_fd, path, &kept.head, &mount_id, 0) != 0) {
        fail(path, "no handle");
        return;
    }
    printf("%d ", kept.head.handle_type);
    for (unsigned i = 0; i < kept.head.handle_bytes; i++)
        printf("%02x", bytes_of(&kept)[i]);
    printf(" %s\n", path);
}

static char *line_read(char *line, union kept *kept)
{
    char hex[2 * HANDLE_BYTES + 1];
    int used = 0;
    if (sscanf(line, "%d %256s %n", &kept->head.handle_type, hex, &used) < 2 || !used)
        return NULL;
    kept->head.handle_bytes = (unsigned)strlen(hex) / 2;
    for (unsigned i = 0; i < kept->head.handle_bytes; i++) {
        unsigned byte;
        sscanf(hex + (size_t)2 * i, "%2x", &byte);
        bytes_of(kept)[i] = (unsigned char)byte;
    }
    line[strcspn(line, "\n")] = '\0';
    return line + used;
}

static void check_open(int mount_fd, union kept *kept, const char *path)
{
    struct stat by_handle;
    struct stat by_path;
    int fd = open_by_handle_at(mount_fd, &kept->head, O_RDONLY | O_NONBLOCK);
    if (fd < 0) {
        fail(path, "its handle cannot be opened");
        return;
    }
    if (fstat(fd, &by_handle) != 0 || fstatat(mount_fd, path, &by_path, 0) != 0 ||
        by_handle.st_ino != by_path.st_ino || by_handle.st_mode != by_path.st_mode ||
        by_handle.st_size != by_path.st_size)
        fail(path, "its handle leads elsewhere");
    close(fd);
}

static void check_gone(int mount_fd, union kept *kept, const char *path)
{
    int fd = open_by_handle_at(mount_fd, &kept->head, O_RDONLY | O_NONBLOCK);
    if (fd >= 0 || errno != ESTALE)
        fail(path, "its handle is not stale");
    if (fd >= 0)
        close(fd);
}

static void each_line(int mount_fd, const char *lines,
                      void (*check)(int mount_fd, union kept *kept, const char *path))
{
    FILE *file = fopen(lines, "re");
    char *line = NULL;
    size_t room = 0;
    while (file && getline(&line, &room, file) > 0) {
        union kept kept = {.head = {.handle_bytes = 0}};
        char *path = line_read(line, &kept);
        if (path)
            check(mount_fd, &kept, path);
        else
            fail(line, "not a line of mine");
    }
    if (!file)
        fail(lines, "cannot be read");
    else
        fclose(file);
    free(line);
}

/* Of the root's handle the id is changed: 64 bits, then the generation of 32. */
static void forge(int mount_fd)
{
    static const uint64_t forged[] = {0,
                                      2,
                                      3,
                                      1000000,
                                      UINT32_MAX,
                                      (uint64_t)1 << 40,
                                      (uint64_t)1 << 40 | 1,
                                      (uint64_t)1 << 63,
                                      (uint64_t)0xffffff << 40 | 5,
                                      UINT64_MAX - 1,
                                      UINT64_MAX};
    for (size_t i = 0; i < sizeof forged / sizeof *forged; i++) {
        union kept kept = {.head = {.handle_bytes = HANDLE_BYTES}};
        int mount_id;
        char name[32];
        snprintf(name, sizeof name, "%#llx", (unsigned long long)forged[i]);
        if (name_to_handle_at(mount_fd, ".", &kept.head, &mount_id, 0) != 0) {
            fail(".", "no handle");
            return;
        }
        const uint32_t words[2] = {(uint32_t)(forged[i] >> 32), (uint32_t)forged[i]};
        memcpy(bytes_of(&kept), words, sizeof words);
        check_gone(mount_fd, &kept, name);
    }
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: handle_test save|open|gone|forge MOUNT [FILE...]\n");
        return 2;
    }
    int mount_fd = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (mount_fd < 0)
        fail(argv[2], "cannot be opened");
    else if (strcmp(argv[1], "forge") == 0)
        forge(mount_fd);
    for (int i = 3; mount_fd >= 0 && i < argc; i++) {
        if (strcmp(argv[1], "save") == 0)
            save(mount_fd, argv[i]);
        else
            each_line(mount_fd, argv[i], strcmp(argv[1], "open") == 0 ? check_open : check_gone);
    }
    return failures ? 1 : 0;
}
