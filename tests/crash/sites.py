"""sites.py -- where the library flushes, fences and makes or tests a checksum

The sources are scanned; each call is a site, with an ID that outlives the lines around it: file, function,
what is called, and which of those calls it is. The mutant of a site takes the call away: a fence or flush
is not called, a checksum that is stored or that a function returns is a constant, a test of one always
holds."""
import collections
import pathlib
import re
import sys

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1]), str(pathlib.Path(__file__).resolve().parents[1] / "lib")]
import mutation
import tidy

CONSTANT = "0x5eed5eedu"
HASHES = {"vm_hash32", "vm_hash64"}
CALL = re.compile(r"((?:\b[A-Za-z_]\w*(?:->|\.))*)\b([A-Za-z_]\w*)\s*\(")
FENCE = re.compile(r"fence|drain|msync")
FLUSH = re.compile(r"flush")
# Takes a number of fences, and makes none.
NO_SITES = {"vm_tx_affords"}


class Function:
    def __init__(self, file, code, head, name, first, length, lines):
        self.file = file
        self.name = name
        self.head = head
        offsets = lines
        self.start = offsets[first - 1]
        end_line = min(first + length - 1, len(offsets) - 1)
        self.end = offsets[end_line]
        self.body = code.index("{", self.start + len(head)) if head else self.start
        self.code = code


def functions_of(file, code):
    lines = [0]
    for match in re.finditer("\n", code):
        lines.append(match.end())
    for name, _, first, length in tidy.functions(code):
        start = lines[first - 1]
        brace = re.compile(r"^\{", re.M).search(code, start).start()
        yield Function(file, code, code[start:brace], name, first, length, lines)


def calls_of(function):
    """(offset of the call's text, name, offset behind it)"""
    for match in CALL.finditer(function.code, function.body, function.end):
        yield match.start(), match.group(2), close_of(function.code, match.end() - 1) + 1


def close_of(code, at):
    depth = 0
    for index in range(at, len(code)):
        depth += {"(": 1, ")": -1, "[": 1, "]": -1}.get(code[index], 0)
        if depth == 0:
            return index
    raise ValueError(f"no end of the parenthesis at {at}")


def open_of(code, at):
    depth = 0
    for index in range(at, -1, -1):
        depth += {")": 1, "(": -1, "]": 1, "[": -1}.get(code[index], 0)
        if depth == 0:
            return index
    raise ValueError(f"no start of the parenthesis at {at}")


def operand_before(code, end):
    """Start of the postfix expression that ends before `end`."""
    at = len(code[:end].rstrip())
    while at:
        if code[at - 1] in ")]":
            at = open_of(code, at - 1)
        elif re.match(r"[\w.]", code[at - 1]):
            at -= 1
        elif code[at - 2:at] == "->":
            at -= 2
        else:
            break
    return at


def operand_behind(code, start):
    """End of the postfix expression that starts behind `start`."""
    at = start
    while code[at].isspace():
        at += 1
    while True:
        match = re.compile(r"\w+|->|\.").match(code, at)
        if match:
            at = match.end()
        elif code[at] in "([":
            at = close_of(code, at) + 1
        else:
            return at


def comparison(code, start, end):
    """The comparison that an expression is a side of: (start, end, is it for equality), or None."""
    before = re.search(r"(==|!=)\s*$", code[:start])
    if before:
        return operand_before(code, before.start()), end, before.group(1) == "=="
    behind = re.compile(r"\s*(==|!=)").match(code, end)
    if behind:
        return start, operand_behind(code, behind.end()), behind.group(1) == "=="
    return None


def comparison_of_variable(function, start, end):
    """The comparison that a variable which was set to the call is a side of."""
    code = function.code
    name = re.search(r"\b(\w+)\s*=\s*$", code[:start])
    if not name or not re.compile(r"\s*;").match(code, end):
        return None
    for use in re.compile(rf"(?<![\w.>]){name.group(1)}\b").finditer(code, end, function.end):
        found = comparison(code, use.start(), use.end())
        if found:
            return found
    return None


def returned(function, start):
    """Is the call, cast or not, what the function returns?"""
    return re.search(r"\breturn\s*(\(\w+\)\s*)?$", function.code[function.body:start]) is not None


def is_statement(code, start, end):
    return re.search(r"[;{})]\s*$", code[:start]) is not None and re.compile(r"\s*;").match(code, end) is not None


def kinds_of_functions(functions):
    """Which functions return a checksum, store one, or only test one, by what they call."""
    makes, seals, tests = set(HASHES), set(), set()
    while True:
        before = len(makes) + len(seals) + len(tests)
        for function in functions:
            for start, name, end in calls_of(function):
                if name not in makes:
                    continue
                if returned(function, start) and function.name != "vm_named_key":
                    makes.add(function.name)
                elif re.search(r"\bbool\s", function.head) and (
                        comparison(function.code, start, end) or comparison_of_variable(function, start, end)):
                    tests.add(function.name)
                elif re.search(r"seal", function.name):
                    seals.add(function.name)
        if len(makes) + len(seals) + len(tests) == before:
            return makes, seals, tests


def change_of(function, start, name, end, kinds):
    """(kind, start, end, replacement) of the mutant of a call, or None if the call is no site."""
    makes, seals, tests = kinds
    code = function.code
    if name in NO_SITES:
        return None
    if FENCE.search(name):
        return "fence", start, end, "0"
    if FLUSH.search(name):
        return "flush", start, end, "0"
    if name in seals:
        return "checksum-store", start, end, "0"
    if name in tests:
        return "checksum-test", start, end, "1"
    if name not in makes:
        return None
    test = comparison(code, start, end) or comparison_of_variable(function, start, end)
    if test:
        return "checksum-test", test[0], test[1], "1" if test[2] else "0"
    return "checksum" if returned(function, start) else "checksum-store", start, end, CONSTANT


def scan():
    """The mutants of all sites, in the order of the sources."""
    sources = {}
    for path in sorted([*mutation.LIBRARY.glob("*/*.c"), *mutation.LIBRARY.glob("*/*.h")]):
        if path.parent.name == "freestanding":
            continue
        code = tidy.strip_comments(path.read_text())
        # Directives are no calls, and keep their places.
        code = re.sub(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", tidy.blank, code, flags=re.M)
        sources[str(path.relative_to(mutation.LIBRARY))] = list(functions_of(path, code))
    kinds = kinds_of_functions([function for each in sources.values() for function in each])
    found = []
    for file, functions in sources.items():
        for function in functions:
            seen = collections.Counter()
            for start, name, end in calls_of(function):
                change = change_of(function, start, name, end, kinds)
                if change is None:
                    continue
                seen[name] += 1
                found.append((f"{file}:{function.name}:{name}.{seen[name]}", file, start, change))
    return [site(*item) for item in found]


def site(id, file, at, change):
    kind, start, end, replacement = change
    return mutation.Mutant(id, kind, file, start, end, replacement, at)
