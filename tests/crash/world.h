/* world.h -- filesystems on recorded media: attaching, looking at all of them, using them up
 *
 * Clock, random numbers, memory and thread names of every filesystem come from here, so that a run
 * is decided by its scenario and seed alone. */
#ifndef TESTS_CRASH_WORLD_H
#define TESTS_CRASH_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/medium.h"
#include "vmfs.h"

#define WORLD_DIRS_MAX   12u
#define WORLD_TARGET_MAX (1u << 17)

/* Attaches what is on the medium. */
int world_attach(struct medium *medium, uint32_t flags, struct vmfs **out);

/* What is visible: one digest of everything, and the content of one file apart from it. */
struct dump {
    const char *target; /* the path of that file, or null */
    bool is_torn;       /* its words are judged one by one */
    bool has_no_ids;    /* which inode is whose depends on who came first */
    FILE *out;          /* one line for each object, or null */
    uint64_t digest;
    int error; /* the first, and its place */
    char error_path[VMFS_PATH_MAX + 1];
    bool has_target;
    uint64_t target_bytes;
    uint8_t content[WORLD_TARGET_MAX];
    unsigned dir_count;
    char dirs[WORLD_DIRS_MAX][64];
};

void world_dump(struct vmfs *fs, struct dump *dump);

/* Does vmfs_check() find nothing? Problems are printed to `out` if that is not null. */
bool world_is_sound(struct vmfs *fs, FILE *out);

/* Creates, writes and reads a file in each of the dumped directories, removes everything there is,
 * and compares the free blocks with those of an empty region: null, or what went wrong. */
const char *world_use_up(struct vmfs *fs, const struct dump *dump, uint64_t empty_blocks);

/* Free blocks, as they would be without grown inode chunks and the root directory's nodes. */
uint64_t world_free_blocks(struct vmfs *fs);

/* Could another thread do anything now without waiting for the one that is interrupted? Only lanes
 * and stripes are held. */
bool world_is_quiet(struct vmfs *fs);

/* A checkpoint as another thread would make it: 0 or a negative errno. */
int world_checkpoint(struct vmfs *fs);

/* Prints what is on an image as it is, or, where it needs that, as it recovers: for judge.dump. */
void world_dump_image(void *arg, const uint8_t *image, uint64_t bytes, FILE *out);

/* Calls of platform.back() go here while it is not null. */
typedef void (*world_back_fn)(void *arg, uint64_t offset, uint64_t len_bytes);
void world_watch_backing(world_back_fn watch, void *arg);

/* What waiting, waking and yielding do where threads are played by coroutines (schedule.h). Null: nobody
 * else can run, and who waits ends the program. */
struct world_threads {
    bool (*plays)(const struct medium *medium); /* are these the threads of a filesystem on it? */
    void (*wait)(const _Atomic uint32_t *word, uint32_t seen);
    void (*wake)(const _Atomic uint32_t *word);
    void (*yield)(void);
};
void world_play_threads(const struct world_threads *threads);

#endif
