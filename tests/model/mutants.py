#!/usr/bin/env python3
"""mutants.py -- takes one rule of POSIX at a time out of the library and asks the model test to notice

    mutants.py [--only PATTERN] [--jobs N] [--ops N] [--seed S]

The library and the model test are compiled once into a folder of their own; a mutant replaces one text,
which must be there exactly once, and costs one compilation, one link and one run of the model test. A mutant
that the run does not notice is a survivor, and a failure."""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
FLAGS = "-std=c11 -D_GNU_SOURCE -O1 -w -Iinclude -Ilibvmfs -Itests/lib -Itests/model".split()
LINK = ["-Wl,--wrap=vm_platform_init", "-lpmem", "-lpthread"]
TIMEOUT_S = 300

# (id, file, text, replacement)
MUTANTS = [
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
    ("nlink: mkdir", "name/nsop.c", "vm_inode_nlink(&dir) + 1);", "vm_inode_nlink(&dir));"),
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
    ("chown clears set-id", "inode/attr.c", "mode & ~cleared));", "mode));"),
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
     "rename->has_target && rename->ids[0] == rename->ids[1];", "false;"),
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
     "        atomic_store_explicit(&file->position, end, memory_order_relaxed);\n", "        ;\n"),
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
    ("mknod: device", "name/nsop.c", "vm_put64(new->rdev);", "vm_put64(0);"),
    ("statfs: blocks", "api/info.c", "(uint64_t)totals.blocks_free,", "(uint64_t)totals.blocks_free + 1,"),
    ("statfs: inodes", "api/info.c", "(uint64_t)totals.inodes_used,", "(uint64_t)totals.inodes_used + 1,"),
]


def run(command, cwd):
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def compile_one(tree, objects, source):
    target = objects / (str(source).replace("/", "_") + ".o")
    done = run(["gcc", *FLAGS, "-c", str(source), "-o", str(target)], tree)
    if done.returncode:
        sys.exit(f"mutants.py: {source} does not compile:\n{done.stderr}")


def link(objects):
    target = objects / "model_test"
    done = run(["gcc", "-o", str(target), *map(str, sorted(objects.glob("*.o"))), *LINK], objects)
    if done.returncode:
        sys.exit(f"mutants.py: the model test does not link:\n{done.stderr}")


def sources_of(tree):
    found = [*(tree / "libvmfs").glob("*/*.c"), *(tree / "tests/model").glob("*.c"),
             *(tree / "tests/lib").glob("*.c")]
    others = ("core_fixture.c",)
    return sorted(path.relative_to(tree) for path in found if path.name not in others)


def build(work, jobs):
    tree = work / "tree"
    for folder in ("include", "libvmfs", "tests/lib", "tests/model"):
        shutil.copytree(TOP / folder, tree / folder)
    objects = work / "objects"
    objects.mkdir()
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda source: compile_one(tree, objects, source), sources_of(tree)))
    link(objects)
    return tree, objects


def remove(folder):
    """A run that failed leaves files with flags, which cannot be removed."""
    run(["chattr", "-R", "-f", "-i", "-a", folder], "/")
    shutil.rmtree(folder, ignore_errors=True)


def run_test(objects, options):
    """What is wrong, or None."""
    command = [str(objects / "model_test"), "--ops", options.ops, "--seed", options.seed]
    folder = tempfile.mkdtemp(prefix="vmfs-mutant-", dir="/dev/shm")
    environment = dict(os.environ, PMEM_IS_PMEM_FORCE="1", VMFS_TEST_DIR=folder)
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False,
                              timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return "it does not end"
    finally:
        remove(folder)
    if done.returncode == 0:
        return None
    lines = [line for line in done.stdout.splitlines()
             if line.startswith(("model_test: after", "matrix:")) and "that owned the region" not in line]
    return (lines + (done.stderr + done.stdout).splitlines() + [f"exit {done.returncode}"])[0]


def try_mutant(work, tree, objects, number, mutant, options):
    name, file, text, replacement = mutant
    original = (tree / "libvmfs" / file).read_text()
    if original.count(text) != 1:
        return f"STALE     {name}: its text is {original.count(text)} times in {file}"
    mine = work / f"mutant{number}"
    shutil.copytree(objects, mine, copy_function=os.link)
    mutated = mine / "mutated.c"
    mutated.write_text(original.replace(text, replacement))
    target = mine / (f"libvmfs/{file}".replace("/", "_") + ".o")
    target.unlink()
    folder = f"-Ilibvmfs/{pathlib.Path(file).parent}"
    done = run(["gcc", *FLAGS, folder, "-c", str(mutated), "-o", str(target)], tree)
    if done.returncode:
        return f"BROKEN    {name}: {done.stderr.splitlines()[0]}"
    (mine / "model_test").unlink()
    link(mine)
    why = run_test(mine, options)
    shutil.rmtree(mine)
    verdict = f"killed    {name}: {why[:150]}" if why else f"SURVIVED  {name}"
    print(verdict, flush=True)
    return verdict


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--ops", default="50000")
    parser.add_argument("--seed", default="2")
    options = parser.parse_args()
    start = time.monotonic()
    wanted = [(number, mutant) for number, mutant in enumerate(MUTANTS) if re.search(options.only, mutant[0])]
    with tempfile.TemporaryDirectory(prefix="vmfs-mutants-") as folder:
        work = pathlib.Path(folder)
        tree, objects = build(work, options.jobs)
        why = run_test(objects, options)
        if why:
            sys.exit(f"mutants.py: the model test fails without a mutant: {why}")
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            verdicts = list(pool.map(
                lambda item: try_mutant(work, tree, objects, *item, options), wanted))
    for verdict in verdicts:
        if verdict.startswith(("STALE", "BROKEN")):
            print(verdict)
    failed = sum(not verdict.startswith("killed") for verdict in verdicts)
    print(f"mutants={len(verdicts)} not_killed={failed} seconds={time.monotonic() - start:.0f}")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
