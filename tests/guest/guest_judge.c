/* guest_judge.c -- whether a region holds all that a killed guest_writer has acknowledged
 *
 * guest_judge REGION ACKS
 *
 * REGION is opened for reading only, and may begin anywhere in the file, as that of a guest does in its
 * image. Exit status 0 if it is whole, and the last line says how much was looked at. */
#include <stdio.h>

#include "judge.h"
#include "region.h"

static struct vmfs *open_region(const char *path)
{
    static struct region_log log;
    struct vmfs *fs;
    int err = region_open_inside(path, &log, &fs);
    if (err == 0)
        return fs;
    printf("guest_judge: open of %s returned %d: %s\n", path, err, log.text);
    return NULL;
}

static bool judge_region(struct kill_judge *judge, struct vmfs *fs)
{
    struct vmfs_info info = {.struct_bytes = sizeof(info)};
    bool is_good = vmfs_info(fs, &info) == 0 && kill_judge(judge, fs);
    uint64_t rounds = atomic_load(&judge->told->next) - atomic_load(&judge->told->first);
    printf("guest_judge: %s, %llu rounds, %llu operations, %llu records unretired\n",
           is_good ? "intact" : "LOST", (unsigned long long)rounds,
           (unsigned long long)judge->acked, (unsigned long long)info.journal_records);
    return vmfs_close(fs) == 0 && is_good;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: guest_judge REGION ACKS\n");
        return 2;
    }
    struct kill_judge judge = {.told = kill_told_map(argv[2])};
    if (judge.told == NULL) {
        perror(argv[2]);
        return 1;
    }
    struct vmfs *fs = open_region(argv[1]);
    if (fs == NULL)
        return 1;
    bool is_good = judge_region(&judge, fs);
    kill_judge_end(&judge);
    return is_good ? 0 : 1;
}
