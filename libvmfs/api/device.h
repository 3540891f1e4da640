/* device.h -- what kind of thing the file behind a region is */
#ifndef VM_API_DEVICE_H
#define VM_API_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum vm_device_kind {
    VM_DEVICE_MEMORY,   /* no file: mapped by the caller */
    VM_DEVICE_FILE,     /* of a filesystem that keeps it in the page cache */
    VM_DEVICE_TMPFS,    /* a file that is nowhere but in the page cache */
    VM_DEVICE_DAX_FILE, /* on a DAX mount: a mapping shows the device's memory itself */
    VM_DEVICE_DAX, /* a character device: memory and nothing else, no msync, fsync, fallocate or read */
    VM_DEVICE_BLOCK,      /* a block device, through the page cache */
    VM_DEVICE_PMEM_BLOCK, /* the same, with memory behind it that a DAX mount or device would show */
};
#define VM_DEVICE_KINDS (VM_DEVICE_PMEM_BLOCK + 1)

struct vm_device {
    enum vm_device_kind kind;
    uint64_t bytes;
    uint64_t align_bytes; /* of offset, length and address of each of its mappings */
    bool is_read_only;    /* stores to it are refused, or lost */
};

/* Looks at an open file. What is none of these is a file of 0 bytes. 0, or -1 with errno. */
int vm_device_look(int fd, struct vm_device *out);

/* Reads exactly `len_bytes`, by way of a mapping where read() is not to be had; `offset` is a multiple of 4096
 * and so the bytes do not cross a unit of alignment. False if they are not there. */
bool vm_device_read(int fd, uint64_t offset, void *out, size_t len_bytes);

#endif
