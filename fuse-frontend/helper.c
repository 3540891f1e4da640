/* helper.c -- a child that waits for a word */
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mounts.h"

enum { WORD_UNMOUNT = 'u', WORD_MOUNTED = 'm', WORD_GROUP = 'g', WORD_END = 'x' };

#define MESSAGE_BYTES  64
#define ANSWER_WAIT_MS 1000

static int helper_fd = -1;
static pthread_mutex_t asking = PTHREAD_MUTEX_INITIALIZER;

struct duty {
    const char *mountpoint;
    bool is_auto;
    pid_t daemon;
    char device[MESSAGE_BYTES];
};

static bool is_ours(const struct duty *duty)
{
    struct mount mount;
    return mount_find(duty->mountpoint, &mount) && strcmp(mount.type, MOUNT_TYPE) == 0 &&
           strcmp(mount.device, duty->device) == 0;
}

static void sync_mount(const char *mountpoint)
{
    int fd = open(mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)syncfs(fd);
    close(fd);
}

/* True while the daemon has its end of the socket. */
static bool is_heard(int fd)
{
    struct pollfd poll_ = {.fd = fd};
    return poll(&poll_, 1, 0) >= 0 && !(poll_.revents & POLLHUP);
}

/* The number of a device is given to the next mount when it is free: one of ours whose daemon has gone is dead. */
static bool is_mine_still(const struct duty *duty, int fd)
{
    return is_ours(duty) && (is_heard(fd) || mount_is_dead(duty->mountpoint));
}

/* Unmounting makes the kernel write what it holds back. Where the mount is in use, that is asked for
 * before it is only detached, and the daemon told not to wait for those who use it. */
static void unmount(const struct duty *duty, int fd)
{
    if (!is_mine_still(duty, fd) || mount_remove(duty->mountpoint, false) == 0)
        return;
    sync_mount(duty->mountpoint);
    if (!is_mine_still(duty, fd)) /* syncing may have taken long */
        return;
    mount_remove(duty->mountpoint, true);
    if (is_heard(fd))
        kill(duty->daemon, HELPER_DETACHED_SIGNAL);
}

/* In a child, as the daemon may have questions before it has answered all that unmounting asks of it. */
static void unmount_aside(const struct duty *duty, int fd)
{
    pid_t child = fork();
    if (child > 0)
        return;
    unmount(duty, fd);
    if (child == 0)
        _exit(0);
}

static bool is_listed(const char *groups, unsigned gid)
{
    char *end;
    for (unsigned long one = strtoul(groups, &end, 10); end != groups;
         one = strtoul(groups, &end, 10)) {
        if (one == gid)
            return true;
        groups = end;
    }
    return false;
}

struct answer {
    unsigned number; /* of the question */
    unsigned is_in;
};

/* "NUMBER PID GID". */
static void answer_group(int fd, const char *question)
{
    struct answer answer = {0, 0};
    int pid;
    unsigned gid;
    char path[32];
    char *line = NULL;
    size_t room = 0;
    if (sscanf(question, "%u %d %u", &answer.number, &pid, &gid) != 3)
        return;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *status = fopen(path, "re");
    while (status && getline(&line, &room, status) > 0)
        if (strncmp(line, "Groups:", 7) == 0)
            answer.is_in = is_listed(line + 7, gid);
    free(line);
    if (status)
        fclose(status);
    (void)send(fd, &answer, sizeof answer, MSG_NOSIGNAL);
}

static void listen_to(int fd, struct duty *duty)
{
    char message[MESSAGE_BYTES];
    for (;;) {
        ssize_t got = recv(fd, message, sizeof message - 1, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        message[got] = '\0';
        if (message[0] == WORD_END)
            return;
        if (message[0] == WORD_MOUNTED)
            memcpy(duty->device, message + 1, (size_t)got);
        if (message[0] == WORD_UNMOUNT)
            unmount_aside(duty, fd);
        if (message[0] == WORD_GROUP)
            answer_group(fd, message + 1);
    }
    if (duty->is_auto && is_mine_still(duty, fd))
        mount_remove(duty->mountpoint, true);
}

/* Keeps nothing but the socket: whoever waits for the output of the daemon does not wait for this. */
static void leave_all_but(int fd)
{
    int null_fd = open("/dev/null", O_RDWR);
    for (int i = 0; i <= STDERR_FILENO; i++)
        dup2(null_fd, i);
    if (fd > STDERR_FILENO + 1)
        close_range(STDERR_FILENO + 1, (unsigned)fd - 1, 0);
    close_range((unsigned)fd + 1, ~0u, 0);
    (void)!chdir("/");
}

static void name_self(const struct options *options)
{
    prctl(PR_SET_NAME, "vmfs-unmount", 0, 0, 0);
    memset(options->title, 0, options->title_bytes);
    snprintf(options->title, options->title_bytes, "vmfs-unmount %s", options->mountpoint);
}

bool helper_start(const struct options *options)
{
    struct duty duty = {.mountpoint = options->mountpoint,
                        .is_auto = options->is_auto_unmounted,
                        .daemon = getpid()};
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return false;
    pid_t child = fork();
    if (child == 0) {
        signal(SIGINT, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        signal(SIGCHLD, SIG_DFL);
        name_self(options);
        leave_all_but(ends[1]);
        listen_to(ends[1], &duty);
        _exit(0);
    }
    int failure = errno;
    close(ends[1]);
    helper_fd = ends[0];
    errno = failure;
    return child > 0;
}

static bool say(const char *message, size_t len_bytes)
{
    return send(helper_fd, message, len_bytes, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len_bytes;
}

void helper_mounted(const char *device)
{
    char message[MESSAGE_BYTES];
    int length = snprintf(message, sizeof message, "%c%s", WORD_MOUNTED, device);
    (void)say(message, (size_t)length);
}

bool helper_unmount(void)
{
    const char word = WORD_UNMOUNT;
    return say(&word, 1);
}

/* One that comes too late is not the answer to the next question. */
static bool take_answer(unsigned number)
{
    struct pollfd poll_ = {.fd = helper_fd, .events = POLLIN};
    struct answer answer;
    while (poll(&poll_, 1, ANSWER_WAIT_MS) == 1 &&
           recv(helper_fd, &answer, sizeof answer, MSG_DONTWAIT) == (ssize_t)sizeof answer)
        if (answer.number == number)
            return answer.is_in;
    return false;
}

bool helper_is_in_group(int pid, unsigned gid)
{
    static unsigned number; /* under the lock */
    char message[MESSAGE_BYTES];
    pthread_mutex_lock(&asking);
    int length = snprintf(message, sizeof message, "%c%u %d %u", WORD_GROUP, ++number, pid, gid);
    bool is_in = say(message, (size_t)length) && take_answer(number);
    pthread_mutex_unlock(&asking);
    return is_in;
}

void helper_end(void)
{
    const char word = WORD_END;
    (void)say(&word, 1);
}
