#!/usr/bin/env bash
# Runs Doorward in one of its shapes on this machine, for a person to look at, until Ctrl-C.
#
#   deploy/fleet.sh embedded|replicas|services BINARY
#
# `embedded` is one process with nothing else. `replicas` is two processes on PostgreSQL, Redis and RabbitMQ, `services` four
# processes with a module and a database each; HAProxy stands before both, with the configuration that Doorward prints.
# Everything lies in a folder that goes away at the end: keys, passwords and people with it.
set -euo pipefail
PATH=$PATH:/usr/sbin
cd "$(dirname "$0")/.."

shape=${1:-} binary=$(realpath "${2:?the binary to run}")
public=127.0.0.1:${DOORWARD_UP_PORT:-8080}
modules=(auth users permissions notifications)
folder=$(mktemp -d "${TMPDIR:-/tmp}/doorward-up.XXXXXX")
chmod 711 "$folder"
export DOORWARD_SERVICES=$folder
processes=()

say() { printf 'fleet: %s\n' "$*" >&2; }

finish() {
    trap - EXIT INT TERM
    local pid
    for pid in ${processes[@]+"${processes[@]}"}; do kill -TERM "$pid" 2>/dev/null || true; done
    for pid in ${processes[@]+"${processes[@]}"}; do wait "$pid" 2>/dev/null || true; done
    deploy/services.sh down >/dev/null 2>&1 || true
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

random_key() { head -c 32 /dev/urandom | base64; }

free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
}

# Starts one process: its name, its public address, its management address, and its settings.
start() {
    local name=$1 address=$2 management=$3 log=$folder/$1.log
    shift 3
    env DOORWARD__DATA_DIR="$folder/$name" DOORWARD__SERVER__PUBLIC__ADDRESS="$address" \
        DOORWARD__SERVER__MANAGEMENT__ADDRESS="$management" DOORWARD__PUBLIC_URL="http://$public" \
        DOORWARD__SERVER__TRUSTED_PROXIES=127.0.0.1 DOORWARD__SERVER__DRAIN_SECONDS=1 \
        "$@" "$binary" serve >"$log" 2>"$log.errors" &
    local pid=$!
    processes+=("$pid")
    until grep -qs 'Doorward is ready' "$log"; do
        kill -0 "$pid" 2>/dev/null || { cat "$log" "$log.errors" >&2; exit 1; }
        sleep 0.05
    done
    say "$name runs (pid $pid, http://$address, management http://$management, log $log.errors)"
}

# What all processes of a fleet share.
servers() {
    deploy/services.sh install haproxy
    local environment
    environment=$(deploy/services.sh up "$@")
    eval "$environment"
    shared=(DOORWARD__SECRETS__MASTER_KEY="$(random_key)" DOORWARD__RABBITMQ__URL="$DOORWARD_TEST_RABBITMQ_URL")
}

# Runs the proxy before these servers (MODULE=PUBLIC,MANAGEMENT) and says where to look.
stand_in_front() {
    local server arguments=()
    for server in "$@"; do arguments+=(--server "$server"); done
    "$binary" proxy haproxy --listen "$public" "${arguments[@]}" >"$folder/haproxy.cfg"
    haproxy -db -f "$folder/haproxy.cfg" >"$folder/haproxy.log" 2>&1 &
    processes+=($!)
    local link
    link=$(sed -n 's/^ *Set-up *//p' "$folder"/*.log | head -n 1)
    printf '%s · %s\n' "Doorward" "$shape"
    printf '  %-11s %s\n' API "http://$public" Docs "http://$public/docs" Mailbox "http://$public/dev/mailbox"
    [ -z "$link" ] || printf '  %-11s %s\n' Set-up "$link"
    printf '%s\n' "Ctrl-C ends everything and removes it."
}

case $shape in
embedded)
    DOORWARD__DATA_DIR=$folder/data DOORWARD__SERVER__PUBLIC__ADDRESS=$public "$binary" serve &
    processes+=($!)
    ;;
replicas)
    servers postgres redis rabbitmq
    # The databases of this folder keep nothing through a power cut, and are gone before one.
    shared+=(DOORWARD__DATABASE__URL="$DOORWARD_TEST_POSTGRES_URL" DOORWARD__REDIS__URL="$DOORWARD_TEST_REDIS_URL"
        DOORWARD__DATABASE__ACCEPT_LOSING_ACKNOWLEDGED_WRITES=true)
    behind=()
    for replica in one two; do
        address=127.0.0.1:$(free_port) management=127.0.0.1:$(free_port)
        start "$replica" "$address" "$management" "${shared[@]}"
        for module in "${modules[@]}"; do behind+=("$module=$address,$management"); done
    done
    stand_in_front "${behind[@]}"
    ;;
services)
    servers rabbitmq
    declare -A address management
    for module in "${modules[@]}"; do
        address[$module]=127.0.0.1:$(free_port) management[$module]=127.0.0.1:$(free_port)
        key=$(random_key)
        declare "key_$module=$key"
        half=$(DOORWARD__PEERS__KEY=$key DOORWARD__MODULES=$module "$binary" keys service)
        shared+=("DOORWARD__PEERS__KEYS__${module^^}=$half")
    done
    behind=()
    for module in "${modules[@]}"; do
        own="key_$module" peers=()
        for other in "${modules[@]}"; do
            [ "$other" = "$module" ] || peers+=("DOORWARD__PEERS__${other^^}=http://${management[$other]}")
        done
        start "$module" "${address[$module]}" "${management[$module]}" "${shared[@]}" "${peers[@]}" \
            DOORWARD__MODULES="$module" DOORWARD__PEERS__KEY="${!own}"
        behind+=("$module=${address[$module]},${management[$module]}")
    done
    stand_in_front "${behind[@]}"
    ;;
*)
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p;}' "$0" >&2
    exit 2
    ;;
esac
# One that ends takes everything with it.
wait -n
say "something ended by itself; so does the rest"
exit 1
