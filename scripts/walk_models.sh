#!/usr/bin/env bash
# Ships a version of the grocery model, watches it, makes it the one that all
# get, and rolls back: every command with what it really printed, as
# docs/operations.md shows it.
#
#   scripts/walk_models.sh EVENTS.csv    # columns user,item,action,time
#
# Needs the release build with change_bundle. Works in a folder of its own.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."

events="$1"
build=build/release
folder="$(mktemp -d)"
server_pid=
trap 'stop; rm -rf "$folder"' EXIT

stop() {
  [[ -n $server_pid ]] || return 0
  kill -TERM "$server_pid" && wait "$server_pid" || true
  server_pid=
}

start() {
  mkdir -p "$folder/bundles/grocery"
  cat > "$folder/server.textproto" << END
listen {
  grpc_address: "127.0.0.1:0"
  http_address: "127.0.0.1:0"
  port_file: "$folder/ports"
}
models { name: "grocery" version: 1 path: "$PWD/models/grocery/1" }
model_base_path: "$folder/bundles"
store { path: "$folder/store" }
END
  "$build/server/qlarank_server" --config_file="$folder/server.textproto" \
    > "$folder/log" 2>&1 &
  server_pid=$!
  until [[ -s $folder/ports ]]; do
    kill -0 "$server_pid" || { cat "$folder/log" >&2; exit 1; }
    sleep 0.1
  done
  { read -r grpc http && read -r admin; } < "$folder/ports"
}

qlarank() {
  "$build/cli/qlarank" --server "127.0.0.1:$grpc" \
    --admin-server "127.0.0.1:$admin" "$@"
}

# A command, what it printed, and its exit status where that is not 0.
show() {
  local status=0
  printf '    $ qlarank'
  printf ' %s' "$@"
  printf '\n'
  qlarank "$@" > "$folder/out" 2>&1 || status=$?
  sed "s|$folder|/srv|g; s|^|    |; s| *$||" "$folder/out"
  [[ $status == 0 ]] || echo "    (exit code $status)"
}

# The same of one line of what it printed: show_line WORD COMMAND...
show_line() {
  local word="$1"
  shift
  printf '    $ qlarank'
  printf ' %s' "$@"
  printf ' | grep %s\n' "$word"
  qlarank "$@" | grep "$word" | sed 's|^|    |'
}

# Until the states of version 2 are made.
await_states() {
  until qlarank model show grocery/2 | grep -q '^migration *done'; do
    sleep 0.2
  done
}

ship() {
  "$build/bench/change_bundle" models/grocery/1 \
    "$folder/bundles/grocery/.2" 2 0.01
  mv "$folder/bundles/grocery/.2" "$folder/bundles/grocery/2"
}

start
qlarank import "$events" > /dev/null 2>&1
qlarank model label grocery stable 1 > /dev/null

echo '### Ship'
ship
show model load grocery/2
show model list

echo '### Watch'
show model show grocery/2
show model label grocery stable 2
sleep 5
show_line migration model show grocery/2
await_states
show_line migration model show grocery/2
show model label grocery canary 2
show rank --user 1228 --all --bundle models/grocery/1 --top-k 3
show rank --user 1228 --all --bundle models/grocery/1 --top-k 3 \
  --model grocery --model-label canary

echo '### Serve it to all'
show model label grocery stable 2
show model list

echo '### Roll back'
show model rollback grocery
show model list
show model unload grocery/2
show model label grocery canary --remove
show model unload grocery/2
show model list
curl -s "http://127.0.0.1:$http/metrics" |
  grep -E '^qlarank_(models|model_loads_total|migrations_total|rank_requests_total)' |
  grep -v ' 0$' | sed 's/^/    /'
