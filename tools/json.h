/* json.h -- strings as JSON has them */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>

/* Prints `text` to standard output in quotes, escaped. Bytes that are no UTF-8 become the lone
 * surrogates U+DC80 to U+DCFF, as Python's "surrogateescape" has them: nothing is lost. */
void json_string(const char *text);

/* The length of the UTF-8 sequence at `text`, 0 if there is none. */
unsigned json_sequence_bytes(const unsigned char *text);

/* Prints `, ` before every element but the first; `first` starts as true. */
void json_comma(bool *first);

#endif
