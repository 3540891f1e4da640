/* pages.c -- sorted runs of pages in bounded memory */
#include "persist/pages.h"

#include <string.h>

#include "base/check.h"

static void remove_runs(struct vm_pages *pages, uint32_t at, uint32_t count)
{
    memmove(pages->runs + at, pages->runs + at + count,
            (pages->count - at - count) * sizeof *pages->runs);
    pages->count -= count;
}

static uint64_t gap_behind(const struct vm_pages *pages, uint32_t at)
{
    return pages->runs[at + 1].first - pages->runs[at].end;
}

static void join_closest(struct vm_pages *pages)
{
    uint32_t best = 0;
    VM_ASSERT(pages->count >= 2);
    for (uint32_t at = 1; at + 1 < pages->count; at++)
        if (gap_behind(pages, at) < gap_behind(pages, best))
            best = at;
    pages->runs[best].end = pages->runs[best + 1].end; /* Y2 */
    remove_runs(pages, best + 1, 1);
}

/* The new run and those in the list that it touches become one (Y1). */
static void merge(struct vm_pages *pages, uint32_t at, struct vm_page_run run)
{
    uint32_t stop = at;
    while (stop < pages->count && pages->runs[stop].first <= run.end)
        stop++;
    struct vm_page_run *into = &pages->runs[at];
    uint64_t last_end = pages->runs[stop - 1].end;
    into->first = into->first < run.first ? into->first : run.first;
    into->end = last_end > run.end ? last_end : run.end;
    remove_runs(pages, at + 1, stop - at - 1);
}

void vm_pages_add(struct vm_pages *pages, struct vm_page_run run)
{
    VM_ASSERT(run.first < run.end && pages->count <= pages->room);
    uint32_t at = pages->count;
    while (at > 0 && pages->runs[at - 1].end >= run.first)
        at--;
    if (at < pages->count && pages->runs[at].first <= run.end) {
        merge(pages, at, run);
        return;
    }
    memmove(pages->runs + at + 1, pages->runs + at, (pages->count - at) * sizeof run);
    pages->runs[at] = run;
    if (++pages->count > pages->room)
        join_closest(pages);
}

void vm_pages_join(struct vm_pages *pages, uint32_t most, uint64_t gap)
{
    for (uint32_t at = 0; at + 1 < pages->count;) {
        if (gap_behind(pages, at) > gap) {
            at++;
            continue;
        }
        pages->runs[at].end = pages->runs[at + 1].end;
        remove_runs(pages, at + 1, 1);
    }
    while (pages->count > most)
        join_closest(pages);
}
