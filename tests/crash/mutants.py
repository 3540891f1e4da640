#!/usr/bin/env python3
"""mutants.py -- takes one thing of the library away at a time and asks the tests to notice

    mutants.py [--only PATTERN] [--jobs N] [--all] [--learn] [--json FILE] [BUILD]

BUILD is a folder that meson has set up (default: build). The mutants are those of sites.py and of rules.py.
killers.txt names for each the tests that are asked first; if they notice nothing, or none is named, all
others are asked. A mutant that no test notices is a survivor, and a failure, unless redundant.txt gives
the reason. A mutant that only a time limit of ours ends counts as one that nothing has noticed.

--all       asks about those of redundant.txt as well: whoever is noticed does not belong there
--learn     writes what noticed a mutant into killers.txt
--proved    does not ask first whether the named tests are content with the library as it is: for a caller
            that has run them, as check.sh and run.sh do
--near      asks only the named tests, or where there are none those of the folder and a few others
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lib")]
import mutation
import rules
import sites

KILLERS = HERE / "killers.txt"
REDUNDANT = HERE / "redundant.txt"
TIMEOUT_S = 150
WHOLE_S = 400  # of a test that is asked as a whole
CRITERION_S = 40  # after that a test says itself that it has failed
CRASH = "tests/crash/crash_test"
# Asked when the named tests notice nothing: first those of the folder, then all.
NEAR = {
    "check": ["unit-fsck *", "unit-repair *", "unit-damaged *", "tools-command *", "golden *"],
    "api": ["unit-sync *", "api-basic *", "api-guard *", "api-errors *", "api-badinput *"],
    "persist": ["unit-persist *", "unit-sync *", "crash create.", "crash overwrite"],
    "index": ["crash create.", "unit-index *", "unit-damaged *"],
    "inode": ["crash create.", "crash read", "unit-damaged *", "unit-hazards *"],
}
FIRST = ["crash create.", "crash format", "unit-hazards *", "unit-damaged *"]
LAST = ["crash *", "unit-index *", "unit-file-rules *", "unit-fsck *", "unit-repair *", "unit-long *", "api-basic *",
        "api-data *", "api-names *", "api-badinput *", "tools-command *", "golden *"]


# ---- tests ----

def command_of(test):
    """(target, command) of a test: what is asked, and for which part of it."""
    name, _, part = test.partition(" ")
    suite, _, program = name.partition("-")
    if name == "crash":
        return CRASH, ["@PROGRAM@", "--quick", "--first", "--keep", "none", *([] if part == "*" else ["--only", part])]
    if name == "crash-all":
        return CRASH, ["@PROGRAM@", "--first", "--keep", "none", "--only", part]
    if name == "state":
        how = "--only" if part.startswith("damage:") else "--replay"
        return CRASH, ["@PROGRAM@", how, part]
    if suite in ("unit", "api"):
        part, *settings = part.split(" ")
        only = [] if part == "*" else ["--filter", f"*/{part}"]
        settings = ["env", *(f"VMFS_TEST_{setting}" for setting in settings)] if settings else []
        return f"tests/{suite}/test_{program}", [
            *settings, "@PROGRAM@", "--jobs=1", f"--timeout={CRITERION_S}", *only]
    if name == "tools-command":
        return "tools/vmfs", ["python3", str(HERE.parent / "tools/test_tools.py"), "@PROGRAM@"]
    if name == "fuzz":
        return "tests/tools/fuzz_test", ["@PROGRAM@", "--seconds", "3"]
    if name == "peek":
        return "tests/tools/peek_test", ["@PROGRAM@", "--rounds", "60"]
    if name == "stress":
        return "tests/api/stress_test", ["@PROGRAM@", "--seconds", "3"]
    if name == "model":
        return "tests/model/model_test", ["@PROGRAM@", "--ops", "20000", "--seed", "2"]
    if name == "golden":
        return "tests/golden/golden_dump", ["python3", str(HERE.parent / "golden/golden.py"), "check", "@BUILD@"]
    sys.exit(f"mutants.py: there is no test {name}")


def complaint(test, outcome):
    """(what the test says, what of it is wrong, as a part of the same test), or None if it is content."""
    name = test.split(" ")[0]
    lines = [line.strip() for line in outcome.output.splitlines() if line.strip()]
    if outcome.status in (0, None):
        return None
    state = next(filter(None, (re.match(r"[A-Z]+ token=(\S+?):? (.*)", line) for line in lines)), None)
    if state:
        return state.group(2) or lines[0], f"state {state.group(1)}"
    if name.startswith(("unit", "api")):
        failed = re.search(r"\[(?:FAIL|CRASH)[^\]]*\] *([\w-]+)::([\w-]+)", outcome.output)
        told = next((line for line in lines if line.startswith("[----]") and ".c:" in line), lines[0] if lines else "")
        setting = "".join(test.partition(" ")[2].partition(" ")[1:])
        return re.sub(r"^\[----\] *", "", told), f"{name} {failed.group(2)}{setting}" if failed else test
    return lines[-1] if name == "golden" and lines else lines[0] if lines else f"exit {outcome.status}", test


def read_table(path):
    """{first word: [rest of the line]}"""
    table = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        if line.strip() and not line.startswith("#"):
            first, _, rest = line.partition(" ")
            table.setdefault(first, []).append(rest.strip())
    return table


def ask(shop, mutant, test):
    """A verdict if the test notices the mutant, what is odd, or None."""
    target, command = command_of(test)
    command = [str(shop.build) if word == "@BUILD@" else word for word in command]
    outcome = shop.run_program(target, command, mutant, WHOLE_S if test.endswith("*") else TIMEOUT_S)
    if outcome is None:
        return None
    return complaint(test, outcome)


# ---- one mutant ----

class Verdict:
    def __init__(self, mutant, word, why="", test="", token="", seconds=0.0):
        self.mutant, self.word, self.why, self.test, self.token = mutant, word, why, test, token
        self.seconds = seconds

    def __str__(self):
        about = f"{self.mutant.id} {self.mutant.where} {self.mutant.kind}"
        token = f" token={self.token}" if self.token else ""
        return f"{self.word:9} {about}{': ' if self.why else ''}{self.why[:110]}{token}"

    def data(self):
        return {"id": self.mutant.id, "where": self.mutant.where, "kind": self.mutant.kind,
                "verdict": self.word, "why": self.why, "test": self.test, "token": self.token,
                "seconds": round(self.seconds, 2)}


def token_of(mutant, part):
    """One word that replays what has noticed the mutant."""
    return f"{mutant.id}+{part.replace(' ', '+')}"


def judge(shop, mutant, named, is_redundant, is_near=False):
    start = time.monotonic()
    verdict = Verdict(mutant, "redundant" if is_redundant else "SURVIVED")
    near = ["crash damage"] if mutant.kind.startswith("checksum") else []
    near += NEAR.get(mutant.file.split("/")[0], [])
    others = [] if is_near and named else [*near, *FIRST] if is_near else [*near, *FIRST, *LAST]
    for test in dict.fromkeys([*named, *others]):
        try:
            noticed = ask(shop, mutant, test)
        except mutation.Broken as error:
            verdict = Verdict(mutant, "BROKEN", str(error))
            break
        if noticed:
            why, part = noticed
            verdict = Verdict(mutant, "NOTICED" if is_redundant else "killed", why, test, token_of(mutant, part))
            break
    verdict.seconds = time.monotonic() - start
    return verdict


def all_mutants():
    """Every mutant by its ID; rules first, as they say more."""
    found, stale = rules.scan()
    mutants = {}
    for mutant in [*found, *sites.scan()]:
        if mutant.id in mutants:
            sys.exit(f"mutants.py: two mutants have the ID {mutant.id}")
        mutants[mutant.id] = mutant
    return mutants, stale


def named_tests(mutants):
    """{ID: the tests that killers.txt names for it, or for another of the same text}"""
    killers, same = read_table(KILLERS), {}
    for mutant in mutants.values():
        same.setdefault((mutant.file, mutant.text()), []).append(mutant.id)
    return {id: list(dict.fromkeys(test for twin in twins for test in killers.get(twin, [])))
            for twins in same.values() for id in twins}


def find(mutants, id):
    if id not in mutants:
        sys.exit(f"there is no mutant {id}: see run.sh --list-mutants")
    return mutants[id]


# ---- all mutants ----

def judge_all(shop, mutants, named, options):
    """Verdicts; mutants of one and the same text are tried once."""
    redundant = read_table(REDUNDANT)
    texts, verdicts = {}, {}
    for mutant in mutants:
        texts.setdefault((mutant.file, mutation.digest(mutant.text())), []).append(mutant)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        runs = {}
        for same in texts.values():
            excused = [mutant.id in redundant for mutant in same]
            if any(excused) and not options.all:
                why = redundant[same[excused.index(True)].id][0]
                verdicts.update({mutant.id: Verdict(mutant, "redundant", why) for mutant in same})
                continue
            runs[pool.submit(judge, shop, same[0], named[same[0].id], any(excused), options.near)] = same
        for done in concurrent.futures.as_completed(runs):
            first = done.result()
            for mutant in runs[done]:
                token = first.token.replace(first.mutant.id, mutant.id, 1)
                verdicts[mutant.id] = Verdict(mutant, first.word, first.why, first.test, token, first.seconds)
                print(verdicts[mutant.id], flush=True)
    return [verdicts[mutant.id] for mutant in mutants]


def check_tables(mutants):
    """Lines about mutants that are no more."""
    return [f"{path.name}: there is no mutant {id}" for path in (KILLERS, REDUNDANT)
            for id in read_table(path) if id not in mutants]


def check_baseline(shop, tests, jobs):
    """The named tests must be content with the library as it is."""
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        answers = zip(tests, pool.map(lambda test: ask(shop, None, test), tests))
        for test, noticed in answers:
            if noticed:
                sys.exit(f"mutants.py: '{test}' fails without a mutant: {noticed[0]}")


def learn(verdicts):
    killers = read_table(KILLERS)
    for verdict in verdicts:
        if verdict.word != "killed":
            continue
        part = verdict.token.split("+", 1)[1].replace("+", " ")
        name, _, rest = part.partition(" ")
        test = f"crash {re.split('[/:]', rest)[0]}" if name == "state" else part
        killers[verdict.mutant.id] = [test] if verdict.test.endswith("*") else [verdict.test]
    head = [line for line in KILLERS.read_text().splitlines() if line.startswith("#")] if KILLERS.exists() else []
    lines = [f"{id} {test}" for id in sorted(killers) for test in killers[id]]
    KILLERS.write_text("\n".join(head + lines) + "\n")


def run_all(options):
    mutants, stale = all_mutants()
    stale += check_tables(mutants)
    wanted = [mutant for mutant in mutants.values() if re.search(options.only, mutant.id)]
    shop = mutation.Workshop(options.build)
    start = time.monotonic()
    named = named_tests(mutants)
    tests = sorted({test for mutant in wanted for test in named[mutant.id]})
    for target in sorted({command_of(test)[0] for test in tests}):
        shop.prepare(target)
    if not options.proved:
        check_baseline(shop, tests, options.jobs)
    verdicts = judge_all(shop, wanted, named, options)
    for line in stale:
        print(f"STALE     {line}")
    if options.learn:
        learn(verdicts)
    counts = {word: sum(verdict.word == word for verdict in verdicts) for word in ("killed", "redundant")}
    survivors = len(verdicts) - sum(counts.values()) + len(stale)
    seconds = time.monotonic() - start
    figures = {"mutants": len(verdicts), "survivors": survivors, **counts, "stale": stale,
               "seconds": round(seconds, 1), "verdicts": [verdict.data() for verdict in verdicts]}
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(figures, indent=1) + "\n")
    print(f"mutants={len(verdicts)} killed={counts['killed']} redundant={counts['redundant']} "
          f"survivors={survivors} seconds={seconds:.0f}")
    return figures


def run_one(build, id):
    """1 and a token if a test notices the mutant."""
    mutants, _ = all_mutants()
    mutant = find(mutants, id)
    redundant = read_table(REDUNDANT)
    if id in redundant:
        print(Verdict(mutant, "redundant", redundant[id][0]))
        return 0
    verdict = judge(mutation.Workshop(build), mutant, named_tests(mutants)[id], False)
    print(verdict)
    if verdict.word == "killed":
        print(f"TOKEN {verdict.token}")
        return 1
    return 2 if verdict.word == "BROKEN" else 0


def replay(build, token):
    """The token of a state, or of a mutant and a state or test, alone or with what is printed around it."""
    word = re.sub(r"^(?:token|TOKEN)=", "", token.split()[-1]).rstrip(":")
    first, _, rest = word.partition("+")
    mutant, test = None, f"state {first}"
    if rest:
        mutant, test = find(all_mutants()[0], first), rest.replace("+", " ")
    shop = mutation.Workshop(build)
    target, command = command_of(test)
    command = [str(shop.build) if word == "@BUILD@" else word for word in command]
    outcome = shop.run_program(target, command, mutant, WHOLE_S)
    if outcome is None:
        sys.exit("mutants.py: the mutant is no part of that test")
    print(outcome.output, end="")
    return 3 if outcome.status is None else int(outcome.status != 0)


def list_all():
    mutants, stale = all_mutants()
    for mutant in mutants.values():
        print(mutant.id, mutant.where, mutant.kind)
    for line in stale:
        print(f"mutants.py: STALE {line}", file=sys.stderr)
    return len(stale) != 0


def options_of(words):
    parser = argparse.ArgumentParser()
    parser.add_argument("build", nargs="?", default=str(mutation.TOP / "build"))
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count()))
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--learn", action="store_true")
    parser.add_argument("--near", action="store_true")
    parser.add_argument("--proved", action="store_true")
    parser.add_argument("--json")
    return parser.parse_args(words)


def main():
    return run_all(options_of(sys.argv[1:]))["survivors"] != 0


if __name__ == "__main__":
    sys.exit(main())
