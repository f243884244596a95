// What is counted about the log of requests. Thread-safe; handles live as long
// as the registry.
#ifndef QLARANK_SERVER_METRICS_REQUEST_LOG_METRICS_H_
#define QLARANK_SERVER_METRICS_REQUEST_LOG_METRICS_H_

#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/registry.h"

namespace qlarank {

class RequestLogMetrics {
 public:
  // `registry` must outlive this.
  explicit RequestLogMetrics(prometheus::Registry& registry);

 private:
  prometheus::Family<prometheus::Counter>& records_;

 public:
  // qlarank_request_log_records_total{result}: of the requests in the sample
  // that were answered.
  prometheus::Counter& written;
  prometheus::Counter& queue_full;
  prometheus::Counter& write_error;
  prometheus::Counter& too_large;  // for a file
  prometheus::Counter& late;       // too old to know whether its user is erased
  prometheus::Counter& erased;     // of a user who was erased meanwhile
  // qlarank_request_log_written_bytes_total
  prometheus::Counter& written_bytes;
  // qlarank_request_log_bytes: of all files.
  prometheus::Gauge& file_bytes;
  // qlarank_request_log_queue_bytes: what waits to be written.
  prometheus::Gauge& queue_bytes;
  // qlarank_request_log_erasures_pending: erased users whose records may be in
  // the files yet.
  prometheus::Gauge& erasures_pending;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_METRICS_REQUEST_LOG_METRICS_H_
