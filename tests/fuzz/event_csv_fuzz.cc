// Any text read as a CSV file of events gives events or errors that name the
// line, comes to an end, and never gives two events one sequence. The first
// byte chooses how time is written and whether there are features.
#include <algorithm>
#include <sstream>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "cli/csv_reader.h"
#include "cli/event_csv.h"
#include "tests/fuzz/fuzz_target.h"

namespace qlarank::fuzz {
namespace {

void CheckProblem(const absl::Status& status) {
  Check(absl::IsInvalidArgument(status) &&
            absl::StartsWith(status.message(), "FILE:"),
        "a bad line is refused by its number");
}

void ReadAll(absl::string_view text, const EventColumns& columns,
             TimeUnit unit) {
  std::istringstream input{std::string(text)};
  CsvReader reader(input, "FILE");
  absl::StatusOr<EventCsv> csv = EventCsv::Open(reader, columns, unit);
  if (!csv.ok()) return CheckProblem(csv.status());
  uint64_t sequence = 0;
  v1::UserEvent event;
  for (size_t reads = 0;; ++reads) {
    // A row takes a byte at least.
    Check(reads <= text.size() + 1, "a file comes to an end");
    const absl::StatusOr<bool> read = csv->Read(event);
    if (!read.ok()) {
      CheckProblem(read.status());
      continue;
    }
    if (!*read) break;
    Check(event.sequence() > sequence, "every event has its own sequence");
    Check(!event.user_id().empty(), "an event is somebody's");
    sequence = event.sequence();
  }
}

// Whatever is written as a field is read as the same, within a row's bounds.
void WriteAndRead(absl::string_view text) {
  const auto lines = std::count(text.begin(), text.end(), '\n');
  if (absl::StrContains(text, '\0') ||
      lines >= static_cast<ptrdiff_t>(CsvReader::kMaxRowLines) - 1 ||
      2 * text.size() >= CsvReader::kMaxRowBytes) {
    return;
  }
  std::istringstream input("a\n" + CsvField(text) + "\n");
  CsvReader reader(input, "FILE");
  std::vector<std::string> row;
  Check(reader.ReadHeader().ok(), "a header is read");
  const auto read = reader.ReadRow(row);
  Check(read.ok() && *read && row.size() == 1 && row[0] == text,
        "a field that is written is read");
}

}  // namespace

std::vector<std::string> Seeds() {
  return {std::string(1, '\0') +
              "user,item,action,time\nu,1,buy,1700000000\nu,2,,-1.5\n",
          "\7user,item,action,time,price\r\n"
          "\"a\"\"b,\nc\",18446744073709551615,view,"
          "2023-11-14T22:13:20.5Z,1e9\r\n",
          "\1time,user,item\n1700000000000,u,3\n",
          // A carriage return alone, and quotes that are not closed.
          std::string(1, '\0') + "user,item,time\nu,1,2\ru,2,3\nu,3,4\n",
          std::string(1, '\0') + "user,item,time\nu,1,\"2\nu,2,3\n",
          // Dates that are written otherwise, and a byte order mark.
          "\3\xEF\xBB\xBF\"user\",item,time\nu,1,13.02.2017 10:00:05.5\n"
          "u,2,1/2/2017\nu,3,2017-01-02T3:04\n",
          // Rows that another's quote would swallow, and one of two lines.
          std::string(1, '\0') +
              "t,user,item,time\n\"a,u,1,2\nb,u,2,3\n\"c\nd\",u,3,4\n"
              "e\",u,4,5\n"};
}

}  // namespace qlarank::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace fuzz = qlarank::fuzz;
  if (size == 0) return 0;
  qlarank::EventColumns columns;
  if (data[0] & 4) columns.features = {"price"};
  const absl::string_view text = fuzz::AsText(data + 1, size - 1);
  fuzz::ReadAll(text, columns, static_cast<qlarank::TimeUnit>(data[0] & 3));
  fuzz::WriteAndRead(text);
  return 0;
}
