// What ranking counts. All handles are resolved when this is made or a model is
// added: counting is an atomic addition, observing takes one histogram's mutex.
// So observe once a request, never once a candidate.
//
//   ModelRankMetrics& model = metrics.rank.ForModel("grocery", 1);  // at load
//   ...
//   ObserveSeconds(metrics.rank.score_seconds, score_time);  // per request
//   ObserveSeconds(model.duration_seconds, total_time);
//   model.requests.Increment(status.code());
//
// Thread-safe. Handles live as long as the registry.
#ifndef QLARANK_SERVER_METRICS_RANK_METRICS_H_
#define QLARANK_SERVER_METRICS_RANK_METRICS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "server/metrics/histogram_buckets.h"
#include "server/metrics/status_code_counters.h"

namespace qlarank {

// The handles of one model version.
struct ModelRankMetrics {
  // qlarank_rank_requests_total{model, version, status}
  StatusCodeCounters requests;
  // qlarank_rank_duration_seconds{model, version}: from decoded to encoded.
  prometheus::Histogram& duration_seconds;
  // qlarank_rank_answered_by_version_before_total{model, version}: requests for
  // this version that the one before answered.
  prometheus::Counter& answered_by_version_before;
};

class RankMetrics {
 private:
  prometheus::Family<prometheus::Counter>& requests_;
  prometheus::Family<prometheus::Histogram>& duration_seconds_;
  prometheus::Family<prometheus::Counter>& answered_by_version_before_;
  prometheus::Family<prometheus::Histogram>& stage_seconds_;
  prometheus::Family<prometheus::Counter>& unscored_;

 public:
  // `registry` must outlive this.
  explicit RankMetrics(prometheus::Registry& registry);

  // The handles of a model version; the same ones when asked again. Takes a
  // lock: once when the model is loaded, not once a request.
  ModelRankMetrics& ForModel(absl::string_view name, uint64_t version);

  // qlarank_rank_stage_duration_seconds{stage}: where a request's time went.
  prometheus::Histogram& queue_seconds;       // waiting for a worker
  prometheus::Histogram& state_load_seconds;  // cache, or snapshot and replay
  prometheus::Histogram& score_seconds;       // candidates through the layers
  prometheus::Histogram& encode_seconds;      // scores into the response
  prometheus::Histogram& outside_seconds;     // all but the engine's time

  // qlarank_rank_candidates: candidates of one request.
  prometheus::Histogram& candidates;
  // qlarank_rank_candidates_unscored_total{reason}: given up, because of the
  // deadline or because the caller cancelled.
  prometheus::Counter& unscored_deadline;
  prometheus::Counter& unscored_cancelled;
  // qlarank_rank_unknown_items_total: scored with the out-of-vocabulary row.
  prometheus::Counter& unknown_items;
  // qlarank_rank_unknown_category_values_total: of candidates and recent
  // events, that the model does not know.
  prometheus::Counter& unknown_category_values;

  // qlarank_queue_depth: requests admitted that no worker has begun.
  prometheus::Gauge& queue_depth;
  // qlarank_inflight_requests: requests admitted and not yet answered.
  prometheus::Gauge& inflight_requests;

  // Requests that failed before a model was resolved: model="", version="".
  ModelRankMetrics no_model;

 private:
  ModelRankMetrics Resolve(const prometheus::Labels& labels);

  absl::Mutex mutex_;
  // By address, which stays: handles are handed out.
  std::map<std::pair<std::string, uint64_t>, std::unique_ptr<ModelRankMetrics>>
      models_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_METRICS_RANK_METRICS_H_
