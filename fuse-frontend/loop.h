/* loop.h -- which thread reads the next request
 *
 * The kernel wakes readers first in, first out, so that with several of them every request meets
 * another thread and a cold cache. Here as few threads read as there is work for: one that reads,
 * serves and reads again while requests come one at a time. The others stand by, and who has stood by
 * for the shortest time is asked first.
 *   - Requests that were waiting when their predecessor had been answered, several times in a row, are
 *     more than the readers can serve: one more reads, up to one for two CPUs. Readers that mostly wait
 *     are too many.
 *   - A deputy looks now and then whether a reader is still at the same request: then it sleeps in
 *     the library (an msync, a lock that a large call holds), and another reads in its place.
 *   - Where every change is an msync of its own all threads read from the start: the changes that wait
 *     together share one (vmfs.h). */
#ifndef VMFS_FUSE_LOOP_H
#define VMFS_FUSE_LOOP_H

#include "frontend.h"

/* Serves until the mount is gone or it is told to stop. 0, or a negative errno value. */
int loop_run(struct frontend *frontend, bool all_read);

/* Stops it, or one that is about to run: in a signal handler, too. */
void loop_stop(struct frontend *frontend);

/* The same, when nobody has asked for anything for a moment; after DRAIN_MAX_MS (loop.c) all the same. */
void loop_finish(void);

#endif
