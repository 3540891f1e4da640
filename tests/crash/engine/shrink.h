/* shrink.h -- a smaller case of the same violation, and what it leaves behind */
#ifndef TESTS_CRASH_ENGINE_SHRINK_H
#define TESTS_CRASH_ENGINE_SHRINK_H

#include "explore.h"

/* Leaves out as many of `count` items as it can while `fails` still holds for what is kept (delta
 * debugging): `is_kept` is all true at first, and the smallest that was found at the end. */
typedef bool (*shrink_fails_fn)(void *arg, const bool *is_kept);
void shrink_items(bool *is_kept, uint32_t count, shrink_fails_fn fails, void *arg);

/* Makes the state that has just failed smaller, once in terms of what is there and once of what is not,
 * and prints the token of the smaller one. */
void shrink_state(struct explorer *explorer);

/* Leaves token, image and a text of a failed state in a folder of explorer->keep. */
void shrink_keep(struct explorer *explorer, const char *reason);

#endif
