#include "cli/event_time.h"

#include <optional>

#include "absl/numeric/int128.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/date_text.h"
#include "cli/decimal.h"
#include "cli/shown_text.h"

namespace qlarank {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;
constexpr absl::string_view kExampleDate = "2017-11-20T18:03:00Z";
constexpr absl::string_view kExampleSeconds = "1511200980";

// A unit that counts from 1970, and what it is called.
struct NumericUnit {
  TimeUnit unit;
  const char* option;
  int digits_per_second;
};

constexpr NumericUnit kNumericUnits[] = {{TimeUnit::kSeconds, "s", 0},
                                         {TimeUnit::kMilliseconds, "ms", 3},
                                         {TimeUnit::kMicroseconds, "us", 6}};

std::string Option(absl::string_view unit) {
  return absl::StrCat("--time-unit ", unit);
}

// `text` as a count of units of 10^-digits_per_second seconds, in nanoseconds.
std::optional<absl::int128> ParseNanos(absl::string_view text,
                                       int digits_per_second) {
  bool negative = !text.empty() && text.front() == '-';
  if (negative) text.remove_prefix(1);
  size_t point = text.find('.');
  absl::string_view whole = text.substr(0, point);
  absl::string_view fraction =
      point == absl::string_view::npos ? "" : text.substr(point + 1);
  // 15 digits reach the year 9999 in milliseconds, 18 in microseconds.
  if (whole.empty() || whole.size() > 18 || !AllDigits(whole) ||
      !AllDigits(fraction)) {
    return std::nullopt;
  }
  absl::int128 nanos = 0;
  for (char c : whole) nanos = nanos * 10 + (c - '0');
  for (int i = 0; i < 9 - digits_per_second; ++i) {
    size_t at = static_cast<size_t>(i);
    nanos = nanos * 10 + (at < fraction.size() ? fraction[at] - '0' : 0);
  }
  return negative ? -nanos : nanos;
}

// Where the times of events lie that anybody has kept: 1990 to 2099.
constexpr int64_t kPlausibleFrom = 631'152'000 * kNanosPerSecond;
constexpr int64_t kPlausibleBefore = 4'102'444'800 * kNanosPerSecond;

bool IsPlausible(absl::int128 nanos) {
  return nanos >= kPlausibleFrom && nanos < kPlausibleBefore;
}

std::string Year(absl::int128 nanos) {
  // The average year will do; what is far away is not told from further away.
  const absl::int128 year =
      1970 + nanos / (absl::int128{31'556'952} * kNanosPerSecond);
  return absl::StrCat(static_cast<int64_t>(year));
}

// Refuses a time that another unit explains better.
absl::Status CheckUnit(absl::string_view text, const NumericUnit& chosen,
                       absl::int128 nanos) {
  if (IsPlausible(nanos)) return absl::OkStatus();
  for (const NumericUnit& other : kNumericUnits) {
    std::optional<absl::int128> as_other =
        ParseNanos(text, other.digits_per_second);
    if (as_other && IsPlausible(*as_other)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "is in the year ", Year(nanos), " if it counts ", chosen.option,
          ", in ", Year(*as_other), " if it counts ", other.option, ": ",
          Option(other.option)));
    }
  }
  return absl::OkStatus();
}

// Of the count of nanoseconds since 1970 that pandas makes of dates; nullopt
// when the text is none of them.
std::optional<absl::int128> ParseNanoseconds(absl::string_view text) {
  const size_t point = text.find('.');
  const absl::string_view whole = text.substr(0, point);
  if (whole.size() != 19 || !AllDigits(whole) ||
      (point != text.npos && !AllDigits(text.substr(point + 1)))) {
    return std::nullopt;
  }
  absl::int128 nanos = 0;
  for (char c : whole) nanos = nanos * 10 + (c - '0');
  if (!IsPlausible(nanos)) return std::nullopt;
  return nanos;
}

// What is wrong with a text that is no number, and what to write.
std::string NumberProblem(absl::string_view text, const NumericUnit& unit) {
  const std::string number =
      absl::StrCat("not a number of ", unit.option, " since 1970");
  if (std::optional<absl::int128> nanos = ParseNanoseconds(text)) {
    return absl::StrCat("is in the year ", Year(*nanos),
                        " if it counts nanoseconds: leave out its last three "
                        "digits, and ",
                        Option("us"));
  }
  if (HasExponent(text)) return "is not a time: write all of its digits";
  if (HasDecimalComma(text)) {
    return absl::StrCat("is ", number, ": write a point for the comma");
  }
  if (ParseRfc3339(text)) {
    return absl::StrCat("is a date, ", number, ": ", Option("rfc3339"));
  }
  if (std::string written = RewrittenDate(text); !written.empty()) {
    return absl::StrCat("is a date, ", number, ": ", written, ", and ",
                        Option("rfc3339"));
  }
  return absl::StrCat("is ", number, ", such as ", kExampleSeconds,
                      std::string(unit.digits_per_second, '0'));
}

// What is wrong with a text that is no RFC 3339 time, and what to write.
std::string DateProblem(absl::string_view text) {
  for (const NumericUnit& unit : kNumericUnits) {
    std::optional<absl::int128> nanos =
        ParseNanos(text, unit.digits_per_second);
    if (nanos && IsPlausible(*nanos)) {
      return absl::StrCat("is a number, not an RFC 3339 time: ",
                          Option(unit.option));
    }
  }
  std::string written = RewrittenDate(text);
  return absl::StrCat("is not an RFC 3339 time",
                      written.empty() ? " such as " : ": ",
                      written.empty() ? kExampleDate : written);
}

// What protobuf allows in a Timestamp: years 1 to 9999.
constexpr int64_t kMinSeconds = -62'135'596'800;
constexpr int64_t kMaxSeconds = 253'402'300'799;

absl::StatusOr<google::protobuf::Timestamp> FromNanos(absl::int128 nanos) {
  absl::int128 seconds = nanos / kNanosPerSecond;
  absl::int128 rest = nanos % kNanosPerSecond;
  if (rest < 0) {
    rest += kNanosPerSecond;
    seconds -= 1;
  }
  if (seconds < kMinSeconds || seconds > kMaxSeconds) {
    return absl::InvalidArgumentError("is outside of the years 1 to 9999");
  }
  google::protobuf::Timestamp time;
  time.set_seconds(static_cast<int64_t>(seconds));
  time.set_nanos(static_cast<int32_t>(rest));
  return time;
}

absl::StatusOr<google::protobuf::Timestamp> ParseDate(absl::string_view text) {
  const std::optional<absl::Time> time = ParseRfc3339(text);
  if (!time) return absl::InvalidArgumentError(DateProblem(text));
  absl::Duration rest;
  const absl::int128 seconds =
      absl::IDivDuration(*time - absl::UnixEpoch(), absl::Seconds(1), &rest);
  return FromNanos(seconds * kNanosPerSecond + absl::ToInt64Nanoseconds(rest));
}

}  // namespace

absl::StatusOr<TimeUnit> ParseTimeUnit(absl::string_view text) {
  if (text == "rfc3339") return TimeUnit::kRfc3339;
  for (const NumericUnit& unit : kNumericUnits) {
    if (text == unit.option) return unit.unit;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "--time-unit \"", ShownText(text),
      "\" is none of s, ms and us, for numbers since 1970 such as ",
      kExampleSeconds, ", and rfc3339, for dates such as ", kExampleDate));
}

absl::StatusOr<google::protobuf::Timestamp> ParseTime(absl::string_view text,
                                                      TimeUnit unit) {
  if (unit == TimeUnit::kRfc3339) return ParseDate(text);
  const NumericUnit& numeric = kNumericUnits[static_cast<int>(unit)];
  std::optional<absl::int128> nanos =
      ParseNanos(text, numeric.digits_per_second);
  if (!nanos) return absl::InvalidArgumentError(NumberProblem(text, numeric));
  if (absl::Status s = CheckUnit(text, numeric, *nanos); !s.ok()) return s;
  return FromNanos(*nanos);
}

absl::StatusOr<google::protobuf::Timestamp> ParseTimeOption(
    absl::string_view option, absl::string_view text, absl::string_view unit) {
  absl::StatusOr<TimeUnit> time_unit = ParseTimeUnit(unit);
  if (!time_unit.ok()) return time_unit.status();
  auto time = ParseTime(text, *time_unit);
  if (time.ok()) return time;
  std::string message = absl::StrCat(option, " \"", ShownText(text), "\" ",
                                     time.status().message());
  if (!absl::StrContains(message, "--time-unit")) {
    absl::StrAppend(&message,
                    *time_unit == TimeUnit::kRfc3339
                        ? absl::StrCat("; or a number of s since 1970 such as ",
                                       kExampleSeconds, ", with ", Option("s"))
                        : absl::StrCat("; or a date such as ", kExampleDate,
                                       ", with ", Option("rfc3339")));
  }
  return absl::InvalidArgumentError(message);
}

absl::Time ToAbslTime(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) +
         absl::Nanoseconds(time.nanos());
}

std::string FormatTime(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ", ToAbslTime(time),
                          absl::UTCTimeZone());
}

}  // namespace qlarank
