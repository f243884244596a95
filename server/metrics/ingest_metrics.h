// What ingestion and folding count. Thread-safe; handles live as long as the
// registry.
#ifndef QLARANK_SERVER_METRICS_INGEST_METRICS_H_
#define QLARANK_SERVER_METRICS_INGEST_METRICS_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace qlarank {

// What one model version makes of the events that it folds: of those in
// qlarank_fold_events_total.
struct ModelFoldMetrics {
  // qlarank_fold_unknown_actions_total{model, version}: with an action that the
  // model does not know.
  prometheus::Counter& unknown_actions;
  // qlarank_fold_missing_features_total{model, version}: without an event
  // feature that the model has.
  prometheus::Counter& missing_features;
};

class IngestMetrics {
 private:
  prometheus::Family<prometheus::Counter>& events_;
  prometheus::Family<prometheus::Counter>& fold_unknown_actions_;
  prometheus::Family<prometheus::Counter>& fold_missing_features_;

 public:
  // `registry` must outlive this.
  explicit IngestMetrics(prometheus::Registry& registry);

  // The handles of a model version; the same ones when asked again. Takes a
  // lock: once when the model is loaded, not once a fold.
  ModelFoldMetrics ForModel(absl::string_view name, uint64_t version);

  // qlarank_ingest_events_total{result}. `applied` and `duplicate` add up to
  // the events acknowledged; `late` counts, besides, those of the applied whose
  // time is before the user's newest event. Refused were `invalid`; `held_back`
  // behind a refused one; and `refused`, for other reasons.
  prometheus::Counter& events_applied;
  prometheus::Counter& events_duplicate;
  prometheus::Counter& events_late;
  prometheus::Counter& events_invalid;
  prometheus::Counter& events_held_back;
  prometheus::Counter& events_refused;
  // qlarank_ingest_unknown_category_values_total: that the default model does
  // not know.
  prometheus::Counter& unknown_category_values;

  // qlarank_ingest_fenced_pairs: users and sources, as pairs, of which events
  // are held back. qlarank_ingest_fenced_positions: events that they wait for.
  // qlarank_ingest_closed_sources: sources with too many of those.
  // qlarank_ingest_fence_forgotten_total: refused events that are not
  // remembered (server/partition/gap_fence.h).
  prometheus::Gauge& fence_pairs;
  prometheus::Gauge& fence_positions;
  prometheus::Gauge& fence_closed_sources;
  prometheus::Counter& fence_forgotten;

  // qlarank_ingest_source_marks: sources that are marked.
  prometheus::Gauge& source_marks;

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

#endif  // QLARANK_SERVER_METRICS_INGEST_METRICS_H_
