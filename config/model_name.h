// What a model, and a label of its, may be called: the name of a model is also a
// folder's and a metric label's.
#ifndef QLARANK_CONFIG_MODEL_NAME_H_
#define QLARANK_CONFIG_MODEL_NAME_H_

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"

namespace qlarank {

inline constexpr absl::string_view kModelNameRule =
    "may hold letters, digits, \".\", \"_\" and \"-\", and begins with a letter "
    "or a digit";

inline bool IsModelName(absl::string_view name) {
  return !name.empty() && absl::ascii_isalnum(name.front()) &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
         });
}

// Of a label that points to one of a model's versions.
inline constexpr size_t kMostLabelBytes = 32;
inline constexpr absl::string_view kModelLabelRule =
    "must be 1 to 32 lower-case letters, digits, \"_\" and \"-\"";

inline bool IsModelLabel(absl::string_view label) {
  return !label.empty() && label.size() <= kMostLabelBytes &&
         std::all_of(label.begin(), label.end(), [](char c) {
           return absl::ascii_isdigit(c) || absl::ascii_islower(c) ||
                  c == '_' || c == '-';
         });
}

}  // namespace qlarank

#endif  // QLARANK_CONFIG_MODEL_NAME_H_
