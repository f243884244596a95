// Puts features in the place of the texts that a model's categories say, in the
// requests that have such texts; the others cost a look whether they have any.
// What is behind this knows features alone (docs/model.md section 2).
//
// Immutable, so safe to share.
#ifndef QLARANK_SERVER_MODELS_CATEGORY_FEATURES_H_
#define QLARANK_SERVER_MODELS_CATEGORY_FEATURES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "model/category.h"
#include "qlarank/v1/event.pb.h"
#include "qlarank/v1/rank_service.pb.h"

namespace qlarank {

class CategoryFeatures {
 public:
  // Of a model's event or candidate features.
  // REQUIRES: CheckCategories of these is OK.
  CategoryFeatures(const CategorySpecs& categories, size_t num_features);

  size_t num_features() const { return num_features_; }
  // Of them, those that no category is made into: the first.
  size_t num_numbers() const { return num_numbers_; }

  // Replaces the event's categories by features behind its numbers, and adds
  // the values that the model does not know to `unknown`. An event without
  // categories stays as it is.
  // INVALID_ARGUMENT names the field within the event, which stays as it is,
  // too: a category that is not the model's or is there twice, or features
  // other than the numbers.
  absl::Status Expand(v1::Event& event, size_t& unknown) const;
  // The same for the candidates of a request, of which each category has one
  // entry; at most max_bytes of features.
  absl::Status Expand(v1::RankRequest& request, size_t max_bytes,
                      size_t& unknown) const;

 private:
  struct Category {
    size_t first;  // its first feature
    uint32_t hash_buckets;
    absl::flat_hash_map<std::string, uint32_t> values;
  };

  // "categories[1].name: ..." for the first name that is wrong; else the
  // category of each.
  template <typename Named>
  absl::StatusOr<std::vector<const Category*>> Find(
      absl::string_view field,
      const google::protobuf::RepeatedPtrField<Named>& named) const;
  // Of numbers that come with categories, of so many events or candidates.
  absl::Status CheckNumbers(absl::string_view field, size_t given,
                            size_t rows) const;
  // Sets the features of values; returns how many are unknown.
  static size_t Set(
      const Category& category,
      const google::protobuf::RepeatedPtrField<std::string>& values,
      absl::Span<float> features);

  size_t num_features_;
  size_t num_numbers_;
  absl::flat_hash_map<std::string, Category> categories_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_MODELS_CATEGORY_FEATURES_H_
