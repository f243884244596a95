#include "server/rollout/model_folders.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::Pair;

class ModelFoldersTest : public ::testing::Test {
 protected:
  std::string base() const { return dir_.Path("base"); }
  // A folder with a file of so many bytes.
  void Make(const std::string& folder, const std::string& file,
            size_t bytes = 1) {
    fs::create_directories(base() + "/" + folder);
    std::ofstream(base() + "/" + folder + "/" + file)
        << std::string(bytes, 'x');
  }
  std::string Of(uint64_t version) {
    return ListVersionFolders(base(), "m")->at(version);
  }

  const TempDir dir_;
};

TEST_F(ModelFoldersTest, AreThoseWithTheNamesOfModels) {
  Make("m/1", "model.textproto");
  Make("garden.v2", "readme");
  Make(".hidden/1", "model.textproto");
  Make("lost+found", "file");
  std::ofstream(base() + "/file") << "x";
  auto models = *ListModelFolders(base());
  EXPECT_THAT(models, ElementsAre("garden.v2", "m"));
}

TEST_F(ModelFoldersTest, VersionsAreWholeNumbers) {
  for (const char* name : {"1", "12", "007", "0", "-3", "8.new", ".9", "v1",
                           "18446744073709551616"}) {
    Make(std::string("m/") + name, "model.textproto");
  }
  Make("m/18446744073709551615", "weights");
  std::ofstream(base() + "/m/5") << "x";
  EXPECT_THAT(*ListVersionFolders(base(), "m"),
              ElementsAre(Pair(1, ::testing::Ne("")),
                          Pair(12, ::testing::Ne("")), Pair(UINT64_MAX, "")));
}

TEST_F(ModelFoldersTest, AChangeOfAnyFileShows) {
  Make("m/1", "model.textproto");
  Make("m/1", "weights");
  const std::string before = Of(1);
  EXPECT_EQ(Of(1), before);
  Make("m/1", "weights", 2);
  const std::string longer = Of(1);
  EXPECT_NE(longer, before);
  fs::last_write_time(base() + "/m/1/weights",
                      fs::last_write_time(base() + "/m/1/weights") +
                          std::chrono::seconds(1));
  EXPECT_NE(Of(1), longer);
  const std::string later = Of(1);
  // As large and as old, and another file.
  fs::copy(base() + "/m/1/weights", base() + "/m/1/.weights");
  fs::last_write_time(base() + "/m/1/.weights",
                      fs::last_write_time(base() + "/m/1/weights"));
  fs::rename(base() + "/m/1/.weights", base() + "/m/1/weights");
  EXPECT_NE(Of(1), later);
}

TEST_F(ModelFoldersTest, WhatCannotBeListedIsAnError) {
  EXPECT_TRUE(absl::IsUnavailable(ListModelFolders(base()).status()));
  Make("m/1", "model.textproto");
  EXPECT_TRUE(
      absl::IsUnavailable(ListVersionFolders(base(), "other").status()));
}

}  // namespace
}  // namespace qlarank::testing
