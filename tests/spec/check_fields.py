#!/usr/bin/env python3
"""check_fields.py ROOT -- the table of fields that repair is tested with has every field of format.h.

Reads libvmfs/media/format.h as check_spec.py does and tests/unit/repair_fields.h, whose rows are
x(STRUCT, FIELD, ...). A field without a row, a row without a field and a struct whose rows are never used
are errors. Last, one row is taken away in memory, and the comparison must notice.
"""
import pathlib
import re
import sys

import check_spec

ROW = re.compile(r"x\((vm_\w+_media), (\w+), PLACE, COST\)")
LIST = re.compile(r"^#define (\w+)_FIELDS\(x, PLACE, COST\)", re.M)


def wanted(format_text):
    """Fields by their names; a union counts as what it is called in the struct."""
    for name, fields, _ in check_spec.structs(format_text):
        union = re.search(r"struct %s \{.*?\} (\w+);\n\};" % name, format_text, re.S)
        for field in fields:
            if field == "union":
                field = union.group(1)
            yield name, field


def problems(format_text, table_text):
    rows = set(ROW.findall(table_text))
    fields = set(wanted(format_text))
    found = [f"{struct}.{field} has no row" for struct, field in sorted(fields - rows)]
    found += [f"{struct}.{field} is no field" for struct, field in sorted(rows - fields)]
    uses = table_text[table_text.index("#define REPAIR_FIELDS"):]
    found += [f"{name}_FIELDS is not used" for name in LIST.findall(table_text)
              if f"{name}_FIELDS(x, " not in uses]
    return found


def main():
    root = pathlib.Path(sys.argv[1])
    format_text = (root / "libvmfs/media/format.h").read_text()
    table_text = (root / "tests/unit/repair_fields.h").read_text()
    found = problems(format_text, table_text)
    for line in found:
        print(f"repair_fields.h: {line}")
    row = ROW.search(table_text)
    if not problems(format_text, table_text.replace(row.group(0), "")):
        found.append("blind")
        print("check_fields.py does not notice a row that is missing")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
