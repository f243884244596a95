#include "tests/testing/fresh_fold.h"

#include <algorithm>
#include <memory>

namespace qlarank::testing {

absl::StatusOr<std::string> FreshFold(const Engine& engine,
                                      const StateStore& store,
                                      absl::string_view user_id,
                                      uint64_t num_events) {
  const auto head = store.GetHead(user_id);
  if (!head.ok()) return head.status();
  num_events = std::min(num_events, head->last_sequence);
  if (num_events == 0) return FoldOf(engine, {});
  const auto log = store.ReadEvents(user_id, 1, num_events);
  if (!log.ok()) return log.status();
  return FoldOf(engine, *log);
}

std::string FoldOf(const Engine& engine, absl::Span<const LoggedEvent> events) {
  std::shared_ptr<const UserState> state = engine.empty_state();
  const std::unique_ptr<EngineScratch> scratch = engine.NewScratch();
  const Bundle& bundle = engine.bundle();
  for (const LoggedEvent& logged : events) {
    const ModelEvent event = {
        engine.catalogue().RowAsOf(logged.item_id, logged.catalogue_version),
        bundle.ActionIndex(logged.action), logged.time_us, logged.features};
    FoldJob job = {state, absl::MakeConstSpan(&event, 1), nullptr};
    engine.Fold(absl::MakeSpan(&job, 1), *scratch);
    state = job.after;
  }
  return engine.SerializeState(*state);
}

}  // namespace qlarank::testing
