/* vmfs.c -- the vmfs command: the table of verbs, the command line, and main() */
#include "tool.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct verb *const verbs[] = {
    &verb_format, &verb_info, &verb_fsck, &verb_ls,  &verb_cat,
    &verb_stat,   &verb_put,  &verb_get,  &verb_rm,  &verb_mv,
    &verb_mkdir,  &verb_dump, &verb_map,  &verb_top, &verb_guest,
};
#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

static const struct option option_rows[] = {
    {"all", no_argument, NULL, 'a'},
    {"force", no_argument, NULL, 'f'},
    {"long", no_argument, NULL, 'l'},
    {"dereference", no_argument, NULL, 'L'},
    {"mode", required_argument, NULL, 'm'},
    {"no-clobber", no_argument, NULL, 'n'},
    {"parents", no_argument, NULL, 'p'},
    {"recursive", no_argument, NULL, 'r'},
    {"recursive", no_argument, NULL, 'R'},
    {"verbose", no_argument, NULL, 'v'},
    {"size", required_argument, NULL, OPTION_SIZE},
    {"force", no_argument, NULL, OPTION_FORCE},
    {"exchange", no_argument, NULL, OPTION_EXCHANGE},
    {"repair", no_argument, NULL, OPTION_REPAIR},
    {"json", no_argument, NULL, OPTION_JSON},
    {"pass", required_argument, NULL, OPTION_PASS},
    {"peek", no_argument, NULL, OPTION_PEEK},
    {"counters", no_argument, NULL, OPTION_COUNTERS},
    {"durability", required_argument, NULL, OPTION_DURABILITY},
    {"offset", required_argument, NULL, OPTION_OFFSET},
    {"length", required_argument, NULL, OPTION_LENGTH},
    {"wait", required_argument, NULL, OPTION_WAIT},
    {"interval", required_argument, NULL, OPTION_INTERVAL},
    {"qemu", no_argument, NULL, OPTION_QEMU},
    {"firecracker", no_argument, NULL, OPTION_FIRECRACKER},
    {"libvirt", no_argument, NULL, OPTION_LIBVIRT},
    {"nvdimm", no_argument, NULL, OPTION_NVDIMM},
    {"virtio-pmem", no_argument, NULL, OPTION_VIRTIO_PMEM},
    {"readonly", no_argument, NULL, OPTION_READONLY},
    {"memory", required_argument, NULL, OPTION_MEMORY},
    {"help", no_argument, NULL, OPTION_HELP},
};
#define OPTION_ROWS (sizeof(option_rows) / sizeof(option_rows[0]))

#define WAIT_MAX 86400 /* seconds */

static const int options_common[] = {
    OPTION_COUNTERS, OPTION_DURABILITY, OPTION_OFFSET, OPTION_LENGTH, OPTION_WAIT, OPTION_HELP, 0,
};

static const char help_common[] =
    "Options of every verb (numbers take a suffix K, M, G or T):\n"
    "  --durability WHAT   what a finished change survives: 'power' (loss of power),\n"
    "                      'process' (death of the process), or 'auto', the default:\n"
    "                      power where the region is persistent memory, else process;\n"
    "                      power on another file or device is an msync for each change\n"
    "  --offset BYTES      where the region starts inside the file REGION; 'auto' finds it, also\n"
    "                      behind what a guest's Linux keeps at the head of its NVDIMM\n"
    "  --length BYTES      how much of the file it may use; default up to the end\n"
    "  --wait SECONDS      how long to wait for a process that has the region and is about to\n"
    "                      end, as a mount after 'fusermount3 -u'; default 10; 0: not at all\n"
    "  --counters          print what the work cost as the last line on standard error\n"
    "  --help              print this text\n";

static const char help_peek[] =
    "  --peek              look although another process may have the region open: nothing is\n"
    "                      locked, stored or replayed, and what is half changed at that\n"
    "                      moment may look damaged\n\n";

static void help_print(FILE *out)
{
    size_t i;

    fprintf(out,
            "vmfs -- files in a region of memory\n\n"
            "Usage: vmfs VERB REGION [ARGUMENT...]\n\n"
            "REGION is a DAX device, a file on DAX or tmpfs, or any plain file. It belongs to\n"
            "one process at a time. Paths inside it start with '/'.\n\nVerbs:\n");
    for (i = 0; i < VERB_COUNT; i++)
        fprintf(out, "  %-7s %s\n", verbs[i]->name, verbs[i]->summary);
    fprintf(out, "\n'vmfs help VERB' explains one verb; 'vmfs --version' names the version.\n\n"
                 "Example:\n"
                 "  vmfs format /dev/shm/region --size 256M\n"
                 "  vmfs put -r /dev/shm/region ~/photos /photos\n"
                 "  vmfs ls -l /dev/shm/region /photos\n\n"
                 "Exit status: 0 all done, 1 something failed, 2 the command line is wrong;\n"
                 "'vmfs fsck' has its own.\n");
}

static void verb_help_print(const struct verb *verb)
{
    const int *option = verb->options;

    printf("Usage: vmfs %s %s\n\n%s\n", verb->name, verb->synopsis, verb->help);
    while (*option != 0 && *option != OPTION_PEEK)
        option++;
    printf("%s%s", *option ? help_peek : "", help_common);
}

static const struct verb *verb_find(const char *name)
{
    size_t i;

    for (i = 0; i < VERB_COUNT; i++)
        if (strcmp(verbs[i]->name, name) == 0)
            return verbs[i];
    return NULL;
}

static int usage_fail(const struct verb *verb)
{
    fprintf(stderr, "Usage: vmfs %s %s\n'vmfs %s --help' explains.\n", verb->name, verb->synopsis,
            verb->name);
    return verb->usage_status;
}

/* What getopt_long() wants to know: the letters and the long names that are allowed. */
struct option_set {
    char letters[2 * OPTION_ROWS + 1];
    struct option rows[OPTION_ROWS + 1];
    size_t letter_count;
    size_t row_count;
};

static void option_set_add(struct option_set *set, const int *ids)
{
    for (; *ids != 0; ids++) {
        size_t i = 0;
        while (option_rows[i].val != *ids)
            i++;
        set->rows[set->row_count++] = option_rows[i];
        if (*ids >= OPTION_SIZE)
            continue;
        set->letters[set->letter_count++] = (char)*ids;
        if (option_rows[i].has_arg == required_argument)
            set->letters[set->letter_count++] = ':';
    }
}

static int options_parse(struct tool *tool, int argc, char **argv)
{
    struct option_set set;
    int id;

    memset(&set, 0, sizeof(set));
    option_set_add(&set, tool->verb->options);
    option_set_add(&set, options_common);
    while ((id = getopt_long(argc, argv, set.letters, set.rows, NULL)) != -1) {
        if (id == '?')
            return -1;
        tool->is_set[id] = true;
        tool->values[id] = optarg;
    }
    return 0;
}

static int durability_parse(const char *text, uint32_t *out)
{
    if (strcmp(text, "auto") == 0)
        *out = VMFS_DURABILITY_AUTO;
    else if (strcmp(text, "power") == 0)
        *out = VMFS_DURABILITY_POWER;
    else if (strcmp(text, "process") == 0)
        *out = VMFS_DURABILITY_PROCESS;
    else
        return -1;
    return 0;
}

static int bytes_option(struct tool *tool, int id, uint64_t *out)
{
    const char *text = tool->values[id];

    if (!text || size_parse(text, out) == 0)
        return 0;
    fprintf(stderr, "vmfs %s: '%s' is not a number of bytes\n", tool->verb->name, text);
    return -1;
}

/* Seconds, with a fraction if wanted. */
static int wait_option(struct tool *tool)
{
    const char *text = tool->values[OPTION_WAIT];
    char *end;
    double seconds;

    if (!text)
        return 0;
    seconds = strtod(text, &end);
    if (end == text || *end || !(seconds >= 0 && seconds <= WAIT_MAX)) {
        fprintf(stderr, "vmfs %s: '%s' is not a number of seconds up to %d\n", tool->verb->name,
                text, WAIT_MAX);
        return -1;
    }
    tool->options.wait_ms = seconds > 0 ? (uint32_t)(seconds * 1000 + 0.999) : VMFS_NO_WAIT;
    return 0;
}

static int options_apply(struct tool *tool)
{
    const char *durability = tool->values[OPTION_DURABILITY];

    if (durability && durability_parse(durability, &tool->options.durability)) {
        fprintf(stderr, "vmfs %s: '%s' is not auto, power or process\n", tool->verb->name,
                durability);
        return -1;
    }
    tool->is_offset_auto =
        tool->is_set[OPTION_OFFSET] && strcmp(tool->values[OPTION_OFFSET], "auto") == 0;
    if ((!tool->is_offset_auto && bytes_option(tool, OPTION_OFFSET, &tool->options.offset_bytes)) ||
        bytes_option(tool, OPTION_LENGTH, &tool->options.length_bytes) ||
        bytes_option(tool, OPTION_SIZE, &tool->options.region_bytes) || wait_option(tool))
        return -1;
    return 0;
}

static void verb_run(struct tool *tool)
{
    const struct verb *verb = tool->verb;

    progress_start(&tool->progress, verb->name);
    if (verb->opens != OPENS_ITSELF) {
        int err = tool_open(tool, verb->opens == OPENS_READ ? VMFS_RDONLY | tool_peek(tool) : 0);
        if (err) {
            tool_fail(tool, err, tool->region);
            return;
        }
    }
    verb->run(tool);
    tool_close(tool);
    if (fflush(stdout) || ferror(stdout))
        tool_fail_text(tool, "standard output", "not everything could be written");
}

static int verb_main(const struct verb *verb, int argc, char **argv)
{
    struct tool tool = {.verb = verb, .options = VMFS_OPTIONS_INIT};
    char name[32];
    int count;

    /* getopt_long() starts its messages with this. */
    snprintf(name, sizeof(name), "vmfs %s", verb->name);
    argv[0] = name;
    if (options_parse(&tool, argc, argv))
        return usage_fail(verb);
    if (tool.is_set[OPTION_HELP]) {
        verb_help_print(verb);
        return STATUS_OK;
    }
    count = argc - optind;
    if (count < verb->operands_min || count > verb->operands_max) {
        fprintf(stderr, "vmfs %s: too %s operands\n", verb->name,
                count < verb->operands_min ? "few" : "many");
        return usage_fail(verb);
    }
    if (options_apply(&tool))
        return usage_fail(verb);
    tool.region = argv[optind];
    tool.operands = argv + optind + 1;
    tool.operand_count = count - 1;
    verb_run(&tool);
    return tool.status;
}

static int verb_unknown(const char *name)
{
    fprintf(stderr, "vmfs: there is no verb '%s'; 'vmfs --help' lists them\n", name);
    return STATUS_USAGE;
}

static int help_main(const char *name)
{
    const struct verb *verb = name ? verb_find(name) : NULL;

    if (name && !verb)
        return verb_unknown(name);
    if (verb)
        verb_help_print(verb);
    else
        help_print(stdout);
    return STATUS_OK;
}

int main(int argc, char **argv)
{
    const struct verb *verb;

    if (argc < 2) {
        help_print(stderr);
        return STATUS_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        help_print(stdout);
        return STATUS_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("vmfs %s\n", vmfs_version());
        return STATUS_OK;
    }
    if (strcmp(argv[1], "help") == 0)
        return help_main(argc > 2 ? argv[2] : NULL);
    verb = verb_find(argv[1]);
    if (!verb)
        return verb_unknown(argv[1]);
    return verb_main(verb, argc - 1, argv + 1);
}
