/* report.c -- which case is open, what holds in it, and what was counted */
#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conform.h"

#define ID_BYTES   512
#define PART_BYTES 160

struct options options;

struct tally {
    uint64_t cases;
    uint64_t assertions;
    uint64_t distinct;
    uint64_t failed;
};

struct open_case {
    char call[PART_BYTES];
    char precondition[PART_BYTES];
    enum caller who;
};

static struct tally tally;
static struct open_case now;
static char parts[4][PART_BYTES]; /* of --only, if it has four */
static int part_count = -1;
static FILE *json;

/* The ids seen so far: an open table of hashes, of 64 bits each. */
#define SEEN_SLOTS (1u << 18)
static uint64_t seen[SEEN_SLOTS];

static uint64_t hash_of(const char *text)
{
    uint64_t hash = 14695981039346656037u;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    return hash ? hash : 1;
}

static bool is_new(const char *id)
{
    uint64_t hash = hash_of(id);
    uint64_t slot = hash % SEEN_SLOTS;
    while (seen[slot] != 0 && seen[slot] != hash)
        slot = (slot + 1) % SEEN_SLOTS;
    if (seen[slot] == hash || tally.distinct >= SEEN_SLOTS / 2)
        return false;
    seen[slot] = hash;
    return true;
}

static void copy_part(char *to, const char *from)
{
    snprintf(to, PART_BYTES, "%s", from);
    for (; *to; to++)
        *to = *to == '/' ? '|' : *to;
}

static void split_only(void)
{
    const char *rest = options.only;
    part_count = 0;
    while (rest && part_count < 4) {
        const char *slash = strchr(rest, '/');
        size_t length = slash ? (size_t)(slash - rest) : strlen(rest);
        snprintf(parts[part_count++], PART_BYTES, "%.*s", (int)length, rest);
        rest = slash ? slash + 1 : NULL;
    }
}

static bool fits(int part, const char *text)
{
    return part >= part_count || strcmp(parts[part], text) == 0 ||
           fnmatch(parts[part], text, 0) == 0;
}

static bool is_wanted(void)
{
    if (part_count < 0)
        split_only();
    return fits(0, now.call) && fits(1, now.precondition) && fits(3, caller_name(now.who));
}

bool begin(const char *call, const char *precondition, enum caller who)
{
    copy_part(now.call, call);
    copy_part(now.precondition, precondition);
    now.who = who;
    if (!is_wanted())
        return false;
    if (options.is_list) {
        printf("%s/%s/*/%s\n", now.call, now.precondition, caller_name(who));
        return false;
    }
    tally.cases++;
    case_enter(tally.cases);
    return true;
}

bool beginf(enum caller who, const char *call, const char *format, ...)
{
    char text[PART_BYTES];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    return begin(call, text, who);
}

void end(void)
{
    case_leave();
}

static void quote(FILE *file, const char *text)
{
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', file);
        fputc((unsigned char)*text < ' ' ? '?' : *text, file);
    }
}

static void to_json(const char *id, bool holds, const char *got)
{
    if (options.json && !json) {
        json = fopen(options.json, "w");
        if (!json) {
            perror(options.json);
            exit(2);
        }
        fputs("{\"assertions\": [\n", json);
    }
    if (!json)
        return;
    fprintf(json, "%s{\"id\": \"", tally.distinct > 1 ? ",\n" : "");
    quote(json, id);
    fprintf(json, "\", \"holds\": %s, \"got\": \"", holds ? "true" : "false");
    quote(json, got);
    fputs("\"}", json);
}

/* One that fails again and again is told once. */
static void tell(const char *id, const char *outcome, const char *got)
{
    static uint64_t last;
    if (last == hash_of(id))
        return;
    last = hash_of(id);
    printf("FAILED call=%s precondition=\"%s\" caller=%s expected=\"%s\" got=\"%s\" rerun: %s %s "
           "--only '%s/%s/*/%s'\n",
           now.call, now.precondition, caller_name(now.who), outcome, got, options.program,
           options.directory, now.call, now.precondition, caller_name(now.who));
    fflush(stdout);
}

static bool judge(const char *outcome, bool holds, const char *got)
{
    char id[ID_BYTES];
    char part[PART_BYTES];
    copy_part(part, outcome);
    if (!fits(2, part))
        return holds;
    snprintf(id, sizeof(id), "%s/%s/%s/%s", now.call, now.precondition, part, caller_name(now.who));
    tally.assertions++;
    if (is_new(id)) {
        tally.distinct++;
        to_json(id, holds, got);
    }
    if (!holds) {
        tally.failed++;
        tell(id, outcome, got);
    }
    return holds;
}

const char *error_name(long code)
{
    static char text[4][40];
    static unsigned turn;
    turn = (turn + 1) % 4;
    if (code >= 0)
        return "ok";
    const char *name = strerrorname_np((int)-code);
    snprintf(text[turn], sizeof(text[turn]), "%s", name ? name : "an unknown errno");
    return text[turn];
}

bool want_result(long got, int expected)
{
    bool holds = expected == 0 ? got >= 0 : got == -expected;
    return judge(error_name(-expected), holds, error_name(got));
}

bool want(const char *outcome, bool holds)
{
    return judge(outcome, holds, holds ? "so" : "not so");
}

bool want_equal(const char *outcome, long long got, long long expected)
{
    char text[96];
    snprintf(text, sizeof(text), "%lld, not %lld", got, expected);
    return judge(outcome, got == expected, text);
}

bool wantf(bool holds, const char *format, ...)
{
    char text[PART_BYTES];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    return want(text, holds);
}

bool must(long result, const char *what)
{
    char text[PART_BYTES];
    if (result >= 0)
        return true;
    snprintf(text, sizeof(text), "preparation: %s", what);
    return judge(text, false, error_name(result));
}

int report(double seconds)
{
    unsigned forbidden = features_report();
    tally.failed += forbidden;
    if (json) {
        fprintf(
            json,
            "\n], \"distinct\": %llu, \"failed\": %llu, \"skipped\": %llu, \"seconds\": %.1f}\n",
            (unsigned long long)tally.distinct, (unsigned long long)tally.failed,
            (unsigned long long)skipped_count(), seconds);
        fclose(json);
    }
    if (!options.is_list)
        printf("conform: assertions=%llu distinct=%llu failed=%llu skipped=%llu seconds=%.1f\n",
               (unsigned long long)tally.assertions, (unsigned long long)tally.distinct,
               (unsigned long long)tally.failed, (unsigned long long)skipped_count(), seconds);
    return tally.failed ? 1 : 0;
}
