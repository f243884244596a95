# shellcheck shell=bash
# Steps that say what they do and how long it took, with their output in a log.
# Sourced by ./run, in the repository's root.

log_folder=build/logs

# "1:05" for a number of seconds.
clock() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

say() { printf '==> %s\n' "$*"; }

fail_usage() {
  printf './run: %s\n\n' "$*" >&2
  usage >&2
  exit 2
}

# While the process lives: on a terminal the last line of its log, elsewhere a
# sign of life every half minute.
watch_log() {
  local pid="$1" log="$2" started="$3" shown=0 seconds line width
  while kill -0 "$pid" 2> /dev/null; do
    sleep 0.3
    seconds=$((SECONDS - started))
    if [[ -t 1 ]]; then
      line="$(tail -c 400 "$log" | tr '\r' '\n' | tail -n 1 | tr -cd '[:print:]')"
      width=$(($(tput cols 2> /dev/null || echo 80) - 12))
      printf '\r\033[K    %s  %s' "$(clock $seconds)" "${line:0:width}"
    elif ((seconds - shown >= 30)); then
      shown=$seconds
      printf '    %s  %s\n' "$(clock $seconds)" \
        "$(tail -n 1 "$log" | tr -cd '[:print:]' | cut -c 1-66)"
    fi
  done
  if [[ -t 1 ]]; then printf '\r\033[K'; fi
}

# step TITLE NAME COMMAND...: runs the command with its output in
# build/logs/NAME.log. When it fails, shows the log's end and returns its code.
step() {
  local title="$1" log="$log_folder/$2.log" started=$SECONDS code=0
  shift 2
  mkdir -p "$log_folder"
  say "$title"
  # A subshell of its own, so that a function may be a command and stops at its
  # first error.
  (set -e; "$@") > "$log" 2>&1 < /dev/null &
  local pid=$!
  watch_log "$pid" "$log" "$started"
  wait "$pid" || code=$?
  if [[ $code == 0 ]]; then
    printf '    done in %s\n' "$(clock $((SECONDS - started)))"
    return 0
  fi
  printf '    FAILED after %s (exit code %d); the end of %s:\n\n' \
    "$(clock $((SECONDS - started)))" "$code" "$log"
  tail -n 40 "$log" | sed 's/^/    | /'
  printf '\n    the whole log: %s\n' "$PWD/$log"
  return "$code"
}

# tail_of NAME PATTERN: the lines of a step's log that sum it up.
tail_of() {
  grep -E "$2" "$log_folder/$1.log" | tail -n 3 | sed 's/^/    /' || true
}

# failures_of NAME: what ctest's failed tests said, from the step's log, whose
# end is but a list of names.
failures_of() {
  awk '/^ *[0-9]+\/[0-9]+ Test / { failed = /\*\*\*/ && !/\*\*\*Skipped/ }
       /^ +Start +[0-9]+: |^[0-9]+% tests/ { failed = 0 }
       failed' "$log_folder/$1.log" | head -n 80 |
    sed 's/ \.\.\.\.*/ ... /; s/^/    | /' | cut -c 1-160 || true
}
