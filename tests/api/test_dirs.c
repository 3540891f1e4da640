/* test_dirs.c -- reading directories while they change, and directories of many names */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fixture.h"
#include "seed.h"

#define MANY 10000

static struct fixture fixture;
static struct vmfs *fs;

static void set_up(void)
{
    fixture_open(&fixture, "dirs", 64 * REGION_MIB);
    fs = fixture.fs;
    expect_ok(vmfs_mkdir(fs, "/dir", 0755));
}

static void tear_down(void)
{
    fixture_close(&fixture);
}

TestSuite(dirs, .init = set_up, .fini = tear_down);

static const char *name_of(unsigned i)
{
    static char path[64];
    snprintf(path, sizeof(path), "/dir/name-%u", i);
    return path;
}

static void make_names(unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++)
        expect_ok(vmfs_mknod(fs, name_of(i), 0644, 0));
}

static void remove_names(unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++)
        expect_ok(vmfs_unlink(fs, name_of(i)));
}

static unsigned number_of(const struct vmfs_dirent *entry)
{
    unsigned number = UINT32_MAX;
    if (sscanf(entry->name, "name-%u", &number) != 1)
        return UINT32_MAX;
    return number;
}

Test(dirs, an_empty_directory_lists_itself_and_its_parent)
{
    struct vmfs_dir *dir;
    struct vmfs_dirent entry;
    expect_ok(vmfs_dir_open(fs, "/dir", &dir));
    expect_code(vmfs_dir_read(dir, &entry), 1);
    cr_assert(strcmp(entry.name, ".") == 0 && entry.type == VMFS_S_IFDIR);
    cr_assert(entry.ino == fixture_stat(&fixture, "/dir").ino);
    expect_code(vmfs_dir_read(dir, &entry), 1);
    cr_assert(strcmp(entry.name, "..") == 0);
    cr_assert(entry.ino == fixture_stat(&fixture, "/").ino);
    expect_code(vmfs_dir_read(dir, &entry), 0);
    expect_code(vmfs_dir_read(dir, &entry), 0);
    expect_ok(vmfs_dir_close(dir));
}

Test(dirs, entries_tell_type_and_inode)
{
    struct vmfs_dir *dir;
    struct vmfs_dirent entry;
    char path[VMFS_NAME_MAX + 8];
    static const uint32_t types[] = {VMFS_S_IFREG, VMFS_S_IFIFO, VMFS_S_IFCHR, VMFS_S_IFSOCK};
    for (unsigned i = 0; i < 4; i++)
        expect_ok(vmfs_mknod(fs, name_of(i), types[i] | 0600, 0));
    expect_ok(vmfs_symlink(fs, "x", name_of(4)));
    expect_ok(vmfs_mkdir(fs, name_of(5), 0700));
    expect_ok(vmfs_dir_open(fs, "/dir", &dir));
    while (vmfs_dir_read(dir, &entry) == 1) {
        if (entry.name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/dir/%s", entry.name);
        struct vmfs_stat stat = fixture_stat(&fixture, path);
        cr_assert(stat.ino == entry.ino && (stat.mode & VMFS_S_IFMT) == entry.type);
        cr_assert(entry.name_bytes == strlen(entry.name));
    }
    expect_ok(vmfs_dir_close(dir));
}

/* Reads with names coming and going between the reads: those that stay appear exactly once. */
static void read_while_changing(uint64_t seed_value)
{
    static unsigned seen[4 * MANY];
    const unsigned staying = 3000;
    struct seed seed;
    struct vmfs_dir *dir;
    struct vmfs_dirent entry;
    unsigned made = staying;
    unsigned removed = staying;
    memset(seen, 0, sizeof(seen));
    seed_init(&seed, seed_value);
    expect_ok(vmfs_dir_open(fs, "/dir", &dir));
    while (vmfs_dir_read(dir, &entry) == 1) {
        unsigned number = number_of(&entry);
        if (number < staying)
            seen[number]++;
        if (made < 4 * MANY - 4 && seed_chance(&seed, 70))
            make_names(made++, 1);
        if (removed < made && seed_chance(&seed, 60))
            remove_names(removed++, 1);
        if (seed_chance(&seed, 10))
            expect_ok(vmfs_dir_seek(dir, entry.cookie));
    }
    expect_ok(vmfs_dir_close(dir));
    for (unsigned i = 0; i < staying; i++)
        cr_assert(seen[i] == 1, "seed %llu: name %u was seen %u times",
                  (unsigned long long)seed_value, i, seen[i]);
    remove_names(removed, made - removed);
}

Test(dirs, names_that_stay_are_seen_once)
{
    make_names(0, 3000);
    for (uint64_t seed_value = 1; seed_value <= 5; seed_value++)
        read_while_changing(seed_value);
}

Test(dirs, cookies_outlive_entries_handles_and_reopening)
{
    struct vmfs_dir *dir;
    struct vmfs_dirent entry;
    static uint64_t cookies[502];
    static unsigned numbers[502];
    unsigned count = 0;
    make_names(0, 500);
    expect_ok(vmfs_dir_open(fs, "/dir", &dir));
    while (vmfs_dir_read(dir, &entry) == 1 && count < 502) {
        cookies[count] = entry.cookie;
        numbers[count++] = number_of(&entry);
    }
    cr_assert(count == 502);
    expect_ok(vmfs_dir_close(dir));
    fixture_reopen(&fixture);
    fs = fixture.fs;
    expect_ok(vmfs_dir_open(fs, "/dir", &dir));
    for (unsigned i = 2; i + 1 < count; i += 7) {
        expect_ok(vmfs_unlink(fs, name_of(numbers[i])));
        expect_ok(vmfs_dir_seek(dir, cookies[i]));
        expect_code(vmfs_dir_read(dir, &entry), 1);
        cr_assert(number_of(&entry) == numbers[i + 1], "after cookie %u came %s", i, entry.name);
    }
    expect_ok(vmfs_dir_seek(dir, cookies[count - 1]));
    expect_code(vmfs_dir_read(dir, &entry), 0);
    expect_ok(vmfs_dir_seek(dir, 0));
    expect_code(vmfs_dir_read(dir, &entry), 1);
    cr_assert(strcmp(entry.name, ".") == 0);
    expect_ok(vmfs_dir_close(dir));
}

/* Inode chunks stay. Slots that wait for a checkpoint can make a later round need another chunk or
 * two; a leak of one block in a hundred names would need more than the slack. */
Test(dirs, ten_thousand_names_give_their_space_back)
{
    const uint64_t slack_blocks = 96;
    struct vmfs_statfs first = {0};
    struct vmfs_statfs last;
    expect_ok(vmfs_rmdir(fs, "/dir"));
    for (unsigned round = 0; round < 8; round++) {
        expect_ok(vmfs_mkdir(fs, "/dir", 0755));
        make_names(0, MANY);
        cr_assert(fixture_stat(&fixture, "/dir").size == MANY);
        remove_names(0, MANY);
        expect_ok(vmfs_rmdir(fs, "/dir"));
        expect_ok(vmfs_statfs(fs, &last));
        if (round == 1)
            first = last;
        cr_assert(round < 2 || last.blocks_free + slack_blocks >= first.blocks_free,
                  "round %u: %llu blocks free, at first %llu", round,
                  (unsigned long long)last.blocks_free, (unsigned long long)first.blocks_free);
        cr_assert(last.inodes_used == 1);
    }
}

Test(dirs, a_removed_directory_that_is_open_is_empty)
{
    struct vmfs_dir *dir;
    struct vmfs_dirent entry;
    make_names(0, 3);
    expect_ok(vmfs_dir_open(fs, "/dir", &dir));
    remove_names(0, 3);
    expect_ok(vmfs_rmdir(fs, "/dir"));
    expect_code(vmfs_mknod(fs, "/dir/new", 0644, 0), -ENOENT);
    int err;
    unsigned names = 0;
    while ((err = vmfs_dir_read(dir, &entry)) == 1)
        names += number_of(&entry) != UINT32_MAX;
    cr_assert(names == 0 && (err == 0 || err == -ENOENT), "dir_read ended with %d", err);
    expect_ok(vmfs_dir_close(dir));
}

Test(dirs, deep_paths)
{
    char path[VMFS_PATH_MAX + 1] = "";
    unsigned depth = 0;
    while (strlen(path) + 2 <= VMFS_PATH_MAX && depth < 2000) {
        size_t used = strlen(path);
        memcpy(path + used, "/d", 3);
        expect_ok(vmfs_mkdir(fs, path, 0755));
        depth++;
    }
    fixture_stat(&fixture, path);
    expect_code(vmfs_rename(fs, "/d", "/d/d/d/d/d", 0), -EINVAL);
    expect_ok(vmfs_rename(fs, "/d", "/dir/e", 0));
    expect_ok(vmfs_rename(fs, "/dir/e", "/d", 0));
    fixture_stat(&fixture, path);
}
