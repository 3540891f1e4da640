/* shared_walk.c -- a tree that has come to rest: its counts, its digest, its removal */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "seed.h"
#include "shared.h"

#define FILES_MAX 65536

/* Names found of each file that has several. nftw() has no argument for what it calls. */
static struct walk {
    struct shared_digest digest;
    size_t root_bytes;
    struct {
        ino_t ino;
        nlink_t wanted;
        nlink_t found;
    } files[FILES_MAX];
    bool is_wrong;
} walk;

static void report(const char *path, const char *what, uint64_t got)
{
    printf("%s: %s (%llu)\n", path, what, (unsigned long long)got);
    walk.is_wrong = true;
}

static void mix(uint64_t number)
{
    walk.digest.hash = seed_mix(walk.digest.hash, number);
}

static void mix_bytes(const void *bytes, size_t length)
{
    uint64_t hash = length;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3u;
    mix(hash);
}

static void mix_content(const char *path, const struct stat *stat)
{
    static uint8_t buffer[65536];
    uint64_t total = 0;
    ssize_t got;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOATIME);
    while (fd >= 0 && (got = read(fd, buffer, sizeof(buffer))) > 0) {
        mix_bytes(buffer, (size_t)got);
        total += (uint64_t)got;
    }
    if (fd < 0 || total != (uint64_t)stat->st_size)
        report(path, "its bytes are not as many as its size", total);
    close(fd);
}

static void mix_xattrs(const char *path)
{
    static char names[65536];
    static uint8_t value[65536];
    uint64_t sum = 0;
    ssize_t length = llistxattr(path, names, sizeof(names));
    for (ssize_t at = 0; at < length; at += (ssize_t)strlen(names + at) + 1) {
        uint64_t before = walk.digest.hash;
        walk.digest.hash = 0;
        ssize_t got = lgetxattr(path, names + at, value, sizeof(value));
        if (got < 0)
            report(path, "an attribute that is listed cannot be read", (uint64_t)errno);
        mix_bytes(names + at, strlen(names + at));
        mix_bytes(value, got > 0 ? (size_t)got : 0);
        sum += walk.digest.hash; /* in any order */
        walk.digest.hash = before;
    }
    mix(sum);
}

static void count_name(const char *path, const struct stat *stat)
{
    size_t slot = (size_t)(seed_mix(stat->st_ino, 1) % FILES_MAX);
    while (walk.files[slot].wanted != 0 && walk.files[slot].ino != stat->st_ino)
        slot = (slot + 1) % FILES_MAX;
    if (walk.files[slot].wanted != 0 && walk.files[slot].wanted != stat->st_nlink)
        report(path, "the link count differs from name to name", stat->st_nlink);
    walk.files[slot].ino = stat->st_ino;
    walk.files[slot].wanted = stat->st_nlink;
    walk.files[slot].found++;
}

static void check_dir(const char *path, const struct stat *stat)
{
    unsigned subdirs = 0;
    DIR *dir = opendir(path);
    const struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_type == DT_UNKNOWN)
            report(path, "a listing without types", 0);
        subdirs += entry->d_type == DT_DIR ? 1 : 0;
    }
    if (dir != NULL)
        closedir(dir);
    if (stat->st_nlink != subdirs) /* "." and ".." among them */
        report(path, "its link count is not that of its directories", stat->st_nlink);
}

static int look(const char *path, const struct stat *stat, int flag, struct FTW *ftw)
{
    char target[4096];
    (void)flag;
    (void)ftw;
    uint64_t before = walk.digest.hash;
    walk.digest.hash = 0;
    mix_bytes(path + walk.root_bytes, strlen(path + walk.root_bytes));
    mix(stat->st_mode);
    mix((uint64_t)stat->st_uid << 32 | stat->st_gid);
    mix(stat->st_nlink);
    mix((uint64_t)stat->st_mtim.tv_sec * 1000000000u + (uint64_t)stat->st_mtim.tv_nsec);
    mix((uint64_t)stat->st_ctim.tv_sec * 1000000000u + (uint64_t)stat->st_ctim.tv_nsec);
    mix_xattrs(path);
    if (S_ISREG(stat->st_mode))
        mix_content(path, stat);
    ssize_t length = S_ISLNK(stat->st_mode) ? readlink(path, target, sizeof(target)) : 0;
    mix_bytes(target, length > 0 ? (size_t)length : 0);
    if (S_ISDIR(stat->st_mode))
        check_dir(path, stat);
    else
        count_name(path, stat);
    walk.digest.hash = before + walk.digest.hash; /* in any order */
    walk.digest.entries++;
    return 0;
}

bool shared_walk(const char *path, struct shared_digest *out)
{
    memset(&walk, 0, sizeof(walk));
    walk.root_bytes = strlen(path);
    if (nftw(path, look, 32, FTW_PHYS) != 0)
        report(path, "the walk failed", (uint64_t)errno);
    for (size_t i = 0; i < FILES_MAX; i++)
        if (walk.files[i].found != walk.files[i].wanted)
            report(path, "a file's link count is not that of its names", walk.files[i].ino);
    *out = walk.digest;
    return !walk.is_wrong;
}

static int remove_one(const char *path, const struct stat *stat, int flag, struct FTW *ftw)
{
    (void)stat;
    (void)flag;
    (void)ftw;
    return remove(path);
}

bool shared_remove(const char *path)
{
    if (nftw(path, remove_one, 32, FTW_PHYS | FTW_DEPTH) == 0)
        return true;
    printf("%s cannot be removed: %s\n", path, strerror(errno));
    return false;
}
