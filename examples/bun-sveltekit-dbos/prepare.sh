#!/bin/sh
# Makes what compose.yaml needs and what must never be committed: passwords, and the group of the
# Docker socket. What already exists stays, since the database keeps the passwords it began with.
set -eu
cd "$(dirname "$0")"
umask 077

password() { od -An -N 24 -t x1 /dev/urandom | tr -d ' \n'; }

# Moves $1 to $2 unless that exists by now: another run of this script may have been quicker.
place() { ln "$1" "$2" 2>/dev/null || [ -s "$2" ]; rm "$1"; }

mkdir -p secrets
for name in postgres healthagent; do
    [ -s "secrets/$name" ] && continue
    new=$(mktemp secrets/.new.XXXXXX)
    password > "$new"
    # Compose mounts the file as it is, for users inside who are not root. The folder stays closed.
    chmod 644 "$new"
    place "$new" "secrets/$name"
done

if [ ! -s .env ]; then
    socket="${DOCKER_SOCKET:-${DOCKER_HOST:-/var/run/docker.sock}}"
    socket="${socket#unix://}"
    if [ ! -S "$socket" ]; then
        echo "prepare.sh: $socket is no socket: start Docker, or name its socket in DOCKER_SOCKET" >&2
        exit 1
    fi
    new=$(mktemp .env.new.XXXXXX)
    {
        echo "APP_PASSWORD=$(password)"
        echo "OWNER_PASSWORD=$(password)"
        echo "DOCKER_SOCKET=$socket"
        echo "DOCKER_GID=$(stat -c %g "$socket")"
    } > "$new"
    place "$new" .env
fi
