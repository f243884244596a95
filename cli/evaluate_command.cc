// qlarank evaluate: next-basket quality and latency of a running server.
//
// For every user with a held-out event, ranks the whole catalogue as of the
// time of her next basket, and counts how much of the basket is in the top k,
// beside two baselines that are hard to beat: what everybody buys, and what she
// bought most often.
#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "cli/basket_data.h"
#include "cli/catalogue.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/ranking.h"
#include "cli/ranking_quality.h"
#include "cli/state_text.h"
#include "cli/table.h"
#include "nlohmann/json.hpp"

namespace qlarank {
namespace {

struct EvaluateOptions {
  std::string history;
  std::string heldout;
  std::string bundle;
  std::string time_unit = "s";
  uint32_t top_k = 10;
  size_t in_flight = 2;
  size_t max_users = 0;
  size_t show = 0;
};

struct Job {
  std::string user;
  const Basket* basket;
  Ranking ranking;
};

// Ranks for all users, several at a time.
class RankAll {
 public:
  RankAll(const Client& client, const std::vector<uint64_t>& items,
          uint32_t top_k)
      : client_(client) {
    request_.mutable_item_ids()->Add(items.begin(), items.end());
    request_.set_top_k(top_k);
  }

  // Fills in the jobs' rankings. The first error ends it.
  absl::Status Run(std::vector<Job>& jobs, size_t in_flight,
                   Progress& progress) {
    std::atomic<size_t> next = 0;
    std::vector<std::jthread> threads;
    for (size_t t = 0; t < std::max<size_t>(1, in_flight); ++t) {
      threads.emplace_back([&] { Work(jobs, next, progress); });
    }
    threads.clear();  // joins
    absl::MutexLock lock(&mutex_);
    return error_;
  }

 private:
  void Work(std::vector<Job>& jobs, std::atomic<size_t>& next,
            Progress& progress) {
    v1::RankRequest request = request_;
    for (size_t i = next++; i < jobs.size(); i = next++) {
      request.set_user_id(jobs[i].user);
      *request.mutable_request_time() = jobs[i].basket->time;
      absl::StatusOr<Ranking> ranking = RankTopUpToDate(client_, request);
      absl::MutexLock lock(&mutex_);
      if (!ranking.ok()) {
        error_.Update(ranking.status());
        next = jobs.size();
        return;
      }
      jobs[i].ranking = *std::move(ranking);
      jobs[i].ranking.response.clear_scores();  // 100 KB a user
      ++done_;
      progress.Update(static_cast<double>(done_) / jobs.size(), done_);
    }
  }

  const Client& client_;
  v1::RankRequest request_;
  absl::Mutex mutex_;
  absl::Status error_ ABSL_GUARDED_BY(mutex_);
  uint64_t done_ ABSL_GUARDED_BY(mutex_) = 0;
};

struct Contender {
  const char* name;
  const char* key;  // in JSON
  RankingQuality quality;
};

std::vector<Contender> Compare(const std::vector<Job>& jobs,
                               const PurchaseHistory& history, size_t k) {
  Contender model{"qlarank", "qlarank", RankingQuality(k)};
  Contender own{"the user's own favourites", "favourites", RankingQuality(k)};
  Contender popular{"what everybody buys", "popularity", RankingQuality(k)};
  std::vector<uint64_t> most_popular = history.MostPopular(k);
  for (const Job& job : jobs) {
    model.quality.Add(job.ranking.items, job.basket->items);
    own.quality.Add(history.Favourites(job.user, k), job.basket->items);
    popular.quality.Add(most_popular, job.basket->items);
  }
  return {model, own, popular};
}

std::vector<absl::Duration> SortedLatencies(const std::vector<Job>& jobs) {
  std::vector<absl::Duration> latencies;
  for (const Job& job : jobs) latencies.push_back(job.ranking.latency);
  std::sort(latencies.begin(), latencies.end());
  return latencies;
}

void PrintUser(const Job& job, const Titles& titles, std::ostream& out) {
  auto name = [&](uint64_t item) {
    absl::string_view title = titles.Of(item);
    return title.empty() ? absl::StrCat("item ", item)
                         : Shorten(std::string(title), 34);
  };
  const std::vector<uint64_t>& bought = job.basket->items;
  const std::vector<uint64_t>& ranked = job.ranking.items;
  auto is_bought = [&](uint64_t item) {
    return std::binary_search(bought.begin(), bought.end(), item);
  };
  // What was found stands first, so that the eye can match the columns.
  std::vector<uint64_t> next = bought;
  std::stable_partition(next.begin(), next.end(), [&](uint64_t item) {
    return std::find(ranked.begin(), ranked.end(), item) != ranked.end();
  });
  out << "user " << job.user << ", "
      << StateToText(job.ranking.response.state()) << "; next basket "
      << FormatTime(job.basket->time) << "\n";
  Table table({{"rank", Align::kRight},
               {"", Align::kLeft},
               {"the top of the ranking", Align::kLeft},
               {absl::StrCat("really bought (", bought.size(), " items)"),
                Align::kLeft}});
  for (size_t i = 0; i < ranked.size(); ++i) {
    std::string really = i < next.size() ? name(next[i]) : "";
    if (i + 1 == ranked.size() && next.size() > ranked.size()) {
      really = absl::StrCat("and ", next.size() - i, " more");
    }
    table.AddRow({absl::StrCat(i + 1), is_bought(ranked[i]) ? "*" : "",
                  name(ranked[i]), really});
  }
  table.Print(out);
  out << "\n";
}

void PrintReport(const std::vector<Contender>& contenders,
                 const std::vector<absl::Duration>& latencies, uint32_t k,
                 size_t candidates, absl::Duration elapsed, std::ostream& out) {
  Table table({{"", Align::kLeft},
               {absl::StrCat("hit rate@", k), Align::kRight},
               {absl::StrCat("precision@", k), Align::kRight},
               {absl::StrCat("NDCG@", k), Align::kRight}});
  for (const Contender& c : contenders) {
    table.AddRow({c.name, absl::StrFormat("%.4f", c.quality.hit_rate()),
                  absl::StrFormat("%.4f", c.quality.precision()),
                  absl::StrFormat("%.4f", c.quality.ndcg())});
  }
  table.Print(out);
  out << absl::StreamFormat(
      "\n%s users, %s candidates each, in %.1f s: %s candidates a second\n",
      WithCommas(latencies.size()), WithCommas(candidates),
      absl::ToDoubleSeconds(elapsed),
      WithCommas(static_cast<uint64_t>(static_cast<double>(latencies.size()) *
                                       static_cast<double>(candidates) /
                                       absl::ToDoubleSeconds(elapsed))));
  out << absl::StreamFormat(
      "latency  p50 %.1f ms  p90 %.1f ms  p99 %.1f ms  max %.1f ms\n",
      absl::ToDoubleMilliseconds(Percentile(latencies, 0.5)),
      absl::ToDoubleMilliseconds(Percentile(latencies, 0.9)),
      absl::ToDoubleMilliseconds(Percentile(latencies, 0.99)),
      absl::ToDoubleMilliseconds(latencies.back()));
}

void PrintJson(const std::vector<Contender>& contenders,
               const std::vector<absl::Duration>& latencies, uint32_t k,
               size_t candidates, absl::Duration elapsed, std::ostream& out) {
  nlohmann::json json{{"users", latencies.size()},
                      {"k", k},
                      {"candidates", candidates},
                      {"seconds", absl::ToDoubleSeconds(elapsed)}};
  for (const Contender& c : contenders) {
    json[c.key] = {{"hit_rate", c.quality.hit_rate()},
                   {"precision", c.quality.precision()},
                   {"ndcg", c.quality.ndcg()}};
  }
  for (auto [name, fraction] :
       {std::pair{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"max", 1.0}}) {
    json["latency_ms"][name] =
        absl::ToDoubleMilliseconds(Percentile(latencies, fraction));
  }
  out << json.dump() << "\n";
}

absl::StatusOr<ExitCode> Evaluate(CommandContext& context,
                                  const EvaluateOptions& options) {
  absl::StatusOr<TimeUnit> unit = ParseTimeUnit(options.time_unit);
  if (!unit.ok()) return unit.status();
  absl::StatusOr<Baskets> baskets = LoadNextBaskets(options.heldout, *unit);
  if (!baskets.ok()) return baskets.status();
  if (baskets->empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.heldout, " has no event"));
  }
  auto history = PurchaseHistory::Load(options.history, *unit);
  if (!history.ok()) return history.status();
  auto items = LoadBundleItems(options.bundle);
  if (!items.ok()) return items.status();
  absl::StatusOr<Titles> titles = LoadTitles("", options.bundle);
  if (!titles.ok()) return titles.status();

  std::vector<Job> jobs;
  for (const auto& [user, basket] : *baskets) {
    if (options.max_users > 0 && jobs.size() == options.max_users) break;
    jobs.push_back({user, &basket, {}});
  }
  Client client = context.Connect();
  Progress progress(context.err,
                    {.terminal = context.err_is_terminal && !context.json,
                     .label = "ranking",
                     .unit = "users"});
  absl::Status ranked = RankAll(client, *items, options.top_k)
                            .Run(jobs, options.in_flight, progress);
  absl::Duration elapsed = progress.elapsed();
  progress.Clear();
  if (!ranked.ok()) return ranked;

  std::vector<Contender> contenders = Compare(jobs, *history, options.top_k);
  std::vector<absl::Duration> latencies = SortedLatencies(jobs);
  if (context.json) {
    PrintJson(contenders, latencies, options.top_k, items->size(), elapsed,
              context.out);
    return ExitCode::kOk;
  }
  // Spread evenly over all users, not chosen by how well they did.
  for (size_t i = 0; i < std::min(options.show, jobs.size()); ++i) {
    PrintUser(jobs[(2 * i + 1) * jobs.size() / (2 * options.show)], *titles,
              context.out);
  }
  PrintReport(contenders, latencies, options.top_k, items->size(), elapsed,
              context.out);
  return ExitCode::kOk;
}

}  // namespace

void AddEvaluateCommand(CommandSet& commands) {
  auto options = std::make_shared<EvaluateOptions>();
  CommandContext& context = commands.context();
  CLI::App* app = commands.Add(
      "evaluate",
      "Rank the catalogue for every user and compare with her next basket",
      [options, &context] { return Evaluate(context, *options); });
  app->add_option("--history", options->history,
                  "CSV that was imported, for the baselines")
      ->required();
  app->add_option("--heldout", options->heldout,
                  "CSV of later events, in order of time")
      ->required();
  app->add_option("--bundle", options->bundle,
                  "Folder of the model, for its items and titles")
      ->required();
  app->add_option("--time-unit", options->time_unit,
                  "How the files' time is written: s, ms, us or rfc3339")
      ->capture_default_str();
  app->add_option("--top-k", options->top_k)
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app->add_option("--in-flight", options->in_flight, "Requests at a time")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app->add_option("--max-users", options->max_users, "0: all of them")
      ->capture_default_str();
  app->add_option("--show", options->show, "Print so many users' rankings")
      ->capture_default_str();
}

}  // namespace qlarank
