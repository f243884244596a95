#include "cli/input_file.h"

#include <iterator>
#include <memory>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cli/packed.h"
#include "tests/cli/run_cli.h"

namespace qlarank {
namespace {

using testing::EndsWith;
using testing::StartsWith;

struct Format {
  const char* name;
  std::string (*pack)(std::string text);
};

class InputFileTest : public testing::TestWithParam<Format> {
 protected:
  static std::unique_ptr<InputFile> Open(const std::string& contents) {
    auto file = InputFile::Open(WriteFile("events", contents));
    EXPECT_TRUE(file.ok()) << file.status();
    return *std::move(file);
  }
  static std::string ReadAll(InputFile& file) {
    return std::string(std::istreambuf_iterator<char>(file.stream()), {});
  }
  static std::string Pack(const std::string& text) {
    return GetParam().pack(text);
  }
};

// Of many pieces, packed well and not at all.
std::string LongText() {
  std::mt19937_64 random(7);
  std::string text(600'000, 'a');
  for (int i = 0; i < 20'000; ++i) absl::StrAppend(&text, random(), "\n");
  return text;
}

TEST_P(InputFileTest, IsUnpacked) {
  const std::string text = LongText();
  const std::string packed = Pack(text);
  std::unique_ptr<InputFile> file = Open(packed);
  EXPECT_TRUE(file->is_compressed());
  EXPECT_EQ(*file->size_bytes(), packed.size());
  EXPECT_TRUE(ReadAll(*file) == text);
  EXPECT_EQ(file->bytes_taken(), packed.size());
  EXPECT_TRUE(file->status().ok());
  EXPECT_FALSE(file->stream().bad());
}

TEST_P(InputFileTest, MembersAreOneFile) {
  std::unique_ptr<InputFile> file = Open(absl::StrCat(
      Pack("one\n"), Pack(""), Pack("two\n"), std::string(600'000, '\0')));
  EXPECT_EQ(ReadAll(*file), "one\ntwo\n");
  EXPECT_TRUE(file->status().ok());
}

TEST_P(InputFileTest, WhatWasCutOrDamagedIsTold) {
  const std::string packed = Pack(LongText());
  std::string damaged = packed;
  for (size_t i = 0; i < 100; ++i) damaged[packed.size() / 2 + i] ^= 0x55;
  for (const std::string& bad :
       {damaged, packed.substr(0, packed.size() / 2),
        packed.substr(0, packed.size() - 1), packed.substr(0, 20),
        absl::StrCat(packed, "and so on")}) {
    std::unique_ptr<InputFile> file = Open(bad);
    ReadAll(*file);
    EXPECT_TRUE(file->stream().bad()) << bad.size();
    EXPECT_THAT(
        std::string(file->status().message()),
        EndsWith(absl::StrCat("events: compressed by ", GetParam().name,
                              ", but cut short or damaged: fetch or make it "
                              "again")));
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, InputFileTest,
                         testing::Values(Format{"gzip", Gzipped},
                                         Format{"bzip2", Bzipped2},
                                         Format{"xz", Xzipped}),
                         [](const auto& info) { return info.param.name; });

TEST(PlainInputFileTest, IsReadAsItIsAndSeeks) {
  for (const char* text : {"", "a", "BZhang,item\n1,2\n"}) {
    auto file = InputFile::Open(WriteFile("events.csv.gz", text));
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_FALSE((*file)->is_compressed());
    for (int turn = 0; turn < 2; ++turn) {
      std::istream& stream = (*file)->stream();
      EXPECT_EQ(std::string(std::istreambuf_iterator<char>(stream), {}), text);
      stream.clear();
      stream.seekg(0);
    }
  }
  EXPECT_THAT(
      std::string(InputFile::Open(testing::TempDir()).status().message()),
      StartsWith("cannot read "));
}

TEST(NameWithoutCompressionTest, TakesOneEndingAway) {
  EXPECT_EQ(NameWithoutCompression("a.csv.gz"), "a.csv");
  EXPECT_EQ(NameWithoutCompression("a.csv.xz"), "a.csv");
  EXPECT_EQ(NameWithoutCompression("a.csv.bz2"), "a.csv");
  EXPECT_EQ(NameWithoutCompression("a.csv"), "a.csv");
}

}  // namespace
}  // namespace qlarank
