#include "tests/state_store/format1_store.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "state_store/checksum.h"
#include "state_store/keys.h"

namespace qlarank {
namespace {

// The wire format of Protobuf, as far as it is needed.
std::string Varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) {
    out.push_back(static_cast<char>(value | 0x80));
  }
  out.push_back(static_cast<char>(value));
  return out;
}

std::string LittleEndian(uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) {
    out.push_back(static_cast<char>(value >> (8 * i)));
  }
  return out;
}

std::string VarintField(int number, uint64_t value) {
  return value == 0 ? "" : Varint(number << 3) + Varint(value);
}

std::string Fixed64Field(int number, uint64_t value) {
  if (value == 0) return "";
  return Varint(number << 3 | 1) + LittleEndian(value, 8);
}

std::string BytesField(int number, const std::string& bytes) {
  return Varint(number << 3 | 2) + Varint(bytes.size()) + bytes;
}

std::string EventMessage(const LoggedEvent& event) {
  std::string floats;
  for (const float value : event.features) {
    uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof(bits));
    floats += LittleEndian(bits, 4);
  }
  return absl::StrCat(
      Fixed64Field(1, event.item_id), BytesField(2, event.action),
      Fixed64Field(3, event.time_us), BytesField(4, event.source),
      VarintField(5, event.source_sequence), BytesField(6, floats),
      VarintField(7, event.schema));
}

std::string HeadMessage(const UserHead& head) {
  std::string message = absl::StrCat(
      Fixed64Field(1, head.incarnation), VarintField(2, head.last_sequence),
      Fixed64Field(3, head.last_event_time_us));
  for (const auto& [source, sequence] : head.watermarks) {
    message += BytesField(
        4, absl::StrCat(BytesField(1, source), VarintField(2, sequence)));
  }
  if (head.first_sequence > 1) message += VarintField(5, head.first_sequence);
  return message;
}

}  // namespace

Format1Store::Format1Store(const std::string& path,
                           const std::vector<std::string>& fingerprints) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  std::vector<std::string> names = {"default", "log", "heads"};
  for (const std::string& f : fingerprints) names.push_back("state-" + f);
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const std::string& name : names) {
    families.emplace_back(name, rocksdb::ColumnFamilyOptions());
  }
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  EXPECT_TRUE(
      rocksdb::DB::Open(options, path, families, &handles, &db).ok());
  db_.reset(db);
  for (size_t i = 0; i < names.size(); ++i) {
    column_families_[names[i]].reset(handles[i]);
  }
  Put("default", "qlarank format", "qlarank store, format 1");
}

Format1Store::~Format1Store() { column_families_.clear(); }

void Format1Store::Put(const std::string& column_family,
                       const std::string& key, const std::string& value) {
  EXPECT_TRUE(db_->Put(rocksdb::WriteOptions(),
                       column_families_.at(column_family).get(), key, value)
                  .ok());
}

void Format1Store::Delete(const std::string& column_family,
                          const std::string& key) {
  EXPECT_TRUE(db_->Delete(rocksdb::WriteOptions(),
                          column_families_.at(column_family).get(), key)
                  .ok());
}

void Format1Store::PutRecord(const std::string& column_family, char kind,
                             const std::string& key,
                             const std::string& message) {
  const uint32_t crc = MaskCrc(Crc32c(absl::StrCat(
      absl::string_view(&kind, 1), key, message)));
  Put(column_family, key, LittleEndian(crc, 4) + message);
}

void Format1Store::PutUser(const std::string& user_id, const UserHead& head,
                           const std::vector<LoggedEvent>& events) {
  uint64_t sequence = head.first_sequence;
  for (const LoggedEvent& event : events) {
    PutRecord("log", 'e', LogKey(user_id, sequence++), EventMessage(event));
  }
  PutRecord("heads", 'h', UserKey(user_id), HeadMessage(head));
}

void Format1Store::PutSnapshot(const std::string& fingerprint,
                               const std::string& user_id,
                               const Snapshot& snapshot) {
  constexpr uint64_t kTakenAtUs = 1'700'000'000'000'000;
  std::string message = absl::StrCat(
      BytesField(1, fingerprint), Fixed64Field(2, snapshot.incarnation),
      VarintField(3, snapshot.folded_sequence), Fixed64Field(4, kTakenAtUs),
      BytesField(5, snapshot.state));
  if (snapshot.newest_event_time_us.has_value()) {
    // Even a 0 is written.
    message += absl::StrCat(Varint(6 << 3 | 1),
                            LittleEndian(*snapshot.newest_event_time_us, 8));
  }
  PutRecord("state-" + fingerprint, 's', UserKey(user_id), message);
}

void Format1Store::PutSchema(uint64_t number,
                             const std::vector<std::string>& names) {
  std::string message;
  for (const std::string& name : names) message += BytesField(1, name);
  PutRecord("default", 'n', SchemaKey(number), message);
}

void Format1Store::PutSourceMark(const std::string& source,
                                 const SourceMark& mark) {
  PutRecord("default", 'm', SourceMarkKey(source),
            VarintField(1, mark.complete_through) + BytesField(2, mark.note));
}

void Format1Store::PutErasure(uint64_t number, const std::string& user_digest,
                              const ErasureNote& note, uint64_t events) {
  PutRecord("default", 'x', ErasureKey(number),
            absl::StrCat(BytesField(1, user_digest),
                         Fixed64Field(2, note.time_us),
                         BytesField(3, note.principal),
                         BytesField(4, note.reason), VarintField(5, events)));
}

void Format1Store::PutDigestKey(const std::string& key) {
  Put("default", "qlarank digest key", key);
}

}  // namespace qlarank
