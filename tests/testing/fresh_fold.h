// What a user's state must be, computed by the shortest road: every event of
// the log, one after the other, from the empty state.
#ifndef QLARANK_TESTS_TESTING_FRESH_FOLD_H_
#define QLARANK_TESTS_TESTING_FRESH_FOLD_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "model/engine.h"
#include "state_store/state_store.h"

namespace qlarank::testing {

// The state's bytes after `num_events` events, by default all. Errors are the
// store's.
absl::StatusOr<std::string> FreshFold(const Engine& engine,
                                      const StateStore& store,
                                      absl::string_view user_id,
                                      uint64_t num_events = UINT64_MAX);

// The same, of these events.
std::string FoldOf(const Engine& engine, absl::Span<const LoggedEvent> events);

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_TESTING_FRESH_FOLD_H_
