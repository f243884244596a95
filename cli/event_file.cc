#include "cli/event_file.h"

#include <memory>

#include "cli/csv_reader.h"
#include "cli/input_file.h"

namespace qlarank {

void AddEventFormatOptions(CLI::App* app, EventFormat& format) {
  app->add_option("--time-unit", format.time_unit,
                  "How time is written: s, ms, us (since 1970), or rfc3339 "
                  "for 2017-11-20T18:03:00Z")
      ->capture_default_str();
  app->add_option("--user-column", format.columns.user)->capture_default_str();
  app->add_option("--item-column", format.columns.item.name)->capture_default_str();
  AddItemKeysOption(app, format.columns.item.keys);
  app->add_option("--action-column", format.columns.action)
      ->capture_default_str();
  app->add_option("--time-column", format.columns.time)->capture_default_str();
  app->add_option("--feature-columns", format.columns.features,
                  "Numbers that come with an event: the model's event "
                  "features, in its order, separated by commas")
      ->delimiter(',');
  app->add_option_function<std::vector<std::string>>(
         "--category-column",
         [&format](const std::vector<std::string>& columns) {
           for (const std::string& column : columns) {
             format.columns.categories.push_back(ParseCategoryColumn(column));
           }
         },
         "Texts that come with an event: one of the model's event categories, "
         "such as device; or tags=| for several values in a cell with | "
         "between them. May be repeated")
      ->type_name("NAME[=SEPARATOR]")
      ->allow_extra_args(false);
}

absl::Status ForEachEvent(const std::string& path, const EventFormat& format,
                          absl::FunctionRef<void(v1::UserEvent&)> take) {
  return ForEachEventInContext(
      path, format,
      [&](v1::UserEvent& event, const EventCsv&) { take(event); });
}

absl::Status ForEachEventInContext(
    const std::string& path, const EventFormat& format,
    absl::FunctionRef<void(v1::UserEvent&, const EventCsv&)> take) {
  absl::StatusOr<TimeUnit> unit = ParseTimeUnit(format.time_unit);
  if (!unit.ok()) return unit.status();
  absl::StatusOr<std::unique_ptr<InputFile>> file = InputFile::Open(path);
  if (!file.ok()) return file.status();
  CsvReader reader((*file)->stream(), path);
  absl::StatusOr<EventCsv> csv = EventCsv::Open(reader, format.columns, *unit);
  if (absl::Status s = (*file)->status(); !s.ok()) return s;
  if (!csv.ok()) return csv.status();
  v1::UserEvent event;
  for (;;) {
    absl::StatusOr<bool> read = csv->Read(event);
    if (absl::Status s = (*file)->status(); !s.ok()) return s;
    if (!read.ok()) return read.status();
    if (!*read) return absl::OkStatus();
    take(event, *csv);
  }
}

absl::StatusOr<LastEvents> FindLastEvents(const std::string& path,
                                          const EventFormat& format) {
  LastEvents last;
  absl::Status status =
      ForEachEvent(path, format, [&](const v1::UserEvent& event) {
        const LastEvent found{ToAbslTime(event.event().time()),
                              event.sequence()};
        auto [known, first] = last.try_emplace(event.user_id(), found);
        if (!first && found.time >= known->second.time) known->second = found;
      });
  if (!status.ok()) return status;
  return last;
}

bool IsLastEvent(const LastEvents& last, const v1::UserEvent& event) {
  auto found = last.find(event.user_id());
  return found != last.end() && found->second.sequence == event.sequence();
}

}  // namespace qlarank
