#!/usr/bin/env python3
"""errno_cover.py ROOT -- every (function, errno) that vmfs.h names has a case in tests/api

The comment in front of a declaration names the errors of the functions declared up to the next blank
line. A function ..._at() has those of the one without. Common errors are tested for every function by
the table of test_errno_common.c, which must have each function that takes a handle.
"""
import pathlib
import re
import sys

COMMON = {"EDEADLK", "ESTALE", "EUCLEAN", "EROFS", "EINVAL", "ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG"}
SAME = {
    "vmfs_file_read": "vmfs_file_pread", "vmfs_file_preadv": "vmfs_file_pread",
    "vmfs_file_readv": "vmfs_file_pread", "vmfs_file_write": "vmfs_file_pwrite",
    "vmfs_file_pwritev": "vmfs_file_pwrite", "vmfs_file_pwritev2": "vmfs_file_pwrite",
    "vmfs_file_copy_range2": "vmfs_file_copy_range", "vmfs_file_writev": "vmfs_file_pwrite",
}
# Named by other comments than the one in front, or by "as vmfs_link()".
ADDED = {
    "vmfs_file_link": {"EEXIST", "EPERM", "EMLINK"},
    "vmfs_rename": {"EEXIST"},
    "vmfs_file_pwrite": {"EMSGSIZE"},
    "vmfs_xattr_set": {"EACCES", "EEXIST", "ENODATA", "EOPNOTSUPP", "ERANGE", "EPERM"},
    "vmfs_xattr_get": {"EOPNOTSUPP", "EPERM"},
    "vmfs_xattr_remove": {"EOPNOTSUPP", "ERANGE", "EPERM"},
}
# The comment's block goes on with functions that it does not speak of.
NOT = {("vmfs_dir_close", "ENOTDIR"), ("vmfs_dir_ino", "ENOTDIR")}
# What the tests beside the cases have: each text must be there, inside of the test that is named.
ELSEWHERE = {
    ("vmfs_open", "EPROTONOSUPPORT"): ("api/test_badinput.c", "newer_feature", "-EPROTONOSUPPORT"),
    ("vmfs_attach", "EPROTONOSUPPORT"): ("api/test_badinput.c", "newer_feature", "-EPROTONOSUPPORT"),
    ("vmfs_open", "EROFS"): ("api/test_errno_files.c", "opening_on_a_read_only_mount", "-EROFS"),
    ("vmfs_open", "EACCES"): ("api/test_errno_files.c", "opening_as_another_user", "-EACCES"),
    ("vmfs_open", "EIO"): ("api/test_guard.c", "failed_format_leaves_no_file", "vmfs_open(at.path, &options, &fs), -EIO"),
    ("vmfs_close", "EIO"): ("api/test_power.c", "refused_by_the_device", "vmfs_close(at.fs), -EIO"),
    ("vmfs_repair", "ENOSPC"): ("unit/test_repair.c", "a_full_region_is_repaired_once_there_is_room",
                                "-ENOSPC"),
    ("vmfs_open", "ENOMEM"): ("api/test_enomem.c", "", "CASE(vmfs_open, ENOMEM"),
    ("vmfs_check", "ENOMEM"): ("api/test_enomem.c", "", "CASE(vmfs_check, ENOMEM"),
    ("vmfs_hold", "ENOMEM"): ("api/test_enomem.c", "", "CASE(vmfs_hold, ENOMEM"),
    ("vmfs_lookup", "ENOMEM"): ("api/test_enomem.c", "", "CASE(vmfs_lookup, ENOMEM"),
    ("vmfs_make", "ENOMEM"): ("api/test_enomem.c", "", "CASE(vmfs_make, ENOMEM"),
    ("vmfs_dir_read_at", "ENOMEM"): ("api/test_enomem.c", "", "CASE(vmfs_dir_read_at, ENOMEM"),
    ("vmfs_map", "ENOMEM"): ("api/test_enomem.c", "", "CASE(vmfs_map, ENOMEM"),
}
# Of closing, which the comment of vmfs_file_view() speaks of.
NOT |= {("vmfs_file_view", "EBUSY"), ("vmfs_file_view", "EIO")}
# The comment is that of vmfs_open(): memory of the caller has neither a guard nor a file.
NOT |= {("vmfs_attach", "EIO")}
# Take no handle, or may be called on a dead one.
NO_HANDLE = {"vmfs_view_end", "vmfs_open", "vmfs_attach", "vmfs_close", "vmfs_file_close", "vmfs_dir_close",
             "vmfs_version", "vmfs_reason_str", "vmfs_file_ino", "vmfs_dir_ino", "vmfs_at",
             "vmfs_check_pass", "vmfs_region_find", "vmfs_namespace_find"}


def header_pairs(text):
    pairs, functions = set(), set()
    for match in re.finditer(r"/\*((?:(?!\*/).)*)\*/\n((?:[^\n]+\n)+)", text, re.S):
        names = re.findall(r"^(?:[\w ]+?\*?)\b(vmfs_\w+)\((?!\*)", match.group(2), re.M)
        errors = set(re.findall(r"-(E[A-Z0-9]+)\b", match.group(1)))
        for name in names:
            functions.add(name)
            pairs |= {(name, error) for error in errors}
    functions |= set(re.findall(r"^(?:int|int64_t|uint64_t|const char \*) ?(vmfs_\w+)\(", text, re.M))
    return pairs, functions


def has_test(tests, file, test, text):
    """True if the text is between the head of the test and the next one; no name is the whole file."""
    whole = (tests / file).read_text()
    parts = re.split(r"^(?=Test\(|ParameterizedTest\()", whole, flags=re.M)
    found = [part for part in parts if re.match(r"\w+\(\w+, " + test + r"\b", part)]
    return any(text in part for part in (found if test else [whole]))


def main():
    root = pathlib.Path(sys.argv[1])
    pairs, functions = header_pairs((root / "include/vmfs.h").read_text())
    for name, errors in ADDED.items():
        pairs |= {(name, error) for error in errors}
    for name in sorted(functions):
        base = name[:-3] if name.endswith("_at") else SAME.get(name)
        pairs |= {(name, error) for function, error in list(pairs) if function == base}
    text = "".join(path.read_text() for path in sorted((root / "tests/api").glob("test_errno_*.c")))
    cases = set(re.findall(r"CASE\((vmfs_\w+),\s*(E\w+),", text))
    table = set(re.findall(r'^    \{"(vmfs_\w+)", ', text, re.M))
    wrong = [f"{name} is not in the table of test_errno_common.c"
             for name in sorted(functions - table - NO_HANDLE)]
    for name, error in sorted(pairs - NOT):
        covered = (name, error) in cases or (name, error) in ELSEWHERE
        if not covered and not (error in COMMON and name in table) and name in functions:
            wrong.append(f"{name}: -{error} is named in vmfs.h and has no case")
    for (name, error), place in sorted(ELSEWHERE.items()):
        if not has_test(root / "tests", *place):
            wrong.append(f"{name}: -{error} is not tested by {place[1] or place[2]} of {place[0]}")
    print("\n".join(wrong) or f"{len(pairs)} pairs of function and errno have a case")
    return 1 if wrong or len(pairs) < 60 else 0


if __name__ == "__main__":
    sys.exit(main())
