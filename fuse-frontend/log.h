/* log.h -- where messages go: standard error while somebody waits, the system's log afterwards */
#ifndef VMFS_FUSE_LOG_H
#define VMFS_FUSE_LOG_H

/* For vmfs_options: keeps what the library says about opening, tells damage later on. */
void log_library(void *arg, int level, int reason, const char *file, int line, const char *text);

/* The region is open. */
void log_opened(void);

/* Something failed, with a negative errno value, and what the library said about it. */
void log_failure(const char *what, int err);

/* Connects to the system's log, while that can still be done. */
void log_open(void);

/* From now on standard error is nobody's. */
void log_to_system(void);

#endif
