/* number.h -- numbers on the command lines of test programs */
#ifndef TESTS_NUMBER_H
#define TESTS_NUMBER_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* False unless all of the text is a number, in C's notation. */
static inline bool number_read(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 0);
    return errno == 0 && *end == '\0' && end != text;
}

#endif
