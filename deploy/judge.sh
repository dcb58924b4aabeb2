#!/usr/bin/env bash
# Outside judges of the interface: linters over the OpenAPI document, then schemathesis with all its checks against a
# running server. They are installed below the cache folder of this user; nothing of them is part of Doorward.
#
#   deploy/judge.sh PROGRAM [ARGUMENTS of schemathesis run, such as --max-examples 200]
set -euo pipefail
cd "$(dirname "$0")/.."

program=$(realpath "$1")
shift
tools=${XDG_CACHE_HOME:-$HOME/.cache}/doorward/judges
config=$PWD/schemathesis.toml
folder=$(mktemp -d "${TMPDIR:-/tmp}/doorward-judge.XXXXXX")

say() { printf '\n== %s\n' "$*" >&2; }
die() { printf 'judge: %s\n' "$*" >&2; exit 1; }

finish() {
    [ -z "${server:-}" ] || { kill "$server" && wait "$server"; } 2>/dev/null || true
    rm -rf "${folder:?}"
}
trap finish EXIT

install_tools() {
    command -v npm >/dev/null || die "npm is missing"
    command -v python3 >/dev/null || die "python3 is missing"
    mkdir -p "$tools"
    [ -x "$tools/node_modules/.bin/redocly" ] && [ -x "$tools/node_modules/.bin/spectral" ] ||
        npm install --prefix "$tools" --silent --no-audit --no-fund @stoplight/spectral-cli@6 @redocly/cli@2
    [ -x "$tools/python/bin/schemathesis" ] || {
        python3 -m venv "$tools/python"
        "$tools/python/bin/pip" install --quiet 'schemathesis>=4.32,<5'
    }
}

field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
post() { curl -fsS -H 'content-type: application/json' -d "$2" "$url$1"; }

start_server() {
    export DOORWARD__DATA_DIR=$folder/data DOORWARD__AUTH__TOKENS__ACCESS_SECONDS=3600
    export DOORWARD__SERVER__PUBLIC__ADDRESS=127.0.0.1:0 DOORWARD__SERVER__MANAGEMENT__ADDRESS=127.0.0.1:0
    "$program" >"$folder/out" 2>"$folder/log" &
    server=$!
    for _ in {1..100}; do
        url=$(grep -om1 'http://127.0.0.1:[0-9]*' "$folder/out" || true)
        [ -n "$url" ] && curl -fs "$url/readyz" >/dev/null && return
        sleep 0.1
    done
    cat "$folder/log" >&2
    die "the server did not start"
}

account='"email":"judge@example.org","password":"nine slow herons wade 4 miles"'

# The first administrator, whose login every request is made with.
set_up() {
    local token
    token=$(grep -om1 'token=[A-Za-z0-9_-]*' "$folder/out")
    post /api/v1/setup "{\"token\":\"${token#token=}\",$account}" >/dev/null
}

ask() {
    local token
    token=$(post /api/v1/auth/logins "{$account}" | field access_token)
    (cd "$folder" && "$tools/python/bin/schemathesis" --config-file "$config" run "$url/openapi.json" --checks all --header "Authorization: Bearer $token" "$@")
}

install_tools
say "Linters"
"$program" openapi >"$folder/openapi.json"
"$tools/node_modules/.bin/spectral" lint --quiet --fail-severity warn --ruleset .spectral.yaml "$folder/openapi.json"
"$tools/node_modules/.bin/redocly" lint "$folder/openapi.json"

say "Schemathesis"
start_server
# What ends the login that all other requests are made with is asked at the end, with a login of its own.
ending=(/api/v1/auth/sessions/current '/api/v1/auth/sessions/{id}')
set_up
ask "${ending[@]/#/--exclude-path=}" "$@"
ask "${ending[@]/#/--include-path=}" "$@"
curl -fsS "$url/livez" >/dev/null || die "the server is gone"
! grep -E 'panic|"level":"ERROR"| ERROR ' "$folder/log" || die "the server logged errors"
