/* matrix_table.h -- the endings of each operation: common ones, then rare ones */
{OP_MKDIR, {0}, {0}},
