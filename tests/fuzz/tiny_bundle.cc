#include "tests/fuzz/tiny_bundle.h"

#include <google/protobuf/text_format.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "model/fingerprint.h"
#include "model/sha256.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::fuzz {
namespace {

constexpr char kTinySpec[] = R"(
  format_version: 1 name: "tiny" version: 1
  d_model: 8 num_heads: 1 num_layers: 2 ffn_width: 8 conv_width: 2
  phi2: PHI2_SILU target_aware: TARGET_AWARE_ALL_LAYERS head_width: 2
  actions: "view" actions: "buy" event_features: "price"
  candidate_features: "bid"
  context_features { name: "device" values: "phone" }
  tasks { name: "click" dot_term: true value_weight: 1 }
  tasks { name: "like" value_weight: 2.5 }
  num_items: 5 num_seeds: 8 summary_attention: true)";

uint64_t NumValues(const TensorSchema& tensor) {
  uint64_t values = 1;
  for (const uint64_t dimension : tensor.shape) {
    if (__builtin_mul_overflow(values, dimension, &values)) return UINT64_MAX;
  }
  return values;
}

template <typename T>
void Append(T value, std::string& bytes) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

std::string MakeValues(const TensorSchema& tensor) {
  std::string bytes;
  const uint64_t values = NumValues(tensor);
  std::seed_seq seed(tensor.name.begin(), tensor.name.end());
  std::mt19937 random(seed);
  for (uint64_t i = 0; i < values; ++i) {
    if (tensor.dtype == DType::kU64) {
      Append<uint64_t>(10 * (i + 1), bytes);
    } else {
      // Not negative: decay rates must not be. Some above 1, so that what is
      // near the greatest float becomes infinite.
      Append(static_cast<float>(random() % 1024) / 512, bytes);
    }
  }
  return bytes;
}

}  // namespace

model::v1::ModelSpec TinySpec() {
  model::v1::ModelSpec spec;
  Check(google::protobuf::TextFormat::ParseFromString(kTinySpec, &spec),
        "the tiny spec is a textproto");
  return spec;
}

model::v1::ModelSpec TinySpecWithMemory() {
  model::v1::ModelSpec spec = TinySpec();
  spec.mutable_item_memory()->set_entries(8);
  for (const uint64_t seconds : {60, 86'400, 1'000'000}) {
    spec.mutable_item_memory()->add_half_lives_s(seconds);
  }
  return spec;
}

std::string MakeTensors(const std::vector<TensorSchema>& schema) {
  std::vector<std::string> entries;
  std::string data;
  for (const TensorSchema& tensor : schema) {
    const size_t begin = data.size();
    data += MakeValues(tensor);
    entries.push_back(absl::StrCat(
        "\"", tensor.name, "\":{\"dtype\":\"", DTypeName(tensor.dtype),
        "\",\"shape\":[", absl::StrJoin(tensor.shape, ","),
        "],\"data_offsets\":[", begin, ",", data.size(), "]}"));
  }
  std::string header = absl::StrCat("{", absl::StrJoin(entries, ","), "}");
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::string file;
  Append<uint64_t>(header.size(), file);
  return file + header + data;
}

uint64_t NumValues(const model::v1::ModelSpec& spec) {
  const BundleSchema schema = SchemaOf(spec);
  uint64_t sum = 0;
  for (const auto* tensors : {&schema.weights, &schema.items}) {
    for (const TensorSchema& tensor : *tensors) {
      if (__builtin_add_overflow(sum, NumValues(tensor), &sum)) {
        return UINT64_MAX;
      }
    }
  }
  return sum;
}

BundleFiles MakeFiles(const model::v1::ModelSpec& spec) {
  const BundleSchema schema = SchemaOf(spec);
  BundleFiles files;
  files.weights = MakeTensors(schema.weights);
  files.items = MakeTensors(schema.items);
  files.titles = "10\tBananas, 40 lb\n20\tSalad Bar\n";
  Seal(spec, files);
  return files;
}

void Seal(const model::v1::ModelSpec& spec, BundleFiles& files) {
  model::v1::ModelSpec sealed = spec;
  sealed.set_weights_sha256(Sha256Hex(files.weights));
  sealed.set_items_sha256(Sha256Hex(files.items));
  if (!files.golden.empty()) {
    sealed.set_golden_sha256(Sha256Hex(files.golden));
  }
  const auto weights = TensorFile::Parse(files.weights, "weights");
  const auto items = TensorFile::Parse(files.items, "items");
  const BundleSchema schema = SchemaOf(spec);
  if (weights.ok() && items.ok() &&
      ValidateTensors(**weights, schema.weights).ok() &&
      ValidateTensors(**items, schema.items).ok()) {
    sealed.set_fingerprint(ComputeFingerprint(sealed, **weights, **items));
  }
  google::protobuf::TextFormat::PrintToString(sealed, &files.spec);
}

void Write(const BundleFiles& files, const std::string& folder) {
  const auto write = [&](const char* name, const std::string& bytes) {
    const std::string path = folder + "/" + name;
    // A new file: one that is cut to be rewritten waits for the disk on ext4.
    std::filesystem::remove(path);
    std::ofstream(path, std::ios::binary) << bytes;
  };
  write("model.textproto", files.spec);
  write("weights.safetensors", files.weights);
  write("items.safetensors", files.items);
  write("titles.tsv", files.titles);
  write("golden.textproto", files.golden);
}

std::shared_ptr<const Bundle> LoadTinyBundle(const model::v1::ModelSpec& spec) {
  const testing::TempDir folder;
  Write(MakeFiles(spec), folder.path());
  auto bundle = Bundle::Load(folder.path());
  Check(bundle.ok(), "the tiny bundle loads");
  return *std::move(bundle);
}

}  // namespace qlarank::fuzz
