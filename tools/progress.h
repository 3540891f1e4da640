/* progress.h -- a line on the terminal while a long copy runs */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *label;
    int64_t start_ns;
    int64_t shown_ns;
    uint64_t files;
    uint64_t bytes;
    bool is_terminal;
    bool is_shown;
};

void progress_start(struct progress *progress, const char *label);

/* Counts what was done and repaints the line when it is time to. */
void progress_add(struct progress *progress, uint64_t files, uint64_t bytes);

/* Takes the line away, so that other text can be printed. */
void progress_clear(struct progress *progress);

#endif
