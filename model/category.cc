#include "model/category.h"

#include <set>

#include "absl/strings/str_cat.h"

namespace qlarank {
namespace {

// Of one category: each feature is a float of every event in the log.
constexpr uint32_t kMaxFeatures = 1024;

absl::Status CheckCategory(absl::string_view field,
                           const model::v1::Category& category) {
  const auto invalid = [&](absl::string_view problem) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ".", category.name(), problem));
  };
  if (category.name().empty()) return invalid(": \"\"; expected a name");
  if (category.hash_buckets() > 0 && !category.values().empty()) {
    return invalid(" has values and hash_buckets; expected one of them");
  }
  const uint32_t count = NumCategoryFeatures(category);
  if (count == 0 || count > kMaxFeatures) {
    return invalid(absl::StrCat(" has ", count, " features; expected 1 to ",
                                kMaxFeatures));
  }
  for (const std::string& value : category.values()) {
    if (value.empty()) return invalid(".values: \"\"; expected a text");
  }
  return absl::OkStatus();
}

}  // namespace

uint32_t NumCategoryFeatures(const model::v1::Category& category) {
  return category.hash_buckets() > 0 ? category.hash_buckets()
                                     : category.values_size();
}

std::string CategoryFeatureName(const model::v1::Category& category,
                                uint32_t index) {
  return category.hash_buckets() > 0
             ? absl::StrCat(category.name(), "#", index)
             : absl::StrCat(category.name(), "=",
                            category.values(static_cast<int>(index)));
}

absl::Status CheckCategories(
    absl::string_view field, const CategorySpecs& categories,
    const google::protobuf::RepeatedPtrField<std::string>& features) {
  uint64_t count = 0;
  std::set<std::string> names;
  for (const model::v1::Category& category : categories) {
    if (absl::Status s = CheckCategory(field, category); !s.ok()) return s;
    if (!names.insert(category.name()).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(field, ".", category.name(), " is there twice"));
    }
    count += NumCategoryFeatures(category);
  }
  if (count > static_cast<uint64_t>(features.size())) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, " are made into ", count, " features; there are ",
                     features.size()));
  }
  auto at = features.end() - static_cast<int>(count);
  for (auto number = features.begin(); number != at; ++number) {
    if (names.contains(*number)) {
      return absl::InvalidArgumentError(
          absl::StrCat(field, ".", *number, " is a number, too"));
    }
  }
  for (const model::v1::Category& category : categories) {
    for (uint32_t i = 0; i < NumCategoryFeatures(category); ++i, ++at) {
      const std::string name = CategoryFeatureName(category, i);
      if (*at == name) continue;
      return absl::InvalidArgumentError(
          absl::StrCat(field, ".", category.name(), ": feature \"", *at,
                       "\" is in the place of its \"", name, "\""));
    }
  }
  return absl::OkStatus();
}

}  // namespace qlarank
