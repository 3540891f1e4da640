/* suite_readonly.c -- every call on a filesystem that may not be written, and on mount points */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "calls.h"

static bool bind(const char *path, bool is_readonly)
{
    if (mount(path, path, NULL, MS_BIND, NULL))
        return false;
    return !is_readonly || mount(NULL, path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) == 0;
}

/* A call that would fail in any case may say either: only those that would succeed are asked. */
static bool is_asked(const struct call *call, enum kind kind, enum caller who)
{
    return !(call->traits & T_WRITES) || call_expected(call, call->plain, kind, who) == 0;
}

static int expected_of(const struct call *call, enum kind kind, enum caller who)
{
    bool opens_device = (call->traits & T_OPENS) && kind == K_FIFO;
    bool opens_to_read =
        call->run == do_open && (call->x & O_ACCMODE) == O_RDONLY && kind != K_NONE;
    bool asks_to_write = call->run == do_access && (call->x & W_OK) && kind != K_FIFO &&
                         call_expected(call, call->plain, kind, who) == 0;
    if (!(call->traits & T_WRITES) || opens_device ||
        (opens_to_read && !(call->traits & T_TMPFILE)))
        return asks_to_write ? EROFS : call_expected(call, call->plain, kind, who);
    return EROFS;
}

static void assert_call(const struct call *call, enum kind kind, enum caller who)
{
    if (!is_asked(call, kind, who) ||
        !beginf(who, call->name, "%s in a read-only mount", kind_name(kind)))
        return;
    if (offers(HAS_BIND_MOUNT) && call_is_offered(call)) {
        char path[64];
        snprintf(path, sizeof(path), "%s", at("m"));
        make(path, K_DIR, ROOTS(0777));
        make(at("m/x"), kind, OWNED(kind_is_dir(kind) ? 0755 : 0644));
        if (!(call->traits & T_NO_SPARE))
            make(at("m/spare"), call->traits & T_SPARE_DIR ? K_DIR : K_FILE, OWNED(0755));
        must(bind(path, true) ? 0 : -errno, "a mount");
        struct look before = look(at("m/x"));
        want_result(as(who, call->run, at("m/x"), at("m/spare"), call->x, call->y),
                    expected_of(call, kind, who));
        struct look after = look(at("m/x"));
        want("nothing has changed", same(&before, &after));
        must(sys(umount2(path, MNT_DETACH)), "the mount's end");
    }
    end();
}

/* ---- mount points ---- */

enum attack {
    A_RMDIR,
    A_RENAME,
    A_RENAME_ONTO,
    A_EXCHANGE,
    A_UNLINK,
    A_LINK_OUT,
    A_RENAME_OUT,
    ATTACK_COUNT
};

static const struct {
    const char *name;
    int expected;
} attacks[ATTACK_COUNT] = {
    [A_RMDIR] = {"rmdir", EBUSY},
    [A_RENAME] = {"rename", EBUSY},
    [A_RENAME_ONTO] = {"rename over it", EBUSY},
    [A_EXCHANGE] = {"rename(RENAME_EXCHANGE)", EBUSY},
    [A_UNLINK] = {"unlink", EISDIR},
    [A_LINK_OUT] = {"link out of it", EXDEV},
    [A_RENAME_OUT] = {"rename out of it", EXDEV},
};

static long attack(enum attack attack)
{
    switch (attack) {
    case A_RMDIR:
        return as(ROOT, do_rmdir, at("m"), NULL, 0, 0);
    case A_RENAME:
        return as(ROOT, do_rename, at("m"), at("n"), 0, 0);
    case A_RENAME_ONTO:
        return as(ROOT, do_rename, at("d"), at("m"), 0, 0);
    case A_EXCHANGE:
        return as(ROOT, do_rename, at("d"), at("m"), RENAME_EXCHANGE, 0);
    case A_UNLINK:
        return as(ROOT, do_unlink, at("m"), NULL, 0, 0);
    case A_LINK_OUT:
        return as(ROOT, do_link, at("m/x"), at("y"), 0, 0);
    case A_RENAME_OUT:
        return as(ROOT, do_rename, at("m/x"), at("y"), 0, 0);
    case ATTACK_COUNT:
        break;
    }
    return -ENOSYS;
}

static void assert_mount_point(enum attack which)
{
    if (!begin(attacks[which].name, "a mount point", ROOT))
        return;
    if (offers(HAS_BIND_MOUNT)) {
        char path[64];
        snprintf(path, sizeof(path), "%s", at("m"));
        make(path, K_DIR, ROOTS(0777));
        make(at("m/x"), K_FILE, ROOTS(0644));
        make(at("d"), K_DIR, ROOTS(0777));
        must(bind(path, false) ? 0 : -errno, "a mount");
        want_result(attack(which), attacks[which].expected);
        want("it is still there", look(at("m/x")).is_there);
        must(sys(umount2(path, MNT_DETACH)), "the mount's end");
    }
    end();
}

void suite_readonly(void)
{
    static const enum kind kinds[] = {K_NONE, K_FILE, K_DIR, K_FIFO, K_LINK};
    for (size_t i = 0; i < call_count; i++) {
        for (size_t k = 0; k < COUNT(kinds); k++) {
            assert_call(&calls[i], kinds[k], ROOT);
            assert_call(&calls[i], kinds[k], OWNER);
        }
    }
    for (enum attack which = 0; which < ATTACK_COUNT; which++)
        assert_mount_point(which);
}
