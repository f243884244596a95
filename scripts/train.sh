# shellcheck shell=bash
# Training a model that ships, from its data to a bundle. Sourced by ./run, in
# the repository's root, after scripts/eval.sh.

# Each step gives back gigabytes and takes them again. glibc would have the system
# zero them every time, 4 KiB by 4 KiB, which took as long as the arithmetic; so
# it keeps them, in huge pages. And a thread of OpenBLAS that waits sleeps soon,
# instead of calling sched_yield beside those that work.
TRAINING_ENVIRONMENT=(
  GLIBC_TUNABLES=glibc.malloc.hugetlb=1
  MALLOC_MMAP_MAX_=0
  MALLOC_TRIM_THRESHOLD_=$((1 << 40))
  MALLOC_TOP_PAD_=$((256 << 20))
  OPENBLAS_THREAD_TIMEOUT=4
)

# train_bundle NAME [FOLDER] [TRAINER ARGUMENT...]
train_bundle() {
  local name="$1" data="$2" out="runs/$1"
  shift 2
  prepare_data "$name" "$data" || return 1
  say "Training trainer/configs/$name.toml; the bar says how long it takes"
  env "${TRAINING_ENVIRONMENT[@]}" \
    .venv/bin/python -m trainer train --config "trainer/configs/$name.toml" \
    --data ".cache/$name" --out "$out" "$@" || return 1
  say "Exporting"
  local titles=()
  [[ ! -e .cache/$name/titles.tsv ]] || titles=(--titles ".cache/$name/titles.tsv")
  .venv/bin/python -m trainer export --model "$out/model.npz" \
    --out "$out/models" "${titles[@]}"
}
