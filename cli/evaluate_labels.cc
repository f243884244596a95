#include "cli/evaluate_labels.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "cli/csv_reader.h"
#include "cli/in_flight.h"
#include "cli/label_report.h"
#include "cli/progress.h"
#include "cli/ranking.h"
#include "cli/state_check.h"
#include "model/bundle.h"

namespace qlarank {
namespace {

class LabelEvaluation {
 public:
  LabelEvaluation(CommandContext& context, const LabelOptions& options)
      : context_(context), options_(options), format_(options.format) {}

  absl::StatusOr<ExitCode> Run();

 private:
  // What --labels says, into tasks_ and format_.
  absl::Status TakeLabels(const model::v1::ModelSpec& model);
  absl::Status TakeLabel(const std::string& label,
                         const std::vector<std::string>& tasks);
  absl::Status Load();
  absl::Status Score();
  absl::Status ScoreJob(const Client& client, const LabelJob& job,
                        absl::Duration& latency);
  absl::Status Take(const LabelJob& job, const v1::RankResponse& response);
  // What went wrong with a request, and whose it was.
  absl::Status OfJob(const LabelJob& job, const absl::Status& status) const;
  LabelReport MakeReport() const;
  // A line for each event with a label.
  absl::Status WriteScores() const;

  CommandContext& context_;
  const LabelOptions& options_;
  EventFormat format_;
  std::vector<std::string> tasks_;
  LabelledEvents data_;
  std::vector<LabelJob> jobs_;
  // By user, event and task; empty for events without a label.
  std::vector<std::vector<std::vector<float>>> logits_;
  std::vector<absl::Duration> latencies_;  // one a job
  absl::Duration elapsed_;
};

absl::Status LabelEvaluation::TakeLabel(const std::string& label,
                                        const std::vector<std::string>& tasks) {
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(label, absl::MaxSplits('=', 1));
  const auto& [task, column] = parts;
  auto refuse = [&](absl::string_view problem) {
    return absl::InvalidArgumentError(
        absl::StrCat("--labels ", label, ": ", problem));
  };
  if (task.empty() || column.empty()) {
    return refuse("must be task=column, such as click=is_click");
  }
  if (!absl::c_linear_search(tasks, task)) {
    return refuse(absl::StrCat("the model has no task ", task, "; it has ",
                               absl::StrJoin(tasks, ", ")));
  }
  if (absl::c_linear_search(tasks_, task)) {
    return refuse("the task has a column already");
  }
  tasks_.push_back(task);
  format_.columns.labels.push_back(column);
  return absl::OkStatus();
}

absl::Status LabelEvaluation::TakeLabels(const model::v1::ModelSpec& model) {
  std::vector<std::string> tasks;
  for (const auto& task : model.tasks()) tasks.push_back(task.name());
  for (const std::string& label : options_.labels) {
    if (absl::Status s = TakeLabel(label, tasks); !s.ok()) return s;
  }
  format_.columns.candidate_features =
      NumberNames(model.candidate_features(), model.candidate_categories());
  format_.columns.candidate_categories =
      CategoryColumns(model.candidate_categories());
  return absl::OkStatus();
}

absl::Status LabelEvaluation::Load() {
  absl::StatusOr<LabelledEvents> data = LoadLabelledEvents(
      options_.history, options_.heldout, format_, options_.equal_times);
  if (!data.ok()) return data.status();
  data_ = *std::move(data);
  if (options_.max_users > 0 && data_.users.size() > options_.max_users) {
    data_.users.resize(options_.max_users);
  }
  jobs_ = MakeLabelJobs(data_, options_.equal_times);
  latencies_.resize(jobs_.size());
  for (const HeldOutUser& user : data_.users) {
    logits_.emplace_back(user.events.size());
  }
  return absl::OkStatus();
}

absl::Status LabelEvaluation::OfJob(const LabelJob& job,
                                    const absl::Status& status) const {
  const HeldOutUser& user = data_.users[job.user];
  std::string message = absl::StrCat(
      data_.path, ":", user.events[job.events.front()].line, ": user ",
      user.user, ", from their history and the ", job.recent,
      " events before this one that are held out: ", status.message());
  if (absl::StrContains(status.message(), "recent_events: ")) {
    absl::StrAppend(&message, " (the server's limits.max_recent_events)");
  }
  return absl::Status(status.code(), message);
}

absl::Status LabelEvaluation::Take(const LabelJob& job,
                                   const v1::RankResponse& response) {
  const HeldOutUser& user = data_.users[job.user];
  if (!options_.allow_other_events) {
    absl::Status s = CheckState(data_.history, options_.history, user.user,
                                response.state());
    if (!s.ok()) return s;
  }
  auto score = response.scores().begin();
  for (size_t event : job.events) {
    std::vector<float>& logits = logits_[job.user][event];
    logits.assign(score, score + static_cast<int>(tasks_.size()));
    score += static_cast<int>(tasks_.size());
    if (!absl::c_all_of(logits, [](float x) { return std::isfinite(x); })) {
      return OfJob(job, absl::InternalError(
                            "the reply has a score that is no number"));
    }
  }
  return absl::OkStatus();
}

absl::Status LabelEvaluation::ScoreJob(const Client& client,
                                       const LabelJob& job,
                                       absl::Duration& latency) {
  v1::RankRequest request = LabelRequest(data_, job);
  request.mutable_tasks()->Add(tasks_.begin(), tasks_.end());
  absl::StatusOr<Ranking> ranking = RankTopUpToDate(client, request);
  if (!ranking.ok()) return OfJob(job, ranking.status());
  if (!absl::c_equal(ranking->response.tasks(), tasks_)) {
    return absl::InternalError(absl::StrCat(
        "the reply has the tasks ",
        absl::StrJoin(ranking->response.tasks(), ", "), ", not ",
        absl::StrJoin(tasks_, ", ")));
  }
  latency = ranking->latency;
  return Take(job, ranking->response);
}

absl::Status LabelEvaluation::Score() {
  const Client client = context_.Connect();
  Progress progress(context_.err,
                    {.terminal = context_.err_is_terminal && !context_.json,
                     .label = "scoring",
                     .unit = "events"});
  absl::Mutex mutex;  // of progress
  size_t jobs = 0;
  size_t events = 0;
  absl::Status scored = CallInFlight(
      jobs_.size(), options_.in_flight, [&](size_t at, size_t) {
        absl::Status status = ScoreJob(client, jobs_[at], latencies_[at]);
        absl::MutexLock lock(&mutex);
        events += jobs_[at].events.size();
        progress.Update(static_cast<double>(++jobs) / jobs_.size(), events);
        return status;
      });
  elapsed_ = progress.elapsed();
  progress.Clear();
  return scored;
}

LabelReport LabelEvaluation::MakeReport() const {
  LabelReport report{.users = data_.users.size(),
                     .elapsed = elapsed_,
                     .latencies = latencies_};
  absl::c_sort(report.latencies);
  for (const LabelJob& job : jobs_) report.events += job.events.size();
  for (size_t task = 0; task < tasks_.size(); ++task) {
    std::vector<LabelledLogit> predictions;
    for (const LabelJob& job : jobs_) {
      for (size_t event : job.events) {
        const auto label = data_.users[job.user].events[event].labels[task];
        if (!label) continue;
        predictions.push_back({logits_[job.user][event][task], *label});
      }
    }
    report.tasks.push_back(
        {tasks_[task], MeasureLabels(std::move(predictions))});
  }
  return report;
}

absl::Status LabelEvaluation::WriteScores() const {
  std::ofstream file(options_.scores);
  file << "user,line,item";
  for (const std::string& task : tasks_) {
    file << "," << CsvField(absl::StrCat(task, " label")) << ","
         << CsvField(absl::StrCat(task, " logit"));
  }
  file << "\n";
  for (const LabelJob& job : jobs_) {
    const HeldOutUser& user = data_.users[job.user];
    for (size_t at : job.events) {
      const HeldOutEvent& event = user.events[at];
      file << CsvField(user.user) << "," << event.line << ","
           << event.event.item_id();
      for (size_t task = 0; task < tasks_.size(); ++task) {
        const std::optional<bool> label = event.labels[task];
        // Nine digits say which float it is.
        file << "," << (!label ? "" : *label ? "1" : "0") << ","
             << absl::StrFormat("%.9g", logits_[job.user][at][task]);
      }
      file << "\n";
    }
  }
  file.close();
  return file ? absl::OkStatus()
              : absl::InvalidArgumentError(
                    absl::StrCat("cannot write ", options_.scores));
}

absl::StatusOr<ExitCode> LabelEvaluation::Run() {
  auto bundle = Bundle::Load(options_.bundle);
  if (!bundle.ok()) return bundle.status();
  if (absl::Status s = TakeLabels((*bundle)->spec()); !s.ok()) return s;
  if (absl::Status s = Load(); !s.ok()) return s;
  if (absl::Status s = Score(); !s.ok()) return s;
  if (!options_.scores.empty()) {
    if (absl::Status s = WriteScores(); !s.ok()) return s;
  }
  if (context_.json) {
    PrintLabelReportJson(MakeReport(), context_.out);
  } else {
    PrintLabelReport(MakeReport(), context_.out);
  }
  return ExitCode::kOk;
}

}  // namespace

absl::StatusOr<ExitCode> EvaluateLabels(CommandContext& context,
                                        const LabelOptions& options) {
  return LabelEvaluation(context, options).Run();
}

}  // namespace qlarank
