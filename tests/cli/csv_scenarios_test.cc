// tests/csv_scenarios/ by the command line's reader, which goes on after an
// error: all errors of a file and all of its other events.
#include <fstream>
#include <ostream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/csv_reader.h"
#include "cli/event_csv.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

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

json ToJson(const v1::UserEvent& event) {
  const auto& time = event.event().time();
  return {event.user_id(), event.event().item_id(), event.event().action(),
          time.seconds() * 1'000'000 + time.nanos() / 1'000, event.sequence()};
}

struct Outcome {
  json events = json::array();
  std::vector<std::string> errors;
};

Outcome ReadAll(const std::string& text, TimeUnit unit) {
  Outcome outcome;
  std::istringstream input(text);
  CsvReader reader(input, "events.csv");
  absl::StatusOr<EventCsv> csv = EventCsv::Open(reader, {}, unit);
  if (!csv.ok()) {
    outcome.errors.emplace_back(csv.status().message());
    return outcome;
  }
  v1::UserEvent event;
  for (;;) {
    absl::StatusOr<bool> read = csv->Read(event);
    if (!read.ok()) {
      outcome.errors.emplace_back(read.status().message());
    } else if (*read) {
      outcome.events.push_back(ToJson(event));
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
  const Outcome outcome =
      ReadAll(Bytes(scenario["text"].get<std::string>()), *unit);
  EXPECT_EQ(outcome.events, scenario["events"]);
  const json errors = scenario.value("errors", json::array());
  ASSERT_EQ(outcome.errors.size(), errors.size())
      << testing::PrintToString(outcome.errors);
  for (size_t i = 0; i < errors.size(); ++i) {
    const int line = errors[i][0];
    EXPECT_THAT(outcome.errors[i],
                testing::StartsWith(line == 0
                                        ? "events.csv: "
                                        : absl::StrCat("events.csv:", line)));
    EXPECT_THAT(outcome.errors[i],
                testing::HasSubstr(errors[i][1].get<std::string>()));
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, CsvScenariosTest,
    testing::ValuesIn(Scenarios().get<std::vector<json>>()),
    [](const auto& info) {
      return info.param["name"].template get<std::string>();
    });

}  // namespace
}  // namespace qlarank
