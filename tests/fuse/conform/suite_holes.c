/* suite_holes.c -- sparse files: where data and holes are, and the modes of fallocate */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conform.h"

#define UNIT  65536 /* every filesystem's blocks fit into it */
#define UNITS 8
#define SIZE  (UNIT * UNITS)

static char bytes[SIZE + UNIT];
static char model[SIZE + UNIT];

/* A file in which bit i of `map` says whether unit i was written. */
static int sparse_file(unsigned map)
{
    int fd = open(at("x"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    memset(model, 0, sizeof(model));
    must(sys(ftruncate(fd, SIZE)), "a size");
    for (unsigned i = 0; i < UNITS; i++) {
        if (map >> i & 1) {
            memset(model + i * UNIT, 'a' + (int)i, UNIT);
            must(pwrite(fd, model + i * UNIT, UNIT, i * UNIT) == UNIT ? 0 : -EIO, "data");
        }
    }
    return fd;
}

/* The first unit from `from` on that has data, or has none; UNITS if there is none. */
static unsigned next_unit(unsigned map, unsigned from, bool is_data)
{
    while (from < UNITS && (map >> from & 1) != is_data)
        from++;
    return from;
}

static void assert_seek(unsigned map)
{
    if (!beginf(ROOT, "lseek(SEEK_DATA, SEEK_HOLE)", "a file with the map %02x", map))
        return;
    if (offers(HAS_HOLES)) {
        int fd = sparse_file(map);
        for (unsigned i = 0; i < UNITS; i++) {
            unsigned data = next_unit(map, i, true);
            unsigned hole = next_unit(map, i, false);
            long data_wanted = data == UNITS ? -ENXIO : (long)data * UNIT;
            wantf(sys(lseek(fd, (off_t)i * UNIT, SEEK_DATA)) == data_wanted, "data from %u on", i);
            wantf(lseek(fd, (off_t)i * UNIT, SEEK_HOLE) == (off_t)hole * UNIT, "hole from %u on",
                  i);
        }
        unsigned used = (unsigned)__builtin_popcount(map);
        want("blocks count what was written", look_fd(fd).blocks * 512 >= used * UNIT &&
                                                  look_fd(fd).blocks * 512 <= used * UNIT + UNIT);
        want("the bytes", pread(fd, bytes, SIZE, 0) == SIZE && memcmp(bytes, model, SIZE) == 0);
        close(fd);
    }
    end();
}

/* ---- fallocate ---- */

struct mode {
    const char *name;
    int mode;
    enum feature feature;
};

static const struct mode modes[] = {
    {"fallocate", 0, HAS_FALLOCATE},
    {"fallocate(KEEP_SIZE)", FALLOC_FL_KEEP_SIZE, HAS_FALLOCATE},
    {"fallocate(PUNCH_HOLE)", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, HAS_PUNCH},
    {"fallocate(ZERO_RANGE)", FALLOC_FL_ZERO_RANGE, HAS_ZERO},
    {"fallocate(ZERO_RANGE|KEEP_SIZE)", FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, HAS_ZERO},
};

static void assert_range(const struct mode *mode, unsigned map, size_t offset, size_t length)
{
    bool is_zeroing = (mode->mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0;
    size_t stop = offset + length;
    size_t size = !(mode->mode & FALLOC_FL_KEEP_SIZE) && stop > SIZE ? stop : SIZE;
    if (!beginf(ROOT, mode->name, "%zu bytes at %zu of a file with the map %02x", length, offset,
                map))
        return;
    if (offers(mode->feature)) {
        int fd = sparse_file(map);
        uint64_t blocks = look_fd(fd).blocks;
        want_result(sys(fallocate(fd, mode->mode, (off_t)offset, (off_t)length)), 0);
        if (is_zeroing && offset < sizeof(model))
            memset(model + offset, 0, stop < sizeof(model) ? length : sizeof(model) - offset);
        want_equal("the size", (long long)look_fd(fd).size, (long long)size);
        want("the bytes", pread(fd, bytes, sizeof(bytes), 0) == (ssize_t)size &&
                              memcmp(bytes, model, size) == 0);
        if (mode->mode & FALLOC_FL_PUNCH_HOLE)
            want("no more blocks than before", look_fd(fd).blocks <= blocks);
        else if (!is_zeroing)
            want("blocks for all of it", look_fd(fd).blocks * 512 >= length);
        close(fd);
    }
    end();
}

static void assert_ranges(void)
{
    static const size_t starts[] = {0, 1, 4096, UNIT, UNIT + 5, 3 * UNIT - 1, SIZE - 1, SIZE};
    static const size_t lengths[] = {1, 4096, UNIT, UNIT + 1, 3 * UNIT};
    static const unsigned maps[] = {0x00, 0xff, 0x5a};
    for (size_t m = 0; m < COUNT(modes); m++) {
        for (size_t s = 0; s < COUNT(starts); s++) {
            for (size_t l = 0; l < COUNT(lengths); l++) {
                if (starts[s] + lengths[l] <= sizeof(model))
                    assert_range(&modes[m], maps[(s + l) % COUNT(maps)], starts[s], lengths[l]);
            }
        }
    }
}

/* What is wrong with a call of fallocate(), whatever the mode. */
static const struct {
    const char *name;
    int mode;
    off_t offset;
    off_t length;
    int expected;
} wrongs[] = {
    {"no bytes", 0, 0, 0, EINVAL},
    {"a negative length", 0, 0, -1, EINVAL},
    {"a negative offset", 0, -1, 1, EINVAL},
    {"an end beyond all files", 0, INT64_MAX, 10, EFBIG},
    {"PUNCH_HOLE without KEEP_SIZE", FALLOC_FL_PUNCH_HOLE, 0, 10, EOPNOTSUPP},
    {"PUNCH_HOLE with ZERO_RANGE",
     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0, 10, EOPNOTSUPP},
    {"an unknown mode", 0x4000, 0, 10, EOPNOTSUPP},
};

static void assert_wrongs(void)
{
    for (size_t i = 0; i < COUNT(wrongs); i++) {
        if (!begin("fallocate", wrongs[i].name, ROOT))
            continue;
        if (offers(HAS_FALLOCATE)) {
            int fd = sparse_file(0x01);
            tick_if_coarse();
            struct look before = look_fd(fd);
            want_result(sys(fallocate(fd, wrongs[i].mode, wrongs[i].offset, wrongs[i].length)),
                        wrongs[i].expected);
            struct look after = look_fd(fd);
            want("nothing has changed", same(&before, &after));
            close(fd);
        }
        end();
    }
}

static void assert_kept_blocks(void)
{
    if (!begin("fallocate(KEEP_SIZE)", "behind the end, then write", ROOT))
        return;
    if (offers(HAS_FALLOCATE)) {
        int fd = open(at("x"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        want_result(sys(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, SIZE)), 0);
        want_equal("the size", (long long)look_fd(fd).size, 0);
        uint64_t blocks = look_fd(fd).blocks;
        want("blocks are there", blocks * 512 >= SIZE);
        want_equal("read", pread(fd, bytes, 10, 0), 0);
        want_equal("write", pwrite(fd, "x", 1, UNIT), 1);
        want("no more blocks", look_fd(fd).blocks <= blocks + 16);
        want("zeros before it", pread(fd, bytes, UNIT, 0) == UNIT && bytes[0] == 0 &&
                                    memcmp(bytes, bytes + 1, UNIT - 1) == 0);
        close(fd);
    }
    end();
}

/* Modes that move bytes, where they are offered. */
static void assert_moving(int mode, enum feature feature, const char *name)
{
    if (!begin(name, "a unit in the middle", ROOT))
        return;
    if (offers(feature)) {
        int fd = sparse_file(0xff);
        bool is_insert = mode == FALLOC_FL_INSERT_RANGE;
        want_result(sys(fallocate(fd, mode, 2 * UNIT, UNIT)), 0);
        want_equal("the size", (long long)look_fd(fd).size, is_insert ? SIZE + UNIT : SIZE - UNIT);
        want("what was behind it has moved",
             pread(fd, bytes, UNIT, (is_insert ? 3 : 2) * UNIT) == UNIT &&
                 bytes[5] == (is_insert ? 'c' : 'd'));
        want_result(sys(fallocate(fd, mode, 1, UNIT)), EINVAL);
        close(fd);
    }
    end();
}

static void assert_write_in_hole(size_t offset, size_t length)
{
    if (!beginf(ROOT, "pwrite", "%zu bytes at %zu of a hole", length, offset))
        return;
    int fd = sparse_file(0);
    memset(model + offset, 'h', length);
    want_equal("its result", pwrite(fd, model + offset, length, (off_t)offset), (long long)length);
    want("the bytes around it are zeros",
         pread(fd, bytes, SIZE, 0) == SIZE && memcmp(bytes, model, SIZE) == 0);
    close(fd);
    end();
}

void suite_holes(void)
{
    static const unsigned maps[] = {0x00, 0x01, 0x80, 0xff, 0x55, 0xaa,
                                    0x0f, 0xf0, 0x3c, 0x81, 0x18};
    static const size_t offsets[] = {0, 1, 4095, 4096, UNIT - 1, 2 * UNIT + 17};
    static const size_t lengths[] = {1, 100, 4096, 4097, UNIT};
    for (size_t i = 0; i < COUNT(maps); i++)
        assert_seek(maps[i]);
    assert_ranges();
    assert_wrongs();
    assert_kept_blocks();
    assert_moving(FALLOC_FL_COLLAPSE_RANGE, HAS_COLLAPSE, "fallocate(COLLAPSE_RANGE)");
    assert_moving(FALLOC_FL_INSERT_RANGE, HAS_INSERT, "fallocate(INSERT_RANGE)");
    for (size_t o = 0; o < COUNT(offsets); o++) {
        for (size_t l = 0; l < COUNT(lengths); l++)
            assert_write_in_hole(offsets[o], lengths[l]);
    }
}
