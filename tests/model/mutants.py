#!/usr/bin/env python3
"""mutants.py -- takes one rule of POSIX at a time out of the library and asks the model test to notice

    mutants.py [--only PATTERN] [--jobs N] [--ops N] [--seed S] [BUILD]

BUILD is a folder that meson has set up (default: build). A mutant replaces one text, which must be there
exactly once, and costs one compilation, one link and one run of the model test. A mutant that the run does
not notice is a survivor, and a failure."""
import argparse
import concurrent.futures
import os
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import mutation

PROGRAM = "tests/model/model_test"
TIMEOUT_S = 300

# (id, file, text, replacement)
MUTANTS = [
    ("privileges: a write in place", "inode/write.c", "vm_priv_kill(ctx, inode, write->kills_set_id); /* K1 */", "0;"),
    ("privileges: an allocation", "inode/alloc.c",
     "is_last ? vm_priv_kill(ctx, &alloc->inode, alloc->kills_set_id) : 0; /* K1 */", "0;"),
    ("privileges: a remap", "inode/remap.c", "vm_priv_kill(ctx, inode, shift->kills_set_id); /* K1 */", "0;"),
    ("privileges: a new size or owner", "inode/attr.c", "int result = kill_privileges(ctx, inode, attr);", "int result = 0;"),
    ("privileges: set-id bits are asked for", "inode/priv.c", "bool is_changed = with_set_id && ", "bool is_changed = "),
    ("privileges: group without execution", "inode/priv.c", "(mode & GROUP_EXECUTE ? VM_MODE_SET_GROUP : 0)", "VM_MODE_SET_GROUP"),
    ("relatime: a day", "inode/atime.c", ": age_ns >= DAY_NS;", ": false;"),
    ("relatime: modified since", "inode/atime.c",
     "atime_ns <= (int64_t)vm_get64(inode->m.mtime_ns) ||", "false ||"),
    ("relatime: changed since", "inode/atime.c",
     "atime_ns <= (int64_t)vm_get64(inode->m.ctime_ns))", "false)"),
    ("relatime: noatime flag", "inode/atime.c",
     "|| (vm_inode_flags(inode) & VM_INODE_FLAG_NOATIME))", ")"),
    ("relatime: noatime handle", "api/range.c", "&& !(call->from->flags & VMFS_O_NOATIME))", ")"),
    ("sticky", "name/nsop.c", "!(vm_inode_mode(dir) & VM_MODE_STICKY) ||", "true ||"),
    ("sticky: owner of the file", "name/nsop.c", "ctx->uid == vm_get32(child->m.uid) ||", ""),
    ("sticky: owner of the directory", "name/nsop.c",
     "|| ctx->uid == vm_get32(dir->m.uid);", ";"),
    ("nlink: link", "name/nsop.c", "vm_inode_nlink(&inode) + 1);", "vm_inode_nlink(&inode));"),
    ("nlink: mkdir", "name/nsop.c", "vm_inode_nlink(dir) + 1);", "vm_inode_nlink(dir));"),
    ("nlink: rmdir", "name/nsop.c", "vm_inode_nlink(&un->dir) - 1);", "vm_inode_nlink(&un->dir));"),
    ("nlink: rename over a directory", "name/rename.c", "add_subdirectory(rename->dir[1], -1);", ";"),
    ("nlink: rename of a directory", "name/rename.c", "add_subdirectory(rename->dir[to], 1);", ";"),
    ("unlink while open", "name/nsop.c", "|| vm_open_find(ctx, inode->id))\n", ")\n"),
    ("link: no link of a directory", "name/nsop.c",
     "    if (vm_inode_is_directory(inode))\n        return vm_raise(&ctx->err, VMFS_R_LINK_DIRECTORY",
     "    if (false)\n        return vm_raise(&ctx->err, VMFS_R_LINK_DIRECTORY"),
    ("tmpfile: exclusive", "api/file.c", "!(call->flags & VMFS_O_EXCL)};", "true};"),
    ("setgid: the group", "name/nsop.c", "    child->m.gid = dir->m.gid;\n", ""),
    ("setgid: the bit", "name/nsop.c",
     "vm_inode_mode(child) | VM_MODE_SET_GROUP));", "vm_inode_mode(child)));"),
    ("chown clears set-id", "inode/attr.c", "vm_put16((uint16_t)vm_priv_mode(vm_inode_mode(inode)));", "inode->m.mode;"),
    ("setattr of nothing", "inode/attr.c", "if (result || !attr->mask)", "if (result)"),
    ("ctime: setattr", "inode/attr.c",
     "attr->flags);\n    vm_inode_touch_change(ctx, inode);", "attr->flags);"),
    ("ctime: link", "name/nsop.c", "    vm_inode_touch_change(ctx, &inode);\n", ""),
    ("ctime: unlink", "name/nsop.c",
     "nlink(inode) - 1);\n    vm_inode_touch_change(ctx, inode);", "nlink(inode) - 1);"),
    ("mtime: a directory's", "name/dir.c", "    vm_inode_touch(ctx, dir);\n", ""),
    ("mtime: truncate", "inode/attr.c",
     "    if (attr->mask & VM_ATTR_SIZE)\n        vm_inode_touch(ctx, inode);\n", ""),
    ("flags: immutable", "inode/inode.c", "if (flags & VM_INODE_FLAG_IMMUTABLE)", "if (false)"),
    ("flags: append-only", "inode/inode.c", "(flags & VM_INODE_FLAG_APPEND) && !is_adding",
     "false && !is_adding"),
    ("flags: append-only may grow", "inode/inode.c", "(flags & VM_INODE_FLAG_APPEND) && !is_adding",
     "(flags & VM_INODE_FLAG_APPEND)"),
    ("readdir: dot-dot", "name/dir.c", "next->cookie < VM_COOKIE_DOTDOT",
     "next->cookie < VM_COOKIE_DOT"),
    ("readdir: types", "name/dir.c", "next->out->mode_type = mode_type(hit.entry.type);",
     "next->out->mode_type = VM_MODE_TYPE;"),
    ("readdir: order", "name/dir.c", "next->out->cookie = hit.entry.key;",
     "next->out->cookie = hit.entry.key + (1ull << 52);"),
    ("rename: no replace", "name/rename.c", ".flags = flags};",
     ".flags = flags & ~(uint32_t)VM_RENAME_NOREPLACE};"),
    ("rename: exchange", "name/rename.c",
     "    if (rename->flags & VM_RENAME_EXCHANGE) {", "    if (false) {"),
    ("rename: exchange moves both", "name/rename.c", "    reparent(rename, 1, 0);\n", ""),
    ("rename: two names of one file", "name/rename.c",
     "    if (rename->has_target && rename->ids[0] == rename->ids[1])", "    if (false)"),
    ("rename: into itself", "name/rename.c", "return found > 0 ? vm_raise(&ctx->err, VMFS_R_RENAME_CYCLE, upper) : found;",
     "return found > 0 ? 0 : found;"),
    ("rename: a directory over a file", "name/rename.c",
     "if (vm_inode_is_directory(from) && !vm_inode_is_directory(to))", "if (false)"),
    ("rename: a file over a directory", "name/rename.c",
     "if (!vm_inode_is_directory(from) && vm_inode_is_directory(to))", "if (false)"),
    ("rename: an empty directory only", "name/rename.c",
     "return vm_inode_is_directory(to) ? vm_dir_check_empty(ctx, to) : 0;", "return 0;"),
    ("rmdir: an empty directory only", "name/nsop.c",
     "return is_rmdir ? vm_dir_check_empty(ctx, child) : 0;", "return 0;"),
    ("path: a slash wants a directory", "name/path.c",
     "if (is_lookup && out->id && out->is_directory_wanted &&", "if (false &&"),
    ("path: an absolute link", "name/path.c",
     "    if (*walk->rest == '/')\n        walk->place->parent = VM_ROOT_ID;\n", ""),
    ("open: truncate", "api/file.c", "result || !(how & VM_OPEN_TRUNCATE)", "true"),
    ("open: exclusive", "api/file.c", "return is_exclusive ? vm_name_exists(ctx, place.id) : 0;",
     "return 0;"),
    ("write: the size at the end", "inode/write.c",
     "uint64_t size = vm_max(write->old_size, write->at);", "uint64_t size = write->old_size;"),
    ("write: append", "inode/data.c", "range->is_append ? write.old_size : range->offset",
     "range->offset"),
    ("write: the tail behind the old end", "inode/data.c",
     "    vm_tx_fill(ctx, span.region_offset, stop - size, 0);\n", ""),
    ("write: largest atomic", "inode/data.c",
     "if (!range->is_atomic || range->len_bytes <= VMFS_ATOMIC_MAX)", "if (true)"),
    ("write: position", "api/io.c",
     "        atomic_store_explicit(&file->position, how.end, memory_order_relaxed);\n", "        ;\n"),
    ("write: access mode", "api/io.c",
     "    if (!vm_may_write(call->file->flags))\n        return vm_bad_handle", "    if (false)\n        return vm_bad_handle"),
    ("seek: holes", "inode/data.c", "if ((span.kind != VM_SPAN_DATA) == is_hole)",
     "if (span.kind != VM_SPAN_DATA || !is_hole)"),
    ("seek: the hole at the end", "inode/data.c", "        return (int64_t)size;\n",
     "        return (int64_t)size - 1;\n"),
    ("holes: blocks of a file", "inode/extent.c", "vm_inode_add_blocks(inode, extent->blocks);", ";"),
    ("holes: blocks that are punched", "inode/extent.c",
     "vm_inode_add_blocks(inode, -(int64_t)part->count);", ";"),
    ("punch: first edge", "inode/alloc.c",
     "int result = zero_in_place(alloc, alloc->offset, first);", "int result = 0;"),
    ("punch: last edge", "inode/alloc.c",
     "return result ? result : zero_in_place(alloc, stop, vm_max(stop, alloc->end));",
     "return result;"),
    ("zero: whole blocks", "inode/alloc.c", "if (extent->flags & VM_EXTENT_UNWRITTEN)\n        return 0;",
     "if (true)\n        return 0;"),
    ("allocate: keep the size", "inode/alloc.c", "if (alloc->is_size_kept ||", "if ("),
    ("collapse and insert: size", "inode/remap.c",
     "    vm_inode_set_size(inode, vm_inode_size(inode) + shift->by * VM_BLOCK_BYTES);\n", ""),
    ("copy: holes", "inode/copy.c",
     "    while (result == 0 && write->at < stop && budget->pieces) {",
     "    write->at = stop;\n    while (result == 0 && write->at < stop && budget->pieces) {"),
    ("copy: overlap", "inode/copy.c",
     "return is_apart ? 0 : vm_raise(&ctx->err, VMFS_R_COPY_OVERLAP, copy->to_offset);", "return 0;"),
    ("xattr: replace", "inode/xattr.c", "int result = found ? drop_entry(ctx, inode, &map, &hit) : 0;",
     "int result = 0;"),
    ("xattr: must be new", "inode/xattr.c", "if (found && value->must_create)", "if (false)"),
    ("xattr: must be there", "inode/xattr.c", "if (!found && value->must_replace)", "if (false)"),
    ("xattr: kinds of files", "api/xattr.c",
     "return is_allowed ? 0 : vm_raise(&ctx->err, VMFS_R_XATTR_KIND, call->id);", "return 0;"),
    ("xattr: blocks are freed", "inode/xattr.c",
     "        vm_space_free(ctx, vm_get64(media.block), vm_get32(media.blocks));\n", ""),
    ("chown: of what is no file", "inode/attr.c",
     "if (!is_changed || vm_inode_is_directory(inode) ||", "if (!is_changed || !vm_inode_is_file(inode) ||"),
    ("acl: the mode follows", "inode/acl.c", "        put_mode(inode, acl_mode(&acl), RWX_BITS); /* C1 */\n", ""),
    ("acl: chmod changes it", "inode/acl.c", "    acl_put_mode(&acl, bits);\n", ""),
    ("acl: what says no more than the mode", "inode/acl.c",
     "kind == VM_ACL_DEFAULT || acl.count > ENTRIES_OF_MODE;", "true;"),
    ("acl: the order of its entries", "inode/acl.c", "is_tag && tag >= *last &&", "is_tag &&"),
    ("acl: a mask where it is needed", "inode/acl.c", "(!(seen & masked) || (seen & VM_ACL_MASK));", "true;"),
    ("acl: permissions that there are", "inode/acl.c", "permissions_of(entry) <= VM_MAY_ALL &&", ""),
    ("acl: ids that mean nothing", "inode/acl.c", "            entry->id = vm_put32(VM_ACL_NO_ID);", "            ;"),
    ("acl: a default one of a file", "inode/acl.c",
     "if (kind == VM_ACL_DEFAULT && !vm_inode_is_directory(inode))", "if (false)"),
    ("acl: of a symbolic link", "inode/acl.c",
     "return is_link ? vm_raise(&ctx->err, VMFS_R_ACL_SYMLINK, inode->id) : 0;", "(void)ctx, (void)is_link;\n    return 0;"),
    ("acl: of a new inode", "inode/acl.c",
     "    if (result == 0 && acl.count > ENTRIES_OF_MODE)\n        result = acl_store", "    if (false)\n        result = acl_store"),
    ("acl: of a new directory's children", "inode/acl.c",
     "        result = acl_store(ctx, child, VM_ACL_DEFAULT, &acl);", "        result = 0;"),
    ("acl: the mode of a new inode", "inode/acl.c", "acl_mode(&acl) & mode);", "acl_mode(&acl));"),
    ("umask", "inode/acl.c", "mode & ~ctx->umask,", "mode,"),
    ("mknod: device", "name/nsop.c", "vm_put64(new->rdev);", "vm_put64(0);"),
    ("statfs: blocks", "api/info.c", "(uint64_t)totals.blocks_free,", "(uint64_t)totals.blocks_free + 1,"),
    ("statfs: inodes", "api/info.c", "(uint64_t)totals.inodes_used,", "(uint64_t)totals.inodes_used + 1,"),
]


def ask(shop, mutant, options, is_alone=False):
    """What the model test finds wrong, or None. Alone, without a kernel, it gives and takes privileges."""
    command = ["@PROGRAM@", "--ops", options.ops, "--seed", options.seed] + ["--no-host"] * is_alone
    outcome = shop.run_program(PROGRAM, command, mutant, TIMEOUT_S)
    if outcome.status == 0:
        return None
    if outcome.status is None:
        return "it does not end"
    lines = outcome.output.splitlines()
    told = [line for line in lines
            if line.startswith(("model_test: after", "matrix:")) and "that owned the region" not in line]
    return (told + lines + [f"exit {outcome.status}"])[0]


def judge(shop, item, options):
    name, file, text, replacement = item
    mutant = mutation.locate(name, "rule", file, text, replacement)
    if isinstance(mutant, int):
        verdict = f"STALE     {name}: its text is {mutant} times in {file}"
    else:
        try:
            why = ask(shop, mutant, options, name.startswith("privileges:"))
            verdict = f"killed    {name}: {why[:150]}" if why else f"SURVIVED  {name}"
        except mutation.Broken as error:
            verdict = f"BROKEN    {name}: {error}"
    print(verdict, flush=True)
    return verdict


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", nargs="?", default=str(mutation.TOP / "build"))
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--ops", default="50000")
    parser.add_argument("--seed", default="2")
    options = parser.parse_args()
    start = time.monotonic()
    wanted = [item for item in MUTANTS if re.search(options.only, item[0])]
    shop = mutation.Workshop(options.build)
    why = ask(shop, None, options)
    if why:
        sys.exit(f"mutants.py: the model test fails without a mutant: {why}")
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        verdicts = list(pool.map(lambda item: judge(shop, item, options), wanted))
    failed = sum(not verdict.startswith("killed") for verdict in verdicts)
    print(f"mutants={len(verdicts)} not_killed={failed} seconds={time.monotonic() - start:.0f}")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
