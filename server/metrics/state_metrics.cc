#include "server/metrics/state_metrics.h"

#include "server/metrics/histogram_buckets.h"
#include "server/metrics/metric_builders.h"

namespace qlarank {

StateMetrics::StateMetrics(prometheus::Registry& registry)
    : lookups_(CounterFamily(registry, "qlarank_state_lookups_total",
                             "Look-ups of a user state, by result.")),
      summaries_(CounterFamily(registry, "qlarank_summaries_total",
                               "Summaries that requests needed, by result.")),
      readings_(CounterFamily(registry, "qlarank_readings_total",
                              "Readings of a state that rankings needed, by "
                              "result.")),
      not_finite_(CounterFamily(
          registry, "qlarank_not_finite_total",
          "What models computed that is not a finite number, refused.")),
      lookups_hit(lookups_.Add({{"result", "hit"}})),
      lookups_snapshot(lookups_.Add({{"result", "snapshot"}})),
      lookups_replayed(lookups_.Add({{"result", "replayed"}})),
      lookups_empty(lookups_.Add({{"result", "empty"}})),
      lookups_version_mismatch(lookups_.Add({{"result", "version_mismatch"}})),
      lookups_corrupt(lookups_.Add({{"result", "corrupt"}})),
      summaries_hit(summaries_.Add({{"result", "hit"}})),
      summaries_computed(summaries_.Add({{"result", "computed"}})),
      readings_hit(readings_.Add({{"result", "hit"}})),
      readings_computed(readings_.Add({{"result", "computed"}})),
      scores_not_finite(not_finite_.Add({{"what", "scores"}})),
      states_not_finite(not_finite_.Add({{"what", "states"}})),
      summaries_not_finite(not_finite_.Add({{"what", "summaries"}})),
      age_seconds(PlainHistogram(
          registry, "qlarank_state_age_seconds",
          "Age of a state's newest event when a request reads it.",
          AgeBuckets())),
      cached_users(PlainGauge(registry, "qlarank_cached_users",
                              "User states in the cache.")),
      cached_state_bytes(PlainGauge(registry, "qlarank_cached_state_bytes",
                                    "Memory of the user states cached, their "
                                    "summaries counted.")),
      cached_reading_bytes(PlainGauge(registry, "qlarank_cached_reading_bytes",
                                      "Memory of the readings kept with user "
                                      "states.")),
      snapshots_written(PlainCounter(registry,
                                     "qlarank_snapshots_written_total",
                                     "Snapshots of user states written.")),
      users_deleted(PlainCounter(registry, "qlarank_users_deleted_total",
                                 "Users erased.")),
      damaged_logs(PlainCounter(
          registry, "qlarank_damaged_logs_total",
          "Reads that met a damaged event log or head of a user.")) {}

}  // namespace qlarank
