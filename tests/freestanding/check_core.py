#!/usr/bin/env python3
"""check_core.py OBJECT -- the core asks for mem* and str* only, and keeps to the general registers.

Checks what is undefined in the object, that it has no thread-local storage and no writable global state,
and that no instruction names a vector or floating-point register. What it runs must also notice: an
object that breaks each rule is compiled and must be refused.
"""
import os
import re
import subprocess
import sys
import tempfile

ALLOWED = re.compile(r"mem(cpy|move|set|cmp|chr)|str(n?)len")
REGISTERS = re.compile(r"%(?:[xyz]mm\d+|mm[0-7]|st\b|k[1-7])|\b[vqdsbh]\d+\.|\b[qdsh]\d+,|\bf(?:ld|st|add|mul)\w*\b")
BREACHES = {
    "libc": "void f(void); int puts(const char *); void f(void) { puts(\"\"); }",
    "thread-local": "_Thread_local int state; int *f(void); int *f(void) { return &state; }",
    "global state": "int state = 1; int *f(void); int *f(void) { return &state; }",
    "float": "double f(double a); double f(double a) { return a * 1.5; }",
}


def run(*arguments):
    return subprocess.run(arguments, check=True, capture_output=True, text=True).stdout


def breaches(path):
    found = []
    for line in run("nm", "-u", path).splitlines():
        name = line.split()[-1]
        if not ALLOWED.fullmatch(name):
            found.append(f"asks for {name}")
    for line in run("objdump", "-h", path).splitlines():
        fields = line.split()
        if len(fields) < 3 or not fields[0].isdigit():
            continue
        section, size = fields[1], int(fields[2], 16)
        is_state = re.match(r"\.(tdata|tbss|data|bss)\b", section) and not section.startswith(".data.rel.ro")
        if is_state and size:
            found.append(f"has {size} bytes in {section}")
    for line in run("objdump", "-d", "--no-show-raw-insn", path).splitlines():
        address = re.match(r"\s+[0-9a-f]+:", line)
        if not address:
            continue
        # Addresses are hexadecimal: "fadd" may be one.
        instruction = re.sub(r"\b[0-9a-f]+ <[^>]*>", "", line[address.end():])
        if REGISTERS.search(instruction):
            found.append("touches a vector or floating-point register: " + line.strip())
    return found


def self_test():
    compiler = os.environ.get("CC", "cc").split()
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        for rule, code in BREACHES.items():
            source = os.path.join(folder, "breach.c")
            target = os.path.join(folder, "breach.o")
            with open(source, "w", encoding="utf-8") as file:
                file.write(code)
            run(*compiler, "-O1", "-fno-pic", "-c", source, "-o", target)
            if not breaches(target):
                print(f"the check does not notice: {rule}")
                missed += 1
    return missed


def main(arguments):
    if len(arguments) != 1:
        print(__doc__)
        return 2
    if not run("nm", "--defined-only", arguments[0]).strip():
        print(f"{arguments[0]}: defines nothing")
        return 1
    found = breaches(arguments[0])
    for breach in found[:20]:
        print(f"{arguments[0]}: {breach}")
    return 1 if found or self_test() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
