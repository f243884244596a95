#include "server/metrics/model_metrics.h"

#include "server/metrics/metric_builders.h"

namespace qlarank {

ModelMetrics::ModelMetrics(prometheus::Registry& registry)
    : models_(GaugeFamily(registry, "qlarank_models",
                          "Model versions, by state.")),
      loads_(CounterFamily(registry, "qlarank_model_loads_total",
                           "Models loaded by request, by result.")),
      watch_(CounterFamily(registry, "qlarank_model_watch_total",
                           "Looks at the folders of models, versions loaded and "
                           "unloaded for them, and folders that could not be "
                           "listed.")),
      loading(models_.Add({{"state", "loading"}})),
      serving(models_.Add({{"state", "serving"}})),
      draining(models_.Add({{"state", "draining"}})),
      failed(models_.Add({{"state", "failed"}})),
      loads_ok(loads_.Add({{"result", "ok"}})),
      loads_failed(loads_.Add({{"result", "failed"}})),
      watch_looks(watch_.Add({{"event", "look"}})),
      watch_loaded(watch_.Add({{"event", "loaded"}})),
      watch_failed(watch_.Add({{"event", "failed"}})),
      watch_unloaded(watch_.Add({{"event", "unloaded"}})),
      watch_unlisted(watch_.Add({{"event", "unlisted"}})) {}

}  // namespace qlarank
