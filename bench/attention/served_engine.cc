// The engine that serves, on a random model of the benchmark's shape.

#include <cstdio>
#include <cstdlib>
#include <random>

#include "bench/attention/measure.h"
#include "bench/attention/shape.h"
#include "bench/attention/stopwatch.h"
#include "bench/random_bundle.h"
#include "model/engine.h"

namespace qlarank::bench::attention {
namespace {

constexpr uint64_t kItems = 4096;
constexpr int64_t kHourUs = 3'600'000'000;
constexpr size_t kTimedEvents = 64;

std::unique_ptr<const Engine> EngineOrDie() {
  auto engine = Engine::Create(
      RandomBundle(PlainSpec(kWidth, kHeads, kLayers, kConvWidth,
                             model::v1::TARGET_AWARE_ALL_LAYERS, kItems)));
  if (engine.ok()) return *std::move(engine);
  fprintf(stderr, "attention_bench: the engine: %s\n",
          engine.status().ToString().c_str());
  std::exit(1);
}

// `count` events, the first of them as number `first` of the user.
std::vector<ModelEvent> RandomEvents(size_t first, size_t count) {
  std::mt19937 random(first);
  std::vector<ModelEvent> events(count);
  for (size_t i = 0; i < count; ++i) {
    events[i].item_row = 1 + random() % kItems;
    events[i].time_us = static_cast<int64_t>(first + i) * kHourUs;
  }
  return events;
}

std::shared_ptr<const UserState> Fold(const Engine& engine,
                                      std::shared_ptr<const UserState> state,
                                      absl::Span<const ModelEvent> events,
                                      EngineScratch& scratch) {
  FoldJob job{std::move(state), events, nullptr};
  engine.Fold(absl::MakeSpan(&job, 1), scratch);
  return job.after;
}

double RankMilliseconds(const Engine& engine, const UserState& state,
                        int64_t time_us, EngineScratch& scratch) {
  std::mt19937 random(2);
  std::vector<uint32_t> rows(kCandidates);
  for (uint32_t& row : rows) row = 1 + random() % kItems;
  std::vector<float> scores(kCandidates);
  return 1e3 * MedianSeconds(5, 0.2, [&] {
           const auto reading = engine.Read(state, {time_us, {}, {}}, scratch);
           engine.Score(*reading, rows, {}, absl::MakeSpan(scores), scratch);
         });
}

}  // namespace

void MeasureServedEngine(const Report& report) {
  const auto engine = EngineOrDie();
  const auto scratch = engine->NewScratch();
  auto state = engine->empty_state();
  size_t appended = 0;
  for (size_t n = 128; n <= 16'384; n *= 2) {
    const size_t untimed = n - kTimedEvents - appended;
    state = Fold(*engine, state, RandomEvents(appended, untimed), *scratch);
    const auto events = RandomEvents(n - kTimedEvents, kTimedEvents);
    std::vector<double> seconds;
    for (const ModelEvent& event : events) {
      const double begin = ThreadSeconds();
      state = Fold(*engine, state, absl::MakeSpan(&event, 1), *scratch);
      seconds.push_back(ThreadSeconds() - begin);
    }
    appended = n;
    const int64_t time_us = static_cast<int64_t>(n) * kHourUs;
    report({"engine", n, n,
            RankMilliseconds(*engine, *state, time_us, *scratch),
            1e6 * Median(seconds), state->values.size() * sizeof(float)});
  }
}

}  // namespace qlarank::bench::attention
