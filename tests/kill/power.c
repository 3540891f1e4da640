/* power.c -- the medium below a page cache, and what a power cut makes of both */
#include "power.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE_BYTES   4096u
#define SECTOR_BYTES 512u
#define DEVICE_NS    50000 /* what comes during a round must wait for the next */

static uint8_t *medium; /* null: no power cuts */
static uint64_t medium_bytes;
static pid_t parent; /* whose power is not cut */

int pmem_is_pmem(const void *address, size_t length);
int pmem_is_pmem(const void *address, size_t length)
{
    (void)address;
    (void)length;
    return medium == NULL;
}

static void __attribute__((noreturn)) give_up(const char *what)
{
    perror(what);
    abort();
}

void power_use(uint64_t region_bytes)
{
    medium_bytes = region_bytes;
    medium = mmap(NULL, region_bytes, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (medium == MAP_FAILED)
        give_up("power: mmap");
    setenv("VMFS_TEST_DURABILITY", "power", 1);
    parent = getpid();
}

/* Where in the region's file an address lies: the process maps no other file for writing. */
static uint64_t offset_of(const void *address)
{
    uintptr_t wanted = (uintptr_t)address;
    char line[512];
    uint64_t found = UINT64_MAX;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && found == UINT64_MAX && fgets(line, sizeof line, maps)) {
        unsigned long long start;
        unsigned long long end;
        unsigned long long offset;
        if (sscanf(line, "%llx-%llx rw-s %llx", &start, &end, &offset) == 3 && wanted >= start &&
            wanted < end)
            found = wanted - start + offset;
    }
    if (maps)
        fclose(maps);
    return found;
}

/* The kill may come in between: by words, as a device would leave them. */
static void keep(uint64_t *to, uint64_t *from, size_t words)
{
    for (size_t i = 0; i < words; i++)
        __atomic_store_n(to + i, __atomic_load_n(from + i, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
}

int msync(void *address, size_t length, int flags)
{
    static uintptr_t base; /* of the region; a child has one mapping, and opens it in one thread */
    if (!medium)
        return (int)syscall(SYS_msync, address, length, flags);
    if (getpid() == parent)
        return 0;
    if (!base)
        base = (uintptr_t)address - offset_of(address);
    uint64_t offset = (uintptr_t)address - base;
    if (offset > medium_bytes || length > medium_bytes - offset) {
        errno = ENOMEM;
        return -1;
    }
    keep((uint64_t *)(void *)(medium + offset), address, length / 8);
    nanosleep(&(struct timespec){.tv_nsec = DEVICE_NS}, NULL);
    return 0;
}

static int open_region(const char *region)
{
    int fd = open(region, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        give_up(region);
    return fd;
}

static bool read_page(int fd, uint64_t page, uint8_t *bytes)
{
    ssize_t got = pread(fd, bytes, PAGE_BYTES, (off_t)(page * PAGE_BYTES));
    return got == (ssize_t)PAGE_BYTES;
}

void power_begin(const char *region)
{
    uint8_t bytes[PAGE_BYTES];
    if (!medium)
        return;
    parent = getpid();
    int fd = open_region(region);
    for (uint64_t page = 0; read_page(fd, page, bytes); page++) {
        uint8_t *kept = medium + page * PAGE_BYTES;
        if (memcmp(kept, bytes, PAGE_BYTES) != 0)
            memcpy(kept, bytes, PAGE_BYTES);
    }
    close(fd);
}

/* How much of what was not synced gets out all the same, in percent, and in which pieces. */
struct cut {
    unsigned survives;
    bool by_sector;
};

static uint64_t cut_page(uint8_t *bytes, const uint8_t *kept, struct cut cut, struct seed *choices)
{
    uint64_t lost = 0;
    bool is_out = seed_chance(choices, cut.survives);
    for (unsigned at = 0; at < PAGE_BYTES; at += SECTOR_BYTES) {
        if (cut.by_sector)
            is_out = seed_chance(choices, cut.survives);
        if (is_out || memcmp(bytes + at, kept + at, SECTOR_BYTES) == 0)
            continue;
        memcpy(bytes + at, kept + at, SECTOR_BYTES);
        lost++;
    }
    return lost;
}

uint64_t power_cut(const char *region, struct seed *choices)
{
    static const unsigned shares[] = {0, 10, 50, 90, 100};
    uint8_t bytes[PAGE_BYTES];
    uint64_t lost = 0;
    if (!medium)
        return 0;
    struct cut cut = {shares[seed_below(choices, 5)], seed_chance(choices, 50)};
    int fd = open_region(region);
    for (uint64_t page = 0; read_page(fd, page, bytes); page++) {
        uint64_t sectors = cut_page(bytes, medium + page * PAGE_BYTES, cut, choices);
        lost += sectors;
        if (sectors &&
            pwrite(fd, bytes, PAGE_BYTES, (off_t)(page * PAGE_BYTES)) != (ssize_t)PAGE_BYTES)
            give_up(region);
    }
    close(fd);
    return lost;
}
