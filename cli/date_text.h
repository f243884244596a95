// Dates as texts: RFC 3339, and what people write instead of it.
#ifndef QLARANK_CLI_DATE_TEXT_H_
#define QLARANK_CLI_DATE_TEXT_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace qlarank {

// An RFC 3339 time, a blank for its T allowed. nullopt: it has another form, or
// there is no such day or hour; leap seconds have no number either.
std::optional<absl::Time> ParseRfc3339(absl::string_view text);

// How a date that is written otherwise looks in RFC 3339: "write
// 2017-02-13T10:00:00Z (if it is UTC)" for "13/02/2017 10:00". 01/02/2017 may
// be two days: both are named. "" of what is no date.
std::string RewrittenDate(absl::string_view text);

}  // namespace qlarank

#endif  // QLARANK_CLI_DATE_TEXT_H_
