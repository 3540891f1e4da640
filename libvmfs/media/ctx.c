/* ctx.c -- reading through the overlay */
#include "media/ctx.h"

#include <string.h>

#include "base/check.h"
#include "base/util.h"

/* A version that is read afterwards is read afterwards (L1); what is mixed is found by it. */
static void copy_out(void *dst, const uint8_t *src, size_t len_bytes)
{
#if defined(VM_THREAD_SANITIZER)
    const uint64_t *from = (const uint64_t *)(const void *)src;
    uint8_t *to = dst;
    for (size_t done = 0; done < len_bytes; done += 8) {
        uint64_t word = __atomic_load_n(from++, __ATOMIC_ACQUIRE);
        memcpy(to + done, &word, 8);
    }
#else
    memcpy(dst, src, len_bytes);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
#endif
}

static void read_staged(struct vm_ctx *ctx, uint64_t offset, uint8_t *buffer, size_t len_bytes)
{
    uint64_t end = offset + len_bytes;
    for (uint64_t line = vm_align_down(offset, 64); line < end; line += 64) {
        const struct vm_overlay_line *staged = vm_overlay_find(ctx->overlay, line);
        if (!staged)
            continue;
        uint64_t start = vm_max(line, offset);
        uint64_t stop = vm_min(line + 64, end);
        memcpy(buffer + (start - offset), staged->bytes + (start - line), stop - start);
    }
}

int vm_read(struct vm_ctx *ctx, uint64_t offset, void *buffer, size_t len_bytes)
{
    if (!vm_range_inside(offset, len_bytes, ctx->region->bytes) || offset % 8)
        return vm_raise(&ctx->err, VMFS_R_OFFSET, offset);
    copy_out(buffer, ctx->region->base + offset, len_bytes);
    if (ctx->overlay && ctx->overlay->count)
        read_staged(ctx, offset, buffer, len_bytes);
    return 0;
}

uint64_t vm_load64(struct vm_ctx *ctx, uint64_t offset)
{
    VM_ASSERT(offset % 8 == 0 && offset < ctx->region->bytes);
    if (ctx->overlay && ctx->overlay->count) {
        const struct vm_overlay_line *staged =
            vm_overlay_find(ctx->overlay, vm_align_down(offset, 64));
        if (staged) {
            struct vm_le64 word;
            memcpy(&word, staged->bytes + offset % 64, sizeof word);
            return vm_get64(word);
        }
    }
    return vm_load64_home(ctx->region, offset);
}

int vm_alloc(struct vm_ctx *ctx, size_t len_bytes, void **memory)
{
    const struct vm_platform *platform = ctx->region->platform;
    *memory = platform->alloc(platform->arg, len_bytes);
    return *memory ? 0 : vm_raise(&ctx->err, VMFS_R_MEMORY, len_bytes);
}

int vm_back(struct vm_ctx *ctx, uint64_t offset, uint64_t len_bytes)
{
    const struct vm_platform *platform = ctx->region->platform;
    int refused = platform->back(platform->arg, offset, len_bytes);
    if (refused == VM_BACK_MEMORY)
        return vm_raise(&ctx->err, VMFS_R_VIEW_MEMORY, offset);
    if (refused)
        return vm_raise(&ctx->err, VMFS_R_BACKING, offset);
    return 0;
}

void vm_copy_data(void *dst, const uint8_t *src, size_t len_bytes)
{
#if defined(VM_THREAD_SANITIZER)
    uint8_t *to = dst;
    for (size_t done = 0; done < len_bytes; done++)
        to[done] = __atomic_load_n(src + done, __ATOMIC_RELAXED);
#else
    memcpy(dst, src, len_bytes);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
#endif
}
