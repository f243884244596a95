#include "model/context_feature.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace qlarank {
namespace {

absl::Status Invalid(const model::v1::ContextFeature& feature,
                     absl::string_view problem) {
  return absl::InvalidArgumentError(
      absl::StrCat("context_features.", feature.name(), problem));
}

}  // namespace

uint64_t NumContextRows(const model::v1::ContextFeature& feature) {
  const uint64_t values = feature.boundaries().empty()
                              ? feature.values_size()
                              : feature.boundaries_size() + 1;
  return 1 + values;
}

absl::Status CheckContextFeature(const model::v1::ContextFeature& feature) {
  const auto& boundaries = feature.boundaries();
  if (!boundaries.empty() && !feature.values().empty()) {
    return Invalid(feature, " has values and boundaries; expected one of them");
  }
  for (int i = 0; i < boundaries.size(); ++i) {
    if (!std::isfinite(boundaries[i]) ||
        (i > 0 && boundaries[i] <= boundaries[i - 1])) {
      return Invalid(feature,
                     absl::StrCat(".boundaries[", i, "] is ", boundaries[i],
                                  "; expected finite and rising numbers"));
    }
  }
  if (!feature.default_value().empty() &&
      ContextFeature(feature).default_row() == 0) {
    return Invalid(feature, absl::StrCat(".default_value is \"",
                                         feature.default_value(),
                                         "\"; expected a value of its"));
  }
  return absl::OkStatus();
}

ContextFeature::ContextFeature(const model::v1::ContextFeature& feature)
    : boundaries_(feature.boundaries().begin(), feature.boundaries().end()) {
  for (int i = 0; i < feature.values_size(); ++i) {
    values_.emplace(feature.values(i), i + 1);
  }
  if (!feature.default_value().empty()) {
    default_row_ = Row(feature.default_value());
  }
}

uint32_t ContextFeature::Row(absl::string_view value) const {
  if (boundaries_.empty()) {
    const auto found = values_.find(value);
    return found == values_.end() ? 0 : found->second;
  }
  double number = 0;
  if (!absl::SimpleAtod(value, &number) || !std::isfinite(number)) return 0;
  const auto above =
      std::upper_bound(boundaries_.begin(), boundaries_.end(), number);
  return static_cast<uint32_t>(1 + (above - boundaries_.begin()));
}

}  // namespace qlarank
