#include "cli/output_file.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "cli/input_file.h"
#include "gtest/gtest.h"
#include "tests/cli/run_cli.h"

namespace qlarank {
namespace {

std::string Unpacked(const std::string& path) {
  auto file = InputFile::Open(path);
  EXPECT_TRUE(file.ok()) << file.status();
  return std::string(std::istreambuf_iterator<char>((*file)->stream()), {});
}

std::string Bytes(const std::string& path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

class OutputFileTest : public ::testing::Test {
 protected:
  ~OutputFileTest() override {
    std::filesystem::remove_all(
        std::filesystem::path(taken_).parent_path());
  }

  const std::string taken_ = WriteFile("taken", "something");
  const std::string path_ =
      std::filesystem::path(taken_).parent_path() / "out.csv";
};

TEST_F(OutputFileTest, IsThereOnceItIsWhole) {
  for (const std::string& path : {path_, path_ + ".gz"}) {
    auto file = OutputFile::Create(path);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_TRUE((*file)->Write("one\n").ok());
    EXPECT_TRUE((*file)->Write("").ok());
    EXPECT_TRUE((*file)->Write("two\n").ok());
    EXPECT_FALSE(std::filesystem::exists(path));
    EXPECT_TRUE((*file)->Commit().ok());
    EXPECT_EQ(Unpacked(path), "one\ntwo\n");
    EXPECT_FALSE(std::filesystem::exists(path + ".partial"));
  }
  EXPECT_EQ(Bytes(path_), "one\ntwo\n");
  EXPECT_NE(Bytes(path_ + ".gz"), "one\ntwo\n");
}

TEST_F(OutputFileTest, LeavesNothingUnlessItIsWhole) {
  {
    auto file = OutputFile::Create(path_);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_TRUE((*file)->Write("one\n").ok());
  }
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_FALSE(std::filesystem::exists(path_ + ".partial"));
}

TEST_F(OutputFileTest, RefusesWhatItCannotWrite) {
  EXPECT_TRUE(absl::IsInvalidArgument(OutputFile::Create(taken_).status()));
  EXPECT_EQ(Bytes(taken_), "something");
  EXPECT_TRUE(absl::IsInvalidArgument(
      OutputFile::Create("/no/such/folder/out.csv").status()));
}

}  // namespace
}  // namespace qlarank
