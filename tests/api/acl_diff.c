/* acl_diff.c -- permissions and ACLs: the library and Linux do the same random things and must agree
 *
 *     acl_diff [--steps N] [--seed S]
 *
 * A small tree exists twice, in a region and in a folder of VMFS_TEST_DIR, /dev/shm by default: on tmpfs, and the
 * test runs on any other filesystem that keeps ACLs as well. Each step sets or removes an ACL, changes a mode or an
 * owner, makes something under a umask, removes something, or asks whether somebody may do something; codes, modes,
 * owners and the bytes of ACLs are compared after each. Credentials are taken with setfsuid() and its kin, so that
 * faccessat(AT_EACCESS) asks for them. Needs root: exits with 77 without. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "acl_text.h"
#include "region.h"
#include "seed.h"
#include "vmfs.h"

#define STEPS      20000u
#define NAMES      4u
#define IDS        4u /* users and groups 0, 1000, 2000, 3000 */
#define GROUPS_MAX 3u
#define PATH_ROOM  64u

static const char *const dirs[] = {"", "/d", "/d/e", "/d/e/f"};
#define DIR_COUNT (sizeof(dirs) / sizeof(dirs[0]))

static struct {
    struct vmfs *fs;
    char folder[REGION_PATH_MAX];
    char region[REGION_PATH_MAX];
    struct seed seed;
    uint64_t seed_value;
    uint64_t steps;
    uint64_t step;
    char what[256];
    uint64_t granted;
    uint64_t denied;
    uint64_t refused; /* changes with an error, on both sides */
} test;

static uint32_t below(uint32_t limit)
{
    return (uint32_t)seed_below(&test.seed, limit);
}

static void clean_up(void)
{
    char command[REGION_PATH_MAX + 16];
    vmfs_close(test.fs);
    unlink(test.region);
    snprintf(command, sizeof(command), "rm -rf '%s'", test.folder);
    if (system(command) != 0)
        fprintf(stderr, "acl_diff: %s is left\n", test.folder);
}

static void disagree(const char *path, const char *how, int64_t library, int64_t host)
{
    fprintf(stderr,
            "acl_diff: step %" PRIu64 ": %s\n  %s: %s: library %" PRId64 ", Linux %" PRId64
            "\n  again: acl_diff --seed %" PRIu64 " --steps %" PRIu64 "\n",
            test.step, test.what, path, how, library, host, test.seed_value, test.step + 1);
    clean_up();
    exit(1);
}

static const char *host_path(const char *path)
{
    static char full[REGION_PATH_MAX + PATH_ROOM];
    snprintf(full, sizeof(full), "%s%s", test.folder, path);
    return full;
}

static int64_t host_code(int64_t result)
{
    return result < 0 ? -(int64_t)errno : result;
}

/* ---- comparing ---- */

static void compare_acl(const char *path, const char *name)
{
    static uint8_t own[VMFS_XATTR_MAX];
    static uint8_t host[VMFS_XATTR_MAX];
    int64_t size = vmfs_xattr_get(test.fs, path, VMFS_NOFOLLOW, name, own, sizeof(own));
    int64_t wanted = host_code(lgetxattr(host_path(path), name, host, sizeof(host)));
    if (size != wanted)
        disagree(path, name, size, wanted);
    if (size > 0 && memcmp(own, host, (size_t)size) != 0)
        disagree(path, "bytes of an ACL", 0, 0);
}

static void compare_object(const char *path)
{
    struct vmfs_stat own;
    struct stat host;
    int64_t code = vmfs_stat(test.fs, path, VMFS_NOFOLLOW, &own);
    int64_t wanted = host_code(lstat(host_path(path), &host));
    if (code != wanted)
        disagree(path, "stat", code, wanted);
    if (code != 0)
        return;
    if (own.mode != host.st_mode)
        disagree(path, "mode in decimal", own.mode, host.st_mode);
    if (own.uid != host.st_uid || own.gid != host.st_gid)
        disagree(path, "owner", own.uid, host.st_uid);
    compare_acl(path, ACL_ACCESS);
    compare_acl(path, ACL_DEFAULT);
}

static void compare_all(void)
{
    char path[PATH_ROOM];
    for (unsigned dir = 0; dir < DIR_COUNT; dir++) {
        compare_object(dir ? dirs[dir] : "/");
        for (unsigned name = 0; name < NAMES; name++) {
            snprintf(path, sizeof(path), "%s/n%u", dirs[dir], name);
            compare_object(path);
        }
    }
}

/* A change of what `path` names. */
static void compare_change(const char *path, int64_t code, int64_t wanted)
{
    if (code != wanted)
        disagree(path, "returned", code, wanted);
    test.refused += code < 0;
    compare_object(path);
}

/* ---- drawing ---- */

static uint32_t draw_id(void)
{
    return below(IDS) * 1000;
}

static void draw_path(char path[PATH_ROOM])
{
    unsigned dir = below(DIR_COUNT);
    if (seed_chance(&test.seed, 30))
        snprintf(path, PATH_ROOM, "%s", dir ? dirs[dir] : "/");
    else
        snprintf(path, PATH_ROOM, "%s/n%u", dirs[dir], below(NAMES));
}

static size_t add_named(char *text, size_t used, char letter, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        used += (size_t)snprintf(text + used, 512 - used, ",%c%u:%u", letter, draw_id(), below(8));
    return used;
}

/* Mostly a sound one. */
static void draw_acl(char text[512])
{
    unsigned users = below(3);
    unsigned groups = below(3);
    bool has_mask = users + groups > 0 || seed_chance(&test.seed, 30);
    size_t used = (size_t)snprintf(text, 512, "u%u", below(8));
    used = add_named(text, used, 'u', users);
    used += (size_t)snprintf(text + used, 512 - used, ",g%u", below(8));
    used = add_named(text, used, 'g', groups);
    if (has_mask && !seed_chance(&test.seed, 3))
        used += (size_t)snprintf(text + used, 512 - used, ",m%u", below(8));
    if (!seed_chance(&test.seed, 3))
        snprintf(text + used, 512 - used, ",o%u", seed_chance(&test.seed, 2) ? 9 : below(8));
}

/* ---- steps ---- */

static void step_acl(void)
{
    uint8_t bytes[ACL_BYTES_MAX];
    char path[PATH_ROOM];
    char text[512];
    draw_path(path);
    draw_acl(text);
    const char *name = seed_chance(&test.seed, 50) ? ACL_ACCESS : ACL_DEFAULT;
    size_t size = acl_from_text(text, bytes);
    snprintf(test.what, sizeof(test.what), "setxattr %s %s %.150s", path, name, text);
    if (seed_chance(&test.seed, 4))
        bytes[below((uint32_t)size)] ^= (uint8_t)(1u << below(8));
    if (seed_chance(&test.seed, 8))
        size = seed_chance(&test.seed, 50) ? 0 : 4;
    int64_t code = vmfs_xattr_set(test.fs, path, VMFS_NOFOLLOW, name, bytes, size);
    int64_t wanted = host_code(lsetxattr(host_path(path), name, bytes, size, 0));
    bool is_both = (code == -EACCES || code == -EOPNOTSUPP) &&
                   wanted == -EINVAL; /* both are wrong: Linux may see either first */
    compare_change(path, is_both ? wanted : code, wanted);
}

static void step_acl_remove(void)
{
    char path[PATH_ROOM];
    draw_path(path);
    const char *name = seed_chance(&test.seed, 50) ? ACL_ACCESS : ACL_DEFAULT;
    snprintf(test.what, sizeof(test.what), "removexattr %s %s", path, name);
    compare_change(path, vmfs_xattr_remove(test.fs, path, VMFS_NOFOLLOW, name),
                   host_code(lremovexattr(host_path(path), name)));
}

/* Links are not followed by chmod here, as Linux cannot change theirs. */
static void step_chmod(void)
{
    char path[PATH_ROOM];
    struct stat host;
    draw_path(path);
    uint32_t mode = seed_chance(&test.seed, 50) ? below(010000) : 0700 | below(0100);
    snprintf(test.what, sizeof(test.what), "chmod %s %o", path, mode);
    if (lstat(host_path(path), &host) == 0 && S_ISLNK(host.st_mode))
        return;
    compare_change(path, vmfs_chmod(test.fs, path, mode), host_code(chmod(host_path(path), mode)));
}

static void step_chown(void)
{
    char path[PATH_ROOM];
    draw_path(path);
    struct vmfs_attr attr = {.mask = VMFS_ATTR_UID, .uid = draw_id(), .gid = draw_id()};
    if (seed_chance(&test.seed, 50))
        attr.mask |= VMFS_ATTR_GID;
    gid_t gid = attr.mask & VMFS_ATTR_GID ? attr.gid : (gid_t)-1;
    snprintf(test.what, sizeof(test.what), "chown %s %u:%d", path, attr.uid, (int)gid);
    compare_change(path, vmfs_setattr(test.fs, path, VMFS_NOFOLLOW, &attr),
                   host_code(lchown(host_path(path), attr.uid, gid)));
}

static int64_t host_make(const char *path, uint32_t type, uint32_t mode)
{
    if (type == VMFS_S_IFDIR)
        return host_code(mkdir(path, mode));
    if (type == VMFS_S_IFLNK)
        return host_code(symlink("e", path));
    if (type != VMFS_S_IFREG)
        return host_code(mknod(path, type | mode, 0));
    int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, mode);
    int64_t code = host_code(fd);
    close(fd);
    return fd >= 0 ? 0 : code;
}

static int64_t own_make(const char *path, uint32_t type, uint32_t mode, uint32_t mask)
{
    struct vmfs_at at = vmfs_at(0, path);
    struct vmfs_file *file;
    at.uid = at.gid = 0;
    at.umask = mask;
    if (type == VMFS_S_IFDIR)
        return vmfs_mkdir_at(test.fs, at, mode & 01777); /* Linux takes no more */
    if (type == VMFS_S_IFLNK)
        return vmfs_symlink_at(test.fs, "e", at);
    if (type != VMFS_S_IFREG)
        return vmfs_mknod_at(test.fs, at, type | mode, 0);
    int code =
        vmfs_file_open_at(test.fs, at, VMFS_O_CREAT | VMFS_O_EXCL | VMFS_O_RDWR, mode, &file);
    return code == 0 ? vmfs_file_close(file) : code;
}

static void step_make(void)
{
    static const uint32_t types[] = {VMFS_S_IFREG, VMFS_S_IFREG, VMFS_S_IFREG, VMFS_S_IFDIR,
                                     VMFS_S_IFDIR, VMFS_S_IFIFO, VMFS_S_IFLNK};
    char path[PATH_ROOM];
    uint32_t type = types[below(7)];
    uint32_t mode = seed_chance(&test.seed, 50) ? below(010000) : 0666;
    uint32_t mask = seed_chance(&test.seed, 50) ? 022 : below(01000);
    snprintf(path, sizeof(path), "%s/n%u", dirs[below(DIR_COUNT)], below(NAMES));
    snprintf(test.what, sizeof(test.what), "make %s %o umask %o", path, type | mode, mask);
    umask(mask);
    int64_t wanted = host_make(host_path(path), type, mode);
    umask(0);
    compare_change(path, own_make(path, type, mode, mask), wanted);
}

static void step_remove(void)
{
    char path[PATH_ROOM];
    struct stat host;
    snprintf(path, sizeof(path), "%s/n%u", dirs[below(DIR_COUNT)], below(NAMES));
    snprintf(test.what, sizeof(test.what), "remove %s", path);
    bool is_dir = lstat(host_path(path), &host) == 0 && S_ISDIR(host.st_mode);
    int64_t code = is_dir ? vmfs_rmdir(test.fs, path) : vmfs_unlink(test.fs, path);
    int64_t wanted = host_code(is_dir ? rmdir(host_path(path)) : unlink(host_path(path)));
    compare_change(path, code, wanted);
}

/* What Linux says to these credentials. The folder's own path must let everybody through. */
static int64_t host_access(const char *path, int flags, const struct vmfs_cred *cred, int mask)
{
    gid_t groups[GROUPS_MAX];
    for (unsigned i = 0; i < cred->group_count; i++)
        groups[i] = cred->groups[i];
    if (setgroups(cred->group_count, groups) != 0)
        exit(1);
    setfsgid(cred->gid);
    setfsuid(cred->uid);
    long result = syscall(SYS_faccessat2, AT_FDCWD, host_path(path), mask,
                          AT_EACCESS | (flags ? AT_SYMLINK_NOFOLLOW : 0));
    int64_t code = host_code(result);
    setfsuid(0);
    setfsgid(0);
    return code;
}

static void step_access(void)
{
    static const char *const shapes[] = {"%s/n%u", "%s/n%u/.", "%s/./n%u", "%s/../n%u", "%s/n%u/x"};
    uint32_t groups[GROUPS_MAX];
    char path[PATH_ROOM];
    struct vmfs_cred cred = {draw_id(), draw_id(), groups, below(GROUPS_MAX + 1)};
    for (unsigned i = 0; i < cred.group_count; i++)
        groups[i] = draw_id();
    int mask = (int)below(8);
    int flags = seed_chance(&test.seed, 20) ? VMFS_NOFOLLOW : 0;
    draw_path(path);
    if (seed_chance(&test.seed, 30))
        snprintf(path, sizeof(path), shapes[below(5)], dirs[1 + below(DIR_COUNT - 1)],
                 below(NAMES));
    snprintf(test.what, sizeof(test.what), "access %s %d as %u:%u and %u groups", path, mask,
             cred.uid, cred.gid, cred.group_count);
    int64_t code = vmfs_access_at(test.fs, vmfs_at(0, path), flags, &cred, mask);
    int64_t wanted = host_access(path, flags, &cred, mask);
    if (code != wanted)
        disagree(path, "access", code, wanted);
    test.granted += code == 0;
    test.denied += code == -EACCES;
}

static void step(void)
{
    static void (*const steps[])(void) = {step_acl,   step_acl,  step_acl_remove, step_chmod,
                                          step_chown, step_make, step_make,       step_remove};
    if (seed_chance(&test.seed, 50))
        step_access();
    else
        steps[below(8)]();
}

/* ---- frame ---- */

static bool has_acls(void)
{
    uint8_t bytes[ACL_BYTES_MAX];
    size_t size = acl_from_text("u7,u1000:7,g5,m7,o5", bytes);
    return setxattr(test.folder, ACL_ACCESS, bytes, size, 0) == 0 &&
           removexattr(test.folder, ACL_ACCESS) == 0 && chmod(test.folder, 0755) == 0;
}

static void begin(void)
{
    const char *base = getenv("VMFS_TEST_DIR") ? getenv("VMFS_TEST_DIR") : "/dev/shm";
    snprintf(test.folder, sizeof(test.folder), "%s/vmfs-acl-%d", base, (int)getpid());
    snprintf(test.region, sizeof(test.region), "/dev/shm/vmfs-acl-region-%d", (int)getpid());
    umask(0);
    bool is_made = mkdir(test.folder, 0755) == 0 && chmod(test.folder, 0755) == 0;
    if (!is_made || region_format(test.region, 64 * REGION_MIB, NULL, &test.fs) != 0) {
        fprintf(stderr, "acl_diff: no place to run\n");
        exit(1);
    }
    if (geteuid() != 0 || !has_acls()) {
        fprintf(stderr, "acl_diff: needs root, and ACLs in %s\n", base);
        clean_up();
        exit(77);
    }
    for (unsigned dir = 1; dir < DIR_COUNT; dir++)
        compare_change(dirs[dir], vmfs_mkdir(test.fs, dirs[dir], 0755),
                       host_code(mkdir(host_path(dirs[dir]), 0755)));
}

static void options_load(int argc, char **argv)
{
    test.steps = STEPS;
    test.seed_value = seed_from_clock();
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--steps") == 0)
            test.steps = strtoull(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--seed") == 0)
            test.seed_value = strtoull(argv[i + 1], NULL, 0);
    }
}

int main(int argc, char **argv)
{
    options_load(argc, argv);
    seed_init(&test.seed, test.seed_value);
    begin();
    for (; test.step < test.steps; test.step++) {
        step();
        if (test.step % 500 == 0)
            compare_all();
    }
    compare_all();
    struct vmfs_check_result result;
    bool is_sound = vmfs_check(test.fs, NULL, NULL, &result) == 0 && result.problems == 0;
    clean_up();
    printf("acl_diff: %" PRIu64 " steps, %" PRIu64 " granted, %" PRIu64 " denied, %" PRIu64
           " changes refused, seed %" PRIu64 "%s\n",
           test.steps, test.granted, test.denied, test.refused, test.seed_value,
           is_sound ? "" : ", and fsck finds damage");
    return is_sound ? 0 : 1;
}
