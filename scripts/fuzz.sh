# shellcheck shell=bash
# ./run fuzz: the libFuzzer targets, one on each processor, and a table of what
# came of it. Sourced by ./run, in the repository's root.

fuzz_folder=build/fuzz/work

fuzz_targets() {
  local source
  for source in tests/fuzz/*_fuzz.cc; do basename "$source" _fuzz.cc; done
}

# Where a target may write files for every input: in memory, where there is any,
# because a disk takes several times as long as all the rest.
fuzz_temp() {
  if [[ -w /dev/shm ]]; then echo /dev/shm; else echo "${TMPDIR:-/tmp}"; fi
}

# fuzz_target TARGET MINUTES: what it finds out goes to a corpus of its own,
# beside that of the repository; what it breaks to findings/. Leaks are looked
# for at the end: to do it whenever another thread has allocated meanwhile, as
# libFuzzer would, takes three times as long as the requests themselves.
fuzz_target() {
  local target="$1" minutes="$2" work="$fuzz_folder/corpus/$1"
  local log="$log_folder/fuzz-$1.log" code=0
  mkdir -p "$work" "tests/fuzz/corpus/$target" "$fuzz_folder/findings"
  TMPDIR="$(fuzz_temp)" \
    "build/fuzz/tests/fuzz/${target}_fuzz" -max_total_time=$((60 * minutes)) \
    -print_final_stats=1 -timeout=20 -reload=0 -detect_leaks=0 \
    -artifact_prefix="$fuzz_folder/findings/$target-" \
    "$work" "tests/fuzz/corpus/$target" > "$log" 2>&1 || code=$?
  [[ $code == 0 ]] || echo "$target FAILED (exit code $code): $log"
  return "$code"
}

# fuzz_targets_at_once MINUTES TARGET...: goes on after a finding, and fails at
# the end.
fuzz_targets_at_once() {
  local minutes="$1" ended=0 begun=0 failed=0
  shift
  while ((ended < $#)); do
    if ((begun < $# && begun - ended < $(nproc))); then
      begun=$((begun + 1))
      fuzz_target "${!begun}" "$minutes" &
    else
      wait -n || failed=1
      ended=$((ended + 1))
      echo "$ended of $# targets done"
    fi
  done
  return "$failed"
}

# The last number that follows a word in a target's log; 0 when there is none.
fuzz_figure() {
  local found
  found="$(grep -aoE "$2 +[0-9]+" "$log_folder/fuzz-$1.log" | tail -n 1)"
  echo "${found##* }" | grep -E . || echo 0
}

fuzz_table() {
  local target executions sum=0 findings all=0
  printf '\n%-16s %14s %10s %8s %9s\n' \
    target executions per-second coverage findings
  for target in "$@"; do
    executions="$(fuzz_figure "$target" stat::number_of_executed_units:)"
    # An input that takes long is reported by libFuzzer, and is no finding.
    findings="$(find "$fuzz_folder/findings" -name "$target-*" \
      ! -name '*-slow-unit-*' | wc -l)"
    printf '%-16s %14d %10d %8d %9d\n' "$target" "$executions" \
      "$(fuzz_figure "$target" stat::average_exec_per_sec:)" \
      "$(fuzz_figure "$target" cov:)" "$findings"
    sum=$((sum + executions))
    all=$((all + findings))
  done
  printf '%-16s %14d %10s %8s %9d\n' sum "$sum" '' '' "$all"
}

# fuzz MINUTES TARGET...: fails when there is a finding.
fuzz() {
  local minutes="$1" failed=0
  shift
  step "Fuzzing $# targets for $minutes min each, $(nproc) at once" fuzz \
    fuzz_targets_at_once "$minutes" "$@" || failed=1
  fuzz_table "$@"
  if [[ $failed != 0 ]]; then
    say "SOMETHING WAS FOUND: the inputs are in $fuzz_folder/findings/"
  fi
  return "$failed"
}
