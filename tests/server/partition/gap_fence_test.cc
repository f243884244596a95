#include "server/partition/gap_fence.h"

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/metrics/metrics.h"

namespace qlarank::testing {
namespace {

class GapFenceTest : public ::testing::Test {
 protected:
  // What holds an event back, 0 for nothing.
  uint64_t Obstacle(const std::string& user, uint64_t sequence,
                    uint64_t seen_through = 0, const std::string& source = "s") {
    const auto obstacle = fence_.Pass(user, source, sequence, seen_through);
    return obstacle.has_value() ? obstacle->sequence : 0;
  }
  double Pairs() { return metrics_.ingest.fence_pairs.Value(); }
  double Positions() { return metrics_.ingest.fence_positions.Value(); }

  Metrics metrics_;
  GapFence fence_{metrics_.ingest};
};

TEST_F(GapFenceTest, HoldsBackUntilEveryRefusedEventCameAgain) {
  fence_.Refuse("ann", "s", 3);
  fence_.Refuse("ann", "s", 5);
  EXPECT_EQ(Obstacle("ann", 6), 3);
  EXPECT_EQ(Obstacle("ann", 5), 3);
  EXPECT_EQ(Obstacle("ann", 4), 3);
  EXPECT_EQ(Obstacle("ann", 3), 0);
  EXPECT_EQ(Obstacle("ann", 4, 3), 0);
  EXPECT_EQ(Obstacle("ann", 6, 4), 5);
  EXPECT_EQ(Obstacle("ann", 5, 4), 0);
  EXPECT_EQ(Obstacle("ann", 6, 5), 0);
  EXPECT_TRUE(fence_.empty());
}

TEST_F(GapFenceTest, NobodyElseIsHeldBack) {
  fence_.Refuse("ann", "s", 3);
  EXPECT_EQ(Obstacle("ben", 9), 0);
  EXPECT_EQ(Obstacle("ann", 9, 0, "t"), 0);
  EXPECT_EQ(Obstacle("ann", 2), 0);
  EXPECT_EQ(Obstacle("ann", 9), 3);
}

// A refused duplicate is not waited for: it is in the log.
TEST_F(GapFenceTest, WhatTheLogHasIsNotWaitedFor) {
  for (uint64_t n = 1; n <= 4; ++n) fence_.Refuse("ann", "s", n);
  EXPECT_EQ(Obstacle("ann", 5, 3), 4);
  EXPECT_EQ(Obstacle("ann", 5, 4), 0);
  EXPECT_TRUE(fence_.empty());
}

TEST_F(GapFenceTest, GivesUpOneEventAUserAndASource) {
  fence_.Refuse("ann", "s", 3);
  fence_.Refuse("ann", "s", 5);
  fence_.Refuse("ben", "s", 7);
  fence_.Refuse("ben", "t", 2);
  fence_.GiveUp("ann", "s", 3);
  EXPECT_EQ(Obstacle("ann", 6), 5);
  fence_.GiveUp("ann", "s", 4);  // was not refused
  EXPECT_EQ(Obstacle("ann", 6), 5);
  fence_.GiveUpSource("s", 6);
  EXPECT_EQ(Obstacle("ann", 6), 0);
  EXPECT_EQ(Obstacle("ben", 8), 7);
  EXPECT_EQ(Obstacle("ben", 8, 0, "t"), 2);
  fence_.Forget("ben");
  EXPECT_EQ(Obstacle("ben", 8), 0);
  EXPECT_TRUE(fence_.empty());
}

TEST_F(GapFenceTest, GaugesCountPairsAndPositions) {
  {
    GapFence other(metrics_.ingest);
    fence_.Refuse("ann", "s", 3);
    fence_.Refuse("ann", "s", 3);
    fence_.Refuse("ann", "s", 4);
    other.Refuse("ben", "s", 3);
    EXPECT_EQ(Pairs(), 2);
    EXPECT_EQ(Positions(), 3);
  }
  EXPECT_EQ(Pairs(), 1);
  EXPECT_EQ(Obstacle("ann", 3), 0);
  EXPECT_EQ(Positions(), 1);
  EXPECT_EQ(Obstacle("ann", 4), 0);
  EXPECT_EQ(Pairs(), 0);
  EXPECT_EQ(Positions(), 0);
}

// The source with most of what is waited for is closed, and nobody else's.
TEST_F(GapFenceTest, WithoutRoomTheWorstSourceIsClosed) {
  GapFence fence(8, metrics_.ingest);
  fence.Refuse("ann", "good", 1);
  for (uint64_t n = 11; n <= 17; ++n) {
    fence.Refuse(absl::StrCat("user", n), "bad", n);
  }
  EXPECT_EQ(metrics_.ingest.fence_closed_sources.Value(), 0);
  fence.Refuse("ann", "good", 2);
  EXPECT_EQ(metrics_.ingest.fence_closed_sources.Value(), 1);
  EXPECT_EQ(fence.Pass("ann", "good", 3, 0)->sequence, 1);
  EXPECT_FALSE(fence.Pass("ben", "bad", 10, 0).has_value());
  for (const uint64_t n : {11, 15, 40}) {
    const auto obstacle = fence.Pass("ben", "bad", n, 0);
    ASSERT_TRUE(obstacle.has_value());
    EXPECT_TRUE(obstacle->source_closed);
    EXPECT_EQ(obstacle->sequence, 11);
    fence.Refuse("ben", "bad", n);
  }
  EXPECT_EQ(fence.Pass("ben", "bad", 41, 0)->closed_through, 40);
  fence.GiveUpSource("bad", 39);
  EXPECT_TRUE(fence.Pass("ben", "bad", 41, 0).has_value());
  fence.GiveUpSource("bad", 40);
  EXPECT_FALSE(fence.Pass("ben", "bad", 41, 0).has_value());
  EXPECT_EQ(metrics_.ingest.fence_closed_sources.Value(), 0);
  EXPECT_EQ(metrics_.ingest.fence_forgotten.Value(), 0);
}

TEST_F(GapFenceTest, WhatCannotBeRememberedIsCounted) {
  GapFence fence(3, metrics_.ingest);
  for (int i = 0; i < 5; ++i) fence.Refuse("ann", absl::StrCat("source", i), 1);
  EXPECT_EQ(metrics_.ingest.fence_forgotten.Value(), 2);
  EXPECT_EQ(fence.size(), 3);
  EXPECT_FALSE(fence.Pass("ann", "source0", 1, 0).has_value());
  fence.Refuse("ann", "source4", 1);  // there is room again
  EXPECT_TRUE(fence.Pass("ann", "source4", 2, 0).has_value());
}

// -- A client that sends again whatever it likes, whenever it likes ----------

using UserAndSource = std::pair<std::string, std::string>;

// One source's events of one user, as the client and the server know them.
struct Stream {
  uint64_t next = 1;             // the next that was never sent
  std::set<uint64_t> unsettled;  // sent, not acknowledged, not given up
  std::set<uint64_t> log;
  uint64_t watermark = 0;
};

class FenceModel {
 public:
  FenceModel(uint64_t seed, size_t max_positions)
      : random_(seed), fence_(max_positions, metrics_.ingest) {}

  // Events are first sent in order, with gaps.
  void SendNew() {
    const UserAndSource pair = Pick();
    Stream& stream = streams_[pair];
    stream.next = std::max(stream.next, marks_[pair.second]) + 1 + Dice(3);
    stream.unsettled.insert(stream.next);
    Serve(pair, stream.next);
  }
  // Any of those that were not acknowledged.
  void SendAgain() {
    const UserAndSource pair = Pick();
    const std::set<uint64_t>& unsettled = streams_[pair].unsettled;
    if (unsettled.empty()) return;
    Serve(pair, *std::next(unsettled.begin(), Dice(unsettled.size())));
  }
  void GiveUp() {
    const UserAndSource pair = Pick();
    std::set<uint64_t>& unsettled = streams_[pair].unsettled;
    if (unsettled.empty()) return;
    const uint64_t sequence = *unsettled.begin();
    fence_.GiveUp(pair.first, pair.second, sequence);
    unsettled.erase(sequence);
  }
  void Mark() {
    const std::string source = Pick().second;
    uint64_t& mark = marks_[source];
    mark += Dice(10);
    fence_.GiveUpSource(source, mark);
    for (auto& [pair, stream] : streams_) {
      if (pair.second != source) continue;
      stream.unsettled.erase(stream.unsettled.begin(),
                             stream.unsettled.upper_bound(mark));
    }
  }
  void Erase() {
    const std::string user = Pick().first;
    fence_.Forget(user);
    for (auto& [pair, stream] : streams_) {
      if (pair.first != user) continue;
      stream.unsettled.clear();
      stream.log.clear();
      stream.watermark = 0;
    }
  }

  // All that is left, in order, by a server that works.
  void Finish() {
    faults_ = false;
    for (auto& [pair, stream] : streams_) {
      while (!stream.unsettled.empty()) {
        const uint64_t first = *stream.unsettled.begin();
        Serve(pair, first);
        ASSERT_FALSE(stream.unsettled.contains(first)) << "it is held back";
      }
      const uint64_t next = std::max(stream.next, marks_[pair.second]) + 1;
      stream.unsettled.insert(next);
      Serve(pair, next);
      ASSERT_TRUE(stream.log.contains(next));
    }
    EXPECT_TRUE(fence_.empty());
  }

  uint64_t lost() const { return lost_; }
  size_t Dice(size_t sides) { return random_() % sides; }
  Metrics& metrics() { return metrics_; }

 private:
  UserAndSource Pick() {
    return {absl::StrCat("user", Dice(3)), absl::StrCat("source", Dice(2))};
  }
  bool Fault() { return faults_ && Dice(5) == 0; }

  // What a shard does with an event.
  void Serve(const UserAndSource& pair, uint64_t sequence) {
    Stream& stream = streams_[pair];
    const auto& [user, source] = pair;
    if (Fault()) return fence_.Refuse(user, source, sequence);  // invalid
    const uint64_t seen_through = std::max(stream.watermark, marks_[source]);
    const bool held = fence_.Pass(user, source, sequence, seen_through)
                          .has_value();
    if (sequence > seen_through) {
      if (held || Fault()) return fence_.Refuse(user, source, sequence);
      stream.watermark = sequence;
      stream.log.insert(sequence);
    } else if (!stream.log.contains(sequence)) {
      ++lost_;  // acknowledged, and nowhere
    }
    stream.unsettled.erase(sequence);
  }

  std::mt19937_64 random_;
  Metrics metrics_;
  GapFence fence_;
  std::map<UserAndSource, Stream> streams_;
  std::map<std::string, uint64_t> marks_;
  bool faults_ = true;
  uint64_t lost_ = 0;
};

class FenceModelTest : public ::testing::TestWithParam<uint64_t> {
 protected:
  void Run(FenceModel& model) {
    for (int i = 0; i < 3000; ++i) {
      const size_t dice = model.Dice(100);
      if (dice < 45) {
        model.SendNew();
      } else if (dice < 95) {
        model.SendAgain();
      } else if (dice < 98) {
        model.GiveUp();
      } else if (dice < 99) {
        model.Mark();
      } else {
        model.Erase();
      }
      ASSERT_EQ(model.lost(), 0) << "seed " << GetParam() << ", step " << i;
    }
  }
};

TEST_P(FenceModelTest, NothingIsAcknowledgedThatIsNotThere) {
  FenceModel model(GetParam(), GapFence::kMaxPositions);
  Run(model);
  model.Finish();
  EXPECT_EQ(model.lost(), 0);
}

// Nor without room, as long as every source that overflows can be closed.
TEST_P(FenceModelTest, NorIsItWithoutRoom) {
  FenceModel model(GetParam(), 12);
  Run(model);
  EXPECT_EQ(model.metrics().ingest.fence_forgotten.Value(), 0);
}

INSTANTIATE_TEST_SUITE_P(Seeds, FenceModelTest, ::testing::Range<uint64_t>(1, 21));

}  // namespace
}  // namespace qlarank::testing
