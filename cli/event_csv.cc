#include "cli/event_csv.h"

#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/decimal.h"
#include "cli/shown_text.h"

namespace qlarank {
absl::StatusOr<EventCsv> EventCsv::Open(CsvReader& reader,
                                        const EventColumns& columns,
                                        TimeUnit unit) {
  if (absl::Status s = reader.ReadHeader(); !s.ok()) return s;
  EventCsv csv(reader, columns, unit);
  for (auto [name, option, index] :
       {std::tuple{&columns.user, "--user-column", &csv.user_},
        std::tuple{&columns.item.name, "--item-column", &csv.item_},
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
  for (auto [names, at] :
       {std::pair{&columns.features, &csv.features_},
        std::pair{&columns.context, &csv.context_at_},
        std::pair{&columns.candidate_features, &csv.candidate_features_at_},
        std::pair{&columns.labels, &csv.labels_at_}}) {
    for (const std::string& name : *names) {
      absl::StatusOr<size_t> column = reader.Column(name);
      if (!column.ok()) return column.status();
      at->push_back(*column);
    }
  }
  for (auto [categories, at] :
       {std::pair{&columns.categories, &csv.categories_at_},
        std::pair{&columns.candidate_categories,
                  &csv.candidate_categories_at_}}) {
    for (const CategoryColumn& category : *categories) {
      absl::StatusOr<size_t> column = reader.Column(category.name);
      if (!column.ok()) return column.status();
      at->push_back(*column);
    }
  }
  return csv;
}

absl::Status EventCsv::Bad(absl::string_view column, absl::string_view value,
                           absl::string_view problem) const {
  return absl::InvalidArgumentError(
      absl::StrCat(reader_->Position(), ": ", column, " \"",
                   ShownText(value), "\" ", problem));
}

absl::StatusOr<float> EventCsv::ReadNumber(size_t column,
                                           const std::string& name) const {
  absl::StatusOr<float> value = ParseFinite(fields_[column]);
  if (value.ok()) return value;
  return Bad(name, fields_[column], value.status().message());
}

absl::Status EventCsv::ReadFeatures(v1::Event& event) {
  for (size_t i = 0; i < features_.size(); ++i) {
    absl::StatusOr<float> value =
        ReadNumber(features_[i], columns_.features[i]);
    if (!value.ok()) return value.status();
    event.add_features(*value);
  }
  candidate_features_.clear();
  for (size_t i = 0; i < candidate_features_at_.size(); ++i) {
    absl::StatusOr<float> value = ReadNumber(candidate_features_at_[i],
                                             columns_.candidate_features[i]);
    if (!value.ok()) return value.status();
    candidate_features_.push_back(*value);
  }
  for (size_t i = 0; i < categories_at_.size(); ++i) {
    *event.add_categories() =
        ReadCategory(columns_.categories[i], categories_at_[i]);
  }
  candidate_categories_.clear();
  for (size_t i = 0; i < candidate_categories_at_.size(); ++i) {
    candidate_categories_.push_back(ReadCategory(
        columns_.candidate_categories[i], candidate_categories_at_[i]));
  }
  return absl::OkStatus();
}

v1::CategoryValues EventCsv::ReadCategory(const CategoryColumn& column,
                                          size_t at) const {
  v1::CategoryValues category;
  category.set_name(column.name);
  AddValues(fields_[at], column, *category.mutable_values());
  return category;
}

absl::Status EventCsv::ReadLabels() {
  labels_.clear();
  for (size_t i = 0; i < labels_at_.size(); ++i) {
    const std::string& text = fields_[labels_at_[i]];
    if (text.empty()) {
      labels_.push_back(std::nullopt);
    } else if (text == "0" || text == "1") {
      labels_.push_back(text == "1");
    } else {
      return Bad(columns_.labels[i], text, "is not 0, 1 or nothing");
    }
  }
  return absl::OkStatus();
}

absl::Status EventCsv::CheckUtf8(const std::string& column, size_t at) const {
  if (IsUtf8(fields_[at])) return absl::OkStatus();
  return Bad(column, fields_[at],
             "is not UTF-8 (iconv -f latin1 -t utf8, if it is Latin-1)");
}

absl::Status EventCsv::CheckTexts() const {
  absl::Status status = CheckUtf8(columns_.user, user_);
  if (action_) status.Update(CheckUtf8(columns_.action, *action_));
  for (size_t i = 0; i < context_at_.size(); ++i) {
    status.Update(CheckUtf8(columns_.context[i], context_at_[i]));
  }
  for (size_t i = 0; i < categories_at_.size(); ++i) {
    status.Update(CheckUtf8(columns_.categories[i].name, categories_at_[i]));
  }
  for (size_t i = 0; i < candidate_categories_at_.size(); ++i) {
    status.Update(CheckUtf8(columns_.candidate_categories[i].name,
                            candidate_categories_at_[i]));
  }
  return status;
}

absl::StatusOr<bool> EventCsv::Read(v1::UserEvent& event) {
  absl::StatusOr<bool> read = reader_->ReadRow(fields_);
  if (!read.ok() || !*read) return read;
  event.Clear();
  if (fields_[user_].empty()) return Bad(columns_.user, "", "is empty");
  if (absl::Status s = CheckTexts(); !s.ok()) return s;
  event.set_user_id(fields_[user_]);
  absl::StatusOr<uint64_t> item = ParseItem(fields_[item_], columns_.item.keys);
  if (!item.ok()) {
    return Bad(columns_.item.name, fields_[item_], item.status().message());
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
  if (absl::Status s = ReadLabels(); !s.ok()) return s;
  event.set_sequence(reader_->line());
  context_.clear();
  for (size_t i = 0; i < context_at_.size(); ++i) {
    context_[columns_.context[i]] = fields_[context_at_[i]];
  }
  return true;
}

}  // namespace qlarank
