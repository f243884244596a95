// Every kind of broken bundle: what is served stays, the version is FAILED with
// the reason, and once it is whole it is loaded.
#include <filesystem>
#include <functional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/rollout/model_rollout_testing.h"

namespace qlarank::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

struct Broken {
  const char* name;
  const char* says;  // a part of the error
  void (*breaks)(const fs::path& folder);
};

void Flip(const fs::path& file, size_t at) {
  std::string bytes = BundleCopy::ReadAll(file);
  bytes[at] ^= 1;
  BundleCopy::WriteAll(file, bytes);
}

class BrokenBundlesTest : public ModelRolloutTest,
                          public ::testing::WithParamInterface<Broken> {};

TEST_P(BrokenBundlesTest, FailAloneAndOnceTheyAreMendedTheyLoad) {
  const fs::path folder = base() + "/m/2";
  const LoadedModelPtr serving = registry()->models()[0];
  GetParam().breaks(folder);
  const absl::Status failed = Load(2);
  EXPECT_FALSE(failed.ok());
  EXPECT_EQ(Listed(), "1 SERVING, 2 FAILED");
  EXPECT_EQ(registry()->models()[0], serving);
  const UnservedModel* listed = registry()->FindUnserved("m", 2);
  ASSERT_NE(listed, nullptr);
  EXPECT_THAT(listed->error, HasSubstr(GetParam().says));
  EXPECT_TRUE(ReadServedModels(store_)->loaded.empty());
  EXPECT_EQ(metrics_.migration.begun.Value(), 0);

  fs::remove_all(folder);
  fs::copy(base() + "/m/3", folder);
  EXPECT_TRUE(Load(2).ok());
  EXPECT_EQ(Listed(), "1 SERVING, 2 SERVING");
}

INSTANTIATE_TEST_SUITE_P(
    All, BrokenBundlesTest,
    ::testing::Values(
        Broken{"Empty", "model.textproto",
               [](const fs::path& folder) {
                 fs::remove_all(folder);
                 fs::create_directory(folder);
               }},
        Broken{"AFile", "model.textproto",
               [](const fs::path& folder) {
                 fs::remove_all(folder);
                 BundleCopy::WriteAll(folder, "a bundle");
               }},
        Broken{"WithoutWeights", "weights.safetensors",
               [](const fs::path& folder) {
                 fs::remove(folder / "weights.safetensors");
               }},
        Broken{"WithoutItems", "items.safetensors",
               [](const fs::path& folder) {
                 fs::remove(folder / "items.safetensors");
               }},
        Broken{"WithoutGoldenRequests", "golden.textproto",
               [](const fs::path& folder) {
                 fs::remove(folder / "golden.textproto");
               }},
        Broken{"WithAFolderForWeights", "weights.safetensors",
               [](const fs::path& folder) {
                 fs::remove(folder / "weights.safetensors");
                 fs::create_directory(folder / "weights.safetensors");
               }},
        Broken{"Truncated", "weights.safetensors",
               [](const fs::path& folder) {
                 fs::resize_file(folder / "weights.safetensors", 100);
               }},
        Broken{"FlippedBit", "weights.safetensors",
               [](const fs::path& folder) {
                 const fs::path file = folder / "weights.safetensors";
                 Flip(file, fs::file_size(file) - 5);
               }},
        Broken{"FlippedBitOfAnItem", "items.safetensors",
               [](const fs::path& folder) {
                 const fs::path file = folder / "items.safetensors";
                 Flip(file, fs::file_size(file) - 5);
               }},
        Broken{"SpecThatDoesNotParse", "model.textproto",
               [](const fs::path& folder) {
                 BundleCopy::WriteAll(folder / "model.textproto", "no spec {");
               }},
        Broken{"EmptySpec", "model.textproto",
               [](const fs::path& folder) {
                 BundleCopy::WriteAll(folder / "model.textproto", "");
               }},
        Broken{"OthersWeights", "weights.safetensors",
               [](const fs::path& folder) {
                 fs::copy_file(fs::path(GoldenModel("dot_l1_plain").path) /
                                   "weights.safetensors",
                               folder / "weights.safetensors",
                               fs::copy_options::overwrite_existing);
               }},
        Broken{"OthersGoldenRequests", "golden.textproto",
               [](const fs::path& folder) {
                 fs::copy_file(fs::path(GoldenModel("dot_l1_plain").path) /
                                   "golden.textproto",
                               folder / "golden.textproto",
                               fs::copy_options::overwrite_existing);
               }},
        Broken{"OtherScores", "disagree",
               [](const fs::path& folder) {
                 fs::remove_all(folder);
                 fs::copy(folder.parent_path() / "4", folder);
               }}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace qlarank::testing
