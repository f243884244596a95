// Writes bundles of any shape with random weights, for benchmarks that need a
// model's cost and not its quality.
#ifndef QLARANK_BENCH_RANDOM_BUNDLE_H_
#define QLARANK_BENCH_RANDOM_BUNDLE_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "model/bundle.h"
#include "model/bundle_schema.h"
#include "qlarank/model/v1/model_spec.pb.h"

namespace qlarank::bench {

// A spec with one action "view", one task "click" and no features.
model::v1::ModelSpec PlainSpec(uint32_t d_model, uint32_t num_heads,
                               uint32_t num_layers, uint32_t conv_width,
                               model::v1::TargetAware target_aware,
                               uint64_t num_items);

// The bytes of a tensor, as many as its shape asks for.
using TensorBytes = std::function<std::string(const TensorSchema&)>;

// Writes the spec's bundle to `folder` (made if missing); digests and
// fingerprint are filled in. Items have the ids 1 ... num_items, in this order
// unless they are scattered; a head whose initial_half_lives is 0 gets a random
// decay.
absl::Status WriteRandomBundle(const model::v1::ModelSpec& spec,
                               const std::string& folder,
                               bool scattered = false);

// The same of tensors that are given.
absl::Status WriteBundle(model::v1::ModelSpec spec, const TensorBytes& tensors,
                         const std::string& folder);

// Writes it to a temporary folder and loads it. Dies on failure.
std::shared_ptr<const Bundle> RandomBundle(const model::v1::ModelSpec& spec);
// The same of tensors that are given.
std::shared_ptr<const Bundle> BundleOf(const model::v1::ModelSpec& spec,
                                       const TensorBytes& tensors);

}  // namespace qlarank::bench

#endif  // QLARANK_BENCH_RANDOM_BUNDLE_H_
