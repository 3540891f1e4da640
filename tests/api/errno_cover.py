#!/usr/bin/env python3
"""errno_cover.py ROOT -- every (function, errno) that vmfs.h names has a case in tests/api

The comment in front of a declaration names the errors of the functions declared up to the next blank
line. A function ..._at() has those of the one without. Common errors are tested for every function by
the table of test_errno_common.c, which must have each function that takes a handle.
"""
import pathlib
import re
import sys

COMMON = {"ESTALE", "EUCLEAN", "EROFS", "EINVAL", "ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG"}
SAME = {
    "vmfs_file_read": "vmfs_file_pread", "vmfs_file_preadv": "vmfs_file_pread",
    "vmfs_file_readv": "vmfs_file_pread", "vmfs_file_write": "vmfs_file_pwrite",
    "vmfs_file_pwritev": "vmfs_file_pwrite", "vmfs_file_writev": "vmfs_file_pwrite",
}
# Named by other comments than the one in front, or by "as vmfs_link()".
ADDED = {
    "vmfs_file_link": {"EEXIST", "EPERM", "EMLINK"},
    "vmfs_rename": {"EEXIST"},
    "vmfs_file_pwrite": {"EMSGSIZE"},
    "vmfs_xattr_set": {"EEXIST", "ENODATA", "EOPNOTSUPP", "ERANGE", "EPERM"},
    "vmfs_xattr_get": {"EOPNOTSUPP", "EPERM"},
    "vmfs_xattr_remove": {"EOPNOTSUPP", "ERANGE", "EPERM"},
}
# The comment's block goes on with functions that it does not speak of.
NOT = {("vmfs_dir_close", "ENOTDIR"), ("vmfs_dir_ino", "ENOTDIR")}
# What another program tests, or what nothing on a test machine can provoke.
ELSEWHERE = {
    ("vmfs_open", "EPROTONOSUPPORT"): "test_badinput.c: superblocks of a newer version",
    ("vmfs_attach", "EPROTONOSUPPORT"): "test_badinput.c",
    ("vmfs_open", "EOPNOTSUPP"): "test_basic.c: durability that a page cache cannot give",
    ("vmfs_open", "ENOMEM"): "test_enomem.c",
    ("vmfs_open", "EACCES"): "test_errno_files.c opening_as_another_user, in another process",
    ("vmfs_check", "ENOMEM"): "test_enomem.c",
    ("vmfs_map", "ENOMEM"): "test_enomem.c",
    ("vmfs_open", "EIO"): "the guard's tests: a file that is cut off while it is opened",
    ("vmfs_open", "EROFS"): "a filesystem mounted read-only, which takes a mount",
    ("vmfs_attach", "EIO"): "no guard on memory of the caller",
    ("vmfs_repair", "ENOSPC"): "takes damage in a full region at once: not provoked",
    ("vmfs_sync", "EIO"): "msync of tmpfs does not fail",
    ("vmfs_sync", "ENOSPC"): "msync of tmpfs does not fail",
}
# Take no handle, or may be called on a dead one.
NO_HANDLE = {"vmfs_open", "vmfs_attach", "vmfs_close", "vmfs_file_close", "vmfs_dir_close",
             "vmfs_version", "vmfs_reason_str", "vmfs_file_ino", "vmfs_dir_ino", "vmfs_at",
             "vmfs_check_pass"}


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
    enomem = (root / "tests/api/test_enomem.c").read_text()
    wrong = [f"{name} is not in the table of test_errno_common.c"
             for name in sorted(functions - table - NO_HANDLE)]
    for name, error in sorted(pairs - NOT):
        covered = (name, error) in cases or (name, error) in ELSEWHERE
        if not covered and not (error in COMMON and name in table) and name in functions:
            wrong.append(f"{name}: -{error} is named in vmfs.h and has no case")
    for name, error in sorted(ELSEWHERE):
        if error == "ENOMEM" and f"CASE({name}, ENOMEM" not in enomem:
            wrong.append(f"{name}: -ENOMEM has no case in test_enomem.c")
    print("\n".join(wrong) or f"{len(pairs)} pairs of function and errno have a case")
    return 1 if wrong or len(pairs) < 60 else 0


if __name__ == "__main__":
    sys.exit(main())
