/* cmd_fsck.c -- vmfs fsck: compare every structure of a region with the others, and mend it
 *
 * The exit status follows fsck(8): 0 clean, 1 damaged and mended, 4 damaged, 8 could not run. */
#include "json.h"
#include "tool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PASS_MAX 64u

/* What one run has found. */
struct findings {
    struct tool *tool;
    uint32_t wanted; /* pass id, or 0 for all */
    uint64_t shown;  /* problems of it */
    uint64_t mended;
    uint64_t by_pass[PASS_MAX];
    bool is_first; /* of a JSON list */
};

static bool is_json(const struct tool *tool)
{
    return tool->is_set[OPTION_JSON];
}

static void problem_json(struct findings *findings, const struct vmfs_problem *problem)
{
    json_comma(&findings->is_first);
    printf("\n    {\"pass\": %" PRIu32 ", \"name\": ", problem->pass);
    json_string(problem->pass_name);
    printf(", \"reason\": %d", problem->reason);
    if (problem->ino)
        printf(", \"inode\": %" PRIu64, problem->ino);
    if (problem->offset != VMFS_NO_OFFSET)
        printf(", \"offset\": %" PRIu64, problem->offset);
    printf(", \"mended\": %s, \"text\": ", problem->is_mended ? "true" : "false");
    json_string(problem->text);
    printf("}");
}

static void problem_print(void *arg, const struct vmfs_problem *problem)
{
    struct findings *findings = arg;

    if (findings->wanted && problem->pass != findings->wanted)
        return;
    if (problem->is_mended)
        findings->mended++;
    else
        findings->shown++;
    if (!problem->is_mended && problem->pass < PASS_MAX)
        findings->by_pass[problem->pass]++;
    if (is_json(findings->tool))
        problem_json(findings, problem);
    else
        printf("P%" PRIu32 " %s: %s%s\n", problem->pass, problem->pass_name,
               problem->is_mended ? "mended: " : "", problem->text);
}

static void passes_print(const struct findings *findings)
{
    struct vmfs_check_pass pass;
    unsigned index;
    bool is_first = true;

    if (is_json(findings->tool))
        printf("],\n  \"passes\": [");
    for (index = 0; vmfs_check_pass(index, &pass) > 0; index++) {
        if (!is_json(findings->tool)) {
            printf("pass %2" PRIu32 " %-11s %" PRIu64 " problems; sound: %s\n", pass.id, pass.name,
                   findings->by_pass[pass.id], pass.prose);
            continue;
        }
        json_comma(&is_first);
        printf("\n    {\"id\": %" PRIu32 ", \"name\": ", pass.id);
        json_string(pass.name);
        printf(", \"problems\": %" PRIu64 ", \"prose\": ", findings->by_pass[pass.id]);
        json_string(pass.prose);
        printf("}");
    }
}

static void json_end(const char *state, uint64_t problems, const struct vmfs_check_result *result)
{
    printf("],\n  \"state\": \"%s\", \"problems\": %" PRIu64, state, problems);
    printf(", \"inodes\": %" PRIu64 ", \"names\": %" PRIu64 ", \"blocks\": %" PRIu64 "\n}\n",
           result->inodes, result->names, result->blocks);
}

static void json_begin(const struct tool *tool)
{
    printf("{\n  \"region\": ");
    json_string(tool->region);
    printf(",\n  \"found\": [");
}

static void conclude(struct findings *findings, const struct vmfs_check_result *result)
{
    struct tool *tool = findings->tool;
    uint64_t problems = findings->wanted ? findings->shown : result->problems;

    if (is_json(tool) || tool->is_set['v'])
        passes_print(findings);
    if (problems > 0)
        tool->status = STATUS_FSCK_DAMAGED;
    if (is_json(tool))
        json_end(problems > 0 ? "damaged" : "clean", problems, result);
    else if (problems > 0)
        printf("damaged: %" PRIu64 " problems\n", problems);
    else
        printf("clean: %" PRIu64 " inodes, %" PRIu64 " names, %" PRIu64 " blocks\n", result->inodes,
               result->names, result->blocks);
}

/* Damage that ends the check early is a finding too; any other failure is no answer. */
static void failure_conclude(struct findings *findings, int err)
{
    const struct vmfs_check_result nothing = {.problems = 1};
    struct tool *tool = findings->tool;
    struct vmfs_problem problem = {.pass_name = "open", .offset = VMFS_NO_OFFSET};

    if (err != -EUCLEAN) {
        tool_fail(tool, err, tool->region);
        return;
    }
    problem.text = tool->log_text[0] ? tool->log_text : "the region cannot be opened";
    findings->wanted = 0;
    if (is_json(tool))
        json_begin(tool);
    problem_print(findings, &problem);
    conclude(findings, &nothing);
}

static void region_check(struct findings *findings)
{
    struct tool *tool = findings->tool;
    struct vmfs_info info = {.struct_bytes = sizeof(info)};
    struct vmfs_check_result result;
    int err = vmfs_info(tool->fs, &info);

    if (err) {
        failure_conclude(findings, err);
        return;
    }
    if (is_json(tool))
        json_begin(tool);
    else
        printf("journal: %" PRIu64 " records to replay\n", info.journal_records);
    err = vmfs_check(tool->fs, problem_print, findings, &result);
    if (err)
        tool_fail(tool, err, tool->region);
    else
        conclude(findings, &result);
}

static void fsck_repair(struct findings *findings)
{
    struct tool *tool = findings->tool;
    struct vmfs_check_result result;
    int err = tool_open(tool, VMFS_REPAIR);

    findings->wanted = 0;
    if (err) {
        failure_conclude(findings, err);
        return;
    }
    if (is_json(tool))
        json_begin(tool);
    err = vmfs_repair(tool->fs, problem_print, findings, &result);
    if (err)
        tool_fail(tool, err, tool->region);
    else
        conclude(findings, &result);
    if (!err && result.problems == 0 && findings->shown + findings->mended > 0)
        tool->status = STATUS_FSCK_MENDED;
}

/* A pass by its id or its name; 0 if there is none. */
static uint32_t pass_parse(const char *text)
{
    struct vmfs_check_pass pass;
    unsigned index;

    for (index = 0; vmfs_check_pass(index, &pass) > 0; index++)
        if (strcmp(text, pass.name) == 0 || strtoul(text, NULL, 10) == pass.id)
            return pass.id;
    return 0;
}

static void fsck_run(struct tool *tool)
{
    struct findings findings = {.tool = tool, .is_first = true};
    const char *pass = tool->values[OPTION_PASS];
    int err;

    if (pass)
        findings.wanted = pass_parse(pass);
    if (pass && !findings.wanted) {
        tool_fail_text(tool, pass, "there is no such pass; -v shows them");
        return;
    }
    if (tool->is_set[OPTION_REPAIR]) {
        fsck_repair(&findings);
        return;
    }
    err = tool_open(tool, VMFS_RDONLY | tool_peek(tool));
    if (err)
        failure_conclude(&findings, err);
    else
        region_check(&findings);
}

const struct verb verb_fsck = {
    .name = "fsck",
    .synopsis = "[-v] [--json] [--pass PASS] [--peek | --repair] REGION",
    .summary = "check a region for damage, and mend it",
    .help =
        "Walks every structure of REGION and compares them with each other. Prints each\n"
        "problem on a line 'P<id> <pass>: <text>', and a last line that starts with 'clean:'\n"
        "or 'damaged:'. Stores nothing: a journal that is not replayed yet is replayed\n"
        "privately.\n\n"
        "  -v, --verbose       also tell what each pass looks at and how much it found\n"
        "  --json              one JSON object: region, found, passes, state, problems,\n"
        "                      inodes, names, blocks\n"
        "  --pass PASS         only what this pass finds, by its name or number\n"
        "  --repair            mend what is found, and tell what was done: what lives without a\n"
        "                      name gets one in /lost+found, what is damaged is cut off, what\n"
        "                      is sound is kept. A region that cannot be opened otherwise is\n"
        "                      mended, too. Interrupted, it can be started again\n\n"
        "Exit status: 0 clean, 1 damaged and now clean, 4 damaged, 8 could not run.\n",
    .options = (const int[]){'v', OPTION_JSON, OPTION_PASS, OPTION_PEEK, OPTION_REPAIR, 0},
    .operands_min = 1,
    .operands_max = 1,
    .opens = OPENS_ITSELF,
    .failed_status = STATUS_FSCK_CANNOT,
    .usage_status = STATUS_FSCK_CANNOT,
    .run = fsck_run,
};
