"""The API's own suite, run in a guest."""

from harness.guest import Guest

QUICK = ["basic", "entry", "priv", "view"]
WHOLE = ["acl", "ahead", "attr", "basic", "data", "dirs", "entry", "errno_common", "errno_files", "errno_names", "errors",
         "floors", "full", "names", "priv", "remap", "view"]
# What looks at the file behind a region: it is cut off, made anew, damaged, opened by others. `power` is about msync, which
# is never called where MAP_SYNC is granted.
OF_FILES = {"devdax": [], "fsdax": ["badinput", "guard", "owner"], "virtio-pmem": ["badinput", "guard", "owner", "power"]}


def run(cell, place, device, more=()):
    """All suites, or a selection, on one region after the other, then open.sh. `more` are suites of this place alone."""
    suites = WHOLE + OF_FILES[place] if cell.is_long else QUICK
    with Guest(cell, "native", args=[place, *suites, *more], devices=[device]) as guest:
        print(guest.succeed(3600 if cell.is_long else 900))
