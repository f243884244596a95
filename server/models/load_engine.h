// From a model's configuration to its engine.
#ifndef QLARANK_SERVER_MODELS_LOAD_ENGINE_H_
#define QLARANK_SERVER_MODELS_LOAD_ENGINE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "config/server_options.h"
#include "model/engine.h"

namespace qlarank {

// A model as messages name it.
std::string ModelLabel(absl::string_view name, uint64_t version);

// The bundle. Errors are those of Bundle::Load; FAILED_PRECONDITION for one of
// another fingerprint than is expected.
absl::StatusOr<std::shared_ptr<const Bundle>> LoadBundle(
    const ModelOptions& options);

// The bundle, if LoadEngine would take it, or why it would not; without what
// only makes scoring faster and without a log line. (Where the precision is
// PRECISION_AUTO, in float32.)
absl::StatusOr<std::shared_ptr<const Bundle>> TryModel(
    const ModelOptions& options);

// An engine that has scored the bundle's golden requests as it should, in the
// precision that it serves in, after another one did in float32. Logs how well,
// or that the bundle has none; which precision PRECISION_AUTO has become and
// why; and a warning where the processor lacks the configured one. Errors are
// those of LoadBundle, Engine::Create and ReplayGoldenRequests.
absl::StatusOr<std::unique_ptr<const Engine>> LoadEngine(
    const ModelOptions& options);

}  // namespace qlarank

#endif  // QLARANK_SERVER_MODELS_LOAD_ENGINE_H_
