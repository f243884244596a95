// What the engine costs on one core, beside the time of its matrix products
// alone: those are oneDNN's, so they are the floor that no engine on oneDNN can
// get under.
//
//   MatrixProductsOnly/n  the matrix products of n candidates and nothing else
//   RankCandidates/n      Read + Score of n candidates, d = 128, H = 4, L = 2;
//                         times_products is its time over that of the products
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
#include "bench/random_bundle.h"
#include "model/engine.h"
#include "model/gemm.h"

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

const Engine& BenchEngine() {
  static const Engine* const engine =
      ValueOrDie(Engine::Create(RandomBundle(
                     PlainSpec(kWidth, kHeads, kLayers, /*conv_width=*/4,
                               model::v1::TARGET_AWARE_ALL_LAYERS, kItems))))
          .release();
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

// Wall seconds of one iteration of the benchmark that it is told to time.
class IterationClock {
 public:
  explicit IterationClock(benchmark::State& bench)
      : bench_(bench), begin_(absl::Now()) {}
  double seconds() const {
    return absl::ToDoubleSeconds(absl::Now() - begin_) / bench_.iterations();
  }

 private:
  benchmark::State& bench_;
  const absl::Time begin_;
};

// Seconds of MatrixProductsOnly by its number of candidates, once it has run.
std::map<int64_t, double>& ProductSeconds() {
  static auto* const seconds = new std::map<int64_t, double>;
  return *seconds;
}

// Per tile and layer: [64, d] by W_qkvg, W_o, W_12 and W_3.
void MatrixProductsOnly(benchmark::State& bench) {
  struct Product {
    std::unique_ptr<const PackedMatrix> matrix;
    std::vector<float> x, y;
  };
  std::vector<Product> products;
  std::vector<const PackedMatrix*> matrices;
  for (auto [out, in] : {std::pair<size_t, size_t>{4 * kWidth, kWidth},
                         {kWidth, kWidth},
                         {4 * kWidth, kWidth},
                         {kWidth, 2 * kWidth}}) {
    const std::vector<float> weights(out * in, 0.01f);
    Product& product = products.emplace_back();
    product.matrix = ValueOrDie(PackedMatrix::Create(
        "bench", weights, out, in, PackedMatrix::Output::kOverwrite));
    product.x.assign(Engine::kTileRows * in, 0.5f);
    product.y.assign(Engine::kTileRows * out, 0.0f);
    matrices.push_back(product.matrix.get());
  }
  GemmScratch scratch(matrices, TileChoice::All());
  const size_t tiles =
      (bench.range(0) + Engine::kTileRows - 1) / Engine::kTileRows;
  const IterationClock clock(bench);
  for (auto _ : bench) {
    for (size_t i = 0; i < tiles * kLayers; ++i) {
      for (Product& product : products) {
        scratch.Run(*product.matrix, Engine::kTileRows, product.x.data(),
                    product.y.data());
      }
    }
    benchmark::DoNotOptimize(products[0].y.data());
  }
  ProductSeconds()[bench.range(0)] = clock.seconds();
  bench.SetItemsProcessed(bench.iterations() * bench.range(0));
}
BENCHMARK(MatrixProductsOnly)
    ->Arg(1000)
    ->Arg(2000)
    ->Arg(4000)
    ->Unit(benchmark::kMillisecond)
    ->MinTime(1.0);

void Rank(benchmark::State& bench, size_t num_candidates, size_t num_events) {
  const auto state = StateAfter(num_events);
  const auto scratch = BenchEngine().NewScratch();
  const auto rows = RandomRows(num_candidates);
  std::vector<float> scores(num_candidates);
  const int64_t now_us = static_cast<int64_t>(num_events) * 3600 * kSecondUs;
  const IterationClock clock(bench);
  for (auto _ : bench) {
    const auto reading = BenchEngine().Read(*state, {now_us, {}, {}}, *scratch);
    BenchEngine().Score(*reading, rows, {}, absl::MakeSpan(scores), *scratch);
    benchmark::DoNotOptimize(scores.data());
  }
  bench.SetItemsProcessed(bench.iterations() * num_candidates);
  const auto products = ProductSeconds().find(num_candidates);
  if (products != ProductSeconds().end()) {
    bench.counters["times_products"] = clock.seconds() / products->second;
  }
}

void RankCandidates(benchmark::State& bench) {
  Rank(bench, bench.range(0), 1000);
}
BENCHMARK(RankCandidates)
    ->Arg(1000)
    ->Arg(2000)
    ->Arg(4000)
    ->Unit(benchmark::kMillisecond)
    ->MinTime(1.0);

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
