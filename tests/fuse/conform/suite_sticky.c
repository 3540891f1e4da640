/* suite_sticky.c -- who may take names out of a sticky directory: its owner, the object's, and root */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conform.h"

enum taking { TAKE_AWAY, MOVE_OUT, MOVE_INSIDE, REPLACE, EXCHANGE_IT, TAKING_COUNT };

static const char *const takings[TAKING_COUNT] = {
    [TAKE_AWAY] = "unlink or rmdir",           [MOVE_OUT] = "rename to another directory",
    [MOVE_INSIDE] = "rename within",           [REPLACE] = "rename over it",
    [EXCHANGE_IT] = "rename(RENAME_EXCHANGE)",
};

static long take(enum taking taking, enum kind kind, enum caller who)
{
    switch (taking) {
    case TAKE_AWAY:
        return as(who, kind_is_dir(kind) ? do_rmdir : do_unlink, at("s/x"), NULL, 0, 0);
    case MOVE_OUT:
        return as(who, do_rename, at("s/x"), at("out/x"), 0, 0);
    case MOVE_INSIDE:
        return as(who, do_rename, at("s/x"), at("s/y"), 0, 0);
    case REPLACE:
        return as(who, do_rename, at("out/z"), at("s/x"), 0, 0);
    case EXCHANGE_IT:
        return as(who, do_rename, at("out/z"), at("s/x"), RENAME_EXCHANGE, 0);
    case TAKING_COUNT:
        break;
    }
    return -ENOSYS;
}

/* Whose the sticky directory and the object are: the caller's or a stranger's. */
struct owners {
    const char *name;
    bool is_dir_own;
    bool is_object_own;
};

static const struct owners ownerships[] = {
    {"directory and object are strangers'", false, false},
    {"the directory is the caller's", true, false},
    {"the object is the caller's", false, true},
    {"both are the caller's", true, true},
};

static void assert_taking(enum taking taking, enum kind kind, const struct owners *owners,
                          enum caller who)
{
    const uint32_t dir_owner = owners->is_dir_own ? caller_uid(who) : STRANGE_UID;
    const uint32_t owner = owners->is_object_own ? caller_uid(who) : STRANGE_UID;
    bool may = who == ROOT || owners->is_dir_own || owners->is_object_own;
    if (!beginf(who, takings[taking], "%s in a sticky directory, %s", kind_name(kind),
                owners->name))
        return;
    if (taking != EXCHANGE_IT || offers(HAS_EXCHANGE)) {
        make(at("s"), K_DIR, (struct who){01777, dir_owner, STRANGE_GID});
        make(at("s/x"), kind, (struct who){0777, owner, STRANGE_GID});
        make(at("out"), K_DIR, (struct who){0777, caller_uid(who), caller_gid(who)});
        make(at("out/z"), kind_is_dir(kind) ? K_DIR : K_FILE,
             (struct who){0777, caller_uid(who), caller_gid(who)});
        uint64_t ino = look(at("s/x")).ino;
        want_result(take(taking, kind, who), may ? 0 : EPERM);
        want(may ? "the object is taken" : "the object is still there",
             (look(at("s/x")).ino == ino) == !may);
    }
    end();
}

/* Entries may be made by all who may write. */
static void assert_entering(enum kind kind, enum caller who)
{
    if (!beginf(who, "rename into", "%s, into a sticky directory of a stranger", kind_name(kind)))
        return;
    make(at("s"), K_DIR, (struct who){01777, STRANGE_UID, STRANGE_GID});
    make(at("x"), kind, (struct who){0777, caller_uid(who), caller_gid(who)});
    want_result(as(who, do_rename, at("x"), at("s/x"), 0, 0), 0);
    end();
}

void suite_sticky(void)
{
    static const enum kind kinds[] = {K_FILE, K_DIR, K_FIFO, K_SOCKET, K_CHAR, K_LINK};
    static const enum caller callers[] = {ROOT, GROUP, OTHER};
    for (size_t c = 0; c < COUNT(callers); c++) {
        for (size_t k = 0; k < COUNT(kinds); k++) {
            for (enum taking taking = 0; taking < TAKING_COUNT; taking++) {
                for (size_t o = 0; o < COUNT(ownerships); o++)
                    assert_taking(taking, kinds[k], &ownerships[o], callers[c]);
            }
            assert_entering(kinds[k], callers[c]);
        }
    }
}
