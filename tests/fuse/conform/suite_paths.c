/* suite_paths.c -- what every call says of the way to its object: components, lengths, links */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "calls.h"

/* What all ways lead through, made once: a way that ends in an error changes nothing. */
#define WAY       "way/"
#define CHAIN_MAX 40 /* symbolic links on one way, as Linux allows them */

static const char *long_name(unsigned length)
{
    static char name[2][300];
    static unsigned turn;
    turn = (turn + 1) % 2;
    memset(name[turn], 'n', length);
    name[turn][length] = '\0';
    return name[turn];
}

/* A path of exactly that many bytes to `name`, by steps that lead nowhere else. */
static const char *long_path(unsigned length, const char *name)
{
    static char path[2][PATH_MAX + 100];
    static unsigned turn;
    char *text = path[turn = (turn + 1) % 2];
    size_t used = (size_t)snprintf(text, PATH_MAX, WAY);
    size_t wanted = length - strlen(name);
    for (; used + 1 < wanted; used += 2)
        memcpy(text + used, "./", 2);
    if (used < wanted)
        text[used++] = '/';
    memcpy(text + used, name, strlen(name) + 1);
    return text;
}

static void make_chain(void)
{
    must(sys(symlink("dir", WAY "chain0")), "the end of a chain");
    for (unsigned i = 1; i <= CHAIN_MAX; i++) {
        char name[32];
        char to[16];
        snprintf(name, sizeof(name), WAY "chain%u", i);
        snprintf(to, sizeof(to), "chain%u", i - 1);
        must(sys(symlink(to, name)), "a chain");
    }
}

static void make_dir(void)
{
    make(WAY "dir", K_DIR, OWNED(0777));
    make(WAY "dir/file", K_FILE, OWNED(0666));
}

static void make_way(void)
{
    make("way", K_DIR, ROOTS(0777));
    make(WAY "file", K_FILE, OWNED(0666));
    make(WAY "fifo", K_FIFO, OWNED(0666));
    make(WAY "socket", K_SOCKET, OWNED(0666));
    make(WAY "char", K_CHAR, OWNED(0666));
    make(WAY "block", K_BLOCK, OWNED(0666));
    make_dir();
    make(WAY "link", K_LINK, OWNED(0666));
    make(WAY "dangling", K_DANGLING, OWNED(0666));
    make(WAY "loop", K_LOOP, OWNED(0666));
    make(WAY "closed", K_DIR, ROOTS(0666));
    make(WAY "closed/x", K_DIR, OWNED(0777));
    make(WAY "outer", K_DIR, ROOTS(0755));
    make(WAY "outer/closed", K_DIR, ROOTS(0700));
    make(WAY "outer/closed/in", K_DIR, OWNED(0777));
    must(sys(symlink("closed/x", WAY "link-in")), "a link through a closed directory");
    make_chain();
}

static const struct {
    const char *name;
    const char *path;
    int expected;
    bool is_open_to_root;
} ways[] = {
    {"a component is missing", "none/x", ENOENT, false},
    {"a component is missing, further down", "dir/none/x", ENOENT, false},
    {"a component is missing, and . follows", "none/.", ENOENT, false},
    {"a component is missing, and .. follows", "none/../file", ENOENT, false},
    {"a component is a file", "file/x", ENOTDIR, false},
    {"a component is a file, further down", "dir/file/x", ENOTDIR, false},
    {"a component is a file, and . follows", "file/.", ENOTDIR, false},
    {"a component is a file, and .. follows", "file/../file", ENOTDIR, false},
    {"a component is a fifo", "fifo/x", ENOTDIR, false},
    {"a component is a socket", "socket/x", ENOTDIR, false},
    {"a component is a character device", "char/x", ENOTDIR, false},
    {"a component is a block device", "block/x", ENOTDIR, false},
    {"a component is a link to a file", "link/x", ENOTDIR, false},
    {"a component is a link to nothing", "dangling/x", ENOENT, false},
    {"a component is a link to itself", "loop/x", ELOOP, false},
    {"41 links follow each other", "chain40/x", ELOOP, false},
    {"a directory may not be searched", "closed/x", EACCES, true},
    {"a directory may not be searched, and nothing is in it", "closed/none", EACCES, true},
    {"a directory may not be searched, by a link", "link-in/x", EACCES, true},
    {"a directory may not be searched, at the second level", "outer/closed/in", EACCES, true},
    {"a directory may not be searched, at the third last level", "outer/closed/in/x", EACCES, true},
    {"a directory may not be searched, and .. follows", "closed/../file", EACCES, true},
};

static void assert_ways(const struct call *call, enum caller who)
{
    char path[100];
    for (size_t i = 0; i < COUNT(ways); i++) {
        if (ways[i].is_open_to_root && who == ROOT)
            continue;
        if (!begin(call->name, ways[i].name, who))
            continue;
        if (call_is_offered(call)) {
            snprintf(path, sizeof(path), WAY "%s", ways[i].path);
            call_prepare(call, OWNED(0666));
            want_result(call_run(call, who, path), ways[i].expected);
        }
        end();
    }
}

enum length {
    NAME_256,
    NAME_256_INSIDE,
    PATH_4096,
    PATH_4096_MISSING,
    EMPTY,
    NOWHERE,
    LENGTH_COUNT
};

static const struct {
    const char *name;
    int expected;
} lengths[LENGTH_COUNT] = {
    [NAME_256] = {"a name of 256 bytes", ENAMETOOLONG},
    [NAME_256_INSIDE] = {"a component of 256 bytes", ENAMETOOLONG},
    [PATH_4096] = {"a path of 4096 bytes", ENAMETOOLONG},
    [PATH_4096_MISSING] = {"a path of 4096 bytes to nothing", ENAMETOOLONG},
    [EMPTY] = {"an empty path", ENOENT},
    [NOWHERE] = {"a pointer to nowhere", EFAULT},
};

static const char *path_of(enum length length)
{
    static char inside[300];
    snprintf(inside, sizeof(inside), "%s/x", long_name(256));
    if (length == NAME_256)
        return long_path(300, long_name(256));
    if (length == NAME_256_INSIDE)
        return long_path(600, inside);
    if (length == PATH_4096)
        return long_path(4096, "file");
    if (length == PATH_4096_MISSING)
        return long_path(4096, "none");
    return "";
}

static void assert_lengths(const struct call *call, enum caller who)
{
    for (enum length i = 0; i < LENGTH_COUNT; i++) {
        if (i == NOWHERE && (call->traits & T_LIBRARY))
            continue;
        if (!begin(call->name, lengths[i].name, who))
            continue;
        if (call_is_offered(call)) {
            call_prepare(call, OWNED(0666));
            if (i == NOWHERE)
                agent_bad_path();
            want_result(call_run(call, who, path_of(i)), lengths[i].expected);
        }
        end();
    }
}

/* ---- ways that end well ---- */

enum good { NAME_255, PATH_4095, SLASHES, DOTS, DOTDOTS, CHAIN_40, BY_LINK, BYTES, GOOD_COUNT };

static const char *const goods[GOOD_COUNT] = {
    [NAME_255] = "a name of 255 bytes",
    [PATH_4095] = "a path of 4095 bytes",
    [SLASHES] = "slashes in a row",
    [DOTS] = "components .",
    [DOTDOTS] = "components ..",
    [CHAIN_40] = "40 links follow each other",
    [BY_LINK] = "a component is a link to a directory",
    [BYTES] = "a name of bytes that are no text",
};

static const char bytes_name[] = "\001\377\376\\*?\"' \n\200";

static const char *good_name(enum good good)
{
    return good == NAME_255 ? long_name(255) : good == BYTES ? bytes_name : "x";
}

static const char *good_path(enum good good)
{
    static char path[600];
    static const char *const ways_to[GOOD_COUNT] = {
        [NAME_255] = "dir/",     [SLASHES] = "dir///",
        [DOTS] = "././dir/./",   [DOTDOTS] = "dir/../dir/../dir/",
        [CHAIN_40] = "chain39/", [BY_LINK] = "chain0/",
        [BYTES] = "dir/",
    };
    if (good == PATH_4095)
        return long_path(4095, "dir/x");
    snprintf(path, sizeof(path), WAY "%s%s", ways_to[good], good_name(good));
    return path;
}

static void assert_good(const struct call *call, enum good good, enum caller who)
{
    char object[300];
    if (!begin(call->name, goods[good], who))
        return;
    snprintf(object, sizeof(object), WAY "dir/%s", good_name(good));
    if (call_is_offered(call)) {
        make(object, call_kind(call), OWNED(0755));
        call_prepare(call, OWNED(0666));
        int expected = (call->traits & T_ROOT_ONLY) && who != ROOT ? EPERM : 0;
        want_result(call_run(call, who, good_path(good)), expected);
        remove_tree(WAY "dir");
        make_dir();
    }
    end();
}

void suite_paths(void)
{
    if (!options.is_list)
        make_way();
    for (size_t i = 0; i < call_count; i++) {
        for (enum caller who = ROOT; who < CALLER_COUNT; who += OTHER) {
            assert_ways(&calls[i], who);
            assert_lengths(&calls[i], who);
        }
        for (enum good good = 0; good < GOOD_COUNT; good++) {
            if (calls[i].traits & T_NO_SUCCESS)
                continue;
            assert_good(&calls[i], good, ROOT);
            assert_good(&calls[i], good, OWNER);
        }
    }
    remove_tree("way");
}
