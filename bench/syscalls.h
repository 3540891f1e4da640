/* syscalls.h -- how many system calls another process makes
 *
 * Counted by the kernel's tracepoint at the entry of every system call, in each thread that the process
 * has or starts while it is counted. While a counter exists all system calls of the machine are slower, so
 * nothing is timed then. Needs CAP_PERFMON or root, and tracefs. */
#ifndef BENCH_SYSCALLS_H
#define BENCH_SYSCALLS_H

#include <stdint.h>
#include <sys/types.h>

#define SYSCALLS_THREADS_MAX 64

struct syscalls {
    int fds[SYSCALLS_THREADS_MAX];
    unsigned count;
};

/* -errno where that is not possible here; syscalls_end() is due only on success. */
int syscalls_begin(struct syscalls *counter, pid_t pid, const char *scratch_path);
/* Calls entered since the beginning. */
uint64_t syscalls_read(const struct syscalls *counter);
void syscalls_end(struct syscalls *counter);

#endif
