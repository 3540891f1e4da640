/* inventory.h -- everything that lives in a region, piece by piece, so that two states can be compared and
 * what one has lost is known by object
 *
 * Objects are known by their ids, which a repair does not change, and count as living where a path leads
 * to them. */
#ifndef TESTS_INVENTORY_H
#define TESTS_INVENTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "vmfs.h"

enum inventory_kind {
    INVENTORY_LIFE,  /* it can be reached and is of this type */
    INVENTORY_STAT,  /* mode, owner, size of what is no directory, times of birth and last change */
    INVENTORY_NAME,  /* one name in a directory; `child` has it */
    INVENTORY_DATA,  /* a block of a file that is not all zeros */
    INVENTORY_XATTR, /* one attribute with its value */
    INVENTORY_LINK,  /* the target of a symbolic link */
    INVENTORY_ERROR, /* something could not be read */
    INVENTORY_KINDS,
};

struct inventory_piece {
    uint64_t id;
    uint64_t child;
    uint64_t what; /* a digest of it */
    enum inventory_kind kind;
    char name[48]; /* how it begins, for messages */
};

struct inventory {
    struct inventory_piece *pieces; /* sorted */
    uint32_t count;
    uint32_t room;
};

/* Walks all that the root leads to. Stores access times at most. */
void inventory_take(struct vmfs *fs, struct inventory *out);
void inventory_free(struct inventory *inventory);

/* Calls `lost` for each piece that `before` has and `after` has not, `gained` for the others. */
typedef void (*inventory_fn)(void *arg, const struct inventory_piece *piece);
void inventory_compare(const struct inventory *before, const struct inventory *after,
                       inventory_fn lost, inventory_fn gained, void *arg);

const char *inventory_kind_text(enum inventory_kind kind);

#endif
