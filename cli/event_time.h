// The time of an event as people and files write it.
//
// A time that another unit explains better is refused, not taken for what it
// says: it would put an event into another century, silently. The trainer reads
// times alike (trainer/csv_times.py), and says the same of bad ones.
#ifndef QLARANK_CLI_EVENT_TIME_H_
#define QLARANK_CLI_EVENT_TIME_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/timestamp.pb.h"

namespace qlarank {

// Numbers count from the Unix epoch.
enum class TimeUnit { kSeconds, kMilliseconds, kMicroseconds, kRfc3339 };

// "s", "ms", "us" or "rfc3339". INVALID_ARGUMENT otherwise.
absl::StatusOr<TimeUnit> ParseTimeUnit(absl::string_view text);

// Decimal digits with an optional sign and fraction, exact to the nanosecond;
// or an RFC 3339 date. INVALID_ARGUMENT otherwise, and for a number that is
// outside of the years 1990 to 2099 but would be inside in another unit: it is
// taken for one. The message is what follows the text in a sentence: what is
// wrong with it, and what to write.
absl::StatusOr<google::protobuf::Timestamp> ParseTime(absl::string_view text,
                                                      TimeUnit unit);

// The same of an option and its --time-unit. The message is a whole one.
absl::StatusOr<google::protobuf::Timestamp> ParseTimeOption(
    absl::string_view option, absl::string_view text, absl::string_view unit);

absl::Time ToAbslTime(const google::protobuf::Timestamp& time);
// As RFC 3339 in UTC.
std::string FormatTime(const google::protobuf::Timestamp& time);

}  // namespace qlarank

#endif  // QLARANK_CLI_EVENT_TIME_H_
