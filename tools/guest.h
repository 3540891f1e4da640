/* guest.h -- what a guest is to be given, and the three programs' ways to say it */
#ifndef GUEST_H
#define GUEST_H

#include "image.h"

#include <stdio.h>

/* Both put the file into the guest's physical memory. */
enum guest_device { DEVICE_NVDIMM, DEVICE_VIRTIO_PMEM };

struct guest {
    const struct image *image;
    enum guest_device device;
    bool is_readonly;
    uint64_t size_bytes;   /* of the image, as it is or as it is to be made */
    uint64_t memory_bytes; /* the guest's RAM, a multiple of a MiB */
};

/* QEMU's command line, up to what the guest boots from. */
#define GUEST_WORDS_MAX 20
struct guest_words {
    char *items[GUEST_WORDS_MAX];
    size_t count;
};
void guest_qemu(const struct guest *guest, struct guest_words *words);
void guest_words_free(struct guest_words *words);

/* A piece of Firecracker's configuration file to standard output, and a domain for libvirt. The caller has
 * asked whether the path can stand in them. */
void guest_firecracker(const struct guest *guest);
void guest_libvirt(const struct guest *guest, FILE *out);

/* A stream into *text, which is there for free() once the stream is closed. Ends the command when there is no
 * memory. */
FILE *guest_text(char **text);

#endif
