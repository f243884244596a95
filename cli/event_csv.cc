#include "cli/event_csv.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace qlarank {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;

bool AllDigits(absl::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
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

int DigitsPerSecond(TimeUnit unit) {
  switch (unit) {
    case TimeUnit::kMilliseconds:
      return 3;
    case TimeUnit::kMicroseconds:
      return 6;
    default:
      return 0;
  }
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
    return absl::InvalidArgumentError(
        "is outside of the years 1 to 9999 (another --time-unit?)");
  }
  google::protobuf::Timestamp time;
  time.set_seconds(static_cast<int64_t>(seconds));
  time.set_nanos(static_cast<int32_t>(rest));
  return time;
}

}  // namespace

absl::StatusOr<TimeUnit> ParseTimeUnit(absl::string_view text) {
  if (text == "s") return TimeUnit::kSeconds;
  if (text == "ms") return TimeUnit::kMilliseconds;
  if (text == "us") return TimeUnit::kMicroseconds;
  if (text == "rfc3339") return TimeUnit::kRfc3339;
  return absl::InvalidArgumentError(
      absl::StrCat("time unit \"", text, "\" is none of s, ms, us, rfc3339"));
}

absl::StatusOr<google::protobuf::Timestamp> ParseTime(absl::string_view text,
                                                      TimeUnit unit) {
  if (unit == TimeUnit::kRfc3339) {
    absl::Time time;
    std::string error;
    if (!absl::ParseTime(absl::RFC3339_full, text, &time, &error)) {
      return absl::InvalidArgumentError("is not an RFC 3339 time");
    }
    absl::Duration since_epoch = time - absl::UnixEpoch();
    absl::Duration rest;
    absl::int128 seconds =
        absl::IDivDuration(since_epoch, absl::Seconds(1), &rest);
    return FromNanos(seconds * kNanosPerSecond +
                     absl::ToInt64Nanoseconds(rest));
  }
  std::optional<absl::int128> nanos = ParseNanos(text, DigitsPerSecond(unit));
  if (!nanos.has_value()) return absl::InvalidArgumentError("is not a number");
  return FromNanos(*nanos);
}

absl::Time ToAbslTime(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) +
         absl::Nanoseconds(time.nanos());
}

std::string FormatTime(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ", ToAbslTime(time),
                          absl::UTCTimeZone());
}

absl::StatusOr<uint64_t> ParseItemId(absl::string_view text) {
  uint64_t id = 0;
  if (text.empty() || !AllDigits(text) || !absl::SimpleAtoi(text, &id)) {
    return absl::InvalidArgumentError("is not an item id");
  }
  return id;
}

absl::StatusOr<EventCsv> EventCsv::Open(CsvReader& reader,
                                        const EventColumns& columns,
                                        TimeUnit unit) {
  if (absl::Status s = reader.ReadHeader(); !s.ok()) return s;
  EventCsv csv(reader, columns, unit);
  size_t last = 0;
  for (auto [name, index] : {std::pair{&columns.user, &csv.user_},
                             std::pair{&columns.item, &csv.item_},
                             std::pair{&columns.time, &csv.time_}}) {
    absl::StatusOr<size_t> column = reader.Column(*name);
    if (!column.ok()) return column.status();
    *index = *column;
    last = std::max(last, *column);
  }
  if (reader.HasColumn(columns.action)) {
    csv.action_ = *reader.Column(columns.action);
    last = std::max(last, *csv.action_);
  } else if (columns.action != EventColumns().action) {
    return reader.Column(columns.action).status();  // asked for by name
  }
  for (const std::string& name : columns.features) {
    absl::StatusOr<size_t> column = reader.Column(name);
    if (!column.ok()) return column.status();
    csv.features_.push_back(*column);
    last = std::max(last, *column);
  }
  csv.num_columns_ = last + 1;
  return csv;
}

absl::Status EventCsv::Bad(absl::string_view column, absl::string_view value,
                           absl::string_view problem) const {
  return absl::InvalidArgumentError(absl::StrCat(
      reader_->Position(), ": ", column, " \"", value, "\" ", problem));
}

absl::Status EventCsv::ReadFeatures(v1::Event& event) const {
  for (size_t i = 0; i < features_.size(); ++i) {
    const std::string& text = fields_[features_[i]];
    float value = 0;
    if (!absl::SimpleAtof(text, &value) || !std::isfinite(value)) {
      return Bad(columns_.features[i], text, "is not a finite number");
    }
    event.add_features(value);
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> EventCsv::Read(v1::UserEvent& event) {
  absl::StatusOr<bool> read = reader_->ReadRow(fields_);
  if (!read.ok() || !*read) return read;
  if (fields_.size() < num_columns_) {
    return absl::InvalidArgumentError(
        absl::StrCat(reader_->Position(), ": has ", fields_.size(),
                     " columns, at least ", num_columns_, " were expected"));
  }
  event.Clear();
  if (fields_[user_].empty()) return Bad(columns_.user, "", "is empty");
  event.set_user_id(fields_[user_]);
  absl::StatusOr<uint64_t> item = ParseItemId(fields_[item_]);
  if (!item.ok()) {
    return Bad(columns_.item, fields_[item_], item.status().message());
  }
  event.mutable_event()->set_item_id(*item);
  if (action_) event.mutable_event()->set_action(fields_[*action_]);
  absl::StatusOr<google::protobuf::Timestamp> time =
      ParseTime(fields_[time_], unit_);
  if (!time.ok()) {
    return Bad(columns_.time, fields_[time_], time.status().message());
  }
  *event.mutable_event()->mutable_time() = *std::move(time);
  if (absl::Status s = ReadFeatures(*event.mutable_event()); !s.ok()) return s;
  event.set_sequence(reader_->line());
  return true;
}

}  // namespace qlarank
