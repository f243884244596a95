// A disk without room refuses events, loses none and stops nobody from ranking;
// with room again, ingestion resumes by itself.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/durability/acknowledged_users.h"
#include "tests/durability/expect_writes.h"
#include "tests/durability/small_disk.h"

namespace qlarank::testing {
namespace {

using ::testing::HasSubstr;

enum class Disk { kPretended, kMounted };

class FullDiskTest : public ::testing::TestWithParam<Disk> {
 protected:
  void SetUp() override {
    if (GetParam() == Disk::kPretended) {
      disk_ = std::make_unique<PretendedDisk>();
    } else {
      auto disk = MountedDisk::Mount(size_t{48} << 20);
      if (!disk.ok()) {
        GTEST_SKIP() << "the pretended one alone is tried: " << disk.status();
      }
      disk_ = *std::move(disk);
    }
    options_.store.engine = StoreEngine::kRocksDb;
    options_.store.path = disk_->Path("store");
    options_.store.block_cache_bytes = 8 << 20;
    options_.store.snapshot_interval_events = 8;
  }

  // Appends to all users in turn until the disk refuses; the refusal.
  absl::Status AppendUntilRefused(TestServer& server) {
    for (int round = 0; round < 5000; ++round) {
      for (int user = 0; user < users_.size(); ++user) {
        const absl::Status status = users_.Append(server, user, 20);
        if (!status.ok()) return status;
      }
    }
    return absl::OkStatus();
  }

  // Sends the events that were refused, again and again, until they are taken.
  void RetryUntilTaken(TestServer& server) {
    const absl::Time end = absl::Now() + absl::Seconds(60);
    for (int user = 0; user < users_.size(); ++user) {
      absl::Status status;
      while (!(status = users_.Append(server, user, 20)).ok()) {
        ASSERT_TRUE(absl::IsUnavailable(status)) << status;
        ASSERT_LT(absl::Now(), end) << status;
        absl::SleepFor(absl::Milliseconds(50));
      }
    }
  }

  const TempDir bundles_;
  std::unique_ptr<SmallDisk> disk_;
  ServerOptions options_ = TestOptions();
  AcknowledgedUsers users_{LoadGolden(GoldenModel()), 10};
};

INSTANTIATE_TEST_SUITE_P(, FullDiskTest,
                         ::testing::Values(Disk::kPretended, Disk::kMounted),
                         [](const auto& info) {
                           return info.param == Disk::kMounted ? "Mounted"
                                                               : "Pretended";
                         });

TEST_P(FullDiskTest, IngestionResumesByItselfAndNothingIsLost) {
  std::vector<std::string> states;
  {
    TestServer server(options_);
    for (int user = 0; user < users_.size(); ++user) {
      ASSERT_TRUE(users_.Append(server, user, 100).ok());
    }
    for (int times_full = 1; times_full <= 2; ++times_full) {
      SCOPED_TRACE(times_full);
      disk_->Fill();
      const absl::Status refusal = AppendUntilRefused(server);
      EXPECT_EQ(refusal.code(), absl::StatusCode::kUnavailable) << refusal;
      EXPECT_THAT(std::string(refusal.message()),
                  HasSubstr("the disk is full; writing resumes by itself"));
      users_.ExpectRanked(server);
      // For all users, and for as long as there is no room.
      for (int user = 0; user < users_.size(); ++user) {
        EXPECT_FALSE(users_.Append(server, user, 1).ok());
      }
      EXPECT_EQ(MetricValue(server, "qlarank_rocksdb_writes_refused"), 1);
      EXPECT_EQ(MetricValue(server, "qlarank_rocksdb_write_faults_total"),
                times_full);
      ExpectWritesRefused(server, "the disk is full; writing resumes by itself");
      EXPECT_EQ(MetricValue(server, "qlarank_restart_needed"), 0);

      disk_->Free();
      const absl::Time freed = absl::Now();
      ASSERT_NO_FATAL_FAILURE(RetryUntilTaken(server));
      RecordProperty("resumed_after_ms",
                     absl::ToInt64Milliseconds(absl::Now() - freed));
      EXPECT_EQ(MetricValue(server, "qlarank_rocksdb_writes_refused"), 0);
      ExpectWritesTaken(server);
      users_.ExpectRanked(server);
    }
    states = users_.States(server);
    EXPECT_TRUE(server.Shutdown().ok());
  }
  users_.ExpectStored(options_.store.path, states);
}

// What was acknowledged before the disk was full is there after a restart on a
// disk that is still nearly full.
TEST_P(FullDiskTest, AServerStoppedWhileTheDiskIsFullLosesNothing) {
  {
    TestServer server(options_);
    disk_->Fill();
    EXPECT_FALSE(AppendUntilRefused(server).ok());
    server.Shutdown().IgnoreError();
  }
  disk_->Free();
  users_.ExpectStored(options_.store.path);
  TestServer server(options_);
  ASSERT_NO_FATAL_FAILURE(RetryUntilTaken(server));
  users_.ExpectRanked(server);
}

// The disk is full while users' states are brought to a version that was loaded:
// ranking goes on, no label moves to what is not there, and after a restart on a
// disk with room the migration gets to its end.
TEST_P(FullDiskTest, AMigrationGetsToItsEndAfterwards) {
  options_.models[0] = GoldenModel("dot_l1_plain");
  options_.models[0].name = "m";
  options_.model_base_path = bundles_.Path("all");
  std::filesystem::create_directories(bundles_.Path("all/m"));
  std::filesystem::copy(GoldenModel("all_l1_plain").path,
                        bundles_.Path("all/m/2"));
  options_.migration.processor_share = 0.001;
  options_.migration.max_events_behind = 1;
  AcknowledgedUsers users{LoadGolden(options_.models[0]), 10};
  const auto usual = [](TestServer& server) {
    v1::ListModelsResponse listed;
    grpc::ClientContext context;
    EXPECT_TRUE(server.model()
                    .ListModels(&context, v1::ListModelsRequest(), &listed)
                    .ok());
    uint64_t stable = 0;
    for (const v1::Model& model : listed.models()) {
      for (const std::string& label : model.labels()) {
        if (label == "stable") stable = model.version();
      }
    }
    return stable;
  };
  {
    TestServer server(options_);
    for (int user = 0; user < users.size(); ++user) {
      ASSERT_TRUE(users.Append(server, user, 100).ok());
    }
    grpc::ClientContext loading, labelling, full;
    v1::LoadModelRequest load;
    load.set_model_name("m");
    load.set_model_version(2);
    v1::LoadModelResponse loaded;
    ASSERT_TRUE(server.model_admin().LoadModel(&loading, load, &loaded).ok());
    v1::SetLabelRequest set;
    set.set_model_name("m");
    set.set_model_version(2);
    set.set_label("stable");
    set.set_min_coverage(1);
    set.set_when_covered(true);
    v1::SetLabelResponse labels;
    ASSERT_TRUE(server.model_admin().SetLabel(&labelling, set, &labels).ok());
    disk_->Fill();
    absl::Status refusal;
    for (int round = 0; round < 5000 && refusal.ok(); ++round) {
      refusal = users.Append(server, round % users.size(), 20);
    }
    EXPECT_TRUE(absl::IsUnavailable(refusal)) << refusal;
    users.ExpectRanked(server);
    // Nothing about models can be remembered, so nothing changes.
    set.set_label("canary");
    set.set_min_coverage(0);
    const grpc::Status refused =
        server.model_admin().SetLabel(&full, set, &labels);
    EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE)
        << refused.error_message();
    server.Shutdown().IgnoreError();
  }
  disk_->Free();
  options_.migration.processor_share = 1;
  TestServer server(options_);
  const absl::Time end = absl::Now() + absl::Seconds(60);
  while (usual(server) != 2 && absl::Now() < end) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  EXPECT_EQ(usual(server), 2);
}

// Operators are told once when it begins and once when it is over, however many
// writes fail in between.
TEST_P(FullDiskTest, TheStoreReportsItOnce) {
  absl::Mutex mutex;
  std::vector<absl::Status> reports;
  RocksDbOptions options;
  options.path = options_.store.path;
  options.memtable_bytes = 1 << 20;
  options.on_write_fault = [&](const absl::Status& fault) {
    absl::MutexLock lock(&mutex);
    reports.push_back(fault);
  };
  const auto store = OpenRocksDbStateStore(options);
  ASSERT_TRUE(store.ok()) << store.status();
  UserAppend append;
  append.user_id = "u";
  append.head_after.incarnation = 1;
  append.events.emplace_back().action = std::string(1000, 'a');
  const auto next = [&] {
    ++append.head_after.last_sequence;
    const absl::Status status = (*store)->AppendEvents({append});
    if (!status.ok()) --append.head_after.last_sequence;
    return status;
  };
  disk_->Fill();
  while (next().ok()) {
  }
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(next().ok());
  disk_->Free();
  const absl::Time end = absl::Now() + absl::Seconds(60);
  while (!next().ok() && absl::Now() < end) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  absl::MutexLock lock(&mutex);
  ASSERT_EQ(reports.size(), 2u);
  EXPECT_THAT(std::string(reports[0].message()), HasSubstr("disk is full"));
  EXPECT_TRUE(reports[1].ok()) << reports[1];
}

// A file system that the kernel made read-only after an error: it may be mounted
// for writing again, but the store cannot know what became of its last write.
TEST(ReadOnlyDiskTest, WritesReturnWithARestart) {
  PretendedDisk disk;
  ServerOptions options = TestOptions();
  options.store.engine = StoreEngine::kRocksDb;
  options.store.path = disk.Path("store");
  AcknowledgedUsers users{LoadGolden(GoldenModel()), 3};
  {
    TestServer server(options);
    ASSERT_TRUE(users.Append(server, 0, 20).ok());
    ExpectWritesTaken(server);
    RefuseWritesBelow(disk.Path("store"), EROFS);
    const absl::Status refusal = users.Append(server, 1, 1);
    EXPECT_TRUE(absl::IsUnavailable(refusal)) << refusal;
    ExpectWritesRefused(server, "takes none before a restart");
    EXPECT_EQ(MetricValue(server, "qlarank_restart_needed"), 1);
    users.ExpectRanked(server);
    disk.Free();
    EXPECT_FALSE(users.Append(server, 1, 1).ok());
    ExpectWritesRefused(server, "takes none before a restart");
    server.Shutdown().IgnoreError();
  }
  TestServer server(options);
  ExpectWritesTaken(server);
  EXPECT_EQ(MetricValue(server, "qlarank_restart_needed"), 0);
  EXPECT_TRUE(users.Append(server, 1, 1).ok());
}

}  // namespace
}  // namespace qlarank::testing
