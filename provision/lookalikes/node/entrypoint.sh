#!/bin/sh
# Options, script files and words that are no command are for node; everything else runs as it is.
set -eu
case "${1:-}" in
  '' | -*) set -- node "$@" ;;
  *)
    program=$(command -v "$1" || true)
    if [ -z "$program" ] || { [ -f "$1" ] && [ ! -x "$1" ]; }; then
      set -- node "$@"
    fi
    ;;
esac
exec "$@"
