/* judge.c -- replays on models what the writer's threads have counted, and compares */
#include "judge.h"

#include <stdio.h>
#include <stdlib.h>

#include "compare.h"
#include "in_flight.h"
#include "region.h"

struct kill_round {
    uint64_t number;
    struct op_world worlds[KILL_THREADS];
};

struct replay {
    struct op op;
    struct op_result result;
};

static struct kill_round *create_round(const struct kill_told *told, uint64_t number)
{
    struct kill_round *round = model_allocate(sizeof(*round));
    round->number = number;
    for (unsigned i = 0; i < KILL_THREADS; i++)
        round->worlds[i].model = model_create(atomic_load(&told->uid), atomic_load(&told->gid));
    return round;
}

static void destroy_round(struct kill_round *round)
{
    if (round == NULL)
        return;
    for (unsigned i = 0; i < KILL_THREADS; i++) {
        op_close_slots(&round->worlds[i]);
        model_destroy(round->worlds[i].model);
    }
    free(round);
}

/* Leaves the operation in flight in `replay`. */
static uint64_t replay_acked(const struct kill_told *told, struct kill_round *round,
                             unsigned thread, struct replay *replay)
{
    struct op_world *world = &round->worlds[thread];
    struct seed stream = kill_stream(told, round->number, thread);
    uint64_t acked = atomic_load(&told->lanes[round->number % KILL_ROUNDS][thread].acked);
    for (uint64_t i = 0; i < acked; i++) {
        op_generate(&replay->op, world, &stream, &kill_profile);
        op_run_model(&replay->op, world, OP_DATA_MAX, &replay->result);
    }
    op_generate(&replay->op, world, &stream, &kill_profile);
    return acked;
}

/* A round that was not judged before: its models become what the region has. */
static bool judge_new(struct kill_judge *judge, struct vmfs *fs, struct kill_round *round)
{
    char prefix[KILL_PATH];
    char text[2048];
    struct replay *replay = model_allocate(sizeof(*replay));
    bool is_good = true;
    for (unsigned i = 0; i < KILL_THREADS && is_good; i++) {
        kill_tree_path(prefix, round->number, i);
        judge->acked += replay_acked(judge->told, round, i, replay);
        is_good =
            in_flight_agrees(fs, prefix, &round->worlds[i], &replay->op, &replay->result, text);
        if (!is_good)
            printf("LOST in %s\n  %s\n", prefix, text);
        op_close_slots(&round->worlds[i]);
    }
    free(replay);
    return is_good;
}

static bool judge_kept(struct vmfs *fs, const struct kill_round *round)
{
    char prefix[KILL_PATH];
    char text[512];
    for (unsigned i = 0; i < KILL_THREADS; i++) {
        kill_tree_path(prefix, round->number, i);
        if (compare_tree(fs, prefix, round->worlds[i].model, NULL, text) != 0) {
            printf("LOST: %s was intact before: %s\n", prefix, text);
            return false;
        }
    }
    return true;
}

static bool judge_round(struct kill_judge *judge, struct vmfs *fs, uint64_t number)
{
    struct kill_round **place = &judge->rounds[number % KILL_ROUNDS];
    if (*place != NULL && (*place)->number == number)
        return judge_kept(fs, *place);
    destroy_round(*place);
    *place = create_round(judge->told, number);
    return judge_new(judge, fs, *place);
}

static bool judge_check(struct vmfs *fs)
{
    int64_t problems = region_check(fs);
    if (problems != 0)
        printf("vmfs_check found %lld problems\n", (long long)problems);
    return problems == 0;
}

bool kill_judge(struct kill_judge *judge, struct vmfs *fs)
{
    const struct kill_told *told = judge->told;
    uint64_t next = atomic_load(&told->next);
    if (atomic_load(&told->is_failed)) {
        printf("the writer failed: %s\n", told->failure);
        return false;
    }
    bool is_good = judge_check(fs);
    for (uint64_t number = atomic_load(&told->first); number < next && is_good; number++)
        is_good = judge_round(judge, fs, number);
    return is_good;
}

void kill_judge_end(struct kill_judge *judge)
{
    for (unsigned i = 0; i < KILL_ROUNDS; i++) {
        destroy_round(judge->rounds[i]);
        judge->rounds[i] = NULL;
    }
}
