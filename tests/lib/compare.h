/* compare.h -- compares a tree of a region with a model of it */
#ifndef TESTS_COMPARE_H
#define TESTS_COMPARE_H

#include "model_fs.h"
#include "vmfs.h"

/* What one file held before a write that may have been cut short. */
struct compare_partial {
    struct model_node *node;
    uint64_t size_old;
    uint8_t *data_old; /* data_old_bytes of it, zeros behind them */
    size_t data_old_bytes;
    bool is_paged; /* the size may also lie between the two, where a page ends */
};

/* Remembers a file as it is now; compare_partial_free() frees it. */
void compare_partial_init(struct compare_partial *partial, struct model_node *node);
void compare_partial_free(struct compare_partial *partial);

/* Compares the directory `prefix` ("" for the root) with the model: names, types, attributes,
 * links, extended attributes and all content. `partial`, if not null, is a file whose last write
 * may be there in part: each aligned 8 bytes old or new, and the size old or new. Returns the
 * number of differences and describes the first in `text`. */
unsigned compare_tree(struct vmfs *fs, const char *prefix, struct model *model,
                      const struct compare_partial *partial, char text[512]);

/* What compare_tree() does to access times, for a model that does not compare: it lists directories and
 * reads links. */
void compare_touch(struct model *model);

/* Takes the bytes that the region holds for `partial->node` over into the model. */
int compare_settle(struct vmfs *fs, const char *prefix, struct model *model,
                   const struct compare_partial *partial);

#endif
