#!/usr/bin/env python3
"""media_fields.py ROOT OUTPUT -- the table of all fields of the medium, made from format.h.

Writes a header with two lists: MEDIA_STRUCTS(x) has x(name, type) for each structure and
MEDIA_FIELDS(x) has x(name, type, field, element, is_nested) for each field of each: what stands in
libvmfs/media/format.h stands here, by the parser that compares format.h with the specification.
"""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "spec"))
import check_spec  # noqa: E402

TYPED = re.compile(r"((?:struct )?\w+) (\w+)(?:\[[^\]]*\])*;")


def fields(body):
    """Yields (field, type of one element); a union is taken for words."""
    plain = check_spec.UNION.sub("struct vm_le64", body)
    for kind, field in TYPED.findall(re.sub(r"/\*.*?\*/", "", plain, flags=re.S)):
        yield field, kind


def main(arguments):
    if len(arguments) != 2:
        print(__doc__)
        return 2
    root = pathlib.Path(arguments[0])
    header = (root / "libvmfs/media/format.h").read_text(encoding="utf-8")
    structs, rows = [], []
    for match in check_spec.STRUCT.finditer(header):
        kind = match.group(1)
        name = kind[len("vm_"):-len("_media")]
        structs.append(f"x({name}, {kind})")
        found = list(fields(match.group(2)))
        if [field for field, _ in found] != check_spec.members(match.group(2)):
            raise SystemExit(f"{kind}: the fields cannot be told")
        for field, element in found:
            nested = int(element.endswith("_media"))
            rows.append(f"x({name}, {kind}, {field}, {element}, {nested})")
    text = "/* media_fields.h -- made by media_fields.py from format.h */\n"
    text += "#define MEDIA_STRUCTS(x) \\\n    " + " \\\n    ".join(structs) + "\n"
    text += "#define MEDIA_FIELDS(x) \\\n    " + " \\\n    ".join(rows) + "\n"
    pathlib.Path(arguments[1]).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
