// Loading refuses what is not a whole, consistent bundle, and says why.

#include "model/bundle.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>

#include "absl/strings/str_cat.h"
#include "model/fingerprint.h"
#include "model/tensor_file.h"
#include "tests/model/bundle_copy.h"
#include "tests/model/golden.h"

namespace qlarank::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class BundleTest : public ::testing::Test, protected BundleCopy {
 protected:
  BundleTest()
      : BundleCopy(GoldenBundleFolder("all_l4_decay_conv_everything")) {}

  void ExpectRefused(absl::StatusCode code, const std::string& message) {
    const auto bundle = Bundle::Load(folder_);
    EXPECT_EQ(bundle.status().code(), code) << bundle.status();
    EXPECT_THAT(std::string(bundle.status().message()), HasSubstr(message));
  }
};

// Replaces one place of a file by text of the same length.
void Replace(std::string& bytes, const std::string& from,
             const std::string& to) {
  ASSERT_EQ(from.size(), to.size());
  const size_t at = bytes.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  bytes.replace(at, from.size(), to);
}

TEST_F(BundleTest, LoadsAndAnswersLookUps) {
  const auto bundle = Bundle::Load(folder_);
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  const auto& spec = (*bundle)->spec();
  EXPECT_EQ((*bundle)->item_ids().size(), spec.num_items());
  EXPECT_EQ((*bundle)->ItemRow((*bundle)->item_ids()[3]), 4u);
  EXPECT_EQ((*bundle)->ItemRow(123456789), Bundle::kOutOfVocabularyRow);
  EXPECT_EQ((*bundle)->ActionIndex(""), 0u);
  EXPECT_EQ((*bundle)->ActionIndex(spec.actions(1)), 1u);
  EXPECT_EQ((*bundle)->ActionIndex("juggle"), Bundle::kUnknownAction);
  EXPECT_EQ((*bundle)->TaskIndex(spec.tasks(1).name()), 1u);
  EXPECT_EQ((*bundle)->TaskIndex("juggle"), std::nullopt);
  const auto& context = spec.context_features(0);
  EXPECT_EQ((*bundle)->ContextFeatureIndex(context.name()), 0u);
  EXPECT_EQ((*bundle)->context_features()[0].Row(context.values(0)), 1u);
  EXPECT_EQ((*bundle)->context_features()[0].Row("unheard of"), 0u);
}

TEST_F(BundleTest, MissingFilesAreNotFound) {
  fs::remove(items());
  ExpectRefused(absl::StatusCode::kNotFound, "items.safetensors");
  fs::remove(spec_path());
  ExpectRefused(absl::StatusCode::kNotFound, "model.textproto");
}

TEST_F(BundleTest, RefusesTruncatedFiles) {
  fs::resize_file(weights(), fs::file_size(weights()) - 5);
  ExpectRefused(absl::StatusCode::kDataLoss, "weights.safetensors");
  fs::resize_file(weights(), 0);
  ExpectRefused(absl::StatusCode::kDataLoss, "weights.safetensors");
}

// What becomes of the files of a bundle that is loaded changes nothing.
TEST_F(BundleTest, IsWhatWasCheckedWhateverBecomesOfItsFiles) {
  const auto bundle = Bundle::Load(folder_);
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  const std::string weights_before((*bundle)->weights().contents());
  const std::string items_before((*bundle)->items().contents());
  for (const fs::path& file : {weights(), items()}) {
    const size_t bytes = fs::file_size(file);
    std::fstream(file, std::ios::in | std::ios::out | std::ios::binary)
        << std::string(bytes, 'x');  // in place, as long
  }
  EXPECT_EQ((*bundle)->weights().contents(), weights_before);
  EXPECT_EQ((*bundle)->items().contents(), items_before);
  fs::resize_file(weights(), 0);
  fs::resize_file(items(), 1);
  EXPECT_EQ((*bundle)->weights().contents(), weights_before);
  EXPECT_EQ((*bundle)->items().contents(), items_before);
}

TEST_F(BundleTest, TensorsBeginAtACacheLine) {
  const auto bundle = Bundle::Load(folder_);
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  for (const TensorFile* file : {&(*bundle)->weights(), &(*bundle)->items()}) {
    uintptr_t first = UINTPTR_MAX;
    for (const auto& [name, tensor] : file->tensors()) {
      first = std::min(first,
                       reinterpret_cast<uintptr_t>(tensor.bytes.data()));
    }
    EXPECT_EQ(first % 64, 0u) << file->path();
  }
}

// exp(89) is infinite, and times the zero vector of a user without events NaN.
TEST_F(BundleTest, RefusesAScaleThatOverflows) {
  const auto bundle = Bundle::Load(folder_);
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  const size_t place =
      reinterpret_cast<const char*>((*bundle)->tensor("log_scale").data()) -
      (*bundle)->weights().contents().data();
  for (const float scale : {89.0f, -89.0f, 20.5f}) {
    EditWeights([&](std::string& bytes) {
      std::memcpy(bytes.data() + place, &scale, sizeof(scale));
    });
    ExpectRefused(absl::StatusCode::kInvalidArgument,
                  absl::StrCat("weights.safetensors: tensor log_scale: ", scale,
                               "; expected -20 to 20"));
  }
}

TEST_F(BundleTest, RefusesASingleFlippedBit) {
  for (const fs::path& path : {weights(), items()}) {
    const std::string bytes = ReadAll(path);
    std::string damaged = bytes;
    damaged[damaged.size() - 3] ^= 0x10;
    WriteAll(path, damaged);
    ExpectRefused(absl::StatusCode::kDataLoss, "SHA-256");
    WriteAll(path, bytes);
  }
}

// Also where the result would be a good spec: of another model.
TEST_F(BundleTest, RefusesASingleFlippedBitOfTheSpec) {
  const std::string spec = ReadAll(spec_path());
  for (size_t bit = 5; bit < 8 * spec.size(); bit += 37) {
    std::string damaged = spec;
    damaged[bit / 8] ^= static_cast<char>(1 << bit % 8);
    WriteAll(spec_path(), damaged);
    const auto bundle = Bundle::Load(folder_);
    if (bundle.ok()) {  // the digest's own line became another comment
      EXPECT_GE(bit / 8, spec.rfind("# "));
    } else {
      EXPECT_THAT(std::string(bundle.status().message()),
                  HasSubstr("model.textproto"));
    }
  }
  WriteAll(spec_path(), spec + " ");
  ExpectRefused(absl::StatusCode::kDataLoss, "its last line");
}

TEST_F(BundleTest, RefusesOtherTensorsThanTheSpecAsksFor) {
  const std::string original = ReadAll(weights());
  EditWeights(
      [](auto& bytes) { Replace(bytes, "\"norm_user\"", "\"norm_usex\""); });
  ExpectRefused(absl::StatusCode::kInvalidArgument,
                "tensor norm_user is missing");
  WriteAll(weights(), original);
  EditWeights([](auto&) {});
  EditSpec([](auto& spec) {
    spec.mutable_tasks(0)->set_dot_term(false);
    spec.mutable_tasks(1)->set_dot_term(false);
    spec.mutable_tasks(2)->set_dot_term(false);
  });
  ExpectRefused(absl::StatusCode::kInvalidArgument,
                "tensor log_scale is not one that this model has");
}

TEST_F(BundleTest, RefusesOtherShapesAndTypes) {
  EditSpec([](auto& spec) { spec.add_actions("one more"); });
  ExpectRefused(absl::StatusCode::kInvalidArgument,
                "tensor action_embedding: shape");
}

TEST_F(BundleTest, RefusesNaN) {
  EditWeights([](auto& bytes) {
    const float nan = std::nanf("");
    std::memcpy(bytes.data() + bytes.size() - sizeof(nan), &nan, sizeof(nan));
  });
  ExpectRefused(absl::StatusCode::kInvalidArgument, "is nan");
}

TEST_F(BundleTest, RefusesAFingerprintThatIsNotTheTensors) {
  EditSpec([](auto& spec) { spec.set_fingerprint(std::string(64, '0')); });
  ExpectRefused(absl::StatusCode::kInvalidArgument, "the tensors give");
}

void SetMemory(model::v1::ModelSpec& spec, uint32_t entries,
               std::vector<uint64_t> half_lives_s) {
  spec.mutable_item_memory()->set_entries(entries);
  spec.mutable_item_memory()->mutable_half_lives_s()->Add(half_lives_s.begin(),
                                                          half_lives_s.end());
}

TEST_F(BundleTest, RefusesBadSpecsByField) {
  const std::string original = ReadAll(spec_path());
  const struct {
    std::function<void(model::v1::ModelSpec&)> edit;
    std::string message;
  } cases[] = {
      {[](auto& spec) { spec.set_format_version(2); }, "format_version: 2"},
      {[](auto& spec) { spec.clear_name(); }, "name: \"\""},
      {[](auto& spec) { spec.set_version(0); }, "version: 0"},
      {[](auto& spec) { spec.set_d_model(0); }, "d_model: 0"},
      {[](auto& spec) { spec.set_num_heads(3); }, "d_model / num_heads"},
      {[](auto& spec) { spec.set_num_layers(1000); }, "num_layers: 1000"},
      {[](auto& spec) { spec.clear_phi2(); }, "phi2: 0"},
      {[](auto& spec) { spec.clear_target_aware(); }, "target_aware: 0"},
      {[](auto& spec) { spec.set_num_seeds(12); }, "num_seeds: 12"},
      {[](auto& spec) { spec.set_num_seeds(2048); }, "num_seeds: 2048"},
      {[](auto& spec) { spec.set_summary_attention(true); },
       "summary_attention: true"},
      {[](auto& spec) { spec.clear_actions(); }, "actions: none"},
      {[](auto& spec) { spec.clear_tasks(); }, "tasks: none"},
      {[](auto& spec) { spec.add_actions(spec.actions(0)); }, "twice"},
      {[](auto& spec) { spec.set_ffn_width(12); }, "ffn_width: 12"},
      {[](auto& spec) { spec.add_event_categories()->set_name("tags"); },
       "event_categories.tags has 0 features; expected 1 to 1024"},
      {[](auto& spec) {
         spec.add_candidate_categories()->set_name("tags");
         spec.mutable_candidate_categories(0)->set_hash_buckets(2);
       },
       "candidate_categories.tags: feature \"age\" is in the place of its "
       "\"tags#0\""},
      {[](auto& spec) { spec.mutable_item_memory(); },
       "item_memory.entries: 0; expected a multiple of 8, 8 to 1024"},
      {[](auto& spec) { SetMemory(spec, 12, {60}); },
       "item_memory.entries: 12; expected a multiple of 8, 8 to 1024"},
      {[](auto& spec) { SetMemory(spec, 1032, {60}); },
       "item_memory.entries: 1032"},
      {[](auto& spec) { SetMemory(spec, 8, {}); },
       "item_memory.half_lives_s: 0 of them; expected 1 to 8"},
      {[](auto& spec) { SetMemory(spec, 8, {1, 2, 3, 4, 5, 6, 7, 8, 9}); },
       "item_memory.half_lives_s: 9 of them; expected 1 to 8"},
      {[](auto& spec) { SetMemory(spec, 8, {0, 60}); },
       "item_memory.half_lives_s: 0 after 0; expected 1 to 1099511627776"},
      {[](auto& spec) { SetMemory(spec, 8, {60, 60}); },
       "item_memory.half_lives_s: 60 after 60; expected 1 to 1099511627776, "
       "rising"},
      {[](auto& spec) { SetMemory(spec, 8, {60, (1ull << 40) + 1}); },
       "item_memory.half_lives_s: 1099511627777 after 60"},
      {[](auto& spec) {
         SetMemory(spec, 8, {60});
         spec.set_target_aware(model::v1::TARGET_AWARE_OFF);
         spec.clear_candidate_features();
         spec.clear_context_features();
       },
       "item_memory: given; expected none without target_aware"},
      // A sound one wants its tensors.
      {[](auto& spec) { SetMemory(spec, 1024, {1, 1ull << 40}); },
       "tensor memory_projection is missing"},
  };
  for (const auto& bad : cases) {
    WriteAll(spec_path(), original);
    EditSpec(bad.edit);
    ExpectRefused(absl::StatusCode::kInvalidArgument, bad.message);
  }
  EditSpec([](auto&) {});
  WriteAll(spec_path(), ReadAll(spec_path()) + "\nwidth: 3\n");
  ExpectRefused(absl::StatusCode::kInvalidArgument, "width");
}

// The trainer's fingerprint is recomputed here from the same tensors, read
// without Bundle::Load, which would refuse another.
TEST(FingerprintTest, AgreesWithTheTrainer) {
  for (const std::string& name : GoldenModelNames()) {
    const fs::path folder = GoldenBundleFolder(name);
    model::v1::ModelSpec spec;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
        BundleCopy::ReadAll(folder / "model.textproto"), &spec));
    const auto weights = TensorFile::Open(folder / "weights.safetensors");
    const auto items = TensorFile::Open(folder / "items.safetensors");
    ASSERT_TRUE(weights.ok()) << weights.status();
    ASSERT_TRUE(items.ok()) << items.status();
    EXPECT_EQ(spec.fingerprint().size(), 64u) << name;
    std::unique_ptr<TensorFile> content;
    if (fs::exists(folder / "content.safetensors")) {
      auto opened = TensorFile::Open(folder / "content.safetensors");
      ASSERT_TRUE(opened.ok()) << opened.status();
      content = *std::move(opened);
    }
    EXPECT_EQ(ComputeFingerprint(spec, **weights, **items, content.get()),
              spec.fingerprint())
        << name;
  }
}

// Else states of one model would be taken for those of another.
TEST_F(BundleTest, RefusesAnotherFingerprint) {
  const std::string original = ReadAll(spec_path());
  EditSpec([](auto& spec) {
    std::string fingerprint = spec.fingerprint();
    fingerprint[0] = fingerprint[0] == '0' ? '1' : '0';
    spec.set_fingerprint(fingerprint);
  });
  ExpectRefused(absl::StatusCode::kInvalidArgument, "the tensors give");
  WriteAll(spec_path(), original);
  // The same tensors would fold the same events into other states.
  EditSpec([](auto& spec) {
    std::swap(*spec.mutable_actions(0), *spec.mutable_actions(1));
  });
  ExpectRefused(absl::StatusCode::kInvalidArgument, "the tensors give");
}

}  // namespace
}  // namespace qlarank::testing
