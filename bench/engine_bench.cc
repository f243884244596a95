// What the engine costs on one core, beside the limit: multiplications and
// additions alone (fma_peak.h), and the fastest that oneDNN multiplies matrices
// here, in the same run.
//
//   RankCandidates/p/n    Read + Score of n candidates in precision p (f32,
//                         bf16, int8), d = 128, H = 4, L = 2
//   Share/p               of 2000 candidates: gflops counts the network's
//                         matrix work (see MatrixOperations), share_of_peak and
//                         share_of_library are its rate over the processor's
//                         and the library's, measured in turn: medians
//   RankNull/n            of the model that round trips are measured with: as
//                         little engine as can be
//   RankByHistory/n       500 candidates after n events: flat
//   RankBySeeds/M         1000 candidates of the recommended model with M
//                         seeds, whose kept summaries they attend to
//   Summarize/M           making those summaries from a state
//   FoldEvents/n          one event for each of n users side by side
//   FoldColdEvents/n      the same for the next n of 20,000 users at random,
//                         whose states come from memory: 720 MB of them
//   LoneFold, LoneRead    one event's fold, and what a request costs before its
//                         candidates are scored, beside reading the weights
//                         that they multiply by once, with the widest loads,
//                         from wherever a loop over as many bytes finds them:
//                         in turn, medians
//
// Calls are as the server makes them: candidates a tile at a time, by their
// ids, and checked to be finite (server/rank/rank_call.cc); up to 64 users'
// events in one fold, whose states are checked, too
// (server/states/user_fold.cc, fold_queue.h); the allocator is the server's.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>

#include "absl/time/time.h"
#include "bench/fma_peak.h"
#include "bench/gemm_peak.h"
#include "bench/random_bundle.h"
#include "bench/read_peak.h"
#include "bench/thread_time.h"
#include "model/aligned_vector.h"
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
  if (!engine) engine = ValueOrDie(Engine::Create(bundle, {precision}));
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

std::vector<uint64_t> RandomIds(size_t n) {
  std::mt19937 random(2);
  std::vector<uint64_t> ids(n);
  for (uint64_t& id : ids) id = 1 + random() % kItems;
  return ids;
}

// Scores candidates as a worker does: a tile at a time, by their ids. Whether
// all scores are finite.
bool ScoreTiles(const Engine& engine, const Reading& reading,
                absl::Span<const uint64_t> ids, absl::Span<float> scores,
                EngineScratch& scratch) {
  constexpr size_t kTile = Engine::kTileRows;
  uint32_t rows[kTile];
  bool finite = true;
  for (size_t first = 0; first < ids.size(); first += kTile) {
    const auto tile = ids.subspan(first, kTile);
    const absl::Span<float> out = scores.subspan(first, tile.size());
    engine.bundle().ItemRows(tile, {rows, tile.size()});
    engine.Score(reading, {rows, tile.size()}, {}, engine.all_tasks(), out,
                 scratch);
    finite = AllFinite(out) && finite;
  }
  return finite;
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

// A user's request, again and again.
class Ranking {
 public:
  Ranking(const Engine& engine, size_t num_candidates, size_t num_events)
      : Ranking(engine, RandomIds(num_candidates), num_events) {}
  Ranking(const Engine& engine, std::vector<uint64_t> candidate_ids,
          size_t num_events)
      : engine_(engine),
        state_(StateAfter(num_events, engine)),
        scratch_(engine.NewScratch()),
        ids_(std::move(candidate_ids)),
        scores_(ids_.size()),
        now_us_(static_cast<int64_t>(num_events) * 3600 * kSecondUs) {}

  void Once() {
    const auto reading = engine_.Read(*state_, {now_us_, {}, {}}, *scratch_);
    benchmark::DoNotOptimize(ScoreTiles(engine_, *reading, ids_,
                                        absl::MakeSpan(scores_), *scratch_));
  }

  // Rankings a second of processor time, sustained for so long.
  double MeasureRate(absl::Duration duration) {
    const absl::Duration begin = ThreadTime();
    double rankings = 0;
    for (; ThreadTime() - begin < duration; ++rankings) Once();
    return rankings / absl::ToDoubleSeconds(ThreadTime() - begin);
  }

 private:
  const Engine& engine_;
  const std::shared_ptr<const UserState> state_;
  const std::unique_ptr<EngineScratch> scratch_;
  const std::vector<uint64_t> ids_;
  std::vector<float> scores_;
  const int64_t now_us_;
};

double Median(std::vector<double> values) {
  const auto middle = values.begin() + values.size() / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void RankCandidates(benchmark::State& bench, Precision precision) {
  if (!ProcessorHas(precision)) {
    return bench.SkipWithError("this processor does not have it");
  }
  const size_t num_candidates = bench.range(0);
  const Engine& engine = BenchEngine(precision);
  Ranking ranking(engine, num_candidates, 1000);
  for (auto _ : bench) ranking.Once();
  bench.SetItemsProcessed(bench.iterations() * num_candidates);
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

// Counters alone: its time says nothing.
void Share(benchmark::State& bench, Precision precision) {
  if (!ProcessorHas(precision) || !HasPeak(precision)) {
    return bench.SkipWithError("this processor does not have it");
  }
  constexpr size_t kCandidates = 2000;
  constexpr int kTurns = 15;
  constexpr absl::Duration kTurn = absl::Milliseconds(40);
  const Engine& engine = BenchEngine(precision);
  const PeakLoop& loop = FastestLoop(precision);
  const FastestProduct& product = FastestProduct::Of(precision);
  const double operations =
      kCandidates * MatrixOperations(engine.bundle().spec());
  Ranking ranking(engine, kCandidates, 1000);
  std::vector<double> rates, peaks, products, of_peak, of_library;
  for (auto _ : bench) {
    // In turn, so that a machine that changes its speed changes all.
    for (int turn = 0; turn < kTurns; ++turn) {
      peaks.push_back(OperationsPerSecond(loop, kTurn / 2));
      rates.push_back(ranking.MeasureRate(kTurn) * operations);
      products.push_back(product.MeasureAgain(kTurn));
      of_peak.push_back(rates.back() / peaks.back());
      of_library.push_back(rates.back() / products.back());
    }
  }
  bench.SetLabel(loop.instructions);
  bench.counters["gflops"] = Median(rates) / 1e9;
  bench.counters["peak_gflops"] = Median(peaks) / 1e9;
  bench.counters["library_gflops"] = Median(products) / 1e9;
  bench.counters["share_of_peak"] = Median(of_peak);
  bench.counters["share_of_library"] = Median(of_library);
}
BENCHMARK_CAPTURE(Share, f32, Precision::kF32)->Iterations(1);
BENCHMARK_CAPTURE(Share, bf16, Precision::kBf16)->Iterations(1);
BENCHMARK_CAPTURE(Share, int8, Precision::kInt8)->Iterations(1);

void RankNull(benchmark::State& bench) {
  const auto engine = ValueOrDie(Engine::Create(RandomBundle(
      PlainSpec(/*d_model=*/8, /*num_heads=*/1, /*num_layers=*/1,
                /*conv_width=*/1, model::v1::TARGET_AWARE_OFF, kItems))));
  Ranking ranking(*engine, bench.range(0), 1000);
  for (auto _ : bench) ranking.Once();
  bench.SetItemsProcessed(bench.iterations() * bench.range(0));
}
BENCHMARK(RankNull)->Arg(2000)->Unit(benchmark::kMicrosecond);

void RankByHistory(benchmark::State& bench) {
  Ranking ranking(BenchEngine(), 500, bench.range(0));
  for (auto _ : bench) ranking.Once();
  bench.SetItemsProcessed(bench.iterations() * 500);
}
BENCHMARK(RankByHistory)
    ->Arg(10)
    ->Arg(1000)
    ->Arg(100'000)
    ->Unit(benchmark::kMillisecond);

// Of 2,000 candidates one in 16 is an item of the user's newest events, of which
// a full memory has 125 of its 128 entries.
void RankByMemory(benchmark::State& bench, Precision precision) {
  if (!ProcessorHas(precision)) {
    return bench.SkipWithError("this processor does not have it");
  }
  constexpr size_t kEvents = 1000;
  model::v1::ModelSpec spec =
      PlainSpec(kWidth, kHeads, kLayers, /*conv_width=*/4,
                model::v1::TARGET_AWARE_ALL_LAYERS, kItems);
  if (bench.range(0) > 0) {
    spec.mutable_item_memory()->set_entries(bench.range(0));
    for (const uint64_t seconds : {3600, 86'400, 604'800, 2'592'000}) {
      spec.mutable_item_memory()->add_half_lives_s(seconds);
    }
  }
  const auto engine =
      ValueOrDie(Engine::Create(RandomBundle(spec), {precision}));
  const std::vector<ModelEvent> events = RandomEvents(kEvents);
  std::vector<uint64_t> ids = RandomIds(2000);
  for (size_t i = 0; i < ids.size(); i += 16) {
    ids[i] = events[kEvents - 1 - i / 16].item_row;
  }
  Ranking ranking(*engine, ids, kEvents);
  for (auto _ : bench) ranking.Once();
  bench.SetItemsProcessed(bench.iterations() * ids.size());
}
BENCHMARK_CAPTURE(RankByMemory, f32, Precision::kF32)
    ->Arg(0)
    ->Arg(128)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(RankByMemory, bf16, Precision::kBf16)
    ->Arg(0)
    ->Arg(128)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(RankByMemory, int8, Precision::kInt8)
    ->Arg(0)
    ->Arg(128)
    ->Unit(benchmark::kMillisecond);

void RankBySeeds(benchmark::State& bench) {
  const auto engine = SeededEngine(bench.range(0));
  const auto state = StateAfter(1000, *engine);
  const auto scratch = engine->NewScratch();
  std::shared_ptr<const UserSummary> summary;
  if (engine->num_seeds() > 0) summary = engine->Summarize(*state, *scratch);
  const auto ids = RandomIds(1000);
  std::vector<float> scores(ids.size());
  const RequestView request{int64_t{1000} * 3600 * kSecondUs, {}, {}};
  for (auto _ : bench) {
    const auto reading = engine->Read(*state, request, *scratch, summary);
    benchmark::DoNotOptimize(
        ScoreTiles(*engine, *reading, ids, absl::MakeSpan(scores), *scratch));
  }
  bench.SetItemsProcessed(bench.iterations() * ids.size());
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

// Folds as an owner does; whether all states are finite.
bool Fold(const Engine& engine, absl::Span<FoldJob> jobs,
          EngineScratch& scratch) {
  engine.Fold(jobs, scratch);
  return std::all_of(jobs.begin(), jobs.end(), [](const FoldJob& job) {
    return AllFinite(job.after->values);
  });
}

std::vector<ModelEvent> OneEvent() {
  return {{7, 0, int64_t{200} * 3600 * kSecondUs, {}}};
}

void FoldEvents(benchmark::State& bench) {
  const auto state = StateAfter(100);
  const auto scratch = BenchEngine().NewScratch();
  const std::vector<ModelEvent> event = OneEvent();
  std::vector<FoldJob> jobs(bench.range(0), FoldJob{state, event, nullptr});
  for (auto _ : bench) {
    benchmark::DoNotOptimize(
        Fold(BenchEngine(), absl::MakeSpan(jobs), *scratch));
  }
  bench.SetItemsProcessed(bench.iterations() * jobs.size());
}
BENCHMARK(FoldEvents)->Arg(1)->Arg(16)->Arg(64)->Unit(benchmark::kMicrosecond);

// Many users, whose turn comes at random: no state is in a cache any more when
// its own does.
class ColdUsers {
 public:
  static constexpr size_t kUsers = 20'000;

  ColdUsers() : states_(kUsers), order_(kUsers), events_(RandomEvents(kUsers)) {
    const auto state = StateAfter(100);
    for (auto& own : states_) own = std::make_shared<UserState>(*state);
    std::iota(order_.begin(), order_.end(), 0);
    std::shuffle(order_.begin(), order_.end(), std::mt19937(3));
  }

  // One event for each of the next users, in place of whose states there are
  // new ones then.
  void FoldNext(absl::Span<FoldJob> jobs, EngineScratch& scratch) {
    for (size_t i = 0; i < jobs.size(); ++i) {
      const size_t user = order_[(next_ + i) % kUsers];
      jobs[i] = {std::move(states_[user]), {&events_[user], 1}, nullptr};
    }
    benchmark::DoNotOptimize(Fold(BenchEngine(), jobs, scratch));
    for (FoldJob& job : jobs) {
      states_[order_[next_++ % kUsers]] = std::move(job.after);
      job.before = nullptr;
    }
  }

 private:
  std::vector<std::shared_ptr<const UserState>> states_;
  std::vector<uint32_t> order_;
  std::vector<ModelEvent> events_;
  size_t next_ = 0;
};

void FoldColdEvents(benchmark::State& bench) {
  static auto& users = *new ColdUsers;
  const auto scratch = BenchEngine().NewScratch();
  std::vector<FoldJob> jobs(bench.range(0));
  for (auto _ : bench) users.FoldNext(absl::MakeSpan(jobs), *scratch);
  bench.SetItemsProcessed(bench.iterations() * jobs.size());
}
BENCHMARK(FoldColdEvents)
    ->Arg(1)
    ->Arg(16)
    ->Arg(64)
    ->Unit(benchmark::kMicrosecond);

// Weights of a layer's matrices.
size_t LayerWeights(const model::v1::ModelSpec& spec) {
  const size_t d = spec.d_model(), f = spec.ffn_width();
  return 4 * d * d + d * d + 2 * f * d + f * d;
}

// What an event's fold multiplies by: all layers but the last, of which only
// keys and values are computed.
size_t FoldWeights(const model::v1::ModelSpec& spec) {
  const size_t d = spec.d_model();
  return (spec.num_layers() - 1) * LayerWeights(spec) + 2 * d * d;
}

// What Engine::Read does: all layers, W_uo and W_ui.
size_t ReadWeights(const model::v1::ModelSpec& spec) {
  const size_t d = spec.d_model();
  return spec.num_layers() * LayerWeights(spec) + 2 * d * d;
}

// Seconds of processor time of one of them, over so long.
template <typename Once>
double SecondsOf(absl::Duration duration, const Once& once) {
  const absl::Duration begin = ThreadTime();
  double count = 0;
  for (; ThreadTime() - begin < duration; ++count) once();
  return absl::ToDoubleSeconds(ThreadTime() - begin) / count;
}

// Counters alone, as of Share.
template <typename Once>
void BesideItsWeights(benchmark::State& bench, size_t weights,
                      const Once& once) {
  constexpr int kTurns = 51;
  constexpr absl::Duration kTurn = absl::Milliseconds(4);
  const AlignedVector<uint64_t> bytes(weights * sizeof(float) /
                                      sizeof(uint64_t));
  std::vector<double> own, read, ratios;
  for (auto _ : bench) {
    for (int turn = 0; turn < kTurns; ++turn) {
      own.push_back(SecondsOf(kTurn, once));
      read.push_back(
          SecondsOf(kTurn, [&] { benchmark::DoNotOptimize(ReadOnce(bytes)); }));
      ratios.push_back(own.back() / read.back());
    }
  }
  bench.counters["us"] = 1e6 * Median(own);
  bench.counters["weights_us"] = 1e6 * Median(read);
  bench.counters["weights_bytes"] = weights * sizeof(float);
  bench.counters["over_weights"] = Median(ratios);
}

void LoneFold(benchmark::State& bench) {
  const auto state = StateAfter(100);
  const auto scratch = BenchEngine().NewScratch();
  const std::vector<ModelEvent> event = OneEvent();
  FoldJob job{state, event, nullptr};
  BesideItsWeights(bench, FoldWeights(BenchEngine().bundle().spec()), [&] {
    benchmark::DoNotOptimize(
        Fold(BenchEngine(), absl::MakeSpan(&job, 1), *scratch));
  });
}
BENCHMARK(LoneFold)->Iterations(1);

void LoneRead(benchmark::State& bench) {
  const auto state = StateAfter(100);
  const auto scratch = BenchEngine().NewScratch();
  const RequestView request{int64_t{200} * 3600 * kSecondUs, {}, {}};
  BesideItsWeights(bench, ReadWeights(BenchEngine().bundle().spec()), [&] {
    benchmark::DoNotOptimize(BenchEngine().Read(*state, request, *scratch));
  });
}
BENCHMARK(LoneRead)->Iterations(1);

}  // namespace
}  // namespace qlarank::bench

BENCHMARK_MAIN();
