#include "model/golden_replay.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "model/user_state.h"

namespace qlarank {
namespace {

using model::v1::GoldenCase;
using model::v1::GoldenRequests;

std::vector<ModelEvent> EventsOf(const GoldenCase& golden,
                                 const Bundle& bundle) {
  std::vector<ModelEvent> events;
  for (const auto& event : golden.events()) {
    events.push_back({bundle.ItemRow(event.item_id()),
                      bundle.ActionIndex(event.action()), event.time_us(),
                      event.features()});
  }
  return events;
}

std::vector<uint32_t> ContextOf(const GoldenCase& golden,
                                const Bundle& bundle) {
  std::vector<uint32_t> rows(bundle.context_features().size());
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i] = bundle.context_features()[i].default_row();
  }
  for (const auto& context : golden.context()) {
    const auto index = bundle.ContextFeatureIndex(context.feature());
    if (!index) continue;
    rows[*index] = bundle.context_features()[*index].Row(context.value());
  }
  return rows;
}

// One score, and how far it is off.
struct Comparison {
  int user = 0;
  int candidate = 0;
  double expected = 0;
  double found = 0;

  // Infinite where what was found is not a number: no bound allows it.
  double error() const {
    const double difference = std::abs(found - expected);
    return std::isnan(difference) ? std::numeric_limits<double>::infinity()
                                  : difference;
  }
};

// What is to be said of one task's scores.
class TaskScores {
 public:
  void Add(const Comparison& score) {
    count_ += 1;
    sum_ += score.expected;
    squares_ += score.expected * score.expected;
    size_ = std::max(size_, std::abs(score.expected));
    errors_ += score.error() * score.error();
    if (score.error() > worst_.error() || count_ == 1) worst_ = score;
  }

  size_t count() const { return count_; }
  const Comparison& worst() const { return worst_; }
  double spread() const {
    const double mean = sum_ / count_;
    return std::sqrt(std::max(squares_ / count_ - mean * mean, 0.0));
  }
  double mean_error() const { return std::sqrt(errors_ / count_); }
  // What `error` is of the spread.
  double Share(double error) const {
    return error == 0 ? 0 : error / spread();
  }
  double Allowed(const GoldenBound& bound) const {
    return bound.of_spread * spread() + bound.of_size * size_;
  }

 private:
  size_t count_ = 0;
  double sum_ = 0, squares_ = 0, errors_ = 0;
  double size_ = 1;
  Comparison worst_;
};

std::vector<TaskScores> Compare(const Engine& engine) {
  const GoldenRequests& requests = engine.bundle().golden_requests();
  const auto scratch = engine.NewScratch();
  std::vector<TaskScores> tasks(engine.num_tasks());
  for (int user = 0; user < requests.cases_size(); ++user) {
    const GoldenCase& golden = requests.cases(user);
    const std::vector<float> found = GoldenScores(golden, engine, *scratch);
    for (int i = 0; i < golden.candidates_size(); ++i) {
      for (size_t task = 0; task < tasks.size(); ++task) {
        tasks[task].Add({user, i, golden.candidates(i).scores(task),
                         found[i * tasks.size() + task]});
      }
    }
  }
  return tasks;
}

// What is said of the engine's task `index`, which is further off than may be.
absl::Status Disagreement(const Engine& engine, size_t index,
                          const TaskScores& task) {
  const Bundle& bundle = engine.bundle();
  const Comparison& worst = task.worst();
  const GoldenCase& golden = bundle.golden_requests().cases(worst.user);
  return absl::FailedPreconditionError(absl::StrFormat(
      "%s/golden.textproto: the bundle's weights and the engine disagree: case "
      "\"%s\", candidate %d (item %d), task \"%s\": expected %.9g, found %.9g "
      "in %s; the task's scores are off by %.3g (root mean square), at most "
      "%.3g is allowed",
      bundle.folder(), golden.name(), worst.candidate,
      golden.candidates(worst.candidate).item_id(),
      bundle.spec().tasks(index).name(), worst.expected, worst.found,
      PrecisionName(engine.precision()), task.mean_error(),
      task.Allowed(GoldenBoundOf(engine.precision()))));
}

}  // namespace

GoldenBound GoldenBoundOf(Precision precision) {
  return precision == Precision::kF32 ? GoldenBound{1e-4, 1e-5}
                                      : GoldenBound{.2, .01};
}

std::vector<float> GoldenScores(const GoldenCase& golden, const Engine& engine,
                                EngineScratch& scratch) {
  const Bundle& bundle = engine.bundle();
  const std::vector<ModelEvent> events = EventsOf(golden, bundle);
  const std::vector<uint32_t> context = ContextOf(golden, bundle);
  std::vector<uint32_t> rows;
  std::vector<float> features;
  for (const auto& candidate : golden.candidates()) {
    rows.push_back(bundle.ItemRow(candidate.item_id()));
    features.insert(features.end(), candidate.features().begin(),
                    candidate.features().end());
  }
  FoldJob job{engine.empty_state(), events, nullptr};
  engine.Fold(absl::MakeSpan(&job, 1), scratch);
  const auto reading =
      engine.Read(*job.after, {golden.time_us(), {}, context}, scratch);
  std::vector<float> scores(rows.size() * engine.num_tasks());
  engine.Score(*reading, rows, features, absl::MakeSpan(scores), scratch);
  return scores;
}

std::string GoldenReplay::ToString() const {
  if (num_users == 0) return "none";
  return absl::StrFormat(
      "%d scores of %d users, off by %.2g of their spread (%.2g at most)",
      num_scores, num_users, mean_error, largest_error);
}

absl::StatusOr<GoldenReplay> ReplayGoldenRequests(const Engine& engine) {
  GoldenReplay replay;
  const GoldenRequests& requests = engine.bundle().golden_requests();
  if (requests.cases().empty()) return replay;
  const GoldenBound bound = GoldenBoundOf(engine.precision());
  const std::vector<TaskScores> tasks = Compare(engine);
  size_t furthest = 0;
  double share = 0;  // of what is allowed
  for (size_t i = 0; i < tasks.size(); ++i) {
    const TaskScores& task = tasks[i];
    const double of_task = task.mean_error() / task.Allowed(bound);
    if (of_task > share) {
      share = of_task;
      furthest = i;
    }
    replay.num_scores += task.count();
    replay.largest_error =
        std::max(replay.largest_error, task.Share(task.worst().error()));
    replay.mean_error =
        std::max(replay.mean_error, task.Share(task.mean_error()));
  }
  if (share > 1) return Disagreement(engine, furthest, tasks[furthest]);
  replay.num_users = requests.cases_size();
  return replay;
}

}  // namespace qlarank
