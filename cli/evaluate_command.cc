// qlarank evaluate: ranking quality and latency of a running server.
//
// For every user with something held out, ranks the whole catalogue as of the
// time of what they did next, and counts how much of it is in the top k, beside
// the baselines of cli/baselines.h. With --labels, scores what was held out
// instead (cli/evaluate_labels.h).
#include <algorithm>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/baselines.h"
#include "cli/catalogue.h"
#include "cli/command.h"
#include "cli/contenders.h"
#include "cli/csv_reader.h"
#include "cli/evaluate_labels.h"
#include "cli/evaluation_data.h"
#include "cli/evaluation_report.h"
#include "cli/item_features.h"
#include "cli/option_checks.h"
#include "cli/progress.h"
#include "cli/rank_all.h"
#include "cli/state_check.h"
#include "model/bundle.h"

namespace qlarank {
namespace {

struct EvaluateOptions {
  std::string history;
  std::string heldout;
  bool leave_last_out = false;
  std::string bundle;
  std::string features;
  EventFormat format;
  std::string task;
  std::vector<uint32_t> top_k = {10};
  size_t in_flight = 2;
  size_t max_users = 0;
  size_t show = 0;
  std::string ranks;
  double half_life_days = absl::ToDoubleHours(Baselines::kHalfLife) / 24;
  bool allow_other_events = false;
  std::vector<std::string> labels;
  EqualTimes equal_times = EqualTimes::kMoment;
  std::string scores;
};

absl::StatusOr<EvaluationData> LoadData(const EvaluateOptions& options) {
  absl::StatusOr<EvaluationData> data =
      options.leave_last_out
          ? LoadLeaveLastOut(options.history, options.format)
          : LoadNextBaskets(options.history, options.heldout, options.format);
  if (!data.ok()) return data;
  if (data->cases.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.leave_last_out ? options.history : options.heldout,
                     " has no event of a user who is in the history"));
  }
  if (options.max_users > 0 && data->cases.size() > options.max_users) {
    data->cases.resize(options.max_users);
  }
  return data;
}

// The whole catalogue by id, so that ties go to the lower one.
absl::StatusOr<v1::RankRequest> CatalogueRequest(
    const Bundle& bundle, const EvaluateOptions& options) {
  v1::RankRequest request;
  auto& items = *request.mutable_item_ids();
  items.Add(bundle.item_ids().begin(), bundle.item_ids().end());
  std::sort(items.begin(), items.end());
  if (!options.task.empty()) request.add_tasks(options.task);
  if (absl::Status s = FillFeatures(bundle.spec(), options.features,
                                    options.format.columns.item, request);
      !s.ok()) {
    return s;
  }
  return request;
}

class Evaluate {
 public:
  Evaluate(CommandContext& context, const EvaluateOptions& options)
      : context_(context), options_(options) {}

  absl::StatusOr<ExitCode> Run();

 private:
  uint32_t depth() const {
    return *std::max_element(options_.top_k.begin(), options_.top_k.end());
  }
  std::vector<RankJob> MakeJobs(size_t candidates) const;
  absl::Status RankUsers(const Bundle& bundle);
  // Checks the answer, notes where what came stands, and keeps depth() items.
  absl::Status Take(RankJob& job);
  absl::Status WriteRanks() const;

  CommandContext& context_;
  const EvaluateOptions& options_;
  EvaluationData data_;
  std::vector<RankJob> jobs_;   // one per case, in order
  std::vector<size_t> places_;  // of each; 0: nothing that came is ranked
  absl::Duration elapsed_;
};

// 1 for the first of `ranked`; 0 when none of `came`, sorted, is there.
size_t PlaceOfFirst(const std::vector<uint64_t>& ranked,
                    const std::vector<uint64_t>& came) {
  for (size_t at = 0; at < ranked.size(); ++at) {
    if (std::binary_search(came.begin(), came.end(), ranked[at])) return at + 1;
  }
  return 0;
}

std::vector<RankJob> Evaluate::MakeJobs(size_t candidates) const {
  std::vector<RankJob> jobs;
  for (const EvaluationCase& next : data_.cases) {
    size_t hidden = data_.unseen_only ? data_.history.NumItems(next.user) : 0;
    // A place can be anywhere.
    size_t wanted = options_.ranks.empty() ? depth() + hidden : candidates;
    jobs.push_back({.user = next.user,
                    .time = next.time,
                    .context = next.context,
                    .top_k = static_cast<uint32_t>(wanted),
                    .ranking = {}});
  }
  return jobs;
}

absl::Status Evaluate::Take(RankJob& job) {
  if (!options_.allow_other_events) {
    absl::Status s = CheckState(data_.history, options_.history, job.user,
                                job.ranking.response.state());
    if (!s.ok()) return s;
  }
  const auto at = static_cast<size_t>(&job - jobs_.data());
  std::vector<uint64_t>& items = job.ranking.items;
  items = TopForUser(data_, job.user, items, items.size());
  places_[at] = PlaceOfFirst(items, data_.cases[at].items);
  if (items.size() > depth()) items.resize(depth());
  items.shrink_to_fit();
  return absl::OkStatus();
}

absl::Status Evaluate::RankUsers(const Bundle& bundle) {
  jobs_ = MakeJobs(bundle.item_ids().size());
  places_.assign(jobs_.size(), 0);
  absl::StatusOr<v1::RankRequest> request = CatalogueRequest(bundle, options_);
  if (!request.ok()) return request.status();
  Progress progress(context_.err,
                    {.terminal = context_.err_is_terminal && !context_.json,
                     .label = "ranking",
                     .unit = "users"});
  absl::Status ranked = RankAll(
      context_.Connect(), *request, options_.in_flight,
      [this](RankJob& job) { return Take(job); }, jobs_, progress);
  elapsed_ = progress.elapsed();
  progress.Clear();
  return ranked;
}

// user,rank lines: where the first of the items that came stands.
absl::Status Evaluate::WriteRanks() const {
  std::ofstream file(options_.ranks);
  file << "user,rank\n";
  for (size_t i = 0; i < jobs_.size(); ++i) {
    file << CsvField(jobs_[i].user) << "," << places_[i] << "\n";
  }
  file.close();
  return file ? absl::OkStatus()
              : absl::InvalidArgumentError(
                    absl::StrCat("cannot write ", options_.ranks));
}

absl::StatusOr<ExitCode> Evaluate::Run() {
  absl::StatusOr<EvaluationData> data = LoadData(options_);
  if (!data.ok()) return data.status();
  data_ = *std::move(data);
  auto bundle = Bundle::Load(options_.bundle);
  if (!bundle.ok()) return bundle.status();
  absl::StatusOr<Titles> titles = LoadTitlesOrKeys(options_.bundle);
  if (!titles.ok()) return titles.status();
  if (absl::Status s = RankUsers(**bundle); !s.ok()) return s;
  if (!options_.ranks.empty()) {
    if (absl::Status s = WriteRanks(); !s.ok()) return s;
  }

  EvaluationReport report{.contenders = CompareContenders(
                              data_, jobs_, options_.top_k,
                              absl::Hours(24) * options_.half_life_days),
                          .users_without_history = data_.users_without_history,
                          .candidates = (*bundle)->item_ids().size(),
                          .elapsed = elapsed_,
                          .latencies = {}};
  for (const RankJob& job : jobs_) {
    report.latencies.push_back(job.ranking.latency);
  }
  std::sort(report.latencies.begin(), report.latencies.end());
  if (context_.json) {
    PrintReportJson(report, context_.out);
    return ExitCode::kOk;
  }
  // Spread evenly over all users, not chosen by how well they did.
  for (size_t i = 0; i < std::min(options_.show, jobs_.size()); ++i) {
    size_t at = (2 * i + 1) * jobs_.size() / (2 * options_.show);
    PrintExample(data_.cases[at], jobs_[at], options_.top_k.front(), *titles,
                 context_.out);
  }
  PrintReport(report, context_.out);
  return ExitCode::kOk;
}

LabelOptions OfLabels(const EvaluateOptions& options) {
  return {.history = options.history,
          .heldout = options.heldout,
          .bundle = options.bundle,
          .format = options.format,
          .labels = options.labels,
          .equal_times = options.equal_times,
          .in_flight = options.in_flight,
          .max_users = options.max_users,
          .scores = options.scores,
          .allow_other_events = options.allow_other_events};
}

// Of what is held out, scores in place of rankings. `of_rankings`: the options
// that mean nothing then.
void AddLabelOptions(CLI::App* app, EvaluateOptions& options,
                     const std::vector<CLI::Option*>& of_rankings) {
  auto* labels =
      app->add_option("--labels", options.labels,
                      "Score the events that are held out instead, each from "
                      "the state before its moment, and measure AUC, NE and "
                      "calibration. task=column, one or more, separated by "
                      "commas; columns hold 0, 1 or nothing")
          ->delimiter(',');
  for (CLI::Option* option : of_rankings) labels->excludes(option);
  app->add_option("--equal-times", options.equal_times,
                  "What a user's events of one time are to --labels: a "
                  "\"moment\", none of which is in the state that scores "
                  "another, or in \"order\", each a moment of its own")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, EqualTimes>{{"moment", EqualTimes::kMoment},
                                            {"order", EqualTimes::kOrder}}))
      ->default_str("moment")
      ->needs(labels);
  app->add_option("--scores", options.scores,
                  "Write a line for each event with a label: user, line of "
                  "the file, item, and label and logit of each task")
      ->needs(labels);
}

// What says nothing where labels are scored.
std::vector<CLI::Option*> AddRankingOptions(CLI::App* app,
                                            EvaluateOptions& options) {
  return {
      app->add_option("--task", options.task,
                      "Rank by this task alone. Default: by the model's value"),
      app->add_option("--features", options.features,
                      "CSV of the items' candidate features"),
      app->add_option("--top-k", options.top_k, "One or more, such as 10,50")
          ->delimiter(',')
          ->transform(WholeNumber(1, 1'000'000))
          ->capture_default_str(),
      app->add_option("--show", options.show, "Print so many users' rankings")
          ->transform(WholeNumberOf<uint32_t>(0))
          ->capture_default_str(),
      app->add_option("--half-life-days", options.half_life_days,
                      "Of the own decayed counts")
          ->transform(Days())
          ->capture_default_str(),
      app->add_option(
          "--ranks", options.ranks,
          "Write user,rank lines: where in the whole catalogue the first of "
          "what came stands, 0 for nowhere. Every answer has its whole order "
          "then, which takes a little longer")};
}

}  // namespace

void AddEvaluateCommand(CommandSet& commands) {
  auto options = std::make_shared<EvaluateOptions>();
  CommandContext& context = commands.context();
  CLI::App* app = commands.Add(
      "evaluate",
      "Rank the catalogue for every user and compare with what came next, or "
      "score what was shown and compare with what came of it",
      [options, &context] {
        return options->labels.empty()
                   ? Evaluate(context, *options).Run()
                   : EvaluateLabels(context, OfLabels(*options));
      });
  app->add_option("--history", options->history, "CSV that was imported")
      ->required();
  auto* next = app->add_option_group("next", "What came next, one of:");
  next->add_option("--heldout", options->heldout,
                   "CSV of later events: a user's first basket in it, or "
                   "with --labels all of them");
  next->add_flag("--leave-last-out", options->leave_last_out,
                 "Every user's last event in --history, which was imported "
                 "with this flag too. Other items of theirs are not ranked");
  next->require_option(1);
  app->add_option("--bundle", options->bundle,
                  "Folder of the model, for its items and titles")
      ->required();
  AddEventFormatOptions(app, options->format);
  app->add_option("--context-columns", options->format.columns.context,
                  "Context features of the model, which requests have from "
                  "what came next")
      ->delimiter(',');
  app->add_option("--in-flight", options->in_flight, "Requests at a time")
      ->transform(WholeNumber(1, 256))
      ->capture_default_str();
  app->add_option("--max-users", options->max_users, "0: all of them")
      ->transform(WholeNumberOf<uint32_t>(0))
      ->capture_default_str();
  app->add_flag("--allow-other-events", options->allow_other_events,
                "Go on although the server has events of a user that are not "
                "in --history");
  AddLabelOptions(app, *options, AddRankingOptions(app, *options));
}

}  // namespace qlarank
