/* suite_data.c -- bytes: reading and writing at every edge, sizes, large offsets, positions */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "conform.h"

#define FILE_BYTES (300 * 1024)

static unsigned char model[FILE_BYTES];
static unsigned char bytes[FILE_BYTES];

static unsigned char byte_of(size_t i, unsigned salt)
{
    return (unsigned char)((i * 2654435761u + salt * 40503u) >> 13 | 1);
}

static void fill(unsigned char *to, size_t length, unsigned salt)
{
    for (size_t i = 0; i < length; i++)
        to[i] = byte_of(i, salt);
}

static bool is_model(int fd, size_t size)
{
    memset(bytes, 0xee, sizeof(bytes));
    return pread(fd, bytes, sizeof(bytes), 0) == (ssize_t)size && memcmp(bytes, model, size) == 0;
}

/* A file of `size` bytes, known to the model. */
static int model_file(size_t size)
{
    int fd = open(at("x"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    memset(model, 0, sizeof(model));
    fill(model, size, 1);
    must(pwrite(fd, model, size, 0) == (ssize_t)size ? 0 : -EIO, "a file with bytes");
    return fd;
}

/* ---- write, read and truncate against a model ---- */

static void assert_write(size_t size, size_t offset, size_t length)
{
    if (!beginf(ROOT, "pwrite", "%zu bytes at %zu of %zu", length, offset, size))
        return;
    int fd = model_file(size);
    static unsigned char fresh[FILE_BYTES];
    fill(fresh, length, 7);
    want_equal("its result", pwrite(fd, fresh, length, (off_t)offset), (long long)length);
    memcpy(model + offset, fresh, length);
    size_t end_size = length && offset + length > size ? offset + length : size;
    want_equal("the size", (long long)look_fd(fd).size, (long long)end_size);
    want("the bytes", is_model(fd, end_size));
    close(fd);
    end();
}

static void assert_truncate(size_t size, size_t down, size_t up)
{
    if (!beginf(ROOT, "ftruncate", "%zu bytes to %zu and then to %zu", size, down, up))
        return;
    int fd = model_file(size);
    want_result(sys(ftruncate(fd, (off_t)down)), 0);
    memset(model + down, 0, sizeof(model) - down);
    want_equal("the size", (long long)look_fd(fd).size, (long long)down);
    want("the bytes", is_model(fd, down));
    want_result(sys(truncate(at("x"), (off_t)up)), 0);
    want_equal("the second size", (long long)look_fd(fd).size, (long long)up);
    want("nothing of what was cut off comes back", is_model(fd, up));
    close(fd);
    end();
}

static void assert_read(size_t size, size_t offset, size_t length)
{
    if (!beginf(ROOT, "pread", "%zu bytes at %zu of %zu", length, offset, size))
        return;
    int fd = model_file(size);
    size_t wanted = offset >= size ? 0 : length < size - offset ? length : size - offset;
    memset(bytes, 0xee, sizeof(bytes));
    want_equal("its result", pread(fd, bytes, length, (off_t)offset), (long long)wanted);
    want("the bytes", memcmp(bytes, model + offset, wanted) == 0);
    want("nothing behind them", bytes[wanted] == 0xee);
    close(fd);
    end();
}

static void assert_edges(void)
{
    static const size_t sizes[] = {0, 1, 100, 4095, 4096, 4097, 65536, 200001};
    static const size_t offsets[] = {0, 1, 4090, 4096, 8191, 65535, 131072};
    static const size_t lengths[] = {0, 1, 7, 4096, 4100, 70000};
    for (size_t s = 0; s < COUNT(sizes); s++) {
        for (size_t o = 0; o < COUNT(offsets); o++) {
            for (size_t l = 0; l < COUNT(lengths); l++) {
                assert_write(sizes[s], offsets[o], lengths[l]);
                assert_read(sizes[s], offsets[o], lengths[l]);
            }
            assert_truncate(sizes[s], offsets[o], offsets[COUNT(offsets) - 1 - o] + 1);
        }
    }
}

/* ---- large offsets ---- */

static void assert_far(const char *name, int64_t offset)
{
    char byte = 0;
    if (!begin("pwrite and pread", name, ROOT))
        return;
    if (offers(HAS_HUGE_FILES)) {
        int fd = open(at("x"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        want_equal("a byte is written", pwrite(fd, "z", 1, offset), 1);
        want_equal("the size", (long long)look_fd(fd).size, offset + 1);
        want("it is read", pread(fd, &byte, 1, offset) == 1 && byte == 'z');
        want("before it are zeros", pread(fd, &byte, 1, offset - 1) == 1 && byte == 0);
        want("at the start are zeros", pread(fd, &byte, 1, 0) == 1 && byte == 0);
        want_equal("behind it is nothing", pread(fd, &byte, 1, offset + 1), 0);
        want("few blocks are used", look_fd(fd).blocks < 4096);
        want_equal("lseek to the end", lseek(fd, 0, SEEK_END), offset + 1);
        want_result(sys(ftruncate(fd, 1)), 0);
        want_equal("the size after truncation", (long long)look_fd(fd).size, 1);
        close(fd);
    }
    end();
}

static void assert_truncate_far(const char *name, int64_t size)
{
    if (!begin("truncate", name, ROOT))
        return;
    if (offers(HAS_HUGE_FILES)) {
        make(at("x"), K_FILE, ROOTS(0644));
        want_result(as(ROOT, do_truncate, at("x"), NULL, size, 0), 0);
        want_equal("the size", (long long)look(at("x")).size, size);
    }
    end();
}

static void assert_bad_size(const char *name, int64_t size, int expected)
{
    if (!begin("truncate and ftruncate", name, ROOT))
        return;
    int fd = model_file(100);
    tick_if_coarse();
    struct look before = look(at("x"));
    want_result(as(ROOT, do_truncate, at("x"), NULL, size, 0), expected);
    want_result(sys(ftruncate(fd, size)), expected);
    struct look after = look(at("x"));
    want("nothing has changed", same(&before, &after));
    close(fd);
    end();
}

/* Writes as far as a filesystem's files reach, and no further. */
static void assert_largest(void)
{
    if (!begin("pwrite", "at the largest offset", ROOT))
        return;
    int fd = open(at("x"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    want_result(sys(pwrite(fd, "ab", 2, INT64_MAX)), EINVAL);
    long result = sys(pwrite(fd, "a", 1, INT64_MAX - 1));
    want("a byte there, or EFBIG", result == 1 || result == -EFBIG);
    want_result(sys(pwrite(fd, "a", 1, -1)), EINVAL);
    want_result(sys(pread(fd, bytes, 1, -1)), EINVAL);
    close(fd);
    end();
}

/* ---- limits of the process ---- */

static int write_beyond_limit(void *path)
{
    struct rlimit limit = {1000, 1000};
    signal(SIGXFSZ, SIG_IGN);
    int fd = open(path, O_WRONLY | O_CREAT, 0644);
    if (setrlimit(RLIMIT_FSIZE, &limit))
        return 90;
    if (pwrite(fd, bytes, 1000, 0) != 1000)
        return 91;
    if (pwrite(fd, "x", 1, 1000) != -1 || errno != EFBIG)
        return 92;
    if (pwrite(fd, "xyz", 3, 998) != 2)
        return 93;
    if (ftruncate(fd, 1001) != -1 || errno != EFBIG)
        return 94;
    if (truncate(path, 2000) != -1 || errno != EFBIG)
        return 95;
    return ftruncate(fd, 1000) ? 96 : 0;
}

static void assert_limit(enum caller who)
{
    if (!begin("write and truncate", "beyond RLIMIT_FSIZE", who))
        return;
    char path[64];
    snprintf(path, sizeof(path), "%s", at("x"));
    want_equal("EFBIG, and what fits is written", in_child(who, write_beyond_limit, path), 0);
    want_equal("the size", (long long)look(at("x")).size, 1000);
    end();
}

/* ---- positions ---- */

static const struct {
    const char *name;
    off_t offset;
    int whence;
    long expected; /* the file has 100 bytes and the position is 10 */
} seeks[] = {
    {"SEEK_SET", 50, SEEK_SET, 50},
    {"SEEK_SET behind the end", 5000, SEEK_SET, 5000},
    {"SEEK_SET negative", -1, SEEK_SET, -EINVAL},
    {"SEEK_CUR forward", 5, SEEK_CUR, 15},
    {"SEEK_CUR back", -10, SEEK_CUR, 0},
    {"SEEK_CUR before the start", -11, SEEK_CUR, -EINVAL},
    {"SEEK_END", 0, SEEK_END, 100},
    {"SEEK_END back", -100, SEEK_END, 0},
    {"SEEK_END before the start", -101, SEEK_END, -EINVAL},
    {"SEEK_END forward", 7, SEEK_END, 107},
    {"an unknown whence", 0, 99, -EINVAL},
    {"SEEK_DATA at the end", 100, SEEK_DATA, -ENXIO},
    {"SEEK_HOLE at the end", 100, SEEK_HOLE, -ENXIO},
    {"SEEK_DATA negative", -1, SEEK_DATA, -ENXIO},
    {"SEEK_HOLE negative", -1, SEEK_HOLE, -ENXIO},
    {"SEEK_HOLE of a file without holes", 0, SEEK_HOLE, 100},
    {"SEEK_DATA of a file without holes", 10, SEEK_DATA, 10},
};

static void assert_seeks(void)
{
    for (size_t i = 0; i < COUNT(seeks); i++) {
        if (!begin("lseek", seeks[i].name, ROOT))
            continue;
        int fd = model_file(100);
        lseek(fd, 10, SEEK_SET);
        want_equal("its result", sys(lseek(fd, seeks[i].offset, seeks[i].whence)),
                   seeks[i].expected);
        want_equal("the position", lseek(fd, 0, SEEK_CUR),
                   seeks[i].expected < 0 ? 10 : seeks[i].expected);
        close(fd);
        end();
    }
}

static void assert_positions(void)
{
    if (!begin("read and write", "one position", ROOT))
        return;
    int fd = model_file(100);
    int copy = dup(fd);
    char part[10];
    want_equal("read", read(fd, part, 10), 10);
    want_equal("the duplicate's position", lseek(copy, 0, SEEK_CUR), 10);
    want_equal("pread leaves it", pread(fd, part, 5, 50) + lseek(fd, 0, SEEK_CUR), 15);
    want_equal("pwrite leaves it", pwrite(fd, part, 5, 50) + lseek(fd, 0, SEEK_CUR), 15);
    want_equal("write moves it", write(copy, part, 7) + lseek(fd, 0, SEEK_CUR), 24);
    want_equal("read at the end", lseek(fd, 0, SEEK_END) + read(fd, part, 10), 100);
    want_equal("read of nothing", read(fd, part, 0), 0);
    close(copy);
    close(fd);
    end();
}

static void assert_append(void)
{
    if (!begin("write(O_APPEND)", "two descriptors", ROOT))
        return;
    int fd = model_file(100);
    int appends = open(at("x"), O_RDWR | O_APPEND | O_CLOEXEC);
    want_equal("it starts at 0", lseek(appends, 0, SEEK_CUR), 0);
    want_equal("its result", write(appends, "abc", 3), 3);
    want_equal("the position", lseek(appends, 0, SEEK_CUR), 103);
    want_equal("pwrite appends as well", pwrite(appends, "def", 3, 0), 3);
    want_equal("the size", (long long)look_fd(fd).size, 106);
    want_equal("another descriptor makes it longer", pwrite(fd, "g", 1, 200), 1);
    want_equal("and the next goes behind that",
               write(appends, "h", 1) + lseek(appends, 0, SEEK_CUR), 203);
    want("the bytes", pread(fd, bytes, 6, 100) == 6 && memcmp(bytes, "abcdef", 6) == 0);
    want_result(sys(ftruncate(fd, 10)), 0);
    want_equal("after truncation", write(appends, "i", 1) + lseek(appends, 0, SEEK_CUR), 12);
    close(appends);
    close(fd);
    end();
}

static void assert_vectors(void)
{
    if (!begin("writev and readv", "parts of several sizes", ROOT))
        return;
    int fd = open(at("x"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    char a[] = "one";
    char b[] = "";
    char c[5000];
    memset(c, 'c', sizeof(c));
    struct iovec out[3] = {{a, 3}, {b, 0}, {c, sizeof(c)}};
    want_equal("writev", writev(fd, out, 3), 5003);
    char x[2];
    static char y[6000];
    struct iovec in[2] = {{x, 2}, {y, sizeof(y)}};
    want_equal("preadv", preadv(fd, in, 2, 0), 5003);
    want("the bytes", memcmp(x, "on", 2) == 0 && y[0] == 'e' && y[1] == 'c' && y[5000] == 'c');
    want_equal("pwritev", pwritev(fd, out, 3, 10000), 5003);
    want_equal("the size", (long long)look_fd(fd).size, 15003);
    want_result(sys(syscall(SYS_writev, fd, out, -1L)), EINVAL);
    want_result(sys(syscall(SYS_readv, fd, in, 1025L)), EINVAL);
    close(fd);
    end();
}

static void assert_bad_buffer(void)
{
    if (!begin("read and write", "a buffer nowhere", ROOT))
        return;
    int fd = model_file(100);
    want_result(sys(syscall(SYS_pread64, fd, 1L, 10L, 0L)), EFAULT);
    want_result(sys(syscall(SYS_pwrite64, fd, 1L, 10L, 0L)), EFAULT);
    want("the bytes stay", is_model(fd, 100));
    close(fd);
    end();
}

/* ---- direct ---- */

static void assert_direct(size_t offset, size_t length)
{
    void *room = NULL;
    if (!beginf(ROOT, "pwrite and pread(O_DIRECT)", "%zu bytes at %zu", length, offset))
        return;
    if (offers(HAS_DIRECT) && posix_memalign(&room, 4096, 131072) == 0) {
        int buffered = model_file(200000);
        int fd = open(at("x"), O_RDWR | O_DIRECT | O_CLOEXEC);
        fill(room, length, 9);
        want_equal("written", pwrite(fd, room, length, (off_t)offset), (long long)length);
        memcpy(model + offset, room, length);
        size_t size = offset + length > 200000 ? offset + length : 200000;
        want("what is buffered shows it", is_model(buffered, size));
        memset(room, 0, length);
        want_equal("read", pread(fd, room, length, (off_t)offset), (long long)length);
        want("the bytes", memcmp(room, model + offset, length) == 0);
        pwrite(buffered, "buffered", 8, (off_t)offset);
        want("what is written buffered shows",
             pread(fd, room, 4096, (off_t)offset) >= 8 && memcmp(room, "buffered", 8) == 0);
        close(fd);
        close(buffered);
    }
    free(room);
    end();
}

/* ---- copy_file_range ---- */

static void assert_copy(size_t from, size_t to, size_t length, bool is_same)
{
    if (!beginf(ROOT, "copy_file_range", "%zu bytes from %zu to %zu of %s", length, from, to,
                is_same ? "the same file" : "another"))
        return;
    if (offers(HAS_COPY_RANGE)) {
        int in = model_file(50000);
        int out = is_same ? in : open(at("y"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        off_t at_in = (off_t)from;
        off_t at_out = (off_t)to;
        /* What is behind the end is cut off before ranges are compared. */
        size_t wanted = from >= 50000 ? 0 : length < 50000 - from ? length : 50000 - from;
        bool overlaps = is_same && from < to + wanted && to < from + wanted;
        long copied = sys(copy_file_range(in, &at_in, out, &at_out, length, 0));
        if (overlaps) {
            want_result(copied, EINVAL);
        } else {
            want_equal("its result", copied, (long long)wanted);
            want_equal("the offset in", at_in, (long long)(from + wanted));
            want_equal("the offset out", at_out, (long long)(to + wanted));
            want("the bytes", pread(out, bytes, wanted, (off_t)to) == (ssize_t)wanted &&
                                  memcmp(bytes, model + from, wanted) == 0);
        }
        if (!is_same)
            close(out);
        close(in);
    }
    end();
}

static void assert_copies(void)
{
    static const size_t offsets[] = {0, 1, 4096, 49999, 60000};
    static const size_t lengths[] = {0, 1, 4096, 5000, 100000};
    for (size_t f = 0; f < COUNT(offsets); f++) {
        for (size_t t = 0; t < COUNT(offsets); t++) {
            for (size_t l = 0; l < COUNT(lengths); l++) {
                assert_copy(offsets[f], offsets[t], lengths[l], false);
                assert_copy(offsets[f], offsets[t], lengths[l], true);
            }
        }
    }
}

void suite_data(void)
{
    assert_edges();
    assert_far("2^31 - 1", (1LL << 31) - 1);
    assert_far("2^31", 1LL << 31);
    assert_far("2^32 - 1", (1LL << 32) - 1);
    assert_far("2^32", 1LL << 32);
    assert_far("2^32 + 1", (1LL << 32) + 1);
    assert_far("2^40", 1LL << 40);
    assert_far("2^43", 1LL << 43);
    assert_truncate_far("2^31 bytes", 1LL << 31);
    assert_truncate_far("2^32 bytes", 1LL << 32);
    assert_truncate_far("2^43 bytes", 1LL << 43);
    assert_bad_size("-1", -1, EINVAL);
    assert_bad_size("the smallest number", INT64_MIN, EINVAL);
    assert_largest();
    assert_limit(ROOT);
    assert_limit(OTHER);
    assert_seeks();
    assert_positions();
    assert_append();
    assert_vectors();
    assert_bad_buffer();
    assert_direct(0, 4096);
    assert_direct(4096, 8192);
    assert_direct(131072, 65536);
    assert_direct(196608, 8192);
    assert_copies();
}
