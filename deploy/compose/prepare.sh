#!/usr/bin/env bash
# Makes what the compose files read and nobody should write by hand: secrets, which stay as they are once they are there,
# and the configuration of the proxy, which is made anew each time because it comes out of the program.
#
#   deploy/compose/prepare.sh embedded|replicas|services
#
# Everything is in $DOORWARD_MADE (default: `made` beside this script, which git leaves out). The folder is its owner's
# alone; files within may be read by everybody who gets them into a container, because each image has its own user.
# The program is asked in its image ($DOORWARD_IMAGE), or as $DOORWARD_PROGRAM when that is set.
set -euo pipefail
cd "$(dirname "$0")"

die() { printf 'prepare: %s\n' "$*" >&2; exit 1; }

case ${1:-} in
embedded | replicas | services) shape=$1 ;;
*) die "say which shape: embedded, replicas or services" ;;
esac
made=${DOORWARD_MADE:-made}
umask 022
mkdir -p "$made"
chmod 700 "$made"

# Writes a file that is not there yet, whole or not at all.
once() {
    if [ -e "$made/$1" ]; then
        cat >/dev/null
    else
        cat >"$made/.$1"
        mv "$made/.$1" "$made/$1"
    fi
}

base64_key() { head -c 32 /dev/urandom | base64; }
word() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
of() { cat "$made/$1"; }

# The program, with settings that this shell exports.
doorward() {
    if [ -n "${DOORWARD_PROGRAM:-}" ]; then
        "$DOORWARD_PROGRAM" "$@"
    else
        docker run --rm --network none --env DOORWARD__PEERS__KEY "${DOORWARD_IMAGE:-doorward}" "$@"
    fi
}

# In place: a container that runs sees the file that was there at its start, and no other one of the same name.
proxy() {
    doorward proxy haproxy --listen 0.0.0.0:8443 --certificate /run/secrets/site.pem "$@" >"$made/.haproxy"
    cat "$made/.haproxy" >"$made/haproxy.$shape.cfg"
    rm "$made/.haproxy"
}

modules=(auth users permissions notifications)
export DOORWARD__PEERS__KEY=

base64_key | once master_key
echo 'smtps://USER:PASSWORD@mail.example.org' | once smtp_url

if [ "$shape" = replicas ]; then
    word | once postgres_password
    echo "postgres://doorward:$(of postgres_password)@postgres/doorward" | once database_url
    word | once redis_password
    echo "redis://:$(of redis_password)@redis" | once redis_url
    # Only what can be made again is in there.
    printf '%s\n' "requirepass $(of redis_password)" 'save ""' 'maxmemory 256mb' 'maxmemory-policy volatile-lru' | once redis.conf
    servers=()
    for module in "${modules[@]}"; do
        for replica in 10.213.78.11 10.213.78.12; do
            servers+=(--server "$module=$replica:8080,$replica:9090")
        done
    done
    proxy "${servers[@]}"
fi

if [ "$shape" = services ]; then
    word | once postgres_password
    word | once rabbitmq_password
    echo "amqp://doorward:$(of rabbitmq_password)@rabbitmq" | once rabbitmq_url
    printf '%s\n' 'default_user = doorward' "default_pass = $(of rabbitmq_password)" | once rabbitmq.conf
    servers=() number=11
    : >"$made/.databases" && : >"$made/.peers"
    for module in "${modules[@]}"; do
        word | once "${module}_database_password"
        password=$(of "${module}_database_password")
        echo "postgres://$module:$password@postgres/$module" | once "${module}_database_url"
        printf '%s\n' "CREATE ROLE $module LOGIN PASSWORD '$password';" "CREATE DATABASE $module OWNER $module;" \
            "REVOKE ALL ON DATABASE $module FROM PUBLIC;" >>"$made/.databases"
        base64_key | once "${module}_peer_key"
        DOORWARD__PEERS__KEY=$(of "${module}_peer_key")
        echo "DOORWARD__PEERS__KEYS__${module^^}=$(doorward keys service)" >>"$made/.peers"
        servers+=(--server "$module=10.213.79.$number:8080,10.213.79.$number:9090")
        number=$((number + 1))
    done
    mv "$made/.databases" "$made/databases.sql"
    mv "$made/.peers" "$made/peers.env"
    proxy "${servers[@]}"
fi

printf 'prepare: %s holds what is needed.\n' "$made"
! grep -q mail.example.org "$made/smtp_url" ||
    printf 'prepare: write the url of your mail server into %s: Doorward does not start before.\n' "$made/smtp_url"
[ "$shape" = embedded ] || [ -e "$made/site.pem" ] ||
    printf 'prepare: put the certificate, with its private key in the same file, into %s.\n' "$made/site.pem"
