// qlarank rank: the best candidates for a user, by name.
#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "cli/catalogue.h"
#include "cli/command.h"
#include "cli/event_time.h"
#include "cli/item_features.h"
#include "cli/option_checks.h"
#include "cli/progress.h"
#include "cli/ranking.h"
#include "cli/state_text.h"
#include "cli/table.h"
#include "model/bundle.h"
#include "nlohmann/json.hpp"

namespace qlarank {
namespace {

struct RankOptions {
  std::string user;
  std::string items;
  std::string items_file;
  bool all = false;
  std::string bundle;
  std::string titles;
  std::string model;
  uint64_t version = 0;
  std::string label;
  uint32_t top_k = 10;
  std::string time;
  std::string time_unit = "s";
  std::vector<std::string> context;
  std::string features;
  ItemColumn item;  // of --features; its keys are those of candidates, too
  uint64_t min_event_count = 0;
};

absl::StatusOr<std::vector<uint64_t>> Candidates(const RankOptions& options) {
  const ItemKeys keys = options.item.keys;
  if (!options.items.empty()) return ParseItems(options.items, keys);
  if (!options.items_file.empty()) return LoadItems(options.items_file, keys);
  if (options.bundle.empty()) {
    return absl::InvalidArgumentError(
        "--all needs --bundle, the folder of the model whose items they are");
  }
  return LoadBundleItems(options.bundle);
}

absl::Status AddFeatures(const RankOptions& options,
                         v1::RankRequest& request) {
  if (options.bundle.empty()) {
    return absl::InvalidArgumentError(
        "--features needs --bundle, the folder of the model whose features "
        "they are");
  }
  auto bundle = Bundle::Load(options.bundle);
  if (!bundle.ok()) return bundle.status();
  return FillFeatures((*bundle)->spec(), options.features, options.item,
                      request);
}

absl::StatusOr<v1::RankRequest> MakeRequest(const RankOptions& options) {
  v1::RankRequest request;
  request.set_user_id(options.user);
  request.set_model_name(options.model);
  request.set_model_version(options.version);
  request.set_model_label(options.label);
  request.set_top_k(options.top_k);
  request.set_min_event_count(options.min_event_count);
  absl::StatusOr<std::vector<uint64_t>> items = Candidates(options);
  if (!items.ok()) return items.status();
  request.mutable_item_ids()->Add(items->begin(), items->end());
  for (const std::string& pair : options.context) {
    if (pair.find('=') == std::string::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("--context \"", pair, "\" is not name=value"));
    }
    std::pair<std::string, std::string> parts =
        absl::StrSplit(pair, absl::MaxSplits('=', 1));
    (*request.mutable_context())[parts.first] = parts.second;
  }
  if (!options.features.empty()) {
    if (absl::Status s = AddFeatures(options, request); !s.ok()) return s;
  }
  if (!options.time.empty()) {
    auto time = ParseTimeOption("--time", options.time, options.time_unit);
    if (!time.ok()) return time.status();
    *request.mutable_request_time() = *time;
  }
  return request;
}

// What items are called: the texts by which they are known, and their titles.
struct Names {
  Titles keys;
  Titles titles;
};

absl::StatusOr<Names> LoadNames(const RankOptions& options) {
  absl::StatusOr<Titles> titles = LoadTitles(options.titles, options.bundle);
  if (!titles.ok()) return titles.status();
  absl::StatusOr<Titles> keys = LoadItemKeys(options.bundle);
  if (!keys.ok()) return keys.status();
  return Names{*std::move(keys), *std::move(titles)};
}

void PrintJson(const v1::RankRequest& request, const Ranking& ranking,
               const Names& names, std::ostream& out) {
  const v1::RankResponse& response = ranking.response;
  nlohmann::json items = nlohmann::json::array();
  for (uint32_t index : response.order()) {
    uint64_t id = request.item_ids(index);
    nlohmann::json item{{"item_id", absl::StrCat(id)}};
    if (!names.keys.empty()) item["item_key"] = std::string(names.keys.Of(id));
    if (!names.titles.empty()) item["title"] = std::string(names.titles.Of(id));
    for (int t = 0; t < response.tasks_size(); ++t) {
      item["scores"][response.tasks(t)] =
          response.scores(index * response.tasks_size() + t);
    }
    items.push_back(std::move(item));
  }
  out << nlohmann::json{{"user", request.user_id()},
                        {"model", response.model_name()},
                        {"version", response.model_version()},
                        {"candidates", request.item_ids_size()},
                        {"unknown_items", response.unknown_items_size()},
                        {"scored_fraction", response.scored_fraction()},
                        {"state", StateToJson(response.state())},
                        {"latency_ms",
                         absl::ToDoubleMilliseconds(ranking.latency)},
                        {"items", std::move(items)}}
             .dump()
      << "\n";
}

void PrintTable(const v1::RankRequest& request, const Ranking& ranking,
                const Names& names, std::ostream& out) {
  const v1::RankResponse& response = ranking.response;
  const Titles& titles = names.titles;
  std::vector<Table::Column> columns{{"rank", Align::kRight},
                                     {"item", Align::kRight}};
  if (!titles.empty()) columns.push_back({"title", Align::kLeft});
  for (const std::string& task : response.tasks()) {
    columns.push_back({task, Align::kRight});
  }
  Table table(std::move(columns));
  for (int rank = 0; rank < response.order_size(); ++rank) {
    uint32_t index = response.order(rank);
    uint64_t id = request.item_ids(index);
    const absl::string_view key = names.keys.Of(id);
    std::vector<std::string> row{absl::StrCat(rank + 1),
                                 key.empty() ? absl::StrCat(id)
                                             : Shorten(std::string(key), 48)};
    if (!titles.empty()) {
      row.push_back(Shorten(std::string(titles.Of(id)), 48));
    }
    for (int t = 0; t < response.tasks_size(); ++t) {
      row.push_back(absl::StrFormat(
          "%.4f", response.scores(index * response.tasks_size() + t)));
    }
    table.AddRow(std::move(row));
  }
  table.Print(out);
}

void PrintStory(const v1::RankRequest& request, const Ranking& ranking,
                std::ostream& out) {
  const v1::RankResponse& response = ranking.response;
  out << "state  " << StateToText(response.state()) << "\n"
      << "model  " << response.model_name() << "/" << response.model_version()
      << "\n";
  out << absl::StreamFormat(
      "%s candidates ranked in %.2f ms, the network counted",
      WithCommas(static_cast<uint64_t>(request.item_ids_size())),
      absl::ToDoubleMilliseconds(ranking.latency));
  if (response.unknown_items_size() > 0) {
    out << ", " << WithCommas(response.unknown_items_size())
        << " of them unknown to the model";
  }
  if (response.scored_fraction() < 1) {
    out << absl::StreamFormat(", only %.1f%% scored in time",
                              100 * response.scored_fraction());
  }
  out << "\n";
}

absl::StatusOr<ExitCode> Rank(CommandContext& context,
                              const RankOptions& options) {
  absl::StatusOr<v1::RankRequest> request = MakeRequest(options);
  if (!request.ok()) return request.status();
  absl::StatusOr<Names> names = LoadNames(options);
  if (!names.ok()) return names.status();
  absl::StatusOr<Ranking> ranking = RankTop(context.Connect(), *request);
  if (!ranking.ok()) return ranking.status();
  if (context.json) {
    PrintJson(*request, *ranking, *names, context.out);
  } else {
    PrintTable(*request, *ranking, *names, context.out);
    PrintStory(*request, *ranking, context.out);
  }
  return ExitCode::kOk;
}

}  // namespace

void AddRankCommand(CommandSet& commands) {
  auto options = std::make_shared<RankOptions>();
  CommandContext& context = commands.context();
  CLI::App* app =
      commands.Add("rank", "Rank candidates for a user",
                   [options, &context] { return Rank(context, *options); });
  app->add_option("--user", options->user)->required()->check(Utf8());
  auto* candidates = app->add_option_group("candidates", "One of these:");
  candidates->add_option("--items", options->items, "Ids, as 1,2,3");
  candidates->add_option("--items-file", options->items_file,
                         "A file of ids, - for stdin");
  AddItemKeysOption(app, options->item.keys);
  candidates->add_flag("--all", options->all, "Every item of --bundle");
  candidates->require_option(1);
  app->add_option("--bundle", options->bundle,
                  "Folder of the model, for its items and titles");
  app->add_option("--titles", options->titles,
                  "Lines of item, tab, title. Default: those of the bundle");
  app->add_option("--top-k", options->top_k, "Candidates to show")
      ->transform(WholeNumberOf<uint32_t>(1))
      ->capture_default_str();
  app->add_option("--time", options->time,
                  "The time that \"now\" is. Default: the server's clock");
  app->add_option(
         "--time-unit", options->time_unit,
         "How --time is written: s, ms, us (since 1970), or rfc3339 for "
         "2017-11-20T18:03:00Z")
      ->capture_default_str();
  app->add_option("--context", options->context,
                  "A context feature, name=value; may be repeated");
  app->add_option("--features", options->features,
                  "CSV of the items' candidate features, whose names --bundle "
                  "has");
  app->add_option("--item-column", options->item.name, "Of --features")
      ->capture_default_str();
  app->add_option("--min-event-count", options->min_event_count,
                  "Read your own writes: the state must hold so many events")
      ->transform(WholeNumberOf<uint64_t>(0));
  app->add_option("--model", options->model, "Default: the server's")
      ->check(Utf8());
  app->add_option("--model-version", options->version,
                  "Default: the one labelled stable, or else the newest")
      ->transform(WholeNumberOf<uint64_t>(0));
  app->add_option("--model-label", options->label,
                  "In place of a version: the one with this label")
      ->check(Utf8());
}

}  // namespace qlarank
