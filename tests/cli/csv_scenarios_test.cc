// tests/csv_scenarios/ by the command line's reader, which goes on after an
// error: all errors of a file and all of its other events.
#include <fstream>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "cli/csv_reader.h"
#include "cli/event_csv.h"
#include "cli/input_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/cli/run_cli.h"

namespace qlarank {
namespace {

using nlohmann::json;

// The bytes whose values are the text's characters.
std::string Bytes(const std::string& utf8) {
  std::string bytes;
  for (size_t i = 0; i < utf8.size(); ++i) {
    const auto first = static_cast<unsigned char>(utf8[i]);
    if (first < 0x80) {
      bytes.push_back(utf8[i]);
    } else {  // up to U+00FF: two bytes
      bytes.push_back(static_cast<char>(first << 6 | (utf8[++i] & 0x3F)));
    }
  }
  return bytes;
}

json Scenarios() {
  std::ifstream file(QLARANK_CSV_SCENARIOS);
  return json::parse(file);
}

json ToJson(const v1::UserEvent& event, const EventCsv& line) {
  const auto& time = event.event().time();
  json values{event.user_id(), event.event().item_id(), event.event().action(),
              time.seconds() * 1'000'000 + time.nanos() / 1'000,
              event.sequence()};
  const auto& features = event.event().features();
  if (!features.empty()) values.push_back(json(features));
  json labels = json::array();
  for (const std::optional<bool>& label : line.labels()) {
    labels.push_back(label ? json(*label ? 1 : 0) : json());
  }
  if (!labels.empty()) values.push_back(labels);
  return values;
}

// A message of the table, with the command line's names of options.
std::string AsTheCommandLineSays(const std::string& message) {
  return absl::StrReplaceAll(message, {{"{time_unit s}", "--time-unit s"},
                                       {"{time_unit ms}", "--time-unit ms"},
                                       {"{time_unit us}", "--time-unit us"},
                                       {"{time_unit rfc3339}",
                                        "--time-unit rfc3339"},
                                       {"{item_keys text}", "--item-keys text"},
                                       {"{user_column}", "--user-column"},
                                       {"{time_column}", "--time-column"}});
}

struct Outcome {
  json events = json::array();
  std::vector<std::string> errors;  // with their places
};

Outcome ReadAll(const std::string& path, const EventColumns& columns,
                TimeUnit unit) {
  Outcome outcome;
  absl::StatusOr<std::unique_ptr<InputFile>> file = InputFile::Open(path);
  if (!file.ok()) return {{}, {std::string(file.status().message())}};
  CsvReader reader((*file)->stream(), path);
  // What is wrong with the file, rather than with what was read of it.
  const auto add_error = [&](const absl::Status& read) {
    const absl::Status whole = (*file)->status();
    outcome.errors.emplace_back((whole.ok() ? read : whole).message());
    return whole.ok();
  };
  absl::StatusOr<EventCsv> csv = EventCsv::Open(reader, columns, unit);
  if (!csv.ok()) {
    add_error(csv.status());
    return outcome;
  }
  v1::UserEvent event;
  for (;;) {
    absl::StatusOr<bool> read = csv->Read(event);
    if (!read.ok()) {
      if (!add_error(read.status())) return outcome;
    } else if (*read) {
      outcome.events.push_back(ToJson(event, *csv));
    } else {
      return outcome;
    }
  }
}

class CsvScenariosTest : public testing::TestWithParam<json> {};

TEST_P(CsvScenariosTest, IsReadAsWritten) {
  const json& scenario = GetParam();
  absl::StatusOr<TimeUnit> unit =
      ParseTimeUnit(scenario.value("time_unit", "s"));
  ASSERT_TRUE(unit.ok());
  EventColumns columns;
  if (scenario.value("item_keys", "number") == "text") {
    columns.item.keys = ItemKeys::kTexts;
  }
  columns.features = scenario.value("features", std::vector<std::string>());
  columns.labels = scenario.value("labels", std::vector<std::string>());
  const std::string path =
      WriteFile("events.csv", Bytes(scenario["text"].get<std::string>()));
  const Outcome outcome = ReadAll(path, columns, *unit);
  EXPECT_EQ(outcome.events, scenario["events"]);
  std::vector<std::string> errors;
  for (const json& error : scenario.value("errors", json::array())) {
    const std::string place =
        error[0] == 0 ? path : absl::StrCat(path, ":", error[0].get<int>());
    errors.push_back(absl::StrCat(
        place, ": ", AsTheCommandLineSays(error[1].get<std::string>())));
  }
  EXPECT_THAT(outcome.errors, testing::ElementsAreArray(errors));
}

INSTANTIATE_TEST_SUITE_P(
    All, CsvScenariosTest,
    testing::ValuesIn(Scenarios().get<std::vector<json>>()),
    [](const auto& info) {
      return info.param["name"].template get<std::string>();
    });

}  // namespace
}  // namespace qlarank
