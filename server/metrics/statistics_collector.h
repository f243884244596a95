// Figures that somebody else keeps (RocksDB, through StateStore::Statistics; the
// configuration), read at every scrape and exposed under a prefix.
#ifndef QLARANK_SERVER_METRICS_STATISTICS_COLLECTOR_H_
#define QLARANK_SERVER_METRICS_STATISTICS_COLLECTOR_H_

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"

namespace qlarank {

class StatisticsCollector : public prometheus::Collectable {
 public:
  using Statistics = std::function<std::map<std::string, double>()>;

  // Exposes every figure of `statistics` as <prefix><name>: a counter when the
  // name ends in "_total", else a gauge. A character that may not stand in a
  // metric's name becomes "_". `statistics` is called from scraping threads;
  // `origin` says in the help text whose they are.
  StatisticsCollector(std::string prefix, std::string origin,
                      Statistics statistics);

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const std::string prefix_;
  const std::string origin_;
  const Statistics statistics_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_METRICS_STATISTICS_COLLECTOR_H_
