/* suite_map.c -- mappings: coherent with read and write, private ones apart, and their ends */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conform.h"

#define PAGE   4096
#define PAGES  4
#define LENGTH (PAGE * PAGES)

static char bytes[LENGTH];

static int page_file(void)
{
    int fd = open(at("x"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    memset(bytes, 'o', sizeof(bytes));
    must(pwrite(fd, bytes, LENGTH, 0) == LENGTH ? 0 : -EIO, "a file with bytes");
    return fd;
}

static char *map_file(int fd, int flags)
{
    char *map = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, flags, fd, 0);
    must(map == MAP_FAILED ? -errno : 0, "a mapping");
    return map;
}

static void assert_shared(size_t offset, bool is_touched)
{
    if (!beginf(ROOT, "mmap(MAP_SHARED)", "byte %zu%s", offset,
                is_touched ? ", touched before" : ""))
        return;
    int fd = page_file();
    char *map = map_file(fd, MAP_SHARED);
    if (map != MAP_FAILED) {
        char byte = is_touched ? map[offset] : 'o';
        want("the file's byte", byte == 'o' && map[offset] == 'o');
        pwrite(fd, "w", 1, (off_t)offset);
        want("a write shows in the mapping", map[offset] == 'w');
        map[offset] = 'm';
        want("a store shows in a read", pread(fd, &byte, 1, (off_t)offset) == 1 && byte == 'm');
        int other = open(at("x"), O_RDONLY | O_CLOEXEC);
        want("and to another who opens it",
             pread(other, &byte, 1, (off_t)offset) == 1 && byte == 'm');
        close(other);
        want_result(sys(msync(map, LENGTH, MS_SYNC)), 0);
        munmap(map, LENGTH);
        want("it stays when the mapping is gone",
             pread(fd, &byte, 1, (off_t)offset) == 1 && byte == 'm');
    }
    close(fd);
    end();
}

static void assert_private(size_t offset)
{
    if (!beginf(ROOT, "mmap(MAP_PRIVATE)", "byte %zu", offset))
        return;
    int fd = page_file();
    char byte = 0;
    char *map = map_file(fd, MAP_PRIVATE);
    if (map != MAP_FAILED) {
        want("the file's byte", map[offset] == 'o');
        map[offset] = 'p';
        want("a store does not show in a read",
             pread(fd, &byte, 1, (off_t)offset) == 1 && byte == 'o');
        pwrite(fd, "w", 1, (off_t)offset);
        want("a write does not show in what was stored to", map[offset] == 'p');
        munmap(map, LENGTH);
    }
    close(fd);
    end();
}

static void assert_two_maps(void)
{
    if (!begin("mmap(MAP_SHARED)", "two of one file", ROOT))
        return;
    int fd = page_file();
    int other = open(at("x"), O_RDWR | O_CLOEXEC);
    char *a = map_file(fd, MAP_SHARED);
    char *b = map_file(other, MAP_SHARED);
    close(fd);
    close(other);
    if (a != MAP_FAILED && b != MAP_FAILED) {
        a[5] = 'A';
        b[PAGE] = 'B';
        want("each shows the other's stores", b[5] == 'A' && a[PAGE] == 'B');
        want_result(as(ROOT, do_unlink, at("x"), NULL, 0, 0), 0);
        a[6] = 'C';
        want("also when the name is gone", b[6] == 'C');
        munmap(a, LENGTH);
        munmap(b, LENGTH);
    }
    end();
}

/* ---- where a mapping ends ---- */

struct touch {
    char *map;
    size_t offset;
    bool is_store;
};

static int touch_it(void *context)
{
    const struct touch *touch = context;
    volatile char *place = touch->map + touch->offset;
    signal(SIGBUS, SIG_DFL);
    if (touch->is_store)
        *place = 'x';
    return *place == 0 ? 0 : *place;
}

static void assert_end(const char *name, off_t size, size_t offset, bool is_store, bool is_alive)
{
    if (!beginf(ROOT, is_store ? "store to a mapping" : "load from a mapping", "%s", name))
        return;
    int fd = page_file();
    char *map = map_file(fd, MAP_SHARED);
    if (map != MAP_FAILED) {
        must(sys(ftruncate(fd, size)), "a truncation");
        struct touch touch = {map, offset, is_store};
        int status = in_child(ROOT, touch_it, &touch);
        if (is_alive)
            want("it goes well", status >= 0);
        else
            want("SIGBUS", status < 0);
        if (is_alive && !is_store)
            want("what was cut off is zero", status == 0);
        want_equal("the size stays", (long long)look_fd(fd).size, size);
        munmap(map, LENGTH);
    }
    close(fd);
    end();
}

/* What a mapping stores behind the end does not come back when the file grows. */
static void assert_beyond(void)
{
    if (!begin("store to a mapping", "behind the end, then the file grows", ROOT))
        return;
    int fd = page_file();
    must(sys(ftruncate(fd, 100)), "a truncation");
    char *map = map_file(fd, MAP_SHARED);
    if (map != MAP_FAILED && offers(HAS_MAP_TAIL)) {
        map[200] = 'b';
        want_result(sys(ftruncate(fd, PAGE)), 0);
        char byte = 1;
        want("a zero is read", pread(fd, &byte, 1, 200) == 1 && byte == 0);
        want("a zero is mapped", map[200] == 0);
        munmap(map, LENGTH);
    }
    close(fd);
    end();
}

static void assert_grow(void)
{
    if (!begin("mmap(MAP_SHARED)", "a file that grows below it", ROOT))
        return;
    int fd = open(at("x"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    char *map = map_file(fd, MAP_SHARED);
    if (map != MAP_FAILED) {
        pwrite(fd, "end", 3, LENGTH - 3);
        want("a hole reads as zeros", map[0] == 0);
        want("what was written is there", memcmp(map + LENGTH - 3, "end", 3) == 0);
        map[PAGE] = 'g';
        char byte = 0;
        want("a store into the hole", pread(fd, &byte, 1, PAGE) == 1 && byte == 'g');
        munmap(map, LENGTH);
    }
    close(fd);
    end();
}

static int store_and_exit(void *map)
{
    memcpy(map, "child", 5);
    return 0;
}

static void assert_processes(void)
{
    if (!begin("mmap(MAP_SHARED)", "two processes", ROOT))
        return;
    int fd = page_file();
    char *map = map_file(fd, MAP_SHARED);
    if (map != MAP_FAILED) {
        want_equal("the child's result", in_child(ROOT, store_and_exit, map), 0);
        want("its stores show here", memcmp(map, "child", 5) == 0);
        want("and in a read", pread(fd, bytes, 5, 0) == 5 && memcmp(bytes, "child", 5) == 0);
        munmap(map, LENGTH);
    }
    close(fd);
    end();
}

static void assert_synced(int flags, const char *name)
{
    if (!begin("msync", name, ROOT))
        return;
    int fd = page_file();
    char *map = map_file(fd, MAP_SHARED);
    if (map != MAP_FAILED) {
        map[0] = 's';
        want_result(sys(msync(map, LENGTH, flags)), 0);
        want_result(sys(msync(map + 1, 10, flags)), EINVAL);
        munmap(map, LENGTH);
    }
    close(fd);
    end();
}

void suite_map(void)
{
    static const size_t offsets[] = {0, 1, PAGE - 1, PAGE, 2 * PAGE + 7, LENGTH - 1};
    for (size_t i = 0; i < COUNT(offsets); i++) {
        assert_shared(offsets[i], false);
        assert_shared(offsets[i], true);
        assert_private(offsets[i]);
    }
    assert_two_maps();
    assert_end("in the last page, behind the end", 100, 200, false, true);
    assert_end("in the last page, behind the end", 100, 200, true, true);
    assert_end("before the end", PAGE + 100, PAGE + 50, true, true);
    assert_end("a page that is cut off", 100, PAGE, false, false);
    assert_end("a page that is cut off", 100, PAGE, true, false);
    assert_end("an empty file", 0, 0, false, false);
    assert_end("the last page of four", LENGTH - PAGE, LENGTH - 1, false, false);
    assert_beyond();
    assert_grow();
    assert_processes();
    assert_synced(MS_SYNC, "MS_SYNC");
    assert_synced(MS_ASYNC, "MS_ASYNC");
    assert_synced(MS_SYNC | MS_INVALIDATE, "MS_SYNC|MS_INVALIDATE");
}
