// Which tensors a bundle must hold: docs/model.md section 6 as code.
#ifndef QLARANK_MODEL_BUNDLE_SCHEMA_H_
#define QLARANK_MODEL_BUNDLE_SCHEMA_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "model/tensor_file.h"
#include "qlarank/model/v1/model_spec.pb.h"

namespace qlarank {

// Rows of every bucket table.
inline constexpr uint64_t kBuckets = 32;

struct TensorSchema {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<uint64_t> shape;
  // Whether it belongs to the fingerprint.
  bool shapes_state = false;
};

struct BundleSchema {
  std::vector<TensorSchema> weights;  // weights.safetensors
  std::vector<TensorSchema> items;    // items.safetensors
  std::vector<TensorSchema> content;  // content.safetensors; none: no file
};

// Layers that keep a state: num_layers, and one more with the dedicated block.
uint32_t NumStateLayers(const model::v1::ModelSpec& spec);

// Whether candidates read the state at all.
bool IsTargetAware(const model::v1::ModelSpec& spec);

// Whether any task uses the dot term.
bool HasDotTerm(const model::v1::ModelSpec& spec);

// Whether rows are made of what is said of items (docs/model.md section 12).
bool HasContent(const model::v1::ModelSpec& spec);

// Facts of a candidate that an item memory has (docs/model.md section 11); 0
// without one.
uint32_t NumMemoryFacts(const model::v1::ModelSpec& spec);

// Checks the spec's own fields; INVALID_ARGUMENT names field and value.
absl::Status ValidateSpec(const model::v1::ModelSpec& spec);

// REQUIRES: ValidateSpec(spec) is OK.
BundleSchema SchemaOf(const model::v1::ModelSpec& spec);

// Compares a file with its schema: missing, extra, dtype, shape, finiteness.
// INVALID_ARGUMENT names the file and the tensor.
absl::Status ValidateTensors(const TensorFile& file,
                             const std::vector<TensorSchema>& schema);

}  // namespace qlarank

#endif  // QLARANK_MODEL_BUNDLE_SCHEMA_H_
