/* crashtest.c -- vmfs-crashtest.h: the explorer with the user's program as workload and judge */
#include "vmfs-crashtest.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/callers.h"
#include "engine/explore.h"
#include "world.h"

#define THREAD_USER   1u
#define RUN_NOW_NS    ((int64_t)2000000000000000000)
#define FENCE_TAKE_NS 1000000
#define CHOICES_MAX   256u
#define RANDOM_COUNT  64u
#define PLACES_MAX    5u
#define LABEL         "run"
#define MIB           ((uint64_t)1 << 20)

/* The test that runs. */
struct run {
    struct vmfs_crashtest test;
    struct vmfs_crashtest_result result;
    struct explorer explorer;
    struct medium live;
    struct judge judge;
    struct token token;
    char *token_text;   /* `token` points into it */
    const void *caller; /* of vmfs_crashtest_run() */
    uint64_t promised;
    bool is_recording;
};

static struct run *running;

/* ---- where the program is ---- */

static const void *object_of(const void *address)
{
    Dl_info info;
    return dladdr(address, &info) ? info.dli_fbase : NULL;
}

/* The callers outside of this library, the innermost first, as "FILE:LINE from FILE:LINE"; and the call
 * of the library that the innermost made. */
static void name_place(const struct run *run, const struct medium_event *event, char where[],
                       size_t room, const char **call)
{
    const void *self = object_of((const void *)(uintptr_t)&vmfs_crashtest_run);
    const void *entry = NULL;
    size_t used = 0;
    *call = "the library";
    snprintf(where, room, "?");
    for (unsigned index = 0; index < MEDIUM_CALLERS && event->callers[index]; index++) {
        const void *caller = event->callers[index];
        Dl_info info;
        char line[128];
        bool is_outside = object_of(caller) != self;
        if (caller == run->caller || (!is_outside && used))
            return; /* from here on it is who called the test */
        if (!is_outside) {
            entry = caller;
            continue;
        }
        if (!used && entry && dladdr(entry, &info) && info.dli_sname)
            *call = info.dli_sname;
        callers_text(caller, line, sizeof line);
        used += (size_t)snprintf(where + used, room - used, "%s%s", used ? " from " : "", line);
        if (used >= room)
            return;
    }
}

/* ---- the judge ---- */

static int recover(void *arg, struct medium *medium, struct vmfs **out)
{
    (void)arg;
    return world_attach(medium, 0, out);
}

static const char *examine(void *arg, struct vmfs *fs, FILE *details)
{
    struct run *run = arg;
    const char *reason = NULL;
    if (!world_is_sound(fs, details))
        reason = "vmfs_check() finds problems";
    else if (run->test.check(fs, run->promised, run->test.arg))
        reason = "check() refuses";
    if (vmfs_close(fs) && !reason)
        reason = "check() leaves something open, or the region cannot be closed";
    return reason;
}

static uint64_t rules(void *arg)
{
    const struct run *run = arg;
    return run->promised;
}

/* ---- points ---- */

static void cut(struct run *run, const struct medium_event *event)
{
    struct vmfs_crashtest_result *result = &run->result;
    uint64_t before = run->explorer.violation_count;
    char where[sizeof result->where];
    const char *call;
    explore_point(&run->explorer, &run->live);
    if (run->explorer.violation_count == before)
        return;
    name_place(run, event, where, sizeof where, &call);
    if (before < PLACES_MAX)
        fprintf(stderr, "vmfs-crashtest: the power was cut in %s, called at %s\n", call, where);
    if (before == 0)
        memcpy(result->where, where, sizeof where);
}

static void before_fence(struct medium *live, void *arg)
{
    struct run *run = arg;
    live->now_ns += FENCE_TAKE_NS;
    if (run->is_recording)
        cut(run, &live->events[live->event_count - 1]);
}

void vmfs_crashtest_promise(uint64_t number)
{
    struct run *run = running;
    if (!run || !run->is_recording)
        return;
    run->promised = number;
    medium_begin(&run->live, "promise");
    cut(run, &run->live.events[run->live.event_count - 1]);
}

/* ---- the run ---- */

static int prepare(struct run *run, struct vmfs **fs)
{
    uint8_t *zeros = medium_pages(run->live.bytes);
    medium_load(&run->live, zeros);
    run->live.thread = THREAD_USER;
    run->live.now_ns = RUN_NOW_NS;
    int err = world_attach(&run->live, VMFS_CREATE, fs);
    medium_unmap(zeros, run->live.bytes);
    if (err == 0 && run->test.prepare)
        err = run->test.prepare(*fs, run->test.arg);
    if (err == 0)
        err = vmfs_sync(*fs);
    return err;
}

static int record(struct run *run)
{
    struct vmfs *fs;
    int err = prepare(run, &fs);
    if (err)
        return err;
    run->live.before_fence = before_fence;
    run->live.hook_arg = run;
    explore_start(&run->explorer, &run->live, LABEL, &run->judge);
    medium_log(&run->live);
    medium_begin(&run->live, LABEL);
    run->is_recording = true;
    err = run->test.run(fs, run->test.arg);
    medium_end(&run->live, err);
    if (err == 0)
        cut(run, &run->live.events[run->live.event_count - 1]);
    run->is_recording = false;
    int close_err = vmfs_close(fs);
    return err ? err : close_err;
}

/* The state to replay, if one is asked for. */
static bool load_token(struct run *run)
{
    const char *text = run->test.replay ? run->test.replay : getenv("VMFS_CRASHTEST_REPLAY");
    if (!text)
        return true;
    run->token_text = strdup(text);
    if (!run->token_text || !token_parse(run->token_text, &run->token) ||
        strcmp(run->token.label, LABEL) != 0)
        return false;
    run->test.model = (uint32_t)run->token.model;
    run->test.seed = run->token.seed;
    run->test.region_bytes = run->token.region_mib * MIB;
    return true;
}

static bool load_options(struct run *run, const struct vmfs_crashtest *test)
{
    if (!test || test->struct_bytes != sizeof *test || !test->run || !test->check ||
        test->model > VMFS_CRASHTEST_PAGE || test->region_bytes < VMFS_REGION_MIN ||
        test->region_bytes % MIB)
        return false;
    run->test = *test;
    return load_token(run);
}

static void set_up(struct run *run)
{
    struct explorer *explorer = &run->explorer;
    medium_init(&run->live, run->test.region_bytes);
    run->live.model = (enum medium_model)run->test.model;
    run->live.random_seed = run->test.seed;
    explore_init(explorer, run->test.region_bytes);
    explorer->seed = run->test.seed;
    explorer->region_mib = run->test.region_bytes / MIB;
    explorer->choices_max = CHOICES_MAX;
    explorer->random_count = RANDOM_COUNT;
    explorer->keep = run->test.keep;
    explorer->replay = run->token_text ? &run->token : NULL;
    run->judge = (struct judge){.arg = run, .recover = recover, .examine = examine, .rules = rules};
}

static void fill_result(struct run *run)
{
    struct vmfs_crashtest_result *result = &run->result;
    const struct explorer *explorer = &run->explorer;
    result->states = explorer->state_count;
    result->points = explorer->point_count;
    result->points_complete = explorer->point_count - explorer->share_count[SHARE_SAMPLED];
    result->violations = explorer->violation_count;
    if (explorer->first_token && strlen(explorer->first_token) < sizeof result->token)
        memcpy(result->token, explorer->first_token, strlen(explorer->first_token) + 1);
}

static void run_free(struct run *run)
{
    free(run->token_text);
    free(run);
}

int vmfs_crashtest_run(const struct vmfs_crashtest *test, struct vmfs_crashtest_result *result)
{
    struct run *run = calloc(1, sizeof *run);
    if (!run)
        return -ENOMEM;
    if (running || !result || !load_options(run, test)) {
        run_free(run);
        return -EINVAL;
    }
    running = run;
    run->caller = __builtin_return_address(0);
    set_up(run);
    int err = record(run);
    fill_result(run);
    *result = run->result;
    running = NULL;
    explore_fini(&run->explorer);
    medium_fini(&run->live);
    run_free(run);
    return err;
}
