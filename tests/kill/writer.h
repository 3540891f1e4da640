/* writer.h -- changes a region from several threads, until it is killed */
#ifndef TESTS_KILL_WRITER_H
#define TESTS_KILL_WRITER_H

#include "told.h"

struct kill_writer_options {
    uint64_t seconds; /* how long; 0 means for ever */
    uint64_t
        ahead; /* operations that are counted before they are begun: a fault, which the judge must see */
};

/* Opens the region at `path`, begins the next round, and in each thread counts every operation in `told`
 * after it has returned. Returns 0 after closing the region, or 1, then told->failure says why. A thread
 * whose operation differs from its model says so and ends the process. */
int kill_write(struct kill_told *told, const char *path, const struct kill_writer_options *options);

#endif
