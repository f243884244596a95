#include "model/fingerprint.h"

#include <cstdint>
#include <map>
#include <vector>

#include "absl/base/casts.h"
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

// A double's bits, the highest first.
std::string Bits(double value) {
  return absl::StrCat(absl::Hex(absl::bit_cast<uint64_t>(value),
                                absl::kZeroPad16));
}

// What the content tower looks things up by. Texts of data may hold line breaks,
// so their lengths are told.
std::string ContentLines(const model::v1::ModelSpec& spec) {
  std::string lines;
  for (const auto& attribute : spec.item_attributes()) {
    absl::StrAppend(&lines, "item_attribute ", attribute.name(),
                    "\nitem_attribute_separator ",
                    attribute.separator().size(), " ", attribute.separator(),
                    "\n");
    for (const std::string& value : attribute.values()) {
      absl::StrAppend(&lines, "item_attribute_value ", value.size(), " ", value,
                      "\n");
    }
  }
  for (const auto& number : spec.item_numbers()) {
    absl::StrAppend(&lines, "item_number ", number.name(),
                    "\nitem_number_mean ", Bits(number.mean()),
                    "\nitem_number_scale ", Bits(number.scale()), "\n");
  }
  return lines;
}

using TensorsByName = std::map<std::string, const TensorView*>;

void AddStateTensors(const std::vector<TensorSchema>& schema,
                     const TensorFile& file, TensorsByName& tensors) {
  for (const TensorSchema& tensor : schema) {
    if (!tensor.shapes_state) continue;
    tensors[tensor.name] = &file.tensors().find(tensor.name)->second;
  }
}

}  // namespace

std::string ComputeFingerprint(const model::v1::ModelSpec& spec,
                               const TensorFile& weights,
                               const TensorFile& items,
                               const TensorFile* content) {
  const BundleSchema schema = SchemaOf(spec);
  TensorsByName tensors;
  AddStateTensors(schema.weights, weights, tensors);
  AddStateTensors(schema.items, items, tensors);
  if (content != nullptr) AddStateTensors(schema.content, *content, tensors);

  Sha256 sha256;
  sha256.Update(HyperParameterLines(spec));
  sha256.Update(ContentLines(spec));
  for (const auto& [name, tensor] : tensors) {
    sha256.Update(absl::StrCat("tensor ", name, " ", DTypeName(tensor->dtype),
                               " ", absl::StrJoin(tensor->shape, "x"), "\n"));
    sha256.Update(tensor->bytes);
  }
  return sha256.HexDigest();
}

}  // namespace qlarank
