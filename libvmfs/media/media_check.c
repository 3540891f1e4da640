/* media_check.c -- the size of every structure and the offset of every field, asserted */
#include "media/format.h"

#include "base/check.h"

// clang-format off
#define SIZE(type, bytes) VM_CHECK_SIZE(struct type, bytes);
#define AT(type, field, bytes) VM_CHECK_OFFSET(struct type, field, bytes);

SIZE(vm_zone_media, 32)
AT(vm_zone_media, first_block, 0) AT(vm_zone_media, block_count, 8) AT(vm_zone_media, head_block, 16)
AT(vm_zone_media, group_count, 24) AT(vm_zone_media, zero_, 28)

SIZE(vm_share_media, 64)
AT(vm_share_media, root_inode, 0) AT(vm_share_media, map_block, 8) AT(vm_share_media, snap_epoch, 16)
AT(vm_share_media, base_share, 24) AT(vm_share_media, quota_blocks, 32) AT(vm_share_media, zero_, 40)

SIZE(vm_super_media, 4096)
AT(vm_super_media, magic, 0) AT(vm_super_media, check, 8) AT(vm_super_media, self, 16)
AT(vm_super_media, generation, 24) AT(vm_super_media, version, 32) AT(vm_super_media, flags, 36)
AT(vm_super_media, compat, 40) AT(vm_super_media, ro_compat, 48) AT(vm_super_media, incompat, 56)
AT(vm_super_media, uuid, 64) AT(vm_super_media, hash_seed, 80) AT(vm_super_media, name_seed, 88)
AT(vm_super_media, region_blocks, 96) AT(vm_super_media, created_ns, 104)
AT(vm_super_media, lane_offset, 112) AT(vm_super_media, lane_count, 120)
AT(vm_super_media, lane_bytes, 124) AT(vm_super_media, epoch, 128)
AT(vm_super_media, epoch_limit, 136) AT(vm_super_media, chunk_blocks, 144)
AT(vm_super_media, inode_bytes, 148) AT(vm_super_media, zone_count, 152)
AT(vm_super_media, gap_policy, 156) AT(vm_super_media, label, 160) AT(vm_super_media, share, 224)
AT(vm_super_media, zones, 288) AT(vm_super_media, zero_, 1312)

SIZE(vm_watermark_media, 64)
AT(vm_watermark_media, nonce, 0) AT(vm_watermark_media, era, 8) AT(vm_watermark_media, watermark, 16)
AT(vm_watermark_media, blocks_free, 24) AT(vm_watermark_media, inodes_used, 32)
AT(vm_watermark_media, orphans, 40) AT(vm_watermark_media, zero_, 48)
AT(vm_watermark_media, check, 56)

SIZE(vm_owner_media, 64)
AT(vm_owner_media, pid, 0) AT(vm_owner_media, start_ticks, 8) AT(vm_owner_media, boot, 16)
AT(vm_owner_media, state, 24) AT(vm_owner_media, zero_, 28) AT(vm_owner_media, zero2_, 32)

SIZE(vm_record_media, 64)
AT(vm_record_media, nonce, 0) AT(vm_record_media, sequence, 8) AT(vm_record_media, watermark, 16)
AT(vm_record_media, len_bytes, 24) AT(vm_record_media, entry_count, 28) AT(vm_record_media, flags, 30)
AT(vm_record_media, blocks_delta, 32) AT(vm_record_media, inodes_delta, 36)
AT(vm_record_media, orphans_delta, 40) AT(vm_record_media, era, 44)
AT(vm_record_media, transaction, 48) AT(vm_record_media, check, 56)

SIZE(vm_zone_state_media, 64)
AT(vm_zone_state_media, magic, 0) AT(vm_zone_state_media, hash, 4) AT(vm_zone_state_media, self, 8)
AT(vm_zone_state_media, groups_ready, 16) AT(vm_zone_state_media, zero_, 20)
AT(vm_zone_state_media, zero2_, 24)

SIZE(vm_group_media, 128)
AT(vm_group_media, magic, 0) AT(vm_group_media, hash, 4) AT(vm_group_media, self, 8)
AT(vm_group_media, birth, 16) AT(vm_group_media, bitmap_block, 24) AT(vm_group_media, first_block, 32)
AT(vm_group_media, project, 40) AT(vm_group_media, zero_, 48) AT(vm_group_media, touched, 64)
AT(vm_group_media, zero2_, 72)

SIZE(vm_node_media, 56)
AT(vm_node_media, magic, 0) AT(vm_node_media, kind, 4) AT(vm_node_media, level, 5)
AT(vm_node_media, flags, 6) AT(vm_node_media, self, 8) AT(vm_node_media, tag, 16)
AT(vm_node_media, birth, 24) AT(vm_node_media, low, 32) AT(vm_node_media, high, 40)
AT(vm_node_media, count, 48) AT(vm_node_media, zero_, 50) AT(vm_node_media, hash, 52)

SIZE(vm_inner_media, 4096)
AT(vm_inner_media, head, 0) AT(vm_inner_media, zero_, 56) AT(vm_inner_media, key, 64)
AT(vm_inner_media, child, 2080)

SIZE(vm_cell_media, 64)
AT(vm_cell_media, key, 0) AT(vm_cell_media, value, 8) AT(vm_cell_media, hash, 16)
AT(vm_cell_media, name_bytes, 20) AT(vm_cell_media, type, 21) AT(vm_cell_media, cells, 22)
AT(vm_cell_media, zero_, 23) AT(vm_cell_media, payload, 24)

SIZE(vm_named_media, 4096)
AT(vm_named_media, head, 0) AT(vm_named_media, bitmap, 56) AT(vm_named_media, fp, 64)
AT(vm_named_media, zero_, 126) AT(vm_named_media, cells, 128)

SIZE(vm_acl_entry_media, 8)
AT(vm_acl_entry_media, tag, 0) AT(vm_acl_entry_media, permissions, 2) AT(vm_acl_entry_media, id, 4)

SIZE(vm_acl_media, 4)
AT(vm_acl_media, version, 0)

SIZE(vm_xattr_media, 24)
AT(vm_xattr_media, block, 0) AT(vm_xattr_media, len_bytes, 8) AT(vm_xattr_media, blocks, 12)
AT(vm_xattr_media, check, 16)

SIZE(vm_extent_media, 32)
AT(vm_extent_media, file_block, 0) AT(vm_extent_media, place, 8) AT(vm_extent_media, blocks, 16)
AT(vm_extent_media, hash, 20) AT(vm_extent_media, birth, 24)

SIZE(vm_retired_media, 128)
AT(vm_retired_media, root, 0) AT(vm_retired_media, tag, 8) AT(vm_retired_media, first, 16)
AT(vm_retired_media, end, 24) AT(vm_retired_media, list_root, 32)

SIZE(vm_fixed_media, 4096)
AT(vm_fixed_media, head, 0) AT(vm_fixed_media, zero_, 56) AT(vm_fixed_media, first, 64)
AT(vm_fixed_media, used, 120) AT(vm_fixed_media, zero1_, 127) AT(vm_fixed_media, zero2_, 128)
AT(vm_fixed_media, zero3_, 160) AT(vm_fixed_media, slots, 512)

SIZE(vm_map_entry_media, 16)
AT(vm_map_entry_media, block, 0) AT(vm_map_entry_media, generation_floor, 8)
AT(vm_map_entry_media, hash, 12)

SIZE(vm_map_media, 4096)
AT(vm_map_media, magic, 0) AT(vm_map_media, hash, 4) AT(vm_map_media, self, 8)
AT(vm_map_media, birth, 16) AT(vm_map_media, level, 24) AT(vm_map_media, zero_, 28)
AT(vm_map_media, zero2_, 32) AT(vm_map_media, entries, 64)

SIZE(vm_chunk_media, 4096)
AT(vm_chunk_media, magic, 0) AT(vm_chunk_media, hash, 4) AT(vm_chunk_media, self, 8)
AT(vm_chunk_media, birth, 16) AT(vm_chunk_media, first_slot, 24) AT(vm_chunk_media, inodes, 32)
AT(vm_chunk_media, zero_, 36) AT(vm_chunk_media, zero2_, 40) AT(vm_chunk_media, used, 64)
AT(vm_chunk_media, orphan, 576) AT(vm_chunk_media, zero3_, 1088)

SIZE(vm_inode_media, 256)
AT(vm_inode_media, hash0, 0) AT(vm_inode_media, mode, 4) AT(vm_inode_media, kind, 6)
AT(vm_inode_media, form, 7) AT(vm_inode_media, generation, 8) AT(vm_inode_media, nlink, 12)
AT(vm_inode_media, uid, 16) AT(vm_inode_media, gid, 20) AT(vm_inode_media, size, 24)
AT(vm_inode_media, blocks, 32) AT(vm_inode_media, mtime_ns, 40) AT(vm_inode_media, ctime_ns, 48)
AT(vm_inode_media, atime_ns, 56) AT(vm_inode_media, hash1, 64) AT(vm_inode_media, project, 68)
AT(vm_inode_media, btime_ns, 72) AT(vm_inode_media, tag, 80) AT(vm_inode_media, parent, 88)
AT(vm_inode_media, base_inode, 96) AT(vm_inode_media, base_epoch, 104)
AT(vm_inode_media, birth, 112) AT(vm_inode_media, xattr_root, 120) AT(vm_inode_media, body, 128)
    // clang-format on

    VM_CHECK_VALUE(VM_CHUNK_BLOCKS *VM_GROUP_CHUNKS, VM_GROUP_BLOCKS);
VM_CHECK_VALUE(VM_GROUP_BLOCKS / 8, VM_BLOCK_BYTES);
VM_CHECK_VALUE(1u << VM_BLOCK_LOG2, VM_BLOCK_BYTES);
