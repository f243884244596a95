// What is counted about copies of the store. Thread-safe; handles live as long
// as the registry.
#ifndef QLARANK_SERVER_METRICS_COPY_METRICS_H_
#define QLARANK_SERVER_METRICS_COPY_METRICS_H_

#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/registry.h"

namespace qlarank {

class CopyMetrics {
 private:
  prometheus::Family<prometheus::Counter>& copies_;
  prometheus::Family<prometheus::Gauge>& last_times_;

 public:
  struct Kind {
    // qlarank_store_copies_total{kind,result}
    prometheus::Counter& ok;
    prometheus::Counter& failed;
    // qlarank_store_copy_timestamp_seconds{kind}: when the last good one was
    // made since the start, 0 before.
    prometheus::Gauge& last_time;
  };

  // `registry` must outlive this.
  explicit CopyMetrics(prometheus::Registry& registry);

  Kind checkpoint;
  Kind backup;

 private:
  Kind MakeKind(const char* kind);
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_METRICS_COPY_METRICS_H_
