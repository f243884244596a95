# shellcheck shell=bash
# Training a model that ships, from its data to a bundle. Sourced by ./run, in
# the repository's root, after scripts/eval.sh.

# train_bundle NAME [FOLDER] [TRAINER ARGUMENT...]
train_bundle() {
  local name="$1" data="$2" out="runs/$1"
  shift 2
  prepare_data "$name" "$data" || return 1
  say "Training trainer/configs/$name.toml; the bar says how long it takes"
  env "${PYTORCH_ENVIRONMENT[@]}" \
    .venv/bin/python -m trainer train --config "trainer/configs/$name.toml" \
    --data ".cache/$name" --final --test --out "$out" "$@" || return 1
  say "Exporting"
  # Ours, and made again: nobody serves what is being trained.
  rm -rf "$out/models"
  local titles=()
  [[ ! -e .cache/$name/titles.tsv ]] || titles=(--titles ".cache/$name/titles.tsv")
  .venv/bin/python -m trainer export --model "$out/model.npz" \
    --out "$out/models" "${titles[@]}"
}
