/* test_sync.c -- the sync backend over an msync that tells what it was asked, waits, and fails
 *
 * The linker puts __wrap_msync() in the place of the real one. What it was asked to write back it copies
 * as it is when the call begins and keeps when it ends: a medium that an interrupted call may leave as it
 * was. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "persist/persist_sync.h"
#include "seed.h"

#define PAGE      4096u
#define PAGES     1024u
#define CALLS_MAX 64u

static _Alignas(PAGE) uint8_t memory[PAGES * PAGE];

/* What the fake has been asked, in pages of `memory`. */
struct call {
    uint64_t first;
    uint64_t count;
    int flags;
};

static struct fake {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    struct call calls[CALLS_MAX];
    unsigned count;
    unsigned inside;  /* calls that are running */
    unsigned crowd;   /* the most that ever were */
    unsigned held;    /* the number of the call that must wait before it returns */
    unsigned fail_at; /* the number of the call that fails, from 1; and */
    unsigned fails;   /*   how many from there on */
    long delay_ns;
    uint64_t medium[PAGES]; /* the first word of each page */
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};

int __wrap_msync(void *address, size_t len_bytes, int flags);

static uint64_t word_of(uint64_t page)
{
    return __atomic_load_n((uint64_t *)(void *)(memory + page * PAGE), __ATOMIC_ACQUIRE);
}

int __wrap_msync(void *address, size_t len_bytes, int flags)
{
    static _Thread_local uint64_t seen[PAGES];
    uint64_t first = (uint64_t)((uint8_t *)address - memory) / PAGE;
    uint64_t count = len_bytes / PAGE;
    for (uint64_t page = first; page < first + count; page++)
        seen[page] = word_of(page);
    pthread_mutex_lock(&fake.lock);
    fake.calls[fake.count % CALLS_MAX] = (struct call){first, count, flags};
    unsigned number = ++fake.count;
    fake.inside++;
    if (fake.inside > fake.crowd)
        fake.crowd = fake.inside;
    pthread_cond_broadcast(&fake.moved);
    while (number == fake.held)
        pthread_cond_wait(&fake.moved, &fake.lock);
    bool fails = fake.fail_at && number >= fake.fail_at && number < fake.fail_at + fake.fails;
    pthread_mutex_unlock(&fake.lock);
    if (fake.delay_ns)
        nanosleep(&(struct timespec){.tv_nsec = fake.delay_ns}, NULL);
    pthread_mutex_lock(&fake.lock);
    for (uint64_t page = first; page < first + count && !fails; page++)
        fake.medium[page] = seen[page];
    fake.inside--;
    pthread_mutex_unlock(&fake.lock);
    errno = EIO;
    return fails ? -1 : 0;
}

static void hold_call(unsigned number)
{
    pthread_mutex_lock(&fake.lock);
    fake.held = number;
    pthread_cond_broadcast(&fake.moved);
    pthread_mutex_unlock(&fake.lock);
}

static void wait_for_calls(unsigned count)
{
    pthread_mutex_lock(&fake.lock);
    while (fake.count < count)
        pthread_cond_wait(&fake.moved, &fake.lock);
    pthread_mutex_unlock(&fake.lock);
}

static struct vm_sync syncing;

static void setup(void)
{
    vm_sync_init(&syncing, PAGE);
}

static void teardown(void)
{
    vm_sync_fini(&syncing);
}

TestSuite(sync, .init = setup, .fini = teardown, .timeout = 60);

/* One operation. */
struct access {
    struct vm_unsynced unsynced;
    struct vm_io io;
};

static void begin(struct access *access)
{
    vm_unsynced_init(&access->unsynced, &syncing);
    access->io = (struct vm_io){.ops = vm_persist_sync(), .arg = &access->unsynced, .base = memory};
}

static void touch(struct access *access, uint64_t page)
{
    vm_io_flush(&access->io, page * PAGE + 64, 64);
}

static void expect_call(unsigned index, uint64_t first, uint64_t count)
{
    const struct call *call = &fake.calls[index];
    cr_assert(index < fake.count, "there were %u calls", fake.count);
    cr_assert(call->first == first && call->count == count, "call %u: pages %llu + %llu", index,
              (unsigned long long)call->first, (unsigned long long)call->count);
    cr_assert_eq(call->flags, MS_SYNC);
}

/* ---- lists of pages ---- */

#define LIST_ROOM 9u

struct list {
    struct vm_pages pages;
    struct vm_page_run runs[LIST_ROOM + 1];
    bool added[256];
};

static bool list_has(const struct list *list, uint64_t page)
{
    for (uint32_t at = 0; at < list->pages.count; at++)
        if (page >= list->pages.runs[at].first && page < list->pages.runs[at].end)
            return true;
    return false;
}

static unsigned runs_of(const struct list *list)
{
    unsigned runs = 0;
    for (unsigned page = 0; page < 256; page++)
        runs += list->added[page] && (page == 0 || !list->added[page - 1]);
    return runs;
}

static void check_list(const struct list *list, uint32_t most, bool is_exact)
{
    const struct vm_pages *pages = &list->pages;
    cr_assert(pages->count <= most);
    for (uint32_t at = 0; at < pages->count; at++) {
        cr_assert(pages->runs[at].first < pages->runs[at].end);
        cr_assert(at == 0 || pages->runs[at - 1].end < pages->runs[at].first, "Y1");
    }
    for (unsigned page = 0; page < 256; page++) {
        cr_assert(!list->added[page] || list_has(list, page), "Y2: page %u is lost", page);
        cr_assert(!is_exact || list->added[page] == list_has(list, page), "page %u", page);
    }
}

static struct vm_page_run draw_run(struct seed *seed)
{
    uint64_t first = seed_below(seed, 250);
    return (struct vm_page_run){first, first + 1 + seed_below(seed, 6)};
}

/* Exact while the runs fit; never too little. */
Test(sync, lists_forget_nothing)
{
    struct seed seed;
    seed_init(&seed, 20260417);
    for (unsigned round = 0; round < 4000; round++) {
        struct list list = {.pages = {.room = LIST_ROOM}};
        list.pages.runs = list.runs;
        bool is_exact = true;
        uint64_t adds = 1 + seed_below(&seed, 30);
        for (uint64_t i = 0; i < adds; i++) {
            struct vm_page_run run = draw_run(&seed);
            vm_pages_add(&list.pages, run);
            for (uint64_t page = run.first; page < run.end; page++)
                list.added[page] = true;
            is_exact = is_exact && runs_of(&list) <= LIST_ROOM;
            check_list(&list, LIST_ROOM, is_exact);
        }
        uint32_t most = 1 + (uint32_t)seed_below(&seed, 4);
        vm_pages_join(&list.pages, most, seed_below(&seed, 10));
        check_list(&list, most, false);
    }
}

/* Those that are closest to each other become one, not the first or the last. */
Test(sync, lists_join_what_is_close)
{
    struct list list = {.pages = {.room = 3}};
    list.pages.runs = list.runs;
    vm_pages_add(&list.pages, (struct vm_page_run){200, 201});
    vm_pages_add(&list.pages, (struct vm_page_run){10, 11});
    vm_pages_add(&list.pages, (struct vm_page_run){100, 101});
    vm_pages_add(&list.pages, (struct vm_page_run){60, 61});
    cr_assert(list.pages.count == 3 && list.runs[1].first == 60 && list.runs[1].end == 101);
    vm_pages_join(&list.pages, 3, 48);
    cr_assert_eq(list.pages.count, 3);
    vm_pages_join(&list.pages, 3, 49);
    cr_assert(list.pages.count == 2 && list.runs[0].end == 101);
}

/* ---- one thread ---- */

Test(sync, nothing_stored_is_no_call)
{
    struct access access;
    begin(&access);
    vm_io_store(&access.io, 3 * PAGE, "plain", 5);
    vm_io_flush(&access.io, 3 * PAGE, 0);
    cr_assert_eq(vm_io_fence(&access.io), 0);
    cr_assert_eq(fake.count, 0);
    cr_assert_eq(vm_sync_counts(&syncing).rounds, 0);
}

/* Copied, set and flushed; the pages that are touched, and no others; each once. */
Test(sync, exactly_what_was_stored)
{
    struct access access;
    begin(&access);
    vm_io_copy(&access.io, 2 * PAGE - 3, "abcdef", 6);
    vm_io_set(&access.io, 900 * PAGE, 'x', PAGE);
    cr_assert_eq(vm_io_fence(&access.io), 0);
    cr_assert_eq(memcmp(memory + 2 * PAGE - 3, "abcdef", 6), 0);
    cr_assert(memory[900 * PAGE] == 'x' && memory[901 * PAGE - 1] == 'x' &&
              memory[901 * PAGE] == 0);
    cr_assert_eq(fake.count, 2);
    expect_call(0, 1, 2);
    expect_call(1, 900, 1);
    cr_assert_eq(vm_io_fence(&access.io), 0);
    cr_assert_eq(fake.count, 2, "the list is empty after its fence");
    vm_io_store(&access.io, 400 * PAGE + 128, "01234567", 8);
    vm_io_flush(&access.io, 400 * PAGE + 128, 8);
    cr_assert_eq(vm_io_fence(&access.io), 0);
    cr_assert_eq(fake.count, 3);
    expect_call(2, 400, 1);
    uint8_t words[33];
    memset(words, 'w', sizeof words);
    vm_io_copy_words(&access.io, 501 * PAGE - 15, words, 33);
    cr_assert_eq(vm_io_fence(&access.io), 0);
    cr_assert_eq(memcmp(memory + 501 * PAGE - 15, words, 33), 0);
    expect_call(3, 500, 2);
    cr_assert_eq(vm_sync_counts(&syncing).rounds, 3);
    cr_assert_eq(vm_sync_counts(&syncing).calls, 4);
    cr_assert_eq(syncing.crowd, 1, "nobody else is waited for");
}

/* Near ones go together, and whatever there is, a round takes two calls. */
Test(sync, calls_are_few)
{
    struct access access;
    begin(&access);
    touch(&access, 10);
    touch(&access, 10 + VM_SYNC_GAP_PAGES + 1);
    cr_assert_eq(vm_io_fence(&access.io), 0);
    cr_assert_eq(fake.count, 1);
    expect_call(0, 10, VM_SYNC_GAP_PAGES + 2);
    touch(&access, 10);
    touch(&access, 10 + VM_SYNC_GAP_PAGES + 2);
    cr_assert_eq(vm_io_fence(&access.io), 0);
    cr_assert_eq(fake.count, 3);
    expect_call(1, 10, 1);
    expect_call(2, 12 + VM_SYNC_GAP_PAGES, 1);
    touch(&access, 100);
    touch(&access, 900);
    touch(&access, 300);
    cr_assert_eq(vm_io_fence(&access.io), 0);
    cr_assert_eq(fake.count, 5);
    expect_call(3, 100, 201);
    expect_call(4, 900, 1);
}

/* By words, whatever the edges: what is around a range stays. */
Test(sync, words_at_every_alignment)
{
    struct access access;
    uint8_t wanted[64];
    uint8_t bytes[40];
    begin(&access);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i + 1);
    for (size_t at = 0; at < 16; at++)
        for (size_t len = 0; len <= sizeof bytes; len++) {
            memset(wanted, 0xee, sizeof wanted);
            memset(wanted + at, 0x5a, len);
            memset(memory, 0xee, sizeof wanted);
            vm_io_set_words(&access.io, at, 0x5a, len);
            cr_assert_eq(memcmp(memory, wanted, sizeof wanted), 0, "set %zu + %zu", at, len);
            memcpy(wanted + at, bytes, len);
            vm_io_copy_words(&access.io, at, bytes, len);
            cr_assert_eq(memcmp(memory, wanted, sizeof wanted), 0, "copy %zu + %zu", at, len);
        }
    cr_assert_eq(access.unsynced.pages.count, 1);
}

/* More runs than an operation can remember, or a round: written all the same. */
Test(sync, overflow_drops_nothing)
{
    struct access access;
    begin(&access);
    for (uint64_t page = 0; page < PAGES; page += 7) {
        uint64_t value = page + 1;
        vm_io_copy(&access.io, page * PAGE, &value, 8);
    }
    cr_assert_eq(access.unsynced.pages.count, VM_UNSYNCED_RUNS);
    cr_assert_eq(vm_io_fence(&access.io), 0);
    for (uint64_t page = 0; page < PAGES; page += 7)
        cr_assert_eq(fake.medium[page], page + 1);
}

Test(sync, failed_once_is_failed_for_good)
{
    struct access access;
    begin(&access);
    fake.fail_at = 2;
    fake.fails = 1;
    touch(&access, 1);
    cr_assert_eq(vm_io_fence(&access.io), 0);
    touch(&access, 1);
    touch(&access, 900);
    cr_assert_neq(vm_io_fence(&access.io), 0);
    cr_assert_eq(fake.count, 2, "the second run was not tried");
    cr_assert_neq(vm_io_fence(&access.io), 0, "even with nothing stored");
    touch(&access, 1);
    cr_assert_neq(vm_io_fence(&access.io), 0);
    begin(&access);
    touch(&access, 5);
    cr_assert_neq(vm_io_fence(&access.io), 0);
    cr_assert_eq(fake.count, 2, "the kernel is not asked again");
    cr_assert(vm_sync_counts(&syncing).has_failed);
}

/* ---- several threads ---- */

struct member {
    pthread_t thread;
    uint64_t page;
    int result;
};

static void *run_member(void *arg)
{
    struct member *member = arg;
    struct access access;
    begin(&access);
    uint64_t value = member->page + 1000;
    vm_io_copy(&access.io, member->page * PAGE, &value, 8);
    member->result = vm_io_fence(&access.io);
    return NULL;
}

static void start(struct member *member, uint64_t page)
{
    *member = (struct member){.page = page, .result = -1};
    cr_assert_eq(pthread_create(&member->thread, NULL, run_member, member), 0);
}

/* Waits until so many pages have come into the round that gathers. */
static void wait_for_gathered(uint32_t runs)
{
    uint32_t seen = 0;
    while (seen < runs) {
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
        pthread_mutex_lock(&syncing.lock);
        seen = syncing.slots[syncing.gathering % 2].pages.count;
        pthread_mutex_unlock(&syncing.lock);
    }
}

/* One leads, seven come while it is at it: their round is one more, and begins behind it. */
Test(sync, late_comers_share_the_next_round)
{
    struct member members[8];
    hold_call(1);
    start(&members[0], 0);
    wait_for_calls(1);
    for (unsigned i = 1; i < 8; i++)
        start(&members[i], i * 4);
    wait_for_gathered(7);
    cr_assert_eq(fake.count, 1);
    hold_call(2);
    wait_for_calls(2);
    pthread_mutex_lock(&syncing.lock);
    unsigned crowd = syncing.crowd;
    pthread_mutex_unlock(&syncing.lock);
    cr_assert_eq(crowd, 8, "one in the round, seven waiting");
    hold_call(0);
    for (unsigned i = 0; i < 8; i++) {
        pthread_join(members[i].thread, NULL);
        cr_assert_eq(members[i].result, 0);
        cr_assert_eq(fake.medium[members[i].page], members[i].page + 1000);
    }
    cr_assert_eq(vm_sync_counts(&syncing).rounds, 2);
    expect_call(0, 0, 1);
    expect_call(1, 4, 25);
}

/* Who leads waits for the other that was there before, and not a moment longer. */
Test(sync, the_last_of_the_crowd_ends_the_wait)
{
    struct member members[2];
    struct timespec begun;
    struct timespec ended;
    syncing.crowd = 2;
    syncing.wait_ns = 15000000000;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    start(&members[0], 3);
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    pthread_mutex_lock(&fake.lock);
    unsigned early = fake.count;
    pthread_mutex_unlock(&fake.lock);
    cr_assert_eq(early, 0);
    start(&members[1], 5);
    pthread_join(members[0].thread, NULL);
    pthread_join(members[1].thread, NULL);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    cr_assert(ended.tv_sec - begun.tv_sec < 10);
    cr_assert_eq(fake.count, 1);
}

static void *run_cancelled(void *arg)
{
    run_member(arg);
    pthread_testcancel();
    return NULL;
}

/* Who leads, and who waits for it, are cancelled: both end behind their fence, and others go on. */
Test(sync, a_cancelled_thread_leaves_nothing)
{
    struct member members[2] = {{.page = 3, .result = -1}, {.page = 5, .result = -1}};
    struct member last;
    hold_call(1);
    for (unsigned i = 0; i < 2; i++) {
        pthread_create(&members[i].thread, NULL, run_cancelled, &members[i]);
        if (i == 0)
            wait_for_calls(1);
        else
            wait_for_gathered(1);
    }
    for (unsigned i = 0; i < 2; i++)
        pthread_cancel(members[i].thread);
    hold_call(0);
    for (unsigned i = 0; i < 2; i++) {
        void *ended;
        pthread_join(members[i].thread, &ended);
        cr_assert_eq(ended, PTHREAD_CANCELED);
        cr_assert_eq(members[i].result, 0);
        cr_assert_eq(fake.medium[members[i].page], members[i].page + 1000);
    }
    start(&last, 9);
    pthread_join(last.thread, NULL);
    cr_assert_eq(last.result, 0);
}

/* The same page, stored again while it is being written: the round that runs does not count. */
Test(sync, a_round_that_has_begun_is_too_early)
{
    struct member first;
    struct member second;
    hold_call(1);
    start(&first, 3);
    wait_for_calls(1);
    start(&second, 3);
    wait_for_gathered(1);
    hold_call(2);
    pthread_join(first.thread, NULL);
    wait_for_calls(2);
    cr_assert_eq(second.result, -1, "it waits for its own");
    hold_call(0);
    pthread_join(second.thread, NULL);
    cr_assert_eq(second.result, 0);
}

/* The first round is good, the second fails for all of its members, and so does what came behind. */
Test(sync, failure_reaches_every_member)
{
    struct member members[6];
    fake.fail_at = 2;
    fake.fails = 1;
    hold_call(1);
    start(&members[0], 0);
    wait_for_calls(1);
    for (unsigned i = 1; i < 5; i++)
        start(&members[i], i * 4);
    wait_for_gathered(4);
    hold_call(2);
    wait_for_calls(2);
    start(&members[5], 500);
    wait_for_gathered(1);
    hold_call(0);
    for (unsigned i = 0; i < 6; i++) {
        pthread_join(members[i].thread, NULL);
        cr_assert((members[i].result != 0) == (i > 0), "member %u: %d", i, members[i].result);
    }
    cr_assert_eq(fake.count, 2);
}

/* The round ends well, and before its member gets to run the next one has failed: its call is about its own. The
 * test leads both rounds, as no schedule would come out so each time. */
Test(sync, a_good_round_stays_good)
{
    struct member member;
    pthread_mutex_lock(&syncing.lock);
    syncing.is_led = true;
    pthread_mutex_unlock(&syncing.lock);
    start(&member, 3);
    wait_for_gathered(1);
    pthread_mutex_lock(&syncing.lock);
    uint64_t good = syncing.gathering;
    syncing.gathering = good + 2;
    syncing.ended = good + 1;
    syncing.failed = good + 1;
    syncing.is_led = false;
    pthread_cond_broadcast(&syncing.slots[good % 2].moved);
    pthread_mutex_unlock(&syncing.lock);
    pthread_join(member.thread, NULL);
    cr_assert_eq(member.result, 0);
}

#define STRESS_THREADS 8u
#define STRESS_FENCES  2000u

static _Atomic uint64_t torn;

static void *run_stress(void *arg)
{
    uint64_t self = (uint64_t)(uintptr_t)arg;
    struct seed seed;
    seed_init(&seed, self);
    for (uint64_t value = 1; value <= STRESS_FENCES; value++) {
        struct access access;
        begin(&access);
        uint64_t stored[3];
        uint64_t count = 1 + seed_below(&seed, 3);
        for (uint64_t i = 0; i < count; i++) {
            stored[i] = seed_below(&seed, PAGES / STRESS_THREADS) * STRESS_THREADS + self;
            vm_io_copy(&access.io, stored[i] * PAGE, &value, 8);
        }
        bool is_bad = vm_io_fence(&access.io) != 0;
        pthread_mutex_lock(&fake.lock);
        for (uint64_t i = 0; i < count; i++)
            is_bad = is_bad || fake.medium[stored[i]] != value;
        pthread_mutex_unlock(&fake.lock);
        if (is_bad)
            atomic_fetch_add(&torn, 1);
    }
    return NULL;
}

/* Whatever the order: after a fence the medium has what was stored before it. Rounds run one at a time and
 * are markedly fewer than fences: leaders wait for those who were there. */
Test(sync, stress)
{
    pthread_t threads[STRESS_THREADS];
    fake.delay_ns = 20000;
    for (uint64_t i = 0; i < STRESS_THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, run_stress, (void *)(uintptr_t)i), 0);
    for (unsigned i = 0; i < STRESS_THREADS; i++)
        pthread_join(threads[i], NULL);
    struct vm_sync_counts counts = vm_sync_counts(&syncing);
    cr_log_info("fences %u, rounds %llu, calls %llu", STRESS_THREADS * STRESS_FENCES,
                (unsigned long long)counts.rounds, (unsigned long long)counts.calls);
    cr_assert_eq(atomic_load(&torn), 0);
    cr_assert_eq(fake.crowd, 1, "Y4");
    cr_assert(counts.rounds * 5 < STRESS_THREADS * STRESS_FENCES);
    cr_assert(counts.calls <= counts.rounds * VM_SYNC_CALLS_MAX);
}
