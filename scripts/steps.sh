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

# Seconds, seconds of processor time and title of every step of a command's last
# run: what ./run fresh makes its table of. begin_steps COMMAND.
steps_file=/dev/null

begin_steps() {
  mkdir -p "$log_folder"
  steps_file="$log_folder/steps-$1.tsv"
  : > "$steps_file"
}

# How far ninja or CTest is, by the last "[n/m]" or " n/m Test" of a log:
# "n m", or nothing.
progress_of() {
  tail -c 2000 "$1" | sed -nE \
    's|^\[([0-9]+)/([0-9]+)\].*|\1 \2|p; s|^ *([0-9]+)/([0-9]+) Test .*|\1 \2|p' |
    tail -n 1
}

# One line about a log that grows: a share and the time left, or its last line.
# progress_line LOG SECONDS WIDTH
progress_line() {
  local log="$1" seconds="$2" width="$3" n m left bar
  read -r n m < <(progress_of "$log") || true
  if [[ -z ${m:-} || $m == 0 ]]; then
    tail -c 400 "$log" | tr '\r' '\n' | tail -n 1 | tr -cd '[:print:]' |
      cut -c "1-$width"
    return
  fi
  bar="$(printf '%*s' $((20 * n / m)) '' | tr ' ' '#')"
  left=
  if ((10 * n > m && n < m)); then  # the first say little
    left=", about $(clock $((seconds * (m - n) / n))) left"
  fi
  printf '[%-20s] %3d %%  %d of %d%s' "$bar" $((100 * n / m)) "$n" "$m" "$left"
}

# While the process lives: on a terminal a line that is written anew, elsewhere a
# sign of life every half minute.
watch_log() {
  local pid="$1" log="$2" started="$3" shown=0 seconds width
  while kill -0 "$pid" 2> /dev/null; do
    sleep 0.3
    seconds=$((SECONDS - started))
    if [[ -t 1 ]]; then
      width=$(($(tput cols 2> /dev/null || echo 80) - 12))
      printf '\r\033[K    %s  %s' "$(clock $seconds)" \
        "$(progress_line "$log" "$seconds" "$width")"
    elif ((seconds - shown >= 30)); then
      shown=$seconds
      printf '    %s  %s\n' "$(clock $seconds)" \
        "$(progress_line "$log" "$seconds" 66)"
    fi
  done
  if [[ -t 1 ]]; then printf '\r\033[K'; fi
}

# start_step NAME COMMAND...: runs it with its output in build/logs/NAME.log and
# does not wait: step_pid is its process.
start_step() {
  local log="$log_folder/$1.log"
  shift
  mkdir -p "$log_folder"
  # A subshell of its own, so that a function may be a command and stops at its
  # first error.
  (
    trap 'times > "${log%.log}.times"' EXIT
    set -e
    "$@"
  ) > "$log" 2>&1 < /dev/null &
  step_pid=$!
}

# processor_seconds FILE: the sum of what bash's `times` wrote into it.
processor_seconds() {
  awk '{ for (i = 1; i <= NF; ++i) { split($i, t, /[ms]/); sum += 60 * t[1] + t[2] } }
       END { printf "%d\n", sum + 0.5 }' "$1" 2> /dev/null || echo 0
}

# finish_step TITLE NAME PID: waits for it. When it fails, shows the log's end
# and returns its code.
finish_step() {
  local title="$1" log="$log_folder/$2.log" pid="$3" started=$SECONDS code=0
  say "$title"
  watch_log "$pid" "$log" "$started"
  wait "$pid" || code=$?
  printf '%d\t%d\t%s\n' $((SECONDS - started)) \
    "$(processor_seconds "${log%.log}.times")" "$title" >> "$steps_file"
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

# step TITLE NAME COMMAND...: starts it and waits for it.
step() {
  local title="$1" name="$2"
  shift 2
  start_step "$name" "$@"
  finish_step "$title" "$name" "$step_pid"
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
