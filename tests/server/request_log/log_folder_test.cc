#include "server/request_log/log_folder.h"

#include <signal.h>
#include <sys/resource.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/request_log/log_testing.h"

namespace qlarank::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Lt;
using ::testing::SizeIs;

// A frame of a record of 91 bytes has 100.
std::string Record(char name) { return std::string(91, name); }

class LogFolderTest : public ::testing::Test {
 protected:
  std::unique_ptr<LogFolder> Open(absl::Duration max_age = absl::ZeroDuration(),
                                  uint64_t max_bytes = 1000) {
    auto folder = LogFolder::Open(path_, {250, max_bytes, max_age});
    EXPECT_TRUE(folder.ok()) << folder.status();
    return *std::move(folder);
  }

  void Append(LogFolder& folder, const std::string& names) {
    for (const char name : names) {
      const absl::Status status = folder.Append(Record(name), now_);
      EXPECT_TRUE(status.ok()) << status;
    }
  }

  // The first letters of all records.
  std::string Names() {
    std::string names;
    for (const std::string& record : LogRecords(path_)) names += record[0];
    return names;
  }

  const std::string path_ = NewLogPath();
  absl::Time now_ = absl::FromUnixSeconds(1'800'000'000);
};

TEST_F(LogFolderTest, BeginsANewFileBeforeOneIsTooLarge) {
  auto folder = Open();
  Append(*folder, "abc");
  EXPECT_THAT(LogFiles(path_),
              ElementsAre("requests-20270115T080000Z-000001.pb",
                          "requests-20270115T080000Z-000002.pb.part"));
  EXPECT_EQ(folder->bytes(), 300u);
  folder = nullptr;
  EXPECT_THAT(LogFiles(path_),
              ElementsAre("requests-20270115T080000Z-000001.pb",
                          "requests-20270115T080000Z-000002.pb"));
  EXPECT_EQ(Names(), "abc");
}

TEST_F(LogFolderTest, NeverHasMoreThanItMay) {
  auto folder = Open();
  for (char name = 'a'; name <= 'z'; ++name) {
    Append(*folder, std::string(1, name));
    EXPECT_LE(folder->bytes(), 1000u);
  }
  EXPECT_EQ(Names(), "qrstuvwxyz");
}

TEST_F(LogFolderTest, RefusesARecordThatNoFileHasRoomFor) {
  auto folder = Open();
  EXPECT_TRUE(absl::IsOutOfRange(folder->Append(std::string(250, 'x'), now_)));
  Append(*folder, "a");
  EXPECT_EQ(Names(), "a");
}

TEST_F(LogFolderTest, RemovesAFileWhenItsFirstRecordIsTooOld) {
  auto folder = Open(absl::Minutes(10));
  Append(*folder, "a");
  now_ += absl::Minutes(4);
  Append(*folder, "b");
  now_ += absl::Minutes(1);  // half of it: closed, though there was room
  Append(*folder, "c");
  now_ += absl::Minutes(4);
  ASSERT_TRUE(folder->Tend(now_).ok());
  EXPECT_EQ(Names(), "abc");
  now_ += absl::Minutes(1);
  ASSERT_TRUE(folder->Tend(now_).ok());
  EXPECT_EQ(Names(), "c");
  EXPECT_EQ(folder->bytes(), 100u);
}

TEST_F(LogFolderTest, ClosesAFileWithinAnHour) {
  auto folder = Open();
  Append(*folder, "a");
  ASSERT_TRUE(folder->Tend(now_ + absl::Minutes(59)).ok());
  EXPECT_TRUE(absl::EndsWith(LogFiles(path_)[0], ".part"));
  ASSERT_TRUE(folder->Tend(now_ + absl::Hours(1)).ok());
  EXPECT_FALSE(absl::EndsWith(LogFiles(path_)[0], ".part"));
}

TEST_F(LogFolderTest, GoesOnWhereItWasLeft) {
  Append(*Open(), "abc");
  auto folder = Open();
  EXPECT_EQ(folder->bytes(), 300u);
  Append(*folder, "d");
  EXPECT_EQ(LogFiles(path_)[2], "requests-20270115T080000Z-000003.pb.part");
  Append(*folder, "efghijkl");
  EXPECT_LE(folder->bytes(), 1000u);
  EXPECT_EQ(Names(), "cdefghijkl");  // a and b were the oldest
}

TEST_F(LogFolderTest, BelongsToOne) {
  const auto folder = Open();
  const auto other = LogFolder::Open(path_, {250, 1000, {}});
  EXPECT_TRUE(absl::IsAlreadyExists(other.status())) << other.status();
  EXPECT_THAT(std::string(other.status().message()), HasSubstr(path_));
}

TEST_F(LogFolderTest, NamesAPathThatCannotBeAFolder) {
  WriteContents(path_, "a file");
  const auto folder = LogFolder::Open(path_, {250, 1000, {}});
  EXPECT_TRUE(absl::IsUnavailable(folder.status())) << folder.status();
  EXPECT_THAT(std::string(folder.status().message()), HasSubstr(path_));
  std::filesystem::remove(path_);
}

// A process that dies leaves a part, and half a record at its end.
TEST_F(LogFolderTest, KeepsTheWholeRecordsOfAPartThatWasLeft) {
  Append(*Open(), "ab");
  const std::string file = path_ + "/" + LogFiles(path_)[0];
  for (const size_t size : {199, 150, 109, 101, 100}) {
    WriteContents(file + ".part", Contents(file).substr(0, size));
    std::filesystem::remove(file);
    EXPECT_EQ(Open()->bytes(), 100u) << size;
    EXPECT_THAT(LogFiles(path_), SizeIs(1));
    EXPECT_EQ(std::filesystem::file_size(file), 100u);
    EXPECT_EQ(Names(), "a");
  }
  WriteContents(file + ".part", Contents(file).substr(0, 99));
  std::filesystem::remove(file);
  EXPECT_EQ(Open()->bytes(), 0u);
  EXPECT_THAT(LogFiles(path_), IsEmpty());
}

// What a full disk does, too: a write that ends in the middle of a record.
TEST_F(LogFolderTest, AWriteThatFailsLeavesNoHalfRecord) {
  signal(SIGXFSZ, SIG_IGN);
  auto folder = Open();
  Append(*folder, "a");
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit little = {150, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &little);
  const absl::Status status = folder->Append(Record('b'), now_);
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(path_));
  EXPECT_EQ(folder->bytes(), 100u);
  Append(*folder, "c");
  EXPECT_EQ(Names(), "ac");
  for (const std::string& name : LogFiles(path_)) {
    EXPECT_EQ(std::filesystem::file_size(path_ + "/" + name), 100u);
  }
}

TEST_F(LogFolderTest, WritesAgainOnceItsFolderIsBack) {
  auto folder = Open();
  std::filesystem::remove_all(path_);
  EXPECT_TRUE(absl::IsUnavailable(folder->Append(Record('a'), now_)));
  std::filesystem::create_directory(path_);
  Append(*folder, "b");
  EXPECT_EQ(Names(), "b");
}

TEST_F(LogFolderTest, RemovesWhatIsUnwantedOfAFile) {
  auto folder = Open();
  Append(*folder, "abacaa");
  folder->CloseFile();
  const auto is_a = [](absl::string_view record) { return record[0] == 'a'; };
  for (const std::string& name : folder->names()) {
    EXPECT_TRUE(folder->Filter(name, is_a).ok());
  }
  EXPECT_EQ(Names(), "bc");
  EXPECT_EQ(folder->bytes(), 200u);
  EXPECT_THAT(LogFiles(path_), SizeIs(2));  // nothing was left of the third
  EXPECT_EQ(LogFiles(path_), folder->names());
}

// It might hold what is unwanted.
TEST_F(LogFolderTest, RemovesWhatCannotBeReadOfAFile) {
  auto folder = Open();
  Append(*folder, "ab");
  folder->CloseFile();
  const std::string file = path_ + "/" + LogFiles(path_)[0];
  std::string damaged = Contents(file);
  damaged[150] = '\0';
  WriteContents(file, damaged);
  ASSERT_TRUE(folder->Filter(folder->names()[0], [](absl::string_view) {
    return false;
  }).ok());
  EXPECT_EQ(Contents(file).size(), 100u);
  EXPECT_EQ(folder->bytes(), 100u);
}

TEST_F(LogFolderTest, AFileThatCannotBeRewrittenGoes) {
  auto folder = Open();
  Append(*folder, "ab");
  folder->CloseFile();
  const std::string name = folder->names()[0];
  std::filesystem::create_directory(path_ + "/" + name + ".new");
  ASSERT_TRUE(folder->Filter(name, [](absl::string_view record) {
    return record[0] == 'a';
  }).ok());
  EXPECT_FALSE(std::filesystem::exists(path_ + "/" + name));
  EXPECT_EQ(folder->bytes(), 0u);
  EXPECT_THAT(folder->names(), IsEmpty());
}

TEST_F(LogFolderTest, LeavesFilesOfOthersAlone) {
  std::filesystem::create_directory(path_);
  WriteContents(path_ + "/notes.txt", "mine");
  WriteContents(path_ + "/requests-x-1.pb", "mine");
  auto folder = Open(absl::Minutes(1));
  now_ += absl::Hours(100);
  Append(*folder, "abcdefghijklmn");
  EXPECT_EQ(Contents(path_ + "/notes.txt"), "mine");
  EXPECT_EQ(Contents(path_ + "/requests-x-1.pb"), "mine");
}

}  // namespace
}  // namespace qlarank::testing
