#!/usr/bin/env python3
"""mutants.py -- takes one rule of the library away at a time and asks the tests to notice

    mutants.py [--only ID] [--jobs N] [--keep]

The library and the crash tests are compiled once into a folder of their own; a mutant replaces one
text, which must be there exactly once, and costs one compilation, one link and the tests named for it.
A mutant that no test notices is a survivor, and a failure. Each line names the rule, as journal.md
and the headers do."""
import argparse
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
FLAGS = ("-std=c11 -D_GNU_SOURCE -O1 -w -Iinclude -Ilibvmfs -Itests/lib -Itests/crash").split()
LINK = ["-lpmem", "-lpthread", "-ldw"]
TIMEOUT_S = 60


def crash(only):
    return ("crash_test", ["--quick", "--first", "--only", only])


def crash_all(only):
    return ("crash_test", ["--first", "--only", only])


def unit(name):
    return ("test_journal", ["--filter", "journal/" + name])


# (id, file, text, replacement, tests of which at least one must fail)
MUTANTS = [
    ("H4-H6 fence of the record", "journal/tx.c",
     "int result = vm_journal_fence(ctx); /* H4, H6", "int result = 0; /* H4, H6", [crash("create.p")]),
    ("H4 homes before the fence", "journal/tx.c",
     "    int result = vm_journal_fence(ctx); /* H4, H6",
     "    store_homes(ctx, writer->bytes);\n    int result = vm_journal_fence(ctx); /* H4, H6",
     [crash("create.p")]),
    ("H9 fence of the payload", "journal/tx.c",
     "        result = vm_journal_fence(ctx); /* H9 */", "        result = 0;", [crash("symlink-long.p")]),
    ("P2 fence of a write in place", "journal/tx.c",
     "    else if (result == 0 && (tx->has_payload || tx->has_in_place))\n        result = vm_journal_fence(ctx);",
     "", [unit("p2_in_place")]),
    ("H12 homes before W", "journal/journal.c",
     "    result = fence_counted(ctx); /* H12: homes before W */", "    result = 0;", [crash("create.")]),
    ("H12 W before its release", "journal/journal.c",
     "    result = fence_counted(ctx); /* H12: W before what it releases */", "    result = 0;", [unit("h12_release")]),
    ("H12 homes of recovery before W", "journal/recover.c",
     "return vm_journal_fence(ctx); /* H12", "return 0; /* H12",
     [crash("create.")]),
    ("H14 fence of the new era", "journal/recover.c",
     "        int result = vm_journal_fence(ctx);  /* H14, H22 */",
     "        int result = 0;", [crash("create."), unit("h14_fence")]),
    ("S1 fence between superblocks", "media/super.c",
     "    vm_io_copy(io, offset, super, sizeof *super);\n    return vm_io_fence(io);",
     "    vm_io_copy(io, offset, super, sizeof *super);\n    return 0;", [crash("format")]),
    ("S1 old superblocks go first", "name/volume.c",
     "    return vm_journal_fence(ctx);\n}\n\nstatic int write_structures",
     "    return 0;\n}\n\nstatic int write_structures", [crash_all("format-over")]),
    ("S1 mending stores the bad copy only", "name/volume.c",
     "return vm_super_mend(&ctx->io, &volume->super)", "return vm_super_publish(&ctx->io, &volume->super)",
     [unit("s1_mend_*")]),
    ("S1 mending", "name/volume.c",
     "    return vm_super_mend(&ctx->io, &volume->super) ? vm_journal_poison(ctx) : 0; /* S1, H22 */",
     "    return 0;", [unit("s1_mend_*")]),
    ("S2 one copy of W only", "journal/journal.c",
     "    journal->line_copy ^= 1;", "", [unit("s2_turns")]),
    ("S2 newest copy first in recovery", "journal/recover.c",
     "turn ? newest_copy : newest_copy ^ 1", "turn ? newest_copy ^ 1 : newest_copy",
     [crash("create."), unit("s2_order")]),
    ("H5 flush of claimed homes", "journal/journal.c",
     "    vm_record_flush(ctx, ctx->journal, record); /* H5 */", "", [crash("create.")]),
    ("H12 flush of recovered homes", "journal/recover.c",
     "        vm_record_flush(ctx, ctx->journal, record_at(recovery, recovery->found[index].offset));",
     "        (void)index;", [crash("create.")]),
    ("flush of the edges of a write", "persist/persist.c",
     "    vm_io_flush(io, start, sizeof word);", "", [crash("overwrite-odd")]),
    ("H1 records at or below W", "journal/recover.c",
     "if (vm_get64(record->sequence) <= recovery->line.watermark) /* H1 */", "if (0)",
     [unit("h1_stale_lane"), crash("reuse")]),
    ("I3 interval of a leaf that goes", "index/trim.c",
     "    interval_extend(ctx, &drop);\n", "", [crash("unlink-leaf.p")]),
    ("H2-H11 freed blocks are held", "space/space.c",
     "vm_chunks_cool(ctx, ctx->tx->lane, block, count);\n}\n\nstatic void hook_freed",
     "(void)ctx, (void)block, (void)count;\n}\n\nstatic void hook_freed",
     [unit("h2_reuse"), crash("reuse-leaf")]),
    ("H3-D3 images are settled", "inode/span.c",
     "            return vm_checkpoint_all(ctx);\n    return 0;",
     "            return 0;\n    return 0;", [crash("overwrite-image")]),
    ("D3 images are noted", "inode/span.c",
     "    while (noted < sequence &&", "    while (0 &&", [crash("overwrite-image")]),
    ("H8 the mark", "journal/tx.c",
     "    VM_OWN(atomic_store(&lane->mark, atomic_load(&journal->sequence) + 1));", "", [crash("create.b")]),
    ("H8 the horizon", "journal/journal.c",
     "        if (mark && mark - 1 < limit)", "        if (0)", [crash("create.b")]),
    ("H8 mark until the homes are stored", "journal/tx.c",
     "    int result = vm_journal_fence(ctx); /* H4, H6",
     "    atomic_store(&lane->mark, 0);\n    int result = vm_journal_fence(ctx); /* H4, H6",
     [crash("create."), unit("h8_horizon")]),
    ("H10 masks are not values", "journal/tx.c",
     ".kind = VM_ENTRY_MASK, .place = offset, .first = mask, .second = value",
     ".kind = VM_ENTRY_MASK, .place = offset, .first = UINT64_MAX, "
     ".second = (vm_load64_home(ctx->region, offset) & ~mask) | value",
     [crash("create."), unit("h10_shared_word")]),
    ("H14 the nonce", "journal/recover.c",
     "    recovery->line.nonce = platform->random(platform->arg); /* H14 */",
     "    (void)platform;", [unit("h14_resurrection")]),
    ("H15 check is seeded with the place", "journal/record.c",
     "vm_hash64(nonce ^ offset, &header", "vm_hash64(nonce + offset * 0, &header",
     [unit("h15_place")]),
    ("H15 check covers the entries", "journal/record.c",
     "    header.check = vm_put64(vm_hash64(0, bytes + sizeof header, len_bytes - sizeof header));",
     "    header.check = vm_put64(0);", [crash("create.")]),
    ("H15 targets", "journal/record.c",
     "        if (!target_is_allowed(region, &entry))", "        if (0)", [unit("h15_target")]),
    ("H16 poison", "journal/journal.c",
     "        VM_SHARED(&ctx->io,\n"
     "                  atomic_store_explicit(&ctx->journal->is_poisoned, true, memory_order_release));",
     "        (void)0;", [unit("h16_poison")]),
    ("H16 poison by another thread", "journal/journal.c",
     "    return ctx->journal ? vm_journal_check(ctx) : 0; /* H16 */", "    return 0;", [unit("h16_poison_in_fence")]),
    ("H17 backing in recovery", "journal/recover.c",
     "        int result = back_entry(recovery, &entry); /* H17 */", "        int result = 0;",
     [unit("h17_recovery")]),
    ("H17 backing of chunks", "space/group.c",
     "    result = vm_back(ctx, start, len_bytes); /* H17 */", "    result = 0;",
     [unit("h17_use")]),
    ("H17 backing of groups", "space/group.c",
     "    int result = back_group(sub, &place); /* H17 */", "    int result = 0;",
     [unit("h17_use")]),
    ("H18 first hash of an inode", "inode/inode.c",
     "    inode->m.hash0 = vm_put32(hash_head(ctx->region, slot, &inode->m)); /* H18 */", "",
     [crash("chmod.p"), crash("create.p")]),
    ("H18 second hash of an inode", "inode/inode.c",
     "    inode->m.hash1 = vm_put32(hash_rest(ctx->region, slot, &inode->m)); /* H18 */", "",
     [crash("append-first.p"), crash("create.p")]),
    ("H22 era before the homes", "journal/recover.c",
     "        result = apply_found(recovery);\n        if (result == 0)\n"
     "            result = begin_era(recovery, copy);",
     "        result = begin_era(recovery, copy);\n        if (result == 0)\n"
     "            result = apply_found(recovery);", [crash("create.")]),
    ("N2 orphan bit", "inode/inode.c",
     "    return vm_table_set_orphan(ctx, inode->id, is_now); /* N2 */", "    return 0;",
     [crash("unlink-open")]),
    ("N2 a nameless file is an orphan from its first record", "inode/inode.c",
     "(vm_inode_nlink(inode) == 0 || vm_inode_is_beyond(inode));", "vm_inode_is_beyond(inode);",
     [crash("tmpfile")]),
    ("O3 the first handle of a nameless file", "name/nsop.c",
     "    vm_open_list(ctx, child->id, new->open); /* O3 */", "", [crash("tmpfile-link")]),
    ("A2 access times are noted", "inode/atime.c",
     "    note(ctx, vm_id_slot(id));", "", [crash("read-sync")]),
    ("A2 noted lines are flushed", "inode/atime.c",
     "        flush_word(ctx, chunk, word);", "        (void)chunk;", [crash("read")]),
    ("A2 flushed lines are fenced", "journal/journal.c",
     "    if (result == 0 && lines)\n        result = fence_counted(ctx);", "", [crash("read")]),
    ("O1 the rest of a big file", "inode/reap.c",
     "        more = vm_file_cut(ctx, inode, 0);",
     "        more = vm_file_cut(ctx, inode, 0) < 0;", [crash("unlink-pieces")]),
    ("X1 both inodes in one record", "inode/heir.c",
     "    int result = vm_inode_store(ctx, &heir->inode);\n    if (result == 0)\n"
     "        result = vm_inode_store(ctx, &heir->file);",
     "    int result = vm_inode_store(ctx, &heir->inode);\n    if (result == 0)\n"
     "        result = vm_tx_commit(ctx);\n    if (result == 0)\n        result = vm_tx_renew(ctx);\n"
     "    if (result == 0)\n        result = vm_inode_store(ctx, &heir->file);", [crash("insert-heir.p")]),
    ("X2 the old map is retired", "inode/heir.c",
     "    m->form = VM_BODY_RETIRED;", "    m->form = VM_BODY_EMPTY;", [crash("insert-heir.p")]),
    ("X2 how far the range is freed", "inode/reap.c",
     "    retired->end = vm_put64(end);", "    retired->end = vm_put64(end + (end > first));",
     [crash("collapse-heir.p")]),
    ("X2 only the range is freed", "inode/reap.c",
     "        uint64_t from = vm_max(first, last.file_block);", "        uint64_t from = last.file_block;",
     [crash("collapse-long.p")]),
    ("T1 generation", "inode/table.c",
     "(vm_get32(old.generation) & VM_GENERATION_MAX) + 1u", "(vm_get32(old.generation) & VM_GENERATION_MAX)",
     [unit("t1_generation")]),
    ("T2 used bit", "inode/table.c",
     "    vm_tx_mask(ctx, used_offset(chunk_offset, index / 64), (uint64_t)1 << index % 64, 0); /* T2 */",
     "", [crash("unlink.p")]),
    ("D1 data behind the end", "inode/write.c",
     "        ctx->tx->has_payload = true; /* D1 */\n    else",
     "        ctx->tx->has_in_place = true; /* D1 */\n    else", [crash("append-after-shrink")]),
    ("D1 data in fresh blocks", "inode/write.c",
     "    ctx->tx->has_payload = true; /* D1 */\n    if", "    ctx->tx->has_in_place = true;\n    if",
     [crash("append-first")]),
    ("D2 the tail is filled", "inode/data.c",
     "    vm_tx_fill(ctx, span.region_offset, stop - size, 0);", "    (void)stop;",
     [unit("d2_tail")]),
    ("D1 data in unwritten blocks", "inode/write.c",
     "{vm_block_of(span->region_offset), part.count, false}", "{vm_block_of(span->region_offset), part.count, true}",
     [crash("write-unwritten")]),
    ("D1 what a copy zeroes behind the end", "inode/copy.c",
     "        ctx->tx->has_payload = true; /* D1 */", "        ctx->tx->has_in_place = true;",
     [crash("copy-hole-over")]),
    ("D3 images under what is zeroed", "inode/alloc.c",
     "            result = vm_images_settle(ctx, span.region_offset, stop - at);", "            result = 0;",
     [crash("punch-logged")]),
    ("D3 images under what was unwritten", "inode/write.c",
     "vm_images_settle(ctx, run.block * VM_BLOCK_BYTES, run.count * VM_BLOCK_BYTES)", "0",
     [crash("write-zeroed")]),
    ("P2 words of several pieces", "inode/write.c",
     "        if (stop < end)\n            stop = vm_align_down(stop, 8);", "", [crash("write-vector")]),
    ("W2 logged bytes have images", "inode/atomic.c",
     "            vm_data_note_logged(write->ctx, blocks[index]); /* D3 */", "            (void)0;",
     [crash("atomic-logged")]),
    ("W2 blocks are replaced", "inode/atomic.c",
     "result ? write_over(write)", "0 ? write_over(write)",
     [crash("atomic-block")]),
    ("W3 fence behind the end", "inode/atomic.c",
     "    write->ctx->tx->has_payload = true; /* W3 */", "", [crash_all("atomic-append.z")]),
    ("W3 fence of what is replaced", "inode/atomic.c",
     "        ctx->tx->has_payload = true; /* W3 */\n    }", "    }", [crash_all("atomic-hole.z")]),
    ("D4 beyond", "inode/write.c",
     "        vm_inode_set_writing(inode);\n    }", "        (void)0;\n    }",
     [crash("write-pieces")]),
    ("D4 beyond in a cut", "inode/resize.c",
     "        vm_inode_set_beyond(inode, more); /* D4 */", "        (void)0;", [crash("truncate-pieces")]),
    ("I6 fresh lines are logged whole", "journal/tx.c",
     "    stage(ctx, offset, bytes, len_bytes, true);", "    stage(ctx, offset, bytes, len_bytes, false);",
     [unit("i6_fresh")]),
    ("touched bit of a chunk", "space/group.c",
     "        vm_tx_mask(&sub, offset, bit, bit);\n", "", [crash("append-first.z")]),
]


def run(command, cwd):
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def compile_one(tree, objects, source):
    target = objects / (str(source).replace("/", "_") + ".o")
    done = run(["gcc", *FLAGS, "-c", str(source), "-o", str(target)], tree)
    if done.returncode:
        sys.exit(f"mutants.py: {source} does not compile:\n{done.stderr}")
    return target


def link(objects, program, extra):
    main = objects / f"tests_crash_{program}.c.o"
    if program == "test_journal":
        main = objects / "tests_unit_test_journal.c.o"
    parts = [str(path) for path in sorted(objects.glob("*.o"))
             if path.name not in ("tests_crash_crash_test.c.o", "tests_unit_test_journal.c.o")]
    target = objects / program
    done = run(["gcc", "-o", str(target), str(main), *parts, *LINK, *extra], objects)
    if done.returncode:
        sys.exit(f"mutants.py: {program} does not link:\n{done.stderr}")
    return target


def programs():
    return {"crash_test": [], "test_journal": ["-lcriterion"]}


def build(work):
    """Copies the tree and compiles everything once."""
    tree = work / "tree"
    for folder in ("include", "libvmfs", "tests/lib", "tests/crash", "tests/unit"):
        shutil.copytree(TOP / folder, tree / folder)
    sources = sorted(path.relative_to(tree) for path in (tree / "libvmfs").glob("*/*.c"))
    sources += sorted(path.relative_to(tree) for path in (tree / "tests/crash").glob("**/*.c"))
    sources += [pathlib.Path("tests/lib/seed.c"), pathlib.Path("tests/unit/test_journal.c")]
    objects = work / "objects"
    objects.mkdir()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda source: compile_one(tree, objects, source), sources))
    return tree, objects


def run_test(objects, program, arguments):
    """What is wrong, or None."""
    environment = dict(os.environ, PMEM_IS_PMEM_FORCE="1")
    try:
        done = subprocess.run([str(objects / program), *arguments], cwd=objects, env=environment,
                              capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return "it does not end"
    if done.returncode == 0:
        return None
    lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    return lines[0] if lines else f"exit {done.returncode}"


def try_mutant(work, tree, objects, number, mutant):
    name, file, text, replacement, tests = mutant
    original = (tree / "libvmfs" / file).read_text()
    if original.count(text) != 1:
        return f"STALE     {name}: its text is {original.count(text)} times in {file}"
    mine = work / f"mutant{number}"
    shutil.copytree(objects, mine, copy_function=os.link)
    mutated = mine / "mutated.c"
    folder = f"-Ilibvmfs/{pathlib.Path(file).parent}"
    mutated.write_text(original.replace(text, replacement))
    target = mine / (f"libvmfs/{file}".replace("/", "_") + ".o")
    target.unlink()
    done = run(["gcc", *FLAGS, folder, "-c", str(mutated), "-o", str(target)], tree)
    if done.returncode:
        return f"BROKEN    {name}: {done.stderr.splitlines()[0]}"
    verdict = f"SURVIVED  {name}"
    for program, arguments in tests:
        (mine / program).unlink()
        link(mine, program, programs()[program])
        why = run_test(mine, program, arguments)
        if why:
            verdict = f"killed    {name}: {why[:110]}"
            break
    shutil.rmtree(mine)
    return verdict


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    start = time.monotonic()
    wanted = [(number, mutant) for number, mutant in enumerate(MUTANTS) if options.only in mutant[0]]
    with tempfile.TemporaryDirectory(prefix="vmfs-mutants-") as folder:
        work = pathlib.Path(folder)
        tree, objects = build(work)
        for program, extra in programs().items():
            link(objects, program, extra)
        for program, arguments in {(p, tuple(a)) for _, m in wanted for p, a in m[4]}:
            why = run_test(objects, program, list(arguments))
            if why:
                sys.exit(f"mutants.py: {program} fails without a mutant: {why}")
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            verdicts = list(pool.map(lambda item: try_mutant(work, tree, objects, *item), wanted))
    for verdict in verdicts:
        print(verdict)
    failed = sum(not verdict.startswith("killed") for verdict in verdicts)
    print(f"mutants={len(verdicts)} not_killed={failed} seconds={time.monotonic() - start:.0f}")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
