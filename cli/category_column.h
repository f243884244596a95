// Columns of CSV files that are categories: cells of texts.
#ifndef QLARANK_CLI_CATEGORY_COLUMN_H_
#define QLARANK_CLI_CATEGORY_COLUMN_H_

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/repeated_field.h"

namespace qlarank {

using Texts = google::protobuf::RepeatedPtrField<std::string>;

struct CategoryColumn {
  std::string name;
  std::string separator;  // of several values in a cell; "": a cell is one
};

// "device", or "tags=|" for cells of several values with a | between them.
CategoryColumn ParseCategoryColumn(absl::string_view text);

// Adds the different values of a cell, without blanks around them; none of an
// empty cell. As the trainer reads them.
void AddValues(absl::string_view cell, const CategoryColumn& column,
               Texts& values);

// The columns of a model's categories: of a ModelSpec's or a ModelSchema's.
template <typename Categories>
std::vector<CategoryColumn> CategoryColumns(const Categories& categories) {
  std::vector<CategoryColumn> columns;
  for (const auto& category : categories) {
    columns.push_back({category.name(), category.separator()});
  }
  return columns;
}

// The features that are numbers: those before what categories are made into.
template <typename Categories>
std::vector<std::string> NumberNames(const Texts& features,
                                     const Categories& categories) {
  size_t made = 0;
  for (const auto& category : categories) {
    made += category.hash_buckets() > 0 ? category.hash_buckets()
                                        : category.values_size();
  }
  return {features.begin(), features.end() - static_cast<int>(made)};
}

// What people are shown of features: "price", "device (3 values)",
// "tags (32 buckets)".
template <typename Categories>
std::vector<std::string> ShownFeatures(const Texts& features,
                                       const Categories& categories) {
  std::vector<std::string> shown = NumberNames(features, categories);
  for (const auto& category : categories) {
    shown.push_back(
        category.hash_buckets() > 0
            ? absl::StrCat(category.name(), " (", category.hash_buckets(),
                           " buckets)")
            : absl::StrCat(category.name(), " (", category.values_size(),
                           category.values_size() == 1 ? " value)"
                                                       : " values)"));
  }
  return shown;
}

}  // namespace qlarank

#endif  // QLARANK_CLI_CATEGORY_COLUMN_H_
