// Ways to damage a store: its records behind its back, or its files.
#ifndef QLARANK_TESTS_STATE_STORE_DAMAGE_H_
#define QLARANK_TESTS_STATE_STORE_DAMAGE_H_

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "rocksdb/db.h"

namespace qlarank {

// The store's database without the store around it.
class RawDatabase {
 public:
  explicit RawDatabase(const std::string& path) {
    std::vector<std::string> names;
    EXPECT_TRUE(
        rocksdb::DB::ListColumnFamilies(rocksdb::DBOptions(), path, &names)
            .ok());
    std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
    for (const auto& name : names) {
      descriptors.emplace_back(name, rocksdb::ColumnFamilyOptions());
    }
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* db = nullptr;
    EXPECT_TRUE(rocksdb::DB::Open(rocksdb::DBOptions(), path, descriptors,
                                  &handles, &db)
                    .ok());
    db_.reset(db);
    for (size_t i = 0; i < names.size(); ++i) {
      column_families_[names[i]].reset(handles[i]);
    }
  }

  std::string Get(const std::string& column_family, const std::string& key) {
    std::string value;
    EXPECT_TRUE(db_->Get(rocksdb::ReadOptions(),
                         column_families_[column_family].get(), key, &value)
                    .ok());
    return value;
  }
  void Put(const std::string& column_family, const std::string& key,
           const std::string& value) {
    EXPECT_TRUE(db_->Put(rocksdb::WriteOptions(),
                         column_families_[column_family].get(), key, value)
                    .ok());
  }
  void Delete(const std::string& column_family, const std::string& key) {
    EXPECT_TRUE(db_->Delete(rocksdb::WriteOptions(),
                            column_families_[column_family].get(), key)
                    .ok());
  }

 private:
  std::unique_ptr<rocksdb::DB> db_;
  std::map<std::string, std::unique_ptr<rocksdb::ColumnFamilyHandle>>
      column_families_;
};

inline void FlipBitOfFile(const std::string& path, uint64_t offset, int bit) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(offset));
  const char byte = static_cast<char>(file.get() ^ (1 << bit));
  file.seekp(static_cast<std::streamoff>(offset));
  file.put(byte);
  ASSERT_TRUE(file.good());
}

inline std::vector<std::string> FilesOf(const std::string& path,
                                 const std::string& extension) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    if (entry.path().extension() == extension) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace qlarank

#endif  // QLARANK_TESTS_STATE_STORE_DAMAGE_H_
