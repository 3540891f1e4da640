/* main.c -- conform: the options, and the suites in their order */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "conform.h"

static void (*const suites[])(void) = {
    suite_paths,    suite_kinds, suite_modes,     suite_search, suite_sticky, suite_effects,
    suite_create,   suite_chmod, suite_chown,     suite_setid,  suite_times,  suite_rename,
    suite_links,    suite_open,  suite_data,      suite_holes,  suite_map,    suite_unlinked,
    suite_deep,     suite_flags, suite_directory, suite_xattr,  suite_acl,    suite_locks,
    suite_readonly, suite_misc,  suite_races,
};

static const char usage[] =
    "usage: conform DIRECTORY [--only PATTERN] [--list] [--long] [--json FILE] [--may-skip FILE]\n"
    "Asserts what POSIX and Linux say of files in a filesystem. Runs as root, in a directory that\n"
    "everybody may search.\n"
    "  --only PATTERN   call/precondition/outcome/caller, each a shell pattern; a part may be "
    "left\n"
    "                   out at the end\n"
    "  --list           prints the cases and runs none\n"
    "  --long           more races, more entries\n"
    "  --json FILE      each assertion and its result\n"
    "  --link-max N     how many links a file may have, where pathconf cannot know it\n"
    "  --may-skip FILE  what the filesystem may lack, a feature a line; anything else that it "
    "lacks\n"
    "                   is a failure\n";

static const struct option names[] = {
    {"only", required_argument, NULL, 'o'},     {"list", no_argument, NULL, 'l'},
    {"long", no_argument, NULL, 'L'},           {"json", required_argument, NULL, 'j'},
    {"may-skip", required_argument, NULL, 's'}, {"link-max", required_argument, NULL, 'm'},
    {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
};

static void set_option(int letter)
{
    switch (letter) {
    case 'o':
        options.only = optarg;
        break;
    case 'l':
        options.is_list = true;
        break;
    case 'L':
        options.is_long = true;
        break;
    case 'j':
        options.json = realpath(optarg, NULL) ? realpath(optarg, NULL) : optarg;
        break;
    case 'm':
        options.link_max = strtol(optarg, NULL, 10);
        break;
    case 's':
        options.may_skip = realpath(optarg, NULL);
        if (options.may_skip)
            break;
        perror(optarg);
        exit(2);
    default:
        fputs(usage, letter == 'h' ? stdout : stderr);
        exit(letter == 'h' ? 0 : 2);
    }
}

static void parse(int argc, char **argv)
{
    int letter;
    options.program = realpath("/proc/self/exe", NULL);
    while ((letter = getopt_long(argc, argv, "", names, NULL)) != -1)
        set_option(letter);
    if (optind + 1 != argc) {
        fputs(usage, stderr);
        exit(2);
    }
    options.directory = argv[optind];
    if (geteuid() != 0) {
        fputs("conform: has to run as root, to become others\n", stderr);
        exit(2);
    }
}

static void check_directory(void)
{
    struct stat status;
    if (stat(options.directory, &status) || !S_ISDIR(status.st_mode) ||
        (status.st_mode & 0005) != 0005) {
        fprintf(stderr, "conform: %s is no directory that everybody may search\n",
                options.directory);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    struct timespec begin_time;
    struct timespec end_time;
    parse(argc, argv);
    check_directory();
    clock_gettime(CLOCK_MONOTONIC, &begin_time);
    world_start(options.directory);
    agents_start();
    features_probe();
    for (size_t i = 0; i < COUNT(suites); i++)
        suites[i]();
    agents_stop();
    world_stop();
    clock_gettime(CLOCK_MONOTONIC, &end_time);
    return report((double)(end_time.tv_sec - begin_time.tv_sec) +
                  (double)(end_time.tv_nsec - begin_time.tv_nsec) / 1e9);
}
