// Categories: features that are texts. To a model each value of a category is a
// feature of its own, 1 or 0, and they stand behind the features that are
// numbers: nothing but names tells them apart from these.
#ifndef QLARANK_MODEL_CATEGORY_H_
#define QLARANK_MODEL_CATEGORY_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/repeated_field.h"
#include "qlarank/model/v1/model_spec.pb.h"

namespace qlarank {

using CategorySpecs = google::protobuf::RepeatedPtrField<model::v1::Category>;

// How many features it is made into, and what they are called.
// REQUIRES: index < NumCategoryFeatures(category).
uint32_t NumCategoryFeatures(const model::v1::Category& category);
std::string CategoryFeatureName(const model::v1::Category& category,
                                uint32_t index);

// INVALID_ARGUMENT unless the last of `features` are what the categories are
// made into, in turn. `field` is what the messages call the categories.
absl::Status CheckCategories(
    absl::string_view field, const CategorySpecs& categories,
    const google::protobuf::RepeatedPtrField<std::string>& features);

}  // namespace qlarank

#endif  // QLARANK_MODEL_CATEGORY_H_
