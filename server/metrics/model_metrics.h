// What is counted of models that are loaded and unloaded while the server runs.
// Thread-safe; handles live as long as the registry.
#ifndef QLARANK_SERVER_METRICS_MODEL_METRICS_H_
#define QLARANK_SERVER_METRICS_MODEL_METRICS_H_

#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/registry.h"

namespace qlarank {

class ModelMetrics {
 private:
  prometheus::Family<prometheus::Gauge>& models_;
  prometheus::Family<prometheus::Counter>& loads_;
  prometheus::Family<prometheus::Counter>& watch_;

 public:
  // `registry` must outlive this.
  explicit ModelMetrics(prometheus::Registry& registry);

  // qlarank_models{state}: versions that are in it now.
  prometheus::Gauge& loading;
  prometheus::Gauge& serving;
  prometheus::Gauge& draining;
  prometheus::Gauge& failed;

  // qlarank_model_loads_total{result}: of LoadModel, but for what was refused
  // before it began.
  prometheus::Counter& loads_ok;
  prometheus::Counter& loads_failed;

  // qlarank_model_watch_total{event}: looks of model_watch, what it did for
  // folders that came and went, and folders that could not be listed.
  prometheus::Counter& watch_looks;
  prometheus::Counter& watch_loaded;
  prometheus::Counter& watch_failed;
  prometheus::Counter& watch_unloaded;
  prometheus::Counter& watch_unlisted;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_METRICS_MODEL_METRICS_H_
