/* told.c -- what writer and judge have in common */
#include "told.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

const struct op_profile kill_profile = {
    .names_max = 60,
    .file_max = 65536,
    .sparse_max = (uint64_t)1 << 30,
    .name_range = 48,
    .messy = 0,
    .has_outside = false,
    .is_changing = true,
};

struct kill_told *kill_told_map(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    void *map = mmap(NULL, sizeof(struct kill_told), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return map == MAP_FAILED ? NULL : map;
}

struct seed kill_stream(const struct kill_told *told, uint64_t round, unsigned thread)
{
    struct seed stream;
    seed_init(&stream, seed_mix(seed_mix(told->seed, round), thread));
    return stream;
}

void kill_round_path(char path[KILL_PATH], uint64_t round)
{
    snprintf(path, KILL_PATH, "/r%llu", (unsigned long long)round);
}

void kill_tree_path(char path[KILL_PATH], uint64_t round, unsigned thread)
{
    snprintf(path, KILL_PATH, "/r%llu/t%u", (unsigned long long)round, thread);
}
