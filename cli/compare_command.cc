// qlarank model compare: what two bundles say differently of the requests of a
// log, in the figures of shadow scoring. Needs no server.
#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/command.h"
#include "cli/option_checks.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "nlohmann/json.hpp"
#include "server/compare/offline_comparison.h"
#include "state_store/rocksdb_state_store.h"

namespace qlarank {
namespace {

struct CompareArguments {
  std::string first, second;  // folders of bundles
  std::string requests;
  std::string store;
  std::string model_name;
};

// A mean, or NaN where there is nothing to take it of.
double MeanOf(double sum, double of) {
  return of > 0 ? sum / of : std::numeric_limits<double>::quiet_NaN();
}

struct TaskFigures {
  double correlation, top_10, top_k, first_score, second_score;

  TaskFigures(const std::string& task, const ShadowTaskSums& sums)
      : correlation(1 - MeanOf(sums.rank_distance, sums.ordered_requests)),
        top_10(MeanOf(sums.top_10_overlap, sums.requests)),
        top_k(MeanOf(sums.top_k_overlap, sums.top_k_requests)),
        first_score(ScoreOf(task, sums.served_score, sums)),
        second_score(ScoreOf(task, sums.shadow_score, sums)) {}

 private:
  static double ScoreOf(const std::string& task, double sum,
                        const ShadowTaskSums& sums) {
    return MeanOf(sum, task == Difference::kByValue ? 0 : sums.requests);
  }
};

std::string FigureText(double figure) {
  return std::isnan(figure) ? "" : absl::StrFormat("%.4f", figure);
}

nlohmann::json FigureJson(double figure) {
  return std::isnan(figure) ? nlohmann::json() : nlohmann::json(figure);
}

nlohmann::json ToJson(const OfflineComparison& comparison) {
  nlohmann::json tasks = nlohmann::json::object();
  for (const auto& [task, sums] : comparison.difference.by_task) {
    const TaskFigures figures(task, sums);
    tasks[task] = {
        {"requests", static_cast<uint64_t>(sums.requests)},
        {"ordered_requests", static_cast<uint64_t>(sums.ordered_requests)},
        {"rank_correlation", FigureJson(figures.correlation)},
        {"top_10_overlap", FigureJson(figures.top_10)},
        {"top_k_requests", static_cast<uint64_t>(sums.top_k_requests)},
        {"top_k_overlap", FigureJson(figures.top_k)},
        {"first_mean_score", FigureJson(figures.first_score)},
        {"second_mean_score", FigureJson(figures.second_score)}};
  }
  nlohmann::json left_out = nlohmann::json::object();
  for (const auto& [outcome, count] : comparison.requests) {
    if (outcome == Outcome::kCompared) continue;
    left_out[std::string(OutcomeName(outcome))] = count;
  }
  const ShadowCandidateSums& candidates = comparison.difference.candidates;
  return {{"requests", comparison.compared()},
          {"left_out", std::move(left_out)},
          {"candidates", static_cast<uint64_t>(candidates.all)},
          {"unknown_to_first",
           static_cast<uint64_t>(candidates.unknown_to_served)},
          {"unknown_to_second",
           static_cast<uint64_t>(candidates.unknown_to_shadow)},
          {"tasks", std::move(tasks)}};
}

// For people: why requests were left out.
std::string_view LeftOutText(Outcome outcome) {
  switch (outcome) {
    case Outcome::kPartial:
      return "answered in part";
    case Outcome::kErased:
      return "of users who were erased since, or are not in the store";
    case Outcome::kTrimmed:
      return "of users whose log was trimmed of what was known then";
    case Outcome::kBeyondLog:
      return "newer than the store";
    case Outcome::kUnfit:
      return "that cannot be asked of both";
    default:
      return "failed";
  }
}

void Print(const OfflineComparison& comparison, std::ostream& out) {
  Table table({{"task"},
               {"requests", Align::kRight},
               {"rank correlation", Align::kRight},
               {"top 10", Align::kRight},
               {"top_k", Align::kRight},
               {"mean score", Align::kRight},
               {"of the second", Align::kRight}});
  for (const auto& [task, sums] : comparison.difference.by_task) {
    const TaskFigures figures(task, sums);
    table.AddRow({task, WithCommas(static_cast<uint64_t>(sums.requests)),
                  FigureText(figures.correlation), FigureText(figures.top_10),
                  FigureText(figures.top_k), FigureText(figures.first_score),
                  FigureText(figures.second_score)});
  }
  table.Print(out);
  const ShadowCandidateSums& candidates = comparison.difference.candidates;
  const auto count = [](double sum) {
    return WithCommas(static_cast<uint64_t>(sum));
  };
  out << count(candidates.all) << " candidates; "
      << count(candidates.unknown_to_served)
      << " that only the second knows, "
      << count(candidates.unknown_to_shadow) << " that only the first knows\n";
  for (const auto& [outcome, requests] : comparison.requests) {
    if (outcome == Outcome::kCompared) continue;
    out << "left out: " << WithCommas(requests) << " " << LeftOutText(outcome);
    const auto why = comparison.first_reasons.find(outcome);
    if (why != comparison.first_reasons.end()) {
      out << ", such as: " << why->second;
    }
    out << "\n";
  }
}

// Opening would make one.
absl::StatusOr<std::unique_ptr<StateStore>> OpenComparedStore(
    const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--store ", path, ": there is none"));
  }
  RocksDbOptions options;
  options.path = path;
  return OpenRocksDbStateStore(options);
}

absl::StatusOr<ExitCode> CompareBundles(CommandContext& context,
                                        const CompareArguments& arguments) {
  const auto store = OpenComparedStore(arguments.store);
  if (!store.ok()) return store.status();
  const auto first = LoadToCompare(arguments.first, **store);
  if (!first.ok()) return first.status();
  const auto second = LoadToCompare(arguments.second, **store);
  if (!second.ok()) return second.status();
  Progress progress(context.err, {.terminal = context.err_is_terminal,
                                  .label = "comparing",
                                  .unit = "requests"});
  OfflineOptions options;
  options.model_name = arguments.model_name;
  options.on_progress = [&](double share, uint64_t requests) {
    progress.Update(share, requests);
  };
  const auto comparison =
      CompareOffline(*first, *second, arguments.requests, **store, options);
  progress.Clear();
  if (!comparison.ok()) return comparison.status();
  if (context.json) {
    context.out << ToJson(*comparison).dump() << "\n";
  } else {
    Print(*comparison, context.out);
  }
  return comparison->compared() > 0 ? ExitCode::kOk : ExitCode::kNegative;
}

}  // namespace

void AddCompareCommand(CommandSet& commands, CLI::App* model) {
  CommandContext& context = commands.context();
  auto arguments = std::make_shared<CompareArguments>();
  CLI::App* command = commands.AddBelow(
      model, "compare",
      "How far two bundles are apart on the requests of a request log; exits "
      "1 when none of them can be compared",
      [arguments, &context] { return CompareBundles(context, *arguments); });
  command->add_option("first", arguments->first, "Folder of a bundle")
      ->required()
      ->check(CLI::ExistingDirectory);
  command->add_option("second", arguments->second, "Folder of another")
      ->required()
      ->check(CLI::ExistingDirectory);
  command
      ->add_option("--requests", arguments->requests,
                   "Folder of a server's request log")
      ->required()
      ->check(CLI::ExistingDirectory);
  command
      ->add_option("--store", arguments->store,
                   "A checkpoint of the server's store that is younger than "
                   "the requests, or a store that no server has open")
      ->required();
  command->add_option("--model", arguments->model_name,
                      "Only requests that a model of this name answered")
      ->check(Utf8());
}

}  // namespace qlarank
