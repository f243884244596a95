// A feature of requests: which row of its table a value has.
#ifndef QLARANK_MODEL_CONTEXT_FEATURE_H_
#define QLARANK_MODEL_CONTEXT_FEATURE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "qlarank/model/v1/model_spec.pb.h"

namespace qlarank {

// Rows of the feature's table, row 0, "missing or unknown", among them.
uint64_t NumContextRows(const model::v1::ContextFeature& feature);

// INVALID_ARGUMENT when its values, boundaries and default do not fit together;
// names the feature.
absl::Status CheckContextFeature(const model::v1::ContextFeature& feature);

// Thread-safe once made.
class ContextFeature {
 public:
  // REQUIRES: CheckContextFeature(feature).ok().
  explicit ContextFeature(const model::v1::ContextFeature& feature);

  // The row of a value; 0 when the model does not know it, or when it is no
  // number where the feature is one.
  uint32_t Row(absl::string_view value) const;
  // That of a request which has no value for it.
  uint32_t default_row() const { return default_row_; }

 private:
  absl::flat_hash_map<std::string, uint32_t> values_;
  std::vector<double> boundaries_;
  uint32_t default_row_ = 0;
};

}  // namespace qlarank

#endif  // QLARANK_MODEL_CONTEXT_FEATURE_H_
