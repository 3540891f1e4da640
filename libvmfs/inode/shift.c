/* shift.c -- splitting, moving and joining extents */
#include "inode/shift.h"

#include "base/util.h"
#include "inode/data.h"
#include "inode/extent.h"

int vm_shift_end(struct vm_ctx *ctx, struct vm_shift_stream *stream)
{
    if (stream->pending.blocks == 0)
        return 0;
    int result = stream->out ? stream->out(ctx, stream->arg, &stream->pending) : 0;
    stream->pending.blocks = 0;
    return result;
}

static struct vm_extent part_of(const struct vm_extent *extent, uint64_t from, uint64_t to,
                                uint64_t by)
{
    struct vm_extent part = *extent;
    part.file_block = from + by;
    part.block += from - extent->file_block;
    part.blocks = (uint32_t)(to - from);
    return part;
}

static int put(struct vm_ctx *ctx, struct vm_shift_stream *stream, const struct vm_extent *part)
{
    int result = vm_data_check_size(ctx, part->file_block * VM_BLOCK_BYTES,
                                    (uint64_t)part->blocks * VM_BLOCK_BYTES);
    if (result)
        return result;
    if (stream->pending.blocks && vm_extent_continues(&stream->pending, part)) {
        stream->pending.blocks += part->blocks;
        return 0;
    }
    result = vm_shift_end(ctx, stream);
    stream->pending = *part;
    return result;
}

static int drop(struct vm_ctx *ctx, struct vm_shift_stream *stream, const struct vm_extent *part)
{
    stream->gone_blocks += part->blocks;
    stream->gone_pieces++;
    return stream->gone ? stream->gone(ctx, stream->arg, part) : 0;
}

int vm_shift_add(struct vm_ctx *ctx, struct vm_shift_stream *stream, const struct vm_inode *inode,
                 const struct vm_extent *extent)
{
    const struct vm_shift *shift = stream->shift;
    uint64_t start = extent->file_block;
    uint64_t stop = start + extent->blocks;
    if (start < stream->floor)
        return vm_extent_disorder(ctx, inode);
    stream->floor = stop;
    int result = 0;
    if (start < shift->first) {
        struct vm_extent part = part_of(extent, start, vm_min(stop, shift->first), 0);
        result = put(ctx, stream, &part);
    }
    uint64_t from = vm_max(start, shift->first);
    uint64_t to = vm_min(stop, shift->end);
    if (result == 0 && from < to) {
        struct vm_extent part = part_of(extent, from, to, 0);
        result = drop(ctx, stream, &part);
    }
    if (result == 0 && stop > shift->end) {
        struct vm_extent part = part_of(extent, vm_max(start, shift->end), stop, shift->by);
        result = put(ctx, stream, &part);
    }
    return result;
}
