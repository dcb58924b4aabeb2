#!/usr/bin/env bash
# Private, throw-away servers for development and tests, on free ports of 127.0.0.1 only.
#
#   deploy/services.sh up|down|kill|env|status [postgres] [redis] [rabbitmq]
#   deploy/services.sh install PROGRAM...      what else the tests call, such as haproxy and nginx
#
# `up` prints what to put into the environment. `kill` ends a server at once, as a crash would; `up` brings it back at
# its old address. What the servers keep is below $DOORWARD_SERVICES (default: a folder of this user in the temporary
# directory) and goes away with `down`. Nothing is kept safe from a power cut: that makes tests fast. With
# DOORWARD_SERVICES_DURABLE=yes it is kept safe, for those who cut the power. Works as root, where PostgreSQL runs as
# the user `postgres`, and as any other user.
#
# A service is six functions, NAME_missing, NAME_running, NAME_up, NAME_down, NAME_pid and NAME_env, and its name in ALL.
set -euo pipefail
PATH=$PATH:/usr/sbin

ALL=(postgres redis rabbitmq)
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

# Whether a process lives; one that only waits to be reaped does not.
lives() {
    local state
    state=$(ps -o stat= -p "$1" 2>/dev/null) && [[ $state != *Z* ]]
}

# Waits until a condition holds, for so many seconds.
await() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.05
    done
}

# Ends a process with a signal, and without mercy after a while.
end() {
    gone() { ! lives "$1"; }
    kill "-$1" "$2"
    await 20 gone "$2" || { kill -KILL "$2" && await 10 gone "$2"; } || die "process $2 can't be ended"
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

postgres_pid() { head -n 1 "$FOLDER/postgres/postmaster.pid"; }

postgres_running() { [ -s "$FOLDER/postgres/postmaster.pid" ] && lives "$(postgres_pid)"; }

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
    # A killed server that nobody has reaped yet would be taken for a living one.
    rm -f "$data/postmaster.pid"
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

# --- Redis ----------------------------------------------------------------------------------------------------------

redis_missing() { command -v redis-server >/dev/null || echo redis-server; }

redis_pid() { cat "$FOLDER/redis/pid"; }

redis_running() { [ -s "$FOLDER/redis/pid" ] && lives "$(redis_pid)"; }

redis_answers() {
    [ "$(REDISCLI_AUTH=$(cat "$FOLDER/redis.password") redis-cli -p "$(cat "$FOLDER/redis.port")" ping 2>/dev/null)" = PONG ]
}

redis_up() {
    local folder=$FOLDER/redis
    redis_running && return
    mkdir -p -m 700 "$folder"
    rm -f "$folder/pid"
    [ -s "$folder.password" ] || (umask 077 && secret >"$folder.password")
    for _ in 1 2 3; do
        [ -s "$folder.port" ] || free_port >"$folder.port"
        (umask 077 && cat >"$folder/redis.conf") <<CONF
bind 127.0.0.1
port $(cat "$folder.port")
requirepass $(cat "$folder.password")
dir $folder
pidfile $folder/pid
logfile $folder/log
daemonize yes
save ""
appendonly no
CONF
        redis-server "$folder/redis.conf" 9>&- || true
        await 5 redis_answers && return
        rm -f "$folder.port" # somebody else may have taken it
    done
    tail -n 20 "$folder/log" >&2
    die "Redis did not start"
}

redis_down() {
    if redis_running; then end TERM "$(redis_pid)"; fi
}

redis_env() {
    echo "export DOORWARD_TEST_REDIS_URL='redis://:$(cat "$FOLDER/redis.password")@127.0.0.1:$(cat "$FOLDER/redis.port")/'"
}

# --- RabbitMQ -------------------------------------------------------------------------------------------------------

# Debian's program in PATH insists on being the user `rabbitmq` and on its folders; the one behind it does not.
rabbitmq_program() {
    local folder
    while IFS= read -r folder; do
        [ -x "$folder/$1" ] && { echo "$folder/$1"; return; }
    done < <(printf '%s\n' /usr/lib/rabbitmq/bin /opt/homebrew/opt/rabbitmq/sbin /usr/local/opt/rabbitmq/sbin)
    command -v "$1"
}

rabbitmq_missing() { rabbitmq_program rabbitmq-server >/dev/null || echo rabbitmq-server; }

rabbitmq_pid() { cat "$FOLDER/rabbitmq/pid"; }

rabbitmq_running() { [ -s "$FOLDER/rabbitmq/pid" ] && lives "$(rabbitmq_pid)"; }

# Whether it speaks AMQP: it answers a version that it does not know with the one that it wants.
rabbitmq_answers() {
    local first=
    exec 7<>"/dev/tcp/127.0.0.1/$(cat "$FOLDER/rabbitmq.port")" || return 1
    printf 'AMQP\x00\x00\x09\x01' >&7
    IFS= read -r -t 2 -n 1 -d '' first <&7 || true
    exec 7>&-
    [ -n "$first" ] || rabbitmq_running_with_open_door
} 2>/dev/null

# A first byte of zero can't be kept in a variable: that the door stays open says the same.
rabbitmq_running_with_open_door() { rabbitmq_running && grep -q 'Server startup complete' "$FOLDER/rabbitmq/log"; }

# Everything of its own: folders, name, ports and the port mapper of Erlang.
rabbitmq_environment() {
    local folder=$FOLDER/rabbitmq
    export HOME=$folder LANG=C.UTF-8
    export ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT RABBITMQ_NODE_PORT RABBITMQ_DIST_PORT RABBITMQ_NODENAME
    ERL_EPMD_PORT=$(cat "$folder.epmd.port")
    RABBITMQ_NODE_PORT=$(cat "$folder.port")
    RABBITMQ_DIST_PORT=$(cat "$folder.distribution.port")
    RABBITMQ_NODENAME=doorward$RABBITMQ_NODE_PORT@localhost
    export RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_BASE=$folder RABBITMQ_MNESIA_BASE=$folder/data
    export RABBITMQ_LOG_BASE=$folder RABBITMQ_LOGS=$folder/log RABBITMQ_PID_FILE=$folder/pid
    export RABBITMQ_CONF_ENV_FILE=/dev/null RABBITMQ_CONFIG_FILE=$folder/rabbitmq
    export RABBITMQ_ADVANCED_CONFIG_FILE=$folder/advanced RABBITMQ_ENABLED_PLUGINS_FILE=$folder/plugins
    # No busy waiting: others share these cores.
    export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"
}

rabbitmq_up() {
    local folder=$FOLDER/rabbitmq
    rabbitmq_running && return
    mkdir -p -m 700 "$folder"
    rm -f "$folder/pid" "$folder/log"
    [ -s "$folder.password" ] || (umask 077 && secret >"$folder.password")
    for port in "$folder.port" "$folder.epmd.port" "$folder.distribution.port" "$folder.management.port"; do
        [ -s "$port" ] || free_port >"$port"
    done
    echo '[rabbitmq_management].' >"$folder/plugins"
    (umask 077 && cat >"$folder/rabbitmq.conf") <<CONF
default_user = doorward
default_pass = $(cat "$folder.password")
loopback_users = none
listeners.tcp.default = 127.0.0.1:$(cat "$folder.port")
management.tcp.ip = 127.0.0.1
management.tcp.port = $(cat "$folder.management.port")
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 50MB
log.file.level = info
CONF
    (rabbitmq_environment && cd / && exec setsid "$(rabbitmq_program rabbitmq-server)") \
        >"$folder/output" 2>&1 </dev/null 9>&- &
    local started=$!
    await 90 rabbitmq_answers || {
        # It may not have come so far as to say which process it is.
        kill -KILL -- "-$started" 2>/dev/null || true
        tail -n 20 "$folder/output" "$folder/log" >&2
        die "RabbitMQ did not start"
    }
}

rabbitmq_down() {
    if rabbitmq_running; then end TERM "$(rabbitmq_pid)"; fi
    [ ! -s "$FOLDER/rabbitmq.epmd.port" ] || (rabbitmq_environment && epmd -kill >/dev/null 2>&1) || true
}

rabbitmq_env() {
    local password
    password=$(cat "$FOLDER/rabbitmq.password")
    echo "export DOORWARD_TEST_RABBITMQ_URL='amqp://doorward:$password@127.0.0.1:$(cat "$FOLDER/rabbitmq.port")/%2f'"
    echo "export DOORWARD_TEST_RABBITMQ_MANAGEMENT_URL='http://doorward:$password@127.0.0.1:$(cat "$FOLDER/rabbitmq.management.port")'"
}

# --- commands -------------------------------------------------------------------------------------------------------

# Prints the packages of services and programs that are not there.
missing() {
    local name
    for name in "$@"; do
        if declare -F "${name}_missing" >/dev/null; then "${name}_missing"; else command -v "$name" >/dev/null || echo "$name"; fi
    done
}

# Installs what is missing where that is simple, else says what to install.
install_missing() {
    local missing
    # shellcheck disable=SC2207 # package names have no spaces
    missing=($(missing "$@"))
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
if [ "$command" = install ]; then
    prepare_folder
    install_missing "$@"
    exit
fi
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
    # Side by side: RabbitMQ needs seconds, the others need none.
    starts=()
    for service in "${services[@]}"; do
        "${service}_up" &
        starts+=($!)
    done
    for start in "${starts[@]}"; do wait "$start"; done
    for service in "${services[@]}"; do "${service}_env"; done
    ;;
down)
    for service in "${services[@]}"; do
        "${service}_down"
        rm -rf "${FOLDER:?}/$service" "$FOLDER/$service".*
    done
    ;;
kill)
    for service in "${services[@]}"; do
        if "${service}_running"; then end KILL "$("${service}_pid")"; fi
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
