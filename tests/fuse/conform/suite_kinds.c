/* suite_kinds.c -- what every call says of each kind of object at the end of its path */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "calls.h"

/* What a failed call must have left alone. */
struct scene {
    struct look parent;
    struct look object;
    struct look spare;
};

static struct scene look_at_scene(void)
{
    return (struct scene){look(case_directory()), look(at("x")), look(at("spare"))};
}

static bool is_untouched(const struct scene *before)
{
    struct scene after = look_at_scene();
    return same(&before->parent, &after.parent) && same(&before->object, &after.object) &&
           same(&before->spare, &after.spare);
}

/* After the call, which names are there. */
static void assert_names(const struct call *call, enum kind kind)
{
    bool is_spare_there = look(at("spare")).is_there;
    bool is_there = look(at("x")).is_there;
    bool is_exchange = (call->traits & T_EXCHANGE) != 0;
    bool leaves = (call->traits & T_LEAVES) != 0 && !is_exchange;
    bool is_moved_onto = strncmp(call->name, "rename(to", 9) == 0 && !is_exchange;
    if (leaves)
        want("the name is gone", !is_there);
    else if ((call->traits & T_ENTERS) || kind != K_NONE)
        want("the name is there", is_there);
    if (is_moved_onto)
        want("the old name is gone", !is_spare_there);
    else if (call->traits & T_NO_SPARE)
        want("the new name is there", is_spare_there);
}

static void prepare(const struct call *call, enum kind kind)
{
    make(at("x"), kind, OWNED(kind_is_dir(kind) ? 0755 : 0644));
    call_prepare(call, OWNED(0644));
}

static void assert_success(const struct call *call, enum kind kind, bool is_slash, enum caller who)
{
    prepare(call, kind);
    want_result(call_run(call, who, at(is_slash ? "x/" : "x")), 0);
    assert_names(call, kind);
}

/* Calls that fail share scenes, for each kind of object and of other operand: they are older than a
 * tick, so that a change would show. */
static const char *scene_name(const struct call *call, enum kind kind)
{
    static char name[32];
    const char *spare = call->traits & T_NO_SPARE    ? "none"
                        : call->traits & T_SPARE_DIR ? "dir"
                                                     : "file";
    snprintf(name, sizeof(name), "scene.%d.%s", (int)kind, spare);
    return name;
}

static void make_scene(const struct call *call, enum kind kind)
{
    case_share(scene_name(call, kind));
    if (look(case_directory()).is_there)
        return;
    make(case_directory(), K_DIR, ROOTS(0777));
    prepare(call, kind);
}

static void assert_failure(const struct call *call, enum kind kind, bool is_slash, enum caller who)
{
    int expected = call_expected(call, is_slash ? call->slash : call->plain, kind, who);
    make_scene(call, kind);
    struct scene before = look_at_scene();
    want_result(call_run(call, who, at(is_slash ? "x/" : "x")), expected);
    if (!want("nothing has changed", is_untouched(&before)))
        remove_tree(case_directory());
}

static void assert_kind(const struct call *call, enum kind kind, bool is_slash, enum caller who)
{
    int expected = call_expected(call, is_slash ? call->slash : call->plain, kind, who);
    if (!beginf(who, call->name, "the path names %s%s", kind_name(kind),
                is_slash ? ", with a slash" : ""))
        return;
    if (call_is_offered(call)) {
        if (expected)
            assert_failure(call, kind, is_slash, who);
        else
            assert_success(call, kind, is_slash, who);
    }
    end();
}

static void assert_dots(const struct call *call, enum caller who)
{
    static const char *const paths[2] = {"x/.", "x/.."};
    for (unsigned i = 0; i < 2; i++) {
        if (!beginf(who, call->name, "the path ends in %s", paths[i] + 2))
            continue;
        if (call_is_offered(call)) {
            /* The case's directory belongs to root: '..' of a directory of the owner's. */
            make(at("y"), K_DIR, OWNED(0777));
            make(at("y/x"), K_DIR, OWNED(0777));
            call_prepare(call, OWNED(0644));
            want_result(call_run(call, who, atf("y/%s", paths[i])),
                        call_expected(call, call->dots, i, who));
        }
        end();
    }
}

static void walk_scenes(void (*visit)(const struct call *call, enum kind kind))
{
    static const unsigned spares[] = {0, T_SPARE_DIR, T_NO_SPARE};
    for (size_t i = 0; i < COUNT(spares); i++) {
        const struct call like = {.traits = spares[i]};
        for (enum kind kind = 0; kind < KIND_COUNT; kind++)
            visit(&like, kind);
    }
}

static void remove_scene(const struct call *call, enum kind kind)
{
    remove_tree(scene_name(call, kind));
}

void suite_kinds(void)
{
    static const enum caller callers[] = {ROOT, OWNER};
    if (!options.is_list) {
        walk_scenes(make_scene);
        tick_if_coarse();
    }
    for (size_t i = 0; i < call_count; i++) {
        for (size_t c = 0; c < COUNT(callers); c++) {
            for (enum kind kind = 0; kind < KIND_COUNT; kind++) {
                assert_kind(&calls[i], kind, false, callers[c]);
                assert_kind(&calls[i], kind, true, callers[c]);
            }
            assert_dots(&calls[i], callers[c]);
        }
    }
    if (!options.is_list)
        walk_scenes(remove_scene);
}
