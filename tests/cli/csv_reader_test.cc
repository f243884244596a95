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

TEST_F(CsvReaderTest, ReadsRowsAndSaysWhereTheyBegin) {
  CsvReader& reader = Open("a,b\n1,2\n\n\"x\"\"y\",\"two\nlines\"\r\n3,4");
  ASSERT_TRUE(reader.ReadHeader().ok());
  EXPECT_EQ(*reader.Column("b"), 1U);

  ASSERT_TRUE(*reader.ReadRow(row_));
  EXPECT_THAT(row_, ElementsAre("1", "2"));
  EXPECT_EQ(reader.Position(), "file.csv:2");

  ASSERT_TRUE(*reader.ReadRow(row_));
  EXPECT_THAT(row_, ElementsAre("x\"y", "two\nlines"));
  EXPECT_EQ(reader.line(), 4U);
  EXPECT_EQ(reader.byte(), 9U);
  EXPECT_EQ(reader.row_text(), "\"x\"\"y\",\"two\nlines\"");

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
              HasSubstr("file.csv:2: has a quote inside of a field"));
  ASSERT_TRUE(*reader.ReadRow(row_));
  EXPECT_THAT(row_, ElementsAre("3", "4"));
}

TEST_F(CsvReaderTest, AnOpenQuoteCostsItsLineOnly) {
  CsvReader& reader = Open("a,b\n1,\"never closed\n2,3\n");
  ASSERT_TRUE(reader.ReadHeader().ok());
  EXPECT_THAT(reader.ReadRow(row_).status().message(),
              HasSubstr("file.csv:2: a quote is opened and never closed"));
  EXPECT_EQ(reader.row_text(), "1,\"never closed");
  ASSERT_TRUE(*reader.ReadRow(row_));
  EXPECT_THAT(row_, ElementsAre("2", "3"));
  EXPECT_FALSE(*reader.ReadRow(row_));
}

TEST_F(CsvReaderTest, ARowEndsSomewhere) {
  std::string lines;
  for (size_t i = 0; i < 2 * CsvReader::kMaxRowLines; ++i) lines += "text\n";
  CsvReader& reader = Open("a,b\n1,\"" + lines + "\"\n");
  ASSERT_TRUE(reader.ReadHeader().ok());
  EXPECT_THAT(reader.ReadRow(row_).status().message(),
              HasSubstr("file.csv:2: a quote is opened"));
  // Half as many lines are a text.
  lines.resize(lines.size() / 4);
  std::istringstream input("a,b\n1,\"" + lines + "\"\n");
  CsvReader text(input, "text.csv");
  ASSERT_TRUE(text.ReadHeader().ok());
  EXPECT_TRUE(*text.ReadRow(row_));
  EXPECT_EQ(row_[1], lines);
}

TEST(UnfinishedFileTest, WhatHasNoEndIsLeft) {
  for (const char* end : {"3,4", "3,\"4", "3,\"4\n5\n", " "}) {
    std::istringstream input(std::string("a,b\n1,2\n") + end);
    CsvReader reader(input, "f.csv", CsvReader::LastLine::kIsUnfinished);
    std::vector<std::string> row;
    ASSERT_TRUE(reader.ReadHeader().ok());
    ASSERT_TRUE(*reader.ReadRow(row));
    EXPECT_FALSE(*reader.ReadRow(row)) << end;
    EXPECT_FALSE(*reader.ReadRow(row)) << end;
    EXPECT_EQ(reader.unfinished_line(), 3U) << end;
    EXPECT_EQ(reader.lines_read(), 2U) << end;
    EXPECT_EQ(reader.digest().bytes(), 8U) << end;
  }
}

TEST_F(CsvReaderTest, GoesToARow) {
  CsvReader& reader = Open("a,b\n1,2\n3,\"4\n\"\n5,6\n");
  ASSERT_TRUE(reader.ReadHeader().ok());
  std::vector<std::pair<uint64_t, uint64_t>> places;
  while (*reader.ReadRow(row_)) {
    places.emplace_back(reader.byte(), reader.line());
  }
  ASSERT_EQ(places.size(), 3U);
  reader.GoTo(places[2].first, places[2].second);
  ASSERT_TRUE(*reader.ReadRow(row_));
  EXPECT_THAT(row_, ElementsAre("5", "6"));
  EXPECT_EQ(reader.line(), 5U);
  reader.GoTo(places[1].first, places[1].second);
  ASSERT_TRUE(*reader.ReadRow(row_));
  EXPECT_THAT(row_, ElementsAre("3", "4\n"));
}

TEST(FileDigestTest, KnowsABeginning) {
  FileDigest first;
  first.Add("one\n");
  first.Add("two\n");
  using Beginning = FileDigest::Beginning;
  const auto beginning_of = [&](std::vector<std::string> lines) {
    FileDigest digest;
    digest.Expect(first.bytes(), first.Hex());
    for (const std::string& line : lines) digest.Add(line);
    return digest.beginning();
  };
  EXPECT_EQ(beginning_of({"one\n"}), Beginning::kNotReached);
  EXPECT_EQ(beginning_of({"one\n", "two\n"}), Beginning::kSame);
  EXPECT_EQ(beginning_of({"one\n", "two\n", "three\n"}), Beginning::kSame);
  EXPECT_EQ(beginning_of({"one\n", "twö"}), Beginning::kDiffers);
  EXPECT_EQ(beginning_of({"one\n", "two and more\n"}), Beginning::kDiffers);
}

TEST_F(CsvReaderTest, ACarriageReturnAloneEndsNoRow) {
  CsvReader& reader = Open("a,b\n1,2\r3,4\n5,\"6\r7\"\r\n1\r2,\"\n8,9\n");
  ASSERT_TRUE(reader.ReadHeader().ok());
  EXPECT_THAT(reader.ReadRow(row_).status().message(),
              HasSubstr("file.csv:2: has a carriage return"));
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
