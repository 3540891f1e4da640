/* in_flight.h -- a tree whose last operation was cut short, beside its model */
#ifndef TESTS_IN_FLIGHT_H
#define TESTS_IN_FLIGHT_H

#include "op.h"

/* True if the directory `prefix` equals the model of `world`, or with `op`, which had been started and
 * not acknowledged: it is then applied to the model as far as the region has it, with `result` as a
 * place for what it returns. Else `text` says how both differ. */
bool in_flight_agrees(struct vmfs *fs, const char *prefix, struct op_world *world,
                      const struct op *op, struct op_result *result, char text[2048]);

#endif
