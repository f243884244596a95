// qlarank import: a CSV file of events into the server's log.
//
// Takes what is good and writes the rest, with the reasons, to a file; what the
// source's mark says was imported before is not sent again.
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "cli/command.h"
#include "cli/csv_reader.h"
#include "cli/event_csv.h"
#include "cli/event_file.h"
#include "cli/event_stream.h"
#include "cli/import_source.h"
#include "cli/late_events.h"
#include "cli/option_checks.h"
#include "cli/progress.h"
#include "cli/refused_file.h"
#include "cli/time_order.h"
#include "nlohmann/json.hpp"

namespace qlarank {
namespace {

struct ImportOptions {
  std::string file;
  std::string source;
  EventFormat format;
  std::string refused;
  bool leave_last_out = false;
  bool skip_invalid = false;
  bool strict = false;
  bool final = false;
  bool sort = false;
  size_t batch_events = 1'000;
  size_t lanes = 4;
  double retry_for_s = 30;
};

constexpr uint64_t kMaxRefusalsShown = 10;

// A server's message without the path to the event: which one it is, the line
// says.
absl::string_view WithoutPath(absl::string_view message) {
  absl::string_view rest = message;
  if (!absl::ConsumePrefix(&rest, "events[")) return message;
  while (!rest.empty() && absl::ascii_isdigit(rest.front())) {
    rest.remove_prefix(1);
  }
  if (!absl::ConsumePrefix(&rest, "].")) return message;
  absl::ConsumePrefix(&rest, "event.");
  return rest;
}

class Import {
 public:
  Import(CommandContext& context, const ImportOptions& options)
      : context_(context),
        options_(options),
        client_(context.Connect()),
        marks_(client_, absl::Seconds(options.retry_for_s)),
        progress_(context.err,
                  {.terminal = context.err_is_terminal && !context.json,
                   .label = "importing",
                   .unit = "events"}) {}

  absl::StatusOr<ExitCode> Run();

 private:
  // Finds the file, its source and the source's mark.
  absl::Status Open();
  absl::Status OpenFile();
  EventStream::Options StreamOptions();
  absl::Status Send(TimeUnit unit);
  absl::Status SendInFileOrder(EventCsv& csv);
  absl::Status SendInTimeOrder(EventCsv& csv);
  absl::Status SendEvent(v1::UserEvent event);
  // Reads to the end of the file; `take` gets each event that is not known to
  // be imported.
  absl::Status ReadAll(EventCsv& csv,
                       absl::FunctionRef<absl::Status(v1::UserEvent&)> take);
  // Whether the row last read was imported before. INVALID_ARGUMENT when the
  // file is another one than that which was.
  absl::StatusOr<bool> WasImported();
  absl::Status Differs(absl::string_view how) const;
  absl::Status Mark(uint64_t complete_through);
  // Before the first event of a source is sent.
  absl::Status MarkBeginning();
  // One row that is not imported; what is returned ends the import.
  absl::Status Refuse(absl::string_view message, absl::string_view row);
  void UpdateProgress();
  ExitCode Finish();
  // Then it was probably read with the wrong options, and the right ones must
  // not find it imported: its source is not marked as complete.
  bool MostWereRefused() const;
  bool MostWereDuplicates() const;
  void Report() const;
  void ReportJson() const;
  void Explain() const;
  absl::Status ExplainFailure(const absl::Status& status) const;

  uint64_t refused() const {
    return invalid_lines_ + stream_->totals().refused;
  }

  CommandContext& context_;
  const ImportOptions& options_;
  Client client_;
  SourceMarks marks_;
  Progress progress_;
  std::ifstream file_;
  std::istream* input_ = &std::cin;
  std::string name_ = "stdin";
  std::string source_;
  std::optional<uint64_t> size_bytes_;
  std::optional<SourceMark> mark_;
  bool beginning_marked_ = false;
  LastEvents last_events_;  // empty unless they are to be left out
  std::optional<CsvReader> reader_;
  std::optional<EventStream> stream_;
  std::optional<RefusedFile> refused_file_;
  LateEvents late_;
  uint64_t imported_before_ = 0;
  uint64_t invalid_lines_ = 0;
  uint64_t refusals_shown_ = 0;
  uint64_t left_out_ = 0;
  uint64_t events_ = 0;
};

absl::Status Import::Open() {
  source_ = options_.source;
  std::error_code error;
  if (options_.file != "-") {
    if (absl::Status s = OpenFile(); !s.ok()) return s;
  } else if (options_.leave_last_out || options_.sort) {
    return absl::InvalidArgumentError(absl::StrCat(
        options_.sort ? "--sort" : "--leave-last-out",
        " needs a file: standard input cannot be read twice"));
  }
  if (source_.empty() && !size_bytes_) {
    return absl::InvalidArgumentError(
        "--source is needed with what can be read only once: it tells which "
        "events have been imported before");
  }
  if (source_.empty()) return absl::OkStatus();  // no event yet
  absl::StatusOr<std::optional<SourceMark>> mark = marks_.Get(source_);
  if (!mark.ok()) return mark.status();
  mark_ = *std::move(mark);
  if (mark_ && mark_->by_time != options_.sort) {
    return Differs(mark_->by_time ? "that was with --sort"
                                  : "that was without --sort");
  }
  return absl::OkStatus();
}

absl::Status Import::OpenFile() {
  const std::filesystem::path path(options_.file);
  name_ = path.filename().string();
  file_.open(path);
  std::error_code error;
  if (!file_ || std::filesystem::is_directory(path, error)) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot read ", options_.file));
  }
  input_ = &file_;
  if (!std::filesystem::is_regular_file(path, error)) return absl::OkStatus();
  size_bytes_ = std::filesystem::file_size(path, error);
  if (source_.empty()) {
    absl::StatusOr<std::string> source = SourceOfFile(options_.file);
    if (!source.ok()) return source.status();
    source_ = *std::move(source);
    if (options_.sort && !source_.empty()) source_ += ".by-time";
  }
  if (options_.leave_last_out) {
    absl::StatusOr<LastEvents> last =
        FindLastEvents(options_.file, options_.format);
    if (!last.ok()) return last.status();
    last_events_ = *std::move(last);
  }
  return absl::OkStatus();
}

absl::Status Import::Refuse(absl::string_view message, absl::string_view row) {
  if (options_.strict) return absl::InvalidArgumentError(message);
  if (++refusals_shown_ <= kMaxRefusalsShown) {
    progress_.Clear();
    context_.err << "refused: " << message << "\n";
    if (refusals_shown_ == kMaxRefusalsShown) {
      context_.err << "further ones are counted, not shown\n";
    }
  }
  return refused_file_->Add(message, row);
}

EventStream::Options Import::StreamOptions() {
  EventStream::Options stream{.source = source_,
                              .batch_events = options_.batch_events,
                              .lanes = options_.lanes,
                              .retry_for = absl::Seconds(options_.retry_for_s),
                              .stop_at_refused = options_.strict};
  stream.on_refused = [this](const EventStream::Item& item,
                             const absl::Status& refusal) {
    return Refuse(absl::StrCat(name_, ":", item.line, ": ",
                               WithoutPath(refusal.message())),
                  item.text);
  };
  stream.on_retry = [this](const absl::Status& reason, absl::Duration pause) {
    progress_.Clear();
    context_.err << reason.message() << "; sending again in "
                 << absl::FormatDuration(pause) << "\n";
  };
  return stream;
}

absl::Status Import::Differs(absl::string_view how) const {
  return absl::InvalidArgumentError(absl::StrCat(
      options_.file, " is not the file that was imported as ", source_, " at ",
      mark_->time, ": ", how,
      ". Nothing of it was sent. If it is another file, give it another "
      "--source; if lines were corrected in it, import them as a file of their "
      "own (what was refused is in a .refused.csv file: correct it there)"));
}

absl::StatusOr<bool> Import::WasImported() {
  if (!mark_) return false;
  // Of a sorted file all or nothing: it cannot grow.
  if (options_.sort) return mark_->complete_through > 1;
  const bool beyond = reader_->line() > mark_->complete_through;
  const FileDigest::Beginning beginning = reader_->digest().beginning();
  if (beginning == FileDigest::Beginning::kDiffers ||
      (beyond && beginning == FileDigest::Beginning::kNotReached)) {
    return Differs(
        absl::StrCat("its first ", mark_->bytes, " bytes are others"));
  }
  return !beyond;
}

absl::Status Import::Mark(uint64_t complete_through) {
  return marks_.Set(source_, {.complete_through = complete_through,
                              .bytes = reader_->digest().bytes(),
                              .digest = reader_->digest().Hex(),
                              .by_time = options_.sort});
}

absl::Status Import::MarkBeginning() {
  if (mark_ || beginning_marked_) return absl::OkStatus();
  beginning_marked_ = true;
  return Mark(1);
}

void Import::UpdateProgress() {
  if (++events_ % 256 != 0) return;
  std::optional<double> fraction;
  if (size_bytes_) {
    fraction = static_cast<double>(reader_->byte()) / *size_bytes_;
  }
  progress_.Update(fraction, events_);
}

absl::Status Import::ReadAll(
    EventCsv& csv, absl::FunctionRef<absl::Status(v1::UserEvent&)> take) {
  v1::UserEvent event;
  for (;;) {
    const absl::StatusOr<bool> read = csv.Read(event);
    if (read.ok() && !*read) break;
    if (!read.ok() && !absl::IsInvalidArgument(read.status())) {
      return read.status();
    }
    const absl::StatusOr<bool> imported = WasImported();
    if (!imported.ok()) return imported.status();
    if (!read.ok() && !*imported) {
      ++invalid_lines_;
      absl::Status s = Refuse(read.status().message(), reader_->row_text());
      if (!s.ok()) return s;
    }
    if (!read.ok()) continue;
    if (*imported) {
      ++imported_before_;
      late_.Add(event);
    } else if (absl::Status s = take(event); !s.ok()) {
      return s;
    }
    UpdateProgress();
  }
  if (mark_ &&
      reader_->digest().beginning() != FileDigest::Beginning::kSame) {
    return Differs(absl::StrCat("it has ", reader_->digest().bytes(),
                                " bytes, not ", mark_->bytes));
  }
  return absl::OkStatus();
}

absl::Status Import::SendEvent(v1::UserEvent event) {
  late_.Add(event);
  return stream_->Add(
      {std::move(event), reader_->line(), reader_->row_text()});
}

absl::Status Import::SendInFileOrder(EventCsv& csv) {
  absl::Status read = ReadAll(csv, [&](v1::UserEvent& event) -> absl::Status {
    if (absl::Status s = MarkBeginning(); !s.ok()) return s;
    if (IsLastEvent(last_events_, event)) {
      ++left_out_;
      return absl::OkStatus();
    }
    return SendEvent(std::move(event));
  });
  if (!read.ok()) return read;
  if (absl::Status s = stream_->Finish(); !s.ok()) return s;
  const uint64_t lines = reader_->lines_read();
  const bool known = mark_ && mark_->complete_through == lines;
  if (left_out_ > 0 || lines < 2 || known || MostWereRefused()) {
    return absl::OkStatus();
  }
  return Mark(lines);
}

// A sequence is the event's rank among those of the file, counted from 2 as
// lines are: 1 is the mark of the beginning.
absl::Status Import::SendInTimeOrder(EventCsv& csv) {
  TimeOrder order;
  absl::Status read = ReadAll(csv, [&](v1::UserEvent& event) -> absl::Status {
    return order.Add(event, *reader_);
  });
  if (!read.ok()) return read;
  if (mark_ && reader_->digest().bytes() != mark_->bytes) {
    return Differs("it has grown, and new lines would have other ranks: import "
                   "them as a file of their own");
  }
  if (order.size() == 0) return absl::OkStatus();
  // Of the whole file: reading on does not add to it.
  const SourceMark whole{.complete_through = order.size() + 1,
                         .bytes = reader_->digest().bytes(),
                         .digest = reader_->digest().Hex(),
                         .by_time = true};
  if (absl::Status s = MarkBeginning(); !s.ok()) return s;
  order.Sort();
  events_ = 0;
  v1::UserEvent event;
  for (size_t rank = 0; rank < order.size(); ++rank) {
    order.GoTo(rank, *reader_);
    const absl::StatusOr<bool> again = csv.Read(event);
    if (!again.ok() || !*again) {
      return absl::AbortedError(
          absl::StrCat(name_, " changed while it was read"));
    }
    event.set_sequence(rank + 2);
    if (absl::Status s = SendEvent(std::move(event)); !s.ok()) return s;
    UpdateProgress();
  }
  if (absl::Status s = stream_->Finish(); !s.ok()) return s;
  return MostWereRefused() ? absl::OkStatus() : marks_.Set(source_, whole);
}

absl::Status Import::Send(TimeUnit unit) {
  reader_.emplace(*input_, name_,
                  options_.final ? CsvReader::LastLine::kIsARow
                                 : CsvReader::LastLine::kIsUnfinished);
  if (mark_) reader_->digest().Expect(mark_->bytes, mark_->digest);
  absl::StatusOr<EventCsv> csv =
      EventCsv::Open(*reader_, options_.format.columns, unit);
  if (!csv.ok()) {
    return reader_->unfinished_line() ? absl::OkStatus() : csv.status();
  }
  refused_file_->SetHeader(reader_->row_text());
  return options_.sort ? SendInTimeOrder(*csv) : SendInFileOrder(*csv);
}

bool Import::MostWereRefused() const {
  return refused() > stream_->totals().acknowledged();
}

bool Import::MostWereDuplicates() const {
  const EventStream::Totals& totals = stream_->totals();
  return !mark_ && totals.duplicates > totals.applied;
}

void Import::ReportJson() const {
  const EventStream::Totals& totals = stream_->totals();
  const double seconds = absl::ToDoubleSeconds(progress_.elapsed());
  nlohmann::json json{
      {"source", source_},
      {"applied", totals.applied},
      {"duplicates", totals.duplicates},
      {"imported_before", imported_before_},
      {"refused", refused()},
      {"left_out", left_out_},
      {"late", late_.late()},
      {"resent_batches", totals.resent_batches},
      {"seconds", seconds},
      {"events_per_second", static_cast<double>(events_) / seconds}};
  if (refused() > 0) json["refused_file"] = refused_file_->path();
  if (reader_->unfinished_line()) {
    json["unfinished_line"] = *reader_->unfinished_line();
  }
  context_.out << json.dump() << "\n";
}

void Import::Report() const {
  if (context_.json) return ReportJson();
  const EventStream::Totals& totals = stream_->totals();
  const double seconds = absl::ToDoubleSeconds(progress_.elapsed());
  const double rate = static_cast<double>(events_) / seconds;
  context_.out << (source_.empty() ? name_ : source_) << ": "
               << WithCommas(totals.applied) << " applied, "
               << WithCommas(totals.duplicates) << " duplicates";
  for (auto [count, what] :
       {std::pair{imported_before_, " imported before"},
        std::pair{refused(), " refused"}, std::pair{left_out_, " left out"}}) {
    if (count > 0) context_.out << ", " << WithCommas(count) << what;
  }
  context_.out << absl::StreamFormat(", %.1f s, %s events/s\n", seconds,
                                     WithCommas(static_cast<uint64_t>(rate)));
}

// What the user should know or do.
void Import::Explain() const {
  if (refused() > 0) {
    context_.err << WithCommas(refused()) << " refused: they are in "
                 << refused_file_->path()
                 << ", each behind its reason. Correct them there, not here, "
                    "and import that file\n";
  }
  if (MostWereRefused()) {
    context_.err << "most were refused, so the source is not marked as "
                    "imported: if an option was wrong, such as --time-unit, "
                    "import it again with the right one instead\n";
  }
  if (reader_->unfinished_line()) {
    context_.err << name_ << ":" << *reader_->unfinished_line()
                 << ": the file ends inside of this line: it is left for the "
                    "next import, in case it is still being written (--final "
                    "takes it as it stands)\n";
  }
  if (MostWereDuplicates()) {
    context_.err << "most were duplicates, although no import has marked the "
                    "source "
                 << source_
                 << ": if something else than this file was sent under that "
                    "name, events of it were dropped; give it another "
                    "--source\n";
  }
  if (late_.late() * 100 >= late_.events() && late_.late() > 0) {
    context_.err << absl::StreamFormat(
        "%s of %s events (%.0f %%) came after a later one of their user. "
        "Events are folded as they come, so states are others than those of "
        "the file in order of time: --sort imports it so, into a store that "
        "does not have it yet\n",
        WithCommas(late_.late()), WithCommas(late_.events()),
        100.0 * static_cast<double>(late_.late()) /
            static_cast<double>(late_.events()));
  }
}

ExitCode Import::Finish() {
  Report();
  Explain();
  if (MostWereDuplicates()) return ExitCode::kNegative;
  const uint64_t good = stream_->totals().acknowledged() + imported_before_;
  const bool complete = refused() == 0 && !reader_->unfinished_line();
  if (complete || (options_.skip_invalid && refused() <= good)) {
    return ExitCode::kOk;
  }
  return ExitCode::kNegative;
}

// Of an import that did not come to its end.
absl::Status Import::ExplainFailure(const absl::Status& status) const {
  if (stream_->totals().acknowledged() > 0) {
    context_.err << WithCommas(stream_->totals().acknowledged())
                 << " events are durable; running the import again goes on "
                    "from there\n";
  }
  if (options_.strict && absl::IsInvalidArgument(status) &&
      (invalid_lines_ > 0 || stream_->refused())) {
    context_.err << "correct the line or empty it, so that the others keep "
                    "their numbers; without --strict it is written to a file "
                    "and the others are imported\n";
  }
  if (stream_->refused()) {
    return absl::Status(
        status.code(), absl::StrCat(name_, ":", stream_->refused()->line, ": ",
                                    WithoutPath(status.message())));
  }
  return status;
}

absl::StatusOr<ExitCode> Import::Run() {
  absl::StatusOr<TimeUnit> unit = ParseTimeUnit(options_.format.time_unit);
  if (!unit.ok()) return unit.status();
  if (absl::Status s = Open(); !s.ok()) return s;
  const std::string beside =
      options_.file == "-" ? options_.source : options_.file;
  refused_file_.emplace(options_.refused, beside);
  stream_.emplace(client_, StreamOptions());
  absl::Status sent = Send(*unit);
  sent.Update(refused_file_->Close());
  progress_.Clear();
  if (!sent.ok()) return ExplainFailure(sent);
  return Finish();
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
                  "line. Default: the file's name and a digest of its header "
                  "and first row")
      ->check(Utf8());
  AddEventFormatOptions(app, options->format);
  app->add_option("--refused", options->refused,
                  "Write what is refused to this file. Default: NAME.refused"
                  ".csv, beside the file")
      ->type_name("FILE");
  auto* strict = app->add_flag("--strict", options->strict,
                               "Stop at the first line that is refused");
  app->add_flag("--skip-invalid", options->skip_invalid,
                "Exit 0 although lines were refused, unless most were")
      ->excludes(strict);
  app->add_flag("--final", options->final,
                "Take a last line that has no end: nothing is being written "
                "to the file");
  auto* sort = app->add_flag(
      "--sort", options->sort,
      "Send the file's events in order of time, instead of the file's");
  app->add_flag("--leave-last-out", options->leave_last_out,
                "Keep back every user's last event of the file, as evaluate "
                "--leave-last-out asks about it")
      ->excludes("--skip-invalid")
      ->excludes(sort);
  app->add_option("--batch", options->batch_events, "Events in a batch")
      ->transform(WholeNumber(1, 100'000))
      ->capture_default_str();
  app->add_option("--lanes", options->lanes,
                  "Batches in flight; a user's are always sent in turn")
      ->transform(WholeNumber(1, 64))
      ->capture_default_str();
  app->add_option("--retry-for", options->retry_for_s,
                  "Seconds without an acknowledgement before giving up")
      ->check(Seconds(/*zero_allowed=*/true))
      ->capture_default_str();
}

}  // namespace qlarank
