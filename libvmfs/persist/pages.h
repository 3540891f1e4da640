/* pages.h -- what an operation has stored and not yet fenced, in pages
 *
 * For backends whose fence must be told where the stores went. A list is of fixed size and forgets
 * nothing: when it is full, the two runs with the least between them become one.
 *
 * Y1  The runs are sorted, and between two of them lies at least one page.
 * Y2  Every page that was added lies in a run. */
#ifndef VM_PERSIST_PAGES_H
#define VM_PERSIST_PAGES_H

#include <stdint.h>

struct vm_page_run {
    uint64_t first; /* numbers of pages, counted from address 0 */
    uint64_t end;
};

struct vm_pages {
    struct vm_page_run *runs; /* room + 1 of them: one to work with */
    uint32_t room;
    uint32_t count;
};

void vm_pages_add(struct vm_pages *pages, struct vm_page_run run);

/* Joins the closest runs until at most `most` are left, and all that have `gap` pages or fewer between
 * them. */
void vm_pages_join(struct vm_pages *pages, uint32_t most, uint64_t gap);

/* One operation's list and where its fence goes. In the operation's context, so that noting a page
 * touches nothing that threads share. */
#define VM_UNSYNCED_RUNS 7u

struct vm_sync;

struct vm_unsynced {
    struct vm_sync *sync;
    struct vm_pages pages;
    struct vm_page_run runs[VM_UNSYNCED_RUNS + 1];
};

#endif
