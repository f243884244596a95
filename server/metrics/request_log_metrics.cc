#include "server/metrics/request_log_metrics.h"

#include "server/metrics/metric_builders.h"

namespace qlarank {

RequestLogMetrics::RequestLogMetrics(prometheus::Registry& registry)
    : records_(CounterFamily(
          registry, "qlarank_request_log_records_total",
          "Requests in the sample that is logged, by what became of them.")),
      written(records_.Add({{"result", "written"}})),
      queue_full(records_.Add({{"result", "queue_full"}})),
      write_error(records_.Add({{"result", "write_error"}})),
      too_large(records_.Add({{"result", "too_large"}})),
      late(records_.Add({{"result", "late"}})),
      erased(records_.Add({{"result", "erased"}})),
      written_bytes(PlainCounter(registry,
                                 "qlarank_request_log_written_bytes_total",
                                 "Bytes that were added to the request log.")),
      file_bytes(PlainGauge(registry, "qlarank_request_log_bytes",
                            "Bytes of the request log's files.")),
      queue_bytes(PlainGauge(registry, "qlarank_request_log_queue_bytes",
                             "Memory of requests that wait to be logged.")),
      erasures_pending(PlainGauge(
          registry, "qlarank_request_log_erasures_pending",
          "Erased users whose requests may be in the log's files yet.")) {}

}  // namespace qlarank
