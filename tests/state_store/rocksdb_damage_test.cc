// Damaged records and files are reported, never served.
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "rocksdb/db.h"
#include "rocksdb/slice_transform.h"
#include "state_store/keys.h"
#include "state_store/records.h"
#include "state_store/rocksdb_state_store.h"
#include "tests/state_store/damage.h"
#include "tests/state_store/store_testing.h"

namespace qlarank {
namespace {

constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();
constexpr auto kDataLoss = absl::StatusCode::kDataLoss;
constexpr char kF[] = "f1e2d3";
constexpr char kG[] = "a0b1c2";

class RocksDbDamageTest : public testing::Test {
 protected:
  RocksDbDamageTest() : options_(SmallOptions(folder_ / "store")) {}

  void Open() {
    store_.reset();
    auto store = OpenRocksDbStateStore(options_);
    ASSERT_THAT(store, IsOk());
    store_ = *std::move(store);
  }

  // Two users with ten events and a snapshot each, one with a strange name.
  void Fill() {
    Open();
    ASSERT_THAT(store_->OpenFingerprint(kF), IsOk());
    ASSERT_THAT(store_->OpenFingerprint(kG), IsOk());
    for (const std::string& user : {kU, kNeighbour}) {
      ASSERT_THAT(store_->AppendEvents({MakeAppend(user, 1, 10)}), IsOk());
      ASSERT_THAT(store_->PutSnapshot(kF, user, MakeSnapshot(user, 8)), IsOk());
    }
  }

  // Closes the store, lets `damage` at the database and opens the store again.
  void Damage(const std::function<void(RawDatabase&)>& damage) {
    store_.reset();
    {
      RawDatabase raw(options_.path);
      damage(raw);
    }
    Open();
  }

  void FlipByte(const std::string& column_family, const std::string& key,
                size_t position) {
    Damage([&](RawDatabase& raw) {
      std::string value = raw.Get(column_family, key);
      value.at(position) ^= 0x20;
      raw.Put(column_family, key, value);
    });
  }

  void ExpectNeighbourIsWell() {
    EXPECT_THAT(store_->ReadEvents(kNeighbour, 1, kNoLimit),
                IsOkAndHolds(MakeAppend(kNeighbour, 1, 10).events));
    EXPECT_THAT(store_->GetSnapshot(kF, kNeighbour),
                IsOkAndHolds(std::optional(MakeSnapshot(kNeighbour, 8))));
  }

  const std::string kU = std::string("u\0n", 3);
  const std::string kNeighbour = "neighbour";
  TempFolder folder_;
  RocksDbOptions options_;
  std::unique_ptr<StateStore> store_;
};

TEST_F(RocksDbDamageTest, FlippedByteInAnEvent) {
  Fill();
  FlipByte("log", LogKey(kU, 7), 9);
  const auto is_named =
      IsStatus(kDataLoss, "event 7 of user \"u\\x00n\": checksum mismatch");
  EXPECT_THAT(store_->ReadEvents(kU, 1, kNoLimit), is_named);
  EXPECT_THAT(store_->ReadEvents(kU, 7, 1), is_named);
  EXPECT_THAT(store_->ReadEvents(kU, 1, 6), IsOk());
  EXPECT_THAT(store_->ReadEvents(kU, 8, 3), IsOk());
  ExpectNeighbourIsWell();
}

TEST_F(RocksDbDamageTest, TruncatedEvent) {
  Fill();
  Damage([&](RawDatabase& raw) {
    const std::string key = LogKey(kU, 7);
    raw.Put("log", key, raw.Get("log", key).substr(0, 3));
  });
  EXPECT_THAT(store_->ReadEvents(kU, 1, kNoLimit),
              IsStatus(kDataLoss,
                       "event 7 of user \"u\\x00n\": record truncated to 3"));
}

TEST_F(RocksDbDamageTest, MissingEvent) {
  for (const uint64_t missing : {1, 5, 10}) {
    std::filesystem::remove_all(options_.path);
    Fill();
    Damage([&](RawDatabase& raw) { raw.Delete("log", LogKey(kU, missing)); });
    EXPECT_THAT(store_->ReadEvents(kU, 1, kNoLimit),
                IsStatus(kDataLoss, absl::StrCat("event ", missing,
                                                 " of user \"u\\x00n\": "
                                                 "missing")));
    EXPECT_THAT(store_->ReadEvents(kU, missing, 1),
                IsStatus(kDataLoss, "missing"));
    ExpectNeighbourIsWell();
    store_.reset();
  }
}

TEST_F(RocksDbDamageTest, EventOfAnotherSequence) {
  Fill();
  Damage([&](RawDatabase& raw) {
    raw.Put("log", LogKey(kU, 7), raw.Get("log", LogKey(kU, 6)));
  });
  EXPECT_THAT(store_->ReadEvents(kU, 1, kNoLimit),
              IsStatus(kDataLoss, "event 7 of user \"u\\x00n\": checksum"));
}

TEST_F(RocksDbDamageTest, EventsBeyondTheHead) {
  Fill();
  Damage([&](RawDatabase& raw) {
    const std::string key = LogKey(kU, 11);
    raw.Put("log", key, EncodeEvent(key, MakeEvent(kU, 11)));
  });
  EXPECT_THAT(store_->ReadEvents(kU, 1, kNoLimit),
              IsStatus(kDataLoss,
                       "event 11 of user \"u\\x00n\": found in the "
                       "log, but not counted by the head"));
}

TEST_F(RocksDbDamageTest, LostHead) {
  Fill();
  Damage([&](RawDatabase& raw) { raw.Delete("heads", UserKey(kU)); });
  EXPECT_THAT(store_->ReadEvents(kU, 1, kNoLimit),
              IsStatus(kDataLoss, "event 1 of user \"u\\x00n\": found"));
  ExpectNeighbourIsWell();
}

TEST_F(RocksDbDamageTest, FlippedByteInAHead) {
  Fill();
  FlipByte("heads", UserKey(kU), 8);
  const auto is_named =
      IsStatus(kDataLoss, "head of user \"u\\x00n\": checksum mismatch");
  EXPECT_THAT(store_->GetHead(kU), is_named);
  EXPECT_THAT(store_->ReadEvents(kU, 1, 1), is_named);
  EXPECT_THAT(store_->AppendEvents({MakeAppend(kU, 11, 11)}), is_named);
  ExpectNeighbourIsWell();

  // A scan goes on past it and tells at the end.
  std::vector<std::string> seen;
  EXPECT_THAT(
      store_->ForEachUser([&](absl::string_view user, const UserHead&) {
        seen.emplace_back(user);
        return true;
      }),
      IsStatus(kDataLoss, "1 damaged, the first: head of user \"u\\x00n\""));
  EXPECT_THAT(seen, testing::ElementsAre(kNeighbour));

  // Erasure works all the same, and counts.
  EXPECT_THAT(store_->DeleteUser(kU), IsOkAndHolds(10u));
  EXPECT_THAT(store_->GetHead(kU), IsOkAndHolds(UserHead()));
  ExpectNeighbourIsWell();
}

TEST_F(RocksDbDamageTest, HeadUnderAKeyThatIsNoUserKey) {
  Fill();
  Damage([&](RawDatabase& raw) {
    UserHead head;
    head.incarnation = 1;
    raw.Put("heads", "stray", EncodeHead("stray", head));
  });
  int seen = 0;
  EXPECT_THAT(store_->ForEachUser([&](absl::string_view, const UserHead&) {
    ++seen;
    return true;
  }),
              IsStatus(kDataLoss, "its key is damaged"));
  EXPECT_EQ(seen, 2);
}

TEST_F(RocksDbDamageTest, FlippedByteInASnapshot) {
  Fill();
  FlipByte(absl::StrCat("state-", kF), UserKey(kU), 30);
  EXPECT_THAT(store_->GetSnapshot(kF, kU),
              IsStatus(kDataLoss,
                       "snapshot of user \"u\\x00n\" under fingerprint f1e2d3: "
                       "checksum mismatch"));
  ExpectNeighbourIsWell();
  // It can be replaced by one that was rebuilt.
  ASSERT_THAT(store_->PutSnapshot(kF, kU, MakeSnapshot(kU, 10)), IsOk());
  EXPECT_THAT(store_->GetSnapshot(kF, kU),
              IsOkAndHolds(std::optional(MakeSnapshot(kU, 10))));
}

TEST_F(RocksDbDamageTest, SnapshotOfAnotherUserOrFingerprint) {
  Fill();
  Damage([&](RawDatabase& raw) {
    const std::string states = absl::StrCat("state-", kF);
    raw.Put(states, UserKey(kU), raw.Get(states, UserKey(kNeighbour)));
    raw.Put(absl::StrCat("state-", kG), UserKey(kNeighbour),
            raw.Get(states, UserKey(kNeighbour)));
  });
  EXPECT_THAT(store_->GetSnapshot(kF, kU), IsStatus(kDataLoss, "checksum"));
  EXPECT_THAT(store_->GetSnapshot(kG, kNeighbour),
              IsStatus(kDataLoss, "another fingerprint, \"f1e2d3\""));
}

// -- Files --------------------------------------------------------------------

// DATA_LOSS or the truth.
#define EXPECT_HONEST(result, truth)                         \
  do {                                                       \
    const auto& r = (result);                                \
    if (r.ok()) {                                            \
      EXPECT_EQ(*r, truth);                                  \
    } else {                                                 \
      EXPECT_EQ(r.status().code(), kDataLoss) << r.status(); \
      ++noticed;                                             \
    }                                                        \
  } while (false)

TEST_F(RocksDbDamageTest, FlippedBitsInTableFilesNeverGoUnnoticed) {
  Fill();
  ASSERT_THAT(store_->AppendEvents({MakeAppend("many", 1, 500)}), IsOk());
  ASSERT_THAT(store_->Flush(), IsOk());
  store_.reset();
  std::mt19937_64 random(20240601);
  int flips = 0;
  int noticed = 0;
  for (const std::string& file : FilesOf(options_.path, ".sst")) {
    const uint64_t size = std::filesystem::file_size(file);
    for (int i = 0; i < 25; ++i, ++flips) {
      const uint64_t offset = random() % size;
      const int bit = static_cast<int>(random() % 8);
      SCOPED_TRACE(absl::StrCat(file, " byte ", offset, " bit ", bit));
      FlipBitOfFile(file, offset, bit);
      auto store = OpenRocksDbStateStore(options_);
      if (store.ok()) {
        EXPECT_HONEST((*store)->ReadEvents(kU, 1, kNoLimit),
                      MakeAppend(kU, 1, 10).events);
        EXPECT_HONEST((*store)->ReadEvents("many", 1, kNoLimit),
                      MakeAppend("many", 1, 500).events);
        EXPECT_HONEST((*store)->GetHead(kNeighbour),
                      MakeAppend(kNeighbour, 1, 10).head_after);
        EXPECT_HONEST((*store)->GetSnapshot(kF, kU),
                      std::optional(MakeSnapshot(kU, 8)));
        store->reset();
      } else {
        EXPECT_EQ(store.status().code(), kDataLoss) << store.status();
        ++noticed;
      }
      FlipBitOfFile(file, offset, bit);  // and back
    }
  }
  EXPECT_GT(noticed, flips / 2);
}

TEST_F(RocksDbDamageTest, MissingTableFile) {
  Fill();
  ASSERT_THAT(store_->Flush(), IsOk());
  store_.reset();
  std::filesystem::remove(FilesOf(options_.path, ".sst").front());
  EXPECT_THAT(OpenRocksDbStateStore(options_),
              IsStatus(kDataLoss, options_.path));
}

TEST_F(RocksDbDamageTest, DamagedCurrentFile) {
  Fill();
  store_.reset();
  std::ofstream(options_.path + "/CURRENT") << "MANIFEST-junk";
  EXPECT_THAT(OpenRocksDbStateStore(options_),
              IsStatus(kDataLoss, options_.path));
}

// A copy of an open store is what a crash of the machine leaves.
std::string CrashCopy(const std::string& path, const std::string& copy) {
  std::filesystem::remove_all(copy);
  std::filesystem::copy(path, copy, std::filesystem::copy_options::recursive);
  return copy;
}

TEST_F(RocksDbDamageTest, ATornWalLosesOnlyWhatWasNotAcknowledged) {
  Open();
  ASSERT_THAT(store_->AppendEvents({MakeAppend("u", 1, 50)}), IsOk());
  const std::string wal = FilesOf(options_.path, ".log").back();
  const uint64_t acknowledged_bytes = std::filesystem::file_size(wal);
  // The append whose acknowledgement never came.
  ASSERT_THAT(
      store_->AppendEvents({MakeAppend("u", 51, 55), MakeAppend("v", 1, 5)}),
      IsOk());
  const uint64_t all_bytes = std::filesystem::file_size(wal);
  ASSERT_GT(all_bytes, acknowledged_bytes + 100);

  for (uint64_t bytes = acknowledged_bytes; bytes <= all_bytes; bytes += 37) {
    SCOPED_TRACE(bytes);
    RocksDbOptions options = options_;
    options.path = CrashCopy(options_.path, folder_ / "copy");
    std::filesystem::resize_file(
        options.path + "/" + std::filesystem::path(wal).filename().string(),
        bytes);
    auto store = OpenRocksDbStateStore(options);
    ASSERT_THAT(store, IsOk());
    EXPECT_THAT((*store)->ReadEvents("u", 1, kNoLimit),
                IsOkAndHolds(MakeAppend("u", 1, 50).events));
    EXPECT_THAT((*store)->GetHead("v"), IsOkAndHolds(UserHead()));
    // And it takes events again.
    EXPECT_THAT((*store)->AppendEvents({MakeAppend("u", 51, 52)}), IsOk());
  }
  RocksDbOptions options = options_;
  options.path = CrashCopy(options_.path, folder_ / "copy");
  auto store = OpenRocksDbStateStore(options);
  ASSERT_THAT(store, IsOk());
  EXPECT_THAT((*store)->ReadEvents("u", 51, kNoLimit),
              IsOkAndHolds(MakeAppend("u", 51, 55).events));
}

TEST_F(RocksDbDamageTest, AWalDamagedBeforeItsEndIsRefused) {
  Open();
  for (uint64_t i = 0; i < 200; ++i) {
    ASSERT_THAT(
        store_->AppendEvents({MakeAppend("u", 10 * i + 1, 10 * i + 10)}),
        IsOk());
  }
  const std::string wal =
      std::filesystem::path(FilesOf(options_.path, ".log").back()).filename();
  RocksDbOptions options = options_;
  options.path = folder_ / "copy";
  const uint64_t size = std::filesystem::file_size(options_.path + "/" + wal);
  // RocksDB cannot tell a damaged length in the last block of 32 KiB from a
  // torn write; docs/storage.md says so.
  ASSERT_GT(size, 3 * 32768);
  const uint64_t sure_bytes = size - size % 32768;
  std::mt19937_64 random(20240602);
  for (int i = 0; i < 20; ++i) {
    CrashCopy(options_.path, options.path);
    const uint64_t offset = random() % sure_bytes;
    SCOPED_TRACE(offset);
    FlipBitOfFile(options.path + "/" + wal, offset, random() % 8);
    EXPECT_THAT(OpenRocksDbStateStore(options),
                IsStatus(kDataLoss, "open it once with drop_log_after_damage"));
  }
  // Whoever has read that may give up the rest, and gets a whole prefix.
  options.drop_log_after_damage = true;
  auto store = OpenRocksDbStateStore(options);
  ASSERT_THAT(store, IsOk());
  const auto events = (*store)->ReadEvents("u", 1, kNoLimit);
  ASSERT_THAT(events, IsOk());
  EXPECT_EQ(events->size() % 10, 0u);
  EXPECT_LT(events->size(), 2000u);
}

}  // namespace
}  // namespace qlarank
