/* script.h -- operations as text
 *
 * A script is a row of statements with ';' between them: a verb, and words. Paths are those of the
 * region; "@d0:PATH" and "@f0:PATH" start from the directory or file that is open in slot 0, "@:PATH" from
 * the root by its id, and %200 in a path stands for a name of 200 letters. Numbers may be octal or
 * hexadecimal. Statements:
 *
 *     mkdir PATH MODE     mknod PATH MODE [RDEV]    symlink TARGET PATH    link PATH PATH [follow]
 *     unlink PATH         rmdir PATH                rename PATH PATH [exchange|noreplace]
 *     chmod PATH MODE     chown PATH UID GID        utimens PATH ATIME MTIME  (now: the clock's)
 *     truncate PATH SIZE  flags PATH FLAGS          setattr PATH FIELD=VALUE ...
 *     xattr PATH NAME BYTES [create|replace]        unxattr PATH NAME
 *     open SLOT PATH FLAGS [MODE]                   tmpfile SLOT PATH FLAGS
 *     write SLOT OFFSET BYTES [PIECES [kill]]       append SLOT BYTES (at the file position)
 *     allocate SLOT MODE OFFSET BYTES               copy SLOT OFFSET SLOT OFFSET BYTES [kill]
 *     ftruncate SLOT SIZE  fsetattr SLOT FIELD=VALUE ...  linkfd SLOT PATH  fsync SLOT  close SLOT
 *     read SLOT OFFSET BYTES   readlink PATH   opendir SLOT PATH   readdir SLOT   closedir SLOT
 *     hold SLOT PATH           release SLOT (of directories)
 *
 * Open flags are letters: r w b (both) c(reate) x(exclusive) t(runcate) a(ppend) A(tomic) s(ync) d(sync)
 * n(o access time) e(xclusive of a nameless file) K(ill set-id bits). Modes of allocate: 0 or letters k(eep
 * size) p(unch) z(ero) c(ollapse) i(nsert) K(ill). Fields: m(ode) u(id) g(id) s(ize) A, M and C for times, K=1. */
#ifndef TESTS_CRASH_SCRIPT_H
#define TESTS_CRASH_SCRIPT_H

#include "op.h"

#define SCRIPT_WORDS_MAX 8u

/* A statement, cut into words. */
struct script_words {
    char text[1024];
    char *words[SCRIPT_WORDS_MAX];
    unsigned count;
};

/* Takes the next statement off `script`; false at the end. */
bool script_next(const char **script, struct script_words *out);

/* Makes the operation of a statement; slots are moved up by so many. Ends the program where the
 * statement is none of the above. */
void script_parse(const struct script_words *words, unsigned slot_shift, unsigned dir_shift,
                  uint64_t pattern, struct op *op);

#endif
