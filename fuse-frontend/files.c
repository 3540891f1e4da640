/* files.c -- lists of open files, by the thread that opened them, so that threads hardly ever meet */
#include "files.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct entry {
    struct vmfs_file *file;
    struct entry *next;
    struct entry **link; /* what points here */
    unsigned shard;
};

struct shard {
    _Alignas(64) pthread_mutex_t lock;
    struct entry *first;
};

#define UNLOCKED                                                                                   \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER                                                          \
    }
static struct shard shards[] = {UNLOCKED, UNLOCKED, UNLOCKED, UNLOCKED,
                                UNLOCKED, UNLOCKED, UNLOCKED, UNLOCKED};
#define SHARDS (sizeof shards / sizeof *shards)

static unsigned shard_own(void)
{
    static _Atomic unsigned threads;
    static _Thread_local unsigned own;
    if (own == 0)
        own = 1 + atomic_fetch_add(&threads, 1) % SHARDS;
    return own - 1;
}

int files_add(struct vmfs_file *file, uint64_t *fh)
{
    struct entry *entry = malloc(sizeof *entry);
    if (!entry) {
        vmfs_file_close(file);
        return -ENOMEM;
    }
    struct shard *shard = &shards[shard_own()];
    *entry =
        (struct entry){.file = file, .link = &shard->first, .shard = (unsigned)(shard - shards)};
    pthread_mutex_lock(&shard->lock);
    entry->next = shard->first;
    if (entry->next)
        entry->next->link = &entry->next;
    shard->first = entry;
    pthread_mutex_unlock(&shard->lock);
    *fh = (uint64_t)(uintptr_t)entry;
    return 0;
}

static struct entry *entry_of(uint64_t fh)
{
    return (struct entry *)(uintptr_t)fh;
}

struct vmfs_file *files_get(uint64_t fh)
{
    return entry_of(fh)->file;
}

int files_close(uint64_t fh)
{
    struct entry *entry = entry_of(fh);
    struct shard *shard = &shards[entry->shard];
    pthread_mutex_lock(&shard->lock);
    *entry->link = entry->next;
    if (entry->next)
        entry->next->link = entry->link;
    pthread_mutex_unlock(&shard->lock);
    int err = vmfs_file_close(entry->file);
    free(entry);
    return err;
}

void files_close_all(void)
{
    for (unsigned i = 0; i < SHARDS; i++)
        while (shards[i].first)
            files_close((uint64_t)(uintptr_t)shards[i].first);
}
