/* orders.c -- every order on the model, and which of them what has happened allows */
#include "orders.h"

#include <stdlib.h>
#include <string.h>

#include "seed.h"

#define STORE_BYTES ((size_t)64 << 20)
#define FOUND_BYTES ((size_t)2 << 20)
#define OWNER_UID   7u
#define OWNER_GID   8u

static const char *const count_words[] = {"no", "one", "two", "three", "four"};

/* ---- concerts ---- */

void concert_text(const struct concert *concert, char *text, size_t room)
{
    size_t used = (size_t)snprintf(text, room, "%s%s", count_words[concert->thread_count],
                                   concert->is_unsynced ? "-u" : "");
    for (unsigned thread = 0; thread < concert->thread_count; thread++)
        for (unsigned index = 0; index < concert->deed_counts[thread] && used < room; index++)
            used += (size_t)snprintf(text + used, room - used, "%c%s",
                                     index    ? '.'
                                     : thread ? ','
                                              : ':',
                                     concert->deeds[thread][index]->name);
}

static const char *parse_count(const char *text, struct concert *concert)
{
    for (unsigned count = 1; count <= DEED_THREADS_MAX; count++) {
        size_t length = strlen(count_words[count]);
        if (strncmp(text, count_words[count], length) != 0)
            continue;
        text += length;
        concert->thread_count = count;
        concert->is_unsynced = strncmp(text, "-u", 2) == 0;
        return concert->is_unsynced ? text + 2 : text;
    }
    return NULL;
}

bool concert_is_label(const char *text)
{
    struct concert concert = {0};
    const char *rest = parse_count(text, &concert);
    return rest && (*rest == ':' || *rest == '\0');
}

bool concert_parse(const char *text, struct concert *concert, const char **rest)
{
    *concert = (struct concert){0};
    unsigned thread = 0;
    text = parse_count(text, concert);
    if (!text || *text != ':')
        return false;
    do {
        size_t length = strcspn(++text, ".,:");
        unsigned at = concert->deed_counts[thread];
        if (at == CONCERT_DEEDS_MAX || !(concert->deeds[thread][at] = deed_find(text, length)))
            return false;
        concert->deed_counts[thread]++;
        text += length;
        if (*text == ',' && ++thread == concert->thread_count)
            return false;
    } while (*text == ',' || *text == '.');
    *rest = *text == ':' ? text + 1 : text;
    return thread + 1 == concert->thread_count && concert_has_sense(concert);
}

bool concert_has_sense(const struct concert *concert)
{
    unsigned total = 0;
    for (unsigned thread = 0; thread < concert->thread_count; thread++) {
        unsigned slot_count = 0;
        unsigned b_count = 0;
        for (unsigned index = 0; index < concert->deed_counts[thread]; index++) {
            const struct deed *deed = concert->deeds[thread][index];
            bool is_closing = deed->op.kind == OP_CLOSE && !deed->wants_orphan;
            slot_count += deed->takes_slot || deed->wants_orphan;
            if (b_count && (deed->op.slot == DEED_SLOT_B || deed->op.kind == OP_COPY))
                return false; /* it has been closed */
            b_count += is_closing;
        }
        total += concert->deed_counts[thread];
        if (slot_count > 1)
            return false;
    }
    return total <= ORDER_DEEDS_MAX;
}

void concert_prepare(const struct concert *concert, struct side *side)
{
    if (concert->is_unsynced)
        side_history(side);
    for (unsigned thread = 0; thread < concert->thread_count; thread++) {
        bool has_orphan = false;
        for (unsigned index = 0; index < concert->deed_counts[thread]; index++)
            has_orphan = has_orphan || concert->deeds[thread][index]->wants_orphan;
        side_open(side, thread, has_orphan);
    }
}

/* ---- the orders on the model ---- */

void orders_init(struct orders *orders)
{
    orders->outcomes = (void *)medium_pages(OUTCOMES_MAX * sizeof *orders->outcomes);
    picture_store_init(&orders->store, STORE_BYTES);
    picture_store_init(&orders->found_store, FOUND_BYTES);
}

static uint64_t sum_atimes(const struct picture *picture)
{
    uint64_t sum = 0;
    for (unsigned index = 0; index < picture->count; index++)
        sum += seed_mix(picture->names[index].hash, (uint64_t)picture->names[index].atime_ns);
    return sum;
}

static void note_births(struct orders *orders, const struct side *side)
{
    for (unsigned thread = 0; thread < orders->concert->thread_count; thread++)
        for (unsigned slot = 0; slot < 2; slot++)
            orders->births[thread][slot] = side->worlds[thread].slots[slot].node->btime_ns;
}

/* One order: what happens, deed by deed, or the walk of one before another. */
struct order {
    unsigned count;
    struct {
        uint8_t thread;
        bool is_walk;
    } events[2 * ORDER_DEEDS_MAX];
};

/* The model as it is before the deeds. */
static void start_model(struct orders *orders, struct side *side)
{
    *side = (struct side){.model = model_create(OWNER_UID, OWNER_GID)};
    for (unsigned thread = 0; thread < DEED_THREADS_MAX; thread++)
        side->worlds[thread] = (struct op_world){.prefix = "", .model = side->model};
    side->model->root->btime_ns = side->model->root->atime_ns = SIDE_FORMAT_NOW_NS;
    side_make_tree(side);
    concert_prepare(orders->concert, side);
    note_births(orders, side);
    side->model->now_ns = CONCERT_NOW_NS;
}

/* False if a path cannot be walked where the order wants it. */
static bool run_events(const struct concert *concert, const struct order *order, struct side *side,
                       struct outcome *outcome)
{
    unsigned done[DEED_THREADS_MAX] = {0};
    struct walked walked[DEED_THREADS_MAX] = {0};
    uint8_t behind[DEED_THREADS_MAX];
    bool is_possible = true;
    for (unsigned at = 0; is_possible && at < order->count; at++) {
        unsigned thread = order->events[at].thread;
        const struct deed *deed = concert->deeds[thread][done[thread]];
        unsigned place = outcome->count;
        if (order->events[at].is_walk) {
            if (walked[thread].count == 0)
                behind[thread] = (uint8_t)place;
            is_possible = side_walk(side, deed, &walked[thread]);
            continue;
        }
        bool is_walked = walked[thread].count > 0;
        outcome->threads[place] = (uint8_t)thread;
        outcome->walked[place] = is_walked ? behind[thread] : (uint8_t)place;
        if (is_walked)
            side_run_walked(side, thread, deed, &walked[thread], &outcome->answers[place]);
        else
            side_run(side, thread, deed, CONCERT_NOW_NS, &outcome->answers[place]);
        outcome->count++;
        done[thread]++;
    }
    for (unsigned thread = 0; thread < DEED_THREADS_MAX; thread++)
        side_let_go(&walked[thread]);
    return is_possible;
}

static void run_order(struct orders *orders, const struct order *order)
{
    struct side side;
    if (orders->count == OUTCOMES_MAX) {
        fprintf(stderr, "orders.c: too many orders\n");
        exit(2);
    }
    struct outcome *outcome = &orders->outcomes[orders->count];
    start_model(orders, &side);
    outcome->count = 0;
    if (run_events(orders->concert, order, &side, outcome)) {
        picture_of_model(&outcome->picture, &orders->store, side.model);
        outcome->atimes = sum_atimes(&outcome->picture);
        orders->count++;
        if (outcome->picture.error) {
            fprintf(stderr, "orders.c: %s\n", outcome->picture.error);
            exit(2);
        }
    }
    for (unsigned thread = 0; thread < orders->concert->thread_count; thread++)
        side_close(&side, thread);
    model_destroy(side.model);
}

/* Does another thread than this move directories? Only then it matters when a path was walked. */
static bool has_mover(const struct concert *concert, unsigned thread)
{
    for (unsigned other = 0; other < concert->thread_count; other++)
        for (unsigned index = 0; other != thread && index < concert->deed_counts[other]; index++)
            if (concert->deeds[other][index]->moves_dirs)
                return true;
    return false;
}

/* Where an order stands. */
struct progress {
    unsigned done[DEED_THREADS_MAX];
    unsigned walked[DEED_THREADS_MAX]; /* paths of its next deed */
    unsigned pending;                  /* threads that have walked some */
};

static struct progress measure(const struct order *order)
{
    struct progress progress = {0};
    for (unsigned at = 0; at < order->count; at++) {
        unsigned thread = order->events[at].thread;
        bool is_walk = order->events[at].is_walk;
        progress.pending += is_walk && progress.walked[thread] == 0;
        progress.pending -= !is_walk && progress.walked[thread] > 0;
        progress.done[thread] += !is_walk;
        progress.walked[thread] = is_walk ? progress.walked[thread] + 1 : 0;
    }
    return progress;
}

/* A walk stands right before another thread's deed that moves directories, or before another walk. */
static bool may_follow(const struct orders *orders, const struct order *order,
                       const struct progress *progress, unsigned thread, bool is_walk)
{
    const struct concert *concert = orders->concert;
    if (progress->done[thread] == concert->deed_counts[thread])
        return false;
    const struct deed *deed = concert->deeds[thread][progress->done[thread]];
    if (is_walk && (progress->walked[thread] == deed_paths(deed) || !has_mover(concert, thread)))
        return false;
    if (order->count == 0 || !order->events[order->count - 1].is_walk)
        return true;
    unsigned walker = order->events[order->count - 1].thread;
    return is_walk ? walker <= thread : walker != thread && deed->moves_dirs;
}

static void run_orders(struct orders *orders, struct order *order)
{
    const struct progress progress = measure(order);
    if (progress.pending == 0)
        run_order(orders, order);
    for (unsigned choice = 0; choice < 2 * orders->concert->thread_count; choice++) {
        bool is_walk = choice % 2;
        unsigned thread = choice / 2;
        if (!may_follow(orders, order, &progress, thread, is_walk))
            continue;
        order->events[order->count].thread = (uint8_t)thread;
        order->events[order->count++].is_walk = is_walk;
        run_orders(orders, order);
        order->count--;
    }
}

void orders_build(struct orders *orders, const struct concert *concert)
{
    struct order order = {0};
    orders->concert = concert;
    orders->count = 0;
    picture_store_reset(&orders->store);
    run_orders(orders, &order);
    orders_forget(orders);
}

/* ---- what has happened ---- */

void orders_forget(struct orders *orders)
{
    memset(orders->happened, 0, sizeof orders->happened);
    orders->stamp = 0;
}

void orders_begin(struct orders *orders, unsigned thread, unsigned index)
{
    orders->happened[thread][index].begun = ++orders->stamp;
}

void orders_end(struct orders *orders, unsigned thread, unsigned index, const struct answer *answer)
{
    orders->happened[thread][index].ended = ++orders->stamp;
    orders->happened[thread][index].answer = *answer;
}

/* The deed at each place of an order. */
static void find_places(const struct orders *orders, const struct outcome *outcome,
                        const struct happened **places)
{
    unsigned done[DEED_THREADS_MAX] = {0};
    for (unsigned at = 0; at < outcome->count; at++) {
        unsigned thread = outcome->threads[at];
        places[at] = &orders->happened[thread][done[thread]++];
    }
}

/* All that has returned is in it, and nothing that has not begun. */
static bool has_right_deeds(const struct orders *orders, const struct outcome *outcome)
{
    unsigned done[DEED_THREADS_MAX] = {0};
    for (unsigned at = 0; at < outcome->count; at++)
        done[outcome->threads[at]]++;
    for (unsigned thread = 0; thread < orders->concert->thread_count; thread++)
        for (unsigned index = 0; index < orders->concert->deed_counts[thread]; index++) {
            const struct happened *deed = &orders->happened[thread][index];
            if (index < done[thread] ? !deed->begun : deed->ended != 0)
                return false;
        }
    return true;
}

/* Had one returned when the other began? */
static bool is_before(const struct happened *one, const struct happened *other)
{
    return one->ended && one->ended < other->begun;
}

static bool is_legal(const struct orders *orders, const struct outcome *outcome)
{
    const struct happened *places[ORDER_DEEDS_MAX];
    if (!has_right_deeds(orders, outcome))
        return false;
    find_places(orders, outcome, places);
    for (unsigned at = 0; at < outcome->count; at++) {
        if (places[at]->ended && !answers_agree(&places[at]->answer, &outcome->answers[at]))
            return false;
        for (unsigned before = 0; before < at; before++)
            if (is_before(places[at], places[before]))
                return false;
        for (unsigned behind = outcome->walked[at]; behind < at; behind++)
            if (is_before(places[behind], places[at]))
                return false;
    }
    return true;
}

/* At most one thread is inside a write to one file, but two may be inside writes to two. */
static int64_t find_torn(const struct orders *orders)
{
    int64_t birth = 0;
    for (unsigned thread = 0; thread < orders->concert->thread_count; thread++)
        for (unsigned index = 0; index < orders->concert->deed_counts[thread]; index++) {
            const struct deed *deed = orders->concert->deeds[thread][index];
            const struct happened *now = &orders->happened[thread][index];
            if (!deed->is_torn || !now->begun || now->ended)
                continue;
            bool is_b = deed->op.slot == DEED_SLOT_B || deed->op.kind == OP_COPY;
            int64_t torn = orders->births[thread][is_b ? DEED_SLOT_B : DEED_SLOT_F];
            birth = birth && birth != torn ? -1 : torn;
        }
    return birth;
}

uint64_t orders_settle(struct orders *orders)
{
    memset(orders->legal, 0, sizeof orders->legal);
    orders->legal_count = 0;
    for (unsigned index = 0; index < orders->count; index++)
        if (is_legal(orders, &orders->outcomes[index])) {
            orders->legal[index / 64] |= (uint64_t)1 << index % 64;
            orders->legal_count++;
        }
    orders->torn_birth = find_torn(orders);
    uint64_t rules = (uint64_t)orders->torn_birth;
    for (unsigned index = 0; index < OUTCOMES_MAX / 64; index++)
        rules = seed_mix(rules, orders->legal[index]);
    return rules;
}

static bool is_legal_now(const struct orders *orders, unsigned index)
{
    return orders->legal[index / 64] >> index % 64 & 1;
}

/* ---- a tree ---- */

static const struct picture_name *find_path(const struct picture *picture, const char *path)
{
    for (unsigned index = 0; index < picture->count; index++)
        if (strcmp(picture->names[index].path, path) == 0)
            return &picture->names[index];
    return NULL;
}

/* What was set by reading may be lost, and may be there before the call has returned. */
static bool is_atime_right(const struct orders *orders, const struct picture_name *found,
                           const struct picture_name *expected)
{
    if (found->atime_ns == expected->atime_ns)
        return true;
    for (unsigned index = 0; index < orders->count; index++) {
        const struct picture *other = &orders->outcomes[index].picture;
        for (unsigned at = 0; at < other->count; at++) {
            const struct picture_name *name = &other->names[at];
            if (name->birth_ns == found->birth_ns && name->atime_ns == found->atime_ns &&
                (name->is_atime_lazy || expected->is_atime_lazy))
                return true;
        }
    }
    return false;
}

static uint64_t word_at(const struct picture_name *name, size_t at, size_t end)
{
    uint64_t value = 0;
    size_t stop = name->byte_count < end ? name->byte_count : end;
    if (at < stop)
        memcpy(&value, name->bytes + at, stop - at < 8 ? stop - at : 8);
    return value;
}

static bool is_word_known(const struct orders *orders, const struct picture_name *found, size_t at)
{
    uint64_t value = word_at(found, at, found->byte_count);
    for (unsigned index = 0; index < orders->count; index++) {
        const struct picture *other = &orders->outcomes[index].picture;
        for (unsigned name = 0; is_legal_now(orders, index) && name < other->count; name++)
            if (other->names[name].birth_ns == found->birth_ns &&
                word_at(&other->names[name], at, found->byte_count) == value)
                return true;
    }
    return false;
}

/* Each aligned 8 bytes as one of the legal trees has them, zero behind its end. */
static bool is_torn_right(const struct orders *orders, const struct picture_name *found)
{
    if (orders->torn_birth != -1 && orders->torn_birth != found->birth_ns)
        return false;
    for (size_t at = 0; at < found->byte_count; at += 8)
        if (!is_word_known(orders, found, at))
            return false;
    return true;
}

static bool is_like(const struct orders *orders, const struct picture *found,
                    const struct outcome *outcome)
{
    const struct picture *expected = &outcome->picture;
    if (found->count != expected->count)
        return false;
    if (found->digest == expected->digest && sum_atimes(found) == outcome->atimes)
        return true;
    for (unsigned index = 0; index < found->count; index++) {
        const struct picture_name *name = &found->names[index];
        const struct picture_name *wanted = find_path(expected, name->path);
        if (!wanted || name->hash != wanted->hash || !is_atime_right(orders, name, wanted))
            return false;
        if (name->content != wanted->content &&
            (orders->torn_birth == 0 || !is_torn_right(orders, name)))
            return false;
    }
    return true;
}

static void print_outcome(const struct orders *orders, const struct outcome *outcome, FILE *out)
{
    fprintf(out, "    legal would be, after");
    unsigned done[DEED_THREADS_MAX] = {0};
    for (unsigned at = 0; at < outcome->count; at++) {
        unsigned thread = outcome->threads[at];
        fprintf(out, " %u:%s", thread, orders->concert->deeds[thread][done[thread]++]->name);
    }
    fprintf(out, "%s:\n", outcome->count ? "" : " nothing");
    picture_print(&orders->found, &outcome->picture, out);
}

const char *orders_judge(struct orders *orders, struct vmfs *fs, FILE *details)
{
    picture_store_reset(&orders->found_store);
    picture_of_fs(&orders->found, &orders->found_store, fs);
    if (orders->found.error)
        return orders->found.error;
    for (unsigned index = 0; index < orders->count; index++)
        if (is_legal_now(orders, index) &&
            is_like(orders, &orders->found, &orders->outcomes[index]))
            return NULL;
    for (unsigned index = 0; details && index < orders->count; index++)
        if (is_legal_now(orders, index))
            print_outcome(orders, &orders->outcomes[index], details);
    return "the tree is that of no legal order of the calls";
}

static void print_answer(const struct orders *orders, unsigned thread, unsigned index,
                         const struct answer *answer, FILE *out)
{
    fprintf(out, " %u:%s=%lld", thread, orders->concert->deeds[thread][index]->name,
            (long long)answer->code);
    if (answer->data_bytes)
        fprintf(out, "(%016llx)", (unsigned long long)answer->data);
    if (answer->has_stat)
        fprintf(out, "(mode=%o nlink=%u size=%llu)", answer->stat.mode, answer->stat.nlink,
                (unsigned long long)answer->stat.size);
}

void orders_print_answers(const struct orders *orders, FILE *out)
{
    fprintf(out, "    answered:");
    for (unsigned thread = 0; thread < orders->concert->thread_count; thread++)
        for (unsigned index = 0; index < orders->concert->deed_counts[thread]; index++)
            if (orders->happened[thread][index].ended)
                print_answer(orders, thread, index, &orders->happened[thread][index].answer, out);
    fputc('\n', out);
    for (unsigned number = 0; number < orders->count; number++) {
        const struct outcome *outcome = &orders->outcomes[number];
        unsigned done[DEED_THREADS_MAX] = {0};
        if (!has_right_deeds(orders, outcome))
            continue;
        fprintf(out, "    in order:");
        for (unsigned at = 0; at < outcome->count; at++)
            print_answer(orders, outcome->threads[at], done[outcome->threads[at]]++,
                         &outcome->answers[at], out);
        fputc('\n', out);
    }
}

/* ---- lists ---- */

static bool has_entry(const struct answer *list, uint64_t entry)
{
    for (unsigned index = 0; index < list->entry_count; index++)
        if (list->entries[index] == entry)
            return true;
    return false;
}

/* The answers that the list of this thread has in the legal orders: how many, and how many have it. */
static void count_lists(const struct orders *orders, const struct happened *list, uint64_t entry,
                        unsigned counts[2])
{
    const struct happened *places[ORDER_DEEDS_MAX];
    counts[0] = counts[1] = 0;
    for (unsigned index = 0; index < orders->count; index++) {
        const struct outcome *outcome = &orders->outcomes[index];
        if (!is_legal_now(orders, index))
            continue;
        find_places(orders, outcome, places);
        for (unsigned at = 0; at < outcome->count; at++)
            if (places[at] == list)
                counts[has_entry(&outcome->answers[at], entry)]++;
    }
}

static const char *judge_list(const struct orders *orders, const struct happened *list)
{
    unsigned counts[2];
    for (unsigned index = 0; index < list->answer.entry_count; index++) {
        count_lists(orders, list, list->answer.entries[index], counts);
        if (counts[1] == 0)
            return "a directory was read with a name that was never there";
    }
    for (unsigned index = 0; index < orders->count; index++)
        for (unsigned at = 0; is_legal_now(orders, index) && at < orders->outcomes[index].count;
             at++) {
            const struct answer *other = &orders->outcomes[index].answers[at];
            for (unsigned entry = 0; entry < other->entry_count; entry++) {
                count_lists(orders, list, other->entries[entry], counts);
                if (counts[0] == 0 && counts[1] > 0 &&
                    !has_entry(&list->answer, other->entries[entry]))
                    return "a directory was read without a name that was always there";
            }
        }
    return NULL;
}

const char *orders_judge_lists(const struct orders *orders)
{
    const char *reason = NULL;
    for (unsigned thread = 0; thread < orders->concert->thread_count; thread++)
        for (unsigned index = 0; index < orders->concert->deed_counts[thread] && !reason; index++)
            if (orders->concert->deeds[thread][index]->kind == DEED_LIST)
                reason = judge_list(orders, &orders->happened[thread][index]);
    return reason;
}
