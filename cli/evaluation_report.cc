#include "cli/evaluation_report.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/progress.h"
#include "cli/state_text.h"
#include "cli/table.h"
#include "nlohmann/json.hpp"

namespace qlarank {
namespace {

// What is printed for each cutoff.
std::vector<RankingQuality::Measure> Columns(const Contender& contender) {
  std::vector<RankingQuality::Measure> columns;
  for (const RankingQuality& quality : contender.qualities) {
    for (const RankingQuality::Measure& measure : quality.Measures()) {
      // With one item to find, recall is the hit rate and precision a k-th.
      bool needed = measure.name == "hit" || measure.name == "ndcg";
      if (needed || quality.many_relevant()) {
        columns.push_back(
            {absl::StrCat(measure.name, "@", quality.k()), measure.value});
      }
    }
  }
  return columns;
}

std::vector<std::string> Cells(const Contender& contender) {
  std::vector<std::string> cells{contender.name};
  for (const RankingQuality::Measure& measure : Columns(contender)) {
    cells.push_back(absl::StrFormat("%.4f", measure.value));
  }
  return cells;
}

}  // namespace

void PrintReport(const EvaluationReport& report, std::ostream& out) {
  std::vector<Table::Column> columns{{"", Align::kLeft}};
  for (const auto& measure : Columns(report.contenders.front())) {
    columns.push_back({measure.name, Align::kRight});
  }
  Table table(std::move(columns));
  for (const Contender& c : report.contenders) table.AddRow(Cells(c));
  table.Print(out);
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
  out << absl::StreamFormat(
      "latency  p50 %.1f ms  p90 %.1f ms  p99 %.1f ms  max %.1f ms\n",
      absl::ToDoubleMilliseconds(Percentile(report.latencies, 0.5)),
      absl::ToDoubleMilliseconds(Percentile(report.latencies, 0.9)),
      absl::ToDoubleMilliseconds(Percentile(report.latencies, 0.99)),
      absl::ToDoubleMilliseconds(report.latencies.back()));
}

void PrintReportJson(const EvaluationReport& report, std::ostream& out) {
  nlohmann::json json{{"users", report.latencies.size()},
                      {"users_without_history", report.users_without_history},
                      {"candidates", report.candidates},
                      {"seconds", absl::ToDoubleSeconds(report.elapsed)}};
  for (const Contender& contender : report.contenders) {
    for (const RankingQuality& quality : contender.qualities) {
      for (const RankingQuality::Measure& measure : quality.Measures()) {
        std::string name = absl::StrCat(measure.name, "@", quality.k());
        json[contender.key][name] = measure.value;
      }
    }
  }
  for (auto [name, fraction] :
       {std::pair{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"max", 1.0}}) {
    json["latency_ms"][name] =
        absl::ToDoubleMilliseconds(Percentile(report.latencies, fraction));
  }
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
