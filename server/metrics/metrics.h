// Every metric of the server, in groups by concern. Made once at start and
// passed by reference to whoever counts; no metric is looked up by its labels
// afterwards. docs/operations.md explains each one to operators;
// tests/server/metrics/metric_names.txt lists them all.
//
//   Metrics metrics;
//   metrics.state.lookups_hit.Increment();
//
// Thread-safe, except where a group's header says otherwise.
#ifndef QLARANK_SERVER_METRICS_METRICS_H_
#define QLARANK_SERVER_METRICS_METRICS_H_

#include "prometheus/registry.h"
#include "server/metrics/catalogue_metrics.h"
#include "server/metrics/copy_metrics.h"
#include "server/metrics/export_metrics.h"
#include "server/metrics/health_metrics.h"
#include "server/metrics/info_metrics.h"
#include "server/metrics/ingest_metrics.h"
#include "server/metrics/migration_metrics.h"
#include "server/metrics/model_metrics.h"
#include "server/metrics/rank_metrics.h"
#include "server/metrics/request_log_metrics.h"
#include "server/metrics/retention_metrics.h"
#include "server/metrics/rpc_metrics.h"
#include "server/metrics/security_metrics.h"
#include "server/metrics/shadow_metrics.h"
#include "server/metrics/state_metrics.h"

namespace qlarank {

struct Metrics {
  // First: the groups hold references into it.
  prometheus::Registry registry;

  RpcMetrics rpc{registry};
  RankMetrics rank{registry};
  StateMetrics state{registry};
  IngestMetrics ingest{registry};
  MigrationMetrics migration{registry};
  RetentionMetrics retention{registry};
  RequestLogMetrics request_log{registry};
  CopyMetrics copies{registry};
  ExportMetrics exports{registry};
  InfoMetrics info{registry};
  ModelMetrics models{registry};
  CatalogueMetrics catalogue{registry};
  SecurityMetrics security{registry};
  HealthMetrics health{registry};
  ShadowMetrics shadow{registry};
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_METRICS_METRICS_H_
