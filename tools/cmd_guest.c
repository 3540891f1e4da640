/* cmd_guest.c -- vmfs guest: how an image becomes the memory storage of a guest
 *
 * Sizes, as tried with QEMU 7.2 and Linux 6.1: ndctl makes namespaces of multiples of 16 MiB only; a
 * virtio-pmem without one can be mapped only if it is a multiple of 2 MiB; QEMU wants whole pages. */
#include "guest_report.h"
#include "path.h"
#include "quote.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_DEFAULT   (1ULL << 30)
#define MEMORY_DEFAULT (1ULL << 30)
#define BYTES_MAX      (1ULL << 50)

__attribute__((format(printf, 3, 4))) static void
problem_add(struct guest_report *report, const char *text, const char *format, ...)
{
    struct guest_problem *problem = &report->problems[report->problem_count++];

    *problem = (struct guest_problem){.text = text};
    if (!format)
        return;
    FILE *out = guest_text(&problem->mend);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(out, format, arguments);
    va_end(arguments);
    fputc(' ', out);
    quote_shell(out, report->image.path);
    fclose(out);
}

static uint64_t size_step(const struct guest_report *report)
{
    const struct image *image = &report->image;

    if (image->holds == HOLDS_NOTHING && !image->has_ext4)
        return 16 * MIB;
    if (report->guest.device == DEVICE_VIRTIO_PMEM || report->blocks & BLOCK_FIRECRACKER)
        return 2 * MIB;
    return VMFS_BLOCK_SIZE;
}

static const char *step_text(uint64_t step)
{
    if (step == 16 * MIB)
        return "a namespace needs a multiple of 16 MiB";
    if (step == 2 * MIB)
        return "a virtio-pmem needs a multiple of 2 MiB: else the guest cannot map it, and "
               "Firecracker drops what is stored behind the end of the file";
    return "QEMU needs a multiple of 4096 bytes";
}

/* The settings are those of the size that it has once it is mended. */
static void size_check(struct guest_report *report)
{
    const struct image *image = &report->image;
    uint64_t step = size_step(report);
    uint64_t size = image->namespace_bytes ? image->namespace_bytes
                                           : (report->guest.size_bytes + step - 1) / step * step;
    const char *holes = "it has holes: the guest waits for the host at the first touch of each";

    if (image->size_bytes == 0)
        problem_add(report,
                    image->exists
                        ? "it is empty; to be made without holes, so that the guest need "
                          "not wait for the host at the first touch of each"
                        : "it does not exist; to be made without holes, so that the guest "
                          "need not wait for the host at the first touch of each",
                    "fallocate -l %" PRIu64, size);
    else if (image->namespace_bytes != 0 && size != image->size_bytes)
        problem_add(report, "its namespace was made for another size", "truncate -s %" PRIu64,
                    size);
    else if (size != image->size_bytes)
        problem_add(report, step_text(step), "fallocate -l %" PRIu64, size);
    else if (image->allocated_bytes < size)
        problem_add(report, holes, "fallocate -l %" PRIu64, size);
    report->guest.size_bytes = size;
}

static void use_check(struct guest_report *report)
{
    const struct guest *guest = &report->guest;
    const struct image *image = &report->image;
    bool is_virtio = guest->device == DEVICE_VIRTIO_PMEM;

    if (image->holds == HOLDS_REGION)
        problem_add(report,
                    "the region lies at offset 0, where Linux has no namespace: the guest reaches "
                    "it through its "
                    "page cache. To have it as memory, make another image and copy the files there",
                    NULL);
    if (guest->is_readonly && image->holds == HOLDS_NOTHING && !image->has_ext4)
        problem_add(
            report,
            "it holds nothing, and read-only it cannot be given anything: first boot without "
            "--readonly",
            NULL);
    if (guest->is_readonly && is_virtio)
        problem_add(report,
                    "a virtio-pmem cannot tell the guest that it is read-only: mount with -o ro",
                    NULL);
    if (image->backing == BACKING_FUSE)
        problem_add(report, "it lies on a FUSE mount: with direct I/O there QEMU does not start",
                    NULL);
}

/* What it does is as seen with libvirt 9.0. */
static void libvirt_check(struct guest_report *report)
{
    const struct guest *guest = &report->guest;
    const char *path = report->image.path;

    if (!(report->blocks & BLOCK_LIBVIRT))
        return;
    if (!text_is_xml(path) || strpbrk(path, "\n\r")) {
        problem_add(report, "libvirt is left out: it cannot hold this name", NULL);
        report->blocks &= ~(unsigned)BLOCK_LIBVIRT;
    } else if (guest->device == DEVICE_VIRTIO_PMEM) {
        problem_add(report,
                    "libvirt 9.0 takes this virtio-pmem but fails to start the guest: use --nvdimm",
                    NULL);
    } else if (guest->is_readonly) {
        problem_add(report,
                    "libvirt 9.0 tells the guest that it is read-only, but maps the file to be "
                    "written: take "
                    "its write permission away",
                    NULL);
    }
}

static void firecracker_check(struct guest_report *report)
{
    if (!(report->blocks & BLOCK_FIRECRACKER) || text_is_utf8(report->image.path))
        return;
    problem_add(report, "Firecracker is left out: JSON cannot hold this name", NULL);
    report->blocks &= ~(unsigned)BLOCK_FIRECRACKER;
}

static void problems_find(struct guest_report *report)
{
    size_check(report);
    use_check(report);
    libvirt_check(report);
    firecracker_check(report);
}

static unsigned blocks_wanted(const struct tool *tool)
{
    unsigned blocks = (tool->is_set[OPTION_QEMU] ? BLOCK_QEMU : 0u) |
                      (tool->is_set[OPTION_FIRECRACKER] ? BLOCK_FIRECRACKER : 0u) |
                      (tool->is_set[OPTION_LIBVIRT] ? BLOCK_LIBVIRT : 0u);

    return blocks ? blocks : BLOCK_QEMU | BLOCK_FIRECRACKER | BLOCK_LIBVIRT;
}

static int usage_wrong(struct tool *tool, const char *text)
{
    tool_fail_text(tool, tool->region, text);
    tool->status = STATUS_USAGE;
    return -1;
}

/* What the options and the image make of the guest. */
static int guest_plan(struct tool *tool, struct guest_report *report)
{
    struct guest *guest = &report->guest;
    const char *memory = tool->values[OPTION_MEMORY];
    uint64_t size = tool->options.region_bytes;

    if (tool->is_set[OPTION_NVDIMM] && tool->is_set[OPTION_VIRTIO_PMEM])
        return usage_wrong(tool, "--nvdimm or --virtio-pmem, not both");
    guest->memory_bytes = MEMORY_DEFAULT;
    if (memory && (size_parse(memory, &guest->memory_bytes) != 0 || guest->memory_bytes == 0 ||
                   guest->memory_bytes > BYTES_MAX || guest->memory_bytes % MIB != 0))
        return usage_wrong(tool, "--memory must be a number of whole MiB, as 512M");
    if (size > BYTES_MAX || (size != 0 && report->image.size_bytes != 0))
        return usage_wrong(tool, "--size is for an image that is to be made");
    guest->image = &report->image;
    guest->device = tool->is_set[OPTION_VIRTIO_PMEM] ? DEVICE_VIRTIO_PMEM : DEVICE_NVDIMM;
    guest->is_readonly = tool->is_set[OPTION_READONLY];
    guest->size_bytes = report->image.size_bytes ? report->image.size_bytes
                        : size                   ? size
                                                 : SIZE_DEFAULT;
    report->blocks = blocks_wanted(tool);
    return 0;
}

static void guest_run(struct tool *tool)
{
    struct guest_report report = {0};
    bool is_alone = tool->is_set[OPTION_QEMU] + tool->is_set[OPTION_FIRECRACKER] +
                        tool->is_set[OPTION_LIBVIRT] ==
                    1;

    if (image_look(tool, &report.image) == 0 && guest_plan(tool, &report) == 0) {
        problems_find(&report);
        if (tool->is_set[OPTION_JSON])
            guest_report_json(&report);
        else if (is_alone)
            guest_report_blocks(&report);
        else
            guest_report_text(&report);
    }
    while (report.problem_count > 0)
        free(report.problems[--report.problem_count].mend);
    image_free(&report.image);
}

const struct verb verb_guest = {
    .name = "guest",
    .synopsis = "[--qemu] [--firecracker] [--libvirt] [OPTION...] IMAGE",
    .summary = "print the settings that make an image a guest's memory",
    .help =
        "Looks at the file IMAGE and prints the settings with which QEMU, Firecracker and libvirt\n"
        "make it the memory storage of a guest: one block for each, to be copied; then what is to\n"
        "be done in the guest and on the host, and what survives what. Of an IMAGE that does not\n"
        "exist it tells how to make it. Changes nothing.\n\n"
        "  --qemu, --firecracker, --libvirt\n"
        "                      only these blocks; one alone is printed without any other text\n"
        "  --nvdimm            as an NVDIMM, the default: a namespace must be made in it once\n"
        "  --virtio-pmem       as a virtio-pmem, which passes the guest's syncs on to the host;\n"
        "                      Firecracker has no other\n"
        "  --readonly          the guest may not change it, so that several may have it at once\n"
        "  --memory BYTES      the guest's RAM, whole MiB; default 1G\n"
        "  --size BYTES        of an IMAGE that is to be made; default 1G\n"
        "  --json              all of it as one JSON object; 'qemu' is a list of words\n\n",
    .options = (const int[]){OPTION_QEMU, OPTION_FIRECRACKER, OPTION_LIBVIRT, OPTION_NVDIMM,
                             OPTION_VIRTIO_PMEM, OPTION_READONLY, OPTION_MEMORY, OPTION_SIZE,
                             OPTION_JSON, 0},
    .operands_min = 1,
    .operands_max = 1,
    .opens = OPENS_ITSELF,
    .failed_status = STATUS_FAILED,
    .usage_status = STATUS_USAGE,
    .run = guest_run,
};
