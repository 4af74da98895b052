#!/bin/sh
# Prints a Python that is here and the name of the list in requirements/ that belongs to it: "python3.13 tf2".
# PYTHON (3.13, python3.13 or a path) and SET (tf2 or tf215) in the environment narrow the choice; without a match
# it says so and fails. --first (for uv) prints the first choice, "3.13 tf2", whether that Python is here or not.
set -eu

# In the order in which they are looked for.
versions="3.13 3.12 3.11"

set_of() {
    case $1 in 3.11) echo tf215 ;; *) echo tf2 ;; esac
}

# An interpreter without ensurepip (Debian's without python3-venv) makes no environment.
version_of() {
    "$1" -c 'import sys, ensurepip; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true
}

case ${SET:-tf2} in
tf2 | tf215) ;;
*) echo "SET is tf2 (Python 3.12 or 3.13, TensorFlow 2.20) or tf215 (Python 3.11, TensorFlow 2.15), not $SET" >&2; exit 1 ;;
esac
case ${PYTHON:-} in
[0-9]*) only=$PYTHON named= ;;
*) only= named=${PYTHON:-} ;;
esac
wanted=
for version in $versions; do
    if [ "${SET:-$(set_of "$version")}" = "$(set_of "$version")" ] && [ "${only:-$version}" = "$version" ]; then
        wanted="$wanted $version"
    fi
done

for version in $wanted; do
    [ "${1:-}" != --first ] || [ -n "$named" ] || { echo "$version $(set_of "$version")"; exit 0; }
    for python in ${named:-python$version python3 python "${PYENV_ROOT:-$HOME/.pyenv}"/versions/$version*/bin/python}; do
        if [ "$(version_of "$python")" = "$version" ]; then
            echo "$python $(set_of "$version")"
            exit 0
        fi
    done
done
if [ -z "$wanted" ]; then
    echo "There is no list of requirements${SET:+ $SET} for Python $only: Python 3.11 has tf215, 3.12 and 3.13 have tf2." >&2
    exit 1
fi
if [ -n "$named" ]; then
    version=$(version_of "$named")
    found="$named is ${version:-none}"
fi
echo "urfr_tf${SET:+ with SET=$SET} needs Python$(echo "$wanted" | sed 's/\([0-9]\) /\1 or /g') with venv, but ${found:-there is none}:" \
    "run 'make uv-venv' (uv brings its own Python; 'pip install uv'), or build the Dockerfile." >&2
exit 1
