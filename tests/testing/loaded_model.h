// An engine as a loaded model, over a store that knows no schema.
#ifndef QLARANK_TESTS_TESTING_LOADED_MODEL_H_
#define QLARANK_TESTS_TESTING_LOADED_MODEL_H_

#include <memory>
#include <utility>

#include "server/models/loaded_model.h"

namespace qlarank::testing {

inline LoadedModelPtr AsLoaded(std::shared_ptr<const Engine> engine) {
  const auto& names = engine->bundle().spec().event_features();
  EventFeatures features({}, {names.begin(), names.end()});
  return MakeLoadedModel("model", 1, std::move(engine), std::move(features),
                         absl::UnixEpoch());
}

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_TESTING_LOADED_MODEL_H_
