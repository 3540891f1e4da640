/* show.h -- attributes as a person reads them */
#ifndef SHOW_H
#define SHOW_H

#include <stdbool.h>
#include <stdint.h>
#include <vmfs.h>

/* "drwxr-xr-x" and its NUL. */
#define MODE_TEXT_BYTES 11
void mode_show(uint32_t mode, char text[MODE_TEXT_BYTES]);

/* "directory", "regular file", ... Static. */
const char *type_show(uint32_t mode);

/* "2024-02-29 13:05:59.000000001 +0100" in the local time zone, and its NUL; without `is_full` only
 * "2024-02-29 13:05". */
#define TIME_TEXT_BYTES 64
void time_show(int64_t time_ns, bool is_full, char text[TIME_TEXT_BYTES]);

/* Prints a name to standard output. On a terminal control characters become '?': a file's name must
 * not command the terminal of who lists it. */
void name_show(const char *name);

/* Prints where the symbolic link at `path` leads to. */
int target_show(struct vmfs *fs, const char *path);

#endif
