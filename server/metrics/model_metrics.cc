#include "server/metrics/model_metrics.h"

#include "server/metrics/metric_builders.h"

namespace qlarank {

ModelMetrics::ModelMetrics(prometheus::Registry& registry)
    : models_(GaugeFamily(registry, "qlarank_models",
                          "Model versions, by state.")),
      loads_(CounterFamily(registry, "qlarank_model_loads_total",
                           "Models loaded by request, by result.")),
      loading(models_.Add({{"state", "loading"}})),
      serving(models_.Add({{"state", "serving"}})),
      draining(models_.Add({{"state", "draining"}})),
      failed(models_.Add({{"state", "failed"}})),
      loads_ok(loads_.Add({{"result", "ok"}})),
      loads_failed(loads_.Add({{"result", "failed"}})) {}

}  // namespace qlarank
