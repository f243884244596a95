#include "server/pipeline/user_fold.h"

#include <algorithm>
#include <utility>

namespace qlarank {

UserFold::UserFold(KnownState before, std::vector<LoggedEvent> events,
                   uint64_t log_sequence, const Bundle& bundle)
    : known_(std::move(before)),
      log_sequence_(log_sequence),
      logged_(std::move(events)) {
  const size_t num_features = bundle.spec().event_features_size();
  events_.reserve(logged_.size());
  for (LoggedEvent& logged : logged_) {
    // The log outlives models: an event from before a model with other
    // features has zeros for those it lacks.
    logged.features.resize(num_features);
    events_.push_back({bundle.ItemRow(logged.item_id),
                       bundle.ActionIndex(logged.action), logged.time_us,
                       logged.features});
  }
}

void UserFold::NoteTimes() {
  int64_t& newest = known_.newest_event_time_us;
  bool found = known_.state->found();
  for (const LoggedEvent& event : logged_) {
    newest = found ? std::max(newest, event.time_us) : event.time_us;
    found = true;
  }
}

void UserFold::Run(absl::Span<UserFold> folds, const Engine& engine,
                   EngineScratch& scratch) {
  std::vector<FoldJob> jobs;
  jobs.reserve(folds.size());
  for (UserFold& fold : folds) {
    jobs.push_back({fold.known_.state, fold.events_, nullptr});
  }
  engine.Fold(absl::MakeSpan(jobs), scratch);
  for (size_t i = 0; i < folds.size(); ++i) {
    if (!folds[i].empty()) folds[i].known_.summary = nullptr;
    folds[i].NoteTimes();
    folds[i].known_.state = std::move(jobs[i].after);
    folds[i].events_.clear();
  }
}

}  // namespace qlarank
