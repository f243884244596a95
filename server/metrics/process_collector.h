// The process's own figures under the names that every Prometheus client uses,
// read from /proc/self at every scrape:
//
//   process_cpu_seconds_total        process_open_fds
//   process_resident_memory_bytes    process_max_fds
//   process_virtual_memory_bytes     process_threads
//   process_start_time_seconds
//
// Thread-safe. A figure that cannot be read is left out.
#ifndef QLARANK_SERVER_METRICS_PROCESS_COLLECTOR_H_
#define QLARANK_SERVER_METRICS_PROCESS_COLLECTOR_H_

#include <optional>
#include <vector>

#include "absl/strings/string_view.h"
#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"

namespace qlarank {

// What one line of /proc/<pid>/stat says (man 5 proc).
struct ProcStat {
  double cpu_seconds = 0;  // user and system
  double start_seconds_after_boot = 0;
  double virtual_memory_bytes = 0;
  double resident_memory_bytes = 0;
  double threads = 0;
};

// Parses such a line; nullopt when it is malformed. The command in it may hold
// spaces and parentheses.
std::optional<ProcStat> ParseProcStat(absl::string_view line,
                                      double ticks_per_second,
                                      double page_bytes);

class ProcessCollector : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_METRICS_PROCESS_COLLECTOR_H_
