#include "cli/event_csv.h"

#include <cmath>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cli/decimal.h"
#include "cli/shown_text.h"

namespace qlarank {
namespace {

// What is wrong with a text that is no item id, and what to do about it.
absl::string_view ItemIdProblem(absl::string_view text) {
  const bool is_number = IsDecimal(text);
  if (text.empty()) return "is empty";
  if (AllDigits(text) || (is_number && text.front() == '-')) {
    return "is not an item id: they go from 0 to 2^64 - 1";
  }
  if (HasExponent(text)) {
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
  for (auto [name, option, index] :
       {std::tuple{&columns.user, "--user-column", &csv.user_},
        std::tuple{&columns.item, "--item-column", &csv.item_},
        std::tuple{&columns.time, "--time-column", &csv.time_}}) {
    absl::StatusOr<size_t> column = reader.Column(*name, option);
    if (!column.ok()) return column.status();
    *index = *column;
  }
  if (reader.HasColumn(columns.action) ||
      columns.action != EventColumns().action) {  // asked for by name
    absl::StatusOr<size_t> column =
        reader.Column(columns.action, "--action-column");
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

absl::Status EventCsv::Bad(absl::string_view column, absl::string_view value,
                           absl::string_view problem) const {
  return absl::InvalidArgumentError(
      absl::StrCat(reader_->Position(), ": ", column, " \"",
                   ShownText(value), "\" ", problem));
}

absl::Status EventCsv::ReadFeatures(v1::Event& event) const {
  for (size_t i = 0; i < features_.size(); ++i) {
    const std::string& text = fields_[features_[i]];
    float value = 0;
    if (!IsDecimal(text) || !absl::SimpleAtof(text, &value) ||
        !std::isfinite(value)) {
      return Bad(columns_.features[i], text,
                 HasDecimalComma(text)
                     ? "is not a finite number: write a point for the comma"
                     : "is not a finite number");
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
