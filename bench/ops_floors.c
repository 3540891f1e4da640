/* ops_floors.c -- what the machine's memory itself costs
 *
 * The floors use a mapping beside the region, of the same kind of memory: a window to read from, a
 * window to write to, both as large as the files of the data rows, and a ring for small records. */
#include <libpmem.h>
#include <string.h>

#include "ops.h"

#define RECORD_BYTES 256u

static int nothing_call(struct op_context *context, uint32_t index)
{
    (void)context;
    (void)index;
    return 0;
}

/* The compiler must not know the length, or it copies inline in a way that is slower than the C
 * library's, nor that nobody looks at the copy. */
static int memcpy4k_call(struct op_context *context, uint32_t index)
{
    size_t length = OP_PAGE_BYTES;

    __asm__ volatile("" : "+r"(length));
    memcpy(context->page, context->env->floor_source + context->offsets[index], length);
    __asm__ volatile("" : : "r"(context->page) : "memory");
    return 0;
}

static int pmem4k_call(struct op_context *context, uint32_t index)
{
    pmem_memcpy_persist(context->env->floor_target + context->offsets[index], context->page,
                        OP_PAGE_BYTES);
    return 0;
}

static int ring_prepare(struct op_context *context, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        context->offsets[i] = context->cursor;
        context->cursor = (context->cursor + RECORD_BYTES) % ENV_RING_BYTES;
    }
    return 0;
}

#if defined(__x86_64__)
#include <emmintrin.h>

static int nt256_call(struct op_context *context, uint32_t index)
{
    uint8_t *record = context->env->floor_ring + context->offsets[index];
    __m128i value = _mm_set1_epi8((char)index);

    for (uint32_t at = 0; at < RECORD_BYTES; at += sizeof(value))
        _mm_stream_si128((void *)(record + at), value);
    _mm_sfence();
    return 0;
}
#else
static int nt256_call(struct op_context *context, uint32_t index)
{
    uint8_t *record = context->env->floor_ring + context->offsets[index];

    pmem_memcpy(record, context->page, RECORD_BYTES, PMEM_F_MEM_NONTEMPORAL | PMEM_F_MEM_NODRAIN);
    pmem_drain();
    return 0;
}
#endif

const struct bench_op op_nothing = {.name = "nothing", .call = nothing_call};

const struct bench_op op_memcpy4k = {
    .name = "memcpy4k", .prepare = op_draw_offsets, .call = memcpy4k_call};

const struct bench_op op_nt256_fence = {
    .name = "nt256_fence", .prepare = ring_prepare, .call = nt256_call};

const struct bench_op op_pmem4k = {
    .name = "pmem4k", .prepare = op_draw_offsets, .call = pmem4k_call};
