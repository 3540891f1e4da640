/* quote.h -- text that another program reads: a shell, QEMU's options, XML
 *
 * Any byte but NUL may stand in a file's name, and what is printed is copied to where each of them means
 * something else. JSON has json.h. */
#ifndef QUOTE_H
#define QUOTE_H

#include <stdbool.h>
#include <stdio.h>

/* One word of a shell: as it is where nothing in it is special, else in quotes. Control characters and what
 * is no UTF-8 need $'...', which bash, zsh and ksh know; no byte of it reaches a terminal as a command. */
void quote_shell(FILE *out, const char *text);

/* The value of one of QEMU's options, in which a comma is doubled. */
void quote_qemu(FILE *out, const char *text);

/* Characters of an XML element. */
void quote_xml(FILE *out, const char *text);

/* False if `text` is no UTF-8, which neither XML nor JSON can hold as it is. */
bool text_is_utf8(const char *text);

/* False if `text` has characters that XML 1.0 cannot hold in any way. */
bool text_is_xml(const char *text);

#endif
