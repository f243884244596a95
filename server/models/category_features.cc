#include "server/models/category_features.h"

#include <algorithm>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "model/item_key.h"
#include "server/work/field_error.h"

namespace qlarank {

CategoryFeatures::CategoryFeatures(const CategorySpecs& categories,
                                   size_t num_features)
    : num_features_(num_features), num_numbers_(num_features) {
  for (const model::v1::Category& category : categories) {
    num_numbers_ -= NumCategoryFeatures(category);
  }
  size_t first = num_numbers_;
  for (const model::v1::Category& category : categories) {
    Category& added = categories_[category.name()];
    added.first = first;
    added.hash_buckets = category.hash_buckets();
    for (int i = 0; i < category.values_size(); ++i) {
      added.values.emplace(category.values(i), i);
    }
    first += NumCategoryFeatures(category);
  }
}

template <typename Named>
absl::StatusOr<std::vector<const CategoryFeatures::Category*>>
CategoryFeatures::Find(
    absl::string_view field,
    const google::protobuf::RepeatedPtrField<Named>& named) const {
  std::vector<const Category*> found;
  for (int i = 0; i < named.size(); ++i) {
    const auto category = categories_.find(named[i].name());
    const bool known = category != categories_.end();
    if (known && !absl::c_linear_search(found, &category->second)) {
      found.push_back(&category->second);
      continue;
    }
    return FieldError(absl::StrCat(field, "[", i, "].name"),
                      Quoted(named[i].name()),
                      known ? "is there twice"
                            : "is not a category of the model");
  }
  return found;
}

absl::Status CategoryFeatures::CheckNumbers(absl::string_view field,
                                            size_t given, size_t rows) const {
  if (given == rows * num_numbers_) return absl::OkStatus();
  return FieldError(
      field, absl::StrCat(given, " values"),
      absl::StrCat("must be ", rows * num_numbers_,
                   " where categories are given, too: these stand for ",
                   num_features_ - num_numbers_, " of ", num_features_,
                   " features"));
}

size_t CategoryFeatures::Set(
    const Category& category,
    const google::protobuf::RepeatedPtrField<std::string>& values,
    absl::Span<float> features) {
  size_t unknown = 0;
  for (const std::string& value : values) {
    uint64_t at = 0;
    if (category.hash_buckets > 0) {
      at = ItemIdOfKey(value) % category.hash_buckets;
    } else if (const auto known = category.values.find(value);
               known != category.values.end()) {
      at = known->second;
    } else {
      ++unknown;
      continue;
    }
    features[category.first + at] = 1;
  }
  return unknown;
}

absl::Status CategoryFeatures::Expand(v1::Event& event,
                                      size_t& unknown) const {
  if (event.categories().empty()) return absl::OkStatus();
  const auto found = Find("categories", event.categories());
  if (!found.ok()) return found.status();
  absl::Status numbers = CheckNumbers("features", event.features_size(), 1);
  if (!numbers.ok()) return numbers;
  event.mutable_features()->Resize(num_features_, 0);
  const absl::Span<float> features(event.mutable_features()->mutable_data(),
                                   num_features_);
  for (size_t i = 0; i < found->size(); ++i) {
    unknown += Set(*(*found)[i], event.categories(i).values(), features);
  }
  event.clear_categories();
  return absl::OkStatus();
}

absl::Status CategoryFeatures::Expand(v1::RankRequest& request,
                                      size_t max_bytes,
                                      size_t& unknown) const {
  const auto& categories = request.candidate_categories();
  if (categories.empty()) return absl::OkStatus();
  const auto found = Find("candidate_categories", categories);
  if (!found.ok()) return found.status();
  const size_t rows = request.item_ids_size();
  absl::Status numbers = CheckNumbers(
      "candidate_features", request.candidate_features_size(), rows);
  if (!numbers.ok()) return numbers;
  for (int i = 0; i < categories.size(); ++i) {
    const size_t entries = categories[i].candidates_size();
    if (entries == rows) continue;
    return FieldError(
        absl::StrCat("candidate_categories[", i, "].candidates"),
        absl::StrCat(entries, " entries"),
        absl::StrCat("must be one for each of ", rows, " candidates"));
  }
  if (rows * num_features_ * sizeof(float) > max_bytes) {
    return FieldError("candidate_categories", absl::StrCat(rows, " candidates"),
                      absl::StrCat("have ", num_features_,
                                   " features each, together more than ",
                                   max_bytes, " bytes"));
  }
  google::protobuf::RepeatedField<float> features;
  features.Resize(static_cast<int>(rows * num_features_), 0);
  for (size_t row = 0; row < rows; ++row) {
    const absl::Span<float> of_row(
        features.mutable_data() + row * num_features_, num_features_);
    std::copy_n(request.candidate_features().data() + row * num_numbers_,
                num_numbers_, of_row.begin());
    for (size_t i = 0; i < found->size(); ++i) {
      unknown += Set(*(*found)[i], categories[i].candidates(row).values(),
                     of_row);
    }
  }
  *request.mutable_candidate_features() = std::move(features);
  request.clear_candidate_categories();
  return absl::OkStatus();
}

}  // namespace qlarank
