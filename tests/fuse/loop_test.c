/* loop_test.c -- which thread of vmfs-fuse reads (fuse-frontend/loop.h), with a session that is none
 *
 * The calls of libfuse that the loop makes are defined here: a request is a token, and serving one may take
 * until the test says so. Nothing is mounted. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "loop.h"
#include "stats.h"
#include "wire.h"

#define THREADS    4u
#define WAIT_MS    5000
#define REQUESTS   64
#define LONG_IDLE  1000000
#define HARDLY_ANY 100

enum { QUICK, SLEEPS, FSYNC, END };

static struct {
    sem_t tokens;
    sem_t wake;
    pthread_mutex_t lock;
    int kinds[REQUESTS];
    unsigned first, count; /* under the lock */
    _Atomic unsigned receiving, asleep, served;
    _Atomic int64_t idle_ns;
    _Atomic bool has_exited;
    unsigned cpus;
} session;
static _Thread_local int kind_own;

static void leave_receive(void *arg)
{
    (void)arg;
    atomic_fetch_sub(&session.receiving, 1);
}

int fuse_session_receive_buf(struct fuse_session *se, struct fuse_buf *buf)
{
    (void)se;
    buf->size = 64;
    atomic_fetch_add(&session.receiving, 1);
    pthread_cleanup_push(leave_receive, NULL);
    while (sem_wait(&session.tokens) != 0)
        ;
    pthread_cleanup_pop(1);
    pthread_mutex_lock(&session.lock);
    kind_own = session.kinds[session.first++ % REQUESTS];
    session.count--;
    pthread_mutex_unlock(&session.lock);
    return kind_own == END ? 0 : 64;
}

void fuse_session_process_buf(struct fuse_session *se, const struct fuse_buf *buf)
{
    (void)se;
    (void)buf;
    if (kind_own != QUICK) {
        atomic_fetch_add(&session.asleep, 1);
        while (sem_wait(&session.wake) != 0)
            ;
        atomic_fetch_sub(&session.asleep, 1);
    }
    atomic_fetch_add(&session.served, 1);
}

int fuse_session_exited(struct fuse_session *se)
{
    (void)se;
    return atomic_load(&session.has_exited);
}

void fuse_session_exit(struct fuse_session *se)
{
    (void)se;
    atomic_store(&session.has_exited, true);
}

int fuse_session_fd(struct fuse_session *se)
{
    (void)se;
    return -1; /* poll() leaves it out */
}

int64_t stats_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t stats_idle_ns(void)
{
    return atomic_load(&session.idle_ns);
}

uint32_t stats_opcode(void)
{
    return kind_own == FSYNC ? FUSE_FSYNC : FUSE_LOOKUP;
}

int sched_getaffinity(pid_t pid, size_t size_bytes, cpu_set_t *out)
{
    (void)pid;
    (void)size_bytes;
    CPU_ZERO(out);
    for (unsigned i = 0; i < session.cpus; i++)
        CPU_SET(i, out);
    return 0;
}

static _Atomic bool has_deputy_slept_in;

/* The deputy's only: one that sleeps in never looks. */
int clock_nanosleep(clockid_t clock, int flags, const struct timespec *wanted,
                    struct timespec *left)
{
    (void)clock;
    (void)flags;
    while (atomic_load(&has_deputy_slept_in))
        pause();
    return nanosleep(wanted, left);
}

static void ask(int kind)
{
    pthread_mutex_lock(&session.lock);
    session.kinds[(session.first + session.count++) % REQUESTS] = kind;
    pthread_mutex_unlock(&session.lock);
    sem_post(&session.tokens);
}

static void sleep_ms(long ms)
{
    const struct timespec pause = {.tv_nsec = ms * 1000000};
    nanosleep(&pause, NULL);
}

static void expect(_Atomic unsigned *what, unsigned value, const char *text)
{
    for (int ms = 0; ms < WAIT_MS && atomic_load(what) != value; ms++)
        sleep_ms(1);
    if (atomic_load(what) == value)
        return;
    fprintf(stderr, "loop_test: %s: %u, not %u\n", text, atomic_load(what), value);
    exit(1);
}

/* After the loop has had time to change it. */
static void expect_still(_Atomic unsigned *what, unsigned value, const char *text)
{
    expect(what, value, text);
    sleep_ms(30);
    expect(what, value, text);
}

static void ask_quick(unsigned count)
{
    unsigned served = atomic_load(&session.served);
    for (unsigned i = 0; i < count; i++) {
        ask(QUICK);
        expect(&session.served, served + i + 1, "served");
    }
}

static bool all_read;
static int loop_result;
static struct frontend frontend;

static void *run_loop(void *arg)
{
    (void)arg;
    frontend.options.threads = THREADS;
    loop_result = loop_run(&frontend, all_read);
    return NULL;
}

static pthread_t begin(bool reads_all, unsigned cpus)
{
    pthread_t thread;
    memset(&session, 0, sizeof session);
    sem_init(&session.tokens, 0, 0);
    sem_init(&session.wake, 0, 0);
    pthread_mutex_init(&session.lock, NULL);
    session.idle_ns = (HARDLY_ANY + LONG_IDLE) / 200; /* neither waiting nor waited for */
    session.cpus = cpus;
    all_read = reads_all;
    pthread_create(&thread, NULL, run_loop, NULL);
    return thread;
}

static void end(pthread_t thread)
{
    ask(END);
    pthread_join(thread, NULL);
    if (loop_result != 0 || session.receiving != 0) {
        fprintf(stderr, "loop_test: ended with %d, %u still read\n", loop_result,
                session.receiving);
        exit(1);
    }
}

static void one_reads(void)
{
    pthread_t thread = begin(false, 2 * THREADS);
    expect_still(&session.receiving, 1, "one reads at first");
    ask_quick(50);
    expect_still(&session.receiving, 1, "one reads still");
    end(thread);
}

/* A request that sleeps holds up nobody but for a moment, and leaves no reader too many. */
static void sleepers_are_replaced(void)
{
    pthread_t thread = begin(false, 2 * THREADS);
    for (unsigned i = 1; i < THREADS; i++) {
        ask(SLEEPS);
        expect(&session.asleep, i, "asleep");
        expect(&session.receiving, 1, "another reads");
        ask_quick(3);
    }
    for (unsigned i = 1; i < THREADS; i++)
        sem_post(&session.wake);
    expect(&session.asleep, 0, "awake");
    session.idle_ns = LONG_IDLE;
    ask_quick(50);
    expect_still(&session.receiving, 1, "one reads again");
    ask(SLEEPS);
    expect(&session.asleep, 1, "asleep again");
    expect(&session.receiving, 1, "another reads again");
    sem_post(&session.wake);
    end(thread);
}

/* Without waiting for the deputy. It takes somebody who stands by already, so there are some tries. */
static void long_calls_ask_for_a_reader(void)
{
    has_deputy_slept_in = true;
    pthread_t thread = begin(false, 2 * THREADS);
    unsigned tries = 0;
    bool is_replaced = false;
    for (; !is_replaced && tries < 50; tries++) {
        sleep_ms(10);
        ask(FSYNC);
        expect(&session.asleep, 1, "asleep");
        sleep_ms(10);
        is_replaced = session.receiving == 1;
        sem_post(&session.wake);
        expect(&session.asleep, 0, "awake");
    }
    has_deputy_slept_in = false;
    end(thread);
    if (is_replaced)
        return;
    fprintf(stderr, "loop_test: an fsync was not replaced in %u tries\n", tries);
    exit(1);
}

/* One for two CPUs. */
static void queue_makes_readers(unsigned cpus, unsigned readers)
{
    pthread_t thread = begin(false, cpus);
    session.idle_ns = HARDLY_ANY;
    sleep_ms(10);
    ask_quick(50);
    expect_still(&session.receiving, readers, "read what was waiting");
    session.idle_ns = LONG_IDLE;
    ask_quick(200);
    expect_still(&session.receiving, 1, "one reads what comes now and then");
    end(thread);
}

static void all_read_where_rounds_are_shared(void)
{
    pthread_t thread = begin(true, 2);
    expect(&session.receiving, THREADS, "all read");
    session.idle_ns = LONG_IDLE;
    ask_quick(50);
    expect_still(&session.receiving, THREADS, "all read still");
    end(thread);
}

static void stop(int number)
{
    (void)number;
    loop_stop(&frontend);
}

/* Whatever the threads do, a signal to the one that waits ends them; what is being served is. */
static void signal_ends(void)
{
    struct sigaction action = {.sa_handler = stop};
    pthread_t thread = begin(false, 2 * THREADS);
    sigaction(SIGTERM, &action, NULL);
    ask(SLEEPS);
    expect(&session.asleep, 1, "asleep");
    expect(&session.receiving, 1, "another reads");
    pthread_kill(thread, SIGTERM);
    sleep_ms(10);
    expect(&session.asleep, 1, "asleep still");
    sem_post(&session.wake);
    pthread_join(thread, NULL);
    expect(&session.served, 1, "served");
}

/* Told by who is not the one that waits, whose wait is not interrupted: as by a signal just before it. */
static void stop_is_not_lost(void)
{
    pthread_t thread = begin(false, 2 * THREADS);
    expect(&session.receiving, 1, "one reads");
    sleep_ms(10);
    loop_stop(&frontend);
    pthread_join(thread, NULL);
}

/* What is being served is waited for. The last one: nothing takes this back. */
static void finish_waits(void)
{
    pthread_t thread = begin(false, 2 * THREADS);
    ask(SLEEPS);
    expect(&session.asleep, 1, "asleep");
    loop_finish();
    sleep_ms(200);
    if (session.has_exited) {
        fprintf(stderr, "loop_test: it ended while a request was served\n");
        exit(1);
    }
    sem_post(&session.wake);
    pthread_join(thread, NULL);
    expect(&session.served, 1, "served");
}

int main(void)
{
    one_reads();
    sleepers_are_replaced();
    long_calls_ask_for_a_reader();
    queue_makes_readers(2 * THREADS, THREADS);
    queue_makes_readers(5, 2);
    queue_makes_readers(2, 1);
    queue_makes_readers(1, 1);
    all_read_where_rounds_are_shared();
    signal_ends();
    stop_is_not_lost();
    finish_waits();
    puts("loop_test: readers come and go as there is work");
    return 0;
}
