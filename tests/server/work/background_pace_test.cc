#include "server/work/background_pace.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qlarank {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class BackgroundPaceTest : public ::testing::Test {
 protected:
  BackgroundPace Make(double share) {
    return BackgroundPace(
        share, [this] { return busy_; },
        [this](absl::Duration duration) {
          slept_.push_back(duration);
          now_ += duration + late_;
          if (slept_.size() == quiet_after_) busy_ = false;
          return stopped_;
        },
        [this] { return now_; });
  }

  absl::Duration now_ = absl::Seconds(5);
  absl::Duration late_;  // it wakes up
  bool busy_ = false;
  bool stopped_ = false;
  size_t quiet_after_ = 0;  // sleeps until nothing is served any more
  std::vector<absl::Duration> slept_;
};

TEST_F(BackgroundPaceTest, LittleWorkIsNotInterrupted) {
  BackgroundPace pace = Make(.5);
  busy_ = true;
  now_ += BackgroundPace::kPiece - absl::Nanoseconds(1);
  EXPECT_TRUE(pace.Step());
  EXPECT_THAT(slept_, IsEmpty());
}

TEST_F(BackgroundPaceTest, KeepsItsShare) {
  BackgroundPace pace = Make(.25);
  for (int i = 0; i < 2; ++i) {
    now_ += absl::Milliseconds(2);
    EXPECT_TRUE(pace.Step());
  }
  EXPECT_THAT(slept_,
              ElementsAre(absl::Milliseconds(6), absl::Milliseconds(6)));
}

TEST_F(BackgroundPaceTest, SleepsLessAfterItOverslept) {
  BackgroundPace pace = Make(.5);
  late_ = absl::Microseconds(100);
  for (int i = 0; i < 3; ++i) {
    now_ += absl::Milliseconds(1);
    EXPECT_TRUE(pace.Step());
  }
  EXPECT_THAT(slept_,
              ElementsAre(absl::Microseconds(1000), absl::Microseconds(900),
                          absl::Microseconds(900)));
}

TEST_F(BackgroundPaceTest, DoesNotMakeUpForAStandstill) {
  BackgroundPace pace = Make(.5);
  late_ = absl::Seconds(1);
  now_ += absl::Milliseconds(1);
  EXPECT_TRUE(pace.Step());
  late_ = absl::ZeroDuration();
  for (int i = 0; i < 2; ++i) {
    now_ += absl::Milliseconds(1);
    EXPECT_TRUE(pace.Step());
  }
  EXPECT_THAT(slept_, ElementsAre(absl::Milliseconds(1),
                                  absl::Milliseconds(1) - BackgroundPace::kPiece,
                                  absl::Milliseconds(1)));
}

TEST_F(BackgroundPaceTest, WaitsForWhatIsServed) {
  BackgroundPace pace = Make(.5);
  busy_ = true;
  quiet_after_ = 4;
  now_ += absl::Milliseconds(1);
  EXPECT_TRUE(pace.Step());
  EXPECT_THAT(slept_,
              ElementsAre(absl::Milliseconds(1), BackgroundPace::kLook,
                          BackgroundPace::kLook, BackgroundPace::kLook));
}

TEST_F(BackgroundPaceTest, GoesOnWhereSomethingIsAlwaysServed) {
  BackgroundPace pace = Make(1);
  busy_ = true;
  const absl::Duration worked = absl::Milliseconds(1);
  now_ += worked;
  const absl::Duration begin = now_;
  EXPECT_TRUE(pace.Step());
  EXPECT_EQ(now_ - begin, BackgroundPace::kPatience * worked);
}

TEST_F(BackgroundPaceTest, WaitsNoLongerForWorkThatHadToWaitItself) {
  BackgroundPace pace = Make(1);
  busy_ = true;
  now_ += absl::Seconds(1);
  const absl::Duration begin = now_;
  EXPECT_TRUE(pace.Step());
  EXPECT_EQ(now_ - begin, BackgroundPace::kLongestWait);
}

TEST_F(BackgroundPaceTest, EndsWhileItRests) {
  BackgroundPace pace = Make(.5);
  stopped_ = true;
  now_ += absl::Milliseconds(1);
  EXPECT_FALSE(pace.Step());
  EXPECT_THAT(slept_, SizeIs(1));
}

TEST_F(BackgroundPaceTest, EndsWhileItWaits) {
  BackgroundPace pace(
      1, [] { return true; },
      [this](absl::Duration duration) {
        slept_.push_back(duration);
        return true;
      },
      [this] { return now_; });
  now_ += absl::Milliseconds(1);
  EXPECT_FALSE(pace.Step());
  EXPECT_THAT(slept_, ElementsAre(BackgroundPace::kLook));
}

}  // namespace
}  // namespace qlarank
