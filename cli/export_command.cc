// qlarank export events: what a server has in its event log, as a CSV file that
// the trainer and `qlarank import` read.
//
// Where the server goes away in the middle, the export goes on once it is back.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "cli/command.h"
#include "cli/event_time.h"
#include "cli/exported_csv.h"
#include "cli/option_checks.h"
#include "cli/output_file.h"
#include "cli/progress.h"
#include "cli/shown_text.h"
#include "nlohmann/json.hpp"

namespace qlarank {
namespace {

constexpr absl::Duration kPause = absl::Seconds(1);
constexpr size_t kMaxDamagedShown = 10;

struct ExportOptions {
  std::string out;
  std::string format = "csv";
  std::string share;
  std::string since;
  std::string time_unit = "s";
  double retry_for_s = 30;
};

// Of "2/8". INVALID_ARGUMENT for anything that is none.
absl::Status ParseShare(const std::string& text,
                        v1::ExportEventsRequest& request) {
  const std::vector<std::string> parts = absl::StrSplit(text, '/');
  uint32_t share = 0;
  uint32_t num_shares = 0;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &share) ||
      !absl::SimpleAtoi(parts[1], &num_shares) || share >= num_shares) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--share \"", ShownText(text),
        "\" is not one of so many, from 0: 0/4, 1/4, 2/4 or 3/4 of four"));
  }
  request.set_share(share);
  request.set_num_shares(num_shares);
  return absl::OkStatus();
}

absl::StatusOr<v1::ExportEventsRequest> RequestOf(
    const ExportOptions& options) {
  v1::ExportEventsRequest request;
  if (options.format == "parquet") {
    return absl::InvalidArgumentError(absl::StrCat(
        "--format parquet: this program writes CSV. Make Parquet of that with "
        "python -m trainer convert-export --events ",
        options.out, ".csv --out ", options.out));
  }
  if (!options.share.empty()) {
    if (absl::Status s = ParseShare(options.share, request); !s.ok()) return s;
  }
  if (!options.since.empty()) {
    auto since = ParseTimeOption("--since", options.since, options.time_unit);
    if (!since.ok()) return since.status();
    *request.mutable_since() = *std::move(since);
  }
  return request;
}

class Export {
 public:
  Export(CommandContext& context, const ExportOptions& options)
      : context_(context),
        options_(options),
        client_(context.ConnectAdmin()),
        progress_(context.err,
                  {.terminal = context.err_is_terminal && !context.json,
                   .label = "exporting",
                   .unit = "events"}) {}

  absl::StatusOr<ExitCode> Run();

 private:
  // One call, from where the last one ended to the end or an error.
  absl::Status Call();
  absl::Status Take(const v1::ExportEventsResponse& message);
  absl::Status Write(const std::string& csv);
  // Waits before the next call; what it returns ends the export.
  absl::Status Pause(const absl::Status& reason);
  void ShowDamage(const v1::DamagedLog& log);
  void Report();

  CommandContext& context_;
  const ExportOptions& options_;
  const Client client_;
  Progress progress_;
  v1::ExportEventsRequest request_;
  std::unique_ptr<OutputFile> file_;  // null: standard output
  bool header_written_ = false;
  std::vector<std::string> event_features_;
  std::string last_user_;
  uint64_t events_ = 0;
  uint64_t users_ = 0;
  uint64_t damaged_ = 0;
  absl::Time last_message_ = absl::Now();
};

absl::Status Export::Write(const std::string& csv) {
  if (file_ != nullptr) return file_->Write(csv);
  context_.out << csv;
  return context_.out ? absl::OkStatus()
                      : absl::InvalidArgumentError(
                            "cannot write to standard output");
}

void Export::ShowDamage(const v1::DamagedLog& log) {
  if (++damaged_ > kMaxDamagedShown) return;
  progress_.Clear();
  context_.err << "damaged: " << log.error() << "\n";
  if (damaged_ == kMaxDamagedShown) {
    context_.err << "further ones are counted, not shown\n";
  }
}

absl::Status Export::Take(const v1::ExportEventsResponse& message) {
  std::string csv;
  if (!header_written_) {
    event_features_.assign(message.event_features().begin(),
                           message.event_features().end());
    csv = ExportHeader(event_features_);
  }
  for (const v1::ExportedUser& user : message.users()) {
    AppendExported(user, csv);
    events_ += user.events_size();
    if (user.user_id() != last_user_) ++users_;
    last_user_ = user.user_id();
  }
  if (absl::Status s = Write(csv); !s.ok()) return s;
  header_written_ = true;
  *request_.mutable_position() = message.position();
  for (const v1::DamagedLog& log : message.damaged_logs()) ShowDamage(log);
  last_message_ = absl::Now();
  progress_.Update(message.fraction(), events_);
  return absl::OkStatus();
}

absl::Status Export::Call() {
  grpc::ClientContext call;
  client_.Authorize(call);
  const auto stream = client_.admin().ExportEvents(&call, request_);
  v1::ExportEventsResponse message;
  absl::Status taken;
  while (taken.ok() && stream->Read(&message)) taken = Take(message);
  if (!taken.ok()) call.TryCancel();
  const absl::Status ended = ToAbslStatus(stream->Finish());
  return taken.ok() ? ended : taken;
}

absl::Status Export::Pause(const absl::Status& reason) {
  const bool may_help =
      absl::IsUnavailable(reason) || absl::IsCancelled(reason);
  if (!may_help || absl::Now() + kPause - last_message_ >
                       absl::Seconds(options_.retry_for_s)) {
    return reason;
  }
  progress_.Clear();
  context_.err << reason.message() << "; going on in "
               << absl::FormatDuration(kPause) << "\n";
  absl::SleepFor(kPause);
  return absl::OkStatus();
}

void Export::Report() {
  progress_.Clear();
  if (context_.json) {
    std::ostream& to = file_ != nullptr ? context_.out : context_.err;
    to << nlohmann::json{{"events", events_},
                         {"users", users_},
                         {"event_features", event_features_},
                         {"damaged_logs", damaged_}}
              .dump()
       << "\n";
    return;
  }
  const double seconds = absl::ToDoubleSeconds(progress_.elapsed());
  context_.err << "exported " << WithCommas(events_) << " events of "
               << WithCommas(users_) << " users in "
               << absl::StrFormat("%.1f s", seconds) << "\n";
  if (damaged_ > 0) {
    context_.err << WithCommas(damaged_)
                 << " logs are damaged: events before the damage are in the "
                    "export\n";
  }
}

absl::StatusOr<ExitCode> Export::Run() {
  auto request = RequestOf(options_);
  if (!request.ok()) return request.status();
  request_ = *std::move(request);
  if (options_.out != "-") {
    auto file = OutputFile::Create(options_.out);
    if (!file.ok()) return file.status();
    file_ = *std::move(file);
  }
  for (absl::Status ended = Call(); !ended.ok(); ended = Call()) {
    if (absl::Status s = Pause(ended); !s.ok()) {
      progress_.Clear();
      return s;
    }
  }
  if (file_ != nullptr) {
    if (absl::Status s = file_->Commit(); !s.ok()) return s;
  }
  Report();
  return damaged_ > 0 ? ExitCode::kNegative : ExitCode::kOk;
}

}  // namespace

void AddExportCommand(CommandSet& commands) {
  auto options = std::make_shared<ExportOptions>();
  CommandContext& context = commands.context();
  CLI::App* parent = commands.app().add_subcommand(
      "export", "Write what a running server has to a file");
  parent->require_subcommand(1);
  parent->fallthrough();
  CLI::App* events = commands.AddBelow(
      parent, "events",
      "Write the event logs of all users as CSV, for the trainer or another "
      "server; exits 1 when some are damaged",
      [options, &context] { return Export(context, *options).Run(); });
  events
      ->add_option("--out", options->out,
                   "The new file, compressed if it ends in .gz; - for stdout")
      ->type_name("FILE")
      ->required();
  events->add_option("--format", options->format)
      ->check(CLI::IsMember({"csv", "parquet"}))
      ->capture_default_str();
  events
      ->add_option("--share", options->share,
                   "Only the users of share I of N, counted from 0")
      ->type_name("I/N");
  events->add_option("--since", options->since,
                     "Only events that happened then or later")
      ->type_name("TIME");
  events
      ->add_option("--time-unit", options->time_unit,
                   "How --since is written: s, ms, us (since 1970), or rfc3339")
      ->capture_default_str();
  events
      ->add_option("--retry-for", options->retry_for_s,
                   "Seconds without a message before giving up")
      ->check(Seconds(/*zero_allowed=*/true))
      ->capture_default_str();
}

}  // namespace qlarank
