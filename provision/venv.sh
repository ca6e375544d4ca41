#!/bin/sh
# Makes .venv as uv.lock says; does nothing when it already is so. uv is taken from PATH, else
# installed below build/, where nothing else on the machine notices it.
set -eu
cd "$(dirname "$0")/.."

UV_VERSION=0.13.8
own=build/uv
begun=$(date +%s)
changed=

say() { echo "· venv: $* ..." >&2; }

# debian PACKAGE...: false where they cannot be installed.
debian() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    say "installing $* from Debian"
    export DEBIAN_FRONTEND=noninteractive
    log=$(mktemp)
    # A machine that has just started updates itself, and holds apt's locks meanwhile. apt-get waits
    # for dpkg's if told to, but not for that of its lists.
    tries=60
    until apt-get -q update >"$log" 2>&1; do
        tries=$((tries - 1))
        if [ "$tries" = 0 ] || ! grep -q /lists/lock "$log"; then
            break
        fi
        [ "$tries" != 59 ] || say "waiting for whoever else fetches Debian's package lists"
        sleep 2
    done
    if ! apt-get -q -o DPkg::Lock::Timeout=120 install --yes --no-install-recommends "$@" \
        >>"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

if [ -x "$own/bin/uv" ]; then
    uv=$own/bin/uv
elif command -v uv >/dev/null; then
    uv=uv
else
    if ! python3 -c 'import ensurepip' 2>/dev/null && ! debian python3-venv; then
        echo 'venv.sh: Python has no venv: install python3-venv, or uv, and try again' >&2
        exit 1
    fi
    say "installing uv $UV_VERSION"
    # Made beside its place and moved there when whole: an interrupted run leaves no half of it.
    rm -rf "$own" "$own.new"
    mkdir -p build
    python3 -m venv "$own.new"
    if ! "$own.new/bin/python" -m pip --disable-pip-version-check install --quiet "uv==$UV_VERSION"
    then
        # pip says of a registry that it cannot reach that there is no such version.
        echo 'venv.sh: uv cannot be installed: see that PyPI can be reached, or put uv on PATH,' \
            'and try again' >&2
        exit 1
    fi
    mv "$own.new" "$own"
    uv=$own/bin/uv
    changed=1
fi

# The distribution's own Python where it is new enough: what a version manager built here without
# its profile-guided optimisation runs a third slower.
if [ -z "${UV_PYTHON:-}" ] && /usr/bin/python3 -c \
    'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    export UV_PYTHON=/usr/bin/python3
fi

if ! "$uv" sync --frozen --check --quiet 2>/dev/null; then
    say "installing what uv.lock names"
    "$uv" sync --frozen --quiet --compile-bytecode
    changed=1
fi

# Cython's output includes Python.h. Where it cannot be had, all but the probe can be made.
headers='import sys, sysconfig, pathlib
pathlib.Path(sysconfig.get_path("include"), "Python.h").exists() or sys.exit(
    "libpython%d.%d-dev" % sys.version_info[:2])'
if ! package=$(.venv/bin/python -c "$headers" 2>&1); then
    if debian "$package"; then
        changed=1
    else
        echo "! venv: no Python.h, so healthprobe cannot be built here: install $package" >&2
    fi
fi

[ -z "$changed" ] || echo "✓ venv: ready  ($(($(date +%s) - begun)) s)" >&2
