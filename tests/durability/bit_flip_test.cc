// Flips single bits of everything that is stored, one at a time: each is detected
// by whoever reads it next, naming what is damaged, or harmless. No wrong state,
// no wrong score, no crash.
//
// QLARANK_FLIPS (400) and QLARANK_FLIPS_SEED (fixed) may be set in the
// environment; ./run crash flips takes 12,000.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gtest/gtest.h"
#include "server/states/user_states.h"
#include "state_store/keys.h"
#include "state_store/records.h"
#include "tests/durability/acknowledged_users.h"
#include "tests/integration/test_server.h"
#include "tests/testing/loaded_model.h"
#include "tests/testing/requests.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {
namespace {

namespace fs = std::filesystem;

constexpr char kModel[] = "all_l4_decay_conv_everything";

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}

uint64_t NumFlips() { return FromEnvironment("QLARANK_FLIPS", 400); }

struct Tally {
  uint64_t detected = 0;
  uint64_t harmless = 0;

  void Count(bool was_detected) { ++(was_detected ? detected : harmless); }
};

void Flip(std::string& bytes, uint64_t bit) {
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
}

void FlipInFile(const std::string& path, uint64_t bit) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(bit / 8));
  const char byte = static_cast<char>(file.get() ^ (1 << bit % 8));
  file.seekp(static_cast<std::streamoff>(bit / 8));
  file.put(byte);
  ASSERT_TRUE(file.good()) << path;
}

class BitFlipTest : public ::testing::Test {
 protected:
  void SetUp() override {
    random_.seed(FromEnvironment("QLARANK_FLIPS_SEED", 20261125));
  }
  void TearDown() override {
    for (const auto& [kind, tally] : tallies_) {
      std::cout << absl::StreamFormat(
          "flipped %5d bits of %-18s %5d detected, %4d harmless\n",
          tally.detected + tally.harmless, kind, tally.detected,
          tally.harmless);
    }
  }

  uint64_t Below(uint64_t end) {
    return std::uniform_int_distribution<uint64_t>(0, end - 1)(random_);
  }

  std::mt19937_64 random_;
  std::map<std::string, Tally> tallies_;
};

// -- Records, as bytes ---------------------------------------------------------

// Detected, or what was written.
template <typename Decode, typename Value>
bool DetectedOrSame(const Decode& decode, const std::string& key,
                    const std::string& bytes, const Value& written) {
  const auto decoded = decode(key, bytes);
  if (!decoded.ok()) {
    EXPECT_TRUE(absl::IsDataLoss(decoded.status())) << decoded.status();
    return true;
  }
  EXPECT_TRUE(*decoded == written);
  return false;
}

TEST_F(BitFlipTest, RecordsOfLogHeadsAndSnapshots) {
  LoggedEvent event;
  event.item_id = 4711;
  event.action = "purchase";
  event.time_us = kEpochUs;
  event.source = "partition-7";
  event.source_sequence = 123456;
  event.features = {0.5f, -1.25f, 0.0f};
  UserHead head;
  head.incarnation = 99;
  head.last_sequence = 100;
  head.last_event_time_us = kEpochUs;
  head.watermarks = {{"partition-7", 60}, {"import", 40}};
  Snapshot snapshot;
  snapshot.incarnation = 99;
  snapshot.folded_sequence = 64;
  snapshot.state.resize(4000);
  for (char& c : snapshot.state) c = static_cast<char>(random_());
  const auto decode_snapshot = [](const std::string& key,
                                  const std::string& value) {
    return DecodeSnapshot(key, "f", value);
  };
  const std::string log_key = LogKey("user", 7);
  const std::string user_key = UserKey("user");
  const std::string record = EncodeEvent(log_key, event);
  const std::string head_record = EncodeHead(user_key, head);
  const std::string snapshot_record = EncodeSnapshot(user_key, "f", snapshot);
  const std::string mark = "123456";
  const std::string mark_key = MarkKey("partition 7 of 16");
  const std::string mark_record = EncodeMark(mark_key, mark);
  // Key and value in one row of bits.
  const auto flip = [&](const char* kind, std::string key, std::string value,
                        const auto& decode, const auto& written) {
    const uint64_t bit = Below(8 * (key.size() + value.size()));
    SCOPED_TRACE(absl::StrCat(kind, " record, bit ", bit));
    if (bit < 8 * key.size()) {
      Flip(key, bit);
    } else {
      Flip(value, bit - 8 * key.size());
    }
    tallies_[kind].Count(DetectedOrSame(decode, key, value, written));
  };
  for (uint64_t i = 0; i < NumFlips() / 12 + 1; ++i) {
    flip("log record", log_key, record, DecodeEvent, event);
    flip("mark record", mark_key, mark_record, DecodeMark, mark);
    flip("head record", user_key, head_record, DecodeHead, head);
    flip("snapshot record", user_key, snapshot_record, decode_snapshot,
         snapshot);
  }
}

// -- Bundles -------------------------------------------------------------------

class BundleFlipTest : public BitFlipTest {
 protected:
  BundleFlipTest() {
    fs::copy(GoldenModel(kModel).path, dir_.Path("bundle"));
    right_ = *Served(GoldenModel(kModel));
  }

  // Scores for a user with some events, of a server of the model.
  absl::StatusOr<std::vector<float>> Served(const ModelOptions& model) const {
    auto server = Server::Start(TestOptions(model));
    if (!server.ok()) return server.status();
    *server = nullptr;
    TestServer test_server(TestOptions(model));
    const auto appended =
        test_server.Append(MakeAppend(*bundle_, "user", 1, 12));
    if (!appended.ok()) return appended.status();
    v1::RankRequest request =
        MakeRank(*bundle_, "user", CatalogueItems(*bundle_, 30));
    request.set_min_event_count(12);
    const auto ranked = test_server.Rank(request);
    if (!ranked.ok()) return ranked.status();
    return std::vector<float>(ranked->scores().begin(), ranked->scores().end());
  }

  TempDir dir_;
  const std::shared_ptr<const Bundle> bundle_ = LoadGolden(GoldenModel(kModel));
  std::vector<float> right_;
};

TEST_F(BundleFlipTest, AreRefusedOrScoreTheSame) {
  ModelOptions damaged = GoldenModel(kModel);
  damaged.path = dir_.Path("bundle");
  const std::vector<std::string> names = {"model.textproto",
                                          "weights.safetensors",
                                          "items.safetensors"};
  for (uint64_t i = 0; i < NumFlips() / 4; ++i) {
    const std::string& name = names[i % names.size()];
    const std::string path = dir_.Path("bundle/" + name);
    const uint64_t bit = Below(8 * fs::file_size(path));
    SCOPED_TRACE(absl::StrCat(name, ", bit ", bit));
    FlipInFile(path, bit);
    absl::Status status = Bundle::Load(damaged.path).status();
    if (status.ok()) {  // rare: then all the way
      const auto scores = Served(damaged);
      status = scores.status();
      if (scores.ok()) {
        EXPECT_EQ(*scores, right_);
      }
    } else {
      EXPECT_TRUE(absl::StrContains(status.message(), ".textproto") ||
                  absl::StrContains(status.message(), ".safetensors"))
          << status;
    }
    tallies_[name].Count(!status.ok());
    FlipInFile(path, bit);  // and back
  }
}

// -- Files of the store --------------------------------------------------------

class StoreFlipTest : public BitFlipTest {
 protected:
  // A store as a crash leaves it: log, heads and snapshots in table files, and
  // newer events in the WAL alone.
  StoreFlipTest() {
    ServerOptions options = TestOptions(GoldenModel(kModel));
    options.store.engine = StoreEngine::kRocksDb;
    options.store.path = dir_.Path("live");
    options.store.snapshot_interval_events = 8;
    const auto append = [&](TestServer& server, uint64_t num_events) {
      for (int user = 0; user < users_.size(); ++user) {
        EXPECT_TRUE(users_.Append(server, user, num_events).ok());
      }
    };
    {
      TestServer server(options);
      append(server, 50);
    }
    TestServer server(options);
    for (int i = 0; i < 20; ++i) append(server, 3);
    states_ = users_.States(server);
    fs::copy(dir_.Path("live"), dir_.Path("crashed"));
  }

  std::vector<std::string> Files(const std::string& kind) const {
    std::vector<std::string> files;
    for (const auto& entry : fs::directory_iterator(dir_.Path("crashed"))) {
      const std::string name = entry.path().filename();
      if (absl::StrContains(name, kind) && entry.file_size() > 0) {
        files.push_back(name);
      }
    }
    std::sort(files.begin(), files.end());
    return files;
  }

  // A bit of the header of some record in a WAL: where RocksDB takes a flip for
  // the end of the file.
  uint64_t HeaderBit(const std::string& path) {
    constexpr uint64_t kBlockBytes = 32768;
    constexpr uint64_t kHeaderBytes = 7;
    std::ifstream file(path, std::ios::binary);
    const std::string log(std::istreambuf_iterator<char>(file), {});
    std::vector<uint64_t> headers;
    for (uint64_t at = 0; at + kHeaderBytes <= log.size();) {
      const uint64_t left = kBlockBytes - at % kBlockBytes;
      if (left < kHeaderBytes) {
        at += left;
        continue;
      }
      headers.push_back(at);
      at += kHeaderBytes + static_cast<uint8_t>(log[at + 4]) +
            256 * static_cast<uint8_t>(log[at + 5]);
    }
    return 8 * headers[Below(headers.size())] + Below(8 * kHeaderBytes);
  }

  // The user's state as a server would have it: from the newest snapshot and
  // the log behind it.
  absl::StatusOr<std::string> State(UserMemory& memory,
                                    const std::string& user_id) {
    auto lookup = memory.Find(user_id);
    if (!lookup.ok()) return lookup.status();
    while (lookup->events_behind() > 0) {
      auto fold = memory.ReadTail(user_id, *lookup, 256);
      if (!fold.ok()) return fold.status();
      memory.RunFolds(absl::MakeSpan(&*fold, 1), *scratch_);
      lookup->known = fold->after();
    }
    return engine_->SerializeState(*lookup->known.state);
  }

  // Whether anything was noticed of the damage in this store.
  bool CheckStore(const std::string& path) {
    RocksDbOptions options;
    options.path = path;
    options.memtable_bytes = 1 << 20;
    auto store = OpenRocksDbStateStore(options);
    if (!store.ok()) {
      EXPECT_TRUE(absl::IsDataLoss(store.status()) ||
                  absl::IsFailedPrecondition(store.status()))
          << store.status();
      EXPECT_TRUE(absl::StrContains(store.status().message(), path));
      return true;
    }
    EXPECT_TRUE(
        (*store)->OpenFingerprint(engine_->state_fingerprint()).ok());
    bool detected = false;
    const double corrupt_before = metrics_.state.lookups_corrupt.Value();
    UserStates states(**store, metrics_, {});
    const auto memory = states.Of(AsLoaded(engine_));
    for (int user = 0; user < users_.size(); ++user) {
      const auto state = State(*memory, users_.Name(user));
      if (state.ok()) {
        EXPECT_TRUE(*state == states_[user]) << users_.Name(user);
      } else {
        EXPECT_TRUE(absl::IsDataLoss(state.status())) << state.status();
        EXPECT_TRUE(
            absl::StrContains(state.status().message(), users_.Name(user)))
            << state.status();
        detected = true;
      }
    }
    // Whoever comes is taken.
    UserAppend append;
    append.user_id = "newcomer";
    append.head_after = {1, 1, kEpochUs, {{"test", 1}}};
    append.events.emplace_back();
    const absl::Status appended = (*store)->AppendEvents({append});
    EXPECT_TRUE(appended.ok()) << appended;
    return detected || metrics_.state.lookups_corrupt.Value() > corrupt_before;
  }

  TempDir dir_;
  const std::shared_ptr<const Bundle> bundle_ = LoadGolden(GoldenModel(kModel));
  const std::shared_ptr<const Engine> engine_ = *Engine::Create(bundle_);
  const std::unique_ptr<EngineScratch> scratch_ = engine_->NewScratch();
  Metrics metrics_;
  AcknowledgedUsers users_{bundle_, 6};
  std::vector<std::string> states_;
};

TEST_F(StoreFlipTest, AreDetectedOrHarmless) {
  const std::string copy = dir_.Path("copy");
  fs::copy(dir_.Path("crashed"), copy);
  EXPECT_FALSE(CheckStore(copy)) << "without any damage";
  const std::vector<std::string> kinds = {
      ".sst",        ".log",     ".log header", ".sst",     ".log",
      ".log header", "MANIFEST", "CURRENT",     "IDENTITY", "OPTIONS"};
  for (uint64_t i = 0; i < NumFlips() / 2; ++i) {
    const std::string& kind = kinds[i % kinds.size()];
    const std::vector<std::string> files =
        Files(kind.substr(0, kind.find(' ')));
    ASSERT_FALSE(files.empty()) << kind;
    const std::string& file = files[Below(files.size())];
    fs::remove_all(copy);
    fs::copy(dir_.Path("crashed"), copy);
    const std::string path = copy + "/" + file;
    const uint64_t bit = absl::EndsWith(kind, "header")
                             ? HeaderBit(path)
                             : Below(8 * fs::file_size(path));
    SCOPED_TRACE(absl::StrCat(file, ", byte ", bit / 8, ", bit ", bit % 8));
    FlipInFile(path, bit);
    tallies_[kind].Count(CheckStore(copy));
    if (HasFailure()) break;  // one such flip is enough to look at
  }
}

}  // namespace
}  // namespace qlarank::testing
