#!/usr/bin/env python3
"""run.py -- the crash tests of a build, with or without mutants, and replays

    run.sh [--quick | --long] [--mutants] [--json FILE] [--jobs N] [BUILD]
    run.sh --list-mutants              a line for each: ID FILE:LINE KIND
    run.sh --mutant ID [BUILD]         1 and a line `TOKEN token` if a test notices it, 0 if none does
    replay TOKEN [BUILD]               1 if that state is wrong, 0 if it is not

BUILD is a folder that meson has set up. Without it that is build, or if there is none, build-crash, which
is then set up; what is needed is built. The last line of a run describes the library as it is:

    states=N points=N complete=P violations=N escaped=N mutants=N survivors=N states_per_s=N

and the run ends with 0 only if violations, escaped and survivors are 0. --quick is what check.sh does;
--long takes a quarter of an hour and a new seed; its last run does without the reductions, and must agree. --json writes all figures, with those of each run and of
each mutant."""
import argparse
import json
import os
import pathlib
import re
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]
import mutants
import mutation

OWN_BUILD = mutation.TOP / "build-crash"
LINE = re.compile(r"^states=\d+ .*", re.M)


def build_folder(given):
    """A folder that is set up."""
    if given:
        if not (pathlib.Path(given) / "build.ninja").exists():
            sys.exit(f"run.sh: {given} is no folder that meson has set up")
        return pathlib.Path(given).resolve()
    usual = mutation.TOP / "build" / "build.ninja"
    if usual.exists() and mutants.CRASH in usual.read_text():
        return usual.parent
    if not (OWN_BUILD / "build.ninja").exists():
        done = mutation.run(["meson", "setup", OWN_BUILD, mutation.TOP], mutation.TOP)
        if done.status:
            sys.exit("run.sh: meson setup fails:\n" + done.output[-3000:])
    return OWN_BUILD


def build_program(folder):
    done = mutation.run(["ninja", "-C", folder, mutants.CRASH], folder)
    if done.status:
        sys.exit("run.sh: the crash test does not build:\n" + done.output[-3000:])
    return pathlib.Path(folder).resolve() / mutants.CRASH


# ---- the library as it is ----

def runs_of(options):
    """The arguments of each run of crash_test."""
    jobs = ["--jobs", str(options.jobs)]
    if not options.long:
        return [["--quick", *jobs], ["--quick", "--mib", "5", "--seconds", "8", *jobs]]
    seed = str(int(time.time()))
    return [["--long", "--seed", seed, *jobs], ["--long", "--mib", "5", "--seconds", "120", "--seed", seed, *jobs],
            ["--long", "--sound", "--seconds", "120", "--seed", seed, *jobs]]


def run_once(program, arguments):
    """The figures of a run; what it says goes out as it is."""
    report = program.with_name("crash_test.json")
    report.unlink(missing_ok=True)
    done = mutation.run([program, *arguments, "--json", report], program.parent, PMEM_IS_PMEM_FORCE="1")
    print(done.output, end="", flush=True)
    line = LINE.findall(done.output)
    if done.status not in (0, 1) or not line:
        sys.exit(f"run.sh: crash_test {' '.join(arguments)} ended with {done.status}")
    figures = {name: float(value) for name, value in re.findall(r"(\w+)=([\d.]+)", line[-1])}
    if done.status == 1 and not figures["violations"] and not figures.get("escaped"):
        sys.exit("run.sh: crash_test fails without a violation")
    detail = json.loads(report.read_text()) if report.exists() else {}
    return {"arguments": arguments, "seconds": round(done.seconds, 1), **figures, **detail}


def total(runs):
    """Sums. What a run without reductions cannot try whole says nothing of how complete the others are."""
    sums = {name: int(sum(run[name] for run in runs))
            for name in ("states", "points", "violations", "escaped")}
    busy = sum(run["states"] / run["states_per_s"] for run in runs if run["states_per_s"])
    reduced = [run for run in runs if "--sound" not in run["arguments"]]
    sums["complete"] = (sum(run["complete"] * run["points"] for run in reduced) /
                        max(1, sum(run["points"] for run in reduced)))
    sums["states_per_s"] = int(sums["states"] / busy) if busy else 0
    return sums


def run(options):
    folder = build_folder(options.build)
    program = build_program(folder)
    runs = [run_once(program, arguments) for arguments in runs_of(options)]
    sums = total(runs)
    judged = {"mutants": 0, "survivors": 0}
    if options.mutants:
        judged = mutants.run_all(mutants.options_of(["--proved", f"--jobs={options.jobs}", str(folder)]))
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({**sums, "runs": runs, "mutation": judged}, indent=1) + "\n")
    print(f"states={sums['states']} points={sums['points']} complete={sums['complete']:.2f} "
          f"violations={sums['violations']} escaped={sums['escaped']} mutants={judged['mutants']} "
          f"survivors={judged['survivors']} states_per_s={sums['states_per_s']}")
    return bool(sums["violations"] or sums["escaped"] or judged["survivors"])


def main():
    parser = argparse.ArgumentParser(prog="run.sh")
    parser.add_argument("build", nargs="?")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--mutants", action="store_true")
    parser.add_argument("--json")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count()))
    parser.add_argument("--list-mutants", action="store_true")
    parser.add_argument("--mutant")
    parser.add_argument("--replay")
    options = parser.parse_args()
    if options.quick and options.long:
        parser.error("--quick or --long")
    if options.list_mutants:
        return mutants.list_all()
    if not options.mutant and not options.replay:
        return run(options)
    folder = build_folder(options.build)
    if not (folder / "compile_commands.json").exists():
        sys.exit(f"run.sh: {folder} has no compile_commands.json")
    return mutants.run_one(folder, options.mutant) if options.mutant else mutants.replay(folder, options.replay)


if __name__ == "__main__":
    sys.exit(main())
