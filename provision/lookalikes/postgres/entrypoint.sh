#!/bin/sh
# On an empty data folder: initdb, the database, the scripts. Then the server takes this process.
set -eu

case "${1:-}" in -*) set -- postgres "$@" ;; esac
if [ "${1:-}" != postgres ]; then
  exec "$@"
fi
for word in "$@"; do
  case "$word" in --help | --version | -V) exec "$@" ;; esac
done

if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA"
  chown -R postgres:postgres "$PGDATA"
  chmod 700 "$PGDATA"
  exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
    POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE")
  fi
  method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
  if [ -z "${POSTGRES_PASSWORD:-}" ] && [ "$method" != trust ]; then
    echo 'the database has no superuser password: set POSTGRES_PASSWORD' >&2
    exit 1
  fi
  user=${POSTGRES_USER:-postgres}
  database=${POSTGRES_DB:-$user}
  secret=$(mktemp)
  printf '%s\n' "${POSTGRES_PASSWORD:-unused}" > "$secret"
  initdb --username="$user" --pwfile="$secret" --encoding=UTF8 --auth-local=trust \
    ${POSTGRES_INITDB_ARGS:-}
  rm -f "$secret"
  printf 'host all all all %s\n' "$method" >> "$PGDATA/pg_hba.conf"
  printf "listen_addresses = '*'\n" >> "$PGDATA/postgresql.conf"

  # Only a socket listens until the scripts are done, so nobody meets a half-made database.
  pg_ctl --silent --wait --options="-c listen_addresses=''" start
  sql() { psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="$user" "$@"; }
  if [ "$database" != postgres ]; then
    printf 'CREATE DATABASE :"name";\n' | sql --dbname=postgres --set=name="$database"
  fi
  for script in /docker-entrypoint-initdb.d/*; do
    case "$script" in
      *.sql) echo "running $script"; sql --dbname="$database" --file="$script" ;;
      *.sh) echo "running $script"; . "$script" ;;
    esac
  done
  pg_ctl --silent --wait --mode=fast stop
fi

exec "$@"
