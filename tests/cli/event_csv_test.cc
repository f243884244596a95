#include "cli/event_csv.h"

#include <sstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qlarank {
namespace {

using testing::HasSubstr;

TEST(ParseItemIdTest, TakesTheWholeRangeOfFixed64) {
  EXPECT_EQ(*ParseItem("18446744073709551615", ItemKeys::kNumbers), UINT64_MAX);
  for (const char* text : {"", "-1", "18446744073709551616", "7a", " 7"}) {
    EXPECT_FALSE(ParseItem(text, ItemKeys::kNumbers).ok()) << text;
  }
}

class EventCsvTest : public testing::Test {
 protected:
  absl::StatusOr<EventCsv> Open(const std::string& text,
                                EventColumns columns = {}) {
    input_.str(text);
    reader_ = std::make_unique<CsvReader>(input_, "events.csv");
    return EventCsv::Open(*reader_, columns, TimeUnit::kSeconds);
  }

  std::istringstream input_;
  std::unique_ptr<CsvReader> reader_;
  v1::UserEvent event_;
};

TEST_F(EventCsvTest, FindsColumnsByNameInAnyOrder) {
  auto csv = Open("time,extra,user,action,item\n5,?,ann,buy,7\n");
  ASSERT_TRUE(csv.ok()) << csv.status();
  ASSERT_TRUE(*csv->Read(event_));
  EXPECT_EQ(event_.user_id(), "ann");
  EXPECT_EQ(event_.event().item_id(), 7U);
  EXPECT_EQ(event_.event().action(), "buy");
  EXPECT_EQ(event_.event().time().seconds(), 5);
}

TEST_F(EventCsvTest, CategoriesAreTheTextsOfTheirCells) {
  EventColumns columns;
  columns.categories = {ParseCategoryColumn("device"),
                        ParseCategoryColumn("tags= & ")};
  columns.candidate_categories = {ParseCategoryColumn("kind=|")};
  auto csv = Open(
      "user,item,time,device,tags,kind\n"
      "ann,7,5,a & b,\"x &  y & x & \",|k|\n"
      "ann,7,6,,,\n"
      "ann,7,7,\xff,,\n"
      "ann,7,7,,,\xff\n",
      columns);
  ASSERT_TRUE(csv.ok()) << csv.status();
  ASSERT_TRUE(*csv->Read(event_));
  ASSERT_EQ(event_.event().categories_size(), 2);
  EXPECT_EQ(event_.event().categories(0).name(), "device");
  EXPECT_THAT(event_.event().categories(0).values(),
              testing::ElementsAre("a & b"));
  EXPECT_THAT(event_.event().categories(1).values(),
              testing::ElementsAre("x", "y"));
  ASSERT_EQ(csv->candidate_categories().size(), 1u);
  EXPECT_THAT(csv->candidate_categories()[0].values(),
              testing::ElementsAre("k"));
  // An empty cell is a category without a value, and says so.
  ASSERT_TRUE(*csv->Read(event_));
  ASSERT_EQ(event_.event().categories_size(), 2);
  EXPECT_THAT(event_.event().categories(1).values(), testing::IsEmpty());
  EXPECT_THAT(csv->candidate_categories()[0].values(), testing::IsEmpty());
  for (const char* column : {"events.csv:4: device", "events.csv:5: kind"}) {
    const absl::Status status = csv->Read(event_).status();
    EXPECT_THAT(std::string(status.message()),
                testing::AllOf(HasSubstr(column), HasSubstr("is not UTF-8")));
  }
  EXPECT_THAT(
      std::string(Open("user,item,time\n", columns).status().message()),
      HasSubstr("no column \"device\""));
}

TEST_F(EventCsvTest, TheSequenceIsTheLine) {
  auto csv = Open("user,item,time\nann,1,5\n\nann,2,6\n");
  ASSERT_TRUE(csv.ok()) << csv.status();
  ASSERT_TRUE(*csv->Read(event_));
  EXPECT_EQ(event_.sequence(), 2U);
  ASSERT_TRUE(*csv->Read(event_));
  EXPECT_EQ(event_.sequence(), 4U);
}

TEST_F(EventCsvTest, BadLinesNameFileLineColumnAndValue) {
  auto csv = Open(
      "user,item,action,time\n"
      "ann,seven,buy,5\n"
      "ann,7,buy,noon\n"
      ",7,buy,5\n"
      "ann,7\n"
      "ann,7,buy,5\n");
  ASSERT_TRUE(csv.ok()) << csv.status();
  EXPECT_EQ(csv->Read(event_).status().message(),
            "events.csv:2: item \"seven\" is not an item id: they are whole "
            "numbers; where items are texts, say --item-keys text");
  EXPECT_EQ(csv->Read(event_).status().message(),
            "events.csv:3: time \"noon\" is not a number of s since 1970, "
            "such as 1511200980");
  EXPECT_EQ(csv->Read(event_).status().message(),
            "events.csv:4: user \"\" is empty");
  EXPECT_EQ(csv->Read(event_).status().message(),
            "events.csv:5: has 2 fields, the header has 4 columns");
  EXPECT_TRUE(*csv->Read(event_));  // and goes on
}

TEST_F(EventCsvTest, AnActionColumnAskedForMustBeThere) {
  EXPECT_TRUE(Open("user,item,time\n").ok());
  EXPECT_FALSE(Open("user,item,time\n", {.action = "verb"}).ok());
}

TEST_F(EventCsvTest, FeaturesComeInTheOrderAskedFor) {
  auto csv = Open(
      "user,price,item,time,share\n"
      "ann,2.5,1,5,0.25\nann,,1,5,0.25\nann,1,1,5,inf\n",
      {.features = {"share", "price"}});
  ASSERT_TRUE(csv.ok()) << csv.status();
  ASSERT_TRUE(*csv->Read(event_));
  EXPECT_THAT(event_.event().features(), testing::ElementsAre(0.25, 2.5));
  EXPECT_THAT(csv->Read(event_).status().message(),
              HasSubstr("events.csv:3: price \"\" is not a finite number"));
  EXPECT_THAT(csv->Read(event_).status().message(),
              HasSubstr("events.csv:4: share \"inf\" is not a finite"));
}

}  // namespace
}  // namespace qlarank
