/* agent.c -- the callers: one process each, which runs deeds with its own credentials */
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conform.h"

struct identity {
    const char *name;
    uint32_t uid;
    uint32_t gid;
    uint32_t groups[2];
    unsigned group_count;
};

static const struct identity identities[CALLER_COUNT] = {
    [ROOT] = {"root", 0, 0, {0, 0}, 0},
    [OWNER] = {"owner", OWNER_UID, GROUP_GID, {OWNER2_GID, 0}, 1},
    [GROUP] = {"group", 61002, GROUP_GID, {0, 0}, 0},
    [SUPP] = {"supp", 61003, 62003, {62010, GROUP_GID}, 2},
    [OTHER] = {"other", OTHER_UID, OTHER_GID, {0, 0}, 0},
};

#define GO 1

struct agent {
    pid_t pid;
    int order;
    int answer;
};

static struct agent agents[CALLER_COUNT];
static struct deed *deed;
static long more;
static bool is_bad_path;

const char *caller_name(enum caller who)
{
    return identities[who].name;
}

uint32_t caller_uid(enum caller who)
{
    return identities[who].uid;
}

uint32_t caller_gid(enum caller who)
{
    return identities[who].gid;
}

bool caller_in_group(enum caller who, uint32_t gid)
{
    const struct identity *identity = &identities[who];
    bool is_in = identity->gid == gid;
    for (unsigned i = 0; i < identity->group_count; i++)
        is_in = is_in || identity->groups[i] == gid;
    return is_in;
}

long sys(long result)
{
    return result < 0 ? -errno : result;
}

void become(enum caller who)
{
    const struct identity *identity = &identities[who];
    gid_t groups[2] = {identity->groups[0], identity->groups[1]};
    if (who == ROOT)
        return;
    if (setgroups(identity->group_count, groups) ||
        setresgid(identity->gid, identity->gid, identity->gid) ||
        setresuid(identity->uid, identity->uid, identity->uid))
        _exit(99);
}

static void serve(enum caller who, int order, int answer)
{
    char byte;
    become(who);
    while (read(order, &byte, 1) == 1 && byte == GO) {
        deed->result = deed->run(deed);
        if (write(answer, &byte, 1) != 1)
            break;
    }
    _exit(0);
}

static void start(enum caller who)
{
    int order[2];
    int answer[2];
    if (pipe(order) || pipe(answer)) {
        perror("conform: pipe");
        exit(2);
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(order[1]);
        close(answer[0]);
        serve(who, order[0], answer[1]);
    }
    close(order[0]);
    close(answer[1]);
    agents[who] = (struct agent){pid, order[1], answer[0]};
}

void agents_start(void)
{
    deed = mmap(NULL, sizeof(*deed), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (deed == MAP_FAILED) {
        perror("conform: mmap");
        exit(2);
    }
    signal(SIGPIPE, SIG_IGN);
    for (enum caller who = OWNER; who < CALLER_COUNT; who++)
        start(who);
}

void agents_stop(void)
{
    const char byte = 0;
    for (enum caller who = OWNER; who < CALLER_COUNT; who++) {
        if (write(agents[who].order, &byte, 1) == 1)
            waitpid(agents[who].pid, NULL, 0);
        close(agents[who].order);
        close(agents[who].answer);
    }
}

static const char *hand_over(char *room, const char *path)
{
    if (path == NULL)
        return NULL;
    snprintf(room, DEED_PATH_BYTES, "%s", path);
    return room;
}

void agent_more(long z)
{
    more = z;
}

void agent_bad_path(void)
{
    is_bad_path = true;
}

const char *agent_out(void)
{
    return deed->out;
}

long as(enum caller who, long (*run)(struct deed *), const char *a, const char *b, long x, long y)
{
    char byte = GO;
    deed->run = run;
    deed->a = is_bad_path ? (const char *)1 : hand_over(deed->room[0], a);
    deed->b = hand_over(deed->room[1], b);
    deed->x = x;
    deed->y = y;
    deed->z = more;
    deed->result = -EIDRM;
    more = 0;
    is_bad_path = false;
    if (who == ROOT)
        return deed->result = run(deed);
    if (write(agents[who].order, &byte, 1) != 1 || read(agents[who].answer, &byte, 1) != 1) {
        fprintf(stderr, "conform: the process of %s is gone\n", caller_name(who));
        exit(2);
    }
    return deed->result;
}

int in_child(enum caller who, int (*run)(void *), void *context)
{
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        become(who);
        _exit(run(context));
    }
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}
