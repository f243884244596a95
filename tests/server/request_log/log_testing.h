// Folders of logs, what is in them, and records to put there.
#ifndef QLARANK_TESTS_SERVER_REQUEST_LOG_LOG_TESTING_H_
#define QLARANK_TESTS_SERVER_REQUEST_LOG_LOG_TESTING_H_

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "qlarank/v1/request_log.pb.h"
#include "server/request_log/frames.h"

namespace qlarank::testing {

// A path where nothing is, of this test alone.
inline std::string NewLogPath() {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  const auto path = std::filesystem::path(::testing::TempDir()) /
                    (std::string("requests_") + test->test_suite_name() + "_" +
                     test->name());
  std::filesystem::remove_all(path);
  return path.string();
}

// Names of the files of a log, in order.
inline std::vector<std::string> LogFiles(const std::string& path) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    const std::string name = entry.path().filename().string();
    if (name != "LOCK") names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

inline std::vector<std::string> RecordsOf(std::istream& file) {
  std::vector<std::string> records;
  RecordReader reader(file);
  for (std::string record; reader.Next(record);) records.push_back(record);
  return records;
}

// All records of a log, in order.
inline std::vector<std::string> LogRecords(const std::string& path) {
  std::vector<std::string> records;
  for (const std::string& name : LogFiles(path)) {
    std::ifstream file(path + "/" + name, std::ios::binary);
    for (std::string& record : RecordsOf(file)) {
      records.push_back(std::move(record));
    }
  }
  return records;
}

// The users of all requests of a log, in order.
inline std::vector<std::string> LoggedUsers(const std::string& path) {
  std::vector<std::string> users;
  for (const std::string& bytes : LogRecords(path)) {
    v1::LoggedRequest record;
    EXPECT_TRUE(record.ParseFromString(bytes));
    users.push_back(record.request().user_id());
  }
  return users;
}

inline std::string Contents(const std::string& file) {
  std::stringstream contents;
  contents << std::ifstream(file, std::ios::binary).rdbuf();
  return contents.str();
}

inline void WriteContents(const std::string& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary) << bytes;
}

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_SERVER_REQUEST_LOG_LOG_TESTING_H_
