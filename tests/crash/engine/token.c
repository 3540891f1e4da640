/* token.c -- states as text */
#include "token.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char model_letters[] = {[MEDIUM_LINE] = 'l', [MEDIUM_WORD] = 'w', [MEDIUM_PAGE] = 'p'};

static bool parse_model(char letter, enum medium_model *model)
{
    for (unsigned index = 0; index < sizeof model_letters; index++)
        if (model_letters[index] == letter) {
            *model = (enum medium_model)index;
            return true;
        }
    return false;
}

static bool parse_state(char *text, struct token *token)
{
    char *end;
    unsigned long point = strtoul(text, &end, 10);
    if (end == text || point == 0 || token->depth == TOKEN_LEVELS_MAX ||
        !parse_model(*end, &token->model))
        return false;
    token->points[token->depth] = (unsigned)point;
    token->vectors[token->depth++] = end + 1;
    return true;
}

bool token_parse(char *text, struct token *token)
{
    *token = (struct token){.region_mib = 1};
    char *at = strrchr(text, '@');
    char *slash = strchr(text, '/');
    if (!at || !slash || (size_t)(slash - text) >= sizeof token->label || slash > at)
        return false;
    char *end;
    token->seed = strtoull(at + 1, &end, 10);
    if (end == at + 1)
        return false;
    if (*end == ',')
        token->region_mib = strtoull(end + 1, &end, 10);
    if (*end != '\0' || token->region_mib == 0)
        return false;
    memcpy(token->label, text, (size_t)(slash - text));
    *at = '\0';
    while (slash) {
        char *state = slash + 1;
        slash = strchr(state, '/');
        if (slash)
            *slash = '\0';
        if (!parse_state(state, token))
            return false;
    }
    return true;
}

/* What stands for a granule: its version, or -1 for garbage. */
static int64_t symbol_of(const struct states *states, uint32_t index, uint64_t garbage,
                         const uint8_t *decided)
{
    return garbage && !decided[index] ? -1 : (int64_t)states->version[index];
}

void token_print_state(FILE *out, unsigned point, const struct states *states, uint64_t garbage,
                       const uint8_t *decided)
{
    uint32_t count = states->granule_count;
    const char *between = "";
    fprintf(out, "%u%c", point, model_letters[states->medium ? states->medium->model : 0]);
    if (garbage) {
        fprintf(out, "g%" PRIu64, garbage);
        between = ".";
    }
    while (count && symbol_of(states, count - 1, garbage, decided) == 0)
        count--;
    for (uint32_t index = 0; index < count;) {
        int64_t symbol = symbol_of(states, index, garbage, decided);
        uint32_t run = 1;
        while (index + run < count && symbol_of(states, index + run, garbage, decided) == symbol)
            run++;
        if (symbol < 0)
            fprintf(out, "%s?", between);
        else
            fprintf(out, "%s%" PRId64, between, symbol);
        if (run > 1)
            fprintf(out, "x%u", run);
        between = ".";
        index += run;
    }
}

static bool apply_run(struct states *states, uint32_t *index, int64_t symbol, uint64_t run,
                      uint8_t *decided)
{
    for (; run; run--, ++*index) {
        if (*index >= states->granule_count ||
            symbol > (int64_t)states->granules[*index].versions_max)
            return false;
        states->version[*index] = symbol < 0 ? 0 : (uint32_t)symbol;
        decided[*index] = symbol >= 0;
    }
    return true;
}

bool token_apply(const char *vector, struct states *states, uint64_t *garbage, uint8_t *decided)
{
    char *end;
    uint32_t index = 0;
    states_set_all(states, false);
    memset(decided, 1, states->granule_count);
    *garbage = 0;
    if (*vector == 'g') {
        *garbage = strtoull(vector + 1, &end, 10);
        vector = *end == '.' ? end + 1 : end;
    }
    while (*vector) {
        int64_t symbol = -1;
        uint64_t run = 1;
        if (*vector == '?') {
            end = (char *)(uintptr_t)(vector + 1);
        } else {
            symbol = (int64_t)strtoull(vector, &end, 10);
            if (end == vector)
                return false;
        }
        if (*end == 'x')
            run = strtoull(end + 1, &end, 10);
        if (!apply_run(states, &index, symbol, run, decided))
            return false;
        vector = *end == '.' ? end + 1 : end;
    }
    return true;
}
