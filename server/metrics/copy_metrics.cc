#include "server/metrics/copy_metrics.h"

#include "server/metrics/metric_builders.h"

namespace qlarank {

CopyMetrics::CopyMetrics(prometheus::Registry& registry)
    : copies_(CounterFamily(registry, "qlarank_store_copies_total",
                            "Copies of the store, by kind and result.")),
      last_times_(GaugeFamily(registry, "qlarank_store_copy_timestamp_seconds",
                              "When the last good copy was made, by kind.")),
      checkpoint(MakeKind("checkpoint")),
      backup(MakeKind("backup")) {}

CopyMetrics::Kind CopyMetrics::MakeKind(const char* kind) {
  return {copies_.Add({{"kind", kind}, {"result", "ok"}}),
          copies_.Add({{"kind", kind}, {"result", "failed"}}),
          last_times_.Add({{"kind", kind}})};
}

}  // namespace qlarank
