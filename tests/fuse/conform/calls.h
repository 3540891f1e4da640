/* calls.h -- every call that takes a path, and what it says of each kind of object at its end
 *
 * The expectations are rows of errno names in the order of enum kind; "." is success, and "dev" what
 * opening a device gives, which depends on the mount. */
#ifndef TESTS_FUSE_CALLS_H
#define TESTS_FUSE_CALLS_H

#include "conform.h"

enum trait {
    T_WRITES = 1,     /* changes the filesystem: EROFS on a read-only one */
    T_LEAVES = 2,     /* needs to write to the directory that holds the name, which must be there */
    T_ENTERS = 4,     /* needs to write to the directory, where the name need not be */
    T_NEEDS_DIR = 8,  /* works on directories */
    T_SPARE_DIR = 16, /* its other operand is a directory */
    T_XATTR = 32,
    T_ROOT_ONLY = 64, /* others get EPERM where root succeeds */
    T_LIBRARY = 128,  /* libc reads the path before the kernel does */
    T_NO_SPARE = 256, /* its other operand does not exist yet */
    T_TMPFILE = 512,
    T_EXCHANGE = 1024,
    T_NEEDS_LINK = 2048,
    T_NO_SUCCESS = 4096, /* called so that it cannot succeed */
    T_OPENS = 8192,      /* on a read-only filesystem devices open all the same */
    T_NOREPLACE = 16384,
};

struct call {
    const char *name;
    long (*run)(struct deed *); /* a is the path, b the other operand */
    long x;
    long y;
    unsigned traits;
    const char *plain; /* by kind */
    const char *slash; /* with a slash behind the name */
    const char *dots;  /* for . and .. */
};

extern const struct call calls[];
extern const size_t call_count;

/* 0 or an errno: the word of a row, for a caller. */
int call_expected(const struct call *call, const char *row, unsigned column, enum caller who);
/* False if the filesystem lacks what the call needs; asked inside a case. */
bool call_is_offered(const struct call *call);
/* Makes the other operand of the call in the case's directory. */
void call_prepare(const struct call *call, struct who who);
long call_run(const struct call *call, enum caller who, const char *path);
/* The kind of object with which the call succeeds. */
enum kind call_kind(const struct call *call);

#endif
