// Whose requests go elsewhere than "stable", and what scores requests again.
//
// Plain values; pure functions.
#ifndef QLARANK_SERVER_MODELS_TRAFFIC_H_
#define QLARANK_SERVER_MODELS_TRAFFIC_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace qlarank {

// Users of a model whose requests a label's version answers.
struct Traffic {
  std::string label;
  double share = 0;                // of all users, 0 to 1
  std::vector<std::string> users = {};  // beside them: sorted, each once

  // Whether the user is one of them: named, or in the share by XXH64 of their
  // id, seeded with that of the model's name. So it is not what divides users
  // among partitions, nor what samples requests; and those of a smaller share
  // are among those of a larger one.
  bool Has(absl::string_view model_name, absl::string_view user_id) const;

  friend bool operator==(const Traffic&, const Traffic&) = default;
};

// The version that scores a sample of other versions' requests again.
struct ShadowScoring {
  std::string label;     // one of these
  uint64_t version = 0;
  double sample = 0;     // 0 to 1

  friend bool operator==(const ShadowScoring&, const ShadowScoring&) = default;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_MODELS_TRAFFIC_H_
