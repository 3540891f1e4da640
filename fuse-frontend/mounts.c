/* mounts.c -- reading /proc/self/mountinfo, and unmounting as root and as anybody else */
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define STALE_MAX 16

/* The table writes blanks and the like as \ooo. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from; to++) {
        unsigned code;
        if (*from == '\\' && sscanf(from + 1, "%3o", &code) == 1) {
            *to = (char)code;
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS [FIELD...] - TYPE SOURCE OPTIONS */
static bool line_read(char *line, const char *mountpoint, struct mount *out)
{
    char *fields[5];
    char *rest = line;
    for (int i = 0; i < 5; i++) {
        fields[i] = strsep(&rest, " ");
        if (!rest)
            return false;
    }
    unescape(fields[4]);
    const char *dash = strstr(rest, " - ");
    if (strcmp(fields[4], mountpoint) != 0 || !dash)
        return false;
    snprintf(out->device, sizeof out->device, "%s", fields[2]);
    snprintf(out->type, sizeof out->type, "%.*s", (int)strcspn(dash + 3, " "), dash + 3);
    return true;
}

bool mount_find(const char *mountpoint, struct mount *out)
{
    FILE *table = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t room = 0;
    bool is_found = false;
    while (table && getline(&line, &room, table) > 0)
        is_found |= line_read(line, mountpoint, out);
    free(line);
    if (table)
        fclose(table);
    return is_found;
}

/* 0 or an errno value. */
static int fusermount_run(const char *mountpoint, bool is_lazy)
{
    char *argv[] = {strdup("fusermount3"), strdup("-u"),       strdup(is_lazy ? "-qz" : "-q"),
                    strdup("--"),          strdup(mountpoint), NULL};
    char *env[] = {strdup("PATH=/usr/local/bin:/usr/bin:/bin"), NULL};
    pid_t child;
    int status = 0;
    int err = posix_spawnp(&child, "fusermount3", NULL, NULL, argv, env);
    for (int i = 0; argv[i]; i++)
        free(argv[i]);
    free(env[0]);
    if (err)
        return err;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return errno;
    return status == 0 ? 0 : EBUSY;
}

int mount_remove(const char *mountpoint, bool is_lazy)
{
    if (umount2(mountpoint, UMOUNT_NOFOLLOW | (is_lazy ? MNT_DETACH : 0)) == 0)
        return 0;
    return errno == EPERM ? fusermount_run(mountpoint, is_lazy) : errno;
}

static bool complain(const char *mountpoint, const char *why)
{
    fprintf(stderr, "vmfs-fuse: %s: %s\n", mountpoint, why);
    return false;
}

/* The mountpoint of a daemon that is dead says ENOTCONN, to what the kernel must ask the daemon: not to
 * stat(), which it may answer itself. */
bool mount_is_dead(const char *mountpoint)
{
    struct statvfs statvfs_;
    return statvfs(mountpoint, &statvfs_) != 0 && (errno == ENOTCONN || errno == ECONNABORTED);
}

static bool stale_clear(const char *mountpoint)
{
    struct mount mount;
    if (!mount_find(mountpoint, &mount))
        return complain(mountpoint, "it is not connected, but nothing is mounted there");
    if (strcmp(mount.type, MOUNT_TYPE) != 0)
        return complain(mountpoint, "a dead mount of another kind is there: unmount it first");
    int err = mount_remove(mountpoint, true);
    return err == 0 || complain(mountpoint, "a dead mount is there, which cannot be unmounted");
}

bool mountpoint_prepare(const char *mountpoint)
{
    struct stat stat_;
    for (int i = 0; i < STALE_MAX && mount_is_dead(mountpoint); i++)
        if (!stale_clear(mountpoint))
            return false;
    if (stat(mountpoint, &stat_) != 0)
        return complain(mountpoint, strerror(errno));
    return S_ISDIR(stat_.st_mode) || complain(mountpoint, strerror(ENOTDIR));
}

void mount_readahead(const struct mount *mount, unsigned kib)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "/sys/class/bdi/%s/read_ahead_kb", mount->device);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)dprintf(fd, "%u\n", kib);
    close(fd);
}
