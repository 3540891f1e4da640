/* totals.h -- what a region says of itself in sum, against what a walk of it finds */
#ifndef TESTS_MODEL_TOTALS_H
#define TESTS_MODEL_TOTALS_H

#include <stdbool.h>
#include <stddef.h>

#include "vmfs.h"

/* True if vmfs_statfs() says as many free blocks as vmfs_map() finds bytes without an owner, and as many
 * inodes as vmfs_check() meets; otherwise says in `text` how they differ. */
bool totals_agree(struct vmfs *fs, char *text, size_t text_bytes);

#endif
