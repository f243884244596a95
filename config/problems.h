// What the readers of a configuration's parts share: problems, and how a value
// that is written becomes an option.
#ifndef QLARANK_CONFIG_PROBLEMS_H_
#define QLARANK_CONFIG_PROBLEMS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"

namespace qlarank {

// Escaped, so that a line break within does not look like another problem.
inline std::string QuotedValue(absl::string_view text) {
  return absl::StrCat("\"", absl::Utf8SafeCHexEscape(text), "\"");
}

// Collects what is wrong, so that one run reports everything.
class Problems {
 public:
  explicit Problems(absl::string_view origin) : origin_(origin) {}

  // `value` as it would be written in the file.
  void Add(absl::string_view field, absl::string_view value,
           absl::string_view rule) {
    AddLine(absl::StrCat(field, ": ", value, "; ", rule));
  }

  // The same in one.
  void AddLine(absl::string_view line) {
    if (!lines_.empty()) lines_ += "\n";
    absl::StrAppend(&lines_, origin_, ": ", line);
  }

  void AddQuoted(absl::string_view field, absl::string_view value,
                 absl::string_view rule) {
    Add(field, QuotedValue(value), rule);
  }

  absl::Status status() const {
    return lines_.empty() ? absl::OkStatus()
                          : absl::InvalidArgumentError(lines_);
  }

 private:
  const absl::string_view origin_;
  std::string lines_;
};

// The schema's rule: 0 and "" ask for the default, which `option` holds.
template <typename T>
void SetUnlessZero(const T& value, T& option) {
  if (value != T()) option = value;
}

// The same for a number above which the server could not work.
template <typename T>
void SetUnlessZero(const T& value, T& option, T max, absl::string_view field,
                   Problems& problems) {
  SetUnlessZero(value, option);
  if (value > max) {
    problems.Add(field, absl::StrCat(value),
                 absl::StrCat("must be at most ", max));
  }
}

// A duration that is written is taken as written, so it has to be valid.
inline void SetDuration(const google::protobuf::Duration& value,
                 absl::Duration& option, absl::string_view field,
                 Problems& problems) {
  constexpr int64_t kMaxSeconds = 100LL * 365 * 24 * 3600;
  const std::string written = absl::StrCat("{ seconds: ", value.seconds(),
                                           " nanos: ", value.nanos(), " }");
  if (value.seconds() < 0 || value.nanos() < 0) {
    problems.Add(field, written, "must not be negative");
  } else if (value.nanos() > 999'999'999) {
    problems.Add(field, written, "nanos must be at most 999999999");
  } else if (value.seconds() > kMaxSeconds) {
    problems.Add(field, written, "must be at most 100 years");
  } else {
    option = absl::Seconds(value.seconds()) + absl::Nanoseconds(value.nanos());
  }
}

}  // namespace qlarank

#endif  // QLARANK_CONFIG_PROBLEMS_H_
