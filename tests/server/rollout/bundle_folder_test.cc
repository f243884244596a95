#include "server/rollout/bundle_folder.h"

#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {
namespace {

using ::testing::HasSubstr;

class BundleFolderTest : public ::testing::Test {
 protected:
  BundleFolderTest() {
    for (const char* folder : {"base/shop/1", "base/shop/odd", "elsewhere",
                               "base-of-another"}) {
      std::filesystem::create_directories(dir_.Path(folder));
    }
    std::filesystem::create_directory_symlink(dir_.Path("elsewhere"),
                                              dir_.Path("base/shop/2"));
    std::filesystem::create_directory_symlink(dir_.Path("base/shop/1"),
                                              dir_.Path("base/shop/3"));
  }

  absl::StatusOr<std::string> Find(const std::string& name, uint64_t version,
                                   const std::string& path = "") {
    return BundleFolder(dir_.Path("base"), {name, version, path});
  }
  void Refuses(const std::string& name, uint64_t version,
               const std::string& path, absl::StatusCode code,
               const std::string& why) {
    const absl::Status status = Find(name, version, path).status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(why));
  }

  const TempDir dir_;
};

TEST_F(BundleFolderTest, IsOfNameAndVersionUnlessAPathIsGiven) {
  EXPECT_EQ(*Find("shop", 1), dir_.Path("base/shop/1"));
  EXPECT_EQ(*Find("shop", 7, "shop/odd"), dir_.Path("base/shop/odd"));
  EXPECT_EQ(*Find("shop", 7, dir_.Path("base/shop/odd")),
            dir_.Path("base/shop/odd"));
  EXPECT_EQ(*Find("shop", 7, "shop/1/../odd"), dir_.Path("base/shop/odd"));
  EXPECT_EQ(*Find("shop", 3), dir_.Path("base/shop/1"));  // a link within
}

TEST_F(BundleFolderTest, LiesBelowTheBase) {
  const auto bad = absl::StatusCode::kInvalidArgument;
  for (const std::string& path :
       {std::string("../elsewhere"), std::string("../base-of-another"),
        dir_.Path("elsewhere"), std::string("/"), std::string("."),
        std::string("shop/..")}) {
    Refuses("shop", 7, path, bad, "must lie below model_base_path");
  }
  Refuses("shop", 2, "", bad, "must lie below model_base_path");  // a link out
  Refuses("..", 1, "", bad, "model_name: \"..\"; ");
  Refuses("shop/..", 1, "", bad, "model_name: ");
  Refuses("", 1, "", bad, "model_name: ");
  Refuses("shop", 0, "", bad, "model_version: 0; ");
}

TEST_F(BundleFolderTest, SaysWhatIsMissing) {
  Refuses("shop", 9, "", absl::StatusCode::kNotFound, "base/shop/9\"; No such");
  const absl::Status none = BundleFolder("", {"shop", 1, ""}).status();
  EXPECT_EQ(none.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(none.message()), HasSubstr("model_base_path: \"\""));
  const absl::Status gone =
      BundleFolder(dir_.Path("nowhere"), {"shop", 1, ""}).status();
  EXPECT_EQ(gone.code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace qlarank::testing
