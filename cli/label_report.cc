#include "cli/label_report.h"

#include <cmath>

#include "absl/strings/str_format.h"
#include "cli/evaluation_report.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "nlohmann/json.hpp"

namespace qlarank {
namespace {

// ".7521"; "" of what is not defined.
std::string Figure(double value) {
  if (std::isnan(value)) return "";
  std::string digits = absl::StrFormat("%.4f", value);
  return digits[0] == '0' ? digits.substr(1) : digits;
}

}  // namespace

void PrintLabelReport(const LabelReport& report, std::ostream& out) {
  Table table({{"", Align::kLeft},
               {"labels", Align::kRight},
               {"rate", Align::kRight},
               {"AUC", Align::kRight},
               {"NE", Align::kRight},
               {"calibration", Align::kRight}});
  for (const LabelReport::Task& task : report.tasks) {
    const LabelQuality& quality = task.quality;
    table.AddRow({task.name, WithCommas(quality.labels), Figure(quality.rate),
                  Figure(quality.auc), Figure(quality.normalised_entropy),
                  Figure(quality.calibration)});
  }
  table.Print(out);
  out << absl::StreamFormat(
      "\n%s events with labels of %s users, in %s requests, in %.1f s\n",
      WithCommas(report.events), WithCommas(report.users),
      WithCommas(report.latencies.size()),
      absl::ToDoubleSeconds(report.elapsed));
  PrintLatencies(report.latencies, out);
}

void PrintLabelReportJson(const LabelReport& report, std::ostream& out) {
  nlohmann::json json{{"users", report.users},
                      {"events", report.events},
                      {"requests", report.latencies.size()},
                      {"seconds", absl::ToDoubleSeconds(report.elapsed)},
                      {"latency_ms", LatenciesToJson(report.latencies)}};
  for (const LabelReport::Task& task : report.tasks) {
    // What is not defined is null: JSON has no NaN.
    json["tasks"][task.name] = {{"labels", task.quality.labels},
                                {"rate", task.quality.rate},
                                {"auc", task.quality.auc},
                                {"ne", task.quality.normalised_entropy},
                                {"calibration", task.quality.calibration}};
  }
  out << json.dump() << "\n";
}

}  // namespace qlarank
