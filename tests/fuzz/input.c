/* input.c -- bytes and text of an input */
#include "input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "seeds.h"

#define INPUT_VERB_NAME(NAME, text) text,
const char *const input_verb_names[INPUT_VERBS_END] = {INPUT_VERBS(INPUT_VERB_NAME)};

static void clamp_mutation(struct input_mutation *mutation)
{
    mutation->kind %= ATLAS_KINDS;
    unsigned fields = atlas_fields_of(mutation->kind);
    mutation->field = (uint8_t)(fields ? mutation->field % fields : 0);
    mutation->verb %= INPUT_VERBS_END;
    mutation->flags &= INPUT_BROKEN | INPUT_TWIN;
}

void input_decode(struct input *input, const void *bytes, size_t len_bytes)
{
    memset(input, 0, sizeof *input);
    memcpy(input, bytes, len_bytes < sizeof *input ? len_bytes : sizeof *input);
    size_t behind = len_bytes > INPUT_HEAD_BYTES ? len_bytes - INPUT_HEAD_BYTES : 0;
    size_t room = behind / sizeof input->mutations[0];
    input->seed %= SEED_COUNT;
    input->mode &= INPUT_MODE_ALL;
    input->fault %= ARENA_FAULT_END;
    if (input->count > INPUT_MUTATIONS_MAX)
        input->count %= INPUT_MUTATIONS_MAX + 1;
    if (input->count > room)
        input->count = (uint8_t)room;
    for (unsigned index = 0; index < input->count; index++)
        clamp_mutation(&input->mutations[index]);
    memset(input->mutations + input->count, 0,
           (INPUT_MUTATIONS_MAX - input->count) * sizeof input->mutations[0]);
}

size_t input_encode(const struct input *input, void *bytes)
{
    size_t len_bytes = INPUT_HEAD_BYTES + input->count * sizeof input->mutations[0];
    memcpy(bytes, input, len_bytes);
    return len_bytes;
}

/* ---- text ---- */

void input_print(const struct input *input, char token[INPUT_TOKEN_BYTES])
{
    size_t at = 0;
    size_t room = INPUT_TOKEN_BYTES;
    at += (size_t)snprintf(token, room, "%s:mode=%x:fault=%u.%u:script=%x", seed_names[input->seed],
                           input->mode, input->fault, input->nth, input->script);
    for (unsigned index = 0; index < input->count; index++) {
        const struct input_mutation *mutation = &input->mutations[index];
        const struct atlas_field *field =
            &atlas_fields[atlas_first_field(mutation->kind) + mutation->field];
        at += (size_t)snprintf(
            token + at, room - at, "/%s#%u.%s[%u]%s=%llx%s%s", atlas_kind_names[mutation->kind],
            mutation->object, field->name, mutation->element, input_verb_names[mutation->verb],
            (unsigned long long)mutation->value, mutation->flags & INPUT_BROKEN ? "!" : "",
            mutation->flags & INPUT_TWIN ? "&" : "");
    }
}

static int find_name(const char *const *names, unsigned count, const char *name)
{
    for (unsigned index = 0; index < count; index++)
        if (strcmp(names[index], name) == 0)
            return (int)index;
    return -1;
}

static int find_field(int kind, const char *name)
{
    unsigned first = atlas_first_field((enum atlas_kind)kind);
    for (unsigned index = 0; index < atlas_fields_of((enum atlas_kind)kind); index++)
        if (strcmp(atlas_fields[first + index].name, name) == 0)
            return (int)index;
    return -1;
}

static const char *parse_mutation(struct input_mutation *out, const char *text)
{
    char kind[32];
    char field[32];
    char verb[16];
    unsigned object;
    unsigned element;
    unsigned long long value;
    int used = 0;
    if (sscanf(text, "/%31[a-z0-9_]#%u.%31[a-z0-9_][%u]%15[a-z]=%llx%n", kind, &object, field,
               &element, verb, &value, &used) != 6)
        return text;
    int kind_index = find_name(atlas_kind_names, ATLAS_KINDS, kind);
    int field_index = kind_index < 0 ? -1 : find_field(kind_index, field);
    int verb_index = find_name(input_verb_names, INPUT_VERBS_END, verb);
    if (field_index < 0 || verb_index < 0)
        return text;
    *out = (struct input_mutation){
        .kind = (uint8_t)kind_index,
        .field = (uint8_t)field_index,
        .verb = (uint8_t)verb_index,
        .object = (uint16_t)object,
        .element = (uint16_t)element,
        .value = value,
    };
    const char *rest = text + used;
    for (; *rest == '!' || *rest == '&'; rest++)
        out->flags |= *rest == '!' ? INPUT_BROKEN : INPUT_TWIN;
    return rest;
}

const char *input_parse(struct input *input, const char *token)
{
    char seed[32];
    unsigned mode;
    unsigned fault;
    unsigned nth;
    unsigned script;
    int used = 0;
    memset(input, 0, sizeof *input);
    if (sscanf(token, "%31[a-z0-9]:mode=%x:fault=%u.%u:script=%x%n", seed, &mode, &fault, &nth,
               &script, &used) != 5)
        return token;
    int seed_index = find_name(seed_names, SEED_COUNT, seed);
    if (seed_index < 0 || fault >= ARENA_FAULT_END)
        return token;
    input->seed = (uint8_t)seed_index;
    input->mode = (uint8_t)(mode & INPUT_MODE_ALL);
    input->fault = (uint8_t)fault;
    input->nth = (uint16_t)nth;
    input->script = (uint16_t)script;
    const char *rest = token + used;
    while (*rest == '/' && input->count < INPUT_MUTATIONS_MAX) {
        const char *next = parse_mutation(&input->mutations[input->count], rest);
        if (next == rest)
            return rest;
        input->count++;
        rest = next;
    }
    return *rest == '\0' || *rest == '\n' || *rest == ' ' ? NULL : rest;
}

bool input_target(const struct atlas *atlas, const struct input_mutation *mutation,
                  struct input_target *out)
{
    unsigned kind = mutation->kind % ATLAS_KINDS;
    unsigned fields = atlas_fields_of(kind);
    if (atlas->kind_count[kind] == 0 || fields == 0)
        return false;
    out->object = &atlas->objects[atlas->by_kind[kind][mutation->object % atlas->kind_count[kind]]];
    out->field = &atlas_fields[atlas_first_field(kind) + mutation->field % fields];
    out->element = mutation->element % out->field->count;
    return true;
}
