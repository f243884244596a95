// Tables, progress and numbers as people see them.
#include <sstream>

#include "cli/progress.h"
#include "cli/table.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qlarank {
namespace {

TEST(TableTest, AlignsByCodePointsAndLeavesNoTrailingBlanks) {
  Table table({{"n", Align::kRight}, {"name", Align::kLeft}});
  table.AddRow({"1", "crème"});
  table.AddRow({"10", ""});
  std::ostringstream out;
  table.Print(out);
  EXPECT_EQ(out.str(),
            " n  name\n"
            " 1  crème\n"
            "10\n");
}

TEST(ShortenTest, CutsBetweenCodePoints) {
  EXPECT_EQ(Shorten("crème", 5), "crème");
  EXPECT_EQ(Shorten("crème brûlée", 4), "crè…");
}

TEST(WithCommasTest, GroupsDigitsByThree) {
  EXPECT_EQ(WithCommas(0), "0");
  EXPECT_EQ(WithCommas(999), "999");
  EXPECT_EQ(WithCommas(1'469'307), "1,469,307");
}

class ProgressTest : public testing::Test {
 protected:
  Progress Make(bool terminal) {
    return Progress(out_, {.terminal = terminal,
                           .label = "importing",
                           .unit = "events",
                           .clock = [this] { return now_; }});
  }

  std::ostringstream out_;
  absl::Time now_ = absl::FromUnixSeconds(1'000);
};

TEST_F(ProgressTest, PrintsALineEveryFewSecondsWithoutATerminal) {
  Progress progress = Make(false);
  progress.Update(0.1, 100);
  EXPECT_EQ(out_.str(), "");
  now_ += absl::Seconds(5);
  progress.Update(0.25, 50'000);
  progress.Update(0.26, 52'000);
  EXPECT_EQ(out_.str(), "importing  25%  50,000 events  10,000/s  ETA 0:15\n");
}

TEST_F(ProgressTest, RedrawsABarOnATerminal) {
  Progress progress = Make(true);
  now_ += absl::Seconds(1);
  progress.Update(0.5, 10);
  EXPECT_THAT(out_.str(), testing::HasSubstr("\r\x1b[Kimporting [####"));
  progress.Clear();
  EXPECT_THAT(out_.str(), testing::EndsWith("\r\x1b[K"));
}

TEST_F(ProgressTest, KnowsNoEtaWithoutATotal) {
  Progress progress = Make(false);
  now_ += absl::Seconds(10);
  progress.Update(std::nullopt, 100);
  EXPECT_EQ(out_.str(), "importing 100 events  10/s\n");
}

}  // namespace
}  // namespace qlarank
