#include "tests/testing/fresh_fold.h"

#include <algorithm>
#include <memory>
#include <vector>

namespace qlarank::testing {

absl::StatusOr<std::string> FreshFold(const Engine& engine,
                                      const StateStore& store,
                                      absl::string_view user_id,
                                      uint64_t num_events) {
  const auto head = store.GetHead(user_id);
  if (!head.ok()) return head.status();
  std::shared_ptr<const UserState> state = engine.empty_state();
  num_events = std::min(num_events, head->last_sequence);
  if (num_events == 0) return engine.SerializeState(*state);
  const auto log = store.ReadEvents(user_id, 1, num_events);
  if (!log.ok()) return log.status();

  const std::unique_ptr<EngineScratch> scratch = engine.NewScratch();
  const Bundle& bundle = engine.bundle();
  for (const LoggedEvent& logged : *log) {
    const ModelEvent event = {bundle.ItemRow(logged.item_id),
                              bundle.ActionIndex(logged.action), logged.time_us,
                              logged.features};
    FoldJob job = {state, absl::MakeConstSpan(&event, 1), nullptr};
    engine.Fold(absl::MakeSpan(&job, 1), *scratch);
    state = job.after;
  }
  return engine.SerializeState(*state);
}

}  // namespace qlarank::testing
