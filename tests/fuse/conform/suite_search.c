/* suite_search.c -- what every call needs of the directory that its object is in */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "calls.h"

enum lack { NO_SEARCH, NO_WRITE, NO_READ, ONLY_OTHERS, ONLY_OWN, LACK_COUNT };

static const char *const lacks[LACK_COUNT] = {
    [NO_SEARCH] = "the directory may not be searched",
    [NO_WRITE] = "the directory may not be written",
    [NO_READ] = "the directory may not be read",
    [ONLY_OTHERS] = "the directory is open to all but the caller's class",
    [ONLY_OWN] = "the directory is open to the caller's class alone",
};

/* The bits of the caller's class in a mode. */
static unsigned shifted(enum caller who, unsigned bits)
{
    return who == OWNER ? bits << 6 : who == OTHER ? bits : bits << 3;
}

static mode_t mode_of(enum lack lack, enum caller who)
{
    switch (lack) {
    case NO_SEARCH:
        return 0777 & ~shifted(who, 1);
    case NO_WRITE:
        return 0777 & ~shifted(who, 2);
    case NO_READ:
        return 0777 & ~shifted(who, 4);
    case ONLY_OTHERS:
        return 0777 & ~shifted(who, 7);
    case ONLY_OWN:
    case LACK_COUNT:
    default:
        return shifted(who, 7);
    }
}

static int expected_of(const struct call *call, enum lack lack, enum caller who)
{
    bool is_closed = lack == NO_SEARCH || lack == ONLY_OTHERS;
    bool is_changed = (call->traits & (T_ENTERS | T_LEAVES)) != 0;
    if (who == ROOT)
        return 0;
    if (is_closed || (lack == NO_WRITE && is_changed))
        return EACCES;
    return call->traits & T_ROOT_ONLY ? EPERM : 0;
}

static void assert_lack(const struct call *call, enum lack lack, enum caller who)
{
    struct who own = {0755, caller_uid(who), caller_gid(who)};
    if (!begin(call->name, lacks[lack], who))
        return;
    if (call_is_offered(call)) {
        make(at("p"), K_DIR, OWNED(0700));
        make(at("p/x"), call_kind(call), own);
        call_prepare(call, own);
        must(sys(chmod(at("p"), mode_of(lack, who))), "the directory's mode");
        want_result(call_run(call, who, at("p/x")), expected_of(call, lack, who));
    }
    end();
}

void suite_search(void)
{
    for (size_t i = 0; i < call_count; i++) {
        if (calls[i].traits & T_NO_SUCCESS)
            continue;
        for (enum lack lack = 0; lack < LACK_COUNT; lack++) {
            for (enum caller who = ROOT; who < CALLER_COUNT; who++) {
                bool is_exchange = (calls[i].traits & T_EXCHANGE) != 0;
                if (!is_exchange || lack != NO_READ)
                    assert_lack(&calls[i], lack, who);
            }
        }
    }
}
