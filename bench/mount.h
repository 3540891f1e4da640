/* mount.h -- vmfs-fuse and its peer, mounted for as long as a run takes
 *
 * Each is a child of this process that stays in the foreground, so that its threads can be moved to
 * the CPUs of a row and its system calls be counted, and it ends with this process however that ends:
 * the kernel sends it SIGTERM, on which it unmounts. The peer is passthrough_ll over a folder on
 * tmpfs, from the examples that come with libfuse3-dev, built when it is first needed. Both run with
 * their default options. */
#ifndef BENCH_MOUNT_H
#define BENCH_MOUNT_H

#include <sched.h>
#include <sys/types.h>

#include "env.h"

#define MOUNT_WHY_BYTES    256
#define MOUNT_REGION_BYTES "1G"

struct mounted {
    struct bench_fs fs;
    char folder[sizeof(((struct bench_env *)0)->scratch_path) + 8];
    pid_t pid;
    bool is_mounted;
};

/* Mounts; below the scratch folder. `options` are further ones of ours, or null. On failure `why` says what is missing and nothing stays. */
int mount_ours(const struct bench_env *env, const char *options, struct mounted *out, char *why);
int mount_peer(const struct bench_env *env, struct mounted *out, char *why);

/* Unmounts, and waits for the daemon. Nothing for one that is not mounted. */
void mount_end(struct mounted *mounted);

/* Lets all threads of the daemon run on these CPUs only. */
int mount_place(const struct mounted *mounted, const cpu_set_t *cpus);

#endif
