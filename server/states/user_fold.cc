#include "server/states/user_fold.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace qlarank {

UserFold::UserFold(KnownState before, std::vector<LoggedEvent> events,
                   uint64_t log_sequence, const Engine& engine,
                   const EventFeatures& features)
    : known_(std::move(before)),
      log_sequence_(log_sequence),
      logged_(std::move(events)) {
  const Bundle& bundle = engine.bundle();
  const Catalogue& catalogue = engine.catalogue();
  events_.reserve(logged_.size());
  for (LoggedEvent& logged : logged_) {
    features.Arrange(logged.schema, logged.features);
    const uint32_t action = bundle.ActionIndex(logged.action);
    if (action == Bundle::kUnknownAction) ++gaps_.actions;
    if (features.IsLackedBy(logged.schema)) ++gaps_.features;
    events_.push_back(
        {catalogue.RowAsOf(logged.item_id, logged.catalogue_version), action,
         logged.time_us, logged.features});
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
    UserFold& fold = folds[i];
    if (!fold.empty() && AllFinite(jobs[i].after->values)) {
      fold.known_.summary = nullptr;
      fold.known_.readings = nullptr;
      fold.NoteTimes();
      fold.known_.state = std::move(jobs[i].after);
    } else if (!fold.empty()) {
      fold.status_ = absl::InternalError(absl::StrCat(
          "events ", fold.known_.folded_sequence() + 1, " to ",
          jobs[i].after->event_count,
          " make a state that is not finite: the model's weights overflow, or "
          "a product failed"));
    }
    fold.events_.clear();
  }
}

}  // namespace qlarank
