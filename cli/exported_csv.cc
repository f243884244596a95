#include "cli/exported_csv.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "cli/csv_reader.h"

namespace qlarank {
namespace {

// Quoted where it has to be.
std::string Cell(absl::string_view text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return c != ',' && c != '"' && static_cast<unsigned char>(c) > ' ';
  });
  return plain ? std::string(text) : CsvField(text);
}

// Seconds, with as many digits of a fraction as it has.
void AppendTime(const google::protobuf::Timestamp& time, std::string& csv) {
  int64_t micros = time.seconds() * 1'000'000 + time.nanos() / 1'000;
  if (micros < 0) csv.push_back('-');
  micros = std::abs(micros);
  absl::StrAppend(&csv, micros / 1'000'000);
  if (micros % 1'000'000 == 0) return;
  absl::StrAppendFormat(&csv, ".%06d", micros % 1'000'000);
  csv.erase(csv.find_last_not_of('0') + 1);
}

// The shortest text that is read as the same number.
void AppendNumber(float value, std::string& csv) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof(text), value).ptr;
  csv.append(text, end);
}

}  // namespace

std::string ExportHeader(const std::vector<std::string>& event_features) {
  std::string header = "user,item,action,time";
  for (const std::string& name : event_features) {
    absl::StrAppend(&header, ",", Cell(name));
  }
  return header + "\n";
}

void AppendExported(const v1::ExportedUser& user, std::string& csv) {
  const std::string user_cell = Cell(user.user_id());
  for (const v1::ExportedEvent& exported : user.events()) {
    const v1::Event& event = exported.event();
    absl::StrAppend(&csv, user_cell, ",", event.item_id(), ",",
                    Cell(event.action()), ",");
    AppendTime(event.time(), csv);
    for (const float value : event.features()) {
      csv.push_back(',');
      AppendNumber(value, csv);
    }
    csv.push_back('\n');
  }
}

}  // namespace qlarank
