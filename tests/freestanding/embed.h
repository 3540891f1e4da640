/* embed.h -- a filesystem inside a program without an operating system */
#ifndef TESTS_EMBED_H
#define TESTS_EMBED_H

/* Runs everything; tells each step. Returns 0, or the number of the line that found something wrong. */
int embed_test(void (*say)(const char *line));

#endif
