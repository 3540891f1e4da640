/* suite_modes.c -- all 512 modes, for the owner, the group and the others: reading, writing, executing
 *
 * What counts is the class that the caller is in, even where another one would allow more. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conform.h"

#define FILE_NAME "modes.file"
#define DIR_NAME  "modes.dir"

static unsigned class_bits(unsigned mode, enum caller who)
{
    if (who == ROOT)
        return 6u | ((mode & 0111) != 0);
    return who == OWNER ? mode >> 6 & 7 : who == OTHER ? mode & 7 : mode >> 3 & 7;
}

static void assert_file(unsigned mode, enum caller who)
{
    unsigned bits = class_bits(mode, who);
    if (beginf(who, "open(O_RDONLY)", "a file of mode %04o", mode)) {
        want_result(as(who, do_open, FILE_NAME, NULL, O_RDONLY, 0), bits & 4 ? 0 : EACCES);
        end();
    }
    if (beginf(who, "open(O_WRONLY)", "a file of mode %04o", mode)) {
        want_result(as(who, do_open, FILE_NAME, NULL, O_WRONLY, 0), bits & 2 ? 0 : EACCES);
        end();
    }
    if (beginf(who, "access(X_OK)", "a file of mode %04o", mode)) {
        want_result(as(who, do_access, FILE_NAME, NULL, X_OK, 0), bits & 1 ? 0 : EACCES);
        end();
    }
}

static long enter_and_leave(struct deed *d)
{
    long made = sys(mknod(DIR_NAME "/new", S_IFREG | 0600, 0));
    (void)d;
    return made < 0 ? made : sys(unlink(DIR_NAME "/new"));
}

static void assert_directory(unsigned mode, enum caller who)
{
    unsigned bits = who == ROOT ? 7 : class_bits(mode, who);
    if (beginf(who, "opendir", "a directory of mode %04o", mode)) {
        want_result(as(who, do_readdir, DIR_NAME, NULL, 0, 0), bits & 4 ? 0 : EACCES);
        end();
    }
    if (beginf(who, "mknod and unlink", "a directory of mode %04o", mode)) {
        want_result(as(who, enter_and_leave, NULL, NULL, 0, 0), (bits & 3) == 3 ? 0 : EACCES);
        end();
    }
    if (beginf(who, "access(F_OK)", "in a directory of mode %04o", mode)) {
        want_result(as(who, do_access, DIR_NAME "/entry", NULL, F_OK, 0), bits & 1 ? 0 : EACCES);
        end();
    }
}

static void assert_asked(unsigned mode, enum caller who)
{
    static const char *const names[8] = {"F_OK", "X", "W", "WX", "R", "RX", "RW", "RWX"};
    unsigned bits = class_bits(mode, who);
    for (unsigned ask = 1; ask < 8; ask++) {
        char call[40];
        snprintf(call, sizeof(call), "faccessat(%s, AT_EACCESS)", names[ask]);
        if (!beginf(who, call, "a file of mode %04o", mode))
            continue;
        want_result(as(who, do_access, FILE_NAME, NULL, (long)ask, AT_EACCESS),
                    (bits & ask) == ask ? 0 : EACCES);
        end();
    }
}

void suite_modes(void)
{
    static const enum caller classes[] = {OWNER, GROUP, OTHER};
    if (options.is_list)
        return;
    make(FILE_NAME, K_FILE, OWNED(0600));
    make(DIR_NAME, K_FULL, OWNED(0700));
    for (unsigned mode = 0; mode < 01000; mode++) {
        must(sys(chmod(FILE_NAME, mode)), "a mode");
        must(sys(chmod(DIR_NAME, mode)), "a mode");
        for (size_t i = 0; i < COUNT(classes); i++) {
            assert_file(mode, classes[i]);
            assert_directory(mode, classes[i]);
        }
        /* Root and the supplementary groups: each class's bits alone say all. */
        bool is_plain = (mode >> 6) == 0 || (mode & 0707) == 0;
        for (enum caller who = ROOT; who <= SUPP && is_plain; who += SUPP) {
            assert_file(mode, who);
            assert_directory(mode, who);
            assert_asked(mode, who);
        }
    }
    remove_tree(FILE_NAME);
    remove_tree(DIR_NAME);
}
