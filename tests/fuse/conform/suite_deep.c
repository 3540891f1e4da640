/* suite_deep.c -- trees that are deeper than any path is long, walked step by step */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conform.h"

static int here = -1;

static void name_of(char *name, unsigned level, unsigned length)
{
    memset(name, 'a' + (int)(level % 26), length);
    name[length] = '\0';
}

/* Goes down, making `levels` directories of `length` bytes. False if a step fails. */
static bool descend(unsigned levels, unsigned length)
{
    char name[256];
    bool is_down = chdir(at("")) == 0;
    for (unsigned i = 0; i < levels && is_down; i++) {
        name_of(name, i, length);
        is_down = mkdir(name, 0777) == 0 && chdir(name) == 0;
    }
    return is_down;
}

static unsigned ascend(unsigned levels, unsigned length)
{
    char name[256];
    unsigned up = 0;
    while (up < levels && chdir("..") == 0) {
        name_of(name, levels - 1 - up, length);
        if (rmdir(name))
            break;
        up++;
    }
    return up;
}

static void assert_at_the_bottom(void)
{
    char cwd[64];
    make_bytes("file", "deep", 4);
    want("a file is made there", look("file").size == 4);
    want_result(as(ROOT, do_symlink, "link", "file", 0, 0), 0);
    want("a link is followed there", access("link", F_OK) == 0);
    want_result(as(ROOT, do_link, "file", "other", 0, 0), 0);
    want_result(as(ROOT, do_rename, "other", "moved", 0, 0), 0);
    want_equal("links", look("moved").nlink, 2);
    want("getcwd finds no room", getcwd(cwd, sizeof(cwd)) == NULL && errno == ERANGE);
    want_result(as(ROOT, do_chmod, "file", NULL, 0600, 0), 0);
    want_result(as(ROOT, do_unlink, "file", NULL, 0, 0), 0);
    want_result(as(ROOT, do_unlink, "moved", NULL, 0, 0), 0);
    want_result(as(ROOT, do_unlink, "link", NULL, 0, 0), 0);
    struct look up = look("..");
    want("there is a way up", up.is_there && S_ISDIR(up.mode));
}

static void assert_depth(unsigned levels, unsigned length)
{
    if (!beginf(ROOT, "chdir", "%u levels of %u bytes", levels, length))
        return;
    here = open(".", O_PATH | O_CLOEXEC);
    bool is_down = descend(levels, length);
    want("the way down", is_down);
    if (is_down) {
        assert_at_the_bottom();
        want_equal("the way up", ascend(levels, length), levels);
    }
    if (fchdir(here))
        abort();
    close(here);
    end();
}

/* A path of exactly PATH_MAX - 1 bytes, by real directories, and one that is a byte longer. */
static void assert_path(unsigned extra)
{
    static char path[PATH_MAX + 10];
    if (!beginf(ROOT, "mkdir, open and stat", "a path of %u bytes of real names",
                PATH_MAX - 1 + extra))
        return;
    size_t used = (size_t)snprintf(path, sizeof(path), "%s", at(""));
    size_t wanted = PATH_MAX - 1;
    if (path[used - 1] == '/')
        used--;
    bool is_made = true;
    while (wanted - used > 302 && is_made) {
        path[used++] = '/';
        memset(path + used, 'd', 200);
        path[used += 200] = '\0';
        is_made = mkdir(path, 0777) == 0;
    }
    path[used++] = '/';
    size_t middle = (wanted - used) / 2;
    memset(path + used, 'm', middle);
    path[used += middle] = '\0';
    is_made = is_made && mkdir(path, 0777) == 0;
    want("the directories", is_made);
    path[used++] = '/';
    memset(path + used, 'f', wanted - used + extra);
    path[wanted + extra] = '\0';
    int expected = extra ? ENAMETOOLONG : 0;
    want_result(as(ROOT, do_open, path, NULL, O_CREAT | O_WRONLY, 0644), expected);
    want_result(as(ROOT, do_access, path, NULL, F_OK, 0), expected);
    want_result(as(OTHER, do_rename, path, at("back"), 0, 0), expected);
    want_result(as(OTHER, do_rename, at("back"), path, 0, 0), extra ? ENAMETOOLONG : 0);
    want_result(as(ROOT, do_unlink, path, NULL, 0, 0), expected);
    end();
}

/* A deep tree is moved as a whole. */
static void assert_moved(unsigned levels)
{
    if (!beginf(ROOT, "rename", "a tree of %u levels", levels))
        return;
    here = open(".", O_PATH | O_CLOEXEC);
    make(at("from"), K_DIR, ROOTS(0777));
    make(at("to"), K_DIR, ROOTS(0777));
    bool is_down = chdir(at("from")) == 0;
    for (unsigned i = 0; i < levels && is_down; i++)
        is_down = mkdir("step", 0777) == 0 && chdir("step") == 0;
    make("bottom", K_FILE, ROOTS(0644));
    int bottom = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fchdir(here))
        abort();
    want("the way down", is_down);
    want_result(as(ROOT, do_rename, at("from/step"), at("to/step"), 0, 0), 0);
    struct stat status;
    want("its bottom is the same", fstatat(bottom, "bottom", &status, 0) == 0);
    want_result(as(ROOT, do_rename, at("to"), at("to/step/into"), 0, 0), EINVAL);
    close(bottom);
    close(here);
    end();
}

void suite_deep(void)
{
    assert_depth(10, 255);
    assert_depth(50, 100);
    assert_depth(100, 100);
    assert_depth(300, 1);
    assert_depth(options.is_long ? 1000 : 100, 255);
    assert_path(0);
    assert_path(1);
    assert_moved(3);
    assert_moved(200);
}
