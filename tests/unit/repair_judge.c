/* repair_judge.c -- comparing what lives with what lived */
#include "repair_judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOT_MASK (((uint64_t)1 << 40) - 1)
#define ROOT_ID   1u

void judge_allow(struct repair_judge *judge, uint64_t id, char mark)
{
    for (unsigned index = 0; index < judge->cost_count; index++)
        if (judge->costs[index].id == id && judge->costs[index].mark == mark)
            return;
    if (judge->cost_count == JUDGE_COSTS_MAX)
        abort();
    judge->costs[judge->cost_count].id = id;
    judge->costs[judge->cost_count].limit = 0;
    judge->costs[judge->cost_count].lost = 0;
    judge->costs[judge->cost_count++].mark = mark;
}

void judge_begin(struct repair_judge *judge, struct vmfs *fs, const struct inventory *before,
                 const char *cost)
{
    char path[300];
    judge->before = before;
    judge->cost_count = 0;
    judge->is_sum = judge->takes_data = false;
    judge_deafen(judge);
    for (int used; sscanf(cost, " %299s%n", path, &used) == 1; cost += used) {
        struct vmfs_stat stat;
        char mark = path[0] == '/' ? 0 : path[0];
        char *colon = strchr(path, ':');
        if (colon)
            *colon = '\0';
        if (vmfs_stat(fs, path + (mark != 0), VMFS_NOFOLLOW, &stat))
            abort();
        judge_allow(judge, stat.ino, mark);
        if (colon)
            judge->costs[judge->cost_count - 1].limit = (unsigned)strtoul(colon + 1, NULL, 10);
    }
}

static void note_slot(struct repair_judge *judge, uint64_t slot)
{
    if (judge->told_count < JUDGE_TOLD_MAX)
        judge->told[judge->told_count++] = slot;
}

void judge_excuse(struct repair_judge *judge, uint64_t id)
{
    judge_allow(judge, id, 0);
    note_slot(judge, id & SLOT_MASK);
}

void judge_hear(void *arg, const struct vmfs_problem *problem)
{
    struct repair_judge *judge = arg;
    judge->lines++;
    judge->mended += problem->is_mended;
    snprintf(judge->last, sizeof judge->last, "P%u %s", problem->pass, problem->text);
    for (const char *at = problem->text; (at = strstr(at, "inode ")); at++)
        note_slot(judge, strtoull(at + 6, NULL, 10) & SLOT_MASK);
    for (const char *at = problem->text; (at = strstr(at, "slot ")); at++)
        note_slot(judge, strtoull(at + 5, NULL, 10));
    for (const char *at = problem->text; (at = strstr(at, "directory ")); at++)
        note_slot(judge, strtoull(at + 10, NULL, 10) & SLOT_MASK);
    for (const char *at = problem->text; (at = strstr(at, "slots ")); at++) {
        char *end;
        uint64_t first = strtoull(at + 6, &end, 10);
        uint64_t last = strncmp(end, " to ", 4) == 0 ? strtoull(end + 4, NULL, 10) : first;
        for (uint64_t slot = first; slot <= last && slot - first < JUDGE_TOLD_MAX; slot++)
            note_slot(judge, slot);
    }
}

void judge_deafen(struct repair_judge *judge)
{
    judge->told_count = judge->lines = judge->mended = 0;
}

static bool is_told(const struct repair_judge *judge, uint64_t id)
{
    for (unsigned index = 0; index < judge->told_count; index++)
        if (judge->told[index] == (id & SLOT_MASK))
            return true;
    return false;
}

/* With a mark 0: anything. */
static bool may_lose(const struct repair_judge *judge, uint64_t id, char mark)
{
    for (unsigned index = 0; index < judge->cost_count; index++)
        if (judge->costs[index].id == id && (mark == 0 || judge->costs[index].mark == mark))
            return true;
    return false;
}

/* Counts a lost part; false if it is one too many. */
static bool is_within_limit(struct repair_judge *judge, uint64_t id)
{
    for (unsigned index = 0; index < judge->cost_count; index++)
        if (judge->costs[index].id == id && judge->costs[index].limit && !judge->is_sum)
            return ++judge->costs[index].lost <= judge->costs[index].limit;
    return true;
}

static void violation(struct repair_judge *judge, const char *what,
                      const struct inventory_piece *piece)
{
    if (judge->violations++ == 0)
        snprintf(judge->text, sizeof judge->text, "%s %s of inode %llu: %s (child %llu)", what,
                 inventory_kind_text(piece->kind), (unsigned long long)piece->id, piece->name,
                 (unsigned long long)piece->child);
    if (getenv("VMFS_TEST_JUDGE"))
        fprintf(stderr, "    %s %s of inode %llu: %s (child %llu)\n", what,
                inventory_kind_text(piece->kind), (unsigned long long)piece->id, piece->name,
                (unsigned long long)piece->child);
}

static bool is_data(const struct inventory_piece *piece)
{
    return piece->kind == INVENTORY_DATA || piece->kind == INVENTORY_LINK;
}

static void each_lost(void *arg, const struct inventory_piece *piece)
{
    struct repair_judge *judge = arg;
    bool is_allowed = piece->kind == INVENTORY_ERROR || may_lose(judge, piece->id, 0);
    if (piece->kind == INVENTORY_LIFE)
        is_allowed = may_lose(judge, piece->id, '!');
    if (piece->kind == INVENTORY_NAME)
        is_allowed = is_allowed || may_lose(judge, piece->child, '!');
    judge->lost++;
    if (!is_allowed)
        violation(judge, "lost", piece);
    else if (!is_within_limit(judge, piece->id))
        violation(judge, "lost more than it may:", piece);
    else if (judge->takes_data && is_data(piece))
        return; /* nobody can tell */
    else if (piece->kind != INVENTORY_ERROR && !is_told(judge, piece->id) &&
             (piece->kind != INVENTORY_NAME || !is_told(judge, piece->child)))
        violation(judge, "not told: lost", piece);
}

static bool was_there(const struct repair_judge *judge, uint64_t id)
{
    uint32_t low = 0;
    uint32_t high = judge->before->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (judge->before->pieces[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < judge->before->count && judge->before->pieces[low].id == id;
}

/* Is it what may have vanished, under another id? */
static bool may_return(const struct repair_judge *judge, uint64_t id)
{
    for (unsigned index = 0; index < judge->cost_count; index++)
        if (judge->costs[index].mark == '!' &&
            (judge->costs[index].id & SLOT_MASK) == (id & SLOT_MASK))
            return true;
    return false;
}

/* New are only the directory for what is lost, its names, and what belongs to an object that has changed;
 * but nobody gets bytes, attributes or a target that it never had. */
static void each_gained(void *arg, const struct inventory_piece *piece)
{
    struct repair_judge *judge = arg;
    bool is_new = !was_there(judge, piece->id);
    bool is_lost_dir = piece->id == ROOT_ID && strncmp(piece->name, "lost+found", 10) == 0;
    bool is_allowed = is_new && (piece->kind == INVENTORY_LIFE || may_return(judge, piece->id));
    if (piece->kind == INVENTORY_NAME)
        is_allowed = is_new || is_lost_dir || may_lose(judge, piece->id, 0);
    if (is_data(piece))
        is_allowed = is_allowed || may_lose(judge, piece->id, judge->takes_data ? 0 : '+');
    if (piece->kind == INVENTORY_STAT)
        is_allowed = is_new || may_lose(judge, piece->id, 0);
    if (!is_allowed)
        violation(judge, "gained", piece);
}

const char *judge_losses(struct repair_judge *judge, struct vmfs *fs)
{
    struct inventory after;
    judge->violations = judge->lost = 0;
    for (unsigned index = 0; index < judge->cost_count; index++)
        judge->costs[index].lost = 0;
    inventory_take(fs, &after);
    inventory_compare(judge->before, &after, each_lost, each_gained, judge);
    inventory_free(&after);
    return judge->violations ? judge->text : NULL;
}
