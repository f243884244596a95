#include "model/pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {
namespace {

constexpr size_t kBytes = (size_t{3} << 20) + 17;

// Of the mapping's pages, what /proc says of where it is.
std::string MappingAt(const void* address) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const size_t dash = line.find('-');
    const uintptr_t begin = std::stoull(line.substr(0, dash), nullptr, 16);
    const uintptr_t end = std::stoull(line.substr(dash + 1), nullptr, 16);
    const auto at = reinterpret_cast<uintptr_t>(address);
    if (begin <= at && at < end) return line;
  }
  return "";
}

TEST(PagesTest, AFilesPagesAreZerosAndKeepWhatIsWritten) {
  const TempDir folder;
  auto pages = Pages::InFile(folder.path(), kBytes);
  ASSERT_TRUE(pages.ok()) << pages.status();
  char* const data = pages->data();
  EXPECT_EQ(std::count(data, data + kBytes, 0), kBytes);
  std::fill_n(data, kBytes, 'x');
  const Pages moved = *std::move(pages);
  moved.ExpectSparseReads();
  EXPECT_EQ(moved.data(), data);
  EXPECT_EQ(std::count(data, data + kBytes, 'x'), kBytes);
}

TEST(PagesTest, AFileIsInItsFolderWithoutAName) {
  const TempDir folder;
  const auto pages = Pages::InFile(folder.path(), kBytes);
  ASSERT_TRUE(pages.ok()) << pages.status();
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  const std::string mapping = MappingAt(pages->data());
  EXPECT_THAT(mapping, ::testing::HasSubstr(folder.path()));
  EXPECT_THAT(mapping, ::testing::HasSubstr("(deleted)"));
  // Shared: written out where there is no memory, and read again.
  EXPECT_THAT(mapping, ::testing::HasSubstr(" rw-s "));
}

// Not when the last of it is written.
TEST(PagesTest, WhatADiskDoesNotHaveIsAnErrorThatNamesTheFolder) {
  const TempDir folder;
  const auto pages =
      Pages::InFile(folder.path(),
                    std::filesystem::space(folder.path()).capacity + kBytes);
  EXPECT_EQ(pages.status().code(), absl::StatusCode::kResourceExhausted)
      << pages.status();
  EXPECT_THAT(std::string(pages.status().message()),
              ::testing::HasSubstr(folder.path()));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(PagesTest, AFolderThatIsMissingIsNamed) {
  const auto pages = PagesIn("/nonexistent/tables", kBytes);
  EXPECT_EQ(pages.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(pages.status().message()),
              ::testing::HasSubstr("in /nonexistent/tables"));
}

TEST(PagesTest, WithoutAFolderTheyAreInMemory) {
  const auto pages = PagesIn("", kBytes);
  ASSERT_TRUE(pages.ok()) << pages.status();
  EXPECT_FALSE(absl::StrContains(MappingAt(pages->data()), "/"));
  EXPECT_EQ(PagesIn("/nonexistent", 0)->data(), nullptr);
}

}  // namespace
}  // namespace qlarank::testing
