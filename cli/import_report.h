// What an import came to, and what its user should know or do.
#ifndef QLARANK_CLI_IMPORT_REPORT_H_
#define QLARANK_CLI_IMPORT_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "cli/command.h"
#include "cli/event_stream.h"
#include "cli/late_events.h"

namespace qlarank {

struct ImportResult {
  uint64_t refused() const { return invalid_lines + totals.refused; }
  // Then it was probably read with the wrong options, and the right ones must
  // not find it imported.
  bool MostWereRefused() const { return refused() > totals.acknowledged(); }
  bool MostWereDuplicates() const {
    return !marked_before && totals.duplicates > totals.applied;
  }

  std::string name = "stdin";  // or the file's
  std::string source;  // empty when there was no event yet
  // Whether an import had marked the source before.
  bool marked_before = false;
  EventStream::Totals totals;
  uint64_t events = 0;           // read, or sent when they were sorted
  uint64_t imported_before = 0;  // and not sent
  uint64_t invalid_lines = 0;
  uint64_t left_out = 0;
  LateEvents late;
  std::string refused_file;  // where they are, if any were refused
  std::optional<uint64_t> unfinished_line;
  absl::Duration elapsed;
};

// One line, or one JSON object with --json, and explanations on stderr.
// Returns how the command ends: kNegative when something of the file is not in,
// or most of it was something else's duplicates. `skip_invalid`: refused lines
// are none of that unless most were.
ExitCode ReportImport(const ImportResult& result, bool skip_invalid,
                      CommandContext& context);

}  // namespace qlarank

#endif  // QLARANK_CLI_IMPORT_REPORT_H_
