// What is running: the build, and the models that are loaded. By custom these
// are gauges of value 1 whose labels carry the information, to be joined with
// other series. Thread-safe.
#ifndef QLARANK_SERVER_METRICS_INFO_METRICS_H_
#define QLARANK_SERVER_METRICS_INFO_METRICS_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/registry.h"

namespace qlarank {

class InfoMetrics {
 public:
  // Sets qlarank_build_info{version, compiler}. `registry` must outlive this.
  explicit InfoMetrics(prometheus::Registry& registry);

  // A model version is loaded:
  //   qlarank_model_info{model, version, fingerprint, precision} = 1; precision:
  //   "f32", "bf16" or "int8", what candidates are scored in
  //   qlarank_state_bytes{model, version} = the size of one user's state
  // The latter does not depend on the history's length; the features of the
  // newest event, 4 bytes each, come on top.
  void ModelLoaded(absl::string_view name, uint64_t version,
                   absl::string_view fingerprint, absl::string_view precision,
                   uint64_t state_bytes);
  // It is loaded no more: both are gone.
  void ModelUnloaded(absl::string_view name, uint64_t version);

 private:
  struct OfModel {
    prometheus::Gauge* info;
    prometheus::Gauge* state_bytes;
  };

  prometheus::Family<prometheus::Gauge>& model_info_;
  prometheus::Family<prometheus::Gauge>& state_bytes_;
  absl::Mutex mutex_;
  std::map<std::pair<std::string, uint64_t>, OfModel> loaded_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_METRICS_INFO_METRICS_H_
