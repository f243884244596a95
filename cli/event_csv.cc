#include "cli/event_csv.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace qlarank {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;
constexpr size_t kMaxShown = 100;  // bytes of a value in a message

bool AllDigits(absl::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
}

bool HasExponent(absl::string_view text) {
  return text.find_first_of("eE") != absl::string_view::npos;
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

// A unit that counts from 1970, and what it is called.
struct NumericUnit {
  TimeUnit unit;
  const char* option;
  int digits_per_second;
};

constexpr NumericUnit kNumericUnits[] = {{TimeUnit::kSeconds, "s", 0},
                                         {TimeUnit::kMilliseconds, "ms", 3},
                                         {TimeUnit::kMicroseconds, "us", 6}};

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
      return absl::InvalidArgumentError(
          absl::StrCat("is in the year ", Year(nanos), " if it counts ",
                       chosen.option, ", in ", Year(*as_other),
                       " if it counts ", other.option, ": --time-unit ",
                       other.option));
    }
  }
  return absl::OkStatus();
}

// Whether the text has the form of RFC 3339, a blank for its T allowed.
bool LooksLikeRfc3339(absl::string_view text) {
  // What stands where: d for a digit, T for one of "Tt ".
  constexpr absl::string_view kForm = "dddd-dd-ddTdd:dd:dd";
  if (text.size() <= kForm.size()) return false;
  for (size_t i = 0; i < kForm.size(); ++i) {
    const char c = text[i];
    const bool fits = kForm[i] == 'd'   ? c >= '0' && c <= '9'
                      : kForm[i] == 'T' ? c == 'T' || c == 't' || c == ' '
                                        : c == kForm[i];
    if (!fits) return false;
  }
  text.remove_prefix(kForm.size());
  if (text.front() == '.') {
    size_t digits = 0;
    while (digits + 1 < text.size() && text[digits + 1] >= '0' &&
           text[digits + 1] <= '9') {
      ++digits;
    }
    if (digits == 0) return false;
    text.remove_prefix(digits + 1);
  }
  if (text == "Z" || text == "z") return true;
  return text.size() == 6 && (text[0] == '+' || text[0] == '-') &&
         text[3] == ':' && AllDigits(text.substr(1, 2)) &&
         AllDigits(text.substr(4, 2));
}

absl::Status NotADate() {
  return absl::InvalidArgumentError(
      "is not an RFC 3339 time such as 2017-11-20T18:03:00Z");
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
        "is outside of the years 1 to 9999");
  }
  google::protobuf::Timestamp time;
  time.set_seconds(static_cast<int64_t>(seconds));
  time.set_nanos(static_cast<int32_t>(rest));
  return time;
}

absl::StatusOr<google::protobuf::Timestamp> ParseDate(absl::string_view text) {
  absl::Time time;
  std::string error;
  if (!LooksLikeRfc3339(text)) return NotADate();
  std::string with_t(text);
  with_t[10] = 'T';
  // Seconds of 60, leap seconds, have no number: absl takes them for the next.
  if (with_t.substr(17, 2) == "60" ||
      !absl::ParseTime(absl::RFC3339_full, with_t, &time, &error)) {
    return NotADate();
  }
  absl::Duration since_epoch = time - absl::UnixEpoch();
  absl::Duration rest;
  absl::int128 seconds =
      absl::IDivDuration(since_epoch, absl::Seconds(1), &rest);
  return FromNanos(seconds * kNanosPerSecond + absl::ToInt64Nanoseconds(rest));
}

// What is wrong with a text that is no item id, and what to do about it.
absl::string_view ItemIdProblem(absl::string_view text) {
  double value = 0;
  const bool is_number = absl::SimpleAtod(text, &value);
  if (text.empty()) return "is empty";
  if (AllDigits(text) || (is_number && text.front() == '-')) {
    return "is not an item id: they go from 0 to 2^64 - 1";
  }
  if (is_number && HasExponent(text)) {
    return "is not an item id: write all of its digits";
  }
  if (is_number && absl::StrContains(text, ".")) {
    return "is not an item id: write it as a whole number, without a point "
           "(pandas: astype(\"Int64\"))";
  }
  return "is not an item id: they are whole numbers; number the items, and "
         "keep a table of which is which";
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
  if (unit == TimeUnit::kRfc3339) return ParseDate(text);
  const NumericUnit& numeric = kNumericUnits[static_cast<int>(unit)];
  std::optional<absl::int128> nanos =
      ParseNanos(text, numeric.digits_per_second);
  if (!nanos.has_value()) {
    double value = 0;
    return absl::InvalidArgumentError(
        HasExponent(text) && absl::SimpleAtod(text, &value)
            ? "is not a time: write all of its digits"
            : absl::StrCat("is not a number of ", numeric.option,
                           " since 1970"));
  }
  if (absl::Status s = CheckUnit(text, numeric, *nanos); !s.ok()) return s;
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

bool IsUtf8(absl::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i]);
    if (first < 0x80) {
      ++i;
      continue;
    }
    const size_t size = first < 0xC2   ? 0
                        : first < 0xE0 ? 2
                        : first < 0xF0 ? 3
                        : first < 0xF5 ? 4
                                       : 0;
    if (size == 0 || i + size > text.size()) return false;
    for (size_t k = 1; k < size; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xC0) != 0x80) {
        return false;
      }
    }
    // Neither longer than needed, nor a surrogate, nor past U+10FFFF.
    const auto second = static_cast<unsigned char>(text[i + 1]);
    if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
        (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F)) {
      return false;
    }
    i += size;
  }
  return true;
}

absl::StatusOr<uint64_t> ParseItemId(absl::string_view text) {
  uint64_t id = 0;
  if (text.empty() || text.size() > 20 || !AllDigits(text) ||
      !absl::SimpleAtoi(text, &id)) {
    return absl::InvalidArgumentError(ItemIdProblem(text));
  }
  return id;
}

absl::StatusOr<EventCsv> EventCsv::Open(CsvReader& reader,
                                        const EventColumns& columns,
                                        TimeUnit unit) {
  if (absl::Status s = reader.ReadHeader(); !s.ok()) return s;
  EventCsv csv(reader, columns, unit);
  for (auto [name, index] : {std::pair{&columns.user, &csv.user_},
                             std::pair{&columns.item, &csv.item_},
                             std::pair{&columns.time, &csv.time_}}) {
    absl::StatusOr<size_t> column = reader.Column(*name);
    if (!column.ok()) return column.status();
    *index = *column;
  }
  if (reader.HasColumn(columns.action) ||
      columns.action != EventColumns().action) {  // asked for by name
    absl::StatusOr<size_t> column = reader.Column(columns.action);
    if (!column.ok()) return column.status();
    csv.action_ = *column;
  }
  for (const std::string& name : columns.features) {
    absl::StatusOr<size_t> column = reader.Column(name);
    if (!column.ok()) return column.status();
    csv.features_.push_back(*column);
  }
  return csv;
}

namespace {

// Of a value, what a message can show.
std::string Shown(absl::string_view value) {
  return IsUtf8(value) ? absl::Utf8SafeCHexEscape(value.substr(0, kMaxShown))
                       : absl::CHexEscape(value.substr(0, kMaxShown));
}

}  // namespace

absl::Status EventCsv::Bad(absl::string_view column, absl::string_view value,
                           absl::string_view problem) const {
  return absl::InvalidArgumentError(
      absl::StrCat(reader_->Position(), ": ", column, " \"",
                   Shown(value), "\" ", problem));
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

absl::Status EventCsv::CheckTexts() const {
  constexpr absl::string_view kNotUtf8 =
      "is not UTF-8 (iconv -f latin1 -t utf8, if it is Latin-1)";
  if (!IsUtf8(fields_[user_])) {
    return Bad(columns_.user, fields_[user_], kNotUtf8);
  }
  if (action_ && !IsUtf8(fields_[*action_])) {
    return Bad(columns_.action, fields_[*action_], kNotUtf8);
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> EventCsv::Read(v1::UserEvent& event) {
  absl::StatusOr<bool> read = reader_->ReadRow(fields_);
  if (!read.ok() || !*read) return read;
  event.Clear();
  if (fields_[user_].empty()) return Bad(columns_.user, "", "is empty");
  if (absl::Status s = CheckTexts(); !s.ok()) return s;
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
