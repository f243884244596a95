#include "server/models/model_page.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/metrics/metrics.h"
#include "state_store/memory_state_store.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Version {
  std::string name;
  uint64_t version;
};

class ModelPageTest : public ::testing::Test {
 protected:
  std::shared_ptr<const Registry> Load(const std::vector<Version>& versions) {
    std::vector<ModelOptions> models;
    for (const Version& version : versions) {
      ModelOptions& model = models.emplace_back(GoldenModel("dot_l1_plain"));
      model.name = version.name;
      model.version = version.version;
      model.default_model = models.size() == 1;
    }
    return *Registry::Load(models, store_, metrics_.info);
  }

  static std::vector<std::string> Names(const ModelPage& page) {
    std::vector<std::string> names;
    for (const v1::Model& model : page.models) {
      names.push_back(absl::StrCat(model.name(), "/", model.version()));
    }
    return names;
  }

  // All pages, one behind the other.
  static std::vector<std::string> Walk(const Registry& registry,
                                       const std::string& name,
                                       uint32_t size) {
    std::vector<std::string> all;
    std::string token;
    do {
      const auto page = PageOfModels(registry, name, size, token);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) break;
      EXPECT_LE(page->models.size(), size);
      for (const std::string& model : Names(*page)) all.push_back(model);
      token = page->next_token;
    } while (!token.empty() && all.size() <= kMostModelPage);
    return all;
  }

  MemoryStateStore store_;
  Metrics metrics_;
};

TEST_F(ModelPageTest, IsInOrderOfNameThenVersionWhateverTheConfiguration) {
  const auto registry =
      Load({{"b", 10}, {"c", 1}, {"b", 9}, {"a-b", 2}, {"a", 3}});
  const auto page = PageOfModels(*registry, "", 0, "");
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_THAT(Names(*page), ElementsAre("a/3", "a-b/2", "b/9", "b/10", "c/1"));
  EXPECT_EQ(page->next_token, "");
}

TEST_F(ModelPageTest, PagesOfAnySizeHaveEveryModelOnce) {
  const auto registry =
      Load({{"b", 10}, {"c", 1}, {"b", 9}, {"a-b", 2}, {"a", 3}});
  for (const uint32_t size : {1, 2, 3, 4, 5, 6, 1'000'000'000}) {
    EXPECT_THAT(Walk(*registry, "", size),
                ElementsAre("a/3", "a-b/2", "b/9", "b/10", "c/1"))
        << size;
  }
}

TEST_F(ModelPageTest, TheLastPageHasNoToken) {
  const auto registry = Load({{"a", 1}, {"b", 1}});
  EXPECT_EQ(PageOfModels(*registry, "", 2, "")->next_token, "");
  const auto first = PageOfModels(*registry, "", 1, "");
  EXPECT_NE(first->next_token, "");
  EXPECT_EQ(PageOfModels(*registry, "", 1, first->next_token)->next_token, "");
}

TEST_F(ModelPageTest, IsOfOneNameIfOneIsAskedFor) {
  const auto registry = Load({{"b", 2}, {"a", 1}, {"b", 1}});
  EXPECT_THAT(Walk(*registry, "b", 1), ElementsAre("b/1", "b/2"));
  EXPECT_THAT(Walk(*registry, "B", 1), IsEmpty());
}

TEST_F(ModelPageTest, ASizeHasADefaultAndABound) {
  std::vector<Version> many;
  for (uint64_t version = 1; version <= kDefaultModelPage + 1; ++version) {
    many.push_back({"a", version});
  }
  const auto registry = Load(many);
  EXPECT_EQ(PageOfModels(*registry, "", 0, "")->models.size(),
            kDefaultModelPage);
  EXPECT_EQ(PageOfModels(*registry, "", UINT32_MAX, "")->models.size(),
            many.size());
}

// What comes, goes or is on a page already moves nothing else.
TEST_F(ModelPageTest, ATokenIsGoodWhenModelsComeAndGo) {
  const auto before = Load({{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}});
  const std::string token = PageOfModels(*before, "", 2, "")->next_token;
  const auto after =
      Load({{"a", 1}, {"aa", 1}, {"b", 2}, {"c", 1}, {"d", 1}});
  EXPECT_THAT(Names(*PageOfModels(*after, "", 2, token)),
              ElementsAre("b/2", "c/1"));
}

TEST_F(ModelPageTest, WhatIsNotServedHasItsPlace) {
  const auto registry =
      Load({{"a", 1}, {"c", 1}})
          ->WithUnserved({"b", 2, v1::MODEL_STATE_FAILED, "why",
                          absl::FromUnixSeconds(7)})
          ->WithUnserved({"a", 3, v1::MODEL_STATE_LOADING, "",
                          absl::UnixEpoch()});
  for (const uint32_t size : {1, 2, 3, 4}) {
    EXPECT_THAT(Walk(*registry, "", size),
                ElementsAre("a/1", "a/3", "b/2", "c/1"));
  }
  const auto page = PageOfModels(*registry, "b", 0, "");
  ASSERT_TRUE(page.ok()) << page.status();
  const v1::Model& failed = page->models.front();
  EXPECT_EQ(failed.state(), v1::MODEL_STATE_FAILED);
  EXPECT_EQ(failed.error(), "why");
  EXPECT_EQ(failed.state_time().seconds(), 7);
  EXPECT_FALSE(failed.has_load_time());
}

TEST_F(ModelPageTest, RefusesTokensThatAreNotOfThisList) {
  const auto registry = Load({{"a", 1}, {"a", 2}, {"b", 1}, {"b", 2}});
  const std::string of_all = PageOfModels(*registry, "", 1, "")->next_token;
  const std::string of_a = PageOfModels(*registry, "a", 1, "")->next_token;
  const auto ask = [&](const std::string& name, const std::string& token) {
    return PageOfModels(*registry, name, 1, token).status();
  };
  EXPECT_TRUE(ask("", of_all).ok());
  EXPECT_TRUE(ask("a", of_a).ok());
  using NameAndToken = std::pair<std::string, std::string>;
  for (const auto& [name, token] : std::vector<NameAndToken>{
           {"a", of_all},
           {"", of_a},
           {"b", of_a},
           {"", "2"},
           {"", "no token"},
           {"", of_all + "x"},
           {"", of_all + "="},
           {"", of_all.substr(0, of_all.size() - 1)},
           {"", of_all.substr(0, of_all.size() - 2)},
           {"", "\xc3\xbc"},
           {"", absl::WebSafeBase64Escape("00000000/all/1/a")},
           {"", absl::WebSafeBase64Escape("all/1/a")}}) {
    const absl::Status status = ask(name, token);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << token;
    EXPECT_THAT(std::string(status.message()), HasSubstr("page_token: \""));
  }
}

}  // namespace
}  // namespace qlarank::testing
