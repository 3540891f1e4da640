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
    uint64_t hash; /* of the entry that is looked at */
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
    walk.hash = seed_mix(walk.hash, number);
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
        uint64_t before = walk.hash;
        walk.hash = 0;
        ssize_t got = lgetxattr(path, names + at, value, sizeof(value));
        if (got < 0)
            report(path, "an attribute that is listed cannot be read", (uint64_t)errno);
        mix_bytes(names + at, strlen(names + at));
        mix_bytes(value, got > 0 ? (size_t)got : 0);
        sum += walk.hash; /* in any order */
        walk.hash = before;
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
    walk.hash = 0;
    mix_xattrs(path);
    if (S_ISREG(stat->st_mode))
        mix_content(path, stat);
    ssize_t length = S_ISLNK(stat->st_mode) ? readlink(path, target, sizeof(target)) : 0;
    mix_bytes(target, length > 0 ? (size_t)length : 0);
    if (S_ISDIR(stat->st_mode))
        check_dir(path, stat);
    else
        count_name(path, stat);
    fprintf(walk.digest.lines,
            "%s mode %o owner %u:%u links %u mtime %lld.%09ld ctime %lld.%09ld "
            "content %016llx\n",
            path + walk.root_bytes, stat->st_mode, stat->st_uid, stat->st_gid,
            (unsigned)stat->st_nlink, (long long)stat->st_mtim.tv_sec, stat->st_mtim.tv_nsec,
            (long long)stat->st_ctim.tv_sec, stat->st_ctim.tv_nsec, (unsigned long long)walk.hash);
    walk.digest.entries++;
    return 0;
}

bool shared_walk(const char *path, struct shared_digest *out)
{
    memset(&walk, 0, sizeof(walk));
    walk.root_bytes = strlen(path);
    walk.digest.lines = tmpfile();
    if (walk.digest.lines == NULL)
        return false;
    if (nftw(path, look, 32, FTW_PHYS) != 0)
        report(path, "the walk failed", (uint64_t)errno);
    for (size_t i = 0; i < FILES_MAX; i++)
        if (walk.files[i].found != walk.files[i].wanted)
            report(path, "a file's link count is not that of its names", walk.files[i].ino);
    *out = walk.digest;
    return !walk.is_wrong;
}

bool shared_same(const struct shared_digest *one, const struct shared_digest *other)
{
    char lines[2][4500];
    bool is_same = one->entries == other->entries;
    if (!is_same)
        printf("%llu entries and %llu\n", (unsigned long long)one->entries,
               (unsigned long long)other->entries);
    rewind(one->lines);
    rewind(other->lines);
    while (is_same && fgets(lines[0], sizeof(lines[0]), one->lines) != NULL &&
           fgets(lines[1], sizeof(lines[1]), other->lines) != NULL) {
        is_same = strcmp(lines[0], lines[1]) == 0;
        if (!is_same)
            printf("%s%s", lines[0], lines[1]);
    }
    fclose(one->lines);
    fclose(other->lines);
    return is_same;
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
