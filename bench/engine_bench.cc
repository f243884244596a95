// What the engine costs on one core, beside the limit: the fastest that oneDNN
// multiplies matrices here, in the same run.
//
//   GemmPeak/p            that limit in precision p (f32, bf16, int8)
//   RankCandidates/p/n    Read + Score of n candidates in it, d = 128, H = 4,
//                         L = 2; gflops counts the network's matrix work (see
//                         MatrixOperations), share_of_peak is its rate over the
//                         limit
//   RankByHistory/n       500 candidates after n events: flat
//   RankBySeeds/M         1000 candidates of the recommended model with M
//   seeds,
//                         whose kept summaries they attend to
//   Summarize/M           making those summaries from a state
//   FoldEvents/n          folding one event for each of n users side by side

#include <benchmark/benchmark.h>

#include <map>
#include <random>

#include "absl/time/clock.h"
#include "bench/gemm_peak.h"
#include "bench/random_bundle.h"
#include "model/engine.h"
#include "model/precision.h"

namespace qlarank::bench {
namespace {

constexpr uint32_t kWidth = 128;
constexpr uint32_t kHeads = 4;
constexpr uint32_t kLayers = 2;
constexpr uint64_t kItems = 20'000;
constexpr int64_t kSecondUs = 1'000'000;

template <typename T>
T ValueOrDie(absl::StatusOr<T> value) {
  if (!value.ok()) {
    fprintf(stderr, "%s\n", value.status().ToString().c_str());
    std::abort();
  }
  return *std::move(value);
}

const Engine& BenchEngine(Precision precision = Precision::kF32) {
  static const std::shared_ptr<const Bundle> bundle =
      RandomBundle(PlainSpec(kWidth, kHeads, kLayers, /*conv_width=*/4,
                             model::v1::TARGET_AWARE_ALL_LAYERS, kItems));
  static auto* const engines =
      new std::map<Precision, std::unique_ptr<const Engine>>;
  std::unique_ptr<const Engine>& engine = (*engines)[precision];
  if (!engine) engine = ValueOrDie(Engine::Create(bundle, {precision, {}}));
  return *engine;
}

std::vector<ModelEvent> RandomEvents(size_t n) {
  std::mt19937 random(1);
  std::vector<ModelEvent> events(n);
  for (size_t i = 0; i < n; ++i) {
    events[i].item_row = 1 + random() % kItems;
    events[i].time_us = static_cast<int64_t>(i) * 3600 * kSecondUs;
  }
  return events;
}

std::shared_ptr<const UserState> StateAfter(
    size_t num_events, const Engine& engine = BenchEngine()) {
  const auto events = RandomEvents(num_events);
  FoldJob job{engine.empty_state(), events, nullptr};
  engine.Fold(absl::MakeSpan(&job, 1), *engine.NewScratch());
  return job.after;
}

// The recommended model with a dedicated block and `num_seeds` seeds.
std::unique_ptr<const Engine> SeededEngine(uint32_t num_seeds) {
  model::v1::ModelSpec spec = PlainSpec(
      /*d_model=*/64, /*num_heads=*/4, /*num_layers=*/4,
      /*conv_width=*/4, model::v1::TARGET_AWARE_DEDICATED_BLOCK, kItems);
  spec.set_num_seeds(num_seeds);
  spec.set_summary_attention(num_seeds > 0);
  return ValueOrDie(Engine::Create(RandomBundle(spec)));
}

std::vector<uint32_t> RandomRows(size_t n) {
  std::mt19937 random(2);
  std::vector<uint32_t> rows(n);
  for (uint32_t& row : rows) row = 1 + random() % kItems;
  return rows;
}

// Operations of a candidate's matrix products: in each layer W_qkvg, the read
// of the state (one d_h x d_h product per head), W_o, W_12 and W_3; then the
// head's W_1. A multiplication and an addition are two.
double MatrixOperations(const model::v1::ModelSpec& spec) {
  const double d = spec.d_model(), f = spec.ffn_width();
  const double read = d * d / spec.num_heads();
  const double layer = 4 * d * d + read + d * d + 2 * f * d + f * d;
  const double head = spec.tasks_size() * spec.head_width() * d;
  return 2 * (spec.num_layers() * layer + head);
}

void GemmPeak(benchmark::State& bench, Precision precision) {
  if (!ProcessorHas(precision)) {
    return bench.SkipWithError("this processor does not have it");
  }
  const double peak = PeakOperationsPerSecond(precision);
  for (auto _ : bench) benchmark::DoNotOptimize(peak);
  bench.counters["gflops"] = bench.counters["peak_gflops"] = peak / 1e9;
  bench.counters["share_of_peak"] = 1;
}
BENCHMARK_CAPTURE(GemmPeak, f32, Precision::kF32);
BENCHMARK_CAPTURE(GemmPeak, bf16, Precision::kBf16);
BENCHMARK_CAPTURE(GemmPeak, int8, Precision::kInt8);

// Returns the wall seconds of an iteration.
double Rank(benchmark::State& bench, size_t num_candidates, size_t num_events,
            Precision precision = Precision::kF32) {
  const Engine& engine = BenchEngine(precision);
  const auto state = StateAfter(num_events);
  const auto scratch = engine.NewScratch();
  const auto rows = RandomRows(num_candidates);
  std::vector<float> scores(num_candidates);
  const int64_t now_us = static_cast<int64_t>(num_events) * 3600 * kSecondUs;
  const absl::Time begin = absl::Now();
  for (auto _ : bench) {
    const auto reading = engine.Read(*state, {now_us, {}, {}}, *scratch);
    engine.Score(*reading, rows, {}, absl::MakeSpan(scores), *scratch);
    benchmark::DoNotOptimize(scores.data());
  }
  const absl::Duration took = absl::Now() - begin;
  bench.SetItemsProcessed(bench.iterations() * num_candidates);
  return absl::ToDoubleSeconds(took) / bench.iterations();
}

void RankCandidates(benchmark::State& bench, Precision precision) {
  if (!ProcessorHas(precision)) {
    return bench.SkipWithError("this processor does not have it");
  }
  const double peak = PeakOperationsPerSecond(precision);
  const double seconds = Rank(bench, bench.range(0), 1000, precision);
  const double rate = bench.range(0) *
                      MatrixOperations(BenchEngine(precision).bundle().spec()) /
                      seconds;
  bench.counters["gflops"] = rate / 1e9;
  bench.counters["peak_gflops"] = peak / 1e9;
  bench.counters["share_of_peak"] = rate / peak;
}
BENCHMARK_CAPTURE(RankCandidates, f32, Precision::kF32)
    ->ArgsProduct({{1000, 2000, 4000}})
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(RankCandidates, bf16, Precision::kBf16)
    ->ArgsProduct({{1000, 2000, 4000}})
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(RankCandidates, int8, Precision::kInt8)
    ->ArgsProduct({{1000, 2000, 4000}})
    ->Unit(benchmark::kMillisecond);

void RankByHistory(benchmark::State& bench) {
  Rank(bench, 500, bench.range(0));
}
BENCHMARK(RankByHistory)
    ->Arg(10)
    ->Arg(1000)
    ->Arg(100'000)
    ->Unit(benchmark::kMillisecond);

void RankBySeeds(benchmark::State& bench) {
  const auto engine = SeededEngine(bench.range(0));
  const auto state = StateAfter(1000, *engine);
  const auto scratch = engine->NewScratch();
  std::shared_ptr<const UserSummary> summary;
  if (engine->num_seeds() > 0) summary = engine->Summarize(*state, *scratch);
  const auto rows = RandomRows(1000);
  std::vector<float> scores(rows.size());
  const RequestView request{int64_t{1000} * 3600 * kSecondUs, {}, {}};
  for (auto _ : bench) {
    const auto reading = engine->Read(*state, request, *scratch, summary);
    engine->Score(*reading, rows, {}, absl::MakeSpan(scores), *scratch);
    benchmark::DoNotOptimize(scores.data());
  }
  bench.SetItemsProcessed(bench.iterations() * rows.size());
}
BENCHMARK(RankBySeeds)
    ->Arg(0)
    ->Arg(16)
    ->Arg(64)
    ->Arg(128)
    ->Unit(benchmark::kMillisecond);

void Summarize(benchmark::State& bench) {
  const auto engine = SeededEngine(bench.range(0));
  const auto state = StateAfter(1000, *engine);
  const auto scratch = engine->NewScratch();
  size_t bytes = 0;
  for (auto _ : bench) {
    bytes = engine->Summarize(*state, *scratch)->size_bytes();
  }
  bench.counters["kept_bytes"] = bytes;
}
BENCHMARK(Summarize)->Arg(16)->Arg(64)->Arg(128)->Unit(benchmark::kMicrosecond);

void FoldEvents(benchmark::State& bench) {
  const auto state = StateAfter(100);
  const auto scratch = BenchEngine().NewScratch();
  const std::vector<ModelEvent> event = {
      {7, 0, int64_t{200} * 3600 * kSecondUs, {}}};
  std::vector<FoldJob> jobs(bench.range(0), FoldJob{state, event, nullptr});
  for (auto _ : bench) {
    BenchEngine().Fold(absl::MakeSpan(jobs), *scratch);
  }
  bench.SetItemsProcessed(bench.iterations() * jobs.size());
}
BENCHMARK(FoldEvents)->Arg(1)->Arg(16)->Arg(64)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace qlarank::bench

BENCHMARK_MAIN();
