#include "model/fingerprint.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "model/bundle_schema.h"
#include "model/sha256.h"

namespace qlarank {
namespace {

std::string HyperParameterLines(const model::v1::ModelSpec& spec) {
  std::string lines = absl::StrCat(
      "qlarank-state 1\n", "d_model ", spec.d_model(), "\nnum_heads ",
      spec.num_heads(), "\nnum_layers ", spec.num_layers(), "\nffn_width ",
      spec.ffn_width(), "\nconv_width ", spec.conv_width(), "\nphi2 ",
      model::v1::Phi2_Name(spec.phi2()), "\ndedicated_block ",
      NumStateLayers(spec) - spec.num_layers(), "\n");
  for (const std::string& action : spec.actions()) {
    absl::StrAppend(&lines, "action ", action, "\n");
  }
  for (const std::string& feature : spec.event_features()) {
    absl::StrAppend(&lines, "event_feature ", feature, "\n");
  }
  if (spec.has_item_memory()) {
    absl::StrAppend(&lines, "item_memory ", spec.item_memory().entries(), "\n");
    for (const uint64_t seconds : spec.item_memory().half_lives_s()) {
      absl::StrAppend(&lines, "item_memory_half_life ", seconds, "\n");
    }
  }
  return lines;
}

}  // namespace

std::string ComputeFingerprint(const model::v1::ModelSpec& spec,
                               const TensorFile& weights,
                               const TensorFile& items) {
  const BundleSchema schema = SchemaOf(spec);
  std::map<std::string, const TensorView*> tensors;
  for (const TensorSchema& tensor : schema.weights) {
    if (tensor.shapes_state) {
      tensors[tensor.name] = &weights.tensors().find(tensor.name)->second;
    }
  }
  for (const TensorSchema& tensor : schema.items) {
    if (tensor.shapes_state) {
      tensors[tensor.name] = &items.tensors().find(tensor.name)->second;
    }
  }

  Sha256 sha256;
  sha256.Update(HyperParameterLines(spec));
  for (const auto& [name, tensor] : tensors) {
    sha256.Update(absl::StrCat("tensor ", name, " ", DTypeName(tensor->dtype),
                               " ", absl::StrJoin(tensor->shape, "x"), "\n"));
    sha256.Update(tensor->bytes);
  }
  return sha256.HexDigest();
}

}  // namespace qlarank
