#!/bin/sh
# Make the virtual environments the Makefile works in, and print the path of each one's Python.
#
#   sh tools/venv.sh                 .venv, from the newest Python found; an existing .venv keeps its Python
#   sh tools/venv.sh 3.11 newest     one line for each of these versions that is found here, without repeats:
#                                    .venv where it fits, else .venvs/<version>
#
# Needs a POSIX shell and one Python >= 3.11, nothing else: no pip, no activated environment, not even HOME.
# Only paths go to standard output; all that is meant for a person goes to standard error.
set -eu
cd "$(dirname "$0")/.."

VERSIONS='3.14 3.13 3.12 3.11'  # newest first; a still newer `python3` is taken when none of these is there
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { echo "$*" >&2; }
die() { say "$*"; exit 1; }

# The "3.N" of a Python that runs, is new enough and can make environments; nothing for any other.
# That the file exists proves little: version managers put shims on PATH for versions that are not active.
version_of() {
    "$1" -c 'import ssl, sys, venv; v = sys.version_info; v < (3, 11) or print("%d.%d" % v[:2])' 2> /dev/null || true
}

# Every python3.N there is: all of PATH, then where installers put it, for the case that PATH is bare.
candidates() (
    folders="$PATH:/usr/local/bin:/opt/homebrew/bin:/Library/Frameworks/Python.framework/Versions/$1/bin"
    folders="$folders:${PYENV_ROOT:-${HOME:-}/.pyenv}/versions/$1.*/bin"
    IFS=:
    for folder in $folders; do
        if [ -x "$folder/python$1" ]; then echo "$folder/python$1"; fi
    done
)

find_python() {
    candidates "$1" | while IFS= read -r python; do
        if [ "$(version_of "$python")" = "$1" ]; then echo "$python"; break; fi
    done
}

newest_python() {
    for version in $VERSIONS; do
        python=$(find_python "$version")
        if [ -n "$python" ]; then echo "$python"; return; fi
    done
    if [ -n "$(version_of python3)" ]; then command -v python3; fi
}

# An environment that has pip. There are three ways, because Debian keeps ensurepip in a package of its own.
create() {
    folder=$1 python=$2
    if "$python" -m ensurepip --version > /dev/null 2>&1; then
        "$python" -m venv --clear "$folder"
    elif "$python" -m pip --version > /dev/null 2>&1; then
        "$python" -m venv --clear --without-pip "$folder"
        "$python" -m pip --python "$folder/bin/python" install -qq pip
    elif "$python" -m virtualenv --version > /dev/null 2>&1; then
        "$python" -m virtualenv -q --clear "$folder"
    else
        die "$python has neither ensurepip, pip nor virtualenv. Install one (on Debian: apt install python3-venv)" \
            "and run make again."
    fi >&2
}

# `--group` needs pip 25.1.
install_packages() {
    "$1/bin/python" -m pip install -qq --upgrade 'pip>=25.1' &&
        "$1/bin/python" -m pip install -qq --group dev --group examples --editable '.[embedded]'
} >&2

# What an environment was made from, its folder included.
recipe() { "$1/bin/python" -VV && pwd -P && cat pyproject.toml tools/venv.sh; }

is_current() { [ -e "$1/made-from" ] && recipe "$1" 2> /dev/null | cmp -s - "$1/made-from"; }

# Not so when its Python is gone, when it has no pip, or when it was copied or moved here from another folder.
is_sound() {
    case $("$1/bin/pip" --version 2> /dev/null) in
        *" from $(pwd -P)/$1/"*) [ -n "$(version_of "$1/bin/python")" ] ;;
        *) false ;;
    esac
}

# Bring environment $1 up to date; when there is none that works, make it from the Python that `$2 $3` prints.
ensure() {
    if is_current "$1"; then return; fi
    say "Preparing $1; the first time takes a minute."
    rm -f "$1/made-from"
    if ! is_sound "$1"; then
        found=$("$2" ${3:+"$3"})
        if [ -z "$found" ]; then die "Stepwell needs Python 3.11 or newer: install one and run make again."; fi
        create "$1" "$found"
    fi
    install_packages "$1" || die "Installing the packages into $1 failed for the reason above. Repair it and run make again."
    recipe "$1" > "$1/made-from"
}

ensure .venv newest_python
main=$(version_of .venv/bin/python)
if [ $# -eq 0 ]; then set -- "$main"; fi

seen=
for version in "$@"; do
    if [ "$version" = newest ]; then version=$(version_of "$(newest_python)"); fi
    case "$seen " in *" $version "*) continue ;; esac
    seen="$seen $version"
    if [ "$version" = "$main" ]; then
        echo .venv/bin/python
    elif [ -n "$(find_python "$version")" ]; then
        ensure ".venvs/$version" find_python "$version"
        echo ".venvs/$version/bin/python"
    else
        say "No Python $version was found; it is left out."
    fi
done
