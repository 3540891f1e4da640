/* progress.c -- a line on the terminal while a long copy runs
 *
 * Nothing is printed unless standard error is a terminal and the work has taken a second. */
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS  INT64_C(1000000000)
#define REPAINT_NS (SECOND_NS / 5)

static int64_t clock_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec;
}

static void bytes_print(double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;

    while (bytes >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        bytes /= 1024;
        unit++;
    }
    fprintf(stderr, "%.*f %s", unit > 0 ? 1 : 0, bytes, units[unit]);
}

static void progress_paint(struct progress *progress, int64_t now_ns)
{
    double elapsed_s = (double)(now_ns - progress->start_ns) / (double)SECOND_NS;

    fprintf(stderr, "\r\033[K%s: %" PRIu64 " files, ", progress->label, progress->files);
    bytes_print((double)progress->bytes);
    fprintf(stderr, ", ");
    bytes_print((double)progress->bytes / elapsed_s);
    fprintf(stderr, "/s, %.0f files/s", (double)progress->files / elapsed_s);
    fflush(stderr);
    progress->shown_ns = now_ns;
    progress->is_shown = true;
}

void progress_start(struct progress *progress, const char *label)
{
    *progress = (struct progress){.label = label, .is_terminal = isatty(STDERR_FILENO) == 1};
    progress->start_ns = clock_now_ns();
}

void progress_add(struct progress *progress, uint64_t files, uint64_t bytes)
{
    int64_t now_ns;

    progress->files += files;
    progress->bytes += bytes;
    if (!progress->is_terminal)
        return;
    now_ns = clock_now_ns();
    if (now_ns - progress->start_ns >= SECOND_NS && now_ns - progress->shown_ns >= REPAINT_NS)
        progress_paint(progress, now_ns);
}

void progress_clear(struct progress *progress)
{
    if (progress->is_shown)
        fprintf(stderr, "\r\033[K");
    progress->is_shown = false;
}
