// qlarank items against a server: what its file says is what the next ranking
// knows.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "model/engine.h"
#include "tests/cli/run_cli.h"
#include "tests/integration/test_server.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint64_t kAdded = 4'000'000'001;  // no bundle has it

class ItemsCommandTest : public ::testing::Test {
 protected:
  CliResult Items(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {"items", "--admin-server", server_.admin_address()});
    return RunCli(std::move(arguments));
  }
  // One of the bundle's, by its place.
  uint64_t Bundled(size_t place) const { return bundle_->item_ids()[place]; }

  // The scores of two candidates, which are known.
  std::vector<std::vector<float>> ScoresOf(std::vector<uint64_t> candidates) {
    v1::RankRequest request = MakeRank(*bundle_, "ann", candidates);
    request.set_min_event_count(5);
    const auto response = server_.Rank(request);
    EXPECT_TRUE(response.ok()) << response.status();
    if (!response.ok()) return {};
    EXPECT_THAT(response->unknown_items(), IsEmpty());
    std::vector<std::vector<float>> scores;
    const int tasks = response->tasks_size();
    for (size_t c = 0; c < candidates.size(); ++c) {
      const float* first = response->scores().data() + c * tasks;
      scores.emplace_back(first, first + tasks);
    }
    return scores;
  }

  const ModelOptions model_ = GoldenModel("content_block_l2_memory");
  const std::shared_ptr<const Bundle> bundle_ = LoadGolden(model_);
  TestServer server_{TestOptions(model_)};
};

// An item with the row of a bundled one scores as that one does, bit for bit.
TEST_F(ItemsCommandTest, AnEmbeddingScoresAsTheRowThatItIs) {
  ASSERT_TRUE(server_.Append(MakeAppend(*bundle_, "ann", 1, 5)).ok());
  const size_t width = bundle_->spec().d_model();
  std::string lines;
  for (size_t k = 0; k < 3; ++k) {
    const float* row =
        bundle_->tensor("item_embedding").data() + (k + 1) * width;
    const nlohmann::json line{
        {"item", kAdded + k},
        {"title", absl::StrCat("like ", k)},
        {"embedding", std::vector<float>(row, row + width)},
        {"bias", bundle_->tensor("item_bias")[k + 1]}};
    lines += line.dump() + "\n";
  }
  const std::string file = WriteFile("items.jsonl", lines);
  const CliResult trial = Items({"upsert", file, "--validate-only"});
  EXPECT_EQ(trial.out,
            "3 would be upserted, 0 unchanged; catalogue version 0\n")
      << trial.err;
  const CliResult upserted = Items({"upsert", file, "--batch", "2"});
  EXPECT_EQ(upserted.code, ExitCode::kOk);
  EXPECT_EQ(upserted.out, "3 upserted, 0 unchanged; catalogue version 3\n")
      << upserted.err;
  for (size_t k = 0; k < 3; ++k) {
    const auto scores = ScoresOf({Bundled(k), kAdded + k});
    ASSERT_THAT(scores, SizeIs(2));
    EXPECT_EQ(scores[0], scores[1]) << k;
  }
  EXPECT_EQ(Items({"upsert", file}).out,
            "0 upserted, 3 unchanged; catalogue version 3\n");
}

// What the tower makes of content is what an upsert of that row is.
TEST_F(ItemsCommandTest, ContentScoresAsTheRowOfTheTower) {
  ASSERT_TRUE(server_.Append(MakeAppend(*bundle_, "ann", 1, 5)).ok());
  const std::string csv = WriteFile(
      "items.csv", absl::StrCat("item,name,brand,tags,price\n", kAdded,
                                ",Tea,two words,a|c,4.5\n"));
  const CliResult upserted =
      Items({"upsert", csv, "--title-column", "name", "--attributes",
             "brand,tags", "--numbers", "price"});
  ASSERT_EQ(upserted.out, "1 upserted, 0 unchanged; catalogue version 1\n")
      << upserted.err;
  const auto engine = Engine::Create(bundle_);
  ASSERT_TRUE(engine.ok());
  const ContentTower::Row row = (*engine)->content_tower()->MakeRow(
      {{{"brand", {"two words"}}, {"tags", {"a", "c"}}}, {{"price", 4.5}}});
  const nlohmann::json twin{{"item", kAdded + 1},
                            {"embedding", row.embedding},
                            {"bias", row.bias}};
  ASSERT_EQ(
      Items({"upsert", WriteFile("twin.jsonl", twin.dump())}).code,
      ExitCode::kOk);
  const auto scores = ScoresOf({kAdded, kAdded + 1});
  ASSERT_THAT(scores, SizeIs(2));
  EXPECT_EQ(scores[0], scores[1]);
}

TEST_F(ItemsCommandTest, ListsAndRemoves) {
  const std::string file = WriteFile(
      "items.jsonl",
      absl::StrCat("{\"item\": ", kAdded,
                   ", \"title\": \"Tea\", \"attributes\": {\"tags\": "
                   "[\"a\", \"b\"], \"brand\": \"two words\"}}\n\n"
                   "{\"item\": ",
                   kAdded + 1, ", \"numbers\": {\"price\": 2}}\n"));
  ASSERT_EQ(Items({"upsert", file}).out,
            "2 upserted, 0 unchanged; catalogue version 2\n");
  EXPECT_EQ(Items({"remove", absl::StrCat(kAdded)}).out,
            "1 removed, 0 unchanged; catalogue version 3\n");
  EXPECT_THAT(Items({"list"}).out,
              HasSubstr(absl::StrCat(kAdded, "  Tea        1        3  yes")));
  const auto json =
      nlohmann::json::parse(Items({"list", "--json"}).out)["items"];
  ASSERT_THAT(json, SizeIs(2));
  EXPECT_EQ(json[0]["item_id"], absl::StrCat(kAdded));
  EXPECT_EQ(json[0]["removed"], true);
  EXPECT_EQ(json[1]["removed"], false);
  EXPECT_EQ(nlohmann::json::parse(
                Items({"list", "--limit", "1", "--json"}).out)["items"]
                .size(),
            1u);
  EXPECT_EQ(Items({"list", "77777777"}).code, ExitCode::kNegative);
  const std::string gone =
      WriteFile("gone.csv", absl::StrCat("item\n", kAdded, "\n", kAdded + 1, "\n"));
  EXPECT_EQ(Items({"remove", "--from", gone}).out,
            "1 removed, 1 unchanged; catalogue version 4\n");
}

// A feed that has all items, those of the bundle, too.
TEST_F(ItemsCommandTest, SkipsWhatAModelHas) {
  const std::string feed = WriteFile(
      "feed.csv",
      absl::StrCat("item,brand\n", Bundled(0), ",x\n", kAdded, ",x\n"));
  const CliResult all = Items({"upsert", feed, "--attributes", "brand"});
  EXPECT_EQ(all.code, ExitCode::kRpcError);
  EXPECT_THAT(all.err, HasSubstr("has a row in the bundle"));
  EXPECT_THAT(all.err, HasSubstr("feed.csv, lines 2 to 3"));
  EXPECT_EQ(
      Items({"upsert", feed, "--attributes", "brand", "--skip-known"}).out,
      "1 upserted, 0 unchanged, 1 known and skipped; catalogue version 1\n");
}

// A command that is given again does not undo what others did after it.
TEST_F(ItemsCommandTest, DoesOnceWhatHasAnId) {
  const auto prices = [&](const char* name, int price) {
    return WriteFile(name, absl::StrCat("item,price\n", kAdded, ",", price,
                                        "\n", kAdded + 1, ",", price, "\n"));
  };
  const std::vector<std::string> morning = {
      "upsert",  prices("morning.csv", 1), "--numbers", "price",
      "--batch", "1", "--request-id", "morning"};
  EXPECT_EQ(Items(morning).out,
            "2 upserted, 0 unchanged; catalogue version 2\n");
  EXPECT_EQ(
      Items({"upsert", prices("noon.csv", 2), "--numbers", "price"}).out,
      "2 upserted, 0 unchanged; catalogue version 4\n");
  EXPECT_EQ(Items(morning).out,
            "2 upserted, 0 unchanged; catalogue version 2\n");
  const std::vector<std::string> gone = {
      "remove", absl::StrCat(kAdded), "--request-id", "gone"};
  const std::string removed = "1 removed, 0 unchanged; catalogue version 5\n";
  EXPECT_EQ(Items(gone).out, removed);
  EXPECT_EQ(
      Items({"upsert", prices("evening.csv", 3), "--numbers", "price"}).out,
      "2 upserted, 0 unchanged; catalogue version 7\n");
  EXPECT_EQ(Items(gone).out, removed);
  const auto json =
      nlohmann::json::parse(Items({"list", "--json"}).out)["items"];
  ASSERT_THAT(json, SizeIs(2));
  for (const auto& item : json) EXPECT_EQ(item["removed"], false);

  const CliResult vague = Items({"upsert", prices("new.csv", 4), "--numbers",
                                 "price", "--skip-known", "--request-id", "x"});
  EXPECT_EQ(vague.code, ExitCode::kBadInput);
  EXPECT_THAT(vague.err, HasSubstr("does not go with --skip-known"));
}

struct BadFile {
  const char* name;
  const char* text;
  const char* part;  // of the message
};

class BadItemFileTest : public ItemsCommandTest,
                        public ::testing::WithParamInterface<BadFile> {};

TEST_P(BadItemFileTest, IsNamedByLineAndField) {
  const BadFile& bad = GetParam();
  const CliResult result =
      Items({"upsert", WriteFile(bad.name, bad.text), "--attributes", "brand",
             "--numbers", "price"});
  EXPECT_EQ(result.code, ExitCode::kBadInput) << result.out;
  EXPECT_THAT(result.err, HasSubstr(bad.part));
  EXPECT_EQ(server_.Metric("qlarank_catalogue_version"), 0);
}

INSTANTIATE_TEST_SUITE_P(
    , BadItemFileTest,
    ::testing::Values(
        BadFile{"a.csv", "item,brand\n1,x\n", "no column \"price\""},
        BadFile{"a.csv", "item,brand,price\nx,x,1\n",
                "a.csv:2: item \"x\" is not an item id"},
        BadFile{"a.csv", "item,brand,price\n1,x,dear\n",
                "a.csv:2: price \"dear\" is not"},
        BadFile{"a.csv", "item,brand,price\n1,\xff,1\n",
                "a.csv:2: brand \"\\xff\" is not UTF-8"},
        BadFile{"a.jsonl", "{\"title\": \"Tea\"}", "a.jsonl:1: item is not"},
        BadFile{"a.jsonl", "\n[1]", "a.jsonl:2: \"[1]\" is not a JSON object"},
        BadFile{"a.jsonl", "{\"item\": 1, \"price\": 3}",
                "a.jsonl:1: \"price\" is not a field of items"},
        BadFile{"a.jsonl", "{\"item\": 1, \"embedding\": [1, \"x\"]}",
                "a.jsonl:1: embedding[1] \"x\" is not a number"},
        BadFile{"a.jsonl", "{\"item\": 1, \"attributes\": {\"brand\": 3}}",
                "a.jsonl:1: attributes.brand 3 is not a text"},
        BadFile{"a.jsonl", "{\"item\": 1, \"numbers\": {\"price\": \"x\"}}",
                "a.jsonl:1: numbers.price \"x\" is not a number"},
        BadFile{"a.jsonl", "{\"item\": 1.5}", "item \"1.5\" is not an item"},
        BadFile{"a.jsonl", "{\"item\": 4000000001, \"embedding\": [1, 2]}",
                "items[0].embedding: 2 values; the model has"},
        BadFile{"a.jsonl",
                "{\"item\": 4000000001, \"attributes\": {\"colour\": \"x\"}}",
                "items[0].attributes: \"colour\"; no model that is served"}));

}  // namespace
}  // namespace qlarank::testing
