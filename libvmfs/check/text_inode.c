/* text_inode.c -- the inode map, chunks and inodes as text */
#include <string.h>

#include "base/util.h"
#include "check/text.h"
#include "check/validate.h"
#include "inode/inode.h"
#include "inode/table.h"

#define FLAGS_SHIFT 48u
#define STATE_SHIFT 24u

void vm_map_to_text(struct vm_dump *dump, uint64_t offset)
{
    struct vm_map_media map;
    if (vm_read(dump->ctx, offset, &map, sizeof map))
        return;
    bool is_root = offset == dump->region->map_block * VM_BLOCK_BYTES;
    vm_say(dump, "inode map: offset=%n check=%c level=%n birth=%n", offset,
           vm_map_validate(dump->region, &map, offset, is_root), vm_get32(map.level),
           vm_get64(map.birth));
    vm_say_end(dump);
    dump->indent++;
    for (uint64_t index = 0; index < VM_MAP_ENTRIES; index++) {
        const struct vm_map_entry_media *entry = &map.entries[index];
        uint64_t at = offset + offsetof(struct vm_map_media, entries) + index * sizeof *entry;
        if (vm_map_entry_is_empty(entry))
            continue;
        vm_say(dump, "entry %n: offset=%n check=%c block=%n generation_floor=%n", index, at,
               vm_map_entry_validate(dump->region, entry, at,
                                     is_root ? 1 : dump->region->chunk_blocks),
               vm_get64(entry->block), vm_get32(entry->generation_floor));
        vm_say_end(dump);
    }
    dump->indent--;
}

/* Each run of set bits, as first-last. */
static void say_bits(struct vm_dump *dump, const char *label, const struct vm_le64 *words)
{
    const uint64_t bits = VM_CHUNK_WORDS * 64;
    uint64_t run = 0;
    vm_say_text(dump, label);
    for (uint64_t bit = 0; bit <= bits; bit++) {
        if (bit < bits && (vm_get64(words[bit / 64]) >> bit % 64 & 1)) {
            run++;
            continue;
        }
        if (run == 1)
            vm_say(dump, " %n", bit - 1);
        if (run > 1)
            vm_say(dump, " %n-%n", bit - run, bit - 1);
        run = 0;
    }
    vm_say_end(dump);
}

void vm_chunk_to_text(struct vm_dump *dump, uint64_t offset)
{
    struct vm_chunk_media head;
    if (vm_read(dump->ctx, offset, &head, sizeof head))
        return;
    uint64_t first_slot = vm_get64(head.first_slot);
    vm_say(dump, "inode chunk: offset=%n check=%c first_slot=%n inodes=%n birth=%n", offset,
           vm_chunk_validate(dump->ctx, &head, offset, first_slot), first_slot,
           vm_get32(head.inodes), vm_get64(head.birth));
    vm_say_end(dump);
    dump->indent++;
    say_bits(dump, "used:", head.used);
    say_bits(dump, "orphan:", head.orphan);
    dump->indent--;
}

static const char *kind_text(uint8_t kind)
{
    switch (kind) {
    case VM_INODE_FREE:
        return "free";
    case VM_INODE_FILE:
        return "file";
    case VM_INODE_DIRECTORY:
        return "directory";
    case VM_INODE_SYMLINK:
        return "symlink";
    case VM_INODE_SPECIAL:
        return "special";
    case VM_INODE_FROZEN:
        return "frozen";
    default:
        return "unknown";
    }
}

static const char *form_text(uint8_t form)
{
    static const char *const names[] = {"empty", "extents", "tree", "bytes", "device", "retired"};
    return form < sizeof names / sizeof names[0] ? names[form] : "unknown";
}

static void say_time(struct vm_dump *dump, const char *label, struct vm_le64 stored)
{
    int64_t time_ns = (int64_t)vm_get64(stored);
    vm_say_text(dump, label);
    vm_say(dump, time_ns < 0 ? "-%n" : "%n",
           time_ns < 0 ? ~(uint64_t)time_ns + 1 : (uint64_t)time_ns);
}

static void say_body(struct vm_dump *dump, const struct vm_inode_media *m, uint64_t offset)
{
    uint64_t body = offset + offsetof(struct vm_inode_media, body);
    switch (m->form) {
    case VM_BODY_EXTENTS:
        for (unsigned index = 0; index < VM_INODE_EXTENTS; index++)
            if (vm_get32(m->body.extents[index].blocks))
                vm_extent_to_text(dump, &m->body.extents[index],
                                  body + index * sizeof m->body.extents[0]);
        return;
    case VM_BODY_TREE:
        vm_say(dump, "tree: root=%n", vm_get64(m->body.word[0]));
        break;
    case VM_BODY_BYTES:
        vm_say_text(dump, "target: ");
        vm_say_bytes(dump, m->body.bytes, vm_min(vm_get64(m->size), VM_INODE_BODY));
        break;
    case VM_BODY_DEVICE:
        vm_say(dump, "device: %x", vm_get64(m->body.word[0]));
        break;
    case VM_BODY_RETIRED:
        vm_say(dump, "retired: root=%n tag=%x first=%n end=%n list_root=%n",
               vm_get64(m->body.retired.root), vm_get64(m->body.retired.tag),
               vm_get64(m->body.retired.first), vm_get64(m->body.retired.end),
               vm_get64(m->body.retired.list_root));
        break;
    default:
        return;
    }
    vm_say_end(dump);
}

static void say_rest(struct vm_dump *dump, const struct vm_inode_media *m)
{
    say_time(dump, "times: mtime_ns=", m->mtime_ns);
    say_time(dump, " ctime_ns=", m->ctime_ns);
    say_time(dump, " atime_ns=", m->atime_ns);
    say_time(dump, " btime_ns=", m->btime_ns);
    vm_say_end(dump);
    vm_say(dump, "rest: tag=%x parent=%n project=%n base_inode=%n base_epoch=%n birth=%n",
           vm_get64(m->tag), vm_get64(m->parent), vm_get32(m->project), vm_get64(m->base_inode),
           vm_get64(m->base_epoch), vm_get64(m->birth));
    vm_say(dump, " xattr_root=%n", vm_get64(m->xattr_root));
    vm_say_end(dump);
}

void vm_inode_to_text(struct vm_dump *dump, uint64_t slot, uint64_t offset)
{
    struct vm_inode_media m;
    if (vm_read(dump->ctx, offset, &m, sizeof m))
        return;
    uint64_t generation = vm_get32(m.generation) & VM_GENERATION_MAX;
    vm_say(dump, "inode %n: slot=%n generation=%n offset=%n check=%c",
           generation << VM_SLOT_BITS | slot, slot, generation, offset,
           vm_inode_check(dump->ctx, slot, offset, &m) == 0);
    vm_say_text(dump, " kind=");
    vm_say_text(dump, kind_text(m.kind));
    vm_say_text(dump, " form=");
    vm_say_text(dump, form_text(m.form));
    vm_say(dump, " mode=%m nlink=%n uid=%n gid=%n size=%n", vm_get16(m.mode), vm_get32(m.nlink),
           vm_get32(m.uid), vm_get32(m.gid), vm_get64(m.size));
    vm_say(dump, " blocks=%n flags=%x state=%x",
           vm_get64(m.blocks) & (((uint64_t)1 << FLAGS_SHIFT) - 1),
           vm_get64(m.blocks) >> FLAGS_SHIFT, vm_get32(m.generation) >> STATE_SHIFT);
    vm_say_end(dump);
    if (m.kind == VM_INODE_FREE)
        return;
    dump->indent++;
    say_rest(dump, &m);
    say_body(dump, &m, offset);
    dump->indent--;
}
