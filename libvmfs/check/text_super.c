/* text_super.c -- superblock, watermark and owner lines, zones, groups and bitmaps as text */
#include <string.h>

#include "base/util.h"
#include "check/text.h"
#include "check/validate.h"

static void say_uuid(struct vm_dump *dump, const uint8_t *uuid)
{
    static const uint8_t parts[] = {4, 2, 2, 2, 6};
    vm_say_text(dump, " uuid=");
    for (unsigned part = 0; part < sizeof parts; part++) {
        if (part)
            vm_say_text(dump, "-");
        vm_say_hex(dump, uuid, parts[part]);
        uuid += parts[part];
    }
}

static void say_zones(struct vm_dump *dump, const struct vm_super_media *super)
{
    for (uint64_t index = 0; index < VM_ZONE_MAX; index++) {
        const struct vm_zone_media *zone = &super->zones[index];
        if (vm_get64(zone->block_count) == 0 && index >= vm_get32(super->zone_count))
            continue;
        vm_say(dump, "zone %n: first_block=%n block_count=%n head_block=%n group_count=%n", index,
               vm_get64(zone->first_block), vm_get64(zone->block_count), vm_get64(zone->head_block),
               vm_get32(zone->group_count));
        vm_say_end(dump);
    }
}

void vm_super_to_text(struct vm_dump *dump, uint64_t offset)
{
    struct vm_super_media super;
    if (vm_read(dump->ctx, offset, &super, sizeof super))
        return;
    vm_say(dump, "superblock: offset=%n check=%c self=%n generation=%n version=%n flags=%x", offset,
           vm_super_validate(&super, offset), vm_get64(super.self), vm_get64(super.generation),
           vm_get32(super.version), vm_get32(super.flags));
    say_uuid(dump, super.uuid);
    vm_say_end(dump);
    dump->indent++;
    vm_say(dump, "features: compat=%x ro_compat=%x incompat=%x", vm_get64(super.compat),
           vm_get64(super.ro_compat), vm_get64(super.incompat));
    vm_say_end(dump);
    vm_say(dump, "geometry: region_blocks=%n lane_offset=%n lane_count=%n lane_bytes=%n",
           vm_get64(super.region_blocks), vm_get64(super.lane_offset), vm_get32(super.lane_count),
           vm_get32(super.lane_bytes));
    vm_say(dump, " chunk_blocks=%n inode_bytes=%n zone_count=%n gap_policy=%n",
           vm_get32(super.chunk_blocks), vm_get32(super.inode_bytes), vm_get32(super.zone_count),
           vm_get32(super.gap_policy));
    vm_say_end(dump);
    vm_say(dump, "clock: created_ns=%n epoch=%n epoch_limit=%n", vm_get64(super.created_ns),
           vm_get64(super.epoch), vm_get64(super.epoch_limit));
    vm_say_end(dump);
    vm_say(dump, "share: root_inode=%n map_block=%n snap_epoch=%n base_share=%n quota_blocks=%n",
           vm_get64(super.share.root_inode), vm_get64(super.share.map_block),
           vm_get64(super.share.snap_epoch), vm_get64(super.share.base_share),
           vm_get64(super.share.quota_blocks));
    vm_say_end(dump);
    say_zones(dump, &super);
    dump->indent--;
}

void vm_line_to_text(struct vm_dump *dump, uint64_t offset)
{
    struct vm_watermark_media line;
    if (vm_read(dump->ctx, offset, &line, sizeof line))
        return;
    vm_say(dump, "watermark: offset=%n check=%c era=%n watermark=%n", offset,
           vm_line_validate(&line, offset), vm_get64(line.era), vm_get64(line.watermark));
    vm_say(dump, " blocks_free=%n inodes_used=%n orphans=%n", vm_get64(line.blocks_free),
           vm_get64(line.inodes_used), vm_get64(line.orphans));
    vm_say_end(dump);
}

void vm_owner_to_text(struct vm_dump *dump, uint64_t offset)
{
    struct vm_owner_media owner;
    if (vm_read(dump->ctx, offset, &owner, sizeof owner))
        return;
    vm_say(dump, "owner: offset=%n pid=%n start_ticks=%n boot=%x", offset, vm_get64(owner.pid),
           vm_get64(owner.start_ticks), vm_get64(owner.boot));
    if (vm_get64(owner.pid))
        vm_say(dump, " state=%n", (uint64_t)vm_get32(owner.state));
    vm_say_end(dump);
}

void vm_zone_to_text(struct vm_dump *dump, const struct vm_zone *zone)
{
    struct vm_zone_state_media state;
    uint64_t offset = zone->head_block * VM_BLOCK_BYTES;
    if (vm_read(dump->ctx, offset, &state, sizeof state))
        return;
    vm_say(dump, "zone state: offset=%n check=%c groups_ready=%n groups=%n first_block=%n", offset,
           vm_zone_state_validate(dump->region, zone, &state), vm_get32(state.groups_ready),
           zone->group_count, zone->first_block);
    vm_say_end(dump);
}

void vm_group_to_text(struct vm_dump *dump, uint64_t group)
{
    struct vm_group_media media;
    struct vm_group_place place = vm_region_group(dump->region, group);
    if (vm_read(dump->ctx, place.descriptor_offset, &media, sizeof media))
        return;
    vm_say(dump, "group %n: offset=%n check=%c first_block=%n blocks=%n bitmap_block=%n", group,
           place.descriptor_offset, vm_group_validate(dump->region, &place, &media),
           vm_get64(media.first_block), place.block_count, vm_get64(media.bitmap_block));
    vm_say(dump, " birth=%n project=%n touched=%x", vm_get64(media.birth), vm_get64(media.project),
           vm_get64(media.touched));
    vm_say_end(dump);
}

/* One line for each run of blocks in use. */
void vm_bitmap_to_text(struct vm_dump *dump, uint64_t group)
{
    struct vm_group_place place = vm_region_group(dump->region, group);
    uint64_t run = 0;
    uint64_t used = 0;
    vm_say(dump, "bitmap: offset=%n group=%n", place.bitmap_offset, group);
    vm_say_end(dump);
    dump->indent++;
    for (uint64_t bit = 0; bit <= place.block_count; bit++) {
        bool is_set =
            bit < place.block_count &&
            (vm_load64_home(dump->region, place.bitmap_offset + bit / 64 * 8) >> bit % 64 & 1);
        if (is_set) {
            run++;
            continue;
        }
        if (run) {
            vm_say(dump, "used: block=%n blocks=%n", place.first_block + bit - run, run);
            vm_say_end(dump);
        }
        used += run;
        run = 0;
    }
    vm_say(dump, "sum: used=%n free=%n", used, place.block_count - used);
    vm_say_end(dump);
    dump->indent--;
}
