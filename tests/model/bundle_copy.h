// A bundle in a folder of its own, to be damaged.
#ifndef QLARANK_TESTS_MODEL_BUNDLE_COPY_H_
#define QLARANK_TESTS_MODEL_BUNDLE_COPY_H_

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>

#include "model/fingerprint.h"
#include "model/sha256.h"
#include "model/tensor_file.h"
#include "qlarank/model/v1/golden_requests.pb.h"
#include "qlarank/model/v1/model_spec.pb.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {

class BundleCopy {
 public:
  explicit BundleCopy(const std::string& original)
      : folder_(dir_.Path("copy")) {
    std::filesystem::copy(original, folder_);
  }

  static std::string ReadAll(const std::filesystem::path& path) {
    std::ifstream stream(path, std::ios::binary);
    std::ostringstream contents;
    contents << stream.rdbuf();
    return contents.str();
  }
  static void WriteAll(const std::filesystem::path& path,
                       const std::string& contents) {
    std::ofstream(path, std::ios::binary) << contents;
  }

  std::filesystem::path weights() const {
    return folder_ / "weights.safetensors";
  }
  std::filesystem::path items() const { return folder_ / "items.safetensors"; }
  std::filesystem::path spec_path() const {
    return folder_ / "model.textproto";
  }
  std::filesystem::path golden_path() const {
    return folder_ / "golden.textproto";
  }

  void EditSpec(const std::function<void(model::v1::ModelSpec&)>& edit) {
    EditText(spec_path(), edit);
  }

  // Changes weights.safetensors and makes the spec's digest agree.
  void EditWeights(const std::function<void(std::string&)>& edit) {
    std::string bytes = ReadAll(weights());
    edit(bytes);
    WriteAll(weights(), bytes);
    EditSpec([&](auto& spec) { spec.set_weights_sha256(Sha256Hex(bytes)); });
  }

  // Changes golden.textproto and makes the spec's digest agree.
  void EditGolden(const std::function<void(model::v1::GoldenRequests&)>& edit) {
    EditText(golden_path(), edit);
    SealGolden();
  }
  void SealGolden() {
    const std::string digest = Sha256Hex(ReadAll(golden_path()));
    EditSpec([&](auto& spec) { spec.set_golden_sha256(digest); });
  }

  // Makes the fingerprints agree with the tensors that are there.
  void SealFingerprint() {
    std::string fingerprint;
    EditSpec([&](auto& spec) {
      fingerprint = ComputeFingerprint(spec, **TensorFile::Open(weights()),
                                       **TensorFile::Open(items()));
      spec.set_fingerprint(fingerprint);
    });
    EditGolden([&](auto& golden) { golden.set_fingerprint(fingerprint); });
  }

 protected:
  const TempDir dir_;
  const std::filesystem::path folder_;

 private:
  template <typename Message>
  static void EditText(const std::filesystem::path& path,
                       const std::function<void(Message&)>& edit) {
    Message message;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(ReadAll(path),
                                                              &message));
    edit(message);
    std::string text;
    google::protobuf::TextFormat::PrintToString(message, &text);
    WriteAll(path, text);
  }
};

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_MODEL_BUNDLE_COPY_H_
