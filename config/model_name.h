// What a model may be called: a name is also a folder's and a metric label's.
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

}  // namespace qlarank

#endif  // QLARANK_CONFIG_MODEL_NAME_H_
