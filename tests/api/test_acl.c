/* test_acl.c -- access control lists: what is taken, what creating and chmod make of them, who may do what
 *
 * The tables say what Linux says; tests/api/acl_diff.c asks it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acl_text.h"
#include "fixture.h"
#include <criterion/parameterized.h>

static struct fixture fixture;
static struct vmfs *fs;

static void set_up(void)
{
    fixture_open(&fixture, "acl", 16 * REGION_MIB);
    fs = fixture.fs;
    expect_ok(vmfs_mkdir(fs, "/dir", 0755));
    expect_ok(vmfs_mknod(fs, "/file", 0644, 0));
}

static void tear_down(void)
{
    fixture_close(&fixture);
}

TestSuite(acl, .init = set_up, .fini = tear_down);

static int set_acl(const char *path, const char *name, const char *text)
{
    uint8_t bytes[ACL_BYTES_MAX];
    return vmfs_xattr_set(fs, path, 0, name, bytes, acl_from_text(text, bytes));
}

/* The attribute is this list; none for null. */
static void expect_acl(const char *path, const char *name, const char *text)
{
    uint8_t wanted[ACL_BYTES_MAX];
    uint8_t got[ACL_BYTES_MAX];
    int64_t bytes = text ? (int64_t)acl_from_text(text, wanted) : -ENODATA;
    expect_code(vmfs_xattr_get(fs, path, 0, name, got, sizeof(got)), bytes);
    cr_assert(!text || memcmp(got, wanted, (size_t)bytes) == 0, "%s: not %s", path, text);
}

static void expect_mode(const char *path, uint32_t mode)
{
    uint32_t got = fixture_stat(&fixture, path).mode & 07777;
    cr_assert_eq(got, mode, "%s: mode %o, not %o", path, got, mode);
}

/* ------------------------------------------------------------------------------ setting one --- */

struct setting {
    char text[80];
    int code;
    uint32_t mode; /* of a file that had 0644 */
    bool is_kept;
};

static struct setting settings[] = {
    {"u7,u7:5,g5,m7,o1", 0, 0771, true},
    {"u6,g4,o0", 0, 0640, false},
    {"u6,g4,m1,o0", 0, 0610, true},
    {"u7,u7:5,u7:2,g5,m7,o1", 0, 0771, true}, /* Linux takes the first */
    {"u0,g0,g0:7,g65534:7,m0,o0", 0, 0, true},
    {"", 0, 0644, false},
    {"u7,u7:5,g5,o1", -EINVAL, 0644, false}, /* no mask */
    {"u7,g5,g9:5,o1", -EINVAL, 0644, false},
    {"u7,g5", -EINVAL, 0644, false},
    {"g5,o1", -EINVAL, 0644, false},
    {"u7,o1", -EINVAL, 0644, false},
    {"u7,u7,g5,o1", -EINVAL, 0644, false}, /* twice */
    {"u7,g5,g5,o1", -EINVAL, 0644, false},
    {"u7,g5,m1,m1,o1", -EINVAL, 0644, false},
    {"u7,g5,o1,o1", -EINVAL, 0644, false},
    {"g5,u7,o1", -EINVAL, 0644, false}, /* order */
    {"u7,g5,u7:5,m7,o1", -EINVAL, 0644, false},
    {"u7,g5,o1,m7", -EINVAL, 0644, false},
    {"u7,g5,m7,g7:1,o1", -EINVAL, 0644, false},
    {"u8,g5,o1", -EINVAL, 0644, false}, /* permissions that there are not */
    {"u7,g5,x1,o1", -EINVAL, 0644, false},
    {"u7,u4294967295:5,g5,m7,o1", -EINVAL, 0644, false},
};

ParameterizedTestParameters(acl, setting)
{
    return cr_make_param_array(struct setting, settings, sizeof(settings) / sizeof(settings[0]));
}

ParameterizedTest(struct setting *param, acl, setting)
{
    char names[64];
    expect_code(set_acl("/file", ACL_ACCESS, param->text), param->code);
    expect_mode("/file", param->mode);
    expect_acl("/file", ACL_ACCESS, param->is_kept ? param->text : NULL);
    expect_code(vmfs_xattr_list(fs, "/file", 0, names, sizeof(names)),
                param->is_kept ? (int64_t)sizeof(ACL_ACCESS) : 0);
    bool is_default = param->code == 0 && param->text[0] != '\0';
    expect_code(set_acl("/dir", ACL_DEFAULT, param->text), param->code);
    expect_acl("/dir", ACL_DEFAULT, is_default ? param->text : NULL);
    expect_mode("/dir", 0755);
    fixture_reopen(&fixture);
    fs = fixture.fs;
    expect_mode("/file", param->mode);
    expect_acl("/file", ACL_ACCESS, param->is_kept ? param->text : NULL);
}

/* Every byte of a sound value in turn takes every other value: it is refused, or what is kept is sound again. */
Test(acl, every_byte)
{
    uint8_t bytes[ACL_BYTES_MAX];
    uint8_t got[ACL_BYTES_MAX];
    size_t size = acl_from_text("u7,u7:5,g5,g9:1,m3,o1", bytes);
    for (size_t at = 0; at < size; at++) {
        for (unsigned flip = 1; flip < 256; flip++) {
            bytes[at] ^= (uint8_t)flip;
            int code = vmfs_xattr_set(fs, "/file", 0, ACL_ACCESS, bytes, size);
            cr_assert(code == 0 || code == -EINVAL || (code == -EOPNOTSUPP && at < 4));
            bool is_id = at >= 8 && (at - 8) % 8 < 4;
            cr_assert(code == 0 || !is_id, "byte %zu ^ %u", at, flip);
            if (code == 0) {
                expect_code(vmfs_xattr_get(fs, "/file", 0, ACL_ACCESS, got, sizeof(got)),
                            (int64_t)size);
                expect_ok(vmfs_xattr_set(fs, "/file", 0, ACL_ACCESS, got, size));
            }
            bytes[at] ^= (uint8_t)flip;
        }
    }
}

Test(acl, taking_away)
{
    expect_ok(set_acl("/file", ACL_ACCESS, "u7,u7:5,g5,m3,o1"));
    expect_ok(vmfs_xattr_remove(fs, "/file", 0, ACL_ACCESS));
    expect_acl("/file", ACL_ACCESS, NULL);
    expect_mode("/file", 0731); /* the mask stays in the mode, as on Linux */
    expect_ok(vmfs_xattr_remove(fs, "/file", 0, ACL_ACCESS));
    expect_ok(vmfs_xattr_remove(fs, "/file", 0, ACL_DEFAULT));
    expect_ok(set_acl("/dir", ACL_DEFAULT, "u7,g5,o1"));
    expect_ok(vmfs_xattr_set(fs, "/dir", 0, ACL_DEFAULT, NULL, 0));
    expect_acl("/dir", ACL_DEFAULT, NULL);
    expect_ok(set_acl("/file", ACL_ACCESS, "u7,u7:5,g5,m3,o1"));
    expect_ok(set_acl("/file", ACL_ACCESS, "u6,g4,o4"));
    expect_acl("/file", ACL_ACCESS, NULL);
    expect_mode("/file", 0644);
}

/* Flags that say what must be there are ignored, as by Linux. */
Test(acl, flags)
{
    uint8_t bytes[ACL_BYTES_MAX];
    size_t size = acl_from_text("u7,u7:5,g5,m7,o1", bytes);
    const uint32_t set_group = 02000;
    expect_ok(vmfs_xattr_set(fs, "/file", VMFS_XATTR_REPLACE, ACL_ACCESS, bytes, size));
    expect_ok(vmfs_xattr_set(fs, "/file", VMFS_XATTR_CREATE, ACL_ACCESS, bytes, size));
    expect_ok(vmfs_chmod(fs, "/file", set_group | 0770));
    expect_ok(vmfs_xattr_set(fs, "/file", 0, ACL_ACCESS, bytes, size));
    expect_mode("/file", set_group | 0771);
    expect_ok(vmfs_xattr_set(fs, "/file", VMFS_XATTR_KILL_SGID, ACL_ACCESS, bytes, size));
    expect_mode("/file", 0771);
    expect_ok(vmfs_chmod(fs, "/dir", set_group | 0770));
    expect_ok(vmfs_xattr_set(fs, "/dir", VMFS_XATTR_KILL_SGID, ACL_DEFAULT, bytes, size));
    expect_mode("/dir", set_group | 0770);
}

Test(acl, largest)
{
    uint8_t bytes[ACL_BYTES_MAX];
    char text[ACL_BYTES_MAX] = "u7";
    size_t used = 2;
    for (unsigned i = 0; i < 507; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, ",u%u:1", i);
    snprintf(text + used, sizeof(text) - used, ",g5,m7,o1");
    size_t size = acl_from_text(text, bytes);
    cr_assert_eq(size, 4 + 8 * 511);
    expect_ok(set_acl("/file", ACL_ACCESS, text));
    expect_ok(set_acl("/dir", ACL_DEFAULT, text));
    expect_ok(vmfs_mkdir(fs, "/dir/sub", 0700));
    expect_acl("/dir/sub", ACL_DEFAULT, text);
    expect_ok(vmfs_chmod(fs, "/file", 0));
    fixture_reopen(&fixture);
    fs = fixture.fs;
    expect_code(vmfs_xattr_get(fs, "/file", 0, ACL_ACCESS, NULL, 0), (int64_t)size);
    expect_mode("/file", 0);
}

/* --------------------------------------------------------------------------------- creating --- */

struct creating {
    char acl[40]; /* the directory's default ACL, or empty */
    uint32_t umask;
    uint32_t mode;
    uint32_t got;
    char access[40]; /* what it gets, or empty */
};

static struct creating creatings[] = {
    {"", 0, 0666, 0666, ""},
    {"", 022, 0666, 0644, ""},
    {"", 0777, 0777, 0, ""},
    {"", 077, 06777, 06700, ""},
    {"", 07777, 01777, 01000, ""}, /* the rest of a umask says nothing */
    {"u7,g5,o0", 077, 0666, 0640, ""},
    {"u7,g5,o0", 077, 07777, 07750, ""},
    {"u7,u7:7,g5,m7,o1", 077, 0666, 0660, "u6,u7:7,g5,m6,o0"},
    {"u7,u7:7,g5,m7,o1", 0777, 0777, 0771, "u7,u7:7,g5,m7,o1"},
    {"u7,u7:7,g5,m3,o1", 0, 0, 0, "u0,u7:7,g5,m0,o0"},
    {"u7,g5,m3,o1", 022, 0640, 0600, "u6,g5,m0,o0"},
};

ParameterizedTestParameters(acl, creating)
{
    return cr_make_param_array(struct creating, creatings,
                               sizeof(creatings) / sizeof(creatings[0]));
}

static struct vmfs_at masked(const char *path, uint32_t umask)
{
    struct vmfs_at at = vmfs_at(0, path);
    at.umask = umask;
    return at;
}

static void expect_made(const struct creating *param, const char *path)
{
    expect_mode(path, param->got);
    expect_acl(path, ACL_ACCESS, param->access[0] ? param->access : NULL);
}

static void make_all(const struct creating *param)
{
    struct vmfs_file *file;
    struct vmfs_stat stat;
    const struct vmfs_make what = {.mode = VMFS_S_IFREG | param->mode};
    uint32_t umask = param->umask;
    expect_ok(vmfs_mknod_at(fs, masked("/dir/file", umask), param->mode, 0));
    expect_ok(vmfs_mknod_at(fs, masked("/dir/fifo", umask), VMFS_S_IFIFO | param->mode, 0));
    expect_ok(vmfs_mkdir_at(fs, masked("/dir/sub", umask), param->mode));
    expect_ok(vmfs_file_open_at(fs, masked("/dir/open", umask), VMFS_O_CREAT | VMFS_O_RDWR,
                                param->mode, &file));
    expect_ok(vmfs_file_close(file));
    expect_ok(vmfs_file_open_at(fs, masked("/dir", umask), VMFS_O_TMPFILE | VMFS_O_RDWR,
                                param->mode, &file));
    expect_ok(vmfs_file_link(file, vmfs_at(0, "/dir/tmp")));
    expect_ok(vmfs_file_close(file));
    expect_ok(vmfs_symlink_at(fs, "file", masked("/dir/link", umask)));
    expect_ok(vmfs_make(fs, masked("/dir/made", umask), &what, &stat));
    expect_ok(vmfs_release(fs, stat.ino, 1));
}

ParameterizedTest(struct creating *param, acl, creating)
{
    static const char *const paths[] = {"/dir/file", "/dir/fifo", "/dir/sub",
                                        "/dir/open", "/dir/tmp",  "/dir/made"};
    if (param->acl[0])
        expect_ok(set_acl("/dir", ACL_DEFAULT, param->acl));
    make_all(param);
    for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        expect_made(param, paths[i]);
    expect_acl("/dir/sub", ACL_DEFAULT, param->acl[0] ? param->acl : NULL);
    expect_mode("/dir/link", 0777);
    expect_code(vmfs_xattr_list(fs, "/dir/link", VMFS_NOFOLLOW, NULL, 0), 0);
    expect_code(vmfs_xattr_get(fs, "/dir/file", 0, ACL_DEFAULT, NULL, 0), -ENODATA);
}

/* ---------------------------------------------------------------------------- changing modes --- */

struct changing {
    char acl[40];
    uint32_t mode;
    char got[40];
};

static struct changing changings[] = {
    {"u7,u7:7,g5,m7,o1", 0640, "u6,u7:7,g5,m4,o0"},
    {"u7,u7:7,g5,m7,o1", 06000, "u0,u7:7,g5,m0,o0"},
    {"u7,g5,m1,o1", 0777, "u7,g5,m7,o7"},
    {"u7,g5,g9:1,m1,o1", 0711, "u7,g5,g9:1,m1,o1"},
};

ParameterizedTestParameters(acl, changing)
{
    return cr_make_param_array(struct changing, changings,
                               sizeof(changings) / sizeof(changings[0]));
}

ParameterizedTest(struct changing *param, acl, changing)
{
    struct vmfs_attr attr = {
        .mask = VMFS_ATTR_MODE | VMFS_ATTR_SIZE, .mode = param->mode, .size = 5000};
    expect_ok(set_acl("/file", ACL_ACCESS, param->acl));
    expect_ok(vmfs_chmod(fs, "/file", param->mode));
    expect_acl("/file", ACL_ACCESS, param->got);
    expect_mode("/file", param->mode);
    expect_ok(set_acl("/file", ACL_ACCESS, param->acl));
    expect_ok(vmfs_setattr(fs, "/file", 0, &attr));
    expect_acl("/file", ACL_ACCESS, param->got);
    /* The default ACL is nobody's mode. */
    expect_ok(set_acl("/dir", ACL_DEFAULT, param->acl));
    expect_ok(vmfs_chmod(fs, "/dir", param->mode));
    expect_acl("/dir", ACL_DEFAULT, param->acl);
}

/* A size that is refused leaves mode and ACL. */
Test(acl, refused_together)
{
    struct vmfs_attr attr = {
        .mask = VMFS_ATTR_MODE | VMFS_ATTR_SIZE, .mode = 0, .size = VMFS_FILE_MAX + 1};
    expect_ok(set_acl("/file", ACL_ACCESS, "u7,u7:7,g5,m7,o1"));
    expect_code(vmfs_setattr(fs, "/file", 0, &attr), -EFBIG);
    expect_acl("/file", ACL_ACCESS, "u7,u7:7,g5,m7,o1");
    expect_mode("/file", 0771);
}

/* -------------------------------------------------------------------------------- new owners --- */

struct owning {
    uint32_t type;
    uint32_t mode;
    uint32_t got;
};

static struct owning ownings[] = {
    {VMFS_S_IFREG, 06777, 0777},  {VMFS_S_IFREG, 06767, 02767}, {VMFS_S_IFIFO, 06777, 0777},
    {VMFS_S_IFSOCK, 06710, 0710}, {VMFS_S_IFCHR, 07700, 03700}, {VMFS_S_IFBLK, 04000, 0},
    {VMFS_S_IFDIR, 06777, 06777},
};

ParameterizedTestParameters(acl, owning)
{
    return cr_make_param_array(struct owning, ownings, sizeof(ownings) / sizeof(ownings[0]));
}

ParameterizedTest(struct owning *param, acl, owning)
{
    static const uint32_t masks[] = {VMFS_ATTR_UID, VMFS_ATTR_GID, VMFS_ATTR_UID | VMFS_ATTR_GID};
    struct vmfs_attr attr = {.uid = 0, .gid = 0, .mode = param->mode};
    expect_ok(param->type == VMFS_S_IFDIR ? vmfs_mkdir(fs, "/new", 0)
                                          : vmfs_mknod(fs, "/new", param->type, 0));
    for (unsigned i = 0; i < 3; i++) {
        expect_ok(vmfs_chmod(fs, "/new", param->mode));
        attr.mask = masks[i];
        expect_ok(vmfs_setattr(fs, "/new", 0, &attr));
        expect_mode("/new", param->got);
        attr.mask |= VMFS_ATTR_MODE;
        expect_ok(vmfs_setattr(fs, "/new", 0, &attr));
        expect_mode("/new", param->mode);
    }
}

/* ------------------------------------------------------------------------------ who may what --- */

struct asking {
    char acl[48]; /* of the file 10:20, or digits of a mode */
    uint32_t uid;
    uint32_t gids[3]; /* the first is the gid, 0 ends */
    unsigned may;     /* VMFS_R_OK ... */
};

static struct asking askings[] = {
    {"0752", 10, {30}, 7},
    {"0752", 11, {20}, 5},
    {"0752", 11, {30, 20}, 5},
    {"0752", 11, {30, 31, 20}, 5},
    {"0752", 11, {30}, 2},
    {"0077", 10, {20}, 0}, /* the owner is asked as owner */
    {"0707", 11, {20}, 0},
    {"0000", 0, {30}, 6}, /* the superuser runs only what somebody may */
    {"0001", 0, {30}, 7},
    {"u7,u11:6,g5,m7,o1", 11, {20}, 6}, /* a user before his groups */
    {"u7,u11:6,g5,m5,o1", 11, {20}, 4}, /* the mask limits him */
    {"u7,u11:6,u11:1,g5,m7,o1", 11, {30}, 6},
    {"u0,u10:7,g7,m7,o7", 10, {20}, 0},
    {"u7,u12:7,g5,g30:2,m7,o1", 11, {30}, 2}, /* a group before the others */
    {"u7,u12:7,g5,g30:2,m7,o1", 11, {40}, 1},
    {"u7,u12:7,g5,g30:2,m6,o1", 11, {30, 20}, 6}, /* each by one of the groups, both by none */
    {"u7,u12:7,g5,g30:2,m0,o1", 11, {30}, 1}, /* Linux does not look at a list with an empty mask */
    {"u7,g5,m4,o7", 11, {20}, 4},
};

ParameterizedTestParameters(acl, asking)
{
    return cr_make_param_array(struct asking, askings, sizeof(askings) / sizeof(askings[0]));
}

static void prepare_file(const struct asking *param)
{
    expect_ok(vmfs_chown(fs, "/file", 10, 20));
    if (param->acl[0] == '0')
        expect_ok(vmfs_chmod(fs, "/file", (uint32_t)strtoul(param->acl, NULL, 8)));
    else
        expect_ok(set_acl("/file", ACL_ACCESS, param->acl));
}

ParameterizedTest(struct asking *param, acl, asking)
{
    struct vmfs_cred cred = {param->uid, param->gids[0], param->gids + 1, 0};
    while (cred.group_count < 2 && param->gids[1 + cred.group_count])
        cred.group_count++;
    prepare_file(param);
    expect_ok(vmfs_access_at(fs, vmfs_at(0, "/file"), 0, &cred, 0));
    for (unsigned want = VMFS_X_OK; want <= VMFS_R_OK; want <<= 1)
        expect_code(vmfs_access_at(fs, vmfs_at(0, "/file"), 0, &cred, (int)want),
                    param->may & want ? 0 : -EACCES);
}

/* One entry must grant all that is asked for at once. */
Test(acl, both_by_no_group)
{
    const uint32_t groups[] = {20};
    const struct vmfs_cred cred = {11, 30, groups, 1};
    expect_ok(vmfs_chown(fs, "/file", 10, 20));
    expect_ok(set_acl("/file", ACL_ACCESS, "u7,u12:7,g4,g30:2,m7,o7"));
    expect_ok(vmfs_access_at(fs, vmfs_at(0, "/file"), 0, &cred, VMFS_R_OK));
    expect_ok(vmfs_access_at(fs, vmfs_at(0, "/file"), 0, &cred, VMFS_W_OK));
    expect_code(vmfs_access_at(fs, vmfs_at(0, "/file"), 0, &cred, VMFS_R_OK | VMFS_W_OK), -EACCES);
}

Test(acl, directories_on_the_way)
{
    const struct vmfs_cred cred = {11, 11, NULL, 0};
    const struct vmfs_cred root = {0, 0, NULL, 0};
    expect_ok(vmfs_mknod(fs, "/dir/file", 0666, 0));
    expect_ok(vmfs_symlink(fs, "dir/file", "/link"));
    struct vmfs_at file = vmfs_at(0, "/dir/file");
    struct vmfs_at link = vmfs_at(0, "/link");
    uint64_t dir = fixture_stat(&fixture, "/dir").ino;
    expect_ok(vmfs_access_at(fs, file, 0, &cred, VMFS_R_OK));
    expect_ok(vmfs_chmod(fs, "/dir", 0766));
    expect_code(vmfs_access_at(fs, file, 0, &cred, 0), -EACCES);
    expect_code(vmfs_access_at(fs, vmfs_at(0, "/dir/none"), 0, &cred, 0), -EACCES);
    expect_code(vmfs_access_at(fs, vmfs_at(0, "/dir/."), 0, &cred, 0), -EACCES);
    expect_code(vmfs_access_at(fs, link, 0, &cred, 0), -EACCES);
    expect_ok(vmfs_access_at(fs, link, VMFS_NOFOLLOW, &cred, 7));
    expect_code(vmfs_access_at(fs, vmfs_at(dir, "file"), 0, &cred, 0), -EACCES);
    expect_ok(vmfs_access_at(fs, vmfs_at(dir, ""), 0, &cred, VMFS_R_OK));
    expect_ok(vmfs_access_at(fs, vmfs_at(0, "/dir/"), 0, &cred, VMFS_R_OK));
    expect_ok(
        vmfs_access_at(fs, vmfs_at(fixture_stat(&fixture, "/dir/file").ino, ""), 0, &cred, 6));
    expect_ok(vmfs_access_at(fs, file, 0, &root, 6));
    expect_ok(set_acl("/dir", ACL_ACCESS, "u7,u11:1,g0,m1,o0"));
    expect_ok(vmfs_access_at(fs, file, 0, &cred, VMFS_R_OK));
    expect_code(vmfs_access_at(fs, vmfs_at(0, "/dir/file/x"), 0, &cred, 0), -ENOTDIR);
    expect_code(vmfs_access_at(fs, vmfs_at(0, "/dir/none"), 0, &cred, 0), -ENOENT);
}

Test(acl, read_only_handle)
{
    const struct vmfs_cred root = {0, 0, NULL, 0};
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    expect_ok(vmfs_mknod(fs, "/fifo", VMFS_S_IFIFO | 0600, 0));
    expect_ok(vmfs_close(fixture.fs));
    options.flags = VMFS_RDONLY;
    expect_ok(vmfs_open(fixture.path, &options, &fixture.fs));
    fs = fixture.fs;
    expect_code(vmfs_access_at(fs, vmfs_at(0, "/file"), 0, &root, VMFS_W_OK), -EROFS);
    expect_code(vmfs_access_at(fs, vmfs_at(0, "/dir"), 0, &root, VMFS_W_OK), -EROFS);
    expect_ok(vmfs_access_at(fs, vmfs_at(0, "/fifo"), 0, &root, VMFS_W_OK));
    expect_ok(vmfs_access_at(fs, vmfs_at(0, "/file"), 0, &root, VMFS_R_OK));
    fixture_reopen(&fixture);
}

Test(acl, names_of_trusted_attributes)
{
    char names[64];
    expect_ok(vmfs_xattr_set(fs, "/file", 0, "trusted.a", "v", 1));
    expect_ok(vmfs_xattr_set(fs, "/file", 0, "user.b", "v", 1));
    expect_ok(vmfs_xattr_set(fs, "/file", 0, "trusted.c", "v", 1));
    expect_code(vmfs_xattr_list(fs, "/file", 0, NULL, 0), 10 + 7 + 10);
    expect_code(vmfs_xattr_list(fs, "/file", VMFS_XATTR_NO_TRUSTED, NULL, 0), 7);
    expect_code(vmfs_xattr_list(fs, "/file", VMFS_XATTR_NO_TRUSTED, names, 7), 7);
    cr_assert_str_eq(names, "user.b");
    expect_code(vmfs_xattr_list(fs, "/file", VMFS_XATTR_NO_TRUSTED, names, 6), -ERANGE);
    expect_code(vmfs_xattr_list(fs, "/dir", VMFS_XATTR_NO_TRUSTED, names, 6), 0);
}
