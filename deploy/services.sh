#!/usr/bin/env bash
# Private, throw-away servers for development and tests, on free ports of 127.0.0.1 only.
#
#   deploy/services.sh up|down|env|status [postgres]
#
# `up` prints what to put into the environment. What the servers keep is below $DOORWARD_SERVICES (default: a folder
# of this user in the temporary directory) and goes away with `down`. Nothing is kept safe from a power cut: that makes
# tests fast. With DOORWARD_SERVICES_DURABLE=yes it is kept safe, for those who cut the power. Works as root, where
# PostgreSQL runs as the user `postgres`, and as any other user.
#
# A service is five functions, NAME_missing, NAME_running, NAME_up, NAME_down and NAME_env, and its name in ALL.
set -euo pipefail

ALL=(postgres)
FOLDER=${DOORWARD_SERVICES:-${TMPDIR:-/tmp}/doorward-services-$(id -u)}

say() { printf 'services: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

am_root() { [ "$(id -u)" = 0 ]; }

# The state folder may lie where everybody may write: it must be ours.
prepare_folder() {
    mkdir -p "$FOLDER"
    [ -O "$FOLDER" ] || die "$FOLDER belongs to somebody else; set DOORWARD_SERVICES to another folder"
    chmod 711 "$FOLDER"
}

secret() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }

# Below the ports that the system itself gives to outgoing connections.
free_port() {
    local port
    for _ in {1..100}; do
        port=$((20000 + RANDOM % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
    die "no free port found"
}

# --- PostgreSQL -----------------------------------------------------------------------------------------------------

# Debian keeps the server's programs out of PATH, one folder a version; the newest comes first.
postgres_program() {
    local folder
    while IFS= read -r folder; do
        [ -x "$folder/$1" ] && { echo "$folder/$1"; return; }
    done < <(printf '%s\n' /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql*/bin | sort -rV)
    command -v "$1"
}

# PostgreSQL refuses to run as root.
as_postgres() {
    if am_root; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi
}

postgres_missing() { postgres_program initdb >/dev/null || echo postgresql; }

postgres_running() {
    [ -s "$FOLDER/postgres/PG_VERSION" ] &&
        as_postgres "$(postgres_program pg_ctl)" status -D "$FOLDER/postgres" >/dev/null
}

postgres_create() {
    local data=$FOLDER/postgres password=$FOLDER/postgres.password
    mkdir -m 700 "$data"
    (umask 077 && secret >"$password")
    cp -p "$password" "$data.pwfile"
    if am_root; then chown postgres "$data" "$data.pwfile"; fi
    as_postgres "$(postgres_program initdb)" -D "$data" -U doorward -A scram-sha-256 --pwfile="$data.pwfile" \
        --encoding=UTF8 --locale=C --no-sync >"$FOLDER/postgres.initdb.log" 2>&1 ||
        { cat "$FOLDER/postgres.initdb.log" >&2; die "PostgreSQL could not make its data folder"; }
    rm -f "$data.pwfile"
    cat >>"$data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 300
shared_buffers = 64MB
CONF
    [ "${DOORWARD_SERVICES_DURABLE:-no}" = yes ] || cat >>"$data/postgresql.conf" <<CONF
fsync = off
synchronous_commit = off
full_page_writes = off
CONF
}

postgres_up() {
    local data=$FOLDER/postgres
    [ -s "$data/PG_VERSION" ] || { rm -rf "$data"; postgres_create; }
    postgres_running && return
    for _ in 1 2 3; do
        [ -s "$data.port" ] || free_port >"$data.port"
        if as_postgres "$(postgres_program pg_ctl)" start -w -t 60 -D "$data" -l "$data/server.log" \
            -o "-p $(cat "$data.port")" >/dev/null 9>&-; then return; fi
        rm -f "$data.port" # somebody else may have taken it
    done
    tail -n 20 "$data/server.log" >&2
    die "PostgreSQL did not start"
}

# Fast: clients are sent away, not waited for.
postgres_down() {
    postgres_running || return 0
    as_postgres "$(postgres_program pg_ctl)" stop -w -m fast -D "$FOLDER/postgres" >/dev/null
}

postgres_env() {
    echo "export DOORWARD_TEST_POSTGRES_URL='postgres://doorward:$(cat "$FOLDER/postgres.password")@127.0.0.1:$(cat "$FOLDER/postgres.port")/postgres'"
}

# --- commands -------------------------------------------------------------------------------------------------------

# Installs what is missing where that is simple, else says what to install.
install_missing() {
    local service missing=()
    for service in "$@"; do
        # shellcheck disable=SC2207 # package names have no spaces
        missing+=($("${service}_missing"))
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if ! am_root || ! command -v apt-get >/dev/null; then
        die "please install: ${missing[*]} (Debian: sudo apt-get install ${missing[*]}; macOS: brew install ${missing[*]})"
    fi
    say "installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get -o DPkg::Lock::Timeout=300 -q update &&
        apt-get -o DPkg::Lock::Timeout=300 -qy --no-install-recommends install "${missing[@]}"; } \
        >"$FOLDER/install.log" 2>&1 || { tail -n 20 "$FOLDER/install.log" >&2; die "installing failed"; }
}

command=${1:-}
[ $# -eq 0 ] || shift
services=("$@")
[ $# -gt 0 ] || services=("${ALL[@]}")
for service in "${services[@]}"; do
    [[ " ${ALL[*]} " == *" $service "* ]] || die "no such service: $service (there are: ${ALL[*]})"
done

prepare_folder
# One at a time, where there is flock; no server inherits the lock.
exec 9>"$FOLDER/lock"
if command -v flock >/dev/null; then flock 9; fi

case $command in
up)
    install_missing "${services[@]}"
    for service in "${services[@]}"; do "${service}_up"; done
    for service in "${services[@]}"; do "${service}_env"; done
    ;;
down)
    for service in "${services[@]}"; do
        "${service}_down"
        rm -rf "${FOLDER:?}/$service" "$FOLDER/$service".*
    done
    ;;
env)
    for service in "${services[@]}"; do
        "${service}_running" || die "$service is not up"
        "${service}_env"
    done
    ;;
status)
    for service in "${services[@]}"; do
        if "${service}_running"; then echo "$service: up"; else echo "$service: down"; fi
    done
    ;;
*)
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p;}' "$0" >&2
    exit 2
    ;;
esac
