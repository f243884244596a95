#include "server/models/precision_choice.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace qlarank {
namespace {

constexpr size_t kUsers = 4, kEvents = 64, kCandidates = 512;
constexpr int64_t kHourUs = 3'600'000'000;

// The scores of one user's candidates, [kCandidates, tasks].
std::vector<float> Scores(const Engine& engine, size_t user) {
  const model::v1::ModelSpec& spec = engine.bundle().spec();
  std::mt19937 random(static_cast<uint32_t>(user));
  const auto item = [&] {
    return static_cast<uint32_t>(random() % (spec.num_items() + 1));
  };
  const std::vector<float> event_features(spec.event_features_size());
  const std::vector<float> features(kCandidates *
                                    spec.candidate_features_size());
  const std::vector<uint32_t> context(spec.context_features_size());
  std::vector<ModelEvent> events;
  for (size_t i = 1; i <= kEvents; ++i) {
    const auto action = spec.actions_size() == 0
                            ? Bundle::kUnknownAction
                            : static_cast<uint32_t>(i % spec.actions_size());
    events.push_back({item(), action, static_cast<int64_t>(i) * kHourUs,
                      event_features});
  }
  std::vector<uint32_t> candidates(kCandidates);
  std::generate(candidates.begin(), candidates.end(), item);

  const auto scratch = engine.NewScratch();
  FoldJob job{engine.empty_state(), events, nullptr};
  engine.Fold(absl::MakeSpan(&job, 1), *scratch);
  const RequestView request{(kEvents + 1) * kHourUs, {}, context};
  const auto reading = engine.Read(*job.after, request, *scratch);
  std::vector<float> scores(kCandidates * engine.num_tasks());
  engine.Score(*reading, candidates, features, engine.all_tasks(),
               absl::MakeSpan(scores), *scratch);
  return scores;
}

struct Sums {
  double count = 0, score = 0, square = 0, error = 0;
};

}  // namespace

double ScoreError(const Engine& engine, const Engine& exact) {
  std::vector<Sums> sums(exact.num_tasks());
  for (size_t user = 0; user < kUsers; ++user) {
    const std::vector<float> scores = Scores(engine, user);
    const std::vector<float> wanted = Scores(exact, user);
    for (size_t i = 0; i < scores.size(); ++i) {
      Sums& task = sums[i % sums.size()];
      const double difference = double{scores[i]} - wanted[i];
      task.count += 1;
      task.score += wanted[i];
      task.square += double{wanted[i]} * wanted[i];
      task.error += difference * difference;
    }
  }
  double largest = 0;
  for (const Sums& task : sums) {
    const double mean = task.score / task.count;
    const double variance = task.square / task.count - mean * mean;
    const double error = std::sqrt(
        task.error / task.count /
        std::max(variance, std::numeric_limits<double>::min()));
    if (std::isnan(error)) return error;
    largest = std::max(largest, error);
  }
  return largest;
}

absl::StatusOr<PrecisionChoice> ChoosePrecision(
    const std::function<absl::StatusOr<std::unique_ptr<const Engine>>(
        Precision)>& make) {
  auto exact = make(Precision::kF32);
  if (!exact.ok()) return exact.status();
  std::string refused;
  for (const Precision precision : PrecisionsBySpeed()) {
    if (precision == Precision::kF32) break;
    auto engine = make(precision);
    if (!engine.ok()) return engine.status();
    const double error = ScoreError(**engine, **exact);
    const std::string figure =
        absl::StrFormat("scores differ from float32's by %.4f of their spread",
                        error);
    if (error <= kMostScoreError) {
      return PrecisionChoice{
          *std::move(engine),
          absl::StrCat("the fastest here; ", figure, refused)};
    }
    absl::StrAppendFormat(&refused, "; %s: %s, at most %.2f is allowed",
                          PrecisionName(precision), figure, kMostScoreError);
  }
  return PrecisionChoice{
      *std::move(exact),
      refused.empty() ? "nothing here is faster" : refused.substr(2)};
}

}  // namespace qlarank
