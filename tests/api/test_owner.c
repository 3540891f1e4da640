/* test_owner.c -- opening a region that somebody has: who is waited for, and how long
 *
 * The owner is another process, which tells through a pipe that it has the region and then does what the test is
 * about. Times are bounds of what must be waited at least before giving up, and of what a wait may take on a machine that
 * has other work. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "api/handle.h"
#include "fixture.h"
#include <criterion/parameterized.h>

#define BYTES   (4 * REGION_MIB)
#define SLACK   3000u /* milliseconds that a busy machine may add */
#define FOREVER 60000u

static char path[REGION_PATH_MAX];
static pid_t owner;
static int pipes[2]; /* what the owner tells */

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void pause_ms(uint32_t time_ms)
{
    const struct timespec time = {time_ms / 1000, (long)(time_ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

static void set_up(void)
{
    struct fixture fixture;
    fixture_open(&fixture, "owner", BYTES);
    memcpy(path, fixture.path, sizeof(path));
    expect_ok(vmfs_close(fixture.fs));
    owner = 0;
}

static void end_owner(void)
{
    if (owner == 0)
        return;
    kill(owner, SIGKILL);
    waitpid(owner, NULL, 0);
    close(pipes[0]);
    owner = 0;
}

static void tear_down(void)
{
    end_owner();
    unlink(path);
}

TestSuite(owner, .init = set_up, .fini = tear_down);

/* What an owner does: open, wait, say that it closes, wait, close. */
struct deed {
    uint32_t flags;
    uint32_t until_closing_ms;
    uint32_t until_close_ms;
    bool says_nothing; /* vmfs_closing() is not called */
};

static void be_owner(const struct deed *deed, int told)
{
    struct vmfs *fs;
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    options.flags = deed->flags;
    if (vmfs_open(path, &options, &fs) != 0 || write(told, "x", 1) != 1)
        _exit(1);
    pause_ms(deed->until_closing_ms);
    if (!deed->says_nothing && (vmfs_closing(fs) != 0 || write(told, "x", 1) != 1))
        _exit(2);
    pause_ms(deed->until_close_ms);
    _exit(vmfs_close(fs) == 0 ? 0 : 3);
}

/* Begins an owner, and returns once it has the region and has said that it closes if it does so at once. */
static void begin_owner(const struct deed *deed)
{
    char told;
    cr_assert(pipe(pipes) == 0);
    owner = fork();
    if (owner == 0)
        be_owner(deed, pipes[1]);
    close(pipes[1]);
    cr_assert(read(pipes[0], &told, 1) == 1, "the owner could not open");
    if (deed->until_closing_ms == 0 && !deed->says_nothing)
        cr_assert(read(pipes[0], &told, 1) == 1, "the owner could not say that it closes");
}

static int open_as(uint32_t flags, uint32_t wait_ms, uint64_t *took_ms, struct region_log *log)
{
    struct vmfs *fs;
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    uint64_t began_ms = now_ms();
    options.flags = flags;
    options.wait_ms = wait_ms;
    if (log) {
        options.log = region_log_keep;
        options.log_arg = log;
    }
    int result = vmfs_open(path, &options, &fs);
    *took_ms = now_ms() - began_ms;
    if (result == 0)
        expect_ok(vmfs_close(fs));
    return result;
}

struct meeting {
    struct deed deed;
    uint32_t flags;
    uint32_t wait_ms;
    int code;
    uint32_t least_ms;
    uint32_t most_ms; /* and SLACK */
};

static struct meeting meetings[] = {
    /* Whoever just has it is not waited for, by a writer or a reader. */
    {{0, FOREVER, 0, true}, 0, 0, -EBUSY, 0, 0},
    {{0, FOREVER, 0, true}, VMFS_RDONLY, 0, -EBUSY, 0, 0},
    {{0, FOREVER, 0, true}, VMFS_REPAIR, 0, -EBUSY, 0, 0},
    /* Who closes is, as long as it takes, but no longer than is wanted. */
    {{0, 0, 700, false}, 0, 0, 0, 0, 700},
    {{0, 0, 700, false}, VMFS_RDONLY, 0, 0, 0, 700},
    {{0, 0, 700, false}, VMFS_CREATE | VMFS_FORCE, 0, 0, 0, 700},
    {{0, 0, FOREVER, false}, 0, 400, -EBUSY, 400, 400},
    {{0, 0, FOREVER, false}, 0, VMFS_NO_WAIT, -EBUSY, 0, 0},
    {{0, 0, 1600, false}, 0, 5000, 0, 0, 1600},
    /* A mount gets a second to notice that it was told to end. */
    {{VMFS_SERVED, FOREVER, 0, true}, 0, 0, -EBUSY, 1000, 1000},
    {{VMFS_SERVED, FOREVER, 0, true}, 0, 300, -EBUSY, 300, 300},
    {{VMFS_SERVED, FOREVER, 0, true}, 0, VMFS_NO_WAIT, -EBUSY, 0, 0},
    {{VMFS_SERVED, 200, 1500, false}, 0, 0, 0, 0, 1700},
    {{VMFS_SERVED, 200, FOREVER, false}, 0, 1500, -EBUSY, 1500, 1500},
    {{VMFS_SERVED, 200, 0, true}, 0, 0, 0, 0, 200},
};

ParameterizedTestParameters(owner, meeting)
{
    return cr_make_param_array(struct meeting, meetings, sizeof(meetings) / sizeof(meetings[0]));
}

ParameterizedTest(struct meeting *param, owner, meeting)
{
    struct region_log log = {.reason = 0};
    char pid_text[32];
    uint64_t took_ms;
    begin_owner(&param->deed);
    expect_code(open_as(param->flags, param->wait_ms, &took_ms, &log), param->code);
    cr_expect(took_ms + 20 >= param->least_ms, "after %u ms already", (unsigned)took_ms);
    cr_expect(took_ms <= param->most_ms + SLACK, "after %u ms only", (unsigned)took_ms);
    snprintf(pid_text, sizeof(pid_text), "process %d", (int)owner);
    cr_expect(param->code == 0 || strstr(log.text, pid_text) != NULL, "the log says %s", log.text);
    cr_expect(param->code == 0 || log.reason == VMFS_R_BUSY);
}

/* Killed while somebody waits, whatever it had said: its lock is gone, and its line means nothing. */
Test(owner, killed_while_waited_for)
{
    static const struct deed deeds[] = {{VMFS_SERVED, FOREVER, 0, true}, {0, 0, FOREVER, false}};
    for (unsigned i = 0; i < 2; i++) {
        uint64_t took_ms;
        begin_owner(&deeds[i]);
        pid_t killer = fork();
        if (killer == 0) {
            pause_ms(200);
            kill(owner, SIGKILL);
            _exit(0);
        }
        expect_ok(open_as(0, 0, &took_ms, NULL));
        waitpid(killer, NULL, 0);
        end_owner();
        expect_ok(open_as(0, VMFS_NO_WAIT, &took_ms, NULL));
    }
}

/* What a killed owner has left in its line is not held against the next one. */
Test(owner, nothing_is_stale)
{
    uint64_t took_ms;
    begin_owner(&(struct deed){VMFS_SERVED, 0, FOREVER, false});
    end_owner();
    begin_owner(&(struct deed){0, FOREVER, 0, true});
    expect_code(open_as(0, 0, &took_ms, NULL), -EBUSY);
    cr_expect(took_ms <= SLACK);
}

Test(owner, readers_are_not_waited_for)
{
    uint64_t took_ms;
    begin_owner(&(struct deed){VMFS_SERVED, 0, FOREVER, false});
    end_owner();
    begin_owner(&(struct deed){VMFS_RDONLY, FOREVER, 0, true});
    expect_ok(open_as(VMFS_RDONLY, 0, &took_ms, NULL));
    expect_code(open_as(0, 0, &took_ms, NULL), -EBUSY);
    cr_expect(took_ms <= SLACK);
}

static void expect_owner(uint64_t pid, uint32_t state)
{
    struct vmfs *fs;
    struct vmfs_info info = {.struct_bytes = sizeof(info)};
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    options.flags = VMFS_RDONLY | VMFS_PEEK;
    uint64_t began_ms = now_ms();
    expect_ok(vmfs_open(path, &options, &fs));
    cr_expect(now_ms() - began_ms <= SLACK);
    expect_ok(vmfs_info(fs, &info));
    cr_expect_eq(info.owner_pid, pid);
    cr_expect(pid == 0 || info.owner_state == state, "state %u, not %u", info.owner_state, state);
    expect_ok(vmfs_close(fs));
}

Test(owner, peeking_tells)
{
    expect_owner(0, 0);
    begin_owner(&(struct deed){0, FOREVER, 0, true});
    expect_owner((uint64_t)owner, VMFS_OWNER_HELD);
    end_owner();
    expect_owner(0, 0);
    begin_owner(&(struct deed){VMFS_SERVED, FOREVER, 0, true});
    expect_owner((uint64_t)owner, VMFS_OWNER_SERVED);
    end_owner();
    begin_owner(&(struct deed){VMFS_SERVED, 0, FOREVER, false});
    expect_owner((uint64_t)owner, VMFS_OWNER_CLOSING);
}

Test(owner, of_an_own_handle)
{
    struct vmfs *fs;
    struct vmfs_info info = {.struct_bytes = sizeof(info)};
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    options.flags = VMFS_SERVED;
    expect_ok(vmfs_open(path, &options, &fs));
    expect_ok(vmfs_info(fs, &info));
    cr_expect(info.owner_pid == (uint64_t)getpid() && info.owner_state == VMFS_OWNER_SERVED);
    expect_ok(vmfs_closing(fs));
    expect_ok(vmfs_closing(fs));
    expect_ok(vmfs_info(fs, &info));
    cr_expect(info.owner_state == VMFS_OWNER_CLOSING);
    expect_ok(vmfs_mkdir(fs, "/still-there", 0755));
    expect_ok(vmfs_close(fs));
    options.flags = VMFS_SERVED | VMFS_RDONLY;
    expect_code(vmfs_open(path, &options, &fs), -EINVAL);
    options.flags = VMFS_RDONLY;
    expect_ok(vmfs_open(path, &options, &fs));
    expect_ok(vmfs_closing(fs));
    expect_ok(vmfs_info(fs, &info));
    cr_expect(info.owner_pid == 0);
    expect_ok(vmfs_close(fs));
}

/* What the line says at each fence of a close. */
static const uint8_t *line_at;
static struct vm_persist_ops watched;
static unsigned fences;
static unsigned fences_closing;

static int fence_watched(void *arg)
{
    const struct vm_owner_media *line = (const void *)line_at;
    fences++;
    fences_closing += vm_get32(line->state) == VM_OWNER_CLOSING;
    return vm_persist_none()->fence(arg);
}

Test(owner, closing_says_so_before_it_begins)
{
    struct vmfs *fs;
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    options.durability = VMFS_DURABILITY_PROCESS;
    expect_ok(vmfs_open(path, &options, &fs));
    expect_ok(vmfs_mkdir(fs, "/made", 0755));
    line_at = fs->map + VM_OWNER_BLOCK * (uint64_t)VM_BLOCK_BYTES;
    watched = *vm_persist_none();
    watched.fence = fence_watched;
    fs->ops = &watched;
    expect_ok(vmfs_close(fs));
    cr_expect(fences > 0 && fences_closing == fences, "%u of %u", fences_closing, fences);
}

/* Memory has no lock: the line is all there is. */
Test(owner, of_memory)
{
    struct vmfs *first;
    struct vmfs *second;
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    uint8_t *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert(memory != MAP_FAILED);
    options.flags = VMFS_CREATE | VMFS_ZEROED | VMFS_SERVED;
    expect_ok(vmfs_attach(memory, BYTES, &options, &first));
    options.flags = 0;
    options.wait_ms = 300;
    uint64_t began_ms = now_ms();
    expect_code(vmfs_attach(memory, BYTES, &options, &second), -EBUSY);
    cr_expect(now_ms() - began_ms >= 280);
    expect_ok(vmfs_closing(first));
    began_ms = now_ms();
    expect_code(vmfs_attach(memory, BYTES, &options, &second), -EBUSY);
    cr_expect(now_ms() - began_ms >= 280);
    expect_ok(vmfs_close(first));
    expect_ok(vmfs_attach(memory, BYTES, &options, &second));
    began_ms = now_ms();
    expect_code(vmfs_attach(memory, BYTES, &options, &first), -EBUSY);
    cr_expect(now_ms() - began_ms <= SLACK);
    expect_ok(vmfs_close(second));
    munmap(memory, BYTES);
}
