#include "cli/evaluation_report.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/progress.h"
#include "cli/state_text.h"
#include "cli/table.h"
#include "nlohmann/json.hpp"

namespace qlarank {
namespace {

// ".5592 ± .0105": a mean and its standard error, if there is one.
std::string Figure(const RankingQuality::Measure& measure) {
  auto text = [](double value) {
    std::string digits = absl::StrFormat("%.4f", value);
    return digits[0] == '0' ? digits.substr(1) : digits;
  };
  if (std::isnan(measure.standard_error)) return text(measure.value);
  return absl::StrCat(text(measure.value), " ± ", text(measure.standard_error));
}

std::vector<RankingQuality::Measure> Columns(const Contender& contender) {
  std::vector<RankingQuality::Measure> columns;
  for (const RankingQuality& quality : contender.all) {
    for (RankingQuality::Measure& measure : quality.Measures()) {
      // With one item to find, recall is the hit rate and precision a k-th.
      bool needed = measure.name == "hit" || measure.name == "ndcg";
      if (needed || quality.many_relevant()) {
        absl::StrAppend(&measure.name, "@", quality.k());
        columns.push_back(measure);
      }
    }
  }
  return columns;
}

// Hit and NDCG at the first cutoff.
std::vector<RankingQuality::Measure> KindColumns(const Contender& contender) {
  std::vector<RankingQuality::Measure> columns;
  for (auto& [kind, qualities] :
       {std::pair("repeat", &contender.repeat),
        std::pair("first time", &contender.first_time)}) {
    const RankingQuality& quality = qualities->front();
    for (RankingQuality::Measure& measure : quality.Measures()) {
      if (measure.name != "hit" && measure.name != "ndcg") continue;
      measure.name = absl::StrCat(kind, " ", measure.name, "@", quality.k());
      columns.push_back(measure);
    }
  }
  return columns;
}

void PrintTable(const std::vector<Contender>& contenders,
                std::vector<RankingQuality::Measure> (*columns_of)(
                    const Contender& contender),
                std::ostream& out) {
  std::vector<Table::Column> columns{{"", Align::kLeft}};
  for (const auto& measure : columns_of(contenders.front())) {
    columns.push_back({measure.name, Align::kRight});
  }
  Table table(std::move(columns));
  for (const Contender& contender : contenders) {
    std::vector<std::string> cells{contender.name};
    for (const auto& measure : columns_of(contender)) {
      cells.push_back(Figure(measure));
    }
    table.AddRow(std::move(cells));
  }
  table.Print(out);
}

// By whether targets are repeats, if there are both.
void PrintKinds(const std::vector<Contender>& contenders, std::ostream& out) {
  const uint64_t repeat = contenders.front().repeat.front().users();
  const uint64_t first_time = contenders.front().first_time.front().users();
  if (repeat == 0 || first_time == 0) return;
  out << "\n";
  PrintTable(contenders, KindColumns, out);
  out << "repeat targets: " << WithCommas(repeat)
      << " users; first time targets: " << WithCommas(first_time) << " users\n";
}

nlohmann::json ToJson(const Qualities& qualities) {
  nlohmann::json json;
  for (const RankingQuality& quality : qualities) {
    for (const RankingQuality::Measure& measure : quality.Measures()) {
      std::string name = absl::StrCat(measure.name, "@", quality.k());
      json[name] = measure.value;
      // Null of one user: JSON has no NaN.
      json["standard errors"][name] = measure.standard_error;
    }
  }
  return json;
}

nlohmann::json ToJson(const Contender& contender) {
  nlohmann::json json = ToJson(contender.all);
  for (auto& [kind, qualities] :
       {std::pair("repeat", &contender.repeat),
        std::pair("first time", &contender.first_time),
        std::pair("new item", &contender.new_item)}) {
    if (qualities->front().users() == 0) continue;
    json[kind] = ToJson(*qualities);
    json[kind]["users"] = qualities->front().users();
  }
  return json;
}

}  // namespace

void PrintReport(const EvaluationReport& report, std::ostream& out) {
  PrintTable(report.contenders, Columns, out);
  PrintKinds(report.contenders, out);
  const double seconds = absl::ToDoubleSeconds(report.elapsed);
  const double scored =
      static_cast<double>(report.latencies.size() * report.candidates);
  out << absl::StreamFormat(
      "\n%s users, %s candidates each, in %.1f s: %s candidates a second\n",
      WithCommas(report.latencies.size()), WithCommas(report.candidates),
      seconds, WithCommas(static_cast<uint64_t>(scored / seconds)));
  if (report.users_without_history > 0) {
    out << WithCommas(report.users_without_history)
        << " more have no history and are left out\n";
  }
  PrintLatencies(report.latencies, out);
}

void PrintLatencies(const std::vector<absl::Duration>& latencies,
                    std::ostream& out) {
  out << absl::StreamFormat(
      "latency  p50 %.1f ms  p90 %.1f ms  p99 %.1f ms  max %.1f ms\n",
      absl::ToDoubleMilliseconds(Percentile(latencies, 0.5)),
      absl::ToDoubleMilliseconds(Percentile(latencies, 0.9)),
      absl::ToDoubleMilliseconds(Percentile(latencies, 0.99)),
      absl::ToDoubleMilliseconds(latencies.back()));
}

nlohmann::json LatenciesToJson(const std::vector<absl::Duration>& latencies) {
  nlohmann::json json;
  for (auto [name, fraction] :
       {std::pair{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"max", 1.0}}) {
    json[name] = absl::ToDoubleMilliseconds(Percentile(latencies, fraction));
  }
  return json;
}

void PrintReportJson(const EvaluationReport& report, std::ostream& out) {
  nlohmann::json json{{"users", report.latencies.size()},
                      {"users_without_history", report.users_without_history},
                      {"candidates", report.candidates},
                      {"seconds", absl::ToDoubleSeconds(report.elapsed)}};
  for (const Contender& contender : report.contenders) {
    json[contender.name] = ToJson(contender);
  }
  json["latency_ms"] = LatenciesToJson(report.latencies);
  out << json.dump() << "\n";
}

void PrintExample(const EvaluationCase& next, const RankJob& job, size_t rows,
                  const Titles& titles, std::ostream& out) {
  auto name = [&](uint64_t item) {
    absl::string_view title = titles.Of(item);
    return title.empty() ? absl::StrCat("item ", item)
                         : Shorten(std::string(title), 34);
  };
  std::vector<uint64_t> ranked = job.ranking.items;
  ranked.resize(std::min(rows, ranked.size()));
  // What was found stands first, so that the eye can match the columns.
  std::vector<uint64_t> really = next.items;
  std::stable_partition(really.begin(), really.end(), [&](uint64_t item) {
    return std::find(ranked.begin(), ranked.end(), item) != ranked.end();
  });
  out << "user " << job.user << ", "
      << StateToText(job.ranking.response.state()) << "; next at "
      << FormatTime(next.time) << "\n";
  Table table(
      {{"rank", Align::kRight},
       {"", Align::kLeft},
       {"the top of the ranking", Align::kLeft},
       {absl::StrCat("what came (", really.size(), " items)"), Align::kLeft}});
  for (size_t i = 0; i < ranked.size(); ++i) {
    std::string came = i < really.size() ? name(really[i]) : "";
    if (i + 1 == ranked.size() && really.size() > ranked.size()) {
      came = absl::StrCat("and ", really.size() - i, " more");
    }
    bool found =
        std::binary_search(next.items.begin(), next.items.end(), ranked[i]);
    table.AddRow(
        {absl::StrCat(i + 1), found ? "*" : "", name(ranked[i]), came});
  }
  table.Print(out);
  out << "\n";
}

}  // namespace qlarank
