// What is counted about user states: where they were found, how old they are,
// how much memory they take. Thread-safe; handles live as long as the registry.
#ifndef QLARANK_SERVER_METRICS_STATE_METRICS_H_
#define QLARANK_SERVER_METRICS_STATE_METRICS_H_

#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace qlarank {

class StateMetrics {
 private:
  prometheus::Family<prometheus::Counter>& lookups_;
  prometheus::Family<prometheus::Counter>& summaries_;
  prometheus::Family<prometheus::Counter>& readings_;
  prometheus::Family<prometheus::Counter>& not_finite_;

 public:
  // `registry` must outlive this.
  explicit StateMetrics(prometheus::Registry& registry);

  // qlarank_state_lookups_total{result}: each look-up counts as one of these.
  prometheus::Counter& lookups_hit;       // in the cache
  prometheus::Counter& lookups_snapshot;  // the newest snapshot was current
  prometheus::Counter& lookups_replayed;  // log records were folded first
  prometheus::Counter& lookups_empty;     // a user without history
  // Only a state of another model was there: rebuilt or refused.
  prometheus::Counter& lookups_version_mismatch;
  prometheus::Counter& lookups_corrupt;  // damaged: rebuilt, or DATA_LOSS

  // qlarank_summaries_total{result}: summaries that a request needed.
  prometheus::Counter& summaries_hit;       // kept with the state
  prometheus::Counter& summaries_computed;  // made for the request

  // qlarank_readings_total{result}: what the candidates of a ranking share.
  prometheus::Counter& readings_hit;       // kept with the state
  prometheus::Counter& readings_computed;  // made for the request

  // qlarank_not_finite_total{what}: what a model computed and nobody was given.
  prometheus::Counter& scores_not_finite;     // requests
  prometheus::Counter& states_not_finite;     // folds
  prometheus::Counter& summaries_not_finite;  // requests

  // qlarank_state_age_seconds: from a state's newest event to the request that
  // reads it.
  prometheus::Histogram& age_seconds;

  // qlarank_cached_users and qlarank_cached_state_bytes: the user cache, all
  // models together, summaries counted.
  prometheus::Gauge& cached_users;
  prometheus::Gauge& cached_state_bytes;
  // qlarank_cached_reading_bytes: readings kept with states, all models
  // together.
  prometheus::Gauge& cached_reading_bytes;

  // qlarank_snapshots_written_total
  prometheus::Counter& snapshots_written;
  // qlarank_users_deleted_total
  prometheus::Counter& users_deleted;
  // qlarank_damaged_logs_total: reads that met a damaged log or head.
  prometheus::Counter& damaged_logs;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_METRICS_STATE_METRICS_H_
