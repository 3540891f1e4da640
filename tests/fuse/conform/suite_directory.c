/* suite_directory.c -- listing: types and numbers, positions, and a large directory that changes */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "conform.h"

#define MANY (options.is_long ? 300000u : 100000u)

static unsigned type_of(mode_t mode)
{
    return (mode & S_IFMT) >> 12;
}

/* ---- entries ---- */

static void assert_entry(enum kind kind)
{
    if (!beginf(ROOT, "readdir", "%s", kind_name(kind)))
        return;
    make(at("d"), K_DIR, ROOTS(0755));
    make(at("d/x"), kind, ROOTS(0755));
    struct look seen = look(at("d/x"));
    DIR *stream = opendir(at("d"));
    struct dirent *entry;
    unsigned found = 0;
    while (stream && (entry = readdir(stream))) {
        if (strcmp(entry->d_name, "x") != 0)
            continue;
        found++;
        want_equal("d_ino is that of stat", (long long)entry->d_ino, (long long)seen.ino);
        want("d_type is that of stat",
             entry->d_type == type_of(seen.mode) || entry->d_type == DT_UNKNOWN);
    }
    want_equal("it is there once", found, 1);
    if (stream)
        closedir(stream);
    end();
}

static void assert_dots(void)
{
    if (!begin("readdir", ". and ..", ROOT))
        return;
    make(at("d"), K_DIR, ROOTS(0755));
    DIR *stream = opendir(at("d"));
    struct dirent *entry;
    unsigned dots = 0;
    unsigned others = 0;
    while (stream && (entry = readdir(stream))) {
        if (strcmp(entry->d_name, ".") == 0)
            want_equal("d_ino of .", (long long)entry->d_ino, (long long)look(at("d")).ino);
        else if (strcmp(entry->d_name, "..") == 0)
            want_equal("d_ino of ..", (long long)entry->d_ino, (long long)look(at("")).ino);
        else
            others++;
        dots += entry->d_name[0] == '.' && entry->d_type == DT_DIR;
    }
    want_equal("both are there once, as directories", dots, 2);
    want_equal("nothing else is there", others, 0);
    want_equal("stat of .", (long long)look(at("d/.")).ino, (long long)look(at("d")).ino);
    want_equal("stat of ..", (long long)look(at("d/..")).ino, (long long)look(at("")).ino);
    if (stream)
        closedir(stream);
    end();
}

/* ---- names ---- */

static void assert_all_bytes(void)
{
    if (!begin("readdir", "a name for each byte", ROOT))
        return;
    bool seen[256] = {false};
    make(at("d"), K_DIR, ROOTS(0755));
    for (unsigned i = 1; i < 256; i++) {
        if (i != '/')
            make(atf("d/n%c", (int)i), K_FILE, ROOTS(0644));
    }
    DIR *stream = opendir(at("d"));
    struct dirent *entry;
    while (stream && (entry = readdir(stream))) {
        if (entry->d_name[0] == 'n')
            seen[(unsigned char)entry->d_name[1]] = true;
    }
    for (unsigned i = 1; i < 256; i++)
        wantf(seen[i] == (i != '/') && (i == '/' || look(atf("d/n%c", (int)i)).is_there),
              "the byte %02x", i);
    if (stream)
        closedir(stream);
    end();
}

static void assert_lengths(void)
{
    char name[256];
    if (!begin("readdir", "a name of each length", ROOT))
        return;
    unsigned seen[256] = {0};
    make(at("d"), K_DIR, ROOTS(0755));
    for (unsigned i = 1; i < 256; i++) {
        memset(name, 'n', i);
        name[i] = '\0';
        make(atf("d/%s", name), K_FILE, ROOTS(0644));
    }
    DIR *stream = opendir(at("d"));
    struct dirent *entry;
    while (stream && (entry = readdir(stream)))
        seen[strlen(entry->d_name)] += entry->d_name[0] == 'n';
    for (unsigned i = 1; i < 256; i++)
        wantf(seen[i] == 1, "the length %u, once", i);
    if (stream)
        closedir(stream);
    end();
}

/* ---- positions ---- */

#define PLACES 500

static void fill(unsigned count)
{
    make(at("d"), K_DIR, ROOTS(0755));
    for (unsigned i = 0; i < count; i++)
        must(sys(mknod(atf("d/%06u", i), S_IFREG | 0644, 0)), "an entry");
}

static void assert_seekdir(void)
{
    static char names[PLACES + 2][256];
    static long places[PLACES + 2];
    if (!begin("seekdir and telldir", "a directory of 500 entries", ROOT))
        return;
    fill(PLACES);
    DIR *stream = opendir(at("d"));
    struct dirent *entry;
    unsigned count = 0;
    while (count < PLACES + 2) {
        places[count] = telldir(stream);
        entry = readdir(stream);
        if (!entry)
            break;
        snprintf(names[count++], 256, "%s", entry->d_name);
    }
    want_equal("entries", count, PLACES + 2);
    unsigned wrong = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned place = i * 7919u % count;
        seekdir(stream, places[place]);
        entry = readdir(stream);
        wrong += !entry || strcmp(entry->d_name, names[place]) != 0;
    }
    want_equal("places that lead elsewhere", wrong, 0);
    rewinddir(stream);
    entry = readdir(stream);
    want("rewinddir leads to the first", entry && strcmp(entry->d_name, names[0]) == 0);
    closedir(stream);
    end();
}

/* A place stays what it is when what it was before is removed. */
static void assert_seek_after_removal(void)
{
    if (!begin("seekdir", "after entries were removed and made", ROOT))
        return;
    fill(PLACES);
    DIR *stream = opendir(at("d"));
    struct dirent *entry = NULL;
    bool seen[PLACES] = {false};
    unsigned twice = 0;
    for (unsigned i = 0; i < PLACES / 2 && (entry = readdir(stream)); i++) {
        if (entry->d_name[0] != '.')
            seen[atoi(entry->d_name)] = true;
    }
    long place = telldir(stream);
    for (unsigned i = 0; i < PLACES; i += 3)
        unlink(atf("d/%06u", i));
    for (unsigned i = 0; i < PLACES; i++)
        must(sys(mknod(atf("d/new%06u", i), S_IFREG | 0644, 0)), "an entry");
    rewinddir(stream);
    seekdir(stream, place);
    while ((entry = readdir(stream))) {
        if (entry->d_name[0] == '.' || entry->d_name[0] == 'n')
            continue;
        twice += seen[atoi(entry->d_name)];
        seen[atoi(entry->d_name)] = true;
    }
    unsigned missed = 0;
    for (unsigned i = 0; i < PLACES; i++)
        missed += i % 3 != 0 && !seen[i];
    want_equal("entries that stayed and were missed", missed, 0);
    want_equal("entries that were seen twice", twice, 0);
    closedir(stream);
    end();
}

static void assert_rewind(void)
{
    if (!begin("rewinddir", "after entries were made and removed", ROOT))
        return;
    fill(3);
    DIR *stream = opendir(at("d"));
    struct dirent *entry;
    unsigned count = 0;
    while (readdir(stream))
        count++;
    want_equal("entries at first", count, 5);
    make(at("d/new"), K_FILE, ROOTS(0644));
    unlink(at("d/000001"));
    rewinddir(stream);
    bool is_new = false;
    bool is_old = false;
    while ((entry = readdir(stream))) {
        is_new |= strcmp(entry->d_name, "new") == 0;
        is_old |= strcmp(entry->d_name, "000001") == 0;
    }
    want("the new one is seen", is_new);
    want("the removed one is not", !is_old);
    closedir(stream);
    end();
}

static void assert_small_buffer(size_t bytes, int expected)
{
    char room[400];
    if (!beginf(ROOT, "getdents", "a buffer of %zu bytes", bytes))
        return;
    fill(20);
    int fd = open(at("d"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    unsigned count = 0;
    long got;
    while ((got = syscall(SYS_getdents64, fd, room, bytes)) > 0) {
        for (long i = 0; i < got; i += ((struct dirent64 *)(void *)(room + i))->d_reclen)
            count++;
    }
    want_result(sys(got), expected);
    want_equal("entries", count, expected ? 0 : 22);
    close(fd);
    end();
}

/* ---- large and changing ---- */

struct listing {
    unsigned char *seen;
    unsigned count;
    unsigned twice;
};

static void note(struct listing *listing, const char *name)
{
    unsigned number = (unsigned)strtoul(name, NULL, 10);
    if (name[0] < '0' || name[0] > '9' || number >= listing->count)
        return;
    listing->twice += listing->seen[number] > 0;
    listing->seen[number] = 1;
}

/* Changes the directory a little: every 16th call removes an old name and makes a new one. */
static void disturb(unsigned step)
{
    if (step % 16 != 0)
        return;
    unlink(atf("d/%06u", step / 16 * 4));
    mknod(atf("d/t%06u", step), S_IFREG | 0644, 0);
    if (step % 64 == 0)
        rename(atf("d/t%06u", step), atf("d/u%06u", step));
}

static void assert_changing(unsigned count)
{
    if (!beginf(ROOT, "readdir", "%u entries, while some go and others come", count))
        return;
    struct listing listing = {calloc(count, 1), count, 0};
    fill(count);
    DIR *stream = opendir(at("d"));
    struct dirent *entry;
    for (unsigned step = 0; (entry = readdir(stream)) && step < 4 * count; step++) {
        note(&listing, entry->d_name);
        disturb(step);
    }
    want("it ends", entry == NULL);
    unsigned missed = 0;
    for (unsigned i = 0; i < count; i++)
        missed += i % 4 != 0 && !listing.seen[i];
    want_equal("entries that stayed and were missed", missed, 0);
    want_equal("entries that were seen twice", listing.twice, 0);
    closedir(stream);
    free(listing.seen);
    end();
}

static void assert_removing(unsigned count)
{
    if (!beginf(ROOT, "readdir", "%u entries, each removed when it is seen", count))
        return;
    fill(count);
    DIR *stream = opendir(at("d"));
    struct dirent *entry;
    while ((entry = readdir(stream))) {
        if (entry->d_name[0] != '.')
            unlink(atf("d/%s", entry->d_name));
    }
    closedir(stream);
    want_result(as(ROOT, do_rmdir, at("d"), NULL, 0, 0), 0);
    end();
}

void suite_directory(void)
{
    for (enum kind kind = K_FILE; kind < KIND_COUNT; kind++)
        assert_entry(kind);
    assert_dots();
    assert_all_bytes();
    assert_lengths();
    assert_seekdir();
    assert_seek_after_removal();
    assert_rewind();
    assert_small_buffer(300, 0);
    assert_small_buffer(40, 0);
    assert_small_buffer(10, EINVAL);
    assert_changing(MANY);
    assert_removing(MANY / 10);
}
