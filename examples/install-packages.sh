#!/bin/sh
# Installs the Debian packages of the named sections of packages.txt that are missing.
#
# Usage: install-packages.sh SECTION...      for example: install-packages.sh run test
#
# With nothing missing it changes nothing and needs no rights. Exit status: 0 everything is there,
# 1 the installation failed, 2 it cannot be done by this user or on this system.
#
# Package names have no blanks: the lists of them below are split into words on purpose.
# shellcheck disable=SC2086
set -eu

list=$(dirname "$0")/packages.txt

say() {
    echo "install-packages: $*" >&2
}

# Prints the packages of the section $1.
section_packages() {
    awk -v wanted="[$1]" '/^\[/ { inside = ($0 == wanted) } inside && /^[a-z0-9]/ { print $1 }' \
        "$list"
}

# Succeeds if the package $1 is installed.
is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Succeeds if the package lists know all of the packages in the arguments.
are_known() {
    for package; do
        [ -n "$(apt-cache madison "$package" 2>/dev/null)" ] || return 1
    done
}

# Succeeds if as_root can do its work without asking for a password.
can_be_root() {
    [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null
}

# Runs a command as root.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

if [ $# -eq 0 ]; then
    say "usage: install-packages.sh SECTION... (the sections are those of $list)"
    exit 2
fi

packages=
for section; do
    found=$(section_packages "$section")
    if [ -z "$found" ]; then
        say "$list has no section [$section]"
        exit 2
    fi
    packages="$packages $found"
done

if ! command -v dpkg-query >/dev/null; then
    say "this is not a Debian system; please install the equivalents of:" $packages
    exit 2
fi

missing=
for package in $packages; do
    is_installed "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! can_be_root; then
    say "packages are missing, and this user may not install any; as root, run:"
    echo "apt-get install -y --no-install-recommends$missing"
    exit 2
fi

install_missing() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends $missing >&2
}

say "installing:$missing"
is_fresh=no
if ! are_known $missing; then
    as_root apt-get update >&2
    is_fresh=yes
fi
install_missing && exit 0
# Old package lists name versions that the servers no longer have.
if [ $is_fresh = no ]; then
    as_root apt-get update >&2
    install_missing && exit 0
fi
say "apt-get could not install:$missing"
exit 1
