#include "server/metrics/info_metrics.h"

#include "absl/strings/str_cat.h"
#include "server/metrics/metric_builders.h"
#include "server/metrics/version.h"

namespace qlarank {

InfoMetrics::InfoMetrics(prometheus::Registry& registry)
    : model_info_(GaugeFamily(registry, "qlarank_model_info",
                              "The model versions that are loaded.")),
      state_bytes_(GaugeFamily(registry, "qlarank_state_bytes",
                               "Size of one user's state.")) {
  GaugeFamily(registry, "qlarank_build_info", "The build that is running.")
      .Add(
          {{"version", std::string(BuildVersion())}, {"compiler", __VERSION__}})
      .Set(1);
}

void InfoMetrics::ModelLoaded(absl::string_view name, uint64_t version,
                              absl::string_view fingerprint,
                              absl::string_view precision,
                              uint64_t state_bytes) {
  const std::string version_label = absl::StrCat(version);
  model_info_
      .Add({{"model", std::string(name)},
            {"version", version_label},
            {"fingerprint", std::string(fingerprint)},
            {"precision", std::string(precision)}})
      .Set(1);
  state_bytes_.Add({{"model", std::string(name)}, {"version", version_label}})
      .Set(static_cast<double>(state_bytes));
}

}  // namespace qlarank
