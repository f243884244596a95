// The one form of a complaint about a request:
//
//   events[3].event.time: 2061-01-01T00:00:00Z; must not be more than 24h ahead
//
// The field's path, its value, what is wrong with it.
#ifndef QLARANK_SERVER_WORK_FIELD_ERROR_H_
#define QLARANK_SERVER_WORK_FIELD_ERROR_H_

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace qlarank {

// INVALID_ARGUMENT "<field>: <value>; <rule>".
inline absl::Status FieldError(absl::string_view field,
                               const absl::AlphaNum& value,
                               absl::string_view rule) {
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": ", value, "; ", rule));
}

// A client's string as it may stand in a message: quoted, escaped, cut short.
inline std::string Quoted(absl::string_view text) {
  constexpr size_t kMaxBytes = 64;
  if (text.size() <= kMaxBytes) {
    return absl::StrCat("\"", absl::Utf8SafeCHexEscape(text), "\"");
  }
  return absl::StrCat("\"", absl::Utf8SafeCHexEscape(text.substr(0, kMaxBytes)),
                      "...\" (", text.size(), " bytes)");
}

// `status` with `prefix` before its message, which begins with a field.
inline absl::Status Within(absl::string_view prefix,
                           const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(prefix, status.message()));
}

}  // namespace qlarank

#endif  // QLARANK_SERVER_WORK_FIELD_ERROR_H_
