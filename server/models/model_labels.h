// The labels of a model: names that operators point at one of its versions, so
// that requests follow them; and which requests do without naming one.
//
// Plain values.
#ifndef QLARANK_SERVER_MODELS_MODEL_LABELS_H_
#define QLARANK_SERVER_MODELS_MODEL_LABELS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/models/traffic.h"

namespace qlarank {

// Where requests go that name neither a version nor a label.
inline constexpr absl::string_view kStableLabel = "stable";

// A label that will point to the version when that covers such a share of the
// users.
struct PendingMove {
  uint64_t version = 0;
  double min_coverage = 0;

  friend bool operator==(const PendingMove&, const PendingMove&) = default;
};

struct ModelLabels {
  std::map<std::string, uint64_t, std::less<>> versions;
  // What "stable" can be rolled back to; 0: nothing.
  uint64_t before_stable = 0;
  uint64_t revision = 0;  // changes so far
  std::map<std::string, PendingMove, std::less<>> pending = {};  // by label
  // The newest that a label was to move to because its folder was there.
  uint64_t newest_watched = 0;
  std::optional<Traffic> traffic = std::nullopt;  // of one of the labels
  std::optional<ShadowScoring> shadow = std::nullopt;

  // 0: there is no such label.
  uint64_t VersionOf(absl::string_view label) const {
    const auto found = versions.find(label);
    return found == versions.end() ? 0 : found->second;
  }
  // The label that a request follows which names nothing.
  absl::string_view LabelFor(absl::string_view model_name,
                             absl::string_view user_id) const {
    return traffic && !user_id.empty() && traffic->Has(model_name, user_id)
               ? absl::string_view(traffic->label)
               : kStableLabel;
  }
  // 0: none.
  uint64_t ShadowVersion() const {
    if (!shadow) return 0;
    return shadow->label.empty() ? shadow->version : VersionOf(shadow->label);
  }
  // Another one after each change.
  std::string etag() const { return absl::StrCat(revision); }

  friend bool operator==(const ModelLabels&, const ModelLabels&) = default;
};

// By the name of the model.
using LabelsOfModels = std::map<std::string, ModelLabels, std::less<>>;

}  // namespace qlarank

#endif  // QLARANK_SERVER_MODELS_MODEL_LABELS_H_
