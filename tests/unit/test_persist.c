/* test_persist.c -- what a backend asks of libpmem, and what a store costs
 *
 * The calls of libpmem that the backend makes are taken in its place. */
#include <criterion/criterion.h>
#include <libpmem.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "persist/persist.h"
#include "region.h"

struct call {
    char kind; /* 'f' flush, 'd' drain, 'c' copy, 's' set, 'm' msync */
    const void *address;
    size_t len_bytes;
    unsigned flags;
};

static struct call calls[8];
static unsigned call_count;

static void note(char kind, const void *address, size_t len_bytes, unsigned flags)
{
    cr_assert(call_count < sizeof calls / sizeof calls[0]);
    calls[call_count++] = (struct call){kind, address, len_bytes, flags};
}

void __wrap_pmem_flush(const void *address, size_t len_bytes);
void __wrap_pmem_drain(void);
void *__wrap_pmem_memcpy(void *to, const void *from, size_t len_bytes, unsigned flags);
void *__wrap_pmem_memset(void *to, int byte, size_t len_bytes, unsigned flags);

void __wrap_pmem_flush(const void *address, size_t len_bytes)
{
    note('f', address, len_bytes, 0);
}

void __wrap_pmem_drain(void)
{
    note('d', NULL, 0, 0);
}

void *__wrap_pmem_memcpy(void *to, const void *from, size_t len_bytes, unsigned flags)
{
    note('c', to, len_bytes, flags);
    return memmove(to, from, len_bytes);
}

void *__wrap_pmem_memset(void *to, int byte, size_t len_bytes, unsigned flags)
{
    note('s', to, len_bytes, flags);
    return memset(to, byte, len_bytes);
}

int __wrap_msync(void *address, size_t len_bytes, int flags);

int __wrap_msync(void *address, size_t len_bytes, int flags)
{
    note('m', address, len_bytes, (unsigned)flags);
    return 0;
}

static _Alignas(64) uint8_t memory[512];

static struct vm_io start(void)
{
    call_count = 0;
    return (struct vm_io){.ops = vm_persist_libpmem(), .base = memory};
}

/* With the copy of our own, or skips the test. */
static struct vm_io start_wide(void)
{
    struct vm_io io = start();
    io.ops = vm_persist_pmem();
    if (io.ops == vm_persist_libpmem())
        cr_skip_test("no AVX");
    return io;
}

static void expect_call(unsigned index, char kind, uint64_t offset, size_t len_bytes)
{
    cr_assert(index < call_count, "%u calls, no '%c'", call_count, kind);
    cr_expect_eq(calls[index].kind, kind, "call %u is '%c'", index, calls[index].kind);
    cr_expect_eq(calls[index].address, (const void *)(memory + offset));
    cr_expect_eq(calls[index].len_bytes, len_bytes);
}

Test(persist, flush_writes_back_the_range)
{
    struct vm_io io = start();
    vm_io_flush(&io, 64, 128);
    cr_expect_eq(call_count, 1);
    expect_call(0, 'f', 64, 128);
    cr_expect_eq(io.lines, 2);
}

Test(persist, fence_drains)
{
    struct vm_io io = start();
    cr_expect_eq(vm_io_fence(&io), 0);
    cr_expect_eq(call_count, 1);
    cr_expect_eq(calls[0].kind, 'd');
    cr_expect_eq(io.fences, 1);
}

/* Past the cache, and left to the caller's fence. */
Test(persist, copies_go_past_the_cache)
{
    struct vm_io io = start();
    vm_io_copy(&io, 8, "abcdefgh", 8);
    vm_io_set(&io, 128, 7, 64);
    cr_expect_eq(call_count, 2);
    expect_call(0, 'c', 8, 8);
    expect_call(1, 's', 128, 64);
    for (unsigned index = 0; index < 2; index++) {
        cr_expect(calls[index].flags & PMEM_F_MEM_NODRAIN);
        cr_expect(calls[index].flags & PMEM_F_MEM_NONTEMPORAL);
    }
}

/* The word at either edge is stored through the cache, so it needs a flush of its own. */
Test(persist, edges_are_flushed)
{
    struct vm_io io = start();
    vm_io_copy_words(&io, 67, "0123456789abcdefghij", 20);
    cr_expect_eq(call_count, 3);
    expect_call(0, 'f', 64, 8);
    expect_call(1, 'c', 72, 8);
    expect_call(2, 'f', 80, 8);
    cr_expect_eq(memcmp(memory + 67, "0123456789abcdefghij", 20), 0);
}

/* Of our own copy only the edges go through the cache, each with a flush of what was stored there. */
Test(persist, wide_copies_flush_edges_alone)
{
    struct vm_io io = start_wide();
    vm_io_copy(&io, 64, memory, 0);
    vm_io_copy(&io, 128, memory, 128);
    cr_expect_eq(call_count, 0);
    vm_io_copy(&io, 72, "abcdefgh", 8);
    vm_io_copy(&io, 56, memory + 256, 144);
    vm_io_copy(&io, 101, memory + 256, 27);
    cr_expect_eq(call_count, 4);
    expect_call(0, 'f', 72, 8);
    expect_call(1, 'f', 56, 8);
    expect_call(2, 'f', 192, 8);
    expect_call(3, 'f', 101, 27);
}

/* Every place in a line, and lengths about those of its loops: all bytes, and not one beside them. */
Test(persist, wide_copies_store_just_that)
{
    static _Alignas(64) uint8_t to[64 + 1200 + 64];
    static uint8_t from[1 + 1200];
    struct vm_io io = start_wide();
    io.base = to;
    for (size_t index = 0; index < sizeof from; index++)
        from[index] = (uint8_t)(index * 7 + index / 256 + 1);
    for (unsigned at = 0; at < 64; at++) {
        for (size_t length = 0; length <= 1200; length += length < 200 ? 1 : 31) {
            memset(to, 0xee, sizeof to);
            call_count = 0;
            vm_io_copy(&io, at, from + at % 2, length);
            cr_assert_eq(memcmp(to + at, from + at % 2, length), 0, "%u, %zu", at, length);
            for (size_t index = 0; index < sizeof to; index++)
                cr_assert(to[index] == 0xee || (index >= at && index < at + length),
                          "%u, %zu: byte %zu", at, length, index);
        }
    }
}

/* As memmove: from a view into the same file. */
Test(persist, wide_copies_may_overlap)
{
    static _Alignas(64) uint8_t both[2][2048];
    struct vm_io io = start_wide();
    for (unsigned apart = 0; apart < 700; apart += apart < 80 ? 1 : 29) {
        for (unsigned way = 0; way < 2; way++) {
            unsigned to = way ? 100 + apart : 100;
            unsigned from = way ? 100 : 100 + apart;
            for (unsigned index = 0; index < sizeof both[0]; index++)
                both[0][index] = both[1][index] = (uint8_t)(index * 7 + index / 256);
            call_count = 0;
            io.base = both[0];
            vm_io_copy(&io, to, both[0] + from, 1201);
            memmove(both[1] + to, both[1] + from, 1201);
            cr_assert_eq(memcmp(both[0], both[1], sizeof both[0]), 0, "%u apart, %u", apart, way);
            cr_assert_eq(call_count, 1);
            cr_assert_eq(calls[0].kind, 'c');
        }
    }
}

/* Neither can be seen from outside: machine code of the instruction that a store past the cache is, and of the fence
 * without which it may stay on its way. */
#if defined(__x86_64__)
static bool has_code(uintptr_t from, size_t len_bytes, const char *code)
{
    size_t count = strlen(code);
    for (uintptr_t at = from; at + count <= from + len_bytes; at++)
        if (memcmp((const void *)at, code, count) == 0)
            return true;
    return false;
}

Test(persist, wide_stores_go_past_the_cache_and_are_waited_for)
{
    struct vm_io io = start_wide();
    /* vmovntdq, or vmovntps as clang has it: the ends of its short and of its long form, of low and of high registers;
     * in a function before it if the loop is one */
    static const char *const codes[] = {"\xfd\xe7", "\x7d\xe7", "\xfc\x2b", "\x7c\x2b"};
    bool is_past = false;
    for (unsigned index = 0; index < 4; index++)
        is_past = is_past || has_code((uintptr_t)io.ops->copy - 1024, 3072, codes[index]);
    cr_expect(is_past);
    cr_expect(has_code((uintptr_t)io.ops->fence, 64, "\x0f\xae\xf8"), "no sfence");
    cr_expect_eq(vm_io_fence(&io), 0);
}
#endif

/* Order is all that there is, and it costs no call. */
Test(persist, none_keeps_to_itself)
{
    struct vm_io io = start();
    io.ops = vm_persist_none();
    vm_io_copy(&io, 0, "12345678", 8);
    vm_io_flush(&io, 0, 64);
    cr_expect_eq(vm_io_fence(&io), 0);
    cr_expect_eq(call_count, 0);
    cr_expect_eq(memcmp(memory, "12345678", 8), 0);
}

/* Level `process` on a file: what the page cache has goes out when the caller asks for it. */
Test(persist, sync_of_a_file_writes_the_page_cache)
{
    char path[REGION_PATH_MAX];
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    struct vmfs *fs;
    region_path(path, "page-cache");
    unlink(path);
    options.flags = VMFS_CREATE;
    options.region_bytes = 2 * REGION_MIB;
    options.durability = VMFS_DURABILITY_PROCESS;
    cr_assert_eq(vmfs_open(path, &options, &fs), 0);
    call_count = 0;
    cr_expect_eq(vmfs_mkdir(fs, "/d", 0755), 0);
    cr_expect_eq(call_count, 0);
    cr_expect_eq(vmfs_sync(fs), 0);
    cr_assert_eq(call_count, 1);
    cr_expect_eq(calls[0].kind, 'm');
    cr_expect_eq(calls[0].len_bytes, 2 * REGION_MIB);
    cr_expect_eq(calls[0].flags, (unsigned)MS_SYNC);
    cr_expect_eq(vmfs_close(fs), 0);
    unlink(path);
}
