/* log.c -- messages */
#include "log.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <vmfs.h>

static bool is_open;
static bool is_system;
static char last[256];

/* While it opens, one thread calls, and each failure is about opening: what the library says is finer than an
 * errno value. Later on only damage is worth a word. */
void log_library(void *arg, int level, int reason, const char *file, int line, const char *text)
{
    (void)arg;
    (void)file;
    (void)line;
    if (!is_open && reason != 0 && reason != VMFS_R_SYSTEM)
        snprintf(last, sizeof last, "%s", text);
    else if (is_open && level == VMFS_LOG_ERROR && is_system)
        syslog(LOG_ERR, "%s", text);
    else if (is_open && level == VMFS_LOG_ERROR)
        fprintf(stderr, "vmfs-fuse: %s\n", text);
}

void log_opened(void)
{
    is_open = true;
    last[0] = '\0';
}

void log_failure(const char *what, int err)
{
    const char *text = strerror(-err);
    if (is_system)
        syslog(LOG_ERR, "%s: %s", what, text);
    else if (last[0])
        fprintf(stderr, "vmfs-fuse: %s: %s (%s)\n", what, text, last);
    else
        fprintf(stderr, "vmfs-fuse: %s: %s\n", what, text);
    last[0] = '\0';
}

void log_open(void)
{
    openlog("vmfs-fuse", LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void log_to_system(void)
{
    is_system = true;
}
