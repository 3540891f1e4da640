/* mount.c -- vmfs-fuse and its peer, mounted for as long as a run takes */
#include "mount.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS_MAX 10000
#define WAIT_MS     2

static void sleep_ms(long ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&pause, NULL);
}

static int explain(char *why, const char *what, int err)
{
    snprintf(why, MOUNT_WHY_BYTES, "%s: %s", what, strerror(-err));
    return err;
}

/* Runs the program as a child with its own process group, which a Ctrl-C of the terminal does not
 * reach: this process decides when it ends. Output goes to standard error. */
static pid_t start_program(char *const argv[])
{
    pid_t parent = getpid();
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(127);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    execvp(argv[0], argv);
    fprintf(stderr, "vmfs-bench: %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static bool is_fuse_there(const char *folder)
{
    struct statfs info;

    return statfs(folder, &info) == 0 && (unsigned long)info.f_type == FUSE_SUPER_MAGIC;
}

static bool has_ended(struct mounted *mounted)
{
    if (mounted->pid > 0 && waitpid(mounted->pid, NULL, WNOHANG) == mounted->pid)
        mounted->pid = 0;
    return mounted->pid <= 0;
}

static int wait_for_mount(struct mounted *mounted)
{
    for (int waited = 0; waited < WAIT_MS_MAX; waited += WAIT_MS) {
        if (is_fuse_there(mounted->folder))
            return 0;
        if (has_ended(mounted))
            return -ECHILD;
        sleep_ms(WAIT_MS);
    }
    return -ETIMEDOUT;
}

static int open_mount(struct mounted *mounted, char *const argv[])
{
    mounted->pid = start_program(argv);
    int err = mounted->pid < 0 ? -errno : wait_for_mount(mounted);

    if (err != 0)
        return err;
    mounted->is_mounted = true;
    mounted->fs.root_fd = open(mounted->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (mounted->fs.root_fd < 0)
        return -errno;
    mounted->fs.calls = &fs_system_calls;
    return 0;
}

static int mount_program(struct mounted *mounted, const char *name, char *const argv[], char *why)
{
    mounted->fs.name = name;
    int err = mkdir(mounted->folder, 0755) == 0 ? 0 : -errno;

    if (err != 0)
        return explain(why, mounted->folder, err);
    err = open_mount(mounted, argv);
    if (err == 0)
        return 0;
    mount_end(mounted);
    snprintf(why, MOUNT_WHY_BYTES, "%s does not mount (%s)", argv[0],
             err == -ECHILD ? "it ended" : strerror(-err));
    return err;
}

static int check_device(char *why)
{
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return explain(why, "/dev/fuse", -errno);
    close(fd);
    return 0;
}

int mount_ours(const struct bench_env *env, const char *options, struct mounted *out, char *why)
{
    char words[MOUNT_WHY_BYTES];
    char region[sizeof(out->folder)];

    *out = (struct mounted){.fs.root_fd = -1};
    snprintf(out->folder, sizeof(out->folder), "%s/ours", env->scratch_path);
    snprintf(region, sizeof(region), "%s/mounted", env->scratch_path);
    int err = check_device(why);

    if (err == 0 && access(BENCH_VMFS_FUSE, X_OK) != 0)
        err = explain(why, BENCH_VMFS_FUSE, -errno);
    if (err != 0)
        return err;
    snprintf(words, sizeof(words), "size=" MOUNT_REGION_BYTES "%s%s", options == NULL ? "" : ",",
             options == NULL ? "" : options);
    char *argv[] = {BENCH_VMFS_FUSE, "--foreground", "-o", words, region, out->folder, NULL};

    err = mount_program(out, "vmfs-fuse", argv, why);
    unlink(region); /* a run that is killed leaves no gigabyte */
    return err;
}

/* Exit status of peer.sh where the sources of the examples are not installed. */
#define PEER_HAS_NO_SOURCE 77

static int build_peer(char *why)
{
    char *argv[] = {BENCH_SOURCE_DIR "/peer.sh", BENCH_BUILD_DIR, NULL};
    int status = 0;
    pid_t pid = start_program(argv);

    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return explain(why, argv[0], -errno);
    if (status == 0)
        return 0;
    bool is_missing = WIFEXITED(status) && WEXITSTATUS(status) == PEER_HAS_NO_SOURCE;

    snprintf(why, MOUNT_WHY_BYTES, "the peer passthrough_ll %s",
             is_missing ? "is not among the examples of libfuse3-dev" : "does not build");
    return -ENOENT;
}

int mount_peer(const struct bench_env *env, struct mounted *out, char *why)
{
    char source[sizeof("source=") + sizeof(out->folder)];

    *out = (struct mounted){.fs.root_fd = -1};
    snprintf(out->folder, sizeof(out->folder), "%s/peer", env->scratch_path);
    snprintf(source, sizeof(source), "source=%s/below", env->scratch_path);
    int err = check_device(why);

    if (err == 0)
        err = build_peer(why);
    if (err == 0 && mkdir(source + strlen("source="), 0755) != 0)
        err = explain(why, source, -errno);
    if (err != 0)
        return err;
    char *argv[] = {BENCH_BUILD_DIR "/passthrough_ll", "-f", "-o", source, out->folder, NULL};

    return mount_program(out, "passthrough_ll", argv, why);
}

static void await_end(struct mounted *mounted)
{
    for (int waited = 0; waited < WAIT_MS_MAX && !has_ended(mounted); waited += WAIT_MS)
        sleep_ms(WAIT_MS);
    if (mounted->pid <= 0)
        return;
    fprintf(stderr, "vmfs-bench: %s does not end and is killed\n", mounted->fs.name);
    kill(mounted->pid, SIGKILL);
    waitpid(mounted->pid, NULL, 0);
    mounted->pid = 0;
}

void mount_end(struct mounted *mounted)
{
    if (mounted->fs.root_fd >= 0)
        close(mounted->fs.root_fd);
    mounted->fs.root_fd = -1;
    if (mounted->pid > 0) {
        kill(mounted->pid, SIGTERM);
        await_end(mounted);
    }
    /* Of a daemon that was killed. */
    if (mounted->is_mounted && is_fuse_there(mounted->folder))
        umount2(mounted->folder, MNT_DETACH);
    mounted->is_mounted = false;
}

int mount_place(const struct mounted *mounted, const cpu_set_t *cpus)
{
    char path[64];
    int err = 0;

    snprintf(path, sizeof(path), "/proc/%d/task", (int)mounted->pid);
    DIR *tasks = opendir(path);
    if (tasks == NULL)
        return -errno;
    for (struct dirent *task; err == 0 && (task = readdir(tasks)) != NULL;) {
        pid_t id = (pid_t)atoi(task->d_name);

        /* A thread may end meanwhile. */
        if (id > 0 && sched_setaffinity(id, sizeof(*cpus), cpus) != 0 && errno != ESRCH)
            err = -errno;
    }
    closedir(tasks);
    return err;
}
