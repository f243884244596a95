// qlarank import against a server on a real socket: what comes in, what does
// not, and what is said of it.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/command.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/cli/fake_server.h"
#include "tests/cli/packed.h"
#include "tests/cli/run_cli.h"

namespace qlarank {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char kHeader[] = "user,item,action,time\n";
constexpr char kPurchases[] =
    "user,item,action,time\n"
    "ann,7,buy,100\n"
    "bob,8,buy,101\n"
    "ann,7,buy,102\n"
    "ann,9,buy,103\n";

std::string Contents(const std::string& path) {
  std::ostringstream contents;
  contents << std::ifstream(path).rdbuf();
  return contents.str();
}

class ImportCommandTest : public testing::Test {
 protected:
  // Files of an earlier run of the test: what is refused goes beside them.
  ImportCommandTest() {
    std::filesystem::remove_all(
        std::filesystem::path(WriteFile("events.csv", "")).parent_path());
  }

  CliResult Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {"--server", server_.address(), "import"});
    return RunCli(std::move(arguments));
  }
  nlohmann::json RunJson(std::vector<std::string> arguments,
                         ExitCode expected = ExitCode::kOk) {
    arguments.push_back("--json");
    CliResult result = Run(std::move(arguments));
    EXPECT_EQ(result.code, expected) << result.err;
    return nlohmann::json::parse(result.out, nullptr, false);
  }
  static std::string File(const std::string& contents = kPurchases) {
    return WriteFile("events.csv", contents);
  }
  std::vector<uint64_t> ItemsOf(const std::string& user) {
    std::vector<uint64_t> items;
    for (const v1::UserEvent& event : server_.EventsOf(user)) {
      items.push_back(event.event().item_id());
    }
    return items;
  }

  FakeServer server_;
};

TEST_F(ImportCommandTest, ReportsWhatItDid) {
  auto json = RunJson({File()});
  EXPECT_THAT(json["source"].get<std::string>(),
              testing::MatchesRegex("events\\.csv@[0-9a-f]{16}"));
  EXPECT_EQ(json["applied"], 4);
  EXPECT_EQ(json["duplicates"], 0);
  EXPECT_EQ(json["refused"], 0);
  EXPECT_EQ(server_.EventsOf("ann").size(), 3U);
  EXPECT_EQ(server_.MarkOf(json["source"]), 5U);
}

TEST_F(ImportCommandTest, AgainSendsNothing) {
  RunJson({File()});
  const int batches = server_.num_batches();
  CliResult again = Run({File()});
  EXPECT_EQ(again.code, ExitCode::kOk);
  EXPECT_THAT(again.out, HasSubstr("0 applied, 0 duplicates, 4 imported "
                                   "before"));
  EXPECT_EQ(server_.num_events(), 4U);
  EXPECT_EQ(server_.num_batches(), batches);
}

TEST_F(ImportCommandTest, AFileThatGrewIsImportedFromWhereItEnded) {
  RunJson({File()});
  auto json = RunJson({File(absl::StrCat(kPurchases, "\nbob,9,buy,104\n"))});
  EXPECT_EQ(json["applied"], 1);
  EXPECT_EQ(json["imported_before"], 4);
  EXPECT_EQ(server_.MarkOf(json["source"]), 7U);
}

TEST_F(ImportCommandTest, TheSameFileElsewhereIsTheSameSource) {
  const std::string file = File();
  RunJson({file});
  const auto folder = std::filesystem::path(file).parent_path() / "mounted";
  std::filesystem::create_directories(folder);
  std::filesystem::rename(file, folder / "events.csv");
  EXPECT_EQ(RunJson({folder / "events.csv"})["applied"], 0);
  EXPECT_EQ(server_.num_events(), 4U);
}

TEST_F(ImportCommandTest, FilesOfOneNameAreOfTwoSources) {
  for (int day : {1, 2}) {
    const std::string folder =
        std::filesystem::path(File()).parent_path() / absl::StrCat("day=", day);
    std::filesystem::create_directories(folder);
    const std::string file = folder + "/part-0.csv";
    std::ofstream(file) << kHeader << "ann," << day << ",buy," << day << "00\n"
                        << "bob," << day << ",buy," << day << "01\n";
    EXPECT_EQ(RunJson({file})["applied"], 2);
  }
  EXPECT_EQ(server_.num_events(), 4U);
}

// A file that was imported as a whole needs no place in users' logs.
TEST_F(ImportCommandTest, EveryDailyFileIsMarkedAsComplete) {
  for (int day = 100; day < 170; ++day) {
    auto json =
        RunJson({WriteFile(absl::StrCat("events-", day, ".csv"),
                           absl::StrCat(kHeader, "ann,1,buy,", day, "\n"))});
    EXPECT_EQ(json["applied"], 1);
    EXPECT_EQ(server_.MarkOf(json["source"]), 2U);
  }
  EXPECT_EQ(server_.num_events(), 70U);
}

TEST_F(ImportCommandTest, AnotherFileUnderASourcesNameIsRefusedUnsent) {
  RunJson({"--source", "daily", File()});
  const int batches = server_.num_batches();
  const std::vector<std::string> others{
      // another one; one with a line that was changed, left out, or put in
      absl::StrCat(kHeader, "cat,1,buy,200\ncat,2,buy,201\n"),
      absl::StrCat(kHeader, "ann,7,buy,100\nbob,8,buy,101\nann,1,buy,102\n",
                   "ann,9,buy,103\nann,9,buy,104\n"),
      absl::StrCat(kHeader, "ann,7,buy,100\nbob,8,buy,101\nann,7,buy,102\n"),
      absl::StrCat(kHeader, "ann,7,buy,100\n\nbob,8,buy,101\nann,7,buy,102\n",
                   "ann,9,buy,103\n"),
      kHeader,
  };
  for (const std::string& other : others) {
    CliResult result = Run({"--source", "daily", File(other)});
    EXPECT_EQ(result.code, ExitCode::kBadInput) << other;
    EXPECT_THAT(result.err, HasSubstr("is not the file that was imported as "
                                      "daily at 20"));
    EXPECT_THAT(result.err, HasSubstr("Nothing of it was sent"));
  }
  EXPECT_EQ(server_.num_batches(), batches);
}

TEST_F(ImportCommandTest, AnInterruptedImportIsNoOtherFile) {
  server_.SetFaults({.break_after_requests = 2, .breaks = 1});
  EXPECT_EQ(Run({"--batch", "1", "--retry-for", "0", File()}).code,
            ExitCode::kUnavailable);
  EXPECT_GT(server_.num_events(), 0U);
  auto json = RunJson({File()});
  EXPECT_GT(json["duplicates"], 0);
  EXPECT_EQ(server_.num_events(), 4U);
  // But another file, even if it was not imported to its end, is.
  CliResult result =
      Run({"--source", json["source"],
           File(absl::StrCat(kHeader, "cat,1,buy,200\ncat,2,buy,201\n"))});
  EXPECT_EQ(result.code, ExitCode::kBadInput) << result.out;
}

TEST_F(ImportCommandTest, DuplicatesOfWhatNobodyImportedAreTold) {
  // A source that some other client sent events of.
  for (const char* user : {"ann", "bob"}) {
    ASSERT_EQ(RunCli({"--server", server_.address(), "append", "--user", user,
                      "--item", "1", "--source", "mine", "--sequence", "100"})
                  .code,
              ExitCode::kOk);
  }
  CliResult result = Run({"--source", "mine", File()});
  EXPECT_EQ(result.code, ExitCode::kNegative);
  EXPECT_THAT(result.err, HasSubstr("most were duplicates"));
}

TEST_F(ImportCommandTest, TakesWhatIsGoodAndWritesTheRest) {
  const std::string file = File(
      "user,item,action,time\n"
      "ann,1,buy,100\n"
      "ann,two,buy,101\n"  // refused here
      "ann,3,bad,102\n"    // and by the server
      "ann,4,buy,103\n");
  CliResult result = Run({file});
  EXPECT_EQ(result.code, ExitCode::kNegative);
  EXPECT_THAT(result.out, HasSubstr("2 applied, 0 duplicates, 2 refused"));
  EXPECT_THAT(result.err,
              HasSubstr("refused: events.csv:3: item \"two\" is not an item"));
  EXPECT_THAT(result.err, HasSubstr("refused: events.csv:4: action: \"bad\""));
  EXPECT_THAT(result.err, Not(HasSubstr("events[")));
  EXPECT_THAT(ItemsOf("ann"), testing::ElementsAre(1, 4));

  // The rest, with reasons, can be corrected and imported.
  const std::string refused =
      std::filesystem::path(file).replace_filename("events.refused.csv");
  EXPECT_THAT(result.err, HasSubstr(refused));
  std::string rows = Contents(refused);
  EXPECT_THAT(rows, testing::StartsWith("refused,user,item,action,time\n"));
  EXPECT_THAT(rows, HasSubstr(",ann,two,buy,101\n"));
  EXPECT_THAT(rows, HasSubstr(",ann,3,bad,102\n"));
  rows.replace(rows.find(",two,"), 5, ",2,");
  rows.replace(rows.find(",bad,"), 5, ",buy,");
  std::ofstream(refused) << rows;
  EXPECT_EQ(RunJson({refused})["applied"], 2);
  EXPECT_THAT(ItemsOf("ann"), testing::ElementsAre(1, 4, 2, 3));

  // What was refused once is not refused again by importing the file again.
  EXPECT_EQ(RunJson({file})["imported_before"], 3);
}

TEST_F(ImportCommandTest, WhatWasRefusedBeforeIsNotWrittenOver) {
  const std::string bad = absl::StrCat(kHeader, "ann,two,buy,101\n");
  auto first = RunJson({"--source", "a", File(bad)}, ExitCode::kNegative);
  auto second = RunJson({"--source", "b", File(bad)}, ExitCode::kNegative);
  EXPECT_THAT(first["refused_file"].get<std::string>(),
              testing::EndsWith("/events.refused.csv"));
  EXPECT_THAT(second["refused_file"].get<std::string>(),
              testing::EndsWith("/events.refused.2.csv"));
  // Nor what was named.
  const std::string mine = WriteFile("mine.csv", "precious\n");
  EXPECT_EQ(Run({"--source", "c", "--refused", mine, File(bad)}).code,
            ExitCode::kBadInput);
  EXPECT_EQ(Contents(mine), "precious\n");
}

TEST_F(ImportCommandTest, ALineCorrectedInPlaceIsToldNotToBeTheWay) {
  const std::string good = "ann,1,buy,100\n";
  Run({File(absl::StrCat(kHeader, good, "ann,two,buy,101\n", good))});
  CliResult result =
      Run({File(absl::StrCat(kHeader, good, "ann,2,buy,101\n", good))});
  EXPECT_EQ(result.code, ExitCode::kBadInput);
  EXPECT_THAT(result.err, HasSubstr(".refused.csv"));
}

TEST_F(ImportCommandTest, TheExitCodeWhenRefusalsAreExpected) {
  const std::string half = "ann,1,buy,100\nann,two,buy,101\n";
  EXPECT_EQ(Run({"--skip-invalid", File(absl::StrCat(kHeader, half))}).code,
            ExitCode::kOk);
  EXPECT_EQ(Run({"--skip-invalid", "--source", "other",
                 File(absl::StrCat(kHeader, half, "bob,x,buy,100\n"))})
                .code,
            ExitCode::kNegative);
}

// What an import with the wrong options could not read is not taken for
// imported by one with the right ones.
TEST_F(ImportCommandTest, AFileThatWasReadWronglyIsNotComplete) {
  const std::string file =
      File(absl::StrCat(kHeader, "ann,1,buy,1483271606000\n",
                        "bob,1,buy,1483271607000\n"));
  CliResult wrong = Run({file});
  EXPECT_EQ(wrong.code, ExitCode::kNegative);
  EXPECT_THAT(wrong.err, HasSubstr("if it counts ms: --time-unit ms"));
  EXPECT_THAT(wrong.err, HasSubstr("not marked as imported"));
  EXPECT_EQ(RunJson({"--time-unit", "ms", file})["applied"], 2);
  EXPECT_EQ(RunJson({"--sort", "--time-unit", "us", "--source", "sorted", file},
                    ExitCode::kNegative)["applied"],
            0);
  EXPECT_EQ(RunJson({"--sort", "--time-unit", "ms", "--source", "sorted", file})
                ["applied"],
            2);
}

TEST_F(ImportCommandTest, StrictStopsAtTheFirstBadLineAndNamesIt) {
  CliResult result = Run({"--strict", File("user,item,time\n"
                                           "ann,1,100\n"
                                           "ann,two,101\n")});
  EXPECT_EQ(result.code, ExitCode::kBadInput);
  EXPECT_THAT(result.err,
              HasSubstr("events.csv:3: item \"two\" is not an item id"));
}

TEST_F(ImportCommandTest, StrictNamesTheLineThatTheServerRefused) {
  std::string lines = kHeader;
  for (int i = 0; i < 50; ++i) {
    absl::StrAppend(&lines, "b", i % 7, ",1,", i == 33 ? "bad" : "buy", ",",
                    1'000 + i, "\n");
  }
  CliResult result = Run({"--strict", File(lines)});
  EXPECT_EQ(result.code, ExitCode::kBadInput);
  EXPECT_THAT(result.err, HasSubstr("events.csv:35: action: \"bad\""));
  // Corrected or emptied in place, the others come in.
  lines.replace(lines.find("b5,1,bad,1033"), 13, "");
  EXPECT_EQ(Run({"--strict", File(lines)}).code, ExitCode::kOk);
  EXPECT_EQ(server_.num_events(), 49U);
}

TEST_F(ImportCommandTest, APermanentRefusalIsNotRetried) {
  const absl::Time start = absl::Now();
  auto json = RunJson({File(absl::StrCat(kPurchases, "damaged,1,buy,104\n"))},
                      ExitCode::kNegative);
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
  EXPECT_EQ(json["applied"], 4);
  EXPECT_EQ(json["refused"], 1);
  EXPECT_EQ(json["resent_batches"], 0);
}

TEST_F(ImportCommandTest, AnEmptiedLineLosesNothing) {
  const std::string bad =
      absl::StrCat(kPurchases, "bob,two,buy,104\nbob,9,buy,105\n");
  EXPECT_EQ(Run({"--strict", File(bad)}).code, ExitCode::kBadInput);
  const std::string emptied = absl::StrCat(kPurchases, "\nbob,9,buy,105\n");
  EXPECT_EQ(Run({File(emptied)}).code, ExitCode::kOk);
  EXPECT_EQ(server_.EventsOf("bob").size(), 2U);
  EXPECT_EQ(server_.num_events(), 5U);
}

TEST_F(ImportCommandTest, AQuoteThatIsNeverClosedCostsOneLine) {
  std::string text = "title,user,item,action,time\n";
  for (int i = 0; i < 5'000; ++i) {
    absl::StrAppend(&text, i == 1 ? "\"A title" : "film", ",st", i % 50,
                    ",1,buy,", 1'500'000'000 + i, "\n");
  }
  CliResult result = Run({File(text)});
  EXPECT_EQ(result.code, ExitCode::kNegative);
  EXPECT_THAT(result.err, HasSubstr("events.csv:3: a quote is opened"));
  EXPECT_EQ(server_.num_events(), 4'999U);
}

TEST_F(ImportCommandTest, AnUnfinishedLastLineIsLeftForTheNextImport) {
  CliResult result = Run({File(absl::StrCat(kPurchases, "bob,9,buy,15000"))});
  EXPECT_EQ(result.code, ExitCode::kNegative);
  EXPECT_THAT(result.err, HasSubstr("events.csv:6: the file ends inside"));
  EXPECT_EQ(server_.num_events(), 4U);
  EXPECT_EQ(
      RunJson({File(absl::StrCat(kPurchases, "bob,9,buy,1500000301\n"))})
          ["applied"],
      1);
  EXPECT_EQ(server_.EventsOf("bob")[1].event().time().seconds(),
            1'500'000'301);
}

TEST_F(ImportCommandTest, AFinalLastLineIsTaken) {
  EXPECT_EQ(RunJson({"--final", File(absl::StrCat(kPurchases, "bob,9,buy,104"))})
                ["applied"],
            5);
}

TEST_F(ImportCommandTest, AFileThatIsOnlyBegunHasNoEventYet) {
  EXPECT_EQ(RunJson({File("user,it")}, ExitCode::kNegative)["applied"], 0);
  EXPECT_EQ(RunJson({File(kHeader)})["applied"], 0);
  EXPECT_EQ(RunJson({File(absl::StrCat(kHeader, "ann,1"))},
                    ExitCode::kNegative)["applied"],
            0);
  EXPECT_EQ(RunJson({File()})["applied"], 4);
}

TEST_F(ImportCommandTest, LateEventsAreToldAndSortedWhenAsked) {
  const std::string newest_first = absl::StrCat(
      kHeader, "ann,4,buy,104\nbob,3,buy,103\nann,2,buy,102\nann,1,buy,101\n");
  CliResult told = Run({"--source", "unsorted", File(newest_first)});
  EXPECT_EQ(told.code, ExitCode::kOk);
  EXPECT_THAT(told.err, HasSubstr("2 of 4 events (50 %) came after a later"));
  EXPECT_THAT(told.err, HasSubstr("--sort"));
  EXPECT_THAT(ItemsOf("ann"), testing::ElementsAre(4, 2, 1));

  FakeServer fresh;
  const auto sort = [&](const std::string& text) {
    return RunCli({"--server", fresh.address(), "import", "--sort", "--json",
                   WriteFile("events.csv", text)});
  };
  auto json = nlohmann::json::parse(sort(newest_first).out);
  EXPECT_EQ(json["applied"], 4);
  EXPECT_EQ(json["late"], 0);
  EXPECT_THAT(json["source"].get<std::string>(),
              testing::EndsWith(".by-time"));
  ASSERT_EQ(fresh.EventsOf("ann").size(), 3U);
  EXPECT_EQ(fresh.EventsOf("ann")[0].event().item_id(), 1U);
  EXPECT_EQ(fresh.EventsOf("ann")[2].event().item_id(), 4U);
  // Again changes nothing; a file that grew has other ranks.
  EXPECT_EQ(nlohmann::json::parse(sort(newest_first).out)["applied"], 0);
  CliResult grown = sort(newest_first + "ann,0,buy,100\n");
  EXPECT_EQ(grown.code, ExitCode::kBadInput);
  EXPECT_THAT(grown.err, HasSubstr("it has grown"));
  EXPECT_EQ(fresh.num_events(), 4U);
}

// Two users' events, the newest first, of so many moments.
std::string NewestFirst(int moments) {
  std::string text = kHeader;
  for (int time = moments; time > 0; --time) {
    absl::StrAppend(&text, "ann,", time, ",buy,", 100 + time, "\nbob,", time,
                    ",buy,", 100 + time, "\n");
  }
  return text;
}

// What a server makes of it could be mended only by erasing its users.
TEST_F(ImportCommandTest, AFileWrittenNewestFirstIsRefusedUnsent) {
  for (int moments : {6, 800}) {
    const std::string file = File(NewestFirst(moments));
    CliResult result = Run({file});
    EXPECT_EQ(result.code, ExitCode::kBadInput);
    const int looked_at = std::min(2 * moments, 1'000);
    EXPECT_THAT(result.err,
                HasSubstr(absl::StrCat("events.csv: written newest first: ",
                                       looked_at - 2, " of its first ",
                                       looked_at, " events come after")));
    EXPECT_THAT(result.err,
                HasSubstr(absl::StrCat("(head -n 1 ", file, "; tail -n +2 ",
                                       file, " | sort -s -t, -k4,4n)")));
    result = Run({WriteFile("packed.csv.gz", Gzipped(NewestFirst(moments)))});
    EXPECT_EQ(result.code, ExitCode::kBadInput);
    EXPECT_THAT(result.err, HasSubstr("Unpack it first: --sort then sends"));
    EXPECT_EQ(server_.num_batches(), 0);
    EXPECT_EQ(server_.num_events(), 0U);
  }
}

TEST_F(ImportCommandTest, AFileWrittenNewestFirstIsSentWhenAsked) {
  CliResult as_it_is = Run({"--file-order", File(NewestFirst(800))});
  EXPECT_EQ(as_it_is.code, ExitCode::kOk) << as_it_is.err;
  EXPECT_THAT(as_it_is.err, HasSubstr("1,598 of 1,600 events (100 %) came"));
  EXPECT_EQ(ItemsOf("ann").front(), 800U);
  FakeServer fresh;
  CliResult sorted = RunCli({"--server", fresh.address(), "import", "--sort",
                             File(NewestFirst(800))});
  EXPECT_EQ(sorted.code, ExitCode::kOk) << sorted.err;
  EXPECT_EQ(fresh.EventsOf("ann").front().event().item_id(), 1U);
}

// Users one after another, and some late events: no such file.
TEST_F(ImportCommandTest, AFileThatIsMostlyInOrderIsSent) {
  std::string text = kHeader;
  for (int user = 0; user < 30; ++user) {
    for (int time : {1, 2, 3, 5, 4}) {
      absl::StrAppend(&text, "u", user, ",1,buy,", time, "\n");
    }
  }
  CliResult result = Run({File(text)});
  EXPECT_EQ(result.code, ExitCode::kOk) << result.err;
  EXPECT_THAT(result.err, HasSubstr("30 of 150 events (20 %) came after"));
}

TEST_F(ImportCommandTest, ACompressedFileIsTheSameSourceAsWhatIsInIt) {
  const std::string rows = absl::StrCat(kPurchases, "ann,x,buy,104\n");
  const std::string packed = WriteFile("events.csv.gz", Gzipped(rows));
  auto json = RunJson({packed}, ExitCode::kNegative);
  EXPECT_EQ(json["applied"], 4);
  EXPECT_THAT(json["source"].get<std::string>(),
              testing::StartsWith("events.csv@"));
  EXPECT_THAT(json["refused_file"].get<std::string>(),
              testing::EndsWith("/events.refused.csv"));
  json = RunJson({File(rows)});
  EXPECT_EQ(json["applied"], 0);
  EXPECT_EQ(json["imported_before"], 4);
  CliResult sorted = Run({"--sort", packed});
  EXPECT_EQ(sorted.code, ExitCode::kBadInput);
  EXPECT_THAT(sorted.err, HasSubstr("it is compressed: unpack it first"));
}

// What came before the cut is in, and the whole file goes on from there.
TEST_F(ImportCommandTest, ACompressedFileThatWasCutIsToldAndGoesOn) {
  std::string text = kHeader;
  for (int time = 0; time < 20'000; ++time) {
    absl::StrAppend(&text, "u", time % 7, ",", (time * 7'919) % 10'007,
                    ",buy,", time, "\n");
  }
  const std::string packed = Gzipped(text);
  const auto import = [&](const std::string& contents) {
    return Run({WriteFile("events.csv.gz", contents), "--json"});
  };
  CliResult cut = import(packed.substr(0, packed.size() / 2));
  EXPECT_EQ(cut.code, ExitCode::kBadInput);
  EXPECT_THAT(cut.err, HasSubstr("compressed by gzip, but cut short"));
  const size_t before = server_.num_events();
  EXPECT_GT(before, 0U);
  CliResult whole = import(packed);
  EXPECT_EQ(whole.code, ExitCode::kOk) << whole.err;
  EXPECT_EQ(server_.num_events(), 20'000U);
}

TEST_F(ImportCommandTest, AStreamIsNotUnpacked) {
  std::istringstream stream(Gzipped(kPurchases));
  std::streambuf* const own = std::cin.rdbuf(stream.rdbuf());
  CliResult result = Run({"-", "--source", "s"});
  std::cin.rdbuf(own);
  std::cin.clear();
  EXPECT_EQ(result.code, ExitCode::kBadInput);
  EXPECT_THAT(result.err, HasSubstr("stdin: not CSV, but compressed by gzip: "
                                    "give the file by its name"));
}

// A stream in which users' events are up to three seconds late.
constexpr char kNearlyInOrder[] =
    "ann,1,buy,100\nann,3,buy,103\nann,2,buy,101\nbob,9,buy,105\n"
    "ann,5,buy,106\nann,4,buy,104\nann,6,buy,109\n";

TEST_F(ImportCommandTest, AStreamIsSortedWithinAWindow) {
  const auto import = [&](const std::string& seconds,
                          const std::string& rows) {
    std::istringstream stream(absl::StrCat(kHeader, rows));
    std::streambuf* const own = std::cin.rdbuf(stream.rdbuf());
    CliResult result =
        Run({"-", "--source", "s", "--sort-within", seconds, "--json"});
    std::cin.rdbuf(own);
    std::cin.clear();
    return result;
  };
  CliResult result = import("3", kNearlyInOrder);
  ASSERT_EQ(result.code, ExitCode::kOk) << result.err;
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json["applied"], 7);
  EXPECT_EQ(json["late"], 0);
  EXPECT_THAT(ItemsOf("ann"), testing::ElementsAre(1, 2, 3, 4, 5, 6));
  // A position in it has a name.
  EXPECT_THAT(import("3", absl::StrCat(kNearlyInOrder, "ann")).err,
              HasSubstr("stdin:9: the file ends inside of this line"));
  // The same again changes nothing, and neither does what has other ranks.
  result = import("3", kNearlyInOrder);
  EXPECT_EQ(result.code, ExitCode::kOk) << result.err;
  EXPECT_EQ(nlohmann::json::parse(result.out)["imported_before"], 7);
  for (const auto& [seconds, rows, problem] :
       {std::tuple{"2", std::string(kNearlyInOrder),
                   "that was in order of time within 3s"},
        std::tuple{"3", absl::StrCat(kNearlyInOrder, "ann,7,buy,107\n"),
                   "it has grown"},
        std::tuple{"3", std::string("ann,1,buy,100\n"), "bytes, not"}}) {
    result = import(seconds, rows);
    EXPECT_EQ(result.code, ExitCode::kBadInput);
    EXPECT_THAT(result.err, HasSubstr(problem));
  }
  EXPECT_EQ(server_.num_events(), 7U);
}

TEST_F(ImportCommandTest, WhatIsLaterThanTheWindowIsTold) {
  CliResult result =
      Run({"--sort-within", "1",
           File(absl::StrCat(kHeader, "ann,1,buy,100\nann,3,buy,103\n",
                             "ann,5,buy,105\nann,2,buy,101\n",
                             "ann,6,buy,110\n"))});
  EXPECT_EQ(result.code, ExitCode::kOk) << result.err;
  EXPECT_THAT(result.err, HasSubstr("1 of 5 events (20 %) came after a later"));
  EXPECT_THAT(ItemsOf("ann"), testing::ElementsAre(1, 3, 2, 5, 6));
}

// Its last events went out when the stream seemed to be at its end.
TEST_F(ImportCommandTest, AStreamThatGrewBehindABrokenImportIsRefused) {
  const std::string rows = absl::StrCat(kHeader, kNearlyInOrder);
  const std::vector<std::string> import = {"--source", "s", "--sort-within",
                                           "3", "--retry-for", "0"};
  const auto run = [&](const std::string& text) {
    std::vector<std::string> arguments = import;
    arguments.push_back(File(text));
    return Run(arguments);
  };
  // The marks are set, the batch is not taken.
  server_.SetFaults({.refusals = 1});
  EXPECT_EQ(run(rows).code, ExitCode::kUnavailable);
  CliResult grown = run(absl::StrCat(rows, "ann,7,buy,107\n"));
  EXPECT_EQ(grown.code, ExitCode::kBadInput);
  EXPECT_THAT(grown.err, HasSubstr("it has grown"));
  EXPECT_EQ(run(rows).code, ExitCode::kOk);
  EXPECT_THAT(ItemsOf("ann"), testing::ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST_F(ImportCommandTest, ARefusalOfASortedFileNamesItsLine) {
  CliResult result = Run(
      {"--sort", File(absl::StrCat(kHeader, "ann,4,bad,104\nann,2,buy,102\n",
                                   "ann,x,buy,101\n"))});
  EXPECT_EQ(result.code, ExitCode::kNegative);
  EXPECT_THAT(result.err, HasSubstr("events.csv:2: action"));
  EXPECT_THAT(result.err, HasSubstr("events.csv:4: item"));
}

TEST_F(ImportCommandTest, StdinNeedsASource) {
  CliResult result = Run({"-"});
  EXPECT_EQ(result.code, ExitCode::kBadInput);
  EXPECT_THAT(result.err, HasSubstr("--source"));
  EXPECT_EQ(Run({"-", "--source", "s", "--sort"}).code, ExitCode::kBadInput);
}

TEST_F(ImportCommandTest, TakesOtherColumnsAndTimeUnits) {
  auto json = RunJson(
      {"--user-column", "household", "--item-column", "product",
       "--time-column", "at", "--time-unit", "rfc3339",
       File("household,product,at\nann,1,2017-11-20T18:03:00Z\n")});
  EXPECT_EQ(json["applied"], 1);
  EXPECT_EQ(server_.EventsOf("ann")[0].event().time().seconds(), 1511200980);
}

}  // namespace
}  // namespace qlarank
