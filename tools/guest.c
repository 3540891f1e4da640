/* guest.c -- the settings of QEMU, Firecracker and libvirt for one image */
#include "guest.h"
#include "json.h"
#include "path.h"
#include "quote.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#define GIB (1ULL << 30)

FILE *guest_text(char **text)
{
    static size_t length_bytes;
    FILE *out = open_memstream(text, &length_bytes);

    if (!out) {
        fprintf(stderr, "vmfs: out of memory\n");
        exit(EXIT_FAILURE);
    }
    return out;
}

__attribute__((format(printf, 2, 3))) static void word_add(struct guest_words *words,
                                                           const char *format, ...)
{
    FILE *out = guest_text(&words->items[words->count]);
    va_list arguments;

    va_start(arguments, format);
    vfprintf(out, format, arguments);
    va_end(arguments);
    fclose(out);
    words->count++;
}

static void words_add(struct guest_words *words, const char *const *texts, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        word_add(words, "%s", texts[i]);
}

/* A memory device lies at a multiple of 1 GiB, above the RAM. */
static uint64_t memory_max_bytes(const struct guest *guest)
{
    return (guest->memory_bytes + guest->size_bytes + 2 * GIB - 1) / GIB * GIB;
}

static void backend_add(const struct guest *guest, struct guest_words *words)
{
    char *path;
    FILE *out = guest_text(&path);

    quote_qemu(out, guest->image->path);
    fclose(out);
    word_add(words, "-object");
    word_add(words, "memory-backend-file,id=vmfs,share=on,mem-path=%s,size=%" PRIu64 "%s%s", path,
             guest->size_bytes, guest->is_readonly ? ",readonly=on" : "",
             guest->image->backing == BACKING_DAX ? ",pmem=on" : "");
    free(path);
}

void guest_qemu(const struct guest *guest, struct guest_words *words)
{
    static const char *const begin[] = {
        "qemu-system-x86_64", "-accel", "kvm", "-accel", "tcg", "-cpu", "max", "-M"};
    bool is_nvdimm = guest->device == DEVICE_NVDIMM;

    words->count = 0;
    words_add(words, begin, sizeof(begin) / sizeof(begin[0]));
    word_add(words, "%s", is_nvdimm ? "q35,nvdimm=on" : "q35");
    word_add(words, "-m");
    word_add(words, "%" PRIu64 "M,slots=2,maxmem=%" PRIu64 "M", guest->memory_bytes >> 20,
             memory_max_bytes(guest) >> 20);
    backend_add(guest, words);
    word_add(words, "-device");
    word_add(words, "%s,id=vmfs0,memdev=vmfs%s", is_nvdimm ? "nvdimm" : "virtio-pmem-pci",
             is_nvdimm && guest->is_readonly ? ",unarmed=on" : "");
}

void guest_words_free(struct guest_words *words)
{
    while (words->count > 0)
        free(words->items[--words->count]);
}

void guest_firecracker(const struct guest *guest)
{
    printf("{\n  \"pmem\": [\n    {\n      \"id\": \"vmfs0\",\n      \"path_on_host\": ");
    json_string(guest->image->path);
    printf(",\n      \"root_device\": false,\n      \"read_only\": %s\n    }\n  ]\n}\n",
           guest->is_readonly ? "true" : "false");
}

static void libvirt_device(const struct guest *guest, FILE *out)
{
    bool is_nvdimm = guest->device == DEVICE_NVDIMM;

    fprintf(out, "    <memory model='%s' access='shared'>\n      <source>\n        <path>",
            is_nvdimm ? "nvdimm" : "virtio-pmem");
    quote_xml(out, guest->image->path);
    fprintf(out, "</path>\n%s      </source>\n      <target>\n",
            is_nvdimm && guest->image->backing == BACKING_DAX ? "        <pmem/>\n" : "");
    fprintf(out, "        <size unit='KiB'>%" PRIu64 "</size>\n", guest->size_bytes >> 10);
    if (is_nvdimm)
        fprintf(out, "        <node>0</node>\n%s",
                guest->is_readonly ? "        <readonly/>\n" : "");
    fprintf(out, "      </target>\n    </memory>\n");
}

void guest_libvirt(const struct guest *guest, FILE *out)
{
    uint64_t memory_kib = guest->memory_bytes >> 10;

    fprintf(out,
            "<domain type='kvm'>\n"
            "  <name>vmfs-guest</name>\n"
            "  <maxMemory slots='2' unit='KiB'>%" PRIu64 "</maxMemory>\n"
            "  <memory unit='KiB'>%" PRIu64 "</memory>\n"
            "  <vcpu>1</vcpu>\n"
            "  <os>\n    <type arch='x86_64' machine='q35'>hvm</type>\n  </os>\n"
            "  <features>\n    <acpi/>\n  </features>\n"
            "  <cpu mode='host-passthrough'>\n    <numa>\n"
            "      <cell id='0' cpus='0' memory='%" PRIu64 "' unit='KiB'/>\n"
            "    </numa>\n  </cpu>\n"
            "  <devices>\n",
            memory_max_bytes(guest) >> 10, memory_kib, memory_kib);
    libvirt_device(guest, out);
    fprintf(out, "  </devices>\n</domain>\n");
}
