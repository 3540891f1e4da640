/* guest_report.c -- what vmfs guest tells of an image: for people, for programs, one block alone */
#include "guest_report.h"
#include "json.h"
#include "quote.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---------------------------------------------------------------------------- what survives */

struct survival {
    const char *guest_crash, *qemu_killed, *host_crash, *migration;
};

/* Whether a store of the guest's library is one into the file, with nothing of the guest's kernel between. */
static bool is_direct(const struct guest *guest)
{
    return guest->image->holds == HOLDS_DEVDAX ||
           (guest->device == DEVICE_NVDIMM && guest->image->holds != HOLDS_REGION);
}

static const char *host_crash_text(const struct guest *guest)
{
    switch (guest->image->backing) {
    case BACKING_MEMORY:
        return "nothing: this is the host's memory";
    case BACKING_DAX:
        return "every change that had returned (not tried: no such medium at hand)";
    case BACKING_FUSE:
        return "what the FUSE daemon has brought to its own medium, in any order (not tried)";
    case BACKING_FILE:
        break;
    }
    return is_direct(guest) ? "what the host has written back, in any order: the region may be "
                              "damaged (not tried)"
                            : "what the guest has synced, if it is a virtio-pmem: its sync is one "
                              "here (not tried)";
}

static struct survival survival_of(const struct guest *guest)
{
    const char *returned = is_direct(guest)
                               ? "every change that had returned"
                               : "every change that had returned with --durability power, "
                                 "else what had been synced";
    struct survival told = {returned, returned, host_crash_text(guest),
                            "everything, on this host, as vmfs-migrate does it"};

    if (guest->image->backing == BACKING_FUSE)
        told.qemu_killed =
            "the same; but if the FUSE daemon is killed, what it had not been given yet is "
            "lost, and nobody is told";
    return told;
}

/* ---------------------------------------------------------------------------- for people */

static const char *holds_text(const struct image *image)
{
    switch (image->holds) {
    case HOLDS_REGION:
        return "a region at offset 0";
    case HOLDS_DEVDAX:
        return image->has_region ? "a devdax namespace with a region"
                                 : "a devdax namespace without a region";
    case HOLDS_FSDAX:
        return image->has_region ? "an fsdax namespace with a region"
               : image->has_ext4 ? "an fsdax namespace with an ext4"
                                 : "an fsdax namespace";
    case HOLDS_NOTHING:
        break;
    }
    return image->has_ext4 ? "an ext4" : "nothing yet";
}

static const char *seen_text(const struct guest *guest)
{
    switch (guest->image->holds) {
    case HOLDS_REGION:
        return "/dev/pmem0, a block device";
    case HOLDS_DEVDAX:
        return "/dev/dax0.0, memory (devdax)";
    case HOLDS_FSDAX:
        return "/dev/pmem0, whose files are memory with -o dax (fsdax)";
    case HOLDS_NOTHING:
        break;
    }
    return guest->device == DEVICE_NVDIMM
               ? "/dev/pmem0, raw: it must be made a namespace"
               : "/dev/pmem0, whose files are memory with -o dax (fsdax)";
}

static void words_print(const struct guest_words *words)
{
    size_t i;

    for (i = 0; i < words->count; i++) {
        if (i > 0)
            fputs(words->items[i][0] == '-' ? " \\\n  " : " ", stdout);
        quote_shell(stdout, words->items[i]);
    }
    putchar('\n');
}

static void block_qemu(const struct guest_report *report)
{
    struct guest_words words;

    guest_qemu(&report->guest, &words);
    words_print(&words);
    guest_words_free(&words);
}

static void facts_print(const struct guest_report *report)
{
    const struct image *image = &report->image;
    size_t i;

    printf("image: ");
    quote_shell(stdout, image->path);
    printf("\nsize: %" PRIu64 "%s\n", report->guest.size_bytes,
           image->size_bytes == report->guest.size_bytes ? ""
                                                         : ", once the note below is followed");
    printf("lies on: %s%s\n", image->filesystem,
           image->backing == BACKING_DAX    ? ", DAX"
           : image->backing == BACKING_FILE ? ", not DAX"
                                            : "");
    printf("holds: %s\n", holds_text(image));
    if (image->namespace_bytes)
        printf("data at: %" PRIu64 "\n", image->data_offset);
    printf("the guest sees: %s\n", seen_text(&report->guest));
    for (i = 0; i < report->problem_count; i++) {
        printf("note: %s\n", report->problems[i].text);
        if (report->problems[i].mend)
            printf("  %s\n", report->problems[i].mend);
    }
}

static void blocks_print(const struct guest_report *report)
{
    if (report->blocks & BLOCK_QEMU) {
        printf("\n== QEMU: add what the guest boots from\n");
        block_qemu(report);
    }
    if (report->blocks & BLOCK_FIRECRACKER) {
        printf("\n== Firecracker, 1.14 or later: merge into its --config-file (by its "
               "documentation; not tried)\n");
        guest_firecracker(&report->guest);
    }
    if (report->blocks & BLOCK_LIBVIRT) {
        printf("\n== libvirt: add what the guest boots from, or take maxMemory, numa and memory "
               "over\n");
        guest_libvirt(&report->guest, stdout);
    }
}

static void steps_namespace(const char *mode)
{
    printf("ndctl create-namespace -f -e namespace0.0 -m %s -M dev\n", mode);
}

static void steps_devdax(bool is_fresh)
{
    if (is_fresh)
        steps_namespace("devdax");
    printf("vmfs format /dev/dax0.0\n");
}

static void steps_ext4(const struct guest_report *report)
{
    uint64_t region_mib = report->guest.size_bytes / MIB * 3 / 4;

    printf("mkfs.ext4 /dev/pmem0 && mount -o dax /dev/pmem0 /mnt\n"
           "vmfs format /mnt/region --size %" PRIu64 "M\n",
           region_mib);
}

static void steps_fresh(const struct guest_report *report)
{
    if (report->guest.device == DEVICE_NVDIMM) {
        steps_devdax(true);
        printf("# or, to have other files in it too:\n");
        steps_namespace("fsdax");
        steps_ext4(report);
    } else {
        steps_ext4(report);
        printf("# or, as memory alone, whose syncs do not reach the host:\n");
        steps_devdax(true);
    }
}

static void steps_once(const struct guest_report *report)
{
    const struct image *image = &report->image;

    if (report->guest.is_readonly || image->has_region || image->has_ext4)
        return;
    printf("\n== In the guest, once\n");
    if (image->holds == HOLDS_NOTHING)
        steps_fresh(report);
    else if (image->holds == HOLDS_DEVDAX)
        steps_devdax(false);
    else
        steps_ext4(report);
}

/* Whether the region is, or is to be, a file of an ext4 in the image. */
static bool is_in_ext4(const struct guest_report *report)
{
    const struct image *image = &report->image;

    return image->has_ext4 ||
           (!image->has_region &&
            (image->holds == HOLDS_FSDAX ||
             (image->holds == HOLDS_NOTHING && report->guest.device == DEVICE_VIRTIO_PMEM)));
}

static void steps_boot(const struct guest_report *report)
{
    const struct image *image = &report->image;
    const char *readonly = report->guest.is_readonly ? ",ro" : "";
    bool is_nvdimm = report->guest.device == DEVICE_NVDIMM;
    bool is_ext4 = is_in_ext4(report);
    const char *place = is_ext4 ? "/mnt/region"
                        : image->holds == HOLDS_REGION || image->holds == HOLDS_FSDAX
                            ? "/dev/pmem0"
                            : "/dev/dax0.0";

    printf(
        "\n== In the guest, at each boot\n"
        "# udev loads the modules; an initramfs without it, in this order: %s\n",
        is_nvdimm
            ? "libnvdimm nfit nd_btt nd_pmem dax_pmem device_dax"
            : "virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci libnvdimm "
              "nd_virtio virtio_pmem nd_btt nd_pmem dax_pmem device_dax");
    if (is_ext4)
        printf("mount -o dax%s /dev/pmem0 /mnt\n", readonly);
    printf("vmfs-fuse %s /srv%s        # or vmfs_open(\"%s\") in a program\n", place,
           report->guest.is_readonly ? " -o ro" : "", place);
}

static void steps_host(const struct guest_report *report)
{
    const struct image *image = &report->image;

    printf("\n== On the host, while no guest runs\n");
    if (is_in_ext4(report)) {
        printf("# the region is a file of the guest's ext4\nmount -o loop,offset=%" PRIu64 " ",
               image->data_offset);
        quote_shell(stdout, image->path);
        printf(" /mnt && vmfs ls /mnt/region\n");
        return;
    }
    printf("vmfs ls %s", image->holds == HOLDS_REGION ? "" : "--offset auto ");
    quote_shell(stdout, image->path);
    printf("\n");
}

static void survival_print(const struct guest_report *report)
{
    struct survival told = survival_of(&report->guest);

    printf("\n== What survives\n"
           "the guest crashes: %s\nQEMU is killed: %s\nthe host crashes or loses power: %s\n"
           "the guest is migrated: %s\n",
           told.guest_crash, told.qemu_killed, told.host_crash, told.migration);
}

static void migration_print(const struct guest_report *report)
{
    if (!(report->blocks & BLOCK_QEMU))
        return;
    printf(
        "\n== Moving the running guest to another QEMU on this host\n"
        "# the guest:    the settings above and  -qmp unix:/run/vmfs-1,server=on,wait=off\n"
        "# where to:     the same and  -qmp unix:/run/vmfs-2,server=on,wait=off -incoming defer\n"
        "vmfs-migrate /run/vmfs-1 /run/vmfs-2         # tells whether the region is safe\n"
        "vmfs-migrate --go /run/vmfs-1 /run/vmfs-2    # does it\n");
}

/* One block alone goes to another program, so what is wrong is said aside. */
void guest_report_blocks(const struct guest_report *report)
{
    size_t i;

    for (i = 0; i < report->problem_count; i++) {
        fprintf(stderr, "vmfs guest: %s\n", report->problems[i].text);
        if (report->problems[i].mend)
            fprintf(stderr, "  %s\n", report->problems[i].mend);
    }
    if (report->blocks & BLOCK_QEMU)
        block_qemu(report);
    if (report->blocks & BLOCK_FIRECRACKER)
        guest_firecracker(&report->guest);
    if (report->blocks & BLOCK_LIBVIRT)
        guest_libvirt(&report->guest, stdout);
}

void guest_report_text(const struct guest_report *report)
{
    facts_print(report);
    blocks_print(report);
    steps_once(report);
    steps_boot(report);
    steps_host(report);
    survival_print(report);
    migration_print(report);
}

/* ---------------------------------------------------------------------------- for programs */

static void field(const char *name, const char *text)
{
    printf(", \"%s\": ", name);
    json_string(text);
}

static void problems_json(const struct guest_report *report)
{
    bool first = true;
    size_t i;

    printf(", \"problems\": [");
    for (i = 0; i < report->problem_count; i++) {
        json_comma(&first);
        printf("{\"text\": ");
        json_string(report->problems[i].text);
        printf(", \"mend\": ");
        if (report->problems[i].mend)
            json_string(report->problems[i].mend);
        else
            printf("null");
        printf("}");
    }
    printf("]");
}

static void qemu_json(const struct guest_report *report)
{
    struct guest_words words;
    bool first = true;
    size_t i;

    guest_qemu(&report->guest, &words);
    printf(", \"qemu\": [");
    for (i = 0; i < words.count; i++) {
        json_comma(&first);
        json_string(words.items[i]);
    }
    printf("]");
    guest_words_free(&words);
}

static void libvirt_json(const struct guest_report *report)
{
    char *text;
    FILE *out = guest_text(&text);

    guest_libvirt(&report->guest, out);
    fclose(out);
    field("libvirt", text);
    free(text);
}

void guest_report_json(const struct guest_report *report)
{
    static const char *const holds[] = {"nothing", "region", "devdax", "fsdax"};
    static const char *const backings[] = {"memory", "file", "dax", "fuse"};
    const struct image *image = &report->image;
    struct survival told = survival_of(&report->guest);

    printf("{\"image\": ");
    json_string(image->path);
    printf(", \"exists\": %s, \"size\": %" PRIu64 ", \"allocated\": %" PRIu64
           ", \"data_offset\": %" PRIu64 ", \"has_region\": %s, \"has_ext4\": %s",
           image->exists ? "true" : "false", report->guest.size_bytes, image->allocated_bytes,
           image->data_offset, image->has_region ? "true" : "false",
           image->has_ext4 ? "true" : "false");
    field("filesystem", image->filesystem);
    field("backing", backings[image->backing]);
    field("holds", holds[image->holds]);
    field("guest_sees", seen_text(&report->guest));
    problems_json(report);
    if (report->blocks & BLOCK_QEMU)
        qemu_json(report);
    if (report->blocks & BLOCK_FIRECRACKER) {
        printf(", \"firecracker\": ");
        guest_firecracker(&report->guest);
    }
    if (report->blocks & BLOCK_LIBVIRT)
        libvirt_json(report);
    printf(", \"survives\": {\"guest_crash\": ");
    json_string(told.guest_crash);
    field("qemu_killed", told.qemu_killed);
    field("host_crash", told.host_crash);
    field("migration", told.migration);
    printf("}}\n");
}
