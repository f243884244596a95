#include "server/ingest/ingest_admission.h"

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qlarank::testing {
namespace {

using ::testing::ElementsAre;

class IngestAdmissionTest : public ::testing::Test {
 protected:
  // Takes what is in `log` once it is there.
  void Wait(const std::string& client, std::vector<size_t> amounts,
            const std::string& name) {
    admission_.TakeWhenRoom(client, std::move(amounts),
                            [this, name] { log_.push_back(name); });
  }

  IngestAdmission admission_{2, 100};
  std::vector<std::string> log_;
};

TEST_F(IngestAdmissionTest, TakesAllOrNothing) {
  EXPECT_TRUE(admission_.TryTake("a", std::vector<size_t>{10, 75}));
  EXPECT_FALSE(admission_.TryTake("a", std::vector<size_t>{10, 1}));
  EXPECT_TRUE(admission_.full("a"));
  EXPECT_FALSE(admission_.full("b"));
  admission_.Return(1, "a", 75);
  // Nothing was kept in the first shard: 90 of it are free.
  EXPECT_TRUE(admission_.TryTake("a", std::vector<size_t>{90, 0}));
}

TEST_F(IngestAdmissionTest, WhoWaitsIsWokenInOrderWhenRoomReturns) {
  Wait("a", {75, 0}, "one");
  Wait("a", {10, 10}, "two");
  Wait("a", {0, 5}, "three");  // has room, and waits for its turn
  EXPECT_THAT(log_, ElementsAre("one"));
  EXPECT_TRUE(admission_.TryTake("b", std::vector<size_t>{10, 10}));
  admission_.Return(0, "b", 10);
  EXPECT_THAT(log_, ElementsAre("one"));
  admission_.Return(0, "a", 75);
  EXPECT_THAT(log_, ElementsAre("one", "two", "three"));
}

TEST_F(IngestAdmissionTest, AReaderWaitsForAnyRoom) {
  EXPECT_TRUE(admission_.TryTake("a", std::vector<size_t>{75, 0}));
  admission_.WhenRoom("a", [this] { log_.push_back("a"); });
  admission_.WhenRoom("b", [this] { log_.push_back("b"); });
  EXPECT_THAT(log_, ElementsAre("b"));
  admission_.Return(0, "a", 1);
  EXPECT_THAT(log_, ElementsAre("b", "a"));
}

// One who waits for more than others ever leave gets it, too.
TEST_F(IngestAdmissionTest, ALargeBatchIsTakenByWhoHasNothingWaiting) {
  EXPECT_TRUE(admission_.TryTake("a", std::vector<size_t>{75, 0}));
  EXPECT_TRUE(admission_.TryTake("b", std::vector<size_t>{18, 0}));
  Wait("c", {90, 0}, "large");
  EXPECT_THAT(log_, ElementsAre("large"));
  Wait("c", {90, 0}, "second");  // not before the first has left
  admission_.Return(0, "a", 75);
  admission_.Return(0, "b", 18);
  EXPECT_THAT(log_, ElementsAre("large"));
  admission_.Return(0, "c", 90);
  EXPECT_THAT(log_, ElementsAre("large", "second"));
}

// Nobody is forgotten, whatever races with whatever.
TEST_F(IngestAdmissionTest, EveryoneGetsTheirTurn) {
  constexpr int kClients = 6;
  constexpr int kBatches = 2000;
  std::vector<std::thread> clients;
  for (int client = 0; client < kClients; ++client) {
    clients.emplace_back([this, name = absl::StrCat("client", client)] {
      for (int i = 0; i < kBatches; ++i) {
        const size_t amount = 1 + i % 60;
        absl::Notification taken;
        admission_.TakeWhenRoom(name, {amount, 61 - amount},
                                [&] { taken.Notify(); });
        taken.WaitForNotification();
        admission_.Return(0, name, amount);
        admission_.Return(1, name, 61 - amount);
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_TRUE(admission_.TryTake("last", std::vector<size_t>{75, 75}));
}

}  // namespace
}  // namespace qlarank::testing
