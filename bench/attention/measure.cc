#include "bench/attention/measure.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "absl/status/statusor.h"
#include "bench/attention/history.h"
#include "bench/attention/stopwatch.h"
#include "bench/attention/trunk.h"

namespace qlarank::bench::attention {
namespace {

constexpr size_t kLongest = 16'384;
constexpr size_t kMillion = 1'000'000;
// The last events of every history are appended one by one and timed in
// batches: a batch also averages the merges of log-linear attention.
constexpr size_t kBatchEvents = 8;
// Events made at a time, so that a million are never in memory.
constexpr size_t kChunkEvents = 4096;

std::unique_ptr<Trunk> TrunkOrDie(const MechanismKind& kind) {
  auto trunk = Trunk::Create(kind, /*seed=*/1);
  if (trunk.ok()) return *std::move(trunk);
  fprintf(stderr, "attention_bench: %s: %s\n", std::string(kind.name).c_str(),
          trunk.status().ToString().c_str());
  std::exit(1);
}

const MechanismKind& SoftmaxKind() {
  for (const MechanismKind& kind : AllMechanisms()) {
    if (kind.name == "softmax") return kind;
  }
  std::abort();
}

std::vector<size_t> Histories(const MechanismKind& kind) {
  std::vector<size_t> histories;
  for (size_t n = 128; n <= kLongest; n *= 2) histories.push_back(n);
  if (!kind.reads_everything) histories.push_back(kMillion);
  return histories;
}

void AppendUntimed(size_t count, History& history, Trunk& trunk) {
  while (count > 0) {
    const size_t chunk = std::min(count, kChunkEvents);
    const Events events = history.Next(chunk);
    trunk.Append(events.tokens, events.times);
    count -= chunk;
  }
}

// A sixteenth of the history, so that it hardly grows meanwhile, but enough
// for a median.
size_t TimedBatches(size_t history) {
  return std::clamp<size_t>(history / 16 / kBatchEvents, 15, 128);
}

// Median over batches of the microseconds of one event.
double AppendTimed(size_t num_batches, History& history, Trunk& trunk) {
  std::vector<double> batches;
  for (size_t batch = 0; batch < num_batches; ++batch) {
    const Events events = history.Next(kBatchEvents);
    const absl::Span<const float> tokens(events.tokens);
    const absl::Span<const EventTime> times(events.times);
    const double begin = ThreadSeconds();
    for (size_t i = 0; i < kBatchEvents; ++i) {
      trunk.Append(tokens.subspan(i * kWidth, kWidth), times.subspan(i, 1));
    }
    batches.push_back((ThreadSeconds() - begin) / kBatchEvents * 1e6);
  }
  return Median(std::move(batches));
}

double RankMilliseconds(int64_t time_us, Trunk& trunk) {
  const std::vector<float> tokens = RandomTokens(kCandidates, /*seed=*/2);
  std::vector<float> scores(kCandidates);
  return 1e3 * MedianSeconds(5, 0.2, [&] {
           trunk.Rank(tokens, time_us, absl::MakeSpan(scores));
         });
}

}  // namespace

void MeasureKind(const MechanismKind& kind, const Report& report) {
  const auto trunk = TrunkOrDie(kind);
  History history(/*seed=*/1);
  size_t appended = 0;
  for (size_t n : Histories(kind)) {
    // Of a power of two log-linear attention keeps one matrix, of one event
    // less it keeps all: its dearest case is the one to plan for.
    const size_t events = kind.name == "log_linear" ? n - 1 : n;
    const size_t batches = TimedBatches(n);
    AppendUntimed(events - batches * kBatchEvents - appended, history, *trunk);
    const double append_us = AppendTimed(batches, history, *trunk);
    appended = events;
    report({std::string(kind.name), n, events,
            RankMilliseconds(history.now_us(), *trunk), append_us,
            trunk->BytesKept()});
  }
}

void MeasureRecomputedSoftmax(const Report& report) {
  const auto trunk = TrunkOrDie(SoftmaxKind());
  const std::vector<float> tokens = RandomTokens(kCandidates, /*seed=*/2);
  std::vector<float> scores(kCandidates);
  for (size_t n : Histories(SoftmaxKind())) {
    History history(/*seed=*/1);
    const Events events = history.Next(n);
    const double seconds = MedianSeconds(3, 0.1, [&] {
      trunk->Reset();
      trunk->Append(events.tokens, events.times);
      trunk->Rank(tokens, history.now_us(), absl::MakeSpan(scores));
    });
    report({"softmax_recomputed", n, n, 1e3 * seconds, 0, 0});
  }
}

std::vector<std::pair<std::string, Leakage>> LeakageOfAll() {
  constexpr size_t kHistory = 1'000;
  std::vector<std::pair<std::string, Leakage>> leakages;
  for (const MechanismKind& kind : AllMechanisms()) {
    const auto trunk = TrunkOrDie(kind);
    History history(/*seed=*/1);
    AppendUntimed(kHistory, history, *trunk);
    leakages.emplace_back(kind.name, MeasureLeakage([&](auto tokens) {
                            std::vector<float> scores(tokens.size() / kWidth);
                            trunk->Rank(tokens, history.now_us(),
                                        absl::MakeSpan(scores));
                            return scores;
                          }));
  }
  // Candidates put behind the history as if they had happened.
  const auto trunk = TrunkOrDie(SoftmaxKind());
  leakages.emplace_back("softmax_unmasked", MeasureLeakage([&](auto tokens) {
                          History history(/*seed=*/1);
                          trunk->Reset();
                          AppendUntimed(kHistory, history, *trunk);
                          std::vector<float> scores(tokens.size() / kWidth);
                          const std::vector<EventTime> times(
                              scores.size(),
                              {history.now_us(), history.now_us()});
                          trunk->Append(tokens, times, scores.data());
                          return scores;
                        }));
  return leakages;
}

}  // namespace qlarank::bench::attention
