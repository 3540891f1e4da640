"""vmfs_gdb.py -- libvmfs in gdb: `source tools/vmfs_gdb.py`

Prints little-endian words as numbers, offsets with the block they lie in, and inodes, extents, running
transactions and handles by what they mean. Works on a process and on a core, without calling
anything in it.

    vmfs-dump OFFSET [HANDLE]   the structure at a byte of the region; HANDLE is an expression for
                                a struct vmfs * and by default `fs`
    vmfs-inode SLOT [HANDLE]    the inode in a slot
"""
import gdb

BLOCK = 4096
INODE = 256
SLOT_BITS = 40

KINDS = {0x00: "free", 0x35: "file", 0x5A: "directory", 0x93: "symlink", 0xA6: "special",
         0xCC: "frozen"}
FORMS = {0: "empty", 1: "extents", 2: "tree", 3: "bytes", 4: "device", 5: "retired"}
FLAGS = {1: "immutable", 2: "append", 4: "noatime", 8: "nodump"}
NODES = {0x49: "vm_inner_media", 0x9A: "vm_named_media", 0xE5: "vm_fixed_media"}
MAGICS = {0x1E5A0CA9: "vm_zone_state_media", 0x7C3D91F4: "vm_group_media",
          0xB96E42D7: "vm_node_media", 0xD4839E2B: "vm_map_media", 0x53F7B86D: "vm_chunk_media"}
FIXED = {0: "vm_super_media", 1: "vm_watermark_media", 2: "vm_watermark_media",
         3: "vm_super_media", 4: "vm_owner_media", 5: "vm_map_media"}
ENTRIES = {1: "BYTES", 2: "MASK", 3: "SET", 4: "CLEAR", 5: "MAX", 6: "FILL", 7: "SPILL"}


def get(value):
    """A number, whether the field is a plain one, an atomic one or little-endian."""
    value = value.cast(value.type.strip_typedefs())
    return int(value["raw"]) if value.type.code == gdb.TYPE_CODE_STRUCT else int(value)


def place(offset):
    return f"{offset} (block {offset // BLOCK}+{offset % BLOCK})"


class Number:
    """struct vm_le16, vm_le32, vm_le64."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        number = int(self.value["raw"])
        return str(number) if number < 1 << 16 else f"{number} ({number:#x})"


class Extent:
    """struct vm_extent_media."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        word = get(self.value["place"])
        flags = f" flags={word >> 48:#x}" if word >> 48 else ""
        return (f"extent file_block={get(self.value['file_block'])} "
                f"block={word & ((1 << 48) - 1)} blocks={get(self.value['blocks'])}{flags} "
                f"birth={get(self.value['birth'])}")


class Inode:
    """struct vm_inode_media."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        value = self.value
        word = get(value["blocks"])
        names = ",".join(name for bit, name in FLAGS.items() if word >> 48 & bit)
        state = get(value["generation"])
        text = (f"inode kind={KINDS.get(int(value['kind']), 'unknown')} "
                f"form={FORMS.get(int(value['form']), 'unknown')} mode={get(value['mode']):o} "
                f"nlink={get(value['nlink'])} uid={get(value['uid'])} gid={get(value['gid'])} "
                f"size={get(value['size'])} blocks={word & ((1 << 48) - 1)} "
                f"generation={state & 0xFFFFFF} state={state >> 24:#x} flags={names or 'none'} "
                f"parent={get(value['parent'])} tag={get(value['tag']):#x}")
        if get(value["xattr_root"]):
            text += f" xattr_root={place(get(value['xattr_root']))}"
        return text + self.body()

    def body(self):
        value = self.value
        form = int(value["form"])
        if form == 1:
            extents = [value["body"]["extents"][index] for index in range(4)]
            return "".join(f"\n  {Extent(extent).to_string()}" for extent in extents
                           if get(extent["blocks"]))
        if form == 2:
            return f" root={place(get(value['body']['word'][0]))}"
        if form == 3:
            length = min(get(value["size"]), 128)
            target = bytes(int(value["body"]["bytes"][index]) for index in range(length))
            return f" target={target!r}"
        return f" device={get(value['body']['word'][0]):#x}" if form == 4 else ""


class Transaction:
    """struct vm_tx: what is staged."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        tx = self.value
        lines = [f"tx lane={get(tx['lane'])} blocks={get(tx['blocks_delta']):+d} "
                 f"inodes={get(tx['inodes_delta']):+d} orphans={get(tx['orphans_delta']):+d} "
                 f"payload={bool(tx['has_payload'])}"]
        for index in range(get(tx["overlay"]["count"])):
            lines.append(f"line {place(get(tx['overlay']['lines'][index]['offset']))}")
        for index in range(get(tx["entry_count"])):
            entry = tx["entries"][index]
            lines.append(f"{ENTRIES.get(get(entry['kind']), '?')} place={get(entry['place'])} "
                         f"first={get(entry['first']):#x} second={get(entry['second']):#x}")
        for index in range(get(tx["run_count"])):
            run = tx["runs"][index]
            lines.append(f"took block={get(run['block'])} count={get(run['count'])}")
        return "\n  ".join(lines)


class Handle:
    """struct vmfs: an attached region."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        fs = self.value
        region = fs["volume"]["region"]
        journal = fs["volume"]["journal"]
        return (f"vmfs map={int(fs['map']):#x} bytes={get(region['bytes'])} "
                f"lanes={get(region['lane_count'])}x{get(region['lane_bytes'])} "
                f"epoch={get(region['epoch'])} sequence={get(journal['sequence'])} "
                f"watermark={get(journal['watermark'])} "
                f"read_only={bool(fs['is_read_only'])} damaged={bool(get(fs['is_damaged']))}")


PRINTERS = {"vm_le16": Number, "vm_le32": Number, "vm_le64": Number, "vm_extent_media": Extent,
            "vm_inode_media": Inode, "vm_tx": Transaction, "vmfs": Handle}


def find_printer(value):
    kind = value.type.strip_typedefs().unqualified()
    if kind.code != gdb.TYPE_CODE_STRUCT or kind.tag not in PRINTERS:
        return None
    return PRINTERS[kind.tag](value) if kind.fields() else None


def handle(words, index):
    value = gdb.parse_and_eval(words[index] if len(words) > index else "fs")
    return value.dereference() if value.type.code == gdb.TYPE_CODE_PTR else value


def structure(fs, offset, name):
    """The bytes of the region at `offset` as a struct."""
    kind = gdb.lookup_type(f"struct {name}")
    address = int(fs["map"]) + offset
    return gdb.Value(address).cast(kind.pointer()).dereference()


def word_at(fs, offset, size):
    return int.from_bytes(gdb.selected_inferior().read_memory(int(fs["map"]) + offset, size)
                          .tobytes(), "little")


def name_at(fs, offset):
    """Which structure begins in the block of `offset`."""
    block = offset // BLOCK
    region = fs["volume"]["region"]
    lanes = get(region["lane_offset"])
    if block in FIXED:
        return FIXED[block]
    if lanes <= offset < lanes + get(region["lane_count"]) * get(region["lane_bytes"]):
        return "vm_record_media"
    name = MAGICS.get(word_at(fs, offset, 4))
    return NODES.get(word_at(fs, offset + 4, 1), name) if name == "vm_node_media" else name


def inode_offset(fs, slot):
    """Where a slot lies, by way of the inode map; None if it has no chunk."""
    region = fs["volume"]["region"]
    chunk_blocks = get(region["chunk_blocks"])
    stride = chunk_blocks * (BLOCK // INODE)
    chunk, index = divmod(slot, stride)
    if index >= (chunk_blocks - 1) * (BLOCK // INODE) or chunk >= 252 * 252:
        return None
    root = get(region["map_block"]) * BLOCK
    below = word_at(fs, root + 64 + chunk // 252 * 16, 8) * BLOCK
    block = word_at(fs, below + 64 + chunk % 252 * 16, 8) if below else 0
    return (block + 1) * BLOCK + index * INODE if block else None


class Dump(gdb.Command):
    """vmfs-dump OFFSET [HANDLE]: the structure at a byte of the region."""

    def __init__(self):
        super().__init__("vmfs-dump", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        words = gdb.string_to_argv(argument)
        if not words:
            raise gdb.GdbError("vmfs-dump OFFSET [HANDLE]")
        fs = handle(words, 1)
        offset = int(gdb.parse_and_eval(words[0]))
        if not 0 <= offset < get(fs["volume"]["region"]["bytes"]):
            raise gdb.GdbError("outside the region")
        name = name_at(fs, offset)
        if name is None:
            bytes_there = gdb.selected_inferior().read_memory(int(fs["map"]) + offset, 64).tobytes()
            print(f"{place(offset)}: {bytes_there.hex()}")
            return
        print(f"{place(offset)}: struct {name}")
        print(structure(fs, offset, name).format_string(repeat_threshold=4, max_elements=16))


class ShowInode(gdb.Command):
    """vmfs-inode SLOT [HANDLE]: the inode in a slot."""

    def __init__(self):
        super().__init__("vmfs-inode", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        words = gdb.string_to_argv(argument)
        if not words:
            raise gdb.GdbError("vmfs-inode SLOT [HANDLE]")
        fs = handle(words, 1)
        slot = int(gdb.parse_and_eval(words[0])) & ((1 << SLOT_BITS) - 1)
        offset = inode_offset(fs, slot)
        if offset is None:
            raise gdb.GdbError("there is no such slot")
        print(f"slot {slot} at {place(offset)}: "
              f"{Inode(structure(fs, offset, 'vm_inode_media')).to_string()}")


gdb.pretty_printers.append(find_printer)
Dump()
ShowInode()
