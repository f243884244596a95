// What ingestion and folding count. Thread-safe; handles live as long as the
// registry.
#ifndef QLARANK_SERVER_OPS_INGEST_METRICS_H_
#define QLARANK_SERVER_OPS_INGEST_METRICS_H_

#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace qlarank {

class IngestMetrics {
 private:
  prometheus::Family<prometheus::Counter>& events_;

 public:
  // `registry` must outlive this.
  explicit IngestMetrics(prometheus::Registry& registry);

  // qlarank_ingest_events_total{result}. `applied` and `duplicate` add up to
  // the events acknowledged; `late` counts, besides, those of the applied whose
  // time is before the user's newest event; `invalid` were refused.
  prometheus::Counter& events_applied;
  prometheus::Counter& events_duplicate;
  prometheus::Counter& events_late;
  prometheus::Counter& events_invalid;

  // qlarank_ingest_group_events: events that shared one synced commit.
  prometheus::Histogram& group_events;
  // qlarank_ingest_commit_seconds: how long that commit took.
  prometheus::Histogram& commit_seconds;
  // qlarank_ingest_lag_seconds: from an event's arrival to the published state
  // that holds it.
  prometheus::Histogram& lag_seconds;

  // qlarank_fold_events_total: events folded, all models together.
  prometheus::Counter& fold_events;
  // qlarank_fold_backlog_users: users with events waiting to be folded.
  prometheus::Gauge& fold_backlog_users;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_OPS_INGEST_METRICS_H_
