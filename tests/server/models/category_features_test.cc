#include "server/models/category_features.h"

#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace qlarank {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <typename Message>
Message Parse(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message))
      << text;
  return message;
}

// A number, then three values of a device and four buckets of tags.
CategoryFeatures Features() {
  return CategoryFeatures(
      Parse<model::v1::ModelSpec>(
          R"pb(event_categories { name: "device" values: "tv" values: "phone"
                                  values: "a=b" }
               event_categories { name: "tags" hash_buckets: 4 })pb")
          .event_categories(),
      8);
}

struct Expanded {
  absl::Status status;
  v1::Event event;
  size_t unknown = 0;
};

Expanded Expand(const std::string& text) {
  Expanded result;
  result.event = Parse<v1::Event>(text);
  result.status = Features().Expand(result.event, result.unknown);
  return result;
}

TEST(CategoryFeaturesTest, ValuesAreFeaturesBehindTheNumbers) {
  const Expanded result = Expand(
      R"pb(item_id: 7 features: 2.5
           categories { name: "tags" values: "0" values: "a" }
           categories { name: "device" values: "phone" values: "a=b" })pb");
  ASSERT_TRUE(result.status.ok()) << result.status;
  // XXH64 of "0" is 0 modulo 4, that of "a" 3.
  EXPECT_THAT(result.event.features(), ElementsAre(2.5, 0, 1, 1, 1, 0, 0, 1));
  EXPECT_TRUE(result.event.categories().empty());
  EXPECT_EQ(result.event.item_id(), 7u);
  EXPECT_EQ(result.unknown, 0u);
}

TEST(CategoryFeaturesTest, WhatIsUnknownOrNotSaidIsZero) {
  Expanded result = Expand(
      R"pb(features: 1
           categories { name: "device" values: "fax" values: "" }
           categories { name: "tags" })pb");
  ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_THAT(result.event.features(), ElementsAre(1, 0, 0, 0, 0, 0, 0, 0));
  EXPECT_EQ(result.unknown, 2u);
  result = Expand(R"pb(features: 1 categories { name: "tags" })pb");
  ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_THAT(result.event.features(), ElementsAre(1, 0, 0, 0, 0, 0, 0, 0));
  EXPECT_EQ(result.unknown, 0u);
}

// tests/trainer/test_categories.py has the same.
TEST(CategoryFeaturesTest, OddTextsHaveTheBucketsThatTheTrainerGivesThem) {
  const CategoryFeatures features(
      Parse<model::v1::ModelSpec>(
          R"pb(event_categories { name: "c" hash_buckets: 1000 })pb")
          .event_categories(),
      1000);
  const std::pair<std::string, int> cases[] = {
      {"a", 955},      {"A", 980},     {"=", 693},
      {"a=b", 767},    {"#", 397},     {"na\u00efve", 334},
      {"\u65e5\u672c", 563}, {std::string(999, 'x'), 297}, {"a\tb", 211},
      {"0", 28},       {" a", 692}};
  for (const auto& [text, bucket] : cases) {
    v1::Event event;
    v1::CategoryValues& category = *event.add_categories();
    category.set_name("c");
    category.add_values(text);
    size_t unknown = 0;
    ASSERT_TRUE(features.Expand(event, unknown).ok());
    EXPECT_EQ(event.features(bucket), 1) << text;
  }
}

TEST(CategoryFeaturesTest, WithoutCategoriesAnEventStaysAsItIs) {
  const Expanded result = Expand("features: 1 features: 2");
  EXPECT_TRUE(result.status.ok());
  EXPECT_THAT(result.event.features(), ElementsAre(1, 2));
}

TEST(CategoryFeaturesTest, WhatIsWrongIsNamedAndTheEventStaysAsItIs) {
  const std::pair<std::string, std::string> cases[] = {
      {R"pb(features: 1
            categories { name: "tags" }
            categories { name: "devise" })pb",
       "categories[1].name: \"devise\"; is not a category of the model"},
      {R"pb(features: 1
            categories { name: "tags" }
            categories { name: "tags" })pb",
       "categories[1].name: \"tags\"; is there twice"},
      {R"pb(categories { name: "tags" })pb",
       "features: 0 values; must be 1 where categories are given, too: these "
       "stand for 7 of 8 features"},
      {R"pb(features: [ 1, 0, 0, 0, 0, 0, 0, 0 ]
            categories { name: "tags" })pb",
       "features: 8 values; must be 1"}};
  for (const auto& [event, message] : cases) {
    const Expanded result = Expand(event);
    EXPECT_TRUE(absl::IsInvalidArgument(result.status));
    EXPECT_THAT(std::string(result.status.message()), HasSubstr(message));
    EXPECT_EQ(result.event.SerializeAsString(),
              Parse<v1::Event>(event).SerializeAsString());
  }
}

constexpr char kCandidates[] =
    R"pb(item_ids: [ 7, 8 ]
         candidate_features: [ 5, 6 ]
         candidate_categories {
           name: "device"
           candidates { values: "tv" }
           candidates { values: "phone" values: "fax" }
         }
         candidate_categories {
           name: "tags"
           candidates {}
           candidates { values: "a" }
         })pb";

TEST(CategoryFeaturesTest, EachCandidateHasARow) {
  auto request = Parse<v1::RankRequest>(kCandidates);
  size_t unknown = 0;
  const absl::Status status = Features().Expand(request, 64, unknown);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(request.candidate_features(),
              ElementsAre(5, 1, 0, 0, 0, 0, 0, 0,  //
                          6, 0, 1, 0, 0, 0, 0, 1));
  EXPECT_TRUE(request.candidate_categories().empty());
  EXPECT_EQ(unknown, 1u);
}

TEST(CategoryFeaturesTest, CandidatesWithoutAnEntryAreRefused) {
  const auto refused = [](auto break_it, size_t max_bytes = 64) {
    auto request = Parse<v1::RankRequest>(kCandidates);
    break_it(request);
    size_t unknown = 0;
    return std::string(
        Features().Expand(request, max_bytes, unknown).message());
  };
  EXPECT_THAT(refused([](v1::RankRequest& request) {
                request.mutable_candidate_categories(1)->add_candidates();
              }),
              HasSubstr("candidate_categories[1].candidates: 3 entries; must "
                        "be one for each of 2 candidates"));
  EXPECT_THAT(refused([](v1::RankRequest& request) {
                request.add_candidate_features(1);
              }),
              HasSubstr("candidate_features: 3 values; must be 2"));
  EXPECT_THAT(refused([](v1::RankRequest& request) {
                request.mutable_candidate_categories(0)->set_name("x");
              }),
              HasSubstr("candidate_categories[0].name: \"x\"; is not a"));
  EXPECT_THAT(refused([](v1::RankRequest&) {}, 63),
              HasSubstr("candidate_categories: 2 candidates; have 8 features "
                        "each, together more than 63 bytes"));
}

}  // namespace
}  // namespace qlarank
