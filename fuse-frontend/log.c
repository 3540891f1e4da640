/* log.c -- messages */
#include "log.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <vmfs.h>

static bool is_system;
static char last[256];

/* It may be called by several threads at once, but only one opens the region. */
void log_library(void *arg, int level, int reason, const char *file, int line, const char *text)
{
    (void)arg;
    (void)file;
    (void)line;
    if (level == VMFS_LOG_ERROR && is_system)
        syslog(LOG_ERR, "%s", text);
    else if (!is_system && reason != 0 && reason != VMFS_R_SYSTEM && level != VMFS_LOG_DEBUG)
        snprintf(last, sizeof last, "%s", text);
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

void log_to_system(void)
{
    openlog("vmfs-fuse", LOG_PID | LOG_NDELAY, LOG_DAEMON);
    is_system = true;
}
