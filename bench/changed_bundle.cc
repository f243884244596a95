#include "bench/changed_bundle.h"

#include <google/protobuf/text_format.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bench/random_bundle.h"
#include "model/engine.h"
#include "model/golden_replay.h"
#include "model/sha256.h"

namespace qlarank::bench {
namespace {

using model::v1::GoldenRequests;
using model::v1::ModelSpec;

const TensorView& TensorOf(const Bundle& bundle, const std::string& name) {
  const auto& weights = bundle.weights().tensors();
  const auto found = weights.find(name);
  return found != weights.end() ? found->second
                                : bundle.items().tensors().at(name);
}

std::string ChangedFloats(const TensorView& tensor, double amount,
                          std::mt19937& random) {
  std::string bytes(tensor.bytes);
  for (size_t i = 0; i < bytes.size(); i += sizeof(float)) {
    float value;
    std::memcpy(&value, bytes.data() + i, sizeof(value));
    value *= static_cast<float>(1 + amount * (random() * 0x1p-31 - 1));
    std::memcpy(bytes.data() + i, &value, sizeof(value));
  }
  return bytes;
}

std::string Numbers(size_t count) {
  std::string bytes(count * sizeof(uint64_t), '\0');
  for (uint64_t i = 1; i <= count; ++i) {
    std::memcpy(bytes.data() + (i - 1) * sizeof(i), &i, sizeof(i));
  }
  return bytes;
}

TensorBytes ChangedTensors(const Bundle& original, const BundleChange& change) {
  return [&original, change,
          random = std::mt19937(static_cast<uint32_t>(change.version))](
             const TensorSchema& schema) mutable {
    const TensorView& tensor = TensorOf(original, schema.name);
    if (tensor.dtype == DType::kF32) {
      return ChangedFloats(tensor, change.amount, random);
    }
    return change.number_items ? Numbers(tensor.bytes.size() / sizeof(uint64_t))
                               : std::string(tensor.bytes);
  };
}

absl::Status WriteText(const google::protobuf::Message& message,
                       const std::string& path, std::string* digest) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(message, &text);
  if (digest != nullptr) *digest = Sha256Hex(text);
  std::ofstream stream(path, std::ios::binary);
  stream << text;
  stream.close();
  return stream ? absl::OkStatus()
                : absl::UnavailableError(absl::StrCat("cannot write ", path));
}

// The original's requests, with what the bundle in `folder` answers.
absl::Status WriteGolden(const Bundle& original, const std::string& folder) {
  const auto bundle = Bundle::Load(folder);
  if (!bundle.ok()) return bundle.status();
  const auto engine = Engine::Create(*bundle, {Precision::kF32, 0});
  if (!engine.ok()) return engine.status();
  const auto scratch = (*engine)->NewScratch();
  GoldenRequests requests = original.golden_requests();
  requests.set_fingerprint((*bundle)->fingerprint());
  for (auto& golden : *requests.mutable_cases()) {
    const auto scores = GoldenScores(golden, **engine, *scratch);
    auto score = scores.begin();
    for (auto& candidate : *golden.mutable_candidates()) {
      for (double& of_task : *candidate.mutable_scores()) of_task = *score++;
    }
  }
  ModelSpec spec = (*bundle)->spec();
  absl::Status status = WriteText(requests, folder + "/golden.textproto",
                                  spec.mutable_golden_sha256());
  status.Update(WriteText(spec, folder + "/model.textproto", nullptr));
  return status;
}

}  // namespace

absl::Status WriteChangedBundle(const Bundle& original,
                                const BundleChange& change,
                                const std::string& folder) {
  if (std::filesystem::exists(folder)) {
    return absl::AlreadyExistsError(absl::StrCat(folder, ": is there already"));
  }
  ModelSpec spec = original.spec();
  spec.set_version(change.version);
  spec.clear_golden_sha256();
  absl::Status status =
      WriteBundle(std::move(spec), ChangedTensors(original, change), folder);
  if (status.ok() && !original.golden_requests().cases().empty()) {
    status = WriteGolden(original, folder);
  }
  const std::string titles = original.folder() + "/titles.tsv";
  std::error_code error;
  if (status.ok() && !change.number_items &&
      std::filesystem::exists(titles, error)) {
    std::filesystem::copy_file(titles, folder + "/titles.tsv", error);
    if (error) status = absl::UnavailableError(error.message());
  }
  return status;
}

}  // namespace qlarank::bench
