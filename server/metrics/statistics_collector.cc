#include "server/metrics/statistics_collector.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace qlarank {
namespace {

std::string MetricName(const std::string& prefix, const std::string& name) {
  std::string result = absl::StrCat(prefix, name);
  for (char& c : result) {
    if (!absl::ascii_isalnum(c)) c = '_';
  }
  return result;
}

}  // namespace

StatisticsCollector::StatisticsCollector(std::string prefix, std::string origin,
                                         Statistics statistics)
    : prefix_(std::move(prefix)),
      origin_(std::move(origin)),
      statistics_(std::move(statistics)) {}

std::vector<prometheus::MetricFamily> StatisticsCollector::Collect() const {
  std::vector<prometheus::MetricFamily> families;
  for (const auto& [name, value] : statistics_()) {
    prometheus::MetricFamily family;
    family.name = MetricName(prefix_, name);
    family.help = absl::StrCat("From ", origin_, ": ", name, ".");
    family.metric.emplace_back();
    if (absl::EndsWith(name, "_total")) {
      family.type = prometheus::MetricType::Counter;
      family.metric.back().counter.value = value;
    } else {
      family.type = prometheus::MetricType::Gauge;
      family.metric.back().gauge.value = value;
    }
    families.push_back(std::move(family));
  }
  return families;
}

}  // namespace qlarank
