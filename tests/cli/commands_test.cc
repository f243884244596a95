// Whole commands against a server on a real socket.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "cli/command.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/cli/fake_server.h"
#include "tests/cli/run_cli.h"

namespace qlarank {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kEvents[] =
    "user,item,action,time\n"
    "ann,7,buy,100\n"
    "bob,8,buy,101\n"
    "ann,7,buy,102\n"
    "ann,9,buy,103\n";

class CommandsTest : public testing::Test {
 protected:
  CliResult Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--server", server_.address(),
                                         "--admin-server", server_.address()});
    return RunCli(std::move(arguments));
  }
  nlohmann::json RunJson(std::vector<std::string> arguments) {
    arguments.push_back("--json");
    CliResult result = Run(std::move(arguments));
    return nlohmann::json::parse(result.out);
  }
  void Import(const std::string& csv = kEvents) {
    ASSERT_EQ(Run({"import", WriteFile("events.csv", csv)}).code,
              ExitCode::kOk);
  }

  FakeServer server_;
};

TEST_F(CommandsTest, RankOrdersCandidatesAndNamesThem) {
  Import();
  std::string titles = WriteFile("titles.tsv", "7\tMILK\n8\tBREAD\n");
  CliResult result = Run({"rank", "--user", "ann", "--items", "8,7,9",
                          "--top-k", "2", "--titles", titles});
  ASSERT_EQ(result.code, ExitCode::kOk) << result.err;
  EXPECT_THAT(result.out, HasSubstr("rank  item  title     buy\n"
                                    "   1     7  MILK   2.0000\n"
                                    "   2     9         1.0000\n"));
  EXPECT_THAT(result.out, HasSubstr("3 events, newest 1970-01-01T00:01:43Z"));
  EXPECT_THAT(result.out, HasSubstr("3 candidates ranked"));
}

TEST_F(CommandsTest, RankPassesOnWhatWasAsked) {
  auto json = RunJson({"rank", "--user", "ann", "--items-file",
                       WriteFile("items", "7\n0 9\n"), "--time", "200.5",
                       "--context", "channel=web", "--min-event-count", "3"});
  v1::RankRequest request = server_.last_rank();
  EXPECT_EQ(request.item_ids_size(), 3);
  EXPECT_EQ(request.request_time().seconds(), 200);
  EXPECT_EQ(request.request_time().nanos(), 500'000'000);
  EXPECT_EQ(request.context().at("channel"), "web");
  EXPECT_EQ(request.min_event_count(), 3U);
  EXPECT_EQ(json["unknown_items"], 1);
  EXPECT_EQ(json["state"]["found"], false);
}

// Of a model with three candidate features: bid, age and stock.
constexpr char kWithFeatures[] =
    QLARANK_GOLDEN_DIR "/all_l4_decay_conv_everything/bundle";

TEST_F(CommandsTest, RankSendsTheFeaturesOfItsCandidatesByName) {
  const std::string features = WriteFile(
      "features.csv", "sku,stock,name,age,bid\n8,3,x,2,1\n7,-3.5,y,1e2,0\n");
  const std::vector<std::string> rank{"rank", "--user", "ann", "--items",
                                      "7,8", "--item-column", "sku",
                                      "--features", features};
  std::vector<std::string> whole = rank;
  whole.insert(whole.end(), {"--bundle", kWithFeatures});
  ASSERT_EQ(Run(whole).code, ExitCode::kOk);
  EXPECT_THAT(server_.last_rank().candidate_features(),
              ElementsAre(0, 100, -3.5, 1, 2, 3));
  EXPECT_THAT(Run(rank).err, HasSubstr("--features needs --bundle"));
  whole[4] = "7,9";
  EXPECT_THAT(Run(whole).err,
              HasSubstr("features.csv has no line for item 9, which is a"));
  WriteFile("features.csv", "sku,stock,age,bid\n7,3,2,\n");
  EXPECT_THAT(Run(whole).err,
              HasSubstr("features.csv:2: bid \"\" is not a finite number"));
  WriteFile("features.csv", "sku,stock,age,bid\n7,3,2,1\n7,3,2,1\n");
  EXPECT_THAT(Run(whole).err,
              HasSubstr("features.csv:3: sku \"7\" has a line already"));
  WriteFile("features.csv", "sku,stock,age\n7,3,2\n");
  EXPECT_THAT(Run(whole).err, HasSubstr("no column \"bid\""));
  whole.back() = QLARANK_GOLDEN_DIR "/dot_l1_plain/bundle";
  EXPECT_THAT(Run(whole).err, HasSubstr("the model has no candidate features"));
}

// The same, with a number and a category: two buckets of tags.
std::string WithCategory() {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(testing::TempDir()) / "with_category";
  fs::remove_all(folder);
  fs::copy(kWithFeatures, folder);
  const fs::path file = folder / "model.textproto";
  std::stringstream text;
  text << std::ifstream(file).rdbuf();
  std::string spec = text.str();
  // Whoever edits a spec by hand removes its digest, and that of requests.
  spec.resize(std::min(spec.find("golden_sha256"), spec.find("# sha256 of")));
  spec = absl::StrReplaceAll(spec, {{"\"age\"", "\"tags#0\""},
                                    {"\"stock\"", "\"tags#1\""}});
  fs::permissions(file, fs::perms::owner_all);
  std::ofstream(file) << spec
                      << "\ncandidate_categories { name: \"tags\" "
                         "separator: \"|\" hash_buckets: 2 }\n";
  return folder;
}

TEST_F(CommandsTest, RankSendsTheTextsOfItsCandidatesCategories) {
  const std::string features =
      WriteFile("features.csv", "item,tags,bid\n8,a| b |a,1\n7,,2\n");
  const std::string bundle = WithCategory();
  const std::vector<std::string> rank{"rank",       "--user",     "ann",
                                      "--items",    "7,8",        "--bundle",
                                      bundle,       "--features", features};
  const CliResult result = Run(rank);
  ASSERT_EQ(result.code, ExitCode::kOk) << result.err;
  const v1::RankRequest asked = server_.last_rank();
  EXPECT_THAT(asked.candidate_features(), ElementsAre(2, 1));
  ASSERT_EQ(asked.candidate_categories_size(), 1);
  const v1::CandidateCategory& tags = asked.candidate_categories(0);
  EXPECT_EQ(tags.name(), "tags");
  ASSERT_EQ(tags.candidates_size(), 2);
  EXPECT_THAT(tags.candidates(0).values(), ElementsAre());
  EXPECT_THAT(tags.candidates(1).values(), ElementsAre("a", "b"));
  EXPECT_THAT(Run({"model", "inspect", bundle}).out,
              HasSubstr("cand. feat.  bid, tags (2 buckets)\n"));
  WriteFile("features.csv", "item,bid\n7,3\n");
  EXPECT_THAT(Run(rank).err, HasSubstr("no column \"tags\""));
  WriteFile("features.csv", "item,bid,tags\n7,3,\xff\n");
  EXPECT_THAT(Run(rank).err,
              HasSubstr("features.csv:2: tags \"\\xff\" is not UTF-8"));
}

TEST_F(CommandsTest, ImportSendsTheTextsOfEventsCategories) {
  ASSERT_EQ(Run({"import", "--category-column", "device", "--category-column",
                 "tags=|", "--feature-columns", "price",
                 WriteFile("events.csv",
                           "user,item,time,tags,price,device\n"
                           "ann,1,100,x|y,2,tv\nann,1,101,,3,\n")})
                .code,
            ExitCode::kOk);
  const v1::Event event = server_.EventsOf("ann")[0].event();
  EXPECT_THAT(event.features(), ElementsAre(2));
  ASSERT_EQ(event.categories_size(), 2);
  EXPECT_THAT(event.categories(0).values(), ElementsAre("tv"));
  EXPECT_EQ(event.categories(1).name(), "tags");
  EXPECT_THAT(event.categories(1).values(), ElementsAre("x", "y"));
  EXPECT_EQ(server_.EventsOf("ann")[1].event().categories_size(), 2);
}

TEST_F(CommandsTest, ItemsMayBeTexts) {
  ASSERT_EQ(Run({"import", "--item-keys", "text",
                 WriteFile("events.csv",
                           "user,item,action,time\nann,green tea,buy,100\n"
                           "ann,a,buy,101\nann,a,buy,102\n")})
                .code,
            ExitCode::kOk);
  const uint64_t of_a = 0xD24EC4F1A98C6E5B;  // XXH64
  EXPECT_EQ(server_.EventsOf("ann")[1].event().item_id(), of_a);
  ASSERT_EQ(Run({"append", "--user", "ann", "--item", "a", "--action", "buy",
                 "--item-keys", "text"})
                .code,
            ExitCode::kOk);
  EXPECT_EQ(server_.EventsOf("ann")[3].event().item_id(), of_a);
  const std::string keys =
      WriteFile("item_keys.tsv", absl::StrCat(of_a, "\ta\n"));
  const std::string bundle = keys.substr(0, keys.rfind('/'));
  const std::vector<std::string> rank{
      "rank", "--user", "ann", "--items", "green tea, a", "--item-keys",
      "text", "--bundle", bundle};
  EXPECT_THAT(Run(rank).out, HasSubstr("   1                    a  3.0000\n"));
  EXPECT_EQ(server_.last_rank().item_ids(1), of_a);
  EXPECT_EQ(RunJson(rank)["items"][0]["item_key"], "a");
  EXPECT_THAT(Run({"append", "--user", "ann", "--item", "a"}).err,
              HasSubstr("--item \"a\" is not an item id: they are whole "
                        "numbers; where items are texts, say --item-keys"));
}

TEST_F(CommandsTest, RankNeedsExactlyOneSetOfCandidates) {
  EXPECT_EQ(Run({"rank", "--user", "ann"}).code, ExitCode::kBadInput);
  EXPECT_EQ(Run({"rank", "--user", "ann", "--items", "1", "--all"}).code,
            ExitCode::kBadInput);
  EXPECT_EQ(Run({"rank", "--user", "ann", "--all"}).code, ExitCode::kBadInput);
  EXPECT_EQ(Run({"rank", "--user", "ann", "--items", "1,x"}).code,
            ExitCode::kBadInput);
}

TEST_F(CommandsTest, AnUnknownModelIsTheServersError) {
  CliResult result =
      Run({"rank", "--user", "ann", "--items", "1", "--model", "other"});
  EXPECT_EQ(result.code, ExitCode::kRpcError);
  EXPECT_THAT(result.err, HasSubstr("NOT_FOUND: model_name \"other\""));
}

TEST_F(CommandsTest, StateTellsWhatIsRemembered) {
  Import();
  auto json = RunJson({"state", "--user", "ann"});
  EXPECT_EQ(json["event_count"], 3);
  EXPECT_EQ(json["state_bytes"], 19'532);
  // As a text: a script's numbers end at 2^53.
  ASSERT_EQ(json["watermarks"].size(), 1U);
  EXPECT_EQ(*json["watermarks"].begin(), "5");
  CliResult text = Run({"state", "--user", "ann"});
  EXPECT_EQ(text.code, ExitCode::kOk);
  EXPECT_THAT(text.out, HasSubstr("size         19,532 bytes"));
}

TEST_F(CommandsTest, ServerInfoShowsWhatRuns) {
  const CliResult text = Run({"server-info"});
  EXPECT_EQ(text.code, ExitCode::kOk) << text.err;
  EXPECT_EQ(
      text.out,
      "server      0.1.0 (58acfbc)\n"
      "store       format 2\n"
      "partitions  4,096\n"
      "owners      2\n"
      "catalogue   version 7\n\n"
      "model  version  default  scored in  state bytes  fingerprint\n"
      "toy          1           f32             19,532  feed1\n"
      "toy          2           bf16            19,532  feed2\n"
      "toy          3  yes      int8            19,532  feed3\n"
      "toy          4           unknown         19,532  feed4\n"
      "\n"
      "states of            users, about      bytes  fingerprint\n"
      "toy/4                       4,936  1,234,567  feed4\n"
      "none that is served         6,170  1,234,567  feed5\n");
  const auto json = RunJson({"server-info"});
  EXPECT_EQ(json["server_version"], "0.1.0 (58acfbc)");
  EXPECT_EQ(json["store_format"], 2);
  EXPECT_EQ(json["num_partitions"], 4096);
  EXPECT_EQ(json["num_owners"], 2);
  EXPECT_EQ(json["catalogue_version"], 7);
  ASSERT_EQ(json["models"].size(), 4U);
  EXPECT_EQ(json["models"][2]["name"], "toy");
  EXPECT_EQ(json["models"][2]["version"], 3);
  EXPECT_EQ(json["models"][2]["default"], true);
  EXPECT_EQ(json["models"][2]["state_fingerprint"], "feed3");
  EXPECT_EQ(json["models"][2]["scoring_precision"], "int8");
  EXPECT_EQ(json["models"][2]["state_bytes"], 19'532);
  EXPECT_EQ(json["models"][3]["scoring_precision"], "unknown");
  ASSERT_EQ(json["stored_states"].size(), 2U);
  EXPECT_EQ(json["stored_states"][1], nlohmann::json::parse(R"({
      "state_fingerprint": "feed5", "users": 6170, "bytes": 1234567})"));
}

TEST_F(CommandsTest, ModelListShowsAllPages) {
  const CliResult text = Run({"model", "list"});
  EXPECT_EQ(text.code, ExitCode::kOk) << text.err;
  EXPECT_EQ(text.out,
            "model  version  default  labels  state    scored in   items  "
            "known by  loaded\n"
            "shop         3                   unknown  f32        12,345  "
            "number    2017-07-14T02:40:00Z\n"
            "toy          1                   serving  f32        12,345  "
            "number    2017-07-14T02:40:00Z\n"
            "toy          2  yes      stable  serving  int8       12,345  "
            "text      2017-07-14T02:40:00Z\n");
  const auto json = RunJson({"model", "list", "toy"});
  EXPECT_EQ(json["server_version"], "0.1.0 (58acfbc)");
  ASSERT_EQ(json["models"].size(), 2U);
  EXPECT_EQ(json["models"][1], nlohmann::json::parse(R"({
    "name": "toy", "version": 2, "default": true, "state": "serving",
    "fingerprint": "feed", "state_fingerprint": "feed.f32", "description": "",
    "scoring_precision": "int8", "state_bytes": 19532, "num_items": 12345,
    "added_items": 1200, "item_key_type": "text", "load_time": "2017-07-14T02:40:00.5Z",
    "labels": ["stable"], "labels_etag": "7", "error": "",
    "pending_labels": [{"label": "canary", "version": 2, "min_coverage": 0.99}],
    "state_time": "2017-07-14T02:40:00.5Z"})"));
  EXPECT_EQ(Run({"model", "list", "none"}).code, ExitCode::kNegative);
}

TEST_F(CommandsTest, ModelShowTellsWhatRequestsAreMadeOf) {
  const CliResult text = Run({"model", "show", "toy/2"});
  EXPECT_EQ(text.code, ExitCode::kOk) << text.err;
  EXPECT_EQ(text.out,
            "model        toy/2, the default\n"
            "             For tests.\n"
            "state        serving, loaded 2017-07-14T02:40:00Z\n"
            "labels       stable (etag 7)\n"
            "pending      canary, when 99 % of the users are covered\n"
            "fingerprint  feed\n"
            "states under feed.f32, 19,532 bytes each\n"
            "scored in    int8\n"
            "items        12,345, each a text, and 1,200 rows of such that "
            "came later\n"
            "actions      view, buy\n"
            "event feat.  price, device (1 value)\n"
            "cand. feat.  bid, age\n"
            "summaries    16 of 32 numbers\n"
            "limits       50,000 candidates, 16 recent events, user ids "
            "of 256 bytes, messages of 16,777,216 bytes\n"
            "server       0.1.0 (58acfbc)\n"
            "\n"
            "task   value weight  dot term\n"
            "click             1  yes\n"
            "like            2.5\n"
            "\n"
            "context  default  values\n"
            "channel  web      web, app\n"
            "hour              a number: below 6, 12.5 and above\n");
  EXPECT_EQ(Run({"model", "show"}).out, text.out);
  EXPECT_EQ(Run({"model", "show", "toy"}).out, text.out);
  const auto json = RunJson({"model", "show", "toy"});
  EXPECT_EQ(json["name"], "toy");
  EXPECT_EQ(json["server_version"], "0.1.0 (58acfbc)");
  EXPECT_EQ(json["limits"], nlohmann::json::parse(R"({
    "max_user_id_bytes": 256, "max_candidates": 50000,
    "max_recent_events": 16, "max_message_bytes": 16777216})"));
  EXPECT_EQ(json["schema"], nlohmann::json::parse(R"({
    "tasks": [{"name": "click", "dot_term": true, "value_weight": 1.0},
              {"name": "like", "dot_term": false, "value_weight": 2.5}],
    "actions": ["view", "buy"], "event_features": ["price", "device=tv"],
    "event_categories": [{"name": "device", "separator": "",
                          "values": ["tv"], "hash_buckets": 0}],
    "candidate_features": ["bid", "age"], "candidate_categories": [],
    "context_features": [
      {"name": "channel", "values": ["web", "app"], "boundaries": [],
       "default": "web"},
      {"name": "hour", "values": [], "boundaries": [6.0, 12.5],
       "default": ""}],
    "num_seeds": 16, "summary_width": 32})"));
}

TEST_F(CommandsTest, ModelsAreLoadedAndUnloaded) {
  EXPECT_EQ(Run({"model", "load", "toy/3"}).out, "model toy/3 is serving\n");
  EXPECT_EQ(Run({"model", "load", "toy/3", "--validate-only"}).out,
            "model toy/3 could be serving\n");
  EXPECT_EQ(RunJson({"model", "unload", "toy/3"}),
            nlohmann::json::parse(R"({"name": "toy", "version": 3,
                "state": "unloaded", "validate_only": false})"));
  EXPECT_EQ(Run({"model", "unload", "toy/3", "--drop-states"}).out,
            "model toy/3 is unloaded\nits states are dropped\n");
  EXPECT_EQ(Run({"model", "unload", "toy/3", "--drop-states",
                 "--validate-only"}).out,
            "model toy/3 could be unloaded\nits states would be dropped\n");
  EXPECT_EQ(Run({"model", "unload", "toy/4", "--drop-states"}).out,
            "model toy/4 is unloaded\n"
            "its states stay: they are those of toy/2, too\n");
  EXPECT_EQ(RunJson({"model", "unload", "toy/4", "--drop-states"}),
            nlohmann::json::parse(R"({"name": "toy", "version": 4,
                "state": "unloaded", "validate_only": false,
                "states_dropped": false, "states_kept_for": "toy/2"})"));
  const CliResult elsewhere =
      Run({"model", "load", "toy/3", "--path", "elsewhere"});
  EXPECT_NE(elsewhere.code, ExitCode::kOk);
  EXPECT_THAT(elsewhere.err, HasSubstr("must lie below model_base_path"));
  const CliResult labelled = Run({"model", "unload", "toy/2"});
  EXPECT_NE(labelled.code, ExitCode::kOk);
  EXPECT_THAT(labelled.err, HasSubstr("has labels that point to it: stable"));
  for (const char* command : {"load", "unload"}) {
    const CliResult vague = Run({"model", command, "toy"});
    EXPECT_EQ(vague.code, ExitCode::kBadInput);
    EXPECT_THAT(vague.err, HasSubstr("has no version; say NAME/VERSION"));
  }
}

TEST_F(CommandsTest, TrafficAndShadowsAreSetAndEnded) {
  const CliResult text = Run({"model", "traffic", "toy", "canary", "--share",
                              ".05", "--user", "ann", "--user", "bob"});
  EXPECT_EQ(text.code, ExitCode::kOk) << text.err;
  EXPECT_THAT(text.out, HasSubstr("traffic of canary: a share of 0.05 of the "
                                  "users, and ann, bob\netag 8\n"));
  EXPECT_EQ(RunJson({"model", "traffic", "toy", "canary", "--end"})["traffic"],
            nlohmann::json::parse(
                R"({"label": "canary", "share": 0.0, "users": []})"));
  EXPECT_THAT(
      Run({"model", "shadow", "toy", "3", "--sample", ".1"}).out,
      HasSubstr("scored again by version 3: a share of 0.1 of the requests\n"));
  EXPECT_EQ(
      RunJson({"model", "shadow", "toy", "canary", "--sample", "1"})["shadow"],
      nlohmann::json::parse(
          R"({"label": "canary", "version": 0, "sample": 1.0})"));
  EXPECT_EQ(RunJson({"model", "shadow", "toy", "--end"})["shadow"]["sample"],
            0);
  for (const std::vector<std::string>& vague :
       {std::vector<std::string>{"model", "traffic", "toy", "canary"},
        {"model", "traffic", "toy", "canary", "--share", "1", "--end"},
        {"model", "shadow", "toy", "3"},
        {"model", "shadow", "toy", "--sample", "1"},
        {"model", "shadow", "toy", "3", "--sample", "1", "--end"}}) {
    EXPECT_EQ(Run(vague).code, ExitCode::kBadInput) << vague[1];
  }
}

TEST_F(CommandsTest, LabelsArePointedAndRolledBack) {
  const CliResult text = Run({"model", "label", "toy", "canary", "3"});
  EXPECT_EQ(text.code, ExitCode::kOk) << text.err;
  EXPECT_EQ(text.out,
            "label   version\n"
            "canary        3\n"
            "stable        2\n"
            "rollback would go to version 1\n"
            "etag 8\n");
  EXPECT_EQ(RunJson({"model", "label", "toy", "stable", "--remove"}),
            nlohmann::json::parse(R"({"name": "toy", "labels": {},
                "pending_labels": [], "version_before_stable": 1, "etag": "8"})"));
  EXPECT_EQ(RunJson({"model", "rollback", "toy"})["labels"]["stable"], 1);
  const CliResult stale =
      Run({"model", "label", "toy", "canary", "3", "--etag", "6"});
  EXPECT_NE(stale.code, ExitCode::kOk);
  EXPECT_THAT(stale.err, HasSubstr("changed meanwhile"));
  const std::vector<std::string> waits = {
      "model", "label", "toy", "stable", "3", "--when-covered",
      "--min-coverage", ".95"};
  EXPECT_EQ(Run(waits).out,
            "label   version\n"
            "stable        2\n"
            "stable goes to version 3 when that covers 95 % of the users\n"
            "rollback would go to version 1\n"
            "etag 8\n");
  EXPECT_EQ(RunJson(waits)["pending_labels"], nlohmann::json::parse(R"([
      {"label": "stable", "version": 3, "min_coverage": 0.95}])"));
  for (const std::vector<std::string>& vague :
       {std::vector<std::string>{"model", "label", "toy", "canary"},
        {"model", "label", "toy", "canary", "--remove", "--when-covered"},
        {"model", "label", "toy", "canary", "3", "--remove"}}) {
    EXPECT_EQ(Run(vague).code, ExitCode::kBadInput);
  }
}

TEST_F(CommandsTest, ChangesOfLabelsNameThemselves) {
  for (std::vector<std::string> change :
       {std::vector<std::string>{"label", "toy", "canary", "3"},
        {"label", "toy", "canary", "--remove"},
        {"rollback", "toy"},
        {"traffic", "toy", "canary", "--end"},
        {"shadow", "toy", "--end"}}) {
    change.insert(change.begin(), "model");
    change.push_back("--request-id");
    change.push_back("of-today");
    EXPECT_EQ(Run(change).code, ExitCode::kOk) << change[1];
    change.back() = FakeServer::kTakenId;
    EXPECT_THAT(Run(change).err, HasSubstr("is that of another change"))
        << change[1];
  }
}

TEST_F(CommandsTest, ModelShowSuggestsWhatMayHaveBeenMeant) {
  const auto error = [&](const std::string& model, ExitCode code) {
    const CliResult result = Run({"model", "show", model});
    EXPECT_EQ(result.code, code) << model;
    return result.err;
  };
  EXPECT_THAT(error("tyo", ExitCode::kRpcError),
              HasSubstr("NOT_FOUND: tyo/2 is not served; did you mean toy?"));
  EXPECT_THAT(error("garden", ExitCode::kRpcError),
              HasSubstr("; qlarank model list shows those that there are"));
  EXPECT_THAT(error("toy/9", ExitCode::kRpcError),
              HasSubstr("toy/9 is not served; it has 1, 2\n"));
  for (const char* wrong :
       {"toy/", "toy/0", "toy/x", "toy/-1", "toy/+1", "toy/1/2", "toy/ 1",
        "toy/18446744073709551616"}) {
    EXPECT_THAT(error(wrong, ExitCode::kBadInput),
                HasSubstr("is no version, a whole number from 1"))
        << wrong;
  }
}

TEST_F(CommandsTest, StateOfAnUnknownUserIsANegativeAnswer) {
  CliResult result = Run({"state", "--user", "nobody"});
  EXPECT_EQ(result.code, ExitCode::kNegative);
  EXPECT_THAT(result.out, HasSubstr("empty: no events"));
}

TEST_F(CommandsTest, SummaryShowsTheSameNumbersInEitherEncoding) {
  Import();
  const auto expected =
      nlohmann::json::parse("[[63.5, -63.5, 0.0], [0.5, 0.25, -0.25]]");
  auto floats = RunJson({"summary", "--user", "ann"});
  EXPECT_EQ(floats["summaries"], expected);
  EXPECT_EQ(floats["event_count"], 3);
  EXPECT_EQ(RunJson({"summary", "--user", "ann", "--int8"})["summaries"],
            expected);
  CliResult text = Run({"summary", "--user", "ann", "--int8"});
  EXPECT_EQ(text.code, ExitCode::kOk);
  EXPECT_THAT(text.out, HasSubstr("2 x 3 bytes with a scale each, 14 bytes"));
  EXPECT_THAT(text.out, HasSubstr("-63.5000"));
}

TEST_F(CommandsTest, SummaryOfAnUnknownUserIsANegativeAnswer) {
  EXPECT_EQ(Run({"summary", "--user", "nobody"}).code, ExitCode::kNegative);
}

TEST_F(CommandsTest, SummaryOfAModelWithoutSeedsIsTheServersError) {
  CliResult result = Run({"summary", "--user", "ann", "--model", "seedless"});
  EXPECT_EQ(result.code, ExitCode::kRpcError);
  EXPECT_THAT(result.err, HasSubstr("has no seeds"));
}

TEST_F(CommandsTest, DeleteUserErases) {
  Import();
  auto json = RunJson({"delete-user", "--user", "ann", "--yes"});
  EXPECT_EQ(json["events_deleted"], 3);
  EXPECT_EQ(Run({"delete-user", "--user", "ann", "--yes"}).code,
            ExitCode::kNegative);
}

TEST_F(CommandsTest, AppendAddsOneEvent) {
  CliResult result = Run({"append", "--user", "ann", "--item", "7", "--action",
                          "buy", "--time", "100"});
  ASSERT_EQ(result.code, ExitCode::kOk) << result.err;
  ASSERT_EQ(server_.EventsOf("ann").size(), 1U);
  EXPECT_EQ(server_.EventsOf("ann")[0].event().time().seconds(), 100);
}

TEST_F(CommandsTest, AppendSaysThatADuplicateWasNotApplied) {
  std::vector<std::string> append{"append", "--user",     "ann", "--item",
                                  "7",      "--sequence", "5"};
  EXPECT_EQ(Run(append).code, ExitCode::kOk);
  append.back() = "4";
  CliResult result = Run(append);
  EXPECT_EQ(result.code, ExitCode::kNegative);
  EXPECT_THAT(result.err, HasSubstr("duplicate, not applied: sequence 4"));
  EXPECT_THAT(result.err, HasSubstr("has events of it through 5"));
  EXPECT_EQ(server_.EventsOf("ann").size(), 1U);
}

TEST_F(CommandsTest, ItemsAreTextsInJson) {
  auto json = RunJson({"rank", "--user", "ann", "--items",
                       "18446744073709551615,9007199254740993"});
  EXPECT_EQ(json["items"][0]["item_id"], "18446744073709551615");
  EXPECT_EQ(json["items"][1]["item_id"], "9007199254740993");
}

TEST_F(CommandsTest, ServeCheckPassesWhenEverythingServes) {
  CliResult result = Run({"serve-check"});
  EXPECT_EQ(result.code, ExitCode::kOk) << result.out;
  EXPECT_THAT(result.out, HasSubstr("qlarank.v1.RankService"));
}

TEST_F(CommandsTest, ServeCheckFailsWhenNotServing) {
  server_.SetServing(false);
  CliResult result = Run({"serve-check"});
  EXPECT_EQ(result.code, ExitCode::kNegative);
  EXPECT_THAT(result.out, HasSubstr("NOT_SERVING"));
}

TEST_F(CommandsTest, AnUnreachableServerIsUnavailable) {
  server_.Shutdown();
  for (std::vector<std::string> command :
       {std::vector<std::string>{"serve-check"},
        {"state", "--user", "ann"},
        {"rank", "--user", "ann", "--items", "1"},
        {"append", "--user", "ann", "--item", "1"},
        {"import", "--retry-for", "0", WriteFile("events.csv", kEvents)}}) {
    EXPECT_EQ(Run(command).code, ExitCode::kUnavailable) << command[0];
  }
}

// Every option that is a number, and what none of them takes.
TEST_F(CommandsTest, NumbersDoNotWrap) {
  const std::vector<std::vector<std::string>> options{
      {"append", "--user", "ann", "--sequence", "1", "--item"},
      {"append", "--user", "ann", "--item", "1", "--sequence"},
      {"append", "--user", "ann", "--item", "1", "--top-k"},
      {"rank", "--user", "ann", "--items", "1", "--top-k"},
      {"rank", "--user", "ann", "--items", "1", "--min-event-count"},
      {"rank", "--user", "ann", "--items", "1", "--model-version"},
      {"rank", "--user", "ann", "--items", "1", "--timeout"},
      {"state", "--user", "ann", "--model-version"},
      {"state", "--user", "ann", "--min-event-count"},
      {"summary", "--user", "ann", "--model-version"},
      {"summary", "--user", "ann", "--min-event-count"},
      {"import", "f.csv", "--batch"},
      {"import", "f.csv", "--lanes"},
      {"import", "f.csv", "--retry-for"},
      {"evaluate", "--history", "f", "--heldout", "f", "--bundle", "f",
       "--top-k"},
      {"evaluate", "--history", "f", "--heldout", "f", "--bundle", "f",
       "--in-flight"},
      {"evaluate", "--history", "f", "--heldout", "f", "--bundle", "f",
       "--max-users"},
      {"evaluate", "--history", "f", "--heldout", "f", "--bundle", "f",
       "--show"},
      {"evaluate", "--history", "f", "--heldout", "f", "--bundle", "f",
       "--half-life-days"},
      {"backup", "--keep"},
      {"erasures", "--limit"},
      {"store", "backup", "a", "b", "--keep"},
      {"store", "restore", "a", "b", "--backup"},
  };
  for (const std::vector<std::string>& option : options) {
    for (const char* value : {"-1", "-3", "1.5e400", "nan", "inf", "x", "",
                              "0x10", "18446744073709551616",
                              "99999999999999999999999"}) {
      std::vector<std::string> arguments = option;
      arguments.back() += absl::StrCat("=", value);
      CliResult result = Run(arguments);
      EXPECT_EQ(result.code, ExitCode::kBadInput)
          << testing::PrintToString(arguments);
      EXPECT_LT(result.err.size(), 300U) << result.err;
    }
  }
  EXPECT_EQ(server_.num_events(), 0U);
}

TEST_F(CommandsTest, NumbersAreDecimal) {
  EXPECT_EQ(
      Run({"append", "--user", "ann", "--item", "010", "--sequence", "1"}).code,
      ExitCode::kOk);
  EXPECT_EQ(server_.EventsOf("ann")[0].event().item_id(), 10U);
  CliResult result = Run({"rank", "--user", "ann", "--items", "1", "--top-k",
                          "0"});
  EXPECT_THAT(result.err, HasSubstr("\"0\" is not a whole number from 1 to "));
}

TEST_F(CommandsTest, AMistypedCommandIsGuessed) {
  EXPECT_THAT(Run({"imprt", "f.csv"}).err,
              HasSubstr("\"imprt\" is no command; did you mean import?"));
  EXPECT_THAT(Run({"frobnicate"}).err,
              HasSubstr("\"frobnicate\" is no command; qlarank --help"));
  EXPECT_THAT(Run({"store", "verfiy", "f"}).err,
              HasSubstr("\"verfiy\" is no command; did you mean verify?"));
  EXPECT_EQ(Run({"imprt"}).code, ExitCode::kBadInput);
}

TEST_F(CommandsTest, WithJsonErrorsAreJson) {
  const std::vector<std::vector<std::string>> commands{
      {"imprt"},
      {"rank", "--user", "ann", "--items", "1", "--top-k", "0"},
      {"rank", "--user", "ann", "--items", "1,x"},
      {"rank", "--user", "J\xe9", "--items", "1"},
      {"rank", "--user", "ann", "--items", "1", "--model", "other"},
  };
  for (std::vector<std::string> command : commands) {
    command.push_back("--json");
    CliResult result = Run(command);
    EXPECT_EQ(result.out, "");
    auto json = nlohmann::json::parse(result.err, nullptr, false);
    ASSERT_TRUE(json.is_object()) << result.err;
    EXPECT_TRUE(json["error"]["code"].is_string()) << result.err;
    EXPECT_NE(json["error"]["message"], "") << result.err;
  }
}

TEST_F(CommandsTest, UsageErrorsAndHelp) {
  EXPECT_EQ(Run({}).code, ExitCode::kBadInput);
  EXPECT_EQ(Run({"frobnicate"}).code, ExitCode::kBadInput);
  EXPECT_EQ(Run({"import", "/no/such/file"}).code, ExitCode::kBadInput);
  CliResult help = Run({"--help"});
  EXPECT_EQ(help.code, ExitCode::kOk);
  EXPECT_THAT(help.out, HasSubstr("Exit codes"));
}

}  // namespace
}  // namespace qlarank
