#include "bench/random_bundle.h"

#include <google/protobuf/text_format.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "model/fingerprint.h"
#include "model/sha256.h"

namespace qlarank::bench {
namespace {

// 1 ... count; where they are scattered, neighbours lie far apart.
std::string ItemIds(uint64_t count, bool scattered) {
  // A prime above any count, so that each id is there once.
  constexpr uint64_t kStride = 2'654'435'761;
  std::string bytes(count * sizeof(uint64_t), '\0');
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t row = scattered ? i * kStride % count : i, id = i + 1;
    std::memcpy(bytes.data() + row * sizeof(id), &id, sizeof(id));
  }
  return bytes;
}

// Values that keep activations near 1 through any number of layers.
std::string RandomTensor(const model::v1::ModelSpec& spec,
                         const TensorSchema& tensor, bool scattered,
                         std::mt19937& random) {
  size_t size = 1;
  for (uint64_t dimension : tensor.shape) size *= dimension;
  if (tensor.dtype == DType::kU64) return ItemIds(size, scattered);
  const double scale = 1.0 / std::sqrt(tensor.shape.back());
  const bool around_one = absl::StrContains(tensor.name, "norm") ||
                          absl::EndsWith(tensor.name, ".alpha") ||
                          absl::EndsWith(tensor.name, ".beta");
  std::vector<float> values(size);
  for (float& value : values) {
    // Uniform, of deviation `scale`; not by a distribution of the library's,
    // which may differ from one to the next.
    value =
        static_cast<float>((random() * 0x1p-31 - 1) * std::sqrt(3.0) * scale);
    if (around_one) value += 1;
  }
  if (absl::EndsWith(tensor.name, ".decay_rate")) {
    for (size_t head = 0; head < size; ++head) {
      const double half_life = spec.initial_half_lives(head);
      values[head] = half_life > 0
                         ? static_cast<float>(0.69314718056 / half_life)
                         : std::abs(values[head]);
    }
  }
  return {reinterpret_cast<const char*>(values.data()), size * sizeof(float)};
}

std::string SafetensorsBytes(const std::vector<TensorSchema>& schema,
                             const TensorBytes& tensors) {
  nlohmann::json header;
  std::string data;
  for (const TensorSchema& tensor : schema) {
    const std::string bytes = tensors(tensor);
    header[tensor.name] = {
        {"dtype", DTypeName(tensor.dtype)},
        {"shape", tensor.shape},
        {"data_offsets", {data.size(), data.size() + bytes.size()}}};
    data += bytes;
  }
  std::string json = header.dump();
  json.resize((json.size() + 7) / 8 * 8, ' ');
  const uint64_t json_bytes = json.size();
  std::string file(reinterpret_cast<const char*>(&json_bytes),
                   sizeof(json_bytes));
  return file + json + data;
}

absl::Status WriteFile(const std::string& path, const std::string& contents) {
  std::ofstream stream(path, std::ios::binary);
  stream << contents;
  stream.close();
  if (stream) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("cannot write ", path));
}

// Those of WriteRandomBundle, which are asked for in the schema's order.
TensorBytes RandomTensors(const model::v1::ModelSpec& spec,
                          bool scattered = false) {
  return [&spec, scattered,
          random = std::mt19937(1)](const TensorSchema& tensor) mutable {
    return RandomTensor(spec, tensor, scattered, random);
  };
}

}  // namespace

model::v1::ModelSpec PlainSpec(uint32_t d_model, uint32_t num_heads,
                               uint32_t num_layers, uint32_t conv_width,
                               model::v1::TargetAware target_aware,
                               uint64_t num_items) {
  model::v1::ModelSpec spec;
  spec.set_format_version(1);
  spec.set_name("random");
  spec.set_version(1);
  spec.set_d_model(d_model);
  spec.set_num_heads(num_heads);
  spec.set_num_layers(num_layers);
  spec.set_ffn_width(2 * d_model);
  spec.set_conv_width(conv_width);
  spec.set_phi2(model::v1::PHI2_IDENTITY);
  spec.set_target_aware(target_aware);
  if (IsTargetAware(spec)) spec.set_head_width(d_model);
  // Random ones.
  for (uint32_t head = 0; head < num_heads; ++head) {
    spec.add_initial_half_lives(0);
  }
  spec.add_actions("view");
  auto* task = spec.add_tasks();
  task->set_name("click");
  task->set_dot_term(true);
  task->set_value_weight(1);
  spec.set_num_items(num_items);
  return spec;
}

absl::Status WriteBundle(model::v1::ModelSpec spec, const TensorBytes& tensors,
                         const std::string& folder) {
  std::filesystem::create_directories(folder);
  const BundleSchema schema = SchemaOf(spec);
  const std::string weights_path = folder + "/weights.safetensors";
  const std::string items_path = folder + "/items.safetensors";
  const std::string weights = SafetensorsBytes(schema.weights, tensors);
  const std::string items = SafetensorsBytes(schema.items, tensors);
  absl::Status status = WriteFile(weights_path, weights);
  status.Update(WriteFile(items_path, items));
  if (!status.ok()) return status;

  spec.set_weights_sha256(Sha256Hex(weights));
  spec.set_items_sha256(Sha256Hex(items));
  const auto weights_file = TensorFile::Open(weights_path);
  if (!weights_file.ok()) return weights_file.status();
  const auto items_file = TensorFile::Open(items_path);
  if (!items_file.ok()) return items_file.status();
  spec.set_fingerprint(ComputeFingerprint(spec, **weights_file, **items_file));
  std::string text;
  google::protobuf::TextFormat::PrintToString(spec, &text);
  return WriteFile(folder + "/model.textproto", text);
}

absl::Status WriteRandomBundle(const model::v1::ModelSpec& spec,
                               const std::string& folder, bool scattered) {
  return WriteBundle(spec, RandomTensors(spec, scattered), folder);
}

std::shared_ptr<const Bundle> RandomBundle(const model::v1::ModelSpec& spec) {
  return BundleOf(spec, RandomTensors(spec));
}

std::shared_ptr<const Bundle> BundleOf(const model::v1::ModelSpec& spec,
                                       const TensorBytes& tensors) {
  std::string folder =
      (std::filesystem::temp_directory_path() / "qlarank_bench_XXXXXX");
  if (mkdtemp(folder.data()) == nullptr) std::abort();
  absl::Status status = WriteBundle(spec, tensors, folder);
  auto bundle = Bundle::Load(folder);
  status.Update(bundle.status());
  // The bundle is in memory.
  std::filesystem::remove_all(folder);
  if (!status.ok()) {
    std::cerr << status << "\n";
    std::abort();
  }
  return *bundle;
}

}  // namespace qlarank::bench
