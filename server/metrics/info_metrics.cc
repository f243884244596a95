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
  const prometheus::Labels labels = {{"model", std::string(name)},
                                     {"version", absl::StrCat(version)}};
  prometheus::Labels of_info = labels;
  of_info["fingerprint"] = std::string(fingerprint);
  of_info["precision"] = std::string(precision);
  OfModel model = {&model_info_.Add(of_info), &state_bytes_.Add(labels)};
  model.info->Set(1);
  model.state_bytes->Set(static_cast<double>(state_bytes));
  absl::MutexLock lock(&mutex_);
  loaded_[{std::string(name), version}] = model;
}

void InfoMetrics::ModelUnloaded(absl::string_view name, uint64_t version) {
  absl::MutexLock lock(&mutex_);
  const auto model = loaded_.extract({std::string(name), version});
  if (model.empty()) return;
  model_info_.Remove(model.mapped().info);
  state_bytes_.Remove(model.mapped().state_bytes);
}

}  // namespace qlarank
