#!/usr/bin/env python3
"""run.py -- searches journal.pml completely: with all rules it holds, without any one of them it does not

    run.py [--only PATTERN] [--jobs N] [--trail]

One line for each run: the rule that is taken away, the scenario, the states, and what was found. A run with
all rules that finds something fails, a rule that is not missed fails, and so does a search that was cut short
by its depth, its memory or its time. With --trail the steps of each counterexample follow, the shortest that
there is. A rule whose line in libvmfs/ has gone is a failure, too."""
import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
MODEL = HERE / "journal.pml"
LIBRARY = HERE.parents[1] / "libvmfs"
DEPTH_MAX = 100000
MEMORY_MIB = 1200
TIMEOUT_S = 240

# (scenario, further sizes): each must hold with all rules.
SCENARIOS = [
    ("ORDER", ""),
    ("ORDER", "SLICE=1"),
    ("DEEP", "SLOTS=2"),
    ("ORDER", "CUTS=0"),
    ("BITS", ""),
    ("BLOCKS", "SLOTS=2"),
    ("INPLACE", "SLOTS=2"),
    ("DAMAGE", "SLOTS=2"),
    ("LIVES", "LIVES=2"),
    ("FAILURE", ""),
    ("VIEW", "SLOTS=2 CUTS=0"),
]

# (rule, scenario, further sizes, file and text of the line below libvmfs/ that keeps it): none must hold.
RULES = [
    ("H1", "ORDER", "", "journal/recover.c", "<= recovery->line.watermark) /* H1 */"),
    ("H2", "BLOCKS", "SLOTS=2", "space/space.c", "vm_chunks_cool(ctx, ctx->tx->lane, block, count);"),
    ("H2_COOL", "BLOCKS", "SLOTS=2", "journal/tx.c", "    tell_freeing(ctx);\n    store_homes(ctx, writer->bytes);"),
    ("H2_LOOK", "BLOCKS", "SLOTS=2", "space/group.c", "is_enough = !is_cooling(ctx, chunk) && has_wanted(free_out, want);"),
    ("H3", "INPLACE", "SLOTS=2", "inode/write.c", "vm_images_settle(ctx, span->region_offset, count);"),
    ("H4", "ORDER", "", "journal/tx.c", "/* H4, H6: durable from here on */"),
    ("H5", "ORDER", "", "journal/journal.c", "vm_record_flush(ctx, ctx->journal, record); /* H5 */"),
    ("H6", "ORDER", "", "journal/tx.c", "/* H4, H6: durable from here on */"),
    ("H8", "ORDER", "", "journal/journal.c", "if (mark && mark - 1 < limit)"),
    ("H8_NUMBER", "ORDER", "", "journal/tx.c", "/* H8: the mark is visible before the number exists. */"),
    ("H8_ORDER", "ORDER", "", "journal/journal.c", "The counter is read before the marks."),
    ("H8_HOMES", "ORDER", "", "journal/tx.c", "atomic_store_explicit(&lane->mark, 0, memory_order_release)); /* H8 */"),
    ("H8_RING", "ORDER", "", "journal/tx.c", "atomic_store_explicit(&lane->ring_head, head + 1, memory_order_release)"),
    ("H9", "BLOCKS", "SLOTS=2", "journal/tx.c", "result = vm_journal_fence(ctx); /* H9 */"),
    ("H10", "BITS", "", "journal/record.c", "case VM_ENTRY_CLEAR: /* H10 */"),
    ("H11", "BLOCKS", "SLOTS=2", "journal/tx.c", "    tell_freeing(ctx);\n    store_homes(ctx, writer->bytes);"),
    ("H12_HOMES", "ORDER", "", "journal/journal.c", "/* H12: homes before W */"),
    ("H12_PUBLISH", "ORDER", "", "journal/journal.c", "/* H12: W before what it releases */"),
    ("H12_PUBLISH", "INPLACE", "SLOTS=2", "journal/journal.c", "/* H12: W before what it releases */"),
    ("H12_RELEASE", "ORDER", "", "journal/journal.c", "/* H12: W before what it releases */"),
    ("H12_RELEASE", "BLOCKS", "SLOTS=2", "journal/journal.c", "/* H12: W before what it releases */"),
    ("H12_RECOVERY", "ORDER", "", "journal/recover.c", "return vm_journal_fence(ctx); /* H12: homes before W */"),
    ("H14", "LIVES", "LIVES=2", "journal/recover.c", "vm_nonce_draw(ctx->region, recovery->line.era); /* H14 */"),
    ("H14_RESTART", "LIVES", "LIVES=2", "journal/recover.c", "atomic_store(&journal->sequence, line->watermark)"),
    ("H16", "FAILURE", "", "journal/tx.c", "/* H4, H6: durable from here on */\n    if (result)\n        return result;"),
    ("H16_CHECKPOINT", "FAILURE", "", "journal/journal.c", "/* H12: homes before W */\n    if (result)\n        return result;"),
    ("H18", "ORDER", "", "journal/record.c", "vm_get64(header.check) == record_check(bytes, len_bytes, nonce, offset)"),
    ("H22", "LIVES", "LIVES=2", "journal/recover.c", "/* H14, H22 */"),
    ("S5", "DAMAGE", "SLOTS=2", "inode/span.c", "ctx->tx->has_images = ctx->tx->has_images || noted > lower;"),
    ("H23", "VIEW", "SLOTS=2 CUTS=0", "journal/pin.c", "limit = bound - 1; /* H23 */"),
    ("H23_VISIBLE", "VIEW", "SLOTS=2 CUTS=0", "inode/view.c",
     "view->pin = vm_pin_take(ctx); /* Z1 */\n    if (!vm_read_try(ctx, id, view_body"),
    ("H23_ORDER", "VIEW", "SLOTS=2 CUTS=0", "journal/journal.c", "return vm_pins_limit(journal, limit);"),
    ("H23_FALL", "VIEW", "SLOTS=2 CUTS=0", "journal/journal.c",
     "if (line.watermark <= journal->line.watermark) /* H23 */"),
    ("S2", "ORDER", "", "journal/journal.c", "journal->line_copy ^ 1, &line); /* S2 */"),
    ("S2_ERA", "ORDER", "", "journal/recover.c", "turn ? newest_copy : newest_copy ^ 1,"),
    ("S2_FENCE", "ORDER", "", "journal/recover.c", "/* H14, H22 */"),
    ("ORDER", "ORDER", "", "journal/recover.c", "sort_found(recovery->found, recovery->found_count);"),
    ("GAP", "ORDER", "", "journal/recover.c", "index < recovery->found_count; index++) {\n        const struct vm_record_media"),
]


def check_table():
    """The switches of the model are those of the table, and each rule's line stands in the code."""
    wrong = []
    switches = set(re.findall(r"\bNO_(\w+)", MODEL.read_text())) - {""}
    names = {rule[0] for rule in RULES}
    wrong += [f"{name}: in the table, not in the model" for name in sorted(names - switches)]
    wrong += [f"{name}: in the model, not in the table" for name in sorted(switches - names)]
    for name, _, _, file, text in RULES:
        code = (LIBRARY / file).read_text()
        if text not in code:
            wrong.append(f"{name}: libvmfs/{file} has no line {text!r}")
    headers = "".join(path.read_text() for path in sorted(LIBRARY.rglob("*.h")))
    for name in sorted({name.split("_")[0] for name in names}):
        if re.fullmatch(r"[A-Z]\d+", name) and not re.search(rf"^ \* (?:[A-Z]\d+, )*{name}\b", headers, re.M):
            wrong.append(f"{name}: no header of libvmfs/ states it")
    return wrong


def definitions(rule, scenario, sizes):
    rules = [f"-DNO_{rule}"] if rule else []
    return rules + [f"-DSCENARIO_{scenario}"] + [f"-D{size}" for size in sizes.split()]


def show_trail(arguments, folder):
    shown = subprocess.run(["spin", "-t", "-p", "-g", "-k", "journal.pml.trail", *arguments, "journal.pml"],
                           cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S)
    return shown.stdout


def pan(arguments, order, folder):
    """Compiles and runs the verifier: what it printed, or why there is nothing."""
    for command in (["spin", "-a", *arguments, "journal.pml"],
                    ["gcc", "-w", *order, "-DSAFETY", f"-DMEMLIM={MEMORY_MIB}", "-o", "pan", "pan.c"],
                    ["./pan", f"-m{DEPTH_MAX}"]):
        try:
            ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return "", f"CUT SHORT: {command[0]} took more than {TIMEOUT_S} s"
        text = ran.stdout + ran.stderr
        if command[0] != "./pan" and ran.returncode:
            return "", f"{command[0]}: {text.strip()}"
    is_cut_short = re.search(r"max search depth too small|MEMLIM|out of memory|resizing|aborted", text)
    is_complete = re.search(r"errors: 0$", text, re.M) and "Search not completed" not in text
    if is_cut_short or not is_complete and not re.search(r"^pan:\d+: .* \(at depth \d+\)", text, re.M):
        return "", f"CUT SHORT: {text.strip()[:400]}"
    return text, ""


def search(run, wants_trail):
    """(is as it should be, line, trail)"""
    rule, scenario, sizes = run[:3]
    arguments = definitions(rule, scenario, sizes)
    name = f"{'without ' + rule if rule else 'all rules':24}{' '.join([scenario, sizes]):18}"
    # Breadth first finds the shortest counterexample; depth first needs less where there is none.
    order = ["-O0", "-DBFS"] if rule else ["-O1", "-DNOREDUCE"]
    with tempfile.TemporaryDirectory(prefix="vmfs-spin-") as folder:
        (pathlib.Path(folder) / "journal.pml").write_bytes(MODEL.read_bytes())
        text, failure = pan(arguments, order, folder)
        trail = show_trail(arguments, folder) if wants_trail and text else ""
    if failure:
        return False, f"{name} {failure}", trail
    states = int(re.search(r"(\d+) states, stored", text).group(1))
    name += f"{states:9} states  "
    found = re.search(r"^pan:\d+: (.*) \(at depth (\d+)\)", text, re.M)
    if not found:
        return not rule, name + ("HOLDS: nothing shows the rule" if rule else "holds"), trail
    what = re.sub(r"^assertion violated *!\((\w+)\)", r"\1", found.group(1))
    return bool(rule), name + f"counterexample of {found.group(2)} steps: {what}", trail


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--trail", action="store_true")
    options = parser.parse_args()
    all_runs = [("", *scenario) for scenario in SCENARIOS] + RULES
    runs = [run for run in all_runs if re.search(options.only, " ".join(run[:3]))]
    start = time.monotonic()
    wrong = check_table()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        results = pool.map(lambda run: search(run, options.trail), runs)
        for is_good, line, trail in results:
            print(line, flush=True)
            print(trail, end="")
            if not is_good:
                wrong.append("not as it should be: " + line)
    for text in wrong:
        print(text)
    print(f"{len(runs)} runs, {len(wrong)} failures, {time.monotonic() - start:.0f} s")
    return 1 if wrong or not runs else 0


if __name__ == "__main__":
    sys.exit(main())
