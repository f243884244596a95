// One model version that is loaded: its engine, and where it finds its event
// features in the log. What is remembered of users under it, and what ranking
// keeps of its own, are others' (per_model.h).
//
// Immutable, so safe to share. Whoever uses a model holds it: neither a reference
// nor a view into it outlives that.
#ifndef QLARANK_SERVER_MODELS_LOADED_MODEL_H_
#define QLARANK_SERVER_MODELS_LOADED_MODEL_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "model/engine.h"
#include "server/models/category_features.h"
#include "server/models/event_features.h"

namespace qlarank {

struct LoadedModel {
  // Of no other model that was loaded since the process began.
  uint32_t id;
  std::string name;
  uint64_t version;
  std::shared_ptr<const Engine> engine;
  EventFeatures features;
  bool items_are_texts;  // that their ids stand for
  absl::Time load_time;
  CategoryFeatures event_categories;
  CategoryFeatures candidate_categories;

  const Bundle& bundle() const { return engine->bundle(); }
};

using LoadedModelPtr = std::shared_ptr<const LoadedModel>;

// `name` and `version` are what it is served under, whatever its bundle says;
// `load_time` is now. Looks for the texts of items in the bundle's folder.
LoadedModelPtr MakeLoadedModel(std::string name, uint64_t version,
                               std::shared_ptr<const Engine> engine,
                               EventFeatures features, absl::Time load_time);

}  // namespace qlarank

#endif  // QLARANK_SERVER_MODELS_LOADED_MODEL_H_
