/* options.c -- the command line of vmfs-fuse: letters, words behind -o, and the help */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vmfs.h>

#define THREADS_MAX 64
#define WAIT_S_MAX  86400

static const char help[] =
    "Usage: vmfs-fuse REGION MOUNTPOINT [-o OPTION,...]\n"
    "       mount -t fuse.vmfs REGION MOUNTPOINT [-o OPTION,...]\n"
    "\n"
    "Mounts the region of memory REGION (a DAX device, a file on DAX or tmpfs, any plain\n"
    "file), so that every program can use the files in it. Returns once it is mounted, or\n"
    "says why not. 'fusermount3 -u MOUNTPOINT', or umount, or SIGTERM ends it. A mountpoint\n"
    "whose vmfs-fuse was killed is cleared, the region recovered, and served again.\n"
    "\n"
    "  -f, --foreground   stay in the foreground\n"
    "  -d, --debug        the same, and print every request\n"
    "  -V, --version      print the version\n"
    "  -h, --help         print this text\n"
    "\n"
    "The region:\n"
    "  -o size=BYTES      create REGION with this size (K, M, G, T) if it does not exist\n"
    "  -o durability=WHAT what a finished change survives: 'power', 'process' (the death of\n"
    "                     vmfs-fuse; fsync and sync reach the medium), or 'auto', the default:\n"
    "                     power where the region is persistent memory, else process\n"
    "  -o offset=BYTES    where the region starts inside REGION; 'auto' finds it, also behind\n"
    "                     what a guest's Linux keeps at the head of its NVDIMM\n"
    "  -o length=BYTES    how much of REGION it may use\n"
    "  -o wait=SECONDS    how long to wait for another mount of it that is about to end;\n"
    "                     default 10\n"
    "\n"
    "The mount:\n"
    "  -o ro              change nothing\n"
    "  -o allow_other     let other users in, as far as modes and ACLs let them; needs root or\n"
    "                     user_allow_other in /etc/fuse.conf\n"
    "  -o suid, dev       honour set-id bits and device nodes; both are off otherwise\n"
    "  -o noexec, sync, dirsync   as mount(8) says\n"
    "  -o noatime         reading leaves access times; the default, relatime, updates one that\n"
    "                     is not newer than the last change or a day old\n"
    "  -o writeback       let the kernel collect writes. Faster for small ones, but a write has\n"
    "                     then only reached the kernel when it returns: what was not synced is\n"
    "                     LOST with the power, or with vmfs-fuse\n"
    "  -o auto_unmount    unmount also when vmfs-fuse was killed; otherwise whoever uses the\n"
    "                     mountpoint gets an error until vmfs-fuse is started on it again\n"
    "  -o threads=N       how many requests are served at once; default twice the\n"
    "                     CPUs, at most 8\n"
    "  -o nosandbox       do without the system call filter, for debugging\n"
    "  -o unchecked       check no permissions, for a mount that only root uses: anybody else\n"
    "                     is refused, and root may do everything, also without the capabilities\n"
    "                     that this takes elsewhere. Spares a request at each change of a\n"
    "                     directory. Not for an NFS export, and not with allow_other\n"
    "Else the kernel checks permissions. What fstab may hold besides (defaults,\n"
    "_netdev, nofail, noauto, user, x-..., ...) says nothing to vmfs-fuse.\n"
    "\n"
    "A line of /etc/fstab:\n"
    "  /dev/pmem0  /srv  fuse.vmfs  allow_other,nofail  0 0\n"
    "\n"
    "Exit status: 0 mounted (with -f: ended well), 1 it failed, 2 the command line is wrong.\n";

/* What a word behind -o does. */
enum word_kind {
    WORD_IGNORE,  /* said to somebody else */
    WORD_KERNEL,  /* said to mount(2) */
    WORD_FLAG,    /* sets the bool at `at` to `value` */
    WORD_BYTES,   /* sets the uint64_t at `at` */
    WORD_OFFSET,  /* the same, or "auto" */
    WORD_LEVEL,   /* durability */
    WORD_THREADS, /* a number of them */
    WORD_WAIT,    /* seconds */
    WORD_REFUSE,  /* cannot be had: `why` */
};

struct word {
    const char *name; /* ends in '=' where a value follows, in '*' where anything does */
    enum word_kind kind;
    size_t at;
    bool value;
    const char *why;
};

#define FLAG(name, field, value)                                                                   \
    {                                                                                              \
        name, WORD_FLAG, offsetof(struct options, field), value, NULL                              \
    }
#define KIND(name, kind)                                                                           \
    {                                                                                              \
        name, kind, 0, false, NULL                                                                 \
    }
#define BYTES(name, field)                                                                         \
    {                                                                                              \
        name, WORD_BYTES, offsetof(struct options, field), false, NULL                             \
    }
#define REFUSE(name, why)                                                                          \
    {                                                                                              \
        name, WORD_REFUSE, 0, false, why                                                           \
    }

static const struct word words[] = {
    FLAG("rw", is_read_only, false),
    FLAG("noatime", leaves_atime, true),
    FLAG("relatime", leaves_atime, false),
    FLAG("atime", leaves_atime, false),
    FLAG("writeback", has_writeback, true),
    FLAG("nowriteback", has_writeback, false),
    FLAG("auto_unmount", is_auto_unmounted, true),
    FLAG("sandbox", has_sandbox, true),
    FLAG("nosandbox", has_sandbox, false),
    FLAG("debug", is_debug, true),
    FLAG("unchecked", is_unchecked, true),
    FLAG("default_permissions", is_unchecked, false), /* the default */
    BYTES("size=", create_bytes),
    KIND("offset=", WORD_OFFSET),
    BYTES("length=", length_bytes),
    KIND("durability=", WORD_LEVEL),
    KIND("threads=", WORD_THREADS),
    KIND("wait=", WORD_WAIT),
    KIND("ro", WORD_KERNEL),
    KIND("allow_other", WORD_KERNEL),
    KIND("suid", WORD_KERNEL),
    KIND("nosuid", WORD_KERNEL),
    KIND("dev", WORD_KERNEL),
    KIND("nodev", WORD_KERNEL),
    KIND("exec", WORD_KERNEL),
    KIND("noexec", WORD_KERNEL),
    KIND("sync", WORD_KERNEL),
    KIND("async", WORD_KERNEL),
    KIND("dirsync", WORD_KERNEL),
    KIND("defaults", WORD_IGNORE),
    KIND("auto", WORD_IGNORE),
    KIND("noauto", WORD_IGNORE),
    KIND("nofail", WORD_IGNORE),
    KIND("nobootwait", WORD_IGNORE),
    KIND("_netdev", WORD_IGNORE),
    KIND("user", WORD_IGNORE),
    KIND("user=*", WORD_IGNORE),
    KIND("nouser", WORD_IGNORE),
    KIND("users", WORD_IGNORE),
    KIND("nousers", WORD_IGNORE),
    KIND("owner", WORD_IGNORE),
    KIND("noowner", WORD_IGNORE),
    KIND("group", WORD_IGNORE),
    KIND("nogroup", WORD_IGNORE),
    KIND("comment=*", WORD_IGNORE),
    KIND("x-*", WORD_IGNORE),
    KIND("X-*", WORD_IGNORE),
    KIND("diratime", WORD_IGNORE),
    KIND("nodiratime", WORD_IGNORE),
    KIND("nostrictatime", WORD_IGNORE),
    KIND("lazytime", WORD_IGNORE),
    KIND("nolazytime", WORD_IGNORE),
    KIND("iversion", WORD_IGNORE),
    KIND("noiversion", WORD_IGNORE),
    KIND("mand", WORD_IGNORE),
    KIND("nomand", WORD_IGNORE),
    KIND("silent", WORD_IGNORE),
    KIND("loud", WORD_IGNORE),
    REFUSE("strictatime", "access times are kept as with relatime"),
    REFUSE("norelatime", "access times are kept as with relatime"),
    REFUSE("remount", "unmount it, and mount it with the new options"),
    REFUSE("bind", "a bind mount is not of the type fuse.vmfs"),
};

static bool complain(const char *what, const char *why)
{
    fprintf(stderr, "vmfs-fuse: %s: %s\n", what, why);
    return false;
}

/* A number with an optional suffix. */
static bool number_parse(const char *text, uint64_t *out)
{
    static const char suffixes[] = "KMGT";
    char *end;
    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    const char *suffix = *end ? strchr(suffixes, *end) : NULL;
    unsigned shift = suffix ? 10 * (unsigned)(suffix - suffixes + 1) : 0;
    if (errno || end == text || text[0] == '-' || end[suffix ? 1 : 0] != '\0')
        return false;
    if (number > UINT64_MAX >> shift)
        return false;
    *out = number << shift;
    return true;
}

static bool level_parse(const char *text, uint32_t *out)
{
    static const char *const names[] = {
        [VMFS_DURABILITY_AUTO] = "auto",
        [VMFS_DURABILITY_POWER] = "power",
        [VMFS_DURABILITY_PROCESS] = "process",
    };
    for (uint32_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(text, names[i]) == 0) {
            *out = i;
            return true;
        }
    return false;
}

static bool kernel_add(struct options *options, const char *name)
{
    size_t len_bytes = (options->kernel ? strlen(options->kernel) : 0) + strlen(name) + 2;
    char *joined = malloc(len_bytes);
    if (!joined)
        return complain(name, "no memory");
    snprintf(joined, len_bytes, "%s%s%s", options->kernel ? options->kernel : "",
             options->kernel ? "," : "", name);
    free(options->kernel);
    options->kernel = joined;
    if (strcmp(name, "ro") == 0)
        options->is_read_only = true;
    return true;
}

static bool threads_set(struct options *options, const char *text, const char *value)
{
    uint64_t number;
    if (!number_parse(value, &number) || number < 1 || number > THREADS_MAX)
        return complain(text, "a number from 1 to 64 is needed");
    options->threads = (uint32_t)number;
    return true;
}

static bool offset_set(struct options *options, const char *text, const char *value)
{
    options->is_offset_auto = strcmp(value, "auto") == 0;
    return options->is_offset_auto || number_parse(value, &options->offset_bytes) ||
           complain(text, "a number of bytes, or auto, is needed");
}

/* Zero seconds: not at all, for which the library has a value of its own. */
static bool wait_set(struct options *options, const char *text, const char *value)
{
    uint64_t number;
    if (!number_parse(value, &number) || number > WAIT_S_MAX)
        return complain(text, "a number of seconds is needed");
    options->wait_ms = number ? (uint32_t)number * 1000 : VMFS_NO_WAIT;
    return true;
}

static bool word_apply(struct options *options, const struct word *word, const char *text)
{
    const char *value = text + strcspn(text, "=") + 1;
    char *at = (char *)options + word->at;
    switch (word->kind) {
    case WORD_IGNORE:
        return true;
    case WORD_KERNEL:
        return kernel_add(options, text);
    case WORD_FLAG:
        *(bool *)at = word->value;
        return true;
    case WORD_BYTES:
        return number_parse(value, (uint64_t *)(void *)at) ||
               complain(text, "a number of bytes is needed");
    case WORD_OFFSET:
        return offset_set(options, text, value);
    case WORD_LEVEL:
        return level_parse(value, &options->durability) ||
               complain(text, "it is auto, power or process");
    case WORD_THREADS:
        return threads_set(options, text, value);
    case WORD_WAIT:
        return wait_set(options, text, value);
    case WORD_REFUSE:
        return complain(text, word->why);
    }
    return false;
}

static bool word_matches(const struct word *word, const char *text)
{
    size_t len_bytes = strlen(word->name);
    char last = word->name[len_bytes - 1];
    if (last == '*')
        return strncmp(text, word->name, len_bytes - 1) == 0;
    return last == '=' ? strncmp(text, word->name, len_bytes) == 0 : strcmp(text, word->name) == 0;
}

static bool word_parse(struct options *options, const char *text)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (word_matches(&words[i], text))
            return word_apply(options, &words[i], text);
    return complain(text, "no such option; 'vmfs-fuse --help' lists them");
}

static bool words_parse(struct options *options, const char *text)
{
    char *copy = strdup(text);
    bool is_good = copy;
    char *rest = copy;
    for (char *word; is_good && (word = strsep(&rest, ","));)
        is_good = *word == '\0' || word_parse(options, word);
    free(copy);
    return is_good;
}

/* The folder's real path and the last component as it is. */
static char *resolve_folder(const char *path)
{
    size_t len_bytes = strlen(path);
    while (len_bytes > 1 && path[len_bytes - 1] == '/')
        len_bytes--;
    char *copy = strndup(path, len_bytes);
    char *slash = copy ? strrchr(copy, '/') : NULL;
    const char *name = slash ? slash + 1 : copy;
    char *folder = copy ? strndup(copy, slash ? (size_t)(slash - copy) + 1 : 0) : NULL;
    char *real = folder ? realpath(*folder ? folder : ".", NULL) : NULL;
    char *joined = NULL;
    if (real && asprintf(&joined, "%s/%s", strcmp(real, "/") == 0 ? "" : real, name) < 0)
        joined = NULL;
    free(real);
    free(folder);
    free(copy);
    return joined;
}

/* What says `tolerated` at the last component is taken all the same: a region that is about to be made,
 * and a mountpoint whose daemon is dead. */
static char *resolve(const char *path, int tolerated)
{
    char *found = realpath(path, NULL);
    if (!found && errno == tolerated)
        found = resolve_folder(path);
    if (!found)
        complain(path, strerror(errno));
    return found;
}

static bool usage(int *status)
{
    fprintf(stderr, "Usage: vmfs-fuse REGION MOUNTPOINT [-o OPTION,...]\n"
                    "'vmfs-fuse --help' explains.\n");
    *status = STATUS_USAGE;
    return false;
}

static bool operands_take(struct options *options, int count, char **operands, int *status)
{
    if (count != 2) {
        fprintf(stderr, "vmfs-fuse: a region and a mountpoint are needed\n");
        return usage(status);
    }
    *status = STATUS_FAILED;
    options->region = resolve(operands[0], ENOENT);
    options->mountpoint = options->region ? resolve(operands[1], ENOTCONN) : NULL;
    return options->mountpoint;
}

static const struct option long_options[] = {
    {"foreground", no_argument, NULL, 'f'},    {"debug", no_argument, NULL, 'd'},
    {"version", no_argument, NULL, 'V'},       {"help", no_argument, NULL, 'h'},
    {"options", required_argument, NULL, 'o'}, {NULL, 0, NULL, 0},
};

/* The letters that mount(8) gives to its helpers, "mount.TYPE REGION MOUNTPOINT [-sfnv] [-N NAMESPACE] [-o
 * OPTIONS] [-t TYPE]". */
static bool is_helper_letter(int letter, bool *is_fake)
{
    *is_fake |= letter == 'f';
    return strchr("sfnvNt", letter);
}

static bool is_mount_helper(const char *program)
{
    const char *slash = strrchr(program, '/');
    return strncmp(slash ? slash + 1 : program, "mount.", 6) == 0;
}

static void defaults_set(struct options *options)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    *options = (struct options){.has_sandbox = true};
    options->threads = cpus < 1 ? 2 : cpus > 4 ? 8 : 2 * (uint32_t)cpus;
}

/* One letter: false if there is nothing more to do. */
static bool letter_apply(struct options *options, int letter, int *status)
{
    switch (letter) {
    case 'o':
        *status = STATUS_USAGE;
        return words_parse(options, optarg);
    case 'd':
        options->is_debug = true;
        return true;
    case 'f':
        options->is_foreground = true;
        return true;
    case 'V':
        printf("vmfs-fuse %s\n", vmfs_version());
        *status = STATUS_OK;
        return false;
    case 'h':
        fputs(help, stdout);
        *status = STATUS_OK;
        return false;
    default:
        return usage(status);
    }
}

static bool may_be_unchecked(const struct options *options)
{
    return geteuid() == 0 && !(options->kernel && strstr(options->kernel, "allow_other"));
}

bool options_parse(struct options *options, int argc, char **argv, int *status)
{
    bool is_helper = is_mount_helper(argv[0]);
    bool is_fake = false;
    int letter;
    defaults_set(options);
    options->title = argv[0]; /* getopt_long() changes the order of those behind it */
    options->title_bytes = (size_t)(argv[argc - 1] + strlen(argv[argc - 1]) + 1 - argv[0]);
    const char *letters = is_helper ? "o:sfnvN:t:hV" : "o:fdhV";
    while ((letter = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
        if (is_helper && is_helper_letter(letter, &is_fake))
            continue;
        if (!letter_apply(options, letter, status))
            return false;
    }
    options->is_foreground |= options->is_debug;
    *status = STATUS_USAGE;
    if (options->is_unchecked && !may_be_unchecked(options))
        return complain("unchecked", "for root alone, and not with allow_other");
    *status = STATUS_OK;
    if (!operands_take(options, argc - optind, argv + optind, status))
        return false;
    *status = STATUS_OK;
    return !is_fake;
}

void options_free(struct options *options)
{
    free(options->region);
    free(options->mountpoint);
    free(options->kernel);
}
