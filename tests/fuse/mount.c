/* mount.c -- starting, ending and killing vmfs-fuse */
#include "mount.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 15000

/* The last words of a command line, of which the first ends it where there are none. */
#define OPTIONS_OF(mount) ((mount)->options != NULL ? "-o" : NULL), (mount)->options

/* The one mount that is cleared when the test ends; its creator clears, no child. */
static struct mount *current;
static pid_t creator;

static void clear_current(void)
{
    if (current == NULL || getpid() != creator)
        return;
    if (current->daemon > 0)
        kill(current->daemon, SIGKILL);
    while (umount2(current->dir, MNT_DETACH) == 0)
        continue;
}

static void end_by_signal(int signal_number)
{
    clear_current();
    _exit(128 + signal_number);
}

static void sleep_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* Reaps what has ended. False if a child is left: a process of the mount. */
static bool reap(void)
{
    for (;;) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid < 0)
            return true;
        if (pid == 0)
            return false;
    }
}

static bool wait_for_processes(const struct mount *mount)
{
    for (long waited = 0; waited < WAIT_MS; waited += 5) {
        if (reap())
            return true;
        sleep_ms(5);
    }
    printf("a process of the mount at %s has not ended in %d ms\n", mount->dir, WAIT_MS);
    return false;
}

/* True if the process has the kernel's end of a mount open. */
static bool is_daemon(pid_t pid)
{
    char path[64];
    char target[64];
    bool found = false;
    snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    DIR *dir = opendir(path);
    const struct dirent *entry;
    while (dir != NULL && !found && (entry = readdir(dir)) != NULL) {
        ssize_t bytes = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
        target[bytes > 0 ? bytes : 0] = '\0';
        found = strcmp(target, "/dev/fuse") == 0;
    }
    if (dir != NULL)
        closedir(dir);
    return found;
}

/* The first child of this process that `is_wanted`, or 0. */
static pid_t find_child(bool (*is_wanted)(pid_t))
{
    char path[64];
    int pid;
    pid_t found = 0;
    snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
    FILE *children = fopen(path, "r");
    while (children != NULL && found == 0 && fscanf(children, "%d", &pid) == 1)
        found = is_wanted(pid) ? pid : 0;
    if (children != NULL)
        fclose(children);
    return found;
}

static bool kill_any(pid_t pid)
{
    kill(pid, SIGKILL);
    return false;
}

static pid_t start_program(const char *const *arguments)
{
    pid_t pid = fork();
    if (pid == 0) {
        execvp(arguments[0], (char *const *)arguments);
        perror(arguments[0]);
        _exit(127);
    }
    return pid;
}

static int run_program(const char *const *arguments)
{
    int status = 0;
    pid_t pid = start_program(arguments);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return status;
}

bool mount_create(struct mount *mount, const char *program, const char *options, uint64_t bytes)
{
    struct vmfs *fs;
    struct region_log log;
    *mount = (struct mount){.program = program, .options = options};
    region_path(mount->region, "mount");
    snprintf(mount->dir, sizeof(mount->dir), "%.240s.dir", mount->region);
    int err = region_format(mount->region, bytes, &log, &fs);
    if (err == 0)
        err = vmfs_close(fs);
    if (err != 0 || mkdir(mount->dir, 0755) != 0) {
        printf("no region at %s: %s\n", mount->region, err != 0 ? log.text : strerror(errno));
        return false;
    }
    current = mount;
    creator = getpid();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    atexit(clear_current);
    signal(SIGINT, end_by_signal);
    signal(SIGTERM, end_by_signal);
    return true;
}

/* A dead mount must not stay below the new one. */
static bool is_mounted_once(const struct mount *mount)
{
    char wanted[REGION_PATH_MAX + 8];
    char line[1024];
    unsigned count = 0;
    snprintf(wanted, sizeof(wanted), " %s ", mount->dir);
    FILE *table = fopen("/proc/self/mounts", "r");
    while (table != NULL && fgets(line, sizeof(line), table) != NULL)
        count += strstr(line, wanted) != NULL ? 1 : 0;
    if (table != NULL)
        fclose(table);
    if (count != 1)
        printf("%u filesystems are mounted at %s\n", count, mount->dir);
    return count == 1;
}

bool mount_start(struct mount *mount)
{
    const char *arguments[] = {mount->program, mount->region,  mount->dir,
                               "-o",           mount->options, NULL};
    if (mount->options == NULL)
        arguments[3] = NULL;
    int status = run_program(arguments);
    mount->daemon = status == 0 ? find_child(is_daemon) : 0;
    if (mount->daemon != 0)
        return is_mounted_once(mount);
    printf("%s %s %s: %s (status 0x%x)\n", mount->program, mount->region, mount->dir,
           status == 0 ? "returned and left no daemon" : "failed", (unsigned)status);
    return false;
}

bool mount_start_cut(struct mount *mount, uint64_t after_ns)
{
    const char *arguments[] = {mount->program, mount->region, mount->dir, OPTIONS_OF(mount), NULL};
    start_program(arguments);
    struct timespec time = {0, (long)after_ns};
    nanosleep(&time, NULL);
    for (long waited = 0; waited < WAIT_MS; waited++) {
        find_child(kill_any);
        if (reap())
            return true;
        sleep_ms(1);
    }
    printf("a process that mounts %s outlives SIGKILL\n", mount->dir);
    return false;
}

bool mount_end(struct mount *mount)
{
    const char *const arguments[] = {"fusermount3", "-u", mount->dir, NULL};
    if (run_program(arguments) != 0) {
        printf("%s cannot be unmounted\n", mount->dir);
        return false;
    }
    bool is_good = wait_for_processes(mount);
    mount->daemon = is_good ? 0 : mount->daemon;
    return is_good;
}

bool mount_killed(struct mount *mount)
{
    bool is_good = wait_for_processes(mount);
    mount->daemon = is_good ? 0 : mount->daemon;
    return is_good;
}

struct vmfs *mount_look(const struct mount *mount)
{
    struct vmfs *fs = NULL;
    static struct region_log log; /* the handle tells it as long as it lives */
    int err = region_open(mount->region, VMFS_RDONLY, &log, &fs);
    if (err != 0)
        printf("open of %s returned %d: %s\n", mount->region, err, log.text);
    return err == 0 ? fs : NULL;
}

bool mount_check(const struct mount *mount)
{
    struct vmfs *fs = mount_look(mount);
    if (fs == NULL)
        return false;
    int64_t problems = region_check(fs);
    if (problems != 0)
        printf("vmfs_check found %lld problems\n", (long long)problems);
    return vmfs_close(fs) == 0 && problems == 0;
}

void mount_destroy(struct mount *mount, bool is_kept)
{
    clear_current();
    current = NULL;
    rmdir(mount->dir);
    if (is_kept)
        printf("the region is kept at %s\n", mount->region);
    else
        unlink(mount->region);
}
