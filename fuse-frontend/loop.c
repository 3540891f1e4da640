/* loop.c -- which thread reads the next request */
#include "loop.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "stats.h"
#include "wire.h"

/* A request that began within this after the last one ended had been waiting. */
#define WAITED_NS 2000
/* A reader that finds nothing for this long has time. */
#define IDLE_NS 10000
/* Both include the read itself, which copies this fast. */
#define BYTES_A_NS_MOST  8
#define BYTES_A_NS_LEAST 4
/* So many in a row count. */
#define STREAK 4
/* The deputy looks this often; that is how long others wait for a call that sleeps, or twice that. */
#define TICK_NS 16000000
/* Ticks without a request after which the deputy sleeps until there is one. */
#define TICKS_QUIET 2
#define PAGE_BYTES  4096

/* syncfs() does not wait for what it makes the kernel write (Linux 6.18: the pages of FUSE are left out): that comes
 * request by request, and there may be a moment between two. Whoever goes on using the mount is not waited for. */
#define DRAIN_LOOK_NS 2000000
#define DRAIN_LOOKS   10
#define DRAIN_MAX_MS  10000

/* A worker's beat: a number that each request has for itself, and these. */
#define SERVES   1u
#define REPLACED 2u /* another reads in its place: it is to stand by when it has served */
#define BEAT     4u

struct worker {
    _Alignas(64) _Atomic uint64_t beat;
    uint64_t seen; /* the deputy's: the beat at its last look */
    struct loop *loop;
    struct worker *next_standby;
    sem_t call;
    pthread_t thread;
    void *pages; /* what the buffer is a part of */
    struct fuse_buf buffer;
    unsigned waited, idle; /* in a row */
};

struct loop {
    struct fuse_session *session;
    struct worker *workers;
    unsigned count; /* of workers */
    bool all_read;
    pthread_mutex_t lock;
    struct worker *standby;   /* under the lock */
    _Atomic unsigned readers; /* workers that neither stand by nor are replaced */
    unsigned readers_max;
    _Atomic bool is_deputy_asleep;
    _Atomic int failure;
    sem_t deputy_call;
    sem_t end;
};

/* Of the loop that runs: a signal that comes just before its wait is not to be lost. */
static _Atomic(sem_t *) end_running;
static _Atomic bool is_finishing;

static void standby_push(struct loop *loop, struct worker *worker)
{
    pthread_mutex_lock(&loop->lock);
    worker->next_standby = loop->standby;
    loop->standby = worker;
    pthread_mutex_unlock(&loop->lock);
}

/* Null if nobody stands by. */
static struct worker *standby_pop(struct loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    struct worker *worker = loop->standby;
    if (worker)
        loop->standby = worker->next_standby;
    pthread_mutex_unlock(&loop->lock);
    return worker;
}

/* Lets one more read, unless that takes a CPU from those who ask. */
static void call_one(struct loop *loop)
{
    bool is_enough = atomic_load(&loop->readers) >= loop->readers_max;
    struct worker *worker = is_enough ? NULL : standby_pop(loop);
    if (!worker)
        return;
    atomic_fetch_add(&loop->readers, 1);
    sem_post(&worker->call);
}

static void stand_by(struct worker *worker)
{
    standby_push(worker->loop, worker);
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    while (sem_wait(&worker->call) != 0)
        ;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    worker->waited = 0;
    worker->idle = 0;
}

/* One reader less, unless it would be the last. */
static bool leave_readers(struct loop *loop)
{
    unsigned readers = atomic_load(&loop->readers);
    while (readers > 1)
        if (atomic_compare_exchange_weak(&loop->readers, &readers, readers - 1))
            return true;
    return false;
}

/* After a request, by how long it had let itself be waited for. */
static bool is_superfluous(struct worker *worker)
{
    struct loop *loop = worker->loop;
    int64_t idle_ns = stats_idle_ns();
    int64_t bytes = (int64_t)worker->buffer.size;
    worker->waited = idle_ns < WAITED_NS + bytes / BYTES_A_NS_MOST ? worker->waited + 1 : 0;
    worker->idle = idle_ns > IDLE_NS + bytes / BYTES_A_NS_LEAST ? worker->idle + 1 : 0;
    if (worker->waited >= STREAK) {
        worker->waited = 0;
        call_one(loop);
    }
    return worker->idle >= STREAK && leave_readers(loop);
}

/* The store comes before the load, as in deputy_rest(): one of the two sees the other. */
static void begin_beat(struct worker *worker)
{
    struct loop *loop = worker->loop;
    atomic_fetch_add(&worker->beat, SERVES);
    if (atomic_load(&loop->is_deputy_asleep) && atomic_exchange(&loop->is_deputy_asleep, false))
        sem_post(&loop->deputy_call);
}

/* True if another reads in its place. */
static bool end_beat(struct worker *worker)
{
    uint64_t beat = atomic_load_explicit(&worker->beat, memory_order_relaxed);
    uint64_t next = (beat & ~(uint64_t)(SERVES | REPLACED)) + BEAT;
    return atomic_exchange(&worker->beat, next) & REPLACED;
}

/* Another reads in the place of one that serves, if it still serves what it did at this beat. */
static void replace(struct loop *loop, struct worker *worker, uint64_t beat)
{
    struct worker *other = beat & REPLACED ? NULL : standby_pop(loop);
    if (!other)
        return;
    if (atomic_compare_exchange_strong(&worker->beat, &beat, beat | REPLACED))
        sem_post(&other->call);
    else
        standby_push(loop, other);
}

/* What waits for a device, or moves a lot without data in the request. */
static bool is_long(uint32_t opcode)
{
    return opcode == FUSE_FSYNC || opcode == FUSE_FSYNCDIR || opcode == FUSE_FALLOCATE ||
           opcode == FUSE_COPY_FILE_RANGE || opcode == WIRE_COPY_FILE_RANGE_64;
}

static void serve(struct worker *worker)
{
    struct loop *loop = worker->loop;
    begin_beat(worker);
    if (!loop->all_read && is_long(stats_opcode()))
        replace(loop, worker, atomic_load(&worker->beat));
    fuse_session_process_buf(loop->session, &worker->buffer);
    bool is_replaced = end_beat(worker);
    if (is_replaced || (!loop->all_read && is_superfluous(worker)))
        stand_by(worker);
}

/* True if anything has been or is being served since the last look. */
static bool look(struct loop *loop)
{
    bool is_busy = false;
    for (unsigned i = 0; i < loop->count; i++) {
        struct worker *worker = &loop->workers[i];
        uint64_t beat = atomic_load(&worker->beat);
        if (beat == worker->seen && beat & SERVES)
            replace(loop, worker, beat);
        is_busy = is_busy || beat != worker->seen || beat & SERVES;
        worker->seen = beat;
    }
    return is_busy;
}

static void deputy_rest(struct loop *loop)
{
    atomic_store(&loop->is_deputy_asleep, true);
    if (look(loop) && atomic_exchange(&loop->is_deputy_asleep, false))
        return;
    while (sem_wait(&loop->deputy_call) != 0)
        ;
}

static void *depute(void *arg)
{
    struct loop *loop = arg;
    const struct timespec tick = {.tv_nsec = TICK_NS};
    unsigned quiet = TICKS_QUIET;
    for (;;) {
        if (quiet >= TICKS_QUIET) {
            deputy_rest(loop);
            quiet = 0;
        }
        clock_nanosleep(CLOCK_MONOTONIC, 0, &tick, NULL);
        quiet = look(loop) ? 0 : quiet + 1;
    }
    return NULL;
}

/* What a WRITE carries is to begin with a page, so that no page of it is copied in two pieces, and to lie in one
 * large page. Where there are none, or no memory, libfuse makes a buffer itself. */
#define BUFFER_BYTES ((size_t)2 << 20)

static void buffer_make(struct worker *worker)
{
    const size_t front = sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in);
    worker->pages = aligned_alloc(BUFFER_BYTES, BUFFER_BYTES);
    if (!worker->pages)
        return;
    madvise(worker->pages, BUFFER_BYTES, MADV_HUGEPAGE);
    worker->buffer.mem = (char *)worker->pages + PAGE_BYTES - front;
}

static void buffer_free(struct worker *worker)
{
    free(worker->pages ? worker->pages : worker->buffer.mem);
}

/* Cancelled only while it reads or stands by, not inside a call of the library. */
static void *work(void *arg)
{
    struct worker *worker = arg;
    struct loop *loop = worker->loop;
    int result;
    if (worker != loop->workers && !loop->all_read)
        stand_by(worker);
    buffer_make(worker);
    while (!fuse_session_exited(loop->session)) {
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
        result = fuse_session_receive_buf(loop->session, &worker->buffer);
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
        if (result == -EINTR)
            continue;
        if (result < 0)
            atomic_store(&loop->failure, result);
        if (result <= 0)
            break;
        serve(worker);
    }
    fuse_session_exit(loop->session);
    sem_post(&loop->end);
    return NULL;
}

/* Signals go to the thread that waits for the end; but for those that a thread earns itself. */
static void signals_block(sigset_t *before)
{
    sigset_t blocked;
    sigfillset(&blocked);
    sigdelset(&blocked, SIGBUS);
    sigdelset(&blocked, SIGSEGV);
    sigdelset(&blocked, SIGFPE);
    sigdelset(&blocked, SIGILL);
    sigdelset(&blocked, SIGABRT);
    pthread_sigmask(SIG_SETMASK, &blocked, before);
}

static bool worker_start(struct loop *loop, unsigned number)
{
    struct worker *worker = &loop->workers[number];
    worker->loop = loop;
    return sem_init(&worker->call, 0, 0) == 0 &&
           pthread_create(&worker->thread, NULL, work, worker) == 0;
}

/* At least one serves. Returns how many do. */
static unsigned workers_start(struct loop *loop)
{
    unsigned started = 0;
    while (started < loop->count && worker_start(loop, started))
        started++;
    return started;
}

static void workers_end(struct loop *loop, unsigned started)
{
    for (unsigned i = 0; i < started; i++)
        pthread_cancel(loop->workers[i].thread);
    for (unsigned i = 0; i < started; i++) {
        pthread_join(loop->workers[i].thread, NULL);
        sem_destroy(&loop->workers[i].call);
        buffer_free(&loop->workers[i]);
    }
}

/* No request waits, is served, or has been since the last look. */
static bool is_quiet(struct loop *loop, uint64_t *last)
{
    struct pollfd poll_ = {.fd = fuse_session_fd(loop->session), .events = POLLIN};
    bool is_waiting = poll(&poll_, 1, 0) != 0;
    bool is_serving = false;
    uint64_t beats = 0;
    for (unsigned i = 0; i < loop->count; i++) {
        uint64_t beat = atomic_load(&loop->workers[i].beat);
        is_serving = is_serving || beat & SERVES;
        beats += beat;
    }
    bool is_same = beats == *last;
    *last = beats;
    return is_same && !is_waiting && !is_serving;
}

static void drain(struct loop *loop)
{
    const struct timespec pause = {.tv_nsec = DRAIN_LOOK_NS};
    const int64_t end_ns = stats_now_ns() + (int64_t)DRAIN_MAX_MS * 1000000;
    uint64_t last = 0;
    unsigned quiet = 0;
    while (quiet < DRAIN_LOOKS && !fuse_session_exited(loop->session) && stats_now_ns() < end_ns) {
        nanosleep(&pause, NULL);
        quiet = is_quiet(loop, &last) ? quiet + 1 : 0;
    }
    fuse_session_exit(loop->session);
}

static void serve_all(struct loop *loop)
{
    pthread_t deputy;
    sigset_t before;
    signals_block(&before);
    unsigned started = workers_start(loop);
    bool has_deputy =
        started > 1 && !loop->all_read && pthread_create(&deputy, NULL, depute, loop) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started == 0)
        atomic_store(&loop->failure, -EAGAIN);
    while (started > 0 && !fuse_session_exited(loop->session)) {
        sem_wait(&loop->end);
        if (atomic_load(&is_finishing))
            drain(loop);
    }
    if (has_deputy) {
        pthread_cancel(deputy);
        pthread_join(deputy, NULL);
    }
    workers_end(loop, started);
}

/* One for two CPUs that we may run on. */
static unsigned readers_max(void)
{
    cpu_set_t cpus;
    int count = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
    return count < 4 ? 1 : (unsigned)count / 2;
}

int loop_run(struct frontend *frontend, bool all_read)
{
    struct loop loop = {.session = frontend->session,
                        .count = frontend->options.threads,
                        .all_read = all_read,
                        .lock = PTHREAD_MUTEX_INITIALIZER,
                        .readers = 1,
                        .readers_max = readers_max(),
                        .is_deputy_asleep = false};
    loop.workers = aligned_alloc(_Alignof(struct worker), loop.count * sizeof *loop.workers);
    if (!loop.workers)
        return -ENOMEM;
    for (unsigned i = 0; i < loop.count; i++)
        loop.workers[i] = (struct worker){.beat = 0};
    sem_init(&loop.deputy_call, 0, 0);
    sem_init(&loop.end, 0, 0);
    atomic_store(&end_running, &loop.end);
    if (atomic_load(&is_finishing)) /* told before */
        sem_post(&loop.end);
    serve_all(&loop);
    atomic_store(&end_running, NULL);
    sem_destroy(&loop.end);
    sem_destroy(&loop.deputy_call);
    pthread_mutex_destroy(&loop.lock);
    free(loop.workers);
    return atomic_load(&loop.failure);
}

static void wake_up(void)
{
    sem_t *end = atomic_load(&end_running);
    if (end)
        sem_post(end);
}

void loop_stop(struct frontend *frontend)
{
    fuse_session_exit(frontend->session);
    wake_up();
}

void loop_finish(void)
{
    atomic_store(&is_finishing, true);
    wake_up();
}
