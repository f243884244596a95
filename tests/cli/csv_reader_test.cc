#include "cli/csv_reader.h"

#include <sstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qlarank {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class CsvReaderTest : public testing::Test {
 protected:
  CsvReader& Open(const std::string& text) {
    input_.str(text);
    reader_ = std::make_unique<CsvReader>(input_, "file.csv");
    return *reader_;
  }

  std::istringstream input_;
  std::unique_ptr<CsvReader> reader_;
  std::vector<std::string> row_;
};

TEST_F(CsvReaderTest, ReadsRowsAndSaysWhereTheyEnd) {
  CsvReader& reader = Open("a,b\n1,2\n\n\"x\"\"y\",\"two\nlines\"\r\n3,4");
  ASSERT_TRUE(reader.ReadHeader().ok());
  EXPECT_EQ(*reader.Column("b"), 1U);

  ASSERT_TRUE(*reader.ReadRow(row_));
  EXPECT_THAT(row_, ElementsAre("1", "2"));
  EXPECT_EQ(reader.Position(), "file.csv:2");

  ASSERT_TRUE(*reader.ReadRow(row_));
  EXPECT_THAT(row_, ElementsAre("x\"y", "two\nlines"));
  EXPECT_EQ(reader.line(), 5U);

  ASSERT_TRUE(*reader.ReadRow(row_));  // without a line feed
  EXPECT_THAT(row_, ElementsAre("3", "4"));
  EXPECT_FALSE(*reader.ReadRow(row_));
}

TEST_F(CsvReaderTest, AMissingColumnIsNamedBesideThoseThereAre) {
  CsvReader& reader = Open("user,item\n");
  ASSERT_TRUE(reader.ReadHeader().ok());
  EXPECT_THAT(reader.Column("time").status().message(),
              HasSubstr("no column \"time\" in the header (user,item)"));
}

TEST_F(CsvReaderTest, AnEmptyFileHasNoHeader) {
  EXPECT_THAT(Open("").ReadHeader().message(), HasSubstr("file.csv: empty"));
}

TEST_F(CsvReaderTest, AByteOrderMarkIsNotPartOfTheFirstColumn) {
  CsvReader& reader = Open("\xEF\xBB\xBFuser,item\n");
  ASSERT_TRUE(reader.ReadHeader().ok());
  EXPECT_TRUE(reader.HasColumn("user"));
}

TEST_F(CsvReaderTest, GoesOnAfterAStrayQuote) {
  CsvReader& reader = Open("a,b\n1\"x,2\n3,4\n");
  ASSERT_TRUE(reader.ReadHeader().ok());
  EXPECT_THAT(reader.ReadRow(row_).status().message(),
              HasSubstr("file.csv:2: not CSV"));
  ASSERT_TRUE(*reader.ReadRow(row_));
  EXPECT_THAT(row_, ElementsAre("3", "4"));
}

TEST_F(CsvReaderTest, AnOpenQuoteAtTheEndIsAnError) {
  CsvReader& reader = Open("a,b\n1,\"never closed\n");
  ASSERT_TRUE(reader.ReadHeader().ok());
  EXPECT_THAT(reader.ReadRow(row_).status().message(),
              HasSubstr("ends inside a quoted field"));
  // Once, so that who goes on after an error comes to an end.
  EXPECT_FALSE(*reader.ReadRow(row_));
}

TEST_F(CsvReaderTest, ACarriageReturnAloneEndsNoRow) {
  CsvReader& reader = Open("a,b\n1,2\r3,4\n5,\"6\r7\"\r\n1\r2,\"\n8,9\n");
  ASSERT_TRUE(reader.ReadHeader().ok());
  EXPECT_THAT(reader.ReadRow(row_).status().message(),
              HasSubstr("file.csv:2: a carriage return"));
  ASSERT_TRUE(*reader.ReadRow(row_));
  EXPECT_THAT(row_, ElementsAre("5", "6\r7"));
  // What an open quote would have swallowed is read.
  EXPECT_FALSE(reader.ReadRow(row_).ok());
  ASSERT_TRUE(*reader.ReadRow(row_));
  EXPECT_THAT(row_, ElementsAre("8", "9"));
}

TEST(CsvFieldTest, IsReadAsItWas) {
  for (std::string text : {"ann", "", "a,b", "say \"no\"", "\"\"\"", "a\nb"}) {
    std::istringstream input("header,other\n" + CsvField(text) + ",2\n");
    CsvReader reader(input, "fields.csv");
    ASSERT_TRUE(reader.ReadHeader().ok());
    std::vector<std::string> fields;
    ASSERT_TRUE(*reader.ReadRow(fields)) << text;
    EXPECT_EQ(fields[0], text);
  }
}

}  // namespace
}  // namespace qlarank
