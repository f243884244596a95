// What operators have loaded and labelled while the server ran, as the store
// remembers it: under a mark, so that it is whole or not there, synced, and in
// every copy of the store.
#ifndef QLARANK_SERVER_ROLLOUT_SERVED_MODELS_H_
#define QLARANK_SERVER_ROLLOUT_SERVED_MODELS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/models/model_labels.h"
#include "server/work/answered_calls.h"
#include "state_store/event_log.h"

namespace qlarank {

inline constexpr absl::string_view kServedModelsMark = "served models";

struct LoadedByRequest {
  std::string name;
  uint64_t version = 0;
  std::string path;  // as it was asked for
  // All users had a state under it, and their owners have seen to it since.
  bool migrated = false;
  // That its states are stored under; "": it was never served.
  std::string state_fingerprint = "";

  bool operator==(const LoadedByRequest&) const = default;
};

// Changes of labels that their callers named, each with the v1::ModelLabels that
// it was answered, in bytes.
using AnsweredLabels = AnsweredCalls<std::string>;
inline constexpr size_t kMostAnsweredLabels = 32;

struct ServedModels {
  std::vector<LoadedByRequest> loaded;  // in their order
  LabelsOfModels labels;
  AnsweredLabels answered{kMostAnsweredLabels};

  bool operator==(const ServedModels&) const = default;
};

// Nothing where nothing was written. DATA_LOSS, naming the mark, when it is
// damaged.
absl::StatusOr<ServedModels> ReadServedModels(const EventLog& store);

// Durable when it returns. Errors are those of EventLog::AppendEvents.
absl::Status WriteServedModels(const ServedModels& served, EventLog& store);

}  // namespace qlarank

#endif  // QLARANK_SERVER_ROLLOUT_SERVED_MODELS_H_
