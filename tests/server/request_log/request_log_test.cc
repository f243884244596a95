#include "server/request_log/request_log.h"

#include <atomic>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "prometheus/registry.h"
#include "tests/server/request_log/log_testing.h"

namespace qlarank::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class RequestLogTest : public ::testing::Test {
 protected:
  RequestLogTest() {
    options_.path = path_;
    options_.sample = 1;
  }
  ~RequestLogTest() override { log_ = nullptr; }

  void Open(RequestLog::WasErased was_erased = nullptr) {
    log_ = nullptr;
    auto log = RequestLog::Open(options_, metrics_, std::move(was_erased),
                                [this] { return Now(); });
    ASSERT_TRUE(log.ok()) << log.status();
    log_ = *std::move(log);
  }

  absl::Time Now() const { return absl::FromUnixMicros(now_us_); }
  void Advance(absl::Duration by) { now_us_ += absl::ToInt64Microseconds(by); }

  // Of a request that arrived so long ago.
  void Offer(const std::string& user, absl::Duration age = {}) {
    v1::LoggedRequest facts;
    facts.set_arrival_us(absl::ToUnixMicros(Now() - age));
    v1::RankRequest request;
    request.set_user_id(user);
    for (int i = 0; i < 100; ++i) request.add_item_ids(i);
    v1::RankResponse response;
    response.set_model_name("m");
    log_->Offer(std::move(facts), request, response);
  }

  absl::Status Erase(const std::string& user) {
    absl::Status result;
    absl::Notification done;
    log_->Erase(user, [&](absl::Status status) {
      result = std::move(status);
      done.Notify();
    });
    done.WaitForNotification();
    return result;
  }

  void WaitForWriteErrors(double count) {
    while (metrics_.write_error.Value() < count) {
      absl::SleepFor(absl::Milliseconds(1));
    }
  }

  // Ends the log: all that was offered is dealt with.
  std::vector<std::string> Users() {
    log_ = nullptr;
    return LoggedUsers(path_);
  }

  const std::string path_ = NewLogPath();
  RequestLogOptions options_;
  prometheus::Registry registry_;
  RequestLogMetrics metrics_{registry_};
  std::atomic<int64_t> now_us_ = 1'800'000'000'000'000;
  std::unique_ptr<RequestLog> log_;
};

TEST_F(RequestLogTest, HasWhatWasAskedAndAnswered) {
  Open();
  Offer("ann");
  Offer("bob", absl::Seconds(59));
  EXPECT_THAT(Users(), ElementsAre("ann", "bob"));
  v1::LoggedRequest record;
  ASSERT_TRUE(record.ParseFromString(LogRecords(path_)[0]));
  EXPECT_EQ(record.arrival_us(), now_us_);
  EXPECT_EQ(record.request().item_ids_size(), 100);
  EXPECT_EQ(record.response().model_name(), "m");
  EXPECT_EQ(metrics_.written.Value(), 2);
  EXPECT_GT(metrics_.written_bytes.Value(), 1600);
  EXPECT_GT(metrics_.file_bytes.Value(), metrics_.written_bytes.Value());
  EXPECT_EQ(metrics_.queue_bytes.Value(), 0);
}

TEST_F(RequestLogTest, NamesThePathThatCannotBeOne) {
  options_.path = "/dev/null/log";
  const auto log = RequestLog::Open(options_, metrics_, nullptr);
  ASSERT_FALSE(log.ok());
  EXPECT_THAT(std::string(log.status().message()),
              HasSubstr("request_log.path: /dev/null/log: "));
}

TEST_F(RequestLogTest, DropsAndCountsWhatThereIsNoRoomFor) {
  options_.max_queue_bytes = 10'000;
  Open([](absl::string_view, int64_t) { return false; });
  // Holds the log's thread.
  absl::Notification held, released;
  log_->Erase("nobody", [&](const absl::Status&) {
    held.Notify();
    released.WaitForNotification();
  });
  held.WaitForNotification();
  for (int i = 0; i < 100; ++i) Offer("ann");
  EXPECT_GT(metrics_.queue_full.Value(), 80);
  const double kept = 100 - metrics_.queue_full.Value();
  EXPECT_GT(kept, 2);
  released.Notify();
  EXPECT_THAT(Users(), SizeIs(kept));
  EXPECT_EQ(metrics_.written.Value(), kept);
}

TEST_F(RequestLogTest, CountsWhatCannotBeWrittenAndGoesOn) {
  Open();
  std::filesystem::remove_all(path_);
  Offer("ann");
  WaitForWriteErrors(1);
  std::filesystem::create_directory(path_);
  Offer("bob");  // too soon after the fault to try again
  WaitForWriteErrors(2);
  Advance(absl::Seconds(1));
  Offer("carl");
  EXPECT_THAT(Users(), ElementsAre("carl"));
}

TEST_F(RequestLogTest, CountsWhatNoFileHasRoomFor) {
  options_.max_file_bytes = 500;
  Open();
  Offer("ann");
  EXPECT_THAT(Users(), IsEmpty());
  EXPECT_EQ(metrics_.too_large.Value(), 1);
  EXPECT_EQ(metrics_.write_error.Value(), 0);
}

TEST_F(RequestLogTest, ErasesAUsersRequestsFromAllFiles) {
  options_.max_file_bytes = 2500;
  Open();
  for (const char* user : {"ann", "bob", "ann", "ann", "ann", "carl", "ann"}) {
    Offer(user);
  }
  Advance(absl::Seconds(1));
  EXPECT_TRUE(Erase("ann").ok());
  // At once, and not when the log ends.
  EXPECT_THAT(LoggedUsers(path_), ElementsAre("bob", "carl"));
  Offer("dora");
  EXPECT_THAT(Users(), ElementsAre("bob", "carl", "dora"));
  EXPECT_EQ(metrics_.erasures_pending.Value(), 0);
}

// It was under way when they were erased.
TEST_F(RequestLogTest, NeverLogsARequestFromBeforeTheErasure) {
  Open();
  EXPECT_TRUE(Erase("ann").ok());
  Advance(absl::Seconds(30));
  Offer("ann", absl::Seconds(31));
  Offer("ann", absl::Seconds(30));
  Offer("ann", absl::Seconds(29));  // in their next life
  Offer("bob", absl::Seconds(31));
  EXPECT_THAT(Users(), ElementsAre("ann", "bob"));
  EXPECT_EQ(metrics_.erased.Value(), 2);
}

// Nobody may remember any more whether their user was erased meanwhile.
TEST_F(RequestLogTest, NeverLogsARequestThatTookTooLong) {
  Open();
  Offer("ann", absl::Minutes(1) + absl::Microseconds(1));
  Offer("bob", absl::Seconds(-1));  // the clock was set back
  Offer("carl", absl::Minutes(1));
  EXPECT_THAT(Users(), ElementsAre("carl"));
  EXPECT_EQ(metrics_.late.Value(), 2);
}

TEST_F(RequestLogTest, RemembersAnErasureForLongerThanThat) {
  Open();
  EXPECT_TRUE(Erase("ann").ok());
  Advance(absl::Minutes(1));
  EXPECT_TRUE(Erase("bob").ok());
  Offer("ann", absl::Minutes(1));
  EXPECT_THAT(Users(), IsEmpty());
  EXPECT_EQ(metrics_.erased.Value(), 1);
}

TEST_F(RequestLogTest, TakesErasuresTogetherThatNobodyWaitsFor) {
  Open();
  for (const char* user : {"ann", "bob", "carl"}) Offer(user);
  Advance(absl::Seconds(1));
  log_->Erase("ann", nullptr);
  log_->Erase("carl", nullptr);
  EXPECT_THAT(Users(), ElementsAre("bob"));
}

TEST_F(RequestLogTest, AnErasureThatFailsSaysSo) {
  Open();
  Offer("ann");
  EXPECT_TRUE(Erase("bob").ok());  // what was offered is in a closed file
  ASSERT_THAT(LogFiles(path_), SizeIs(1));
  // A folder that is not empty can neither be read nor removed as a file.
  const std::string file = path_ + "/" + LogFiles(path_)[0];
  std::filesystem::remove(file);
  std::filesystem::create_directories(file + "/in/the/way");
  Advance(absl::Seconds(1));
  const absl::Status status = Erase("ann");
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(file));
  std::filesystem::remove_all(file);
}

// A crash between the store's erasure and the log's.
TEST_F(RequestLogTest, MakesUpForErasuresWhenItIsOpened) {
  Open();
  Offer("ann", absl::Seconds(2));
  Offer("ann");
  Offer("bob", absl::Seconds(2));
  log_ = nullptr;
  const int64_t erased_us = now_us_ - 1'000'000;
  Open([=](absl::string_view user, int64_t time_us) {
    return user == "ann" && time_us <= erased_us;
  });
  EXPECT_TRUE(Erase("nobody").ok());  // after the first pass
  EXPECT_THAT(Users(), ElementsAre("ann", "bob"));
  v1::LoggedRequest record;
  ASSERT_TRUE(record.ParseFromString(LogRecords(path_)[0]));
  EXPECT_EQ(record.arrival_us(), now_us_);
}

}  // namespace
}  // namespace qlarank::testing
