/* repair_fields.h -- every field of libvmfs/media/format.h, where the world has it, and what it may cost
 *
 * x(STRUCT, FIELD, PLACE, COST): PLACE is a function in test_repair_fields.c that says where such a struct
 * lies; COST is one of repair_judge.h. tests/spec/check_fields.py compares the list with format.h. */
#ifndef TESTS_UNIT_REPAIR_FIELDS_H
#define TESTS_UNIT_REPAIR_FIELDS_H

// clang-format off
#define ZONE_FIELDS(x, PLACE, COST) \
    x(vm_zone_media, first_block, PLACE, COST) \
    x(vm_zone_media, block_count, PLACE, COST) \
    x(vm_zone_media, head_block, PLACE, COST) \
    x(vm_zone_media, group_count, PLACE, COST) \
    x(vm_zone_media, zero_, PLACE, COST)

#define SHARE_FIELDS(x, PLACE, COST) \
    x(vm_share_media, root_inode, PLACE, COST) \
    x(vm_share_media, map_block, PLACE, COST) \
    x(vm_share_media, snap_epoch, PLACE, COST) \
    x(vm_share_media, base_share, PLACE, COST) \
    x(vm_share_media, quota_blocks, PLACE, COST) \
    x(vm_share_media, zero_, PLACE, COST)

#define SUPER_FIELDS(x, PLACE, COST) \
    x(vm_super_media, magic, PLACE, COST) \
    x(vm_super_media, check, PLACE, COST) \
    x(vm_super_media, self, PLACE, COST) \
    x(vm_super_media, generation, PLACE, COST) \
    x(vm_super_media, version, PLACE, COST) \
    x(vm_super_media, flags, PLACE, COST) \
    x(vm_super_media, compat, PLACE, COST) \
    x(vm_super_media, ro_compat, PLACE, COST) \
    x(vm_super_media, incompat, PLACE, COST) \
    x(vm_super_media, uuid, PLACE, COST) \
    x(vm_super_media, hash_seed, PLACE, COST) \
    x(vm_super_media, name_seed, PLACE, COST) \
    x(vm_super_media, region_blocks, PLACE, COST) \
    x(vm_super_media, created_ns, PLACE, COST) \
    x(vm_super_media, lane_offset, PLACE, COST) \
    x(vm_super_media, lane_count, PLACE, COST) \
    x(vm_super_media, lane_bytes, PLACE, COST) \
    x(vm_super_media, epoch, PLACE, COST) \
    x(vm_super_media, epoch_limit, PLACE, COST) \
    x(vm_super_media, chunk_blocks, PLACE, COST) \
    x(vm_super_media, inode_bytes, PLACE, COST) \
    x(vm_super_media, zone_count, PLACE, COST) \
    x(vm_super_media, gap_policy, PLACE, COST) \
    x(vm_super_media, label, PLACE, COST) \
    x(vm_super_media, share, PLACE, COST) \
    x(vm_super_media, zones, PLACE, COST) \
    x(vm_super_media, zero_, PLACE, COST)

#define WATERMARK_FIELDS(x, PLACE, COST) \
    x(vm_watermark_media, nonce, PLACE, COST) \
    x(vm_watermark_media, era, PLACE, COST) \
    x(vm_watermark_media, watermark, PLACE, COST) \
    x(vm_watermark_media, blocks_free, PLACE, COST) \
    x(vm_watermark_media, inodes_used, PLACE, COST) \
    x(vm_watermark_media, orphans, PLACE, COST) \
    x(vm_watermark_media, zero_, PLACE, COST) \
    x(vm_watermark_media, check, PLACE, COST)

#define OWNER_FIELDS(x, PLACE, COST) \
    x(vm_owner_media, pid, PLACE, COST) \
    x(vm_owner_media, start_ticks, PLACE, COST) \
    x(vm_owner_media, boot, PLACE, COST) \
    x(vm_owner_media, state, PLACE, COST) \
    x(vm_owner_media, zero_, PLACE, COST) \
    x(vm_owner_media, zero2_, PLACE, COST)

#define RECORD_FIELDS(x, PLACE, COST) \
    x(vm_record_media, nonce, PLACE, COST) \
    x(vm_record_media, sequence, PLACE, COST) \
    x(vm_record_media, watermark, PLACE, COST) \
    x(vm_record_media, len_bytes, PLACE, COST) \
    x(vm_record_media, entry_count, PLACE, COST) \
    x(vm_record_media, flags, PLACE, COST) \
    x(vm_record_media, blocks_delta, PLACE, COST) \
    x(vm_record_media, inodes_delta, PLACE, COST) \
    x(vm_record_media, orphans_delta, PLACE, COST) \
    x(vm_record_media, era, PLACE, COST) \
    x(vm_record_media, transaction, PLACE, COST) \
    x(vm_record_media, check, PLACE, COST)

#define ZONE_STATE_FIELDS(x, PLACE, COST) \
    x(vm_zone_state_media, magic, PLACE, COST) \
    x(vm_zone_state_media, hash, PLACE, COST) \
    x(vm_zone_state_media, self, PLACE, COST) \
    x(vm_zone_state_media, groups_ready, PLACE, COST) \
    x(vm_zone_state_media, zero_, PLACE, COST) \
    x(vm_zone_state_media, zero2_, PLACE, COST)

#define GROUP_FIELDS(x, PLACE, COST) \
    x(vm_group_media, magic, PLACE, COST) \
    x(vm_group_media, hash, PLACE, COST) \
    x(vm_group_media, self, PLACE, COST) \
    x(vm_group_media, birth, PLACE, COST) \
    x(vm_group_media, bitmap_block, PLACE, COST) \
    x(vm_group_media, first_block, PLACE, COST) \
    x(vm_group_media, project, PLACE, COST) \
    x(vm_group_media, zero_, PLACE, COST) \
    x(vm_group_media, touched, PLACE, COST) \
    x(vm_group_media, zero2_, PLACE, COST)

#define NODE_FIELDS(x, PLACE, COST) \
    x(vm_node_media, magic, PLACE, COST) \
    x(vm_node_media, kind, PLACE, COST) \
    x(vm_node_media, level, PLACE, COST) \
    x(vm_node_media, flags, PLACE, COST) \
    x(vm_node_media, self, PLACE, COST) \
    x(vm_node_media, tag, PLACE, COST) \
    x(vm_node_media, birth, PLACE, COST) \
    x(vm_node_media, low, PLACE, COST) \
    x(vm_node_media, high, PLACE, COST) \
    x(vm_node_media, count, PLACE, COST) \
    x(vm_node_media, zero_, PLACE, COST) \
    x(vm_node_media, hash, PLACE, COST)

#define INNER_FIELDS(x, PLACE, COST) \
    x(vm_inner_media, head, PLACE, COST) \
    x(vm_inner_media, zero_, PLACE, COST) \
    x(vm_inner_media, key, PLACE, COST) \
    x(vm_inner_media, child, PLACE, COST)

#define CELL_FIELDS(x, PLACE, COST) \
    x(vm_cell_media, key, PLACE, COST) \
    x(vm_cell_media, value, PLACE, COST) \
    x(vm_cell_media, hash, PLACE, COST) \
    x(vm_cell_media, name_bytes, PLACE, COST) \
    x(vm_cell_media, type, PLACE, COST) \
    x(vm_cell_media, cells, PLACE, COST) \
    x(vm_cell_media, zero_, PLACE, COST) \
    x(vm_cell_media, payload, PLACE, COST)

#define NAMED_FIELDS(x, PLACE, COST) \
    x(vm_named_media, head, PLACE, COST) \
    x(vm_named_media, bitmap, PLACE, COST) \
    x(vm_named_media, fp, PLACE, COST) \
    x(vm_named_media, zero_, PLACE, COST) \
    x(vm_named_media, cells, PLACE, COST)

#define XATTR_FIELDS(x, PLACE, COST) \
    x(vm_xattr_media, block, PLACE, COST) \
    x(vm_xattr_media, len_bytes, PLACE, COST) \
    x(vm_xattr_media, blocks, PLACE, COST) \
    x(vm_xattr_media, check, PLACE, COST)

#define ACL_FIELDS(x, PLACE, COST) \
    x(vm_acl_media, version, PLACE, COST)

#define ACL_ENTRY_FIELDS(x, PLACE, COST) \
    x(vm_acl_entry_media, tag, PLACE, COST) \
    x(vm_acl_entry_media, permissions, PLACE, COST) \
    x(vm_acl_entry_media, id, PLACE, COST)

#define EXTENT_FIELDS(x, PLACE, COST) \
    x(vm_extent_media, file_block, PLACE, COST) \
    x(vm_extent_media, place, PLACE, COST) \
    x(vm_extent_media, blocks, PLACE, COST) \
    x(vm_extent_media, hash, PLACE, COST) \
    x(vm_extent_media, birth, PLACE, COST)

#define FIXED_FIELDS(x, PLACE, COST) \
    x(vm_fixed_media, head, PLACE, COST) \
    x(vm_fixed_media, zero_, PLACE, COST) \
    x(vm_fixed_media, first, PLACE, COST) \
    x(vm_fixed_media, used, PLACE, COST) \
    x(vm_fixed_media, zero1_, PLACE, COST) \
    x(vm_fixed_media, zero2_, PLACE, COST) \
    x(vm_fixed_media, zero3_, PLACE, COST) \
    x(vm_fixed_media, slots, PLACE, COST)

#define MAP_ENTRY_FIELDS(x, PLACE, COST) \
    x(vm_map_entry_media, block, PLACE, COST) \
    x(vm_map_entry_media, generation_floor, PLACE, COST) \
    x(vm_map_entry_media, hash, PLACE, COST)

#define MAP_FIELDS(x, PLACE, COST) \
    x(vm_map_media, magic, PLACE, COST) \
    x(vm_map_media, hash, PLACE, COST) \
    x(vm_map_media, self, PLACE, COST) \
    x(vm_map_media, birth, PLACE, COST) \
    x(vm_map_media, level, PLACE, COST) \
    x(vm_map_media, zero_, PLACE, COST) \
    x(vm_map_media, zero2_, PLACE, COST) \
    x(vm_map_media, entries, PLACE, COST)

#define CHUNK_FIELDS(x, PLACE, COST) \
    x(vm_chunk_media, magic, PLACE, COST) \
    x(vm_chunk_media, hash, PLACE, COST) \
    x(vm_chunk_media, self, PLACE, COST) \
    x(vm_chunk_media, birth, PLACE, COST) \
    x(vm_chunk_media, first_slot, PLACE, COST) \
    x(vm_chunk_media, inodes, PLACE, COST) \
    x(vm_chunk_media, zero_, PLACE, COST) \
    x(vm_chunk_media, zero2_, PLACE, COST) \
    x(vm_chunk_media, used, PLACE, COST) \
    x(vm_chunk_media, orphan, PLACE, COST) \
    x(vm_chunk_media, zero3_, PLACE, COST)

#define RETIRED_FIELDS(x, PLACE, COST) \
    x(vm_retired_media, root, PLACE, COST) \
    x(vm_retired_media, tag, PLACE, COST) \
    x(vm_retired_media, first, PLACE, COST) \
    x(vm_retired_media, end, PLACE, COST) \
    x(vm_retired_media, list_root, PLACE, COST) \
    x(vm_retired_media, zero_, PLACE, COST)

/* Half of an inode is believed as far as the other half and the maps bear it out. */
#define INODE_LINE_FIELDS(x, PLACE, COST) \
    x(vm_inode_media, hash0, PLACE, COST) \
    x(vm_inode_media, mode, PLACE, COST) \
    x(vm_inode_media, kind, PLACE, COST) \
    x(vm_inode_media, nlink, PLACE, COST) \
    x(vm_inode_media, uid, PLACE, COST) \
    x(vm_inode_media, gid, PLACE, COST) \
    x(vm_inode_media, blocks, PLACE, COST) \
    x(vm_inode_media, mtime_ns, PLACE, COST) \
    x(vm_inode_media, ctime_ns, PLACE, COST) \
    x(vm_inode_media, atime_ns, PLACE, COST) \
    x(vm_inode_media, form, PLACE, COST)

#define INODE_SIZE_FIELDS(x, PLACE, COST) \
    x(vm_inode_media, size, PLACE, COST)

#define INODE_ID_FIELDS(x, PLACE, COST) \
    x(vm_inode_media, generation, PLACE, COST)

#define INODE_REST_FIELDS(x, PLACE, COST) \
    x(vm_inode_media, hash1, PLACE, COST) \
    x(vm_inode_media, project, PLACE, COST) \
    x(vm_inode_media, btime_ns, PLACE, COST) \
    x(vm_inode_media, tag, PLACE, COST) \
    x(vm_inode_media, parent, PLACE, COST) \
    x(vm_inode_media, base_inode, PLACE, COST) \
    x(vm_inode_media, base_epoch, PLACE, COST) \
    x(vm_inode_media, birth, PLACE, COST) \
    x(vm_inode_media, xattr_root, PLACE, COST)

#define INODE_BODY_FIELDS(x, PLACE, COST) \
    x(vm_inode_media, body, PLACE, COST)

#define REPAIR_FIELDS(x) \
    ZONE_FIELDS(x, super_zone, "") \
    SHARE_FIELDS(x, super_share, "") \
    SUPER_FIELDS(x, super_a, "") \
    SUPER_FIELDS(x, super_b, "") \
    WATERMARK_FIELDS(x, line_a, "") \
    WATERMARK_FIELDS(x, line_b, "") \
    OWNER_FIELDS(x, owner, "") \
    RECORD_FIELDS(x, record, "") \
    ZONE_STATE_FIELDS(x, zone_state, "") \
    GROUP_FIELDS(x, descriptor, "") \
    NODE_FIELDS(x, inner_names, "/many") \
    NODE_FIELDS(x, inner_extents, "/fragments") \
    NODE_FIELDS(x, leaf_names, "/many") \
    NODE_FIELDS(x, leaf_extents, "/fragments") \
    NODE_FIELDS(x, leaf_attributes, "/attrs") \
    INNER_FIELDS(x, inner_names, "/many") \
    INNER_FIELDS(x, inner_extents, "/fragments") \
    CELL_FIELDS(x, cell, "/many:1") \
    CELL_FIELDS(x, cell_attribute, "/attrs:1") \
    NAMED_FIELDS(x, leaf_names, "/many") \
    NAMED_FIELDS(x, leaf_attributes, "/attrs") \
    XATTR_FIELDS(x, value, "/attrs:1") \
    ACL_FIELDS(x, acl, "/dir:1") \
    ACL_ENTRY_FIELDS(x, acl_entry, "/dir:1") \
    EXTENT_FIELDS(x, slot, "/fragments:1") \
    EXTENT_FIELDS(x, inline_slot, "/few:2") \
    FIXED_FIELDS(x, leaf_extents, "/fragments") \
    MAP_ENTRY_FIELDS(x, root_entry, "") \
    MAP_ENTRY_FIELDS(x, leaf_entry, "") \
    MAP_FIELDS(x, map_root, "") \
    MAP_FIELDS(x, map_leaf, "") \
    CHUNK_FIELDS(x, first_chunk, "") \
    CHUNK_FIELDS(x, second_chunk, "") \
    RETIRED_FIELDS(x, retired, "") \
    INODE_LINE_FIELDS(x, file_inode, "/plain") \
    INODE_SIZE_FIELDS(x, file_inode, "+/plain") \
    INODE_ID_FIELDS(x, file_inode, "!/plain") \
    INODE_REST_FIELDS(x, file_inode, "/plain") \
    INODE_BODY_FIELDS(x, file_inode, "!/plain") \
    INODE_LINE_FIELDS(x, tree_inode, "/fragments") \
    INODE_SIZE_FIELDS(x, tree_inode, "+/fragments") \
    INODE_ID_FIELDS(x, tree_inode, "!/fragments") \
    INODE_REST_FIELDS(x, tree_inode, "/fragments") \
    INODE_BODY_FIELDS(x, tree_inode, "!/fragments") \
    INODE_LINE_FIELDS(x, dir_inode, "/dir") \
    INODE_SIZE_FIELDS(x, dir_inode, "+/dir") \
    INODE_ID_FIELDS(x, dir_inode, "!/dir") \
    INODE_REST_FIELDS(x, dir_inode, "/dir") \
    INODE_BODY_FIELDS(x, dir_inode, "!/dir") \
    INODE_LINE_FIELDS(x, many_inode, "/many") \
    INODE_SIZE_FIELDS(x, many_inode, "+/many") \
    INODE_ID_FIELDS(x, many_inode, "!/many") \
    INODE_REST_FIELDS(x, many_inode, "/many") \
    INODE_BODY_FIELDS(x, many_inode, "!/many") \
    INODE_LINE_FIELDS(x, extents_inode, "/few") \
    INODE_SIZE_FIELDS(x, extents_inode, "+/few") \
    INODE_ID_FIELDS(x, extents_inode, "!/few") \
    INODE_REST_FIELDS(x, extents_inode, "/few") \
    INODE_BODY_FIELDS(x, extents_inode, "!/few") \
    INODE_LINE_FIELDS(x, link_inode, "!/short") \
    INODE_SIZE_FIELDS(x, link_inode, "!/short") \
    INODE_ID_FIELDS(x, link_inode, "!/short") \
    INODE_REST_FIELDS(x, link_inode, "!/short") \
    INODE_BODY_FIELDS(x, link_inode, "!/short") \
    INODE_LINE_FIELDS(x, device_inode, "!/device") \
    INODE_SIZE_FIELDS(x, device_inode, "!/device") \
    INODE_ID_FIELDS(x, device_inode, "!/device") \
    INODE_REST_FIELDS(x, device_inode, "!/device") \
    INODE_BODY_FIELDS(x, device_inode, "!/device") \
    INODE_LINE_FIELDS(x, root_inode, "/") \
    INODE_SIZE_FIELDS(x, root_inode, "/") \
    INODE_ID_FIELDS(x, root_inode, "/") \
    INODE_REST_FIELDS(x, root_inode, "/") \
    INODE_BODY_FIELDS(x, root_inode, "/") \
    INODE_LINE_FIELDS(x, free_inode, "") \
    INODE_SIZE_FIELDS(x, free_inode, "") \
    INODE_ID_FIELDS(x, free_inode, "") \
    INODE_REST_FIELDS(x, free_inode, "") \
    INODE_BODY_FIELDS(x, free_inode, "")
// clang-format on

#endif
