/* vmfs-crashtest.h -- your program on vmfs.h, in every state that a power cut could leave
 *
 * A program that keeps its data in a region must find it right again after the power went, at whatever
 * instant. This library runs it once, on a region in memory that records each store, flush and fence;
 * then it makes every region that a power cut could have left, recovers it and asks your own check:
 *
 *     static int run(struct vmfs *fs, void *arg)   { return settings_save(fs, "new"); }
 *     static int check(struct vmfs *fs, uint64_t promised, void *arg)
 *     {
 *         return settings_are(fs, "new") || (promised == 0 && settings_are(fs, "old")) ? 0 : 1;
 *     }
 *     ...
 *     struct vmfs_crashtest test = VMFS_CRASHTEST_INIT;
 *     test.run = run;
 *     test.check = check;
 *     int err = vmfs_crashtest_run(&test, &result);
 *
 * A state that the check refuses is printed with the line of your program that was being executed and
 * with a token; VMFS_CRASHTEST_REPLAY=TOKEN in the environment tries that one state again, under a
 * debugger if you like. docs/crash-testing.md explains epochs, states and reports.
 *
 * Link with -lvmfs-crashtest in the place of -lvmfs (`pkg-config --cflags --libs vmfs-crashtest`), and
 * compile with -g and -fno-optimize-sibling-calls, so that lines can be named.
 *
 * What the hardware allows is taken from Chipmunk (EuroSys 2023), Vinter (ATC 2022) and the x86 persistency
 * model; that recovery is cut as well, from littlefs. */
#ifndef VMFS_CRASHTEST_H
#define VMFS_CRASHTEST_H

#include "vmfs.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What memory loses. LINE: x86; of each 64-byte line a prefix of its stores is there, of stores past the
 * cache any 8-byte words. WORD: of all stores in flight any words. PAGE: a page cache; of each 512-byte
 * sector a prefix of its stores since the last msync. */
#define VMFS_CRASHTEST_LINE 0u
#define VMFS_CRASHTEST_WORD 1u
#define VMFS_CRASHTEST_PAGE 2u

struct vmfs_crashtest {
    uint32_t struct_bytes; /* VMFS_CRASHTEST_INIT sets it */
    uint32_t model;        /* VMFS_CRASHTEST_LINE, _WORD or _PAGE */
    /* Fills the fresh region; not recorded, durable before run() begins. May be null. 0, or anything else
     * to give up. */
    int (*prepare)(struct vmfs *fs, void *arg);
    /* What is tested, in one thread. 0, or anything else to give up. */
    int (*run)(struct vmfs *fs, void *arg);
    /* Looks at a recovered region: 0 if it is right. `promised` is the last number that run() gave to
     * vmfs_crashtest_promise(), 0 before the first. May change the region, which is thrown away; must
     * close what it opens, and not rely on what earlier calls did. */
    int (*check)(struct vmfs *fs, uint64_t promised, void *arg);
    void *arg;
    uint64_t region_bytes; /* at least VMFS_REGION_MIN, the default; small is fast */
    uint64_t seed;         /* where not every state can be tried, which; default 1 */
    const char
        *keep; /* a folder for what violations leave, or null: of each its token, the image as
                            * the power cut left it, for vmfs fsck and dump, and what was in flight */
    const char *replay; /* only the state of this token; null: $VMFS_CRASHTEST_REPLAY, or all */
};

#define VMFS_CRASHTEST_INIT                                                                        \
    {                                                                                              \
        .struct_bytes = sizeof(struct vmfs_crashtest), .region_bytes = VMFS_REGION_MIN, .seed = 1  \
    }

struct vmfs_crashtest_result {
    uint64_t states; /* different regions that were recovered and checked */
    uint64_t points; /* moments at which the power was cut */
    uint64_t
        points_complete; /* of these, with every state tried or shown to be equal to one that was */
    uint64_t violations; /* states in which recovery, vmfs_check() or check() failed */
    char token[1024];    /* of the first violation; "" if there is none, or it is longer */
    char where[256];     /* the lines of the program it arose at: "FILE:LINE from FILE:LINE" */
};

/* Runs `test`; violations are printed to stderr. 0 if it was run to the end, whatever it found (`result`);
 * -EINVAL for a bad argument or token, or a size that is no multiple of 1 MiB; -ENOMEM; what prepare() or
 * run() returned if that was not 0. A check that crashes, or takes more than 20 seconds, ends the process with its
 * token printed. One test at a time in a process; SIGALRM and signals of faults are the library's until it
 * returns. Nothing is written but to stderr and `keep`. */
int vmfs_crashtest_run(const struct vmfs_crashtest *test, struct vmfs_crashtest_result *result);

/* For run(): from here on the program promises something, which check() knows by this number. Numbers must
 * not become smaller. Outside of run() it does nothing. */
void vmfs_crashtest_promise(uint64_t number);

#ifdef __cplusplus
}
#endif

#endif
