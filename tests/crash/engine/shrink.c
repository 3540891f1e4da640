/* shrink.c -- delta debugging */
#include "shrink.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "seed.h"

#define TRIES_MAX 400u

static void set_range(bool *is_kept, const uint32_t *kept, uint32_t first, uint32_t end, bool value)
{
    for (uint32_t index = first; index < end; index++)
        is_kept[kept[index]] = value;
}

static uint32_t list_kept(const bool *is_kept, uint32_t count, uint32_t *kept)
{
    uint32_t total = 0;
    for (uint32_t index = 0; index < count; index++)
        if (is_kept[index])
            kept[total++] = index;
    return total;
}

void shrink_items(bool *is_kept, uint32_t count, shrink_fails_fn fails, void *arg)
{
    uint32_t *kept = malloc((count + 1) * sizeof *kept);
    if (!kept)
        abort();
    uint32_t total = list_kept(is_kept, count, kept);
    unsigned tries = 0;
    for (uint32_t piece = (total + 1) / 2; piece > 0 && total > 0;) {
        bool is_smaller = false;
        for (uint32_t first = 0; first < total && tries < TRIES_MAX; first += piece, tries++) {
            uint32_t end = first + piece < total ? first + piece : total;
            set_range(is_kept, kept, first, end, false);
            if (fails(arg, is_kept))
                is_smaller = true;
            else
                set_range(is_kept, kept, first, end, true);
        }
        total = list_kept(is_kept, count, kept);
        if (!is_smaller && piece == 1)
            break;
        piece = is_smaller && piece <= total ? piece : piece / 2;
        if (is_smaller && piece == 0 && total)
            piece = 1;
    }
    free(kept);
}

/* A state, of which what is not kept goes back to nothing, or to all. */
struct attempt {
    struct explorer *explorer;
    struct level *level;
    uint32_t *versions;
    bool is_full; /* what is not kept is whole */
};

static void set_kept(const struct attempt *attempt, const bool *is_kept)
{
    struct states *states = &attempt->level->states;
    for (uint32_t index = 0; index < states->granule_count; index++) {
        uint32_t extreme = attempt->is_full ? states->granules[index].versions_max : 0;
        states->version[index] = is_kept[index] ? attempt->versions[index] : extreme;
    }
}

static bool state_fails(void *arg, const bool *is_kept)
{
    struct attempt *attempt = arg;
    struct verdict outcome;
    set_kept(attempt, is_kept);
    explore_state(attempt->explorer, attempt->level, false, &outcome);
    return outcome.reason;
}

static void shrink_to(struct attempt *attempt, bool *is_kept)
{
    struct explorer *explorer = attempt->explorer;
    uint32_t count = attempt->level->states.granule_count;
    for (uint32_t index = 0; index < count; index++)
        is_kept[index] = true;
    if (!state_fails(attempt, is_kept)) /* it is no matter of the state alone */
        return;
    shrink_items(is_kept, count, state_fails, attempt);
    set_kept(attempt, is_kept);
    fprintf(stderr, "  smaller, with %s: token=", attempt->is_full ? "all but" : "only");
    explore_print_token(explorer, stderr);
    fputc('\n', stderr);
}

void shrink_state(struct explorer *explorer)
{
    struct level *level = &explorer->levels[0];
    if (explorer->depth != 0 || level->garbage || !explorer->is_in_state)
        return;
    uint32_t count = level->states.granule_count;
    struct attempt attempt = {
        .explorer = explorer, .level = level, .versions = malloc((count + 1) * sizeof(uint32_t))};
    bool *is_kept = malloc(count + 1);
    if (!attempt.versions || !is_kept)
        abort();
    memcpy(attempt.versions, level->states.version, count * sizeof *attempt.versions);
    explorer->is_trying = true;
    for (unsigned is_full = 0; is_full < 2; is_full++) {
        attempt.is_full = is_full;
        shrink_to(&attempt, is_kept);
    }
    explorer->is_trying = false;
    memcpy(level->states.version, attempt.versions, count * sizeof *attempt.versions);
    free(is_kept);
    free(attempt.versions);
}

/* ---- what is left behind ---- */

/* As the crash left it, before recovery. */
static uint8_t *image_of(const struct explorer *explorer)
{
    const struct level *level = &explorer->levels[explorer->is_in_state ? explorer->depth : 0];
    const struct states *states = &level->states;
    const struct medium *crashed = explorer->is_in_state ? level->crashed : explorer->live;
    uint8_t *image = medium_pages(crashed->bytes);
    memcpy(image, crashed->durable, crashed->bytes);
    for (uint64_t index = 0; explorer->is_in_state && index < crashed->unit_count; index++) {
        uint32_t granule = states->granule_of[index];
        if (granule != STATES_NO_GRANULE && states->rank[index] < states->version[granule])
            memcpy(image + (uint64_t)crashed->units[index].word * 8, &crashed->units[index].value,
                   8);
    }
    return image;
}

static void write_file(const char *folder, const char *name, const void *bytes, size_t len_bytes)
{
    char path[8192];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file)
        return;
    (void)fwrite(bytes, 1, len_bytes, file);
    fclose(file);
}

static void write_text(const struct explorer *explorer, const char *folder, const uint8_t *image,
                       const char *reason)
{
    const struct level *level = &explorer->levels[explorer->depth];
    char *text = NULL;
    size_t len_bytes = 0;
    FILE *out = open_memstream(&text, &len_bytes);
    if (!out)
        return;
    fprintf(out, "%s\n", reason);
    for (uint64_t index = 0; explorer->is_in_state && index < level->crashed->unit_count; index++) {
        const struct unit *unit = &level->crashed->units[index];
        uint32_t granule = level->states.granule_of[index];
        bool is_there = granule != STATES_NO_GRANULE &&
                        level->states.rank[index] < level->states.version[granule];
        fprintf(out, "store %" PRIu64 " offset=%" PRIu64 " value=%016" PRIx64 " thread=%u %s %s\n",
                index, (uint64_t)unit->word * 8, unit->value, unit->thread,
                unit->is_past_cache ? "past-cache" : "cached",
                granule == STATES_NO_GRANULE ? "same"
                : is_there                   ? "there"
                                             : "lost");
    }
    if (explorer->judge->dump)
        explorer->judge->dump(explorer->judge->arg, image, explorer->live->bytes, out);
    fclose(out);
    write_file(folder, "state.txt", text, len_bytes);
    free(text);
}

void shrink_keep(struct explorer *explorer, const char *reason)
{
    char *text = NULL;
    size_t len_bytes = 0;
    char folder[4096];
    if (!explorer->keep)
        return;
    FILE *out = open_memstream(&text, &len_bytes);
    if (!out)
        return;
    explore_print_token(explorer, out);
    fclose(out);
    uint64_t name = 0;
    for (size_t at = 0; at < len_bytes; at++)
        name = seed_mix(name, (uint64_t)text[at]);
    snprintf(folder, sizeof folder, "%s/%016" PRIx64, explorer->keep, name);
    if ((mkdir(explorer->keep, 0777) != 0 && errno != EEXIST) ||
        (mkdir(folder, 0777) != 0 && errno != EEXIST)) {
        free(text);
        return;
    }
    uint8_t *image = image_of(explorer);
    write_file(folder, "token", text, len_bytes);
    write_file(folder, "image", image, explorer->live->bytes);
    write_text(explorer, folder, image, reason);
    fprintf(stderr, "  token, image and text are in %s\n", folder);
    medium_unmap(image, explorer->live->bytes);
    free(text);
}
