/* format.h -- every structure of the medium, and nothing else
 *
 * Little-endian; offsets in bytes from the region's start; blocks of 4 KiB. `hash` fields are the low
 * 32 bits of XXH3-64, `check` fields all 64, seeded as told beside them; `seed` is the region's
 * hash_seed. zero_ fields are written as zero. Words marked [masked] are shared by independent
 * operations: they lie outside every hash and change by MASK and BITS entries only (H10).
 *
 * The region:
 *     block 0                superblock, copy A
 *     block 1                watermark line, copy A
 *     block 2                watermark line, copy B
 *     block 3                superblock, copy B
 *     block 4                owner line (who has it open; volatile meaning)
 *     block 5                inode map, root
 *     lane_offset            journal lanes, lane_count of lane_bytes each
 *     zones[i].head_block    zone state block, group descriptors, one bitmap block for each group
 *     all else               what the bitmaps say */
#ifndef VM_MEDIA_FORMAT_H
#define VM_MEDIA_FORMAT_H

#include "base/le.h"

#define VM_BLOCK_BYTES    4096u
#define VM_BLOCK_LOG2     12u
#define VM_FORMAT_VERSION 1u

#define VM_SUPER_A_BLOCK     0u
#define VM_WATERMARK_A_BLOCK 1u
#define VM_WATERMARK_B_BLOCK 2u
#define VM_SUPER_B_BLOCK     3u
#define VM_OWNER_BLOCK       4u
#define VM_INODE_MAP_BLOCK   5u
#define VM_LANES_BLOCK       6u

/* "vmfs-reg" and so on: far apart, none zero or all ones. */
#define VM_MAGIC_SUPER 0x6765722d73666d76u
#define VM_MAGIC_ZONE  0x1e5a0ca9u
#define VM_MAGIC_GROUP 0x7c3d91f4u
#define VM_MAGIC_NODE  0xb96e42d7u
#define VM_MAGIC_MAP   0xd4839e2bu
#define VM_MAGIC_CHUNK 0x53f7b86du

/* An unknown incompat bit refuses the region, an unknown ro_compat bit allows reading, an unknown compat
 * bit is ignored. */
#define VM_FEATURES_INCOMPAT  0u
#define VM_FEATURES_RO_COMPAT 1u
#define VM_FEATURE_ACLS       1u /* ro_compat: ACLs are well-formed and agree with the mode */

#define VM_SUPER_ZEROED 0x1u /* chunks whose touched bit is clear read as zero */

#define VM_ZONE_MAX    32u
#define VM_LABEL_BYTES 64u

/* OFFSET SIZE FIELD
 *  0  8  first_block   the zone's first block
 *  8  8  block_count
 * 16  8  head_block    zone state, then descriptors, then bitmaps
 * 24  4  group_count
 * 28  4  zero_         */
struct vm_zone_media {
    struct vm_le64 first_block;
    struct vm_le64 block_count;
    struct vm_le64 head_block;
    struct vm_le32 group_count;
    struct vm_le32 zero_;
};

/* A share: today the whole region is the one share.
 * OFFSET SIZE FIELD
 *  0  8  root_inode    id of its root directory
 *  8  8  map_block     root of its inode map
 * 16  8  snap_epoch    blocks born at or before it belong to a snapshot; 0 = none
 * 24  8  base_share    the share it was cloned from; 0 = none
 * 32  8  quota_blocks  0 = none
 * 40 24  zero_         */
struct vm_share_media {
    struct vm_le64 root_inode;
    struct vm_le64 map_block;
    struct vm_le64 snap_epoch;
    struct vm_le64 base_share;
    struct vm_le64 quota_blocks;
    struct vm_le64 zero_[3];
};

/* Superblock: both copies say the same but for `self` and `check`; the newer generation counts.
 * OFFSET SIZE FIELD
 *    0  8  magic
 *    8  8  check            XXH3 of bytes 16..4095, seed 0
 *   16  8  self             this copy's offset
 *   24  8  generation       raised at each publishing
 *   32  4  version          of the format
 *   36  4  flags            VM_SUPER_*
 *   40  8  compat
 *   48  8  ro_compat
 *   56  8  incompat
 *   64 16  uuid
 *   80  8  hash_seed        secret; seeds every hash of the region
 *   88  8  name_seed        secret; seeds the hash of names
 *   96  8  region_blocks
 *  104  8  created_ns
 *  112  8  lane_offset
 *  120  4  lane_count
 *  124  4  lane_bytes
 *  128  8  epoch            the region clock: births are stamped with it
 *  136  8  epoch_limit      the clock is below it; raised ahead
 *  144  4  chunk_blocks     blocks of an inode chunk, a power of two
 *  148  4  inode_bytes      256
 *  152  4  zone_count
 *  156  4  gap_policy       0: replay skips a missing sequence number
 *  160 64  label
 *  224 64  share
 *  288 .. 1312  zones[32]
 * 1312 .. 4096  zero_       */
struct vm_super_media {
    struct vm_le64 magic;
    struct vm_le64 check;
    struct vm_le64 self;
    struct vm_le64 generation;
    struct vm_le32 version;
    struct vm_le32 flags;
    struct vm_le64 compat;
    struct vm_le64 ro_compat;
    struct vm_le64 incompat;
    uint8_t uuid[16];
    struct vm_le64 hash_seed;
    struct vm_le64 name_seed;
    struct vm_le64 region_blocks;
    struct vm_le64 created_ns;
    struct vm_le64 lane_offset;
    struct vm_le32 lane_count;
    struct vm_le32 lane_bytes;
    struct vm_le64 epoch;
    struct vm_le64 epoch_limit;
    struct vm_le32 chunk_blocks;
    struct vm_le32 inode_bytes;
    struct vm_le32 zone_count;
    struct vm_le32 gap_policy;
    uint8_t label[VM_LABEL_BYTES];
    struct vm_share_media share;
    struct vm_zone_media zones[VM_ZONE_MAX];
    uint8_t zero_[2784];
};

/* Watermark line: records at or below `watermark` are in their homes, durably, and the totals count
 * them. Two copies written in turn; the newest valid one counts (era, then watermark).
 * OFFSET SIZE FIELD
 *  0  8  nonce          secret of this era: seeds all record checks
 *  8  8  era            raised by each recovery
 * 16  8  watermark
 * 24  8  blocks_free
 * 32  8  inodes_used
 * 40  8  orphans
 * 48  8  zero_
 * 56  8  check          XXH3 of bytes 0..55, seed ^ copy's offset */
struct vm_watermark_media {
    struct vm_le64 nonce;
    struct vm_le64 era;
    struct vm_le64 watermark;
    struct vm_le64 blocks_free;
    struct vm_le64 inodes_used;
    struct vm_le64 orphans;
    struct vm_le64 zero_;
    struct vm_le64 check;
};

/* Owner line: for the error message of a second attach, never trusted.
 * OFFSET SIZE FIELD
 *  0  8  pid            0 = nobody
 *  8  8  start_ticks    of that process
 * 16  8  boot           hash of the system's boot id
 * 24  4  state          VM_OWNER_*
 * 28  4  zero_
 * 32 32  zero2_         */
struct vm_owner_media {
    struct vm_le64 pid;
    struct vm_le64 start_ticks;
    struct vm_le64 boot;
    struct vm_le32 state;
    struct vm_le32 zero_;
    struct vm_le64 zero2_[4];
};

#define VM_OWNER_HELD    0u /* until it pleases the owner */
#define VM_OWNER_SERVED  1u /* a mount: it may be ended from outside at any moment */
#define VM_OWNER_CLOSING 2u /* it will be free in a moment */

/* Record: a header line, then entries, in 64-byte lines; it never wraps.
 * OFFSET SIZE FIELD
 *  0  8  nonce          of the era
 *  8  8  sequence
 * 16  8  watermark      durable when the record was written
 * 24  4  len_bytes      header and entries, a multiple of 8
 * 28  2  entry_count
 * 30  2  flags          0
 * 32  4  blocks_delta   signed: free blocks
 * 36  4  inodes_delta   signed: inodes used
 * 40  4  orphans_delta  signed
 * 44  4  era            low half of the era's number
 * 48  8  transaction    0
 * 56  8  check          XXH3 of the header with the XXH3 of the entries (seed 0) in this place, seed
 *                       nonce ^ offset of the record */
struct vm_record_media {
    struct vm_le64 nonce;
    struct vm_le64 sequence;
    struct vm_le64 watermark;
    struct vm_le32 len_bytes;
    struct vm_le16 entry_count;
    struct vm_le16 flags;
    struct vm_le32 blocks_delta;
    struct vm_le32 inodes_delta;
    struct vm_le32 orphans_delta;
    struct vm_le32 era;
    struct vm_le64 transaction;
    struct vm_le64 check;
};

/* An entry starts with one word: bits 0..47 place, 48..59 length, 60..63 kind. Then:
 *   BYTES  place = offset, length = bytes (1..4095)   the bytes, padded to 8 with zeros
 *   MASK   place = offset of a word                   u64 mask, u64 value
 *   SET    place = first block                        u64 count: bits of the bitmap become 1
 *   CLEAR  place = first block                        u64 count: bits become 0
 *   MAX    place = offset of a word                   u64 value
 *   FILL   place = offset                             u64: bits 0..31 length, 32..39 the byte
 *   SPILL  reserved                                   */
#define VM_ENTRY_BYTES 1u
#define VM_ENTRY_MASK  2u
#define VM_ENTRY_SET   3u
#define VM_ENTRY_CLEAR 4u
#define VM_ENTRY_MAX   5u
#define VM_ENTRY_FILL  6u
#define VM_ENTRY_SPILL 7u

#define VM_CHUNK_BLOCKS 512u /* one 64-byte line of bitmap: 2 MiB */
#define VM_GROUP_CHUNKS 64u
#define VM_GROUP_BLOCKS 32768u /* one block of bitmap: 128 MiB */

/* Zone state, at the start of the zone's head block.
 * OFFSET SIZE FIELD
 *  0  4  magic
 *  4  4  hash           of bytes 8..63, seed ^ self
 *  8  8  self
 * 16  4  groups_ready   groups below are initialised; the others are never read
 * 20  4  zero_
 * 24 40  zero2_         */
struct vm_zone_state_media {
    struct vm_le32 magic;
    struct vm_le32 hash;
    struct vm_le64 self;
    struct vm_le32 groups_ready;
    struct vm_le32 zero_;
    struct vm_le64 zero2_[5];
};

/* Group descriptor.
 * OFFSET SIZE FIELD
 *   0  4  magic
 *   4  4  hash           of bytes 8..63, seed ^ self
 *   8  8  self
 *  16  8  birth
 *  24  8  bitmap_block
 *  32  8  first_block
 *  40  8  project        reserved: quota, tier, wear
 *  48 16  zero_
 *  64  8  touched        [masked] chunk i was handed out at least once
 *  72 56  zero2_         */
struct vm_group_media {
    struct vm_le32 magic;
    struct vm_le32 hash;
    struct vm_le64 self;
    struct vm_le64 birth;
    struct vm_le64 bitmap_block;
    struct vm_le64 first_block;
    struct vm_le64 project;
    struct vm_le64 zero_[2];
    struct vm_le64 touched;
    struct vm_le64 zero2_[7];
};

/* Head of every index node. The interval [low, high) is the node's own; a child's must equal what
 * its parent says, so that a wrong key anywhere on the way down is seen without a pass over the
 * node. Tag, not owner: clones share nodes without rewriting them.
 * OFFSET SIZE FIELD
 *  0  4  magic
 *  4  1  kind           VM_NODE_*
 *  5  1  level          leaf 0
 *  6  2  flags          0; reserved for sharing
 *  8  8  self
 * 16  8  tag            drawn for each inode
 * 24  8  birth
 * 32  8  low
 * 40  8  high           exclusive; all ones: no bound
 * 48  2  count          children, names or slots
 * 50  2  zero_
 * 52  4  hash           of the first n bytes with hash 0, seed ^ self; n: inner 64, named 128,
 *                      fixed 160 */
struct vm_node_media {
    struct vm_le32 magic;
    uint8_t kind;
    uint8_t level;
    struct vm_le16 flags;
    struct vm_le64 self;
    struct vm_le64 tag;
    struct vm_le64 birth;
    struct vm_le64 low;
    struct vm_le64 high;
    struct vm_le16 count;
    struct vm_le16 zero_;
    struct vm_le32 hash;
};

#define VM_NODE_INNER     0x49u
#define VM_NODE_NAMED     0x9au
#define VM_NODE_FIXED     0xe5u
#define VM_NODE_LEVEL_MAX 8u
#define VM_KEY_MAX        (~(uint64_t)0)

#define VM_INNER_MAX 252u
/* OFFSET SIZE FIELD
 *    0   56  head
 *   56    8  zero_
 *   64 2016  key[252]     key[i] is the low bound of child[i]; key[0] is the node's own
 * 2080 2016  child[252]   offsets of nodes */
struct vm_inner_media {
    struct vm_node_media head;
    struct vm_le64 zero_;
    struct vm_le64 key[VM_INNER_MAX];
    struct vm_le64 child[VM_INNER_MAX];
};

#define VM_CELL_BYTES  64u
#define VM_CELL_COUNT  62u
#define VM_CELL_INLINE 40u /* payload bytes of the first cell; further cells are all payload */
/* Cell: one name, in 1 to 16 contiguous cells.
 * OFFSET SIZE FIELD
 *  0  8  key            55 bits of name hash, 8 of discriminator, top bit 0: the cookie
 *  8  8  value          directory: inode id; xattr: size of the value
 * 16  4  hash           of the cells with hash 0, seed ^ (offset of the first cell)
 * 20  1  name_bytes
 * 21  1  type           directory: mode >> 12; xattr: 0 value inline, 1 in blocks
 * 22  1  cells
 * 23  1  zero_
 * 24 40  payload        name, then the value or its vm_xattr_media; runs on */
struct vm_cell_media {
    struct vm_le64 key;
    struct vm_le64 value;
    struct vm_le32 hash;
    uint8_t name_bytes;
    uint8_t type;
    uint8_t cells;
    uint8_t zero_;
    uint8_t payload[VM_CELL_INLINE];
};

/* OFFSET SIZE FIELD
 *   0   56  head         count: names
 *  56    8  bitmap       bit i: cell i is in use
 *  64   62  fp           fp[i] != 0: a name starts in cell i, and this is one byte of its key
 * 126    2  zero_
 * 128 3968  cells[62]    */
struct vm_named_media {
    struct vm_node_media head;
    struct vm_le64 bitmap;
    uint8_t fp[VM_CELL_COUNT];
    struct vm_le16 zero_;
    uint8_t cells[VM_CELL_COUNT][VM_CELL_BYTES];
};

#define VM_ACL_VERSION     2u
#define VM_ACL_ENTRIES_MAX 511u        /* as many as Linux lets through */
#define VM_ACL_NO_ID       0xffffffffu /* of an entry whose tag needs none */

#define VM_ACL_USER_OBJ  1u
#define VM_ACL_USER      2u
#define VM_ACL_GROUP_OBJ 4u
#define VM_ACL_GROUP     8u
#define VM_ACL_MASK      16u
#define VM_ACL_OTHER     32u

/* OFFSET SIZE FIELD
 *  0  2  tag            VM_ACL_*
 *  2  2  permissions    4 read, 2 write, 1 execute or search
 *  4  4  id             of a user or group, else VM_ACL_NO_ID */
struct vm_acl_entry_media {
    struct vm_le16 tag;
    struct vm_le16 permissions;
    struct vm_le32 id;
};

/* Value of system.posix_acl_access or _default; entries follow, as many as the value's length says.
 * OFFSET SIZE FIELD
 *  0  4  version        VM_ACL_VERSION */
struct vm_acl_media {
    struct vm_le32 version;
};

/* Value of an extended attribute in blocks of its own.
 * OFFSET SIZE FIELD
 *  0  8  block          first block
 *  8  4  len_bytes
 * 12  4  blocks
 * 16  8  check          XXH3 of the value, seed ^ block */
struct vm_xattr_media {
    struct vm_le64 block;
    struct vm_le32 len_bytes;
    struct vm_le32 blocks;
    struct vm_le64 check;
};

/* OFFSET SIZE FIELD
 *  0  8  file_block
 *  8  8  place          bits 0..47 block, 48..63 flags VM_EXTENT_*
 * 16  4  blocks
 * 20  4  hash           of the slot with hash 0, seed
 * 24  8  birth          */
struct vm_extent_media {
    struct vm_le64 file_block;
    struct vm_le64 place;
    struct vm_le32 blocks;
    struct vm_le32 hash;
    struct vm_le64 birth;
};

#define VM_EXTENT_PLACE_BITS 48u
#define VM_EXTENT_UNWRITTEN  0x1u /* has blocks and reads as zero */
#define VM_EXTENT_FLAGS_ALL  0x1u
/* Reserved flag: 2 refcounted. */

#define VM_SEGMENTS      7u
#define VM_SEGMENT_SLOTS 16u
/* OFFSET SIZE FIELD
 *   0   56  head          count: slots in all
 *  56    8  zero_
 *  64   56  first[7]      key of the first slot of each segment
 * 120    7  used[7]       slots in each segment
 * 127    1  zero1_
 * 128   32  zero2_
 * 160  352  zero3_
 * 512 3584  slots[7][16]  sorted */
struct vm_fixed_media {
    struct vm_node_media head;
    struct vm_le64 zero_;
    struct vm_le64 first[VM_SEGMENTS];
    uint8_t used[VM_SEGMENTS];
    uint8_t zero1_;
    uint8_t zero2_[32];
    uint8_t zero3_[352];
    struct vm_extent_media slots[VM_SEGMENTS][VM_SEGMENT_SLOTS];
};

/* Inode map, two levels: root block -> map blocks -> inode chunks.
 * Entry: OFFSET SIZE FIELD
 *  0  8  block            0 = none
 *  8  4  generation_floor ids below it are dead: chunks may go and come back
 * 12  4  hash             of bytes 0..11, seed ^ offset of the entry */
struct vm_map_entry_media {
    struct vm_le64 block;
    struct vm_le32 generation_floor;
    struct vm_le32 hash;
};

#define VM_MAP_ENTRIES 252u
/* OFFSET SIZE FIELD
 *  0    4  magic
 *  4    4  hash         of bytes 8..63, seed ^ self
 *  8    8  self
 * 16    8  birth
 * 24    4  level        1 root, 0 below
 * 28    4  zero_
 * 32   32  zero2_
 * 64 4032  entries[252] */
struct vm_map_media {
    struct vm_le32 magic;
    struct vm_le32 hash;
    struct vm_le64 self;
    struct vm_le64 birth;
    struct vm_le32 level;
    struct vm_le32 zero_;
    struct vm_le64 zero2_[4];
    struct vm_map_entry_media entries[VM_MAP_ENTRIES];
};

#define VM_INODE_BYTES 256u
#define VM_CHUNK_WORDS 64u
/* Head block of an inode chunk; the other blocks hold inodes, 16 a block.
 * OFFSET SIZE FIELD
 *    0    4  magic
 *    4    4  hash        of bytes 8..63, seed ^ self
 *    8    8  self
 *   16    8  birth
 *   24    8  first_slot
 *   32    4  inodes      that this chunk holds
 *   36    4  zero_
 *   40   24  zero2_
 *   64  512  used[64]    [masked] bit: the inode is allocated
 *  576  512  orphan[64]  [masked] bit: no name, or blocks beyond its end; to be cleaned
 * 1088 3008  zero3_      */
struct vm_chunk_media {
    struct vm_le32 magic;
    struct vm_le32 hash;
    struct vm_le64 self;
    struct vm_le64 birth;
    struct vm_le64 first_slot;
    struct vm_le32 inodes;
    struct vm_le32 zero_;
    struct vm_le64 zero2_[3];
    struct vm_le64 used[VM_CHUNK_WORDS];
    struct vm_le64 orphan[VM_CHUNK_WORDS];
    uint8_t zero3_[3008];
};

/* Inode id: bits 0..39 slot, 40..63 generation. Slot 1 generation 0 is the root. */
#define VM_SLOT_BITS      40u
#define VM_GENERATION_MAX 0xffffffu
#define VM_ROOT_ID        1u

#define VM_INODE_HEAD_BYTES 64u
#define VM_INODE_BODY       128u
#define VM_INODE_EXTENTS    4u

/* What a file's old map leaves behind when a new one takes its place (collapse, insert): the body of a nameless
 * inode, which is freed step by step.
 * OFFSET SIZE FIELD
 *  0  8  root           of the old map, whose nodes go; 0 = none is left
 *  8  8  tag            of those nodes
 * 16  8  first          blocks of its extents from here on
 * 24  8  end            up to here go too; lowered as they do
 * 32  8  list_root      of the map that this inode had itself, whose nodes go; 0 = none
 * 40 88  zero_          */
struct vm_retired_media {
    struct vm_le64 root;
    struct vm_le64 tag;
    struct vm_le64 first;
    struct vm_le64 end;
    struct vm_le64 list_root;
    struct vm_le64 zero_[11];
};

/* Inode: line 0 is all of stat but birth and device, the rest has its own hash.
 * OFFSET SIZE FIELD
 *   0  4  hash0          of bytes 4..55, seed ^ slot
 *   4  2  mode
 *   6  1  kind           VM_INODE_*
 *   7  1  form           VM_BODY_*
 *   8  4  generation     bits 0..23; 24..31 state VM_STATE_*
 *  12  4  nlink
 *  16  4  uid
 *  20  4  gid
 *  24  8  size           directory: entries
 *  32  8  blocks         bits 0..47 blocks of all kinds; 48..63 VM_INODE_FLAG_*
 *  40  8  mtime_ns
 *  48  8  ctime_ns
 *  56  8  atime_ns       outside the hash: it may be stored alone
 *  64  4  hash1          of bytes 68..255, seed ^ slot
 *  68  4  project        quota id
 *  72  8  btime_ns
 *  80  8  tag            of this inode's nodes
 *  88  8  parent         directory: the id of '..'
 *  96  8  base_inode     cloned from; 0 = never
 * 104  8  base_epoch     blocks born at or before it are the base's; 0 = all its own
 * 112  8  birth
 * 120  8  xattr_root     named node, or 0
 * 128 128 body           */
struct vm_inode_media {
    struct vm_le32 hash0;
    struct vm_le16 mode;
    uint8_t kind;
    uint8_t form;
    struct vm_le32 generation;
    struct vm_le32 nlink;
    struct vm_le32 uid;
    struct vm_le32 gid;
    struct vm_le64 size;
    struct vm_le64 blocks;
    struct vm_le64 mtime_ns;
    struct vm_le64 ctime_ns;
    struct vm_le64 atime_ns;
    struct vm_le32 hash1;
    struct vm_le32 project;
    struct vm_le64 btime_ns;
    struct vm_le64 tag;
    struct vm_le64 parent;
    struct vm_le64 base_inode;
    struct vm_le64 base_epoch;
    struct vm_le64 birth;
    struct vm_le64 xattr_root;
    union {
        uint8_t bytes[VM_INODE_BODY];
        struct vm_extent_media extents[VM_INODE_EXTENTS];
        struct vm_le64 word[VM_INODE_BODY / 8];
        struct vm_retired_media retired;
    } body;
};

/* Kinds, with room for FROZEN (a clone's base). */
#define VM_INODE_FREE      0x00u
#define VM_INODE_FILE      0x35u
#define VM_INODE_DIRECTORY 0x5au
#define VM_INODE_SYMLINK   0x93u
#define VM_INODE_SPECIAL   0xa6u
#define VM_INODE_FROZEN    0xccu

#define VM_BODY_EMPTY   0u /* nothing */
#define VM_BODY_EXTENTS 1u /* up to 4 extents, sorted; blocks == 0 ends them */
#define VM_BODY_TREE    2u /* word[0]: root node of the map */
#define VM_BODY_BYTES   3u /* symlink target */
#define VM_BODY_DEVICE  4u /* word[0]: device number */
#define VM_BODY_RETIRED 5u /* a nameless file's: vm_retired_media */

#define VM_INODE_FLAG_IMMUTABLE 0x1u
#define VM_INODE_FLAG_APPEND    0x2u
#define VM_INODE_FLAG_NOATIME   0x4u
#define VM_INODE_FLAG_NODUMP    0x8u
#define VM_INODE_FLAGS_ALL      0xfu

#define VM_STATE_BEYOND  0x1u /* blocks may lie beyond the end: trim before growing */
#define VM_STATE_WRITING 0x2u /* only written ones: those that are unwritten stay */
#define VM_STATES_ALL    0x3u

#endif
