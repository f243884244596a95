// qlarank import: a CSV file of events into the server's log.
//
// Takes what is good and writes the rest, with the reasons, to a file; what the
// source's mark says was imported before is not sent again.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "cli/command.h"
#include "cli/csv_reader.h"
#include "cli/event_csv.h"
#include "cli/event_file.h"
#include "cli/event_stream.h"
#include "cli/import_report.h"
#include "cli/import_source.h"
#include "cli/input_file.h"
#include "cli/option_checks.h"
#include "cli/progress.h"
#include "cli/refused_file.h"
#include "cli/time_order.h"
#include "cli/time_window.h"

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
  bool file_order = false;
  double sort_within_s = 0;  // 0: not so
  size_t batch_events = 1'000;
  size_t lanes = 4;
  double retry_for_s = 30;

  // What sequences are ranks in; "" when they are line numbers.
  std::string Order() const {
    if (sort) return "time";
    if (sort_within_s == 0) return "";
    return absl::StrCat("time within ", sort_within_s, "s");
  }
};

constexpr uint64_t kMaxRefusalsShown = 10;
// Events that are looked at before any of them is sent.
constexpr size_t kFirstLook = 1'000;

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
  // Sends what was kept for the first look, if it is in order.
  absl::Status SendFirst();
  absl::Status NewestFirst() const;
  // A sequence is the event's rank in the order of time, counted from 2 as
  // lines are: 1 is the mark of the beginning.
  absl::Status SendInTimeOrder(EventCsv& csv);
  absl::Status SendInWindow(EventCsv& csv);
  // What was read last.
  EventStream::Item ItemOf(v1::UserEvent& event) const;
  absl::Status SendItem(EventStream::Item item);
  absl::Status SendUnlessLeftOut(EventStream::Item item);
  // Of an event that waited for its turn in an order of time.
  absl::Status SendRanked(EventStream::Item item, uint64_t rank);
  // Reads to the end of the file; `take` gets each event that is not known to
  // be imported.
  absl::Status ReadAll(EventCsv& csv,
                       absl::FunctionRef<absl::Status(v1::UserEvent&)> take);
  // Whether the row last read was imported before. INVALID_ARGUMENT when the
  // file is another one than that which was.
  absl::StatusOr<bool> WasImported();
  absl::Status Differs(absl::string_view how) const;
  absl::Status BeginningDiffers() const;
  // Of what was read so far.
  ImportMark NewMark(uint64_t complete_through, uint64_t whole_bytes = 0) const;
  absl::Status Mark(const ImportMark& mark);
  // Before the first event of a source is sent.
  absl::Status MarkBeginning();
  // Before the last events of an order of time are, which depend on where the
  // end is.
  absl::Status MarkEnd();
  absl::Status FinishStream();
  absl::Status FinishRanked(const ImportMark& whole);
  // One row that is not imported; what is returned ends the import.
  absl::Status Refuse(absl::string_view message, absl::string_view row);
  void UpdateProgress();
  absl::Status ExplainFailure(const absl::Status& status) const;

  CommandContext& context_;
  const ImportOptions& options_;
  Client client_;
  ImportMarks marks_;
  Progress progress_;
  std::unique_ptr<InputFile> file_;  // null: standard input
  std::optional<uint64_t> size_bytes_;
  std::optional<ImportMark> mark_;
  std::optional<ImportMark> last_mark_;  // that, or the one set since
  LastEvents last_events_;  // empty unless they are to be left out
  std::optional<CsvReader> reader_;
  std::optional<EventStream> stream_;
  std::optional<RefusedFile> refused_file_;
  // In the file's order: whether the first events were looked at, how they are
  // ordered, they themselves until then, and the mark as of the first of them.
  bool looked_ = false;
  LateEvents first_look_;
  std::vector<EventStream::Item> first_;
  std::optional<ImportMark> beginning_;
  uint64_t refusals_shown_ = 0;
  ImportResult result_;
};

absl::Status Import::Open() {
  result_.source = options_.source;
  if (options_.file != "-") {
    if (absl::Status s = OpenFile(); !s.ok()) return s;
  } else if (options_.leave_last_out || options_.sort) {
    return absl::InvalidArgumentError(absl::StrCat(
        options_.sort ? "--sort" : "--leave-last-out",
        " needs a file: standard input cannot be read twice",
        options_.sort ? " (--sort-within needs none)" : ""));
  }
  if (result_.source.empty() && !size_bytes_) {
    return absl::InvalidArgumentError(
        "--source is needed with what can be read only once: it tells which "
        "events have been imported before");
  }
  if (result_.source.empty()) return absl::OkStatus();  // no event yet
  absl::StatusOr<std::optional<ImportMark>> mark = marks_.Get(result_.source);
  if (!mark.ok()) return mark.status();
  mark_ = *std::move(mark);
  last_mark_ = mark_;
  result_.marked_before = mark_.has_value();
  if (mark_ && mark_->order != options_.Order()) {
    return Differs(absl::StrCat(
        "that was in order of ",
        mark_->order.empty() ? "the file's lines" : mark_->order));
  }
  return absl::OkStatus();
}

absl::Status Import::OpenFile() {
  result_.name = std::filesystem::path(options_.file).filename().string();
  absl::StatusOr<std::unique_ptr<InputFile>> file =
      InputFile::Open(options_.file);
  if (!file.ok()) return file.status();
  file_ = *std::move(file);
  size_bytes_ = file_->size_bytes();
  if (!size_bytes_) return absl::OkStatus();
  if (options_.sort && file_->is_compressed()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--sort reads lines of ", options_.file,
        " in another order, and it is compressed: unpack it first (gunzip, "
        "bunzip2, unxz), or put it nearly in order with --sort-within"));
  }
  if (result_.source.empty()) {
    absl::StatusOr<std::string> source = SourceOfFile(options_.file);
    if (!source.ok()) return source.status();
    result_.source = *std::move(source);
    if (!result_.source.empty() && !options_.Order().empty()) {
      absl::StrAppend(&result_.source, ".by-",
                      absl::StrReplaceAll(options_.Order(), {{" ", "-"}}));
    }
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
  EventStream::Options stream{.source = result_.source,
                              .batch_events = options_.batch_events,
                              .lanes = options_.lanes,
                              .retry_for = absl::Seconds(options_.retry_for_s),
                              .stop_at_refused = options_.strict};
  stream.on_refused = [this](const EventStream::Item& item,
                             const absl::Status& refusal) {
    return Refuse(absl::StrCat(result_.name, ":", item.line, ": ",
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
      options_.file, " is not the file that was imported as ", result_.source,
      " at ", mark_->time, ": ", how,
      ". Nothing of it was sent. If it is another file, give it another "
      "--source; if lines were corrected in it, import them as a file of their "
      "own (what was refused is in a .refused.csv file: correct it there)"));
}

absl::Status Import::BeginningDiffers() const {
  return Differs(
      absl::StrCat("its first ", mark_->bytes, " bytes are others"));
}

absl::StatusOr<bool> Import::WasImported() {
  if (!mark_) return false;
  if (mark_->whole_bytes != 0 &&
      reader_->digest().bytes() > mark_->whole_bytes) {
    return Differs("it has grown, and new lines would have other ranks: import "
                   "them as a file of their own");
  }
  // In order of time all or nothing: what comes more would change the ranks.
  if (!mark_->order.empty()) return mark_->complete_through > 1;
  const bool beyond = reader_->line() > mark_->complete_through;
  const FileDigest::Beginning beginning = reader_->digest().beginning();
  if (beginning == FileDigest::Beginning::kDiffers ||
      (beyond && beginning == FileDigest::Beginning::kNotReached)) {
    return BeginningDiffers();
  }
  return !beyond;
}

ImportMark Import::NewMark(uint64_t complete_through,
                           uint64_t whole_bytes) const {
  return {.complete_through = complete_through,
          .bytes = reader_->digest().bytes(),
          .digest = reader_->digest().Hex(),
          .order = options_.Order(),
          .whole_bytes = whole_bytes};
}

absl::Status Import::Mark(const ImportMark& mark) {
  last_mark_ = mark;
  return marks_.Set(result_.source, mark);
}

absl::Status Import::MarkBeginning() {
  if (!last_mark_) return Mark(beginning_ ? *beginning_ : NewMark(1));
  // What was begun must be the same before anything of it is sent again.
  if (mark_ && !mark_->order.empty() &&
      reader_->digest().beginning() != FileDigest::Beginning::kSame) {
    return BeginningDiffers();
  }
  return absl::OkStatus();
}

absl::Status Import::MarkEnd() {
  ImportMark mark = *last_mark_;
  mark.whole_bytes = reader_->digest().bytes();
  return Mark(mark);
}

absl::Status Import::FinishStream() {
  absl::Status status = stream_->Finish();
  result_.totals = stream_->totals();
  return status;
}

void Import::UpdateProgress() {
  if (++result_.events % 256 != 0) return;
  std::optional<double> fraction;
  if (size_bytes_) {
    const uint64_t done =
        file_->is_compressed() ? file_->bytes_taken() : reader_->byte();
    fraction = static_cast<double>(done) / static_cast<double>(*size_bytes_);
  }
  progress_.Update(fraction, result_.events);
}

absl::Status Import::ReadAll(
    EventCsv& csv, absl::FunctionRef<absl::Status(v1::UserEvent&)> take) {
  v1::UserEvent event;
  for (;;) {
    const absl::StatusOr<bool> read = csv.Read(event);
    if (read.ok() && !*read) break;
    if (!read.ok() && !absl::IsInvalidArgument(read.status())) {
      return file_ && !file_->status().ok() ? file_->status() : read.status();
    }
    const absl::StatusOr<bool> imported = WasImported();
    if (!imported.ok()) return imported.status();
    if (!read.ok() && !*imported) {
      ++result_.invalid_lines;
      absl::Status s = Refuse(read.status().message(), reader_->row_text());
      if (!s.ok()) return s;
    }
    if (!read.ok()) continue;
    if (*imported) {
      ++result_.imported_before;
      result_.late.Add(event);
    } else if (absl::Status s = take(event); !s.ok()) {
      return s;
    }
    UpdateProgress();
  }
  const uint64_t bytes = reader_->digest().bytes();
  const FileDigest::Beginning beginning = reader_->digest().beginning();
  if (mark_ && (bytes < mark_->whole_bytes ||
                beginning != FileDigest::Beginning::kSame)) {
    return Differs(absl::StrCat("it has ", bytes, " bytes, not ",
                                std::max(mark_->bytes, mark_->whole_bytes)));
  }
  return absl::OkStatus();
}

EventStream::Item Import::ItemOf(v1::UserEvent& event) const {
  return {std::move(event), reader_->line(), reader_->row_text()};
}

absl::Status Import::SendItem(EventStream::Item item) {
  result_.late.Add(item.event);
  return stream_->Add(std::move(item));
}

absl::Status Import::SendRanked(EventStream::Item item, uint64_t rank) {
  item.event.set_sequence(rank + 2);
  return SendItem(std::move(item));
}

absl::Status Import::FinishRanked(const ImportMark& whole) {
  if (absl::Status s = FinishStream(); !s.ok()) return s;
  return result_.MostWereRefused() ? absl::OkStatus() : Mark(whole);
}

absl::Status Import::SendFirst() {
  looked_ = true;
  if (first_look_.NewestFirst() && !options_.file_order) {
    return NewestFirst();
  }
  for (EventStream::Item& item : std::exchange(first_, {})) {
    if (absl::Status s = SendUnlessLeftOut(std::move(item)); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status Import::SendUnlessLeftOut(EventStream::Item item) {
  if (absl::Status s = MarkBeginning(); !s.ok()) return s;
  if (IsLastEvent(last_events_, item.event)) {
    ++result_.left_out;
    return absl::OkStatus();
  }
  return SendItem(std::move(item));
}

// What a server made of such a file could be mended only by erasing its users.
absl::Status Import::NewestFirst() const {
  std::string remedy = "Unpack it first: --sort then sends it in order of time";
  if (!file_ || !file_->is_compressed()) {
    const absl::StatusOr<size_t> time =
        reader_->Column(options_.format.columns.time);
    if (!time.ok()) return time.status();
    const std::string file = file_ ? options_.file : "FILE";
    remedy = absl::StrCat(
        size_bytes_ ? "--sort sends it in order of time; so does sorting it: "
                    : "Sort it: ",
        "(head -n 1 ", file, "; tail -n +2 ", file, " | sort -s -t, -k",
        *time + 1, ",", *time + 1,
        options_.format.time_unit == "rfc3339" ? "" : "n", ") > sorted.csv");
  }
  return absl::InvalidArgumentError(absl::StrCat(
      result_.name, ": written newest first: ", first_look_.late(),
      " of its first ", first_look_.events(),
      " events come after a later one of their user, and a server folds events "
      "as they come. Nothing of it was sent. ",
      remedy, ". --file-order sends it as it is"));
}

absl::Status Import::SendInFileOrder(EventCsv& csv) {
  absl::Status read = ReadAll(csv, [&](v1::UserEvent& event) -> absl::Status {
    if (looked_) return SendUnlessLeftOut(ItemOf(event));
    if (first_.empty()) beginning_ = NewMark(1);
    first_look_.Add(event);
    first_.push_back(ItemOf(event));
    return first_.size() < kFirstLook ? absl::OkStatus() : SendFirst();
  });
  if (!read.ok()) return read;
  if (!looked_) {
    if (absl::Status s = SendFirst(); !s.ok()) return s;
  }
  if (absl::Status s = FinishStream(); !s.ok()) return s;
  const uint64_t lines = reader_->lines_read();
  const bool known = mark_ && mark_->complete_through == lines;
  if (result_.left_out > 0 || lines < 2 || known || result_.MostWereRefused()) {
    return absl::OkStatus();
  }
  return Mark(NewMark(lines));
}

absl::Status Import::SendInTimeOrder(EventCsv& csv) {
  TimeOrder order;
  absl::Status read = ReadAll(csv, [&](v1::UserEvent& event) -> absl::Status {
    return order.Add(event, *reader_);
  });
  if (!read.ok()) return read;
  if (order.size() == 0) return absl::OkStatus();
  if (absl::Status s = MarkBeginning(); !s.ok()) return s;
  if (absl::Status s = MarkEnd(); !s.ok()) return s;
  // Before reading on adds to the digest.
  const ImportMark whole =
      NewMark(order.size() + 1, reader_->digest().bytes());
  order.Sort();
  result_.events = 0;
  v1::UserEvent event;
  for (uint64_t rank = 0; rank < order.size(); ++rank) {
    order.GoTo(rank, *reader_);
    const absl::StatusOr<bool> again = csv.Read(event);
    if (!again.ok() || !*again) {
      return absl::AbortedError(
          absl::StrCat(result_.name, " changed while it was read"));
    }
    absl::Status sent = SendRanked(ItemOf(event), rank);
    if (!sent.ok()) return sent;
    UpdateProgress();
  }
  return FinishRanked(whole);
}

absl::Status Import::SendInWindow(EventCsv& csv) {
  TimeWindow window(absl::Seconds(options_.sort_within_s));
  uint64_t rank = 0;
  const auto send_due = [&]() -> absl::Status {
    while (auto item = window.Next()) {
      if (rank == 0) {
        if (absl::Status s = MarkBeginning(); !s.ok()) return s;
      }
      if (absl::Status s = SendRanked(*std::move(item), rank++); !s.ok()) {
        return s;
      }
    }
    return absl::OkStatus();
  };
  absl::Status read = ReadAll(csv, [&](v1::UserEvent& event) {
    absl::Status added = window.Add(ItemOf(event));
    return added.ok() ? send_due() : added;
  });
  if (!read.ok()) return read;
  if (window.empty()) return absl::OkStatus();  // nothing to send at all
  if (absl::Status s = MarkBeginning(); !s.ok()) return s;
  if (absl::Status s = MarkEnd(); !s.ok()) return s;
  window.Close();
  if (absl::Status s = send_due(); !s.ok()) return s;
  return FinishRanked(NewMark(rank + 1, reader_->digest().bytes()));
}

absl::Status Import::Send(TimeUnit unit) {
  reader_.emplace(file_ ? file_->stream() : std::cin, result_.name,
                  options_.final ? CsvReader::LastLine::kIsARow
                                 : CsvReader::LastLine::kIsUnfinished);
  if (mark_) reader_->digest().Expect(mark_->bytes, mark_->digest);
  absl::StatusOr<EventCsv> csv =
      EventCsv::Open(*reader_, options_.format.columns, unit);
  if (!csv.ok()) {
    return reader_->unfinished_line() ? absl::OkStatus() : csv.status();
  }
  refused_file_->SetHeader(reader_->row_text());
  if (options_.sort) return SendInTimeOrder(*csv);
  return options_.sort_within_s > 0 ? SendInWindow(*csv)
                                    : SendInFileOrder(*csv);
}

// Of an import that did not come to its end.
absl::Status Import::ExplainFailure(const absl::Status& status) const {
  if (stream_->totals().acknowledged() > 0) {
    context_.err << WithCommas(stream_->totals().acknowledged())
                 << " events are durable; running the import again goes on "
                    "from there\n";
  }
  if (options_.strict && absl::IsInvalidArgument(status) &&
      (result_.invalid_lines > 0 || stream_->refused())) {
    context_.err << "correct the line or empty it, so that the others keep "
                    "their numbers; without --strict it is written to a file "
                    "and the others are imported\n";
  }
  if (const auto& item = stream_->refused()) {
    return absl::Status(status.code(),
                        absl::StrCat(result_.name, ":", item->line, ": ",
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
  result_.refused_file = refused_file_->path();
  result_.unfinished_line = reader_->unfinished_line();
  result_.elapsed = progress_.elapsed();
  return ReportImport(result_, options_.skip_invalid, context_);
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
  auto* sort_within =
      app->add_option("--sort-within", options->sort_within_s,
                      "Put events in order of time that come at most so many "
                      "seconds late, in a stream too")
          ->check(Seconds(/*zero_allowed=*/false))
          ->type_name("SECONDS")
          ->excludes(sort);
  app->add_flag("--file-order", options->file_order,
                "Send a file in its order although it is written newest first")
      ->excludes(sort)
      ->excludes(sort_within);
  app->add_flag("--leave-last-out", options->leave_last_out,
                "Keep back every user's last event of the file, as evaluate "
                "--leave-last-out asks about it")
      ->excludes("--skip-invalid")
      ->excludes(sort)
      ->excludes(sort_within);
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
