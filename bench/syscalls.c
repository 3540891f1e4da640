/* syscalls.c -- how many system calls another process makes */
#include "syscalls.h"

#include <dirent.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int read_number(const char *path, uint64_t *out)
{
    FILE *file = fopen(path, "r");
    unsigned long long number;

    if (file == NULL)
        return -errno;
    int found = fscanf(file, "%llu", &number);
    fclose(file);
    if (found != 1)
        return -EIO;
    *out = number;
    return 0;
}

#define ENTRY_ID "events/raw_syscalls/sys_enter/id"

/* The number that this kernel gave to the tracepoint. Where tracefs is not mounted it is, for this. */
static int entry_id(const char *scratch_path, uint64_t *out)
{
    char folder[128];
    char path[192];

    if (read_number("/sys/kernel/tracing/" ENTRY_ID, out) == 0)
        return 0;
    snprintf(folder, sizeof(folder), "%s/tracing", scratch_path);
    if (mkdir(folder, 0700) != 0)
        return -errno;
    int err = mount("tracefs", folder, "tracefs", 0, NULL) == 0 ? 0 : -errno;
    if (err == 0) {
        snprintf(path, sizeof(path), "%s/" ENTRY_ID, folder);
        err = read_number(path, out);
        umount2(folder, MNT_DETACH);
    }
    rmdir(folder);
    return err;
}

static int count_thread(struct syscalls *counter, uint64_t id, pid_t thread)
{
    struct perf_event_attr attr = {
        .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr), .config = id, .inherit = 1};

    if (counter->count == SYSCALLS_THREADS_MAX)
        return -E2BIG;
    long fd = syscall(SYS_perf_event_open, &attr, thread, -1, -1, PERF_FLAG_FD_CLOEXEC);
    if (fd < 0)
        return errno == ESRCH ? 0 : -errno;
    counter->fds[counter->count++] = (int)fd;
    return 0;
}

int syscalls_begin(struct syscalls *counter, pid_t pid, const char *scratch_path)
{
    char path[64];
    uint64_t id;

    counter->count = 0;
    int err = entry_id(scratch_path, &id);
    if (err != 0)
        return err;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    if (tasks == NULL)
        return -errno;
    for (struct dirent *task; err == 0 && (task = readdir(tasks)) != NULL;) {
        pid_t thread = (pid_t)atoi(task->d_name);

        if (thread > 0)
            err = count_thread(counter, id, thread);
    }
    closedir(tasks);
    if (err != 0)
        syscalls_end(counter);
    return err;
}

uint64_t syscalls_read(const struct syscalls *counter)
{
    uint64_t total = 0;

    for (unsigned i = 0; i < counter->count; i++) {
        uint64_t value = 0;

        if (read(counter->fds[i], &value, sizeof(value)) == sizeof(value))
            total += value;
    }
    return total;
}

void syscalls_end(struct syscalls *counter)
{
    for (unsigned i = 0; i < counter->count; i++)
        close(counter->fds[i]);
    counter->count = 0;
}
