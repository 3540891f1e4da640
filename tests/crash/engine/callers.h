/* callers.h -- who called, cheaply, and where that is, when somebody asks */
#ifndef TESTS_CRASH_ENGINE_CALLERS_H
#define TESTS_CRASH_ENGINE_CALLERS_H

#include <stddef.h>

/* Return addresses of the running stack, the innermost first, by frame pointers: complete through code
 * that keeps them, and one address into code that does not. Null behind the last. */
void callers_find(const void **callers, unsigned room);

/* "FILE:LINE" of a return address, or its object and offset where there is no line; a file below the
 * source folder is named from there. */
void callers_text(const void *caller, char *text, size_t room);

#endif
