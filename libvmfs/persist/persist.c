/* persist.c -- counting in front of the backend */
#include "persist/persist.h"

#include <string.h>

#include "base/check.h"

static uint64_t line_count(uint64_t offset, size_t len_bytes)
{
    if (len_bytes == 0)
        return 0;
    return (offset + len_bytes - 1) / VM_LINE_BYTES - offset / VM_LINE_BYTES + 1;
}

void vm_io_copy(struct vm_io *io, uint64_t offset, const void *src, size_t len_bytes)
{
    io->ops->copy(io->arg, io->base + offset, src, len_bytes);
    io->lines += line_count(offset, len_bytes);
    io->bytes += len_bytes;
}

/* A part of one aligned word: the rest of it is stored again as it is. */
static void copy_edge(struct vm_io *io, uint64_t offset, const uint8_t *src, size_t len_bytes)
{
    uint64_t start = offset / 8 * 8;
    uint8_t word[8];
    memcpy(word, io->base + start, sizeof word);
    memcpy(word + (offset - start), src, len_bytes);
    io->ops->store(io->arg, io->base + start, word, sizeof word);
    vm_io_flush(io, start, sizeof word);
    io->bytes += len_bytes;
}

void vm_io_copy_words(struct vm_io *io, uint64_t offset, const void *src, size_t len_bytes)
{
    const uint8_t *from = src;
    size_t head = (8 - offset % 8) % 8;
    if (head > len_bytes)
        head = len_bytes;
    size_t tail = (len_bytes - head) % 8;
    size_t middle = len_bytes - head - tail;
    if (head)
        copy_edge(io, offset, from, head);
    if (middle)
        vm_io_copy(io, offset + head, from + head, middle);
    if (tail)
        copy_edge(io, offset + head + middle, from + head + middle, tail);
}

void vm_io_set(struct vm_io *io, uint64_t offset, int byte, size_t len_bytes)
{
    io->ops->set(io->arg, io->base + offset, byte, len_bytes);
    io->lines += line_count(offset, len_bytes);
    io->bytes += len_bytes;
}

void vm_io_set_words(struct vm_io *io, uint64_t offset, int byte, size_t len_bytes)
{
    uint8_t edge[8];
    memset(edge, byte, sizeof edge);
    size_t head = (8 - offset % 8) % 8;
    if (head > len_bytes)
        head = len_bytes;
    size_t tail = (len_bytes - head) % 8;
    size_t middle = len_bytes - head - tail;
    if (head)
        copy_edge(io, offset, edge, head);
    if (middle)
        vm_io_set(io, offset + head, byte, middle);
    if (tail)
        copy_edge(io, offset + head + middle, edge, tail);
}

void vm_io_store(struct vm_io *io, uint64_t offset, const void *src, size_t len_bytes)
{
    io->ops->store(io->arg, io->base + offset, src, len_bytes);
    io->bytes += len_bytes;
}

static uint64_t *io_word(struct vm_io *io, uint64_t offset)
{
    VM_ASSERT(offset % 8 == 0);
    return (uint64_t *)(void *)(io->base + offset);
}

void vm_io_mask(struct vm_io *io, uint64_t offset, uint64_t mask, uint64_t value)
{
    io->ops->mask(io->arg, io_word(io, offset), mask, value);
    io->bytes += 8;
}

void vm_io_max(struct vm_io *io, uint64_t offset, uint64_t value)
{
    io->ops->max(io->arg, io_word(io, offset), value);
    io->bytes += 8;
}

void vm_io_flush(struct vm_io *io, uint64_t offset, size_t len_bytes)
{
    io->ops->flush(io->arg, io->base + offset, len_bytes);
    io->lines += line_count(offset, len_bytes);
}

int vm_io_fence(struct vm_io *io)
{
    io->fences++;
    return io->ops->fence(io->arg);
}
