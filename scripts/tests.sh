# shellcheck shell=bash
# ./run test and ./run ci: what is run, what of it was skipped and why, and the
# test runners' own closing lines at the end. Sourced by ./run, in the
# repository's root.

# test_step TITLE NAME COMMAND...: goes on when tests fail, so that one run shows
# all that is wrong; test_failed is 1 then.
test_failed=0
test_step() {
  step "$@" && return
  test_failed=1
  case "$2" in ctest*) failures_of "$2" ;; esac
}

# ctest_step TITLE NAME FOLDER ARGUMENT...
ctest_step() {
  local title="$1" name="$2" folder="$3"
  shift 3
  test_step "$title" "$name" ctest --test-dir "$folder" \
    -j "$(nproc)" --output-on-failure \
    --output-junit "$PWD/$log_folder/$name.xml" "$@"
}

# test_report NAME LOG...: what was skipped and why, then each runner's closing
# lines, from the logs and XML files of that name. Which tests were executed goes
# to build/logs/NAME.json.
test_report() {
  local name="$1" log
  shift
  python3 scripts/test_report.py --out "$log_folder/$name.json" \
    "${@/%/.xml}"
  if [[ $test_failed == 0 ]]; then
    say "all tests that ran passed"
  else
    say "SOME TESTS FAILED: the logs are in $log_folder/"
  fi
  for log in "$@"; do
    grep -hE '^[0-9]+% tests|^Total Test time|(passed|failed|error|skipped).* in ' \
      "$log.log" | tail -n 2 || true
  done
  return "$test_failed"
}

test_all() {
  install build test trainer
  python_environment trainer/requirements.txt tests/requirements.txt
  build dev
  ctest_step "C++ tests: unit, integration, crash" ctest \
    build/dev -LE benchmark
  # One thread each: what a tiny model computes is not worth dividing.
  test_step "Python tests: the trainer, and what is served of it" pytest \
    env OMP_NUM_THREADS=1 .venv/bin/python -m pytest -q -rs \
    -n auto --maxprocesses 8 --dist loadfile --junitxml "$log_folder/pytest.xml" \
    tests/trainer tests/served tests/bench
  test_report executed "$log_folder/ctest" "$log_folder/pytest"
}

# test_sanitized PRESET [FOLDER...]: all C++ tests, or those of folders of tests/.
test_sanitized() {
  local preset="$1" folder targets=()
  shift
  for folder in "$@"; do
    [[ -e tests/$folder/CMakeLists.txt ]] ||
      fail_usage "no folder tests/$folder with tests"
    # Some tests run the programs.
    targets+=("tests/$folder/all" qlarank_server qlarank)
  done
  install build test
  python_environment tests/requirements.txt
  build "$preset" "${targets[@]}"
  test_folders "$preset" "${@:-.}"
}

# test_folders PRESET FOLDER...: the tests that a preset has built of folders of
# tests/, and what of them was skipped.
test_folders() {
  local preset="$1" folder reports=()
  shift
  for folder in "$@"; do
    reports+=("ctest-$preset-${folder/#./all}")
    ctest_step "C++ tests ($preset, tests/${folder#.})" "${reports[-1]}" \
      "build/$preset/tests/$folder" -L 'unit|integration'
  done
  test_report "executed-$preset" "${reports[@]/#/$log_folder/}"
}

# The programs and the modules' tests by another compiler, which finds what GCC
# lets pass; AddressSanitizer and UBSan watch the tests, fuzz replays among them.
test_clang() {
  local folders=(fuzz model state_store config cli server) targets=()
  targets=("${folders[@]/#/tests/}")
  install build test clang
  python_environment tests/requirements.txt
  build clang qlarank_server qlarank "${targets[@]/%//all}"
  test_folders clang "${folders[@]}"
}

# What of it another processor could compute otherwise: states and float32 scores
# by NEON, in qemu. Histories of a million events would take it an hour.
test_arm64() {
  install build test arm64
  sysroot arm64 aarch64-linux-gnu-g++
  build arm64
  export QLARANK_DIGEST_EVENTS=1000
  test_folders arm64 model bench
}

# The bits of every instruction set of this processor, by a program that needs
# nothing: no library, no file, no /proc.
test_static() {
  local alone=build/static/alone as_root=()
  install build test
  sysroot amd64 g++
  build static digest_test
  mkdir -p "$alone/tmp"
  cp build/static/tests/bench/digest_test "$alone"
  [[ $(id -u) == 0 ]] || as_root=(unshare --map-root-user)
  export QLARANK_DIGEST_EVENTS=1000
  step "Testing in an empty root" alone \
    "${as_root[@]}" chroot "$alone" /digest_test
  tail_of alone '^\[  (PASSED|FAILED)'
}

# ./run ci: README's commands, one after another, the tests last, so that their
# closing lines are the end of it.
continuous_integration() {
  local failed=0 command
  for command in "fresh demo --ccache" "test clang" "test arm64" test; do
    # shellcheck disable=SC2086  # words
    ./run $command && continue
    failed=1
    say "./run $command FAILED; what follows is run all the same"
  done
  return "$failed"
}
