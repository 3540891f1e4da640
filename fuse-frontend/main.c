/* main.c -- vmfs-fuse: opens a region, mounts it, serves, and closes it again
 *
 * The order of things: the mountpoint is cleared and the command goes to the background; there the
 * helper is forked, the region opened and recovered, the mount made, rights given up; only then is the
 * one who waits in the foreground told. Whatever fails before that is said on standard error. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "convert.h"
#include "files.h"
#include "frontend.h"
#include "helper.h"
#include "log.h"
#include "loop.h"
#include "mounts.h"
#include "ops.h"
#include "sandbox.h"
#include "stats.h"
#include "transport.h"

static struct frontend frontend;
static volatile sig_atomic_t signals_seen;
static volatile sig_atomic_t is_forced;

/* The first signal asks the helper to unmount, while requests are still answered. The second one, or the
 * helper once the mount is detached, ends serving: at once, or when what the kernel held back is written. */
static void on_signal(int number)
{
    int failure = errno;
    if (number == HELPER_DETACHED_SIGNAL) {
        loop_finish();
    } else if (signals_seen++ > 0 || !helper_unmount()) {
        is_forced = 1;
        loop_stop(&frontend);
    }
    errno = failure;
}

static void signals_set(void (*handler)(int))
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, HELPER_DETACHED_SIGNAL};
    struct sigaction action = {.sa_handler = handler};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        sigaction(ends[i], &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* A guard needs a regular file. */
static uint32_t open_flags(const struct options *options)
{
    struct stat stat_;
    bool is_there = stat(options->region, &stat_) == 0;
    bool is_made = !is_there && options->create_bytes && !options->is_read_only;
    return (options->is_read_only ? VMFS_RDONLY : VMFS_SERVED) | (is_made ? VMFS_CREATE : 0) |
           (options->leaves_atime ? VMFS_NOATIME : 0) |
           (is_made || (is_there && S_ISREG(stat_.st_mode)) ? VMFS_GUARD : 0);
}

#define PLACES_MAX 8

/* What -o offset=auto means here. A region that is about to be made begins at 0. */
static bool offset_find(struct options *options)
{
    struct vmfs_region_place places[PLACES_MAX];
    int count = vmfs_region_find(options->region, places, PLACES_MAX);
    if (count == 0 || count == 1)
        options->offset_bytes = places[0].offset_bytes;
    if (count == 0 || count == 1 || count == -ENOENT)
        return true;
    if (count < 0)
        log_failure(options->region, count);
    for (int i = 0; i < count && i < PLACES_MAX; i++)
        fprintf(stderr, "vmfs-fuse: %s: one of %d regions is at -o offset=%llu\n", options->region,
                count, (unsigned long long)places[i].offset_bytes);
    return false;
}

static bool region_open(void)
{
    struct options *options = &frontend.options;
    if (options->is_offset_auto && !offset_find(options))
        return false;
    struct vmfs_options opening = VMFS_OPTIONS_INIT;
    opening.flags = open_flags(options);
    opening.durability = options->durability;
    opening.offset_bytes = options->offset_bytes;
    opening.length_bytes = options->length_bytes;
    opening.region_bytes = opening.flags & VMFS_CREATE ? options->create_bytes : 0;
    opening.wait_ms = options->wait_ms;
    opening.log = log_library;
    int err = vmfs_open(options->region, &opening, &frontend.fs);
    if (err) {
        log_failure(options->region, err);
        return false;
    }
    log_opened();
    frontend.is_power = vmfs_durability(frontend.fs) == VMFS_DURABILITY_POWER;
    return true;
}

/* What the mount is told. */
static char *mount_words(void)
{
    const struct options *options = &frontend.options;
    char *words = NULL;
    char *source = NULL;
    bool is_good =
        asprintf(&source, "fsname=%s", options->region) > 0 &&
        fuse_opt_add_opt(&words, "subtype=vmfs") == 0 &&
        (options->is_unchecked || fuse_opt_add_opt(&words, "default_permissions") == 0) &&
        fuse_opt_add_opt_escaped(&words, source) == 0 &&
        (!options->kernel || fuse_opt_add_opt(&words, options->kernel) == 0);
    free(source);
    if (is_good)
        return words;
    free(words);
    return NULL;
}

/* libfuse says itself what it does not like. */
static bool session_begin(void)
{
    struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
    char *words = mount_words();
    if (words && fuse_opt_add_arg(&args, "vmfs-fuse") == 0 && fuse_opt_add_arg(&args, "-o") == 0 &&
        fuse_opt_add_arg(&args, words) == 0 &&
        (!frontend.options.is_debug || fuse_opt_add_arg(&args, "-d") == 0))
        frontend.session = fuse_session_new(&args, &operations, sizeof operations, &frontend);
    bool is_good =
        frontend.session && fuse_session_mount(frontend.session, frontend.options.mountpoint) == 0;
    fuse_opt_free_args(&args);
    free(words);
    return is_good;
}

static bool region_mount(void)
{
    const char *mountpoint = frontend.options.mountpoint;
    struct mount mount;
    if (!session_begin())
        return false;
    frontend.begin_ns = stats_now_ns();
    if (mount_find(mountpoint, &mount)) {
        mount_readahead(&mount, MAX_IO_BYTES / 1024);
        helper_mounted(mount.device);
    }
    signals_set(on_signal);
    if (transport_attach(&frontend) && (!frontend.options.has_sandbox || sandbox_enter()))
        return true;
    log_failure(mountpoint, -errno);
    helper_unmount();
    return false;
}

/* Where a fence is an msync that all who wait share. */
static bool has_rounds(void)
{
    struct vmfs_info info = {.struct_bytes = sizeof info};
    return vmfs_info(frontend.fs, &info) == 0 && strcmp(info.backend, "sync") == 0;
}

/* The session ends first: who still has files open gets an error from then on, and does not wait. It is nothing
 * for a signal any more, of which the helper sends one when it has unmounted what is in use. */
static int finish(int served)
{
    int err = 0;
    signals_set(SIG_IGN);
    if (frontend.fs)
        vmfs_closing(frontend.fs);
    if (frontend.session)
        fuse_session_destroy(frontend.session);
    if (is_forced || served < 0)
        helper_unmount();
    files_close_all();
    if (frontend.fs)
        err = vmfs_close(frontend.fs);
    if (err)
        log_failure(frontend.options.region, err);
    helper_end();
    options_free(&frontend.options);
    return err || served < 0 ? STATUS_FAILED : STATUS_OK;
}

/* Lets the one in the foreground go, and standard streams with it. The sandbox lets nothing be opened. */
static void background_tell(int fd, int null_fd)
{
    const char status = STATUS_OK;
    log_to_system();
    for (int i = 0; i <= STDERR_FILENO; i++)
        dup2(null_fd, i);
    close(null_fd);
    (void)!write(fd, &status, 1);
    close(fd);
}

static int run(int tell_fd)
{
    if (!helper_start(&frontend.options)) {
        log_failure("fork", -errno);
        return STATUS_FAILED;
    }
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    log_open();
    if (!region_open() || !region_mount()) {
        finish(0);
        return STATUS_FAILED;
    }
    if (tell_fd >= 0)
        background_tell(tell_fd, null_fd);
    return finish(loop_run(&frontend, has_rounds()));
}

/* Waits in the foreground until the child serves, or has failed. */
static int wait_for(pid_t child, int fd)
{
    char status;
    int ended = 0;
    ssize_t got;
    do
        got = read(fd, &status, 1);
    while (got < 0 && errno == EINTR);
    if (got == 1)
        return STATUS_OK;
    while (waitpid(child, &ended, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(ended))
        return WEXITSTATUS(ended) ? WEXITSTATUS(ended) : STATUS_FAILED;
    fprintf(stderr, "vmfs-fuse: ended by signal %d\n", WTERMSIG(ended));
    return STATUS_FAILED;
}

static int background(void)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        log_failure("pipe", -errno);
        return STATUS_FAILED;
    }
    pid_t child = fork();
    if (child < 0) {
        log_failure("fork", -errno);
        return STATUS_FAILED;
    }
    if (child > 0) {
        close(ends[1]);
        return wait_for(child, ends[0]);
    }
    close(ends[0]);
    setsid();
    (void)!chdir("/");
    return run(ends[1]);
}

/* Whoever started us without standard streams must not find the region among them. */
static void streams_open(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

int main(int argc, char **argv)
{
    int status;
    streams_open();
    umask(077);
    if (!options_parse(&frontend.options, argc, argv, &status))
        return status;
    if (!mountpoint_prepare(frontend.options.mountpoint))
        return STATUS_FAILED;
    return frontend.options.is_foreground ? run(-1) : background();
}
