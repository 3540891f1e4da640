/* features.c -- what the filesystem at hand offers, asked once, and what of it may be missing */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "conform.h"

static bool has_xattr(const char *name)
{
    bool is_set = setxattr("probe", name, "x", 1, 0) == 0;
    removexattr("probe", name);
    return is_set;
}

static bool probe_XATTR_USER(void)
{
    return has_xattr("user.probe");
}

static bool probe_XATTR_TRUSTED(void)
{
    return has_xattr("trusted.probe");
}

static bool probe_XATTR_SECURITY(void)
{
    return has_xattr("security.probe");
}

static bool probe_ACL(void)
{
    static const unsigned char acl[] = {2,   0,   0, 0, 1,   0,   6,   0,   255, 255,
                                        255, 255, 4, 0, 4,   0,   255, 255, 255, 255,
                                        32,  0,   4, 0, 255, 255, 255, 255};
    return setxattr("probe", "system.posix_acl_access", acl, sizeof(acl), 0) == 0;
}

static bool probe_FLAGS(void)
{
    int fd = open("probe", O_RDONLY | O_CLOEXEC);
    int flags = 0;
    bool is_offered = fd >= 0 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0;
    flags |= FS_IMMUTABLE_FL;
    is_offered = is_offered && ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0;
    flags &= ~FS_IMMUTABLE_FL;
    if (is_offered)
        ioctl(fd, FS_IOC_SETFLAGS, &flags);
    close(fd);
    return is_offered;
}

static bool has_fallocate(int mode)
{
    int fd = open("probe", O_RDWR | O_CLOEXEC);
    bool is_offered = fd >= 0 && ftruncate(fd, 65536) == 0 && fallocate(fd, mode, 4096, 4096) == 0;
    if (fd >= 0)
        close(fd);
    return is_offered;
}

static bool probe_FALLOCATE(void)
{
    return has_fallocate(0);
}

static bool probe_PUNCH(void)
{
    return has_fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
}

static bool probe_ZERO(void)
{
    return has_fallocate(FALLOC_FL_ZERO_RANGE);
}

static bool probe_COLLAPSE(void)
{
    return has_fallocate(FALLOC_FL_COLLAPSE_RANGE);
}

static bool probe_INSERT(void)
{
    return has_fallocate(FALLOC_FL_INSERT_RANGE);
}

static bool probe_HOLES(void)
{
    int fd = open("probe", O_RDWR | O_TRUNC | O_CLOEXEC);
    bool is_offered = ftruncate(fd, 1 << 22) == 0 && pwrite(fd, "x", 1, 1 << 21) == 1 &&
                      lseek(fd, 0, SEEK_HOLE) == 0 && lseek(fd, 0, SEEK_DATA) > 0;
    close(fd);
    return is_offered;
}

static bool probe_TMPFILE(void)
{
    int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool has_rename(unsigned flags)
{
    make("probe.b", K_FILE, ROOTS(0600));
    const char *to = flags == RENAME_EXCHANGE ? "probe" : "probe.c";
    bool is_offered = renameat2(AT_FDCWD, "probe.b", AT_FDCWD, to, flags) == 0;
    unlink("probe.b");
    unlink("probe.c");
    if (access("probe", F_OK))
        make("probe", K_FILE, ROOTS(0600));
    return is_offered;
}

static bool probe_EXCHANGE(void)
{
    return has_rename(RENAME_EXCHANGE);
}

static bool probe_NOREPLACE(void)
{
    return has_rename(RENAME_NOREPLACE);
}

static bool probe_WHITEOUT(void)
{
    return has_rename(RENAME_WHITEOUT);
}

static bool probe_COPY_RANGE(void)
{
    make("probe.to", K_FILE, ROOTS(0600));
    int from = open("probe", O_RDWR | O_CLOEXEC);
    int to = open("probe.to", O_RDWR | O_CLOEXEC);
    bool is_offered =
        pwrite(from, "x", 1, 0) == 1 && copy_file_range(from, NULL, to, NULL, 1, 0) == 1;
    close(from);
    close(to);
    unlink("probe.to");
    return is_offered;
}

static bool probe_HANDLES(void)
{
    union {
        struct file_handle handle;
        char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
    } space = {.handle.handle_bytes = MAX_HANDLE_SZ};
    int mount_id;
    return name_to_handle_at(AT_FDCWD, "probe", &space.handle, &mount_id, 0) == 0;
}

static bool probe_DIRECT(void)
{
    int fd = open("probe", O_RDWR | O_DIRECT | O_CLOEXEC);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool has_mount_flag(unsigned long flag)
{
    struct statvfs status;
    return statvfs(".", &status) == 0 && (status.f_flag & flag) != 0;
}

static bool probe_BIND_MOUNT(void)
{
    make("probe.dir", K_DIR, ROOTS(0755));
    bool is_offered = mount("probe.dir", "probe.dir", NULL, MS_BIND, NULL) == 0;
    umount2("probe.dir", MNT_DETACH);
    remove_tree("probe.dir");
    return is_offered;
}

long link_max(const char *path)
{
    return options.link_max ? options.link_max : pathconf(path, _PC_LINK_MAX);
}

static bool probe_LINK_LIMIT(void)
{
    /* What libc says of a filesystem that it does not know is 127, and means nothing. */
    return link_max("probe") > 127 && link_max("probe") <= 66000;
}

static bool probe_HUGE_FILES(void)
{
    bool is_offered = truncate("probe", 1L << 42) == 0;
    truncate("probe", 0);
    return is_offered;
}

static bool probe_MMAP_SHARED(void)
{
    int fd = open("probe", O_RDWR | O_CLOEXEC);
    void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map != MAP_FAILED)
        munmap(map, 4096);
    return map != MAP_FAILED;
}

/* tmpfs keeps what a mapping stores behind the end of a file, and shows it when the file grows. */
static bool probe_MAP_TAIL(void)
{
    char byte = 1;
    int fd = open("probe", O_RDWR | O_CLOEXEC);
    bool is_zero = false;
    if (ftruncate(fd, 100) == 0) {
        char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map != MAP_FAILED)
            map[200] = 't';
        is_zero = map != MAP_FAILED && ftruncate(fd, 4096) == 0 && pread(fd, &byte, 1, 200) == 1 &&
                  byte == 0;
        munmap(map, 4096);
    }
    close(fd);
    return is_zero;
}

static bool probe_EXECUTION(void)
{
    return !has_mount_flag(ST_NOEXEC);
}

static bool probe_RELATIME(void)
{
    return has_mount_flag(ST_RELATIME);
}

static bool probe_CAPABILITIES(void)
{
    static const unsigned char capability[20] = {0, 0, 0, 2, 1};
    bool is_set = setxattr("probe", "security.capability", capability, sizeof(capability), 0) == 0;
    removexattr("probe", "security.capability");
    return is_set;
}

/* Linux has it since 6.6. */
static bool probe_FCHMODAT2(void)
{
    return syscall(SYS_fchmodat2, AT_FDCWD, "probe", 0600, AT_SYMLINK_NOFOLLOW) == 0;
}

static struct {
    const char *name;
    bool (*probe)(void);
    bool is_offered;
    bool may_lack;
    uint64_t skipped;
} features[FEATURE_COUNT] = {
#define ROW(name, text) {text, probe_##name, false, true, 0},
    FEATURES(ROW)
#undef ROW
};

bool offers(enum feature feature)
{
    if (!features[feature].is_offered)
        features[feature].skipped++;
    return features[feature].is_offered;
}

static void read_may_skip(void)
{
    char line[128];
    FILE *file = fopen(options.may_skip, "r");
    for (size_t i = 0; i < FEATURE_COUNT; i++)
        features[i].may_lack = false;
    while (file && fgets(line, sizeof(line), file)) {
        line[strcspn(line, " #\n")] = '\0';
        for (size_t i = 0; i < FEATURE_COUNT; i++)
            features[i].may_lack |= strcmp(features[i].name, line) == 0;
    }
    if (file)
        fclose(file);
}

void features_probe(void)
{
    for (size_t i = 0; i < FEATURE_COUNT && !options.is_list; i++) {
        make("probe", K_FILE, ROOTS(0600));
        features[i].is_offered = features[i].probe();
        remove_tree("probe");
    }
    if (options.may_skip)
        read_may_skip();
}

uint64_t skipped_count(void)
{
    uint64_t count = 0;
    for (size_t i = 0; i < FEATURE_COUNT; i++)
        count += features[i].skipped;
    return count;
}

unsigned features_report(void)
{
    unsigned forbidden = 0;
    for (size_t i = 0; i < FEATURE_COUNT; i++) {
        if (features[i].skipped == 0)
            continue;
        printf("skipped: %s: not offered: %llu cases%s\n", features[i].name,
               (unsigned long long)features[i].skipped,
               features[i].may_lack ? "" : ", which is a FAILURE here");
        forbidden += !features[i].may_lack;
    }
    return forbidden;
}
