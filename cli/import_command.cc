// qlarank import: a CSV file of events into the server's log.
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/command.h"
#include "cli/csv_reader.h"
#include "cli/event_csv.h"
#include "cli/event_file.h"
#include "cli/event_stream.h"
#include "cli/progress.h"
#include "nlohmann/json.hpp"

namespace qlarank {
namespace {

struct ImportOptions {
  std::string file;
  std::string source;
  EventFormat format;
  bool leave_last_out = false;
  bool skip_invalid = false;
  size_t batch_events = 1'000;
  size_t lanes = 4;
  double retry_for_s = 30;
};

constexpr uint64_t kMaxSkippedShown = 10;

class Import {
 public:
  Import(CommandContext& context, const ImportOptions& options)
      : context_(context),
        options_(options),
        client_(context.Connect()),
        progress_(context.err,
                  {.terminal = context.err_is_terminal && !context.json,
                   .label = "importing",
                   .unit = "events"}) {}

  absl::StatusOr<ExitCode> Run();

 private:
  absl::Status OpenInput();
  absl::Status SendAll(EventCsv& csv, EventStream& stream,
                       const CsvReader& reader);
  EventStream::Options StreamOptions();
  void Skip(absl::string_view message);
  void Report(const EventStream& stream) const;

  CommandContext& context_;
  const ImportOptions& options_;
  Client client_;
  Progress progress_;
  std::ifstream file_;
  std::istream* input_ = &std::cin;
  std::string name_ = "stdin";
  std::string source_;
  std::optional<uint64_t> size_bytes_;
  LastEvents last_events_;  // empty unless they are to be left out
  uint64_t invalid_lines_ = 0;
  uint64_t skipped_ = 0;
  uint64_t left_out_ = 0;
};

absl::Status Import::OpenInput() {
  source_ = options_.source;
  if (options_.file == "-") {
    if (source_.empty()) {
      return absl::InvalidArgumentError(
          "--source is needed with standard input: it tells which events have "
          "been imported before");
    }
    if (options_.leave_last_out) {
      return absl::InvalidArgumentError(
          "--leave-last-out needs a file: standard input cannot be read twice");
    }
    return absl::OkStatus();
  }
  std::filesystem::path path(options_.file);
  name_ = path.filename().string();
  if (source_.empty()) source_ = name_;
  file_.open(path);
  std::error_code error;
  if (!file_ || std::filesystem::is_directory(path, error)) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot read ", options_.file));
  }
  if (std::filesystem::is_regular_file(path, error)) {
    size_bytes_ = std::filesystem::file_size(path, error);
  }
  if (options_.leave_last_out) {
    absl::StatusOr<LastEvents> last =
        FindLastEvents(options_.file, options_.format);
    if (!last.ok()) return last.status();
    last_events_ = *std::move(last);
  }
  input_ = &file_;
  return absl::OkStatus();
}

void Import::Skip(absl::string_view message) {
  ++skipped_;
  if (skipped_ > kMaxSkippedShown) return;
  progress_.Clear();
  context_.err << "skipped: " << message << "\n";
  if (skipped_ == kMaxSkippedShown) {
    context_.err << "further ones are counted, not shown\n";
  }
}

EventStream::Options Import::StreamOptions() {
  EventStream::Options stream{.source = source_,
                              .batch_events = options_.batch_events,
                              .lanes = options_.lanes,
                              .retry_for = absl::Seconds(options_.retry_for_s),
                              .skip_invalid = options_.skip_invalid};
  stream.on_skipped = [this](const v1::UserEvent& event,
                             const absl::Status& refusal) {
    Skip(absl::StrCat(name_, ":", event.sequence(), ": ", refusal.message()));
  };
  stream.on_retry = [this](const absl::Status& reason, absl::Duration pause) {
    progress_.Clear();
    context_.err << reason.message() << "; sending again in "
                 << absl::FormatDuration(pause) << "\n";
  };
  return stream;
}

absl::Status Import::SendAll(EventCsv& csv, EventStream& stream,
                             const CsvReader& reader) {
  v1::UserEvent event;
  uint64_t count = 0;
  for (;;) {
    absl::StatusOr<bool> read = csv.Read(event);
    if (absl::IsInvalidArgument(read.status()) && options_.skip_invalid) {
      ++invalid_lines_;
      Skip(read.status().message());
      continue;
    }
    if (!read.ok()) return read.status();
    if (!*read) return stream.Finish();
    if (IsLastEvent(last_events_, event)) {
      ++left_out_;
      continue;
    }
    if (absl::Status s = stream.Add(std::move(event)); !s.ok()) return s;
    if (++count % 256 == 0) {
      std::optional<double> fraction;
      if (size_bytes_) {
        fraction = static_cast<double>(reader.bytes_read()) / *size_bytes_;
      }
      progress_.Update(fraction, count);
    }
  }
}

void Import::Report(const EventStream& stream) const {
  const EventStream::Totals& totals = stream.totals();
  uint64_t skipped = totals.skipped + invalid_lines_;
  double seconds = absl::ToDoubleSeconds(progress_.elapsed());
  double rate = static_cast<double>(totals.acknowledged()) / seconds;
  if (context_.json) {
    context_.out << nlohmann::json{{"source", source_},
                                   {"applied", totals.applied},
                                   {"duplicates", totals.duplicates},
                                   {"skipped", skipped},
                                   {"left_out", left_out_},
                                   {"resent_batches", totals.resent_batches},
                                   {"seconds", seconds},
                                   {"events_per_second", rate}}
                        .dump()
                 << "\n";
    return;
  }
  context_.out << absl::StreamFormat("%s: %s applied, %s duplicates", source_,
                                     WithCommas(totals.applied),
                                     WithCommas(totals.duplicates));
  if (skipped > 0) context_.out << ", " << WithCommas(skipped) << " skipped";
  if (left_out_ > 0)
    context_.out << ", " << WithCommas(left_out_) << " left out";
  context_.out << absl::StreamFormat(", %.1f s, %s events/s\n", seconds,
                                     WithCommas(static_cast<uint64_t>(rate)));
}

absl::StatusOr<ExitCode> Import::Run() {
  if (absl::Status s = OpenInput(); !s.ok()) return s;
  absl::StatusOr<TimeUnit> unit = ParseTimeUnit(options_.format.time_unit);
  if (!unit.ok()) return unit.status();
  CsvReader reader(*input_, name_);
  absl::StatusOr<EventCsv> csv =
      EventCsv::Open(reader, options_.format.columns, *unit);
  if (!csv.ok()) return csv.status();

  EventStream stream(client_, StreamOptions());
  absl::Status sent = SendAll(*csv, stream, reader);
  progress_.Clear();
  if (!sent.ok()) {
    context_.err << WithCommas(stream.totals().acknowledged())
                 << " events are durable; running the import again goes on "
                    "from there\n";
    if (absl::IsInvalidArgument(sent)) {
      context_.err << "correct the line or empty it, so that the others keep "
                      "their numbers; or --skip-invalid\n";
    }
    return sent;
  }
  Report(stream);
  return ExitCode::kOk;
}

}  // namespace

void AddImportCommand(CommandSet& commands) {
  auto options = std::make_shared<ImportOptions>();
  CommandContext& context = commands.context();
  CLI::App* app = commands.Add(
      "import", "Import events from a CSV file; again changes nothing",
      [options, &context] { return Import(context, *options).Run(); });
  app->add_option("file", options->file, "CSV with a header, or - for stdin")
      ->required();
  app->add_option("--source", options->source,
                  "Who numbers the events: an event is known by source and "
                  "line, so a file that changed (other than by growing) needs "
                  "another source. Default: the file's name");
  AddEventFormatOptions(app, options->format);
  app->add_flag("--skip-invalid", options->skip_invalid,
                "Count bad lines and go on, instead of stopping at the first");
  app->add_flag("--leave-last-out", options->leave_last_out,
                "Keep back every user's last event of the file, as evaluate "
                "--leave-last-out asks about it")
      ->excludes("--skip-invalid");
  app->add_option("--batch", options->batch_events, "Events in a batch")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app->add_option("--lanes", options->lanes,
                  "Batches in flight; a user's are always sent in turn")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app->add_option("--retry-for", options->retry_for_s,
                  "Seconds without an acknowledgement before giving up")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
}

}  // namespace qlarank
