#include "cli/category_column.h"

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"

namespace qlarank {

CategoryColumn ParseCategoryColumn(absl::string_view text) {
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(text, absl::MaxSplits('=', 1));
  return {parts.first, parts.second};
}

void AddValues(absl::string_view cell, const CategoryColumn& column,
               Texts& values) {
  // By an empty separator absl would split into single bytes.
  const std::vector<absl::string_view> parts =
      column.separator.empty()
          ? std::vector<absl::string_view>{cell}
          : absl::StrSplit(cell, absl::ByString(column.separator));
  for (absl::string_view part : parts) {
    part = absl::StripAsciiWhitespace(part);
    if (part.empty() || absl::c_linear_search(values, part)) continue;
    *values.Add() = std::string(part);
  }
}

}  // namespace qlarank
