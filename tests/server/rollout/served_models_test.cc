#include "server/rollout/served_models.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "state_store/memory_state_store.h"
#include "tests/testing/faulty_state_store.h"

namespace qlarank::testing {
namespace {

using ::testing::HasSubstr;

TEST(ServedModelsTest, AreWhatWasWritten) {
  MemoryStateStore store;
  EXPECT_EQ(*ReadServedModels(store), ServedModels());
  ServedModels served;
  served.loaded = {{"shop", 3, "", true}, {"garden", UINT64_MAX, "odd/place"}};
  served.labels["shop"] = {{{"canary", 3}, {"stable", 2}}, 1, 17};
  served.labels["garden"] = {{}, 0, 2, {{"stable", {9, .875}}}};
  served.labels["shop"].traffic = {"canary", .05, {"ann", "carl"}};
  served.labels["shop"].shadow = {"", 3, .1};
  served.labels["garden"].shadow = {"canary", 0, 1};
  served.answered.Add({"monday", "digest"}, "answer");
  ASSERT_TRUE(WriteServedModels(served, store).ok());
  EXPECT_EQ(*ReadServedModels(store), served);
  ASSERT_TRUE(WriteServedModels({}, store).ok());
  EXPECT_EQ(*ReadServedModels(store), ServedModels());
}

TEST(ServedModelsTest, AreNamedWhenTheyAreDamaged) {
  const auto damaged = [](const FaultyStateStore& store) {
    const absl::Status status = ReadServedModels(store).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("mark \"served models\""));
  };
  FaultyStateStore store;
  const Mark mark = {std::string(kServedModelsMark), "\xff"};
  ASSERT_TRUE(store.AppendEvents({}, {&mark, 1}).ok());
  damaged(store);
  store.before_get_mark = [](absl::string_view) {
    return absl::DataLossError("a checksum is wrong");
  };
  damaged(store);
}

}  // namespace
}  // namespace qlarank::testing
