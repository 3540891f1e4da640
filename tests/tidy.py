#!/usr/bin/env python3
"""tidy.py -- the house rules as a test.

tidy.py [ROOT]       checks the sources below ROOT (default: the folder above this file)
tidy.py --abi LIB    checks that every symbol that the shared library exports starts with vmfs_
"""
import pathlib
import re
import shutil
import subprocess
import sys

LINES_MAX = 1000
FUNCTION_LINES_MAX = 80
PARAMETERS_MAX = 6
RANKS = ["base", "persist", "media", "journal", "space", "index", "inode", "name", "check", "api"]
SOURCE_DIRS = ["include", "libvmfs", "tools", "tests", "bench", "examples", "fuse-frontend"]
BANNED = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|gets|alloca|TODO|FIXME|XXX)\b")
INTRINSICS = re.compile(r"\b(_mm\d*_\w+|__builtin_ia32_\w+|[a-z0-9]*mmintrin\.h|immintrin\.h)")
ERRNO = re.compile(r"(?<![\w.])-\s*(E[A-Z][A-Z0-9]+)\b")
SYSTEM_INCLUDE = re.compile(r"^\s*#\s*include\s+<([^>]+)>", re.M)
RUNTIME_CALLS = re.compile(r"\b(__thread|_Thread_local|float|double|__builtin_(popcount|ctzs|clrsb|parity)\w*)\b")
# What the core may include: the compiler's own headers, and these files theirs.
CORE_INCLUDES = {"stdatomic.h", "stdbool.h", "stddef.h", "stdint.h", "string.h"}
CORE_INCLUDES_OF = {"base/err.c": {"errno.h"}, "base/hash.c": {"xxhash.h"}, "persist/persist_pmem.c": {"libpmem.h", "immintrin.h"},
                    "persist/persist_sync.h": {"pthread.h"}, "persist/persist_sync.c": {"sys/mman.h", "time.h"}}
# Everything that other threads may meet: stands inside VM_SHARED() or VM_OWN() (base/lock.h).
MEETING = re.compile(r"\b(atomic_(?:fetch|exchange|compare|store|flag)\w*|vm_lock_(?:take|try)"
                     r"|__(?:atomic_(?:fetch|exchange|compare|store|add|sub|and|or)|sync)_\w+)\s*\(")
MEETING_INSIDE = re.compile(r"(\bVM_SHARED\(\s*&[\w>.-]+,|\bVM_OWN\()\s*$")
# The mount stands on the public contract alone; the shapes of its callbacks are libfuse's.
FRONTEND = "fuse-frontend"
FRONTEND_PUBLIC = {"vmfs.h", "vmfs_mount.h"}
FRONTEND_CALLBACK = re.compile(r"op_\w+")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
FUNCTION_HEAD = re.compile(r"^[A-Za-z_][^;{}=]*?\b([A-Za-z_]\w*)\s*\(([^;{}]*)\)\s*$", re.S)


INVARIANT = re.compile(r"^ \* ([A-Z]\d{1,2}(?:, [A-Z]\d{1,2})*) +[A-Za-z]", re.M)
REFERENCE = re.compile(r"`((?:tests|libvmfs|docs|tools|bench|include|examples)/[\w./-]*\w)(?::([\w-]+))?`")


class Report:
    def __init__(self):
        self.count = 0

    def add(self, path, line, text):
        self.count += 1
        print(f"{path}:{line}: {text}")


def blank(match):
    return re.sub(r"[^\n]", " ", match.group(0))


def strip_comments(text):
    """Blanks comments and literals, keeping every line where it is."""
    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(pattern, blank, text, flags=re.S)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def functions(code):
    """Yields (name, parameters, first line, length) of functions with braces in column 0."""
    lines = code.split("\n")
    start = None
    for number, line in enumerate(lines):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start is not None:
            head = start - 1
            while head > 0 and lines[head - 1].strip() and not lines[head - 1].startswith(("}", "#")):
                head -= 1
            match = FUNCTION_HEAD.match("\n".join(lines[head:start]).strip())
            if match:
                yield match.group(1), match.group(2), head + 1, number - head + 1
            start = None


def count_parameters(parameters):
    depth = 0
    count = 1
    for character in parameters:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(character, 0)
        count += character == "," and depth == 0
    return 0 if parameters.strip() in ("", "void") else count


def check_shape(report, path, text, code):
    lines = text.count("\n")
    if lines > LINES_MAX:
        report.add(path, 1, f"{lines} lines, at most {LINES_MAX}")
    for name, parameters, line, length in functions(code):
        if length > FUNCTION_LINES_MAX:
            report.add(path, line, f"{name}() has {length} lines, at most {FUNCTION_LINES_MAX}")
        is_callback = path.parent.name == FRONTEND and FRONTEND_CALLBACK.fullmatch(name)
        if count_parameters(parameters) > PARAMETERS_MAX and not is_callback:
            report.add(path, line, f"{name}() has more than {PARAMETERS_MAX} parameters")
    for match in BANNED.finditer(code):
        report.add(path, line_of(code, match.start()), f"banned: {match.group(0)}")
    for match in re.finditer(r"\b(TODO|FIXME|XXX)\b", text):
        report.add(path, line_of(text, match.start()), f"banned: {match.group(0)}")
    if text and not text.startswith("/*"):
        report.add(path, 1, "does not open with a comment that says what the file is for")
    for number, line in enumerate(text.split("\n"), 1):
        if line != line.rstrip() or "\t" in line:
            report.add(path, number, "trailing space or tab")


def check_ranks(report, path, layer, text):
    rank = RANKS.index(layer)
    for match in INCLUDE.finditer(text):
        target = match.group(1)
        line = line_of(text, match.start())
        if target == "vmfs.h":
            if layer not in ("check", "api") and path.stem != "err":
                report.add(path, line, "only base/err, check/ and api/ include vmfs.h")
        elif "/" not in target or target.split("/")[0] not in RANKS:
            report.add(path, line, f'include "{target}" does not name a folder of libvmfs/')
        elif RANKS.index(target.split("/")[0]) > rank:
            report.add(path, line, f'{layer}/ may not include "{target}", which ranks higher')


def check_core(report, path, text, code):
    """Below api/ there is no libc but mem* and str*, no thread-local state, no floating point."""
    own = CORE_INCLUDES_OF.get("/".join(path.parts[-2:]), set())
    for match in SYSTEM_INCLUDE.finditer(text):
        if match.group(1) not in CORE_INCLUDES | own:
            report.add(path, line_of(text, match.start()), f"<{match.group(1)}> below api/")
    for match in RUNTIME_CALLS.finditer(code):
        if "vm_popcount64" not in text or path.name != "util.h":
            report.add(path, line_of(code, match.start()), f"{match.group(0)} below api/")


def check_layer(report, path, layer, text, code):
    check_ranks(report, path, layer, text)
    if layer != "persist":
        for match in INTRINSICS.finditer(code):
            report.add(path, line_of(code, match.start()), f"{match.group(0)} outside persist/")
    if layer != "api":
        check_core(report, path, text, code)
    if layer != "api" and not (layer == "base" and path.stem == "err"):
        for match in ERRNO.finditer(code):
            report.add(path, line_of(code, match.start()), f"{match.group(0)} below api/")


def check_frontend(report, path, text):
    own = {header.name for header in path.parent.glob("*.h")}
    for match in INCLUDE.finditer(text):
        if match.group(1) not in own | FRONTEND_PUBLIC:
            report.add(path, line_of(text, match.start()), f'"{match.group(1)}" is neither public nor of {FRONTEND}/')
    for match in SYSTEM_INCLUDE.finditer(text):
        if match.group(1).startswith("vm") and match.group(1) not in FRONTEND_PUBLIC:
            report.add(path, line_of(text, match.start()), f"<{match.group(1)}> is not public")


def check_meetings(report, path, layer, code):
    if layer in ("base", "persist", "api"):
        return
    for match in MEETING.finditer(code):
        if not MEETING_INSIDE.search(code[max(0, match.start() - 120):match.start()]):
            report.add(path, line_of(code, match.start()),
                       f"{match.group(1)}() stands neither in VM_SHARED() nor in VM_OWN()")


def check_reasons(report, header, sources):
    reasons = re.findall(r"^\s*x\((\w+),", header.read_text(), re.M)
    places = {reason: [] for reason in reasons}
    for path, code in sources:
        for match in re.finditer(r"\bvm_raise\w*\s*\([^;]*?\bVMFS_R_(\w+)", code, re.S):
            places.setdefault(match.group(1), []).append(f"{path}:{line_of(code, match.start())}")
    for reason, where in places.items():
        if not where:
            report.add(header, 1, f"VMFS_R_{reason} is never raised")
        elif len(where) > 1:
            report.add(header, 1, f"VMFS_R_{reason} is raised at {len(where)} places: "
                       + ", ".join(where))


def check_invariants(report, root, sources):
    """An invariant has one home, the header that states it, is cited by its id, and stands in the index."""
    homes = {}
    for path, text in sources:
        for match in INVARIANT.finditer(text):
            for name in match.group(1).split(", "):
                where = (path, line_of(text, match.start()))
                if path.suffix != ".h":
                    report.add(*where, f"{name} is stated outside a header")
                elif name in homes:
                    report.add(*where, f"{name} has another home: {homes[name]}")
                homes.setdefault(name, path.relative_to(root / "libvmfs"))
    letters = {name[0] for name in homes}
    for path, text in sources:
        for comment in re.finditer(r"/\*.*?\*/", text, re.S):
            for match in re.finditer(r"(?<![\w-])([A-Z])([0-9]{1,2})(?![\w-])", comment.group(0)):
                name = match.group(0)
                if match.group(1) in letters and name not in homes:
                    report.add(path, line_of(text, comment.start() + match.start()),
                               f"{name} has no home: state it in a header")
    index = root / "docs" / "architecture.md"
    listed = {}
    for number, line in enumerate(index.read_text().split("\n"), 1):
        row = re.match(r"\| *([A-Z]\d+(?:, [A-Z]\d+)*) *\|[^|]*\| *`([\w/.]+)` *\|", line)
        for name in row.group(1).split(", ") if row else []:
            if name in listed:
                report.add(index, number, f"{name} is listed twice")
            listed[name] = row.group(2)
            if str(homes.get(name)) != row.group(2):
                report.add(index, number, f"{name} has its home in {homes.get(name)}, not {row.group(2)}")
    for name in sorted(homes.keys() - listed.keys()):
        report.add(index, 1, f"{name} of {homes[name]} is not in the index of invariants")


def check_references(report, root):
    """`path` and `path:name` in the documents exist."""
    for document in [root / "README.md", *sorted((root / "docs").glob("*.md"))]:
        text = document.read_text()
        for match in REFERENCE.finditer(text):
            path, name = match.group(1), match.group(2)
            target = root / path
            if not target.exists():
                report.add(document, line_of(text, match.start()), f"{path} does not exist")
            elif name and not (target.is_file() and re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", target.read_text())):
                report.add(document, line_of(text, match.start()), f"{path} has no {name}")


def check_regressions(report, root):
    """Each class of bugs and each hazard has a row with a test; an operation is named as its table has it."""
    table = root / "docs" / "regressions.md"
    text = table.read_text()
    rows = re.findall(r"^\| ([BH]\d+) \|[^|]*\|([^|]*)\|$", text, re.M)
    wanted = [f"B{number}" for number in range(1, 20)] + [f"H{number}" for number in range(1, 23)]
    if [name for name, _ in rows] != wanted:
        report.add(table, 1, f"the rows are not those of {wanted[0]} to {wanted[-1]}")
    for name, tests in rows:
        if not REFERENCE.search(tests):
            report.add(table, 1, f"{name} names no test and no reason")
    for match in REFERENCE.finditer(text):
        path, name = match.group(1), match.group(2)
        is_table = path in ("tests/crash/catalog.c", "tests/crash/scenarios.c")
        if is_table and name and f'{{"{name}",' not in (root / path).read_text():
            report.add(table, line_of(text, match.start()), f"{path} has no operation {name}")


def check_rank_table(report, root):
    """The ranks of docs/architecture.md are those of the include check and of the build."""
    index = root / "docs" / "architecture.md"
    listed = re.findall(r"^\| *\d+ *\| *(\w+) *\|", index.read_text(), re.M)
    built = re.findall(r"^  \['(\w+)', \[", (root / "libvmfs" / "meson.build").read_text(), re.M)
    if listed != RANKS or built != RANKS:
        report.add(index, 1, f"the ranks are {RANKS}, listed {listed}, built {built}")


def check_format(report, files):
    tool = shutil.which("clang-format")
    if tool is None:
        print("clang-format is not installed: layout not checked")
        return
    result = subprocess.run([tool, "--dry-run", *map(str, files)], capture_output=True, text=True)
    named = sorted(set(re.findall(r"^(\S+?):\d+:\d+: warning", result.stderr, re.M)))
    if named:
        print("layout differs from .clang-format (not an error): " + " ".join(named))


def check_sources(root):
    report = Report()
    files = [path for folder in SOURCE_DIRS for path in sorted((root / folder).rglob("*"))
             if path.suffix in (".c", ".h") and path.is_file()]
    library = []
    for path in files:
        text = path.read_text()
        code = strip_comments(text)
        check_shape(report, path, text, code)
        parts = path.relative_to(root).parts
        if parts[0] == "libvmfs" and len(parts) == 3 and parts[1] in RANKS:
            check_layer(report, path, parts[1], text, code)
            check_meetings(report, path, parts[1], code)
            library.append((path, code))
        elif parts[:2] == ("libvmfs", "freestanding") and path.suffix == ".h":
            continue  # stands in for the system's headers
        elif parts[0] == FRONTEND:
            check_frontend(report, path, text)
        elif parts[0] == "libvmfs":
            report.add(path, 1, "lies in no folder that has a rank")
    if not library:
        report.add(root, 1, "no sources found in libvmfs/")
    check_invariants(report, root, [(path, path.read_text()) for path, _ in library])
    check_references(report, root)
    check_regressions(report, root)
    check_rank_table(report, root)
    check_reasons(report, root / "include" / "vmfs_reasons.h", library)
    check_format(report, files)
    print(f"{len(files)} files, {report.count} breaches")
    return report.count


def check_abi(library):
    output = subprocess.run(["nm", "-D", "--defined-only", library], check=True,
                            capture_output=True, text=True).stdout
    symbols = [line.split() for line in output.splitlines() if line.split()]
    # Type A is the name of a symbol version, not a symbol.
    names = [fields[-1].split("@")[0] for fields in symbols if fields[-2] != "A"]
    wrong = [name for name in names if not name.startswith("vmfs_")]
    for name in wrong:
        print(f"{library}: exports {name}")
    print(f"{len(names)} symbols, {len(wrong)} wrong")
    return len(wrong) if names else 1


def main(arguments):
    if len(arguments) == 2 and arguments[0] == "--abi":
        return 1 if check_abi(arguments[1]) else 0
    if len(arguments) > 1 or (arguments and arguments[0].startswith("-")):
        print(__doc__)
        return 2
    root = pathlib.Path(arguments[0]) if arguments else pathlib.Path(__file__).resolve().parent.parent
    return 1 if check_sources(root.resolve()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
