// What events may say while certain models are served: the actions that any of
// them knows, and the event features of the default one.
//
// No model has a say in what the others are told. One that does not know an
// action folds the event without the action's embedding, and a feature that
// requests do not have is 0 to it (docs/model.md section 2).
//
// Immutable, so safe to share. Holds no model.
#ifndef QLARANK_SERVER_MODELS_EVENT_VOCABULARY_H_
#define QLARANK_SERVER_MODELS_EVENT_VOCABULARY_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "config/server_options.h"
#include "server/models/loaded_model.h"

namespace qlarank {

// Of an action that no served model knows: what a log should keep for every
// event, in bytes.
inline constexpr size_t kMaxActionBytes = 128;

class EventVocabulary {
 public:
  // `default_model` is one of `models`, whose order does not matter.
  EventVocabulary(absl::Span<const LoadedModelPtr> models,
                  const LoadedModel& default_model, UnknownActions unknown);

  // What an event without an action did: the default model's first.
  const std::string& default_action() const { return default_action_; }
  // `action`, or the default one for "".
  absl::string_view Resolve(absl::string_view action) const {
    return action.empty() ? absl::string_view(default_action_) : action;
  }
  // Of the default model, in its order: what the values of Event.features are.
  absl::Span<const std::string> event_features() const {
    return event_features_;
  }

  // OK for an action that a served model knows, and for "". For others too,
  // where they are accepted, up to kMaxActionBytes.
  // INVALID_ARGUMENT "action: ..." says which model knows what.
  absl::Status CheckAction(absl::string_view action) const;
  // OK for as many as there are event_features().
  // INVALID_ARGUMENT "features: ..." names them.
  absl::Status CheckNumFeatures(size_t num_features) const;

  // What events may say and this model cannot tell, sorted: actions that only
  // other models know, and features of its own that requests lack.
  struct Gaps {
    std::vector<std::string> actions, features;
  };
  Gaps GapsOf(const Bundle& bundle) const;

 private:
  const UnknownActions unknown_;
  std::string default_action_;
  std::vector<std::string> event_features_;
  absl::flat_hash_set<std::string> actions_;
  // For messages: every model with its actions, and the default one.
  std::string known_actions_, default_label_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_MODELS_EVENT_VOCABULARY_H_
