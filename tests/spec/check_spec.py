#!/usr/bin/env python3
"""check_spec.py ROOT VECTORS -- docs/spec.md, the tables in format.h and the compiler say the same.

Every struct of libvmfs/media/format.h is printed with offsetof and sizeof by a generated program and
compared with its table in docs/spec.md and with the table in the comment above it; every constant with
the spec's; what the program VECTORS prints must stand in the spec. Last, a number in each table is
altered in memory, and the comparison must notice.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

STRUCT = re.compile(r"^struct (vm_\w+_media) \{\n(.*?)^\};", re.S | re.M)
UNION = re.compile(r"union \{.*?\}", re.S)
MEMBER = re.compile(r"(\w+)(?:\[[^\]]*\])*;")
CONSTANT = re.compile(r"^#define (VM_[A-Z0-9_]+) +(\S.*?)(?: */\*.*)?$", re.M)
COMMENT_ROW = re.compile(r"^ \* *(\d+)(?: \.\. +(\d+)| +(\d+)) +(\w+)", re.M)
SPEC_HEADING = re.compile(r"^#+ .*`(vm_\w+_media)`, (\d+) bytes$")
SPEC_ROW = re.compile(r"^\| *(\d+) *\| *(\d+) *\| *`(\w+)(?:\[[\w\[\]]+\])?` *\|")
SPEC_CONSTANT = re.compile(r"^\| *`(VM_[A-Z0-9_]+)` *\| *(0x[0-9a-f]+|\d+) *\|")


def members(body):
    return [match.group(1) for match in MEMBER.finditer(UNION.sub("union", body))]


def structs(text):
    """Yields (name, members, rows of the comment table) in the order of the file."""
    end = 0
    for match in STRUCT.finditer(text):
        comment = text[end:match.start()].rpartition("OFFSET SIZE FIELD")[2]
        rows = []
        for row in COMMENT_ROW.finditer(comment):
            start = int(row.group(1))
            size = int(row.group(3)) if row.group(3) else int(row.group(2)) - start
            rows.append((start, size, row.group(4)))
        yield match.group(1), members(match.group(2)), rows
        end = match.end()


def constants(text):
    return [match.group(1) for match in CONSTANT.finditer(text)]


def compiled(root, text):
    """What the compiler says: {struct: (size, rows)} and {constant: value}."""
    lines = ["#include <stdio.h>", '#include "media/format.h"', "int main(void) {"]
    for name, fields, _ in structs(text):
        lines.append(f'printf("S {name} %zu\\n", sizeof(struct {name}));')
        for field in fields:
            lines.append(f'printf("F {field} %zu %zu\\n", offsetof(struct {name}, {field}), '
                         f"sizeof(((struct {name} *)0)->{field}));")
    for name in constants(text):
        lines.append(f'printf("C {name} %llu\\n", (unsigned long long)({name}));')
    lines.append("return 0; }")
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "print.c")
        program = os.path.join(folder, "print")
        pathlib.Path(source).write_text("\n".join(lines), encoding="utf-8")
        compiler = os.environ.get("CC", "cc").split()
        subprocess.run([*compiler, "-include", "stddef.h", "-I", root / "libvmfs", source, "-o", program],
                       check=True)
        output = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    layout, values = {}, {}
    for line in output.splitlines():
        kind, name, *numbers = line.split()
        if kind == "S":
            current = layout[name] = (int(numbers[0]), [])
        elif kind == "F":
            current[1].append((int(numbers[0]), int(numbers[1]), name))
        else:
            values[name] = int(numbers[0])
    return layout, values


def spec_tables(spec):
    """{struct: (size, rows)} and {constant: value} of the spec, and what stands there twice."""
    layout, values, twice = {}, {}, []
    rows = None
    for line in spec.splitlines():
        heading = SPEC_HEADING.match(line)
        if heading:
            rows = []
            if heading.group(1) in layout:
                twice.append(heading.group(1))
            layout[heading.group(1)] = (int(heading.group(2)), rows)
        elif line.startswith("#"):
            rows = None
        row = SPEC_ROW.match(line)
        if row and rows is not None:
            rows.append((int(row.group(1)), int(row.group(2)), row.group(3)))
        constant = SPEC_CONSTANT.match(line)
        if constant:
            if constant.group(1) in values:
                twice.append(constant.group(1))
            values[constant.group(1)] = int(constant.group(2), 0)
    return layout, values, twice


def difference(said, compiled_as):
    """The first that differs: of two constants, or of the size and the rows of two tables."""
    if not isinstance(said, tuple):
        return f"{said}, the compiler says {compiled_as}"
    if said[0] != compiled_as[0]:
        return f"{said[0]} bytes, the compiler says {compiled_as[0]}"
    pairs = list(zip(said[1], compiled_as[1]))
    for row, compiled_row in pairs:
        if row != compiled_row:
            return f"offset, size, field {row}, the compiler says {compiled_row}"
    return f"{len(said[1])} fields, the compiler says {len(compiled_as[1])}"


def compare_maps(what, theirs, ours):
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in theirs:
            yield f"{what}: {name} is missing"
        elif name not in ours:
            yield f"{what}: {name} is not in format.h"
        elif theirs[name] != ours[name]:
            yield f"{what}: {name}: {difference(theirs[name], ours[name])}"


def compare(spec, header, ours, printed):
    """All differences, as lines."""
    layout, values = ours
    spec_layout, spec_values, twice = spec_tables(spec)
    found = [f"docs/spec.md: {name} stands there twice" for name in twice]
    found += compare_maps("docs/spec.md", spec_layout, layout)
    found += compare_maps("docs/spec.md", spec_values, values)
    comments = {name: (layout[name][0], rows) for name, _, rows in structs(header)}
    found += compare_maps("format.h, comment", comments, layout)
    for name, (size, rows) in layout.items():
        end = 0
        for offset, length, field in rows:
            if offset != end:
                found.append(f"{name}.{field}: a gap or an overlap at {end}")
            end = offset + length
        if end != size:
            found.append(f"{name}: ends at {end}, not {size}")
    for line in printed:
        if not re.search(r"^    " + re.escape(line) + "$", spec, re.M):
            found.append(f"docs/spec.md: lacks the vector '{line}'")
    return found


def alter(text, span):
    return text[:span[0]] + str(int(text[span[0]:span[1]], 0) + 1) + text[span[1]:]


def self_test(spec, header, ours, printed):
    """Alters each table once; returns what went unnoticed."""
    missed = []
    for match in re.finditer(r"^#+ .*`(vm_\w+_media)`, (\d+) bytes$", spec, re.M):
        if not compare(alter(spec, match.span(2)), header, ours, printed):
            missed.append(f"the size of {match.group(1)}")
    for match in re.finditer(SPEC_ROW.pattern, spec, re.M):
        if not compare(alter(spec, match.span(1)), header, ours, printed):
            missed.append(f"spec row {match.group(0)}")
    for match in re.finditer(SPEC_CONSTANT.pattern, spec, re.M):
        if not compare(alter(spec, match.span(2)), header, ours, printed):
            missed.append(f"constant {match.group(1)}")
    for match in COMMENT_ROW.finditer(header):
        if not compare(spec, alter(header, match.span(1)), ours, printed):
            missed.append(f"comment row {match.group(0)}")
    for line in printed:
        if not compare(spec, header, ours, [line + "0"]):
            missed.append(f"vector {line}")
    return missed


def main(arguments):
    if len(arguments) != 2:
        print(__doc__)
        return 2
    root = pathlib.Path(arguments[0])
    spec = (root / "docs/spec.md").read_text(encoding="utf-8")
    header = (root / "libvmfs/media/format.h").read_text(encoding="utf-8")
    ours = compiled(root, header)
    printed = subprocess.run([arguments[1]], check=True, capture_output=True,
                             text=True).stdout.splitlines()
    found = compare(spec, header, ours, printed)
    for line in found:
        print(line)
    if found:
        return 1
    missed = self_test(spec, header, ours, printed)
    for line in missed:
        print(f"altered and not noticed: {line}")
    rows = sum(len(rows) for _, rows in ours[0].values())
    print(f"{len(ours[0])} structures, {rows} fields, {len(ours[1])} constants, {len(printed)} vectors")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
