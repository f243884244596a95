#include "cli/import_report.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "cli/progress.h"
#include "nlohmann/json.hpp"

namespace qlarank {
namespace {

double EventsPerSecond(const ImportResult& result) {
  return static_cast<double>(result.events) /
         absl::ToDoubleSeconds(result.elapsed);
}

void WriteJson(const ImportResult& result, CommandContext& context) {
  nlohmann::json json{{"source", result.source},
                      {"applied", result.totals.applied},
                      {"duplicates", result.totals.duplicates},
                      {"imported_before", result.imported_before},
                      {"refused", result.refused()},
                      {"left_out", result.left_out},
                      {"late", result.late.late()},
                      {"resent_batches", result.totals.resent_batches},
                      {"seconds", absl::ToDoubleSeconds(result.elapsed)},
                      {"events_per_second", EventsPerSecond(result)}};
  if (result.refused() > 0) json["refused_file"] = result.refused_file;
  if (result.unfinished_line) json["unfinished_line"] = *result.unfinished_line;
  context.out << json.dump() << "\n";
}

void WriteLine(const ImportResult& result, CommandContext& context) {
  context.out << (result.source.empty() ? result.name : result.source) << ": "
              << WithCommas(result.totals.applied) << " applied, "
              << WithCommas(result.totals.duplicates) << " duplicates";
  for (auto [count, what] :
       {std::pair{result.imported_before, " imported before"},
        std::pair{result.refused(), " refused"},
        std::pair{result.left_out, " left out"}}) {
    if (count > 0) context.out << ", " << WithCommas(count) << what;
  }
  context.out << absl::StreamFormat(
      ", %.1f s, %s events/s\n", absl::ToDoubleSeconds(result.elapsed),
      WithCommas(static_cast<uint64_t>(EventsPerSecond(result))));
}

void ExplainLateEvents(const LateEvents& late, CommandContext& context) {
  if (late.late() == 0 || late.late() * 100 < late.events()) return;
  context.err << absl::StreamFormat(
      "%s of %s events (%.0f %%) came after a later one of their user. Events "
      "are folded as they come, so states are others than those in order of "
      "time: --sort imports a file so, --sort-within what is nearly in order, "
      "into a store that does not have it yet\n",
      WithCommas(late.late()), WithCommas(late.events()),
      100.0 * static_cast<double>(late.late()) /
          static_cast<double>(late.events()));
}

void Explain(const ImportResult& result, CommandContext& context) {
  if (result.refused() > 0) {
    context.err << WithCommas(result.refused()) << " refused: they are in "
                << result.refused_file
                << ", each behind its reason. Correct them there, not here, "
                   "and import that file\n";
  }
  if (result.MostWereRefused()) {
    context.err << "most were refused, so the source is not marked as "
                   "imported: if an option was wrong, such as --time-unit, "
                   "import it again with the right one instead\n";
  }
  if (result.unfinished_line) {
    context.err << result.name << ":" << *result.unfinished_line
                << ": the file ends inside of this line: it is left for the "
                   "next import, in case it is still being written (--final "
                   "takes it as it stands)\n";
  }
  if (result.MostWereDuplicates()) {
    context.err << "most were duplicates, although no import has marked the "
                   "source "
                << result.source
                << ": if something else than this file was sent under that "
                   "name, events of it were dropped; give it another "
                   "--source\n";
  }
  ExplainLateEvents(result.late, context);
}

}  // namespace

ExitCode ReportImport(const ImportResult& result, bool skip_invalid,
                      CommandContext& context) {
  if (context.json) {
    WriteJson(result, context);
  } else {
    WriteLine(result, context);
  }
  Explain(result, context);
  if (result.MostWereDuplicates()) return ExitCode::kNegative;
  const uint64_t good = result.totals.acknowledged() + result.imported_before;
  const bool complete = result.refused() == 0 && !result.unfinished_line;
  return complete || (skip_invalid && result.refused() <= good)
             ? ExitCode::kOk
             : ExitCode::kNegative;
}

}  // namespace qlarank
