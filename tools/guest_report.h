/* guest_report.h -- what vmfs guest tells of an image */
#ifndef GUEST_REPORT_H
#define GUEST_REPORT_H

#include "guest.h"

#define MIB                (1ULL << 20)
#define GUEST_PROBLEMS_MAX 8

enum guest_blocks { BLOCK_QEMU = 1, BLOCK_FIRECRACKER = 2, BLOCK_LIBVIRT = 4 };

/* What keeps the settings from working, or from working well, and the command that mends it, or NULL. */
struct guest_problem {
    const char *text;
    char *mend;
};

struct guest_report {
    struct image image;
    struct guest guest;
    unsigned blocks; /* of enum guest_blocks: what is told */
    struct guest_problem problems[GUEST_PROBLEMS_MAX];
    size_t problem_count;
};

/* All of it for a person; all of it as one JSON object; the blocks alone, with the problems on standard
 * error. */
void guest_report_text(const struct guest_report *report);
void guest_report_json(const struct guest_report *report);
void guest_report_blocks(const struct guest_report *report);

#endif
