#include "tests/crash/store_check.h"

#include "gtest/gtest.h"
#include "state_store/rocksdb_state_store.h"
#include "tests/testing/fresh_fold.h"

namespace qlarank::testing {
namespace {

std::unique_ptr<StateStore> Open(const std::string& path) {
  RocksDbOptions options;
  options.path = path;
  auto store = OpenRocksDbStateStore(options);
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? *std::move(store) : nullptr;
}

}  // namespace

std::vector<LoggedEvent> StoreCheck::LifeOf(const StateStore& store,
                                            const std::string& user_id) const {
  const auto head = store.GetHead(user_id);
  EXPECT_TRUE(head.ok()) << head.status();
  if (!head.ok()) return {};
  const auto log =
      store.ReadEvents(user_id, head->first_sequence, head->num_events() + 1);
  EXPECT_TRUE(log.ok()) << log.status();
  if (!log.ok()) return {};
  EXPECT_EQ(log->size(), head->num_events()) << user_id;
  const uint64_t trimmed = head->first_sequence - 1;
  std::vector<LoggedEvent> life;
  for (const auto& ledger : ledgers_) {
    if (!ledger->knows(user_id)) continue;
    EXPECT_EQ(ledger->Check(user_id, *log, trimmed), "");
    if (trimmed > 0) life = ledger->FirstEvents(user_id, trimmed);
  }
  life.insert(life.end(), log->begin(), log->end());
  return life;
}

void StoreCheck::CheckUsers(const std::string& path,
                            const std::vector<std::string>& user_ids) {
  const std::unique_ptr<StateStore> store = Open(path);
  ASSERT_NE(store, nullptr);
  ASSERT_TRUE(store->OpenFingerprint(engine_.state_fingerprint()).ok());
  events_trimmed_ = 0;
  for (const std::string& user_id : user_ids) {
    ASSERT_NO_FATAL_FAILURE(CheckUser(*store, user_id));
  }
}

void StoreCheck::CheckUser(StateStore& store, const std::string& user_id) {
  const std::vector<LoggedEvent> life = LifeOf(store, user_id);
  ASSERT_FALSE(::testing::Test::HasFailure());
  const auto head = store.GetHead(user_id);
  ASSERT_TRUE(head.ok()) << head.status();
  const uint64_t trimmed = head->first_sequence - 1;
  events_trimmed_ += trimmed;
  const auto snapshot = store.GetSnapshot(engine_.state_fingerprint(), user_id);
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  if (!snapshot->has_value()) {
    ASSERT_EQ(trimmed, 0u) << user_id << " has lost their first events";
    return;
  }
  ++snapshots_checked_;
  // Of nobody's life but the present one.
  ASSERT_EQ((*snapshot)->incarnation, head->incarnation) << user_id;
  ASSERT_GE((*snapshot)->folded_sequence, trimmed) << user_id;
  ASSERT_LE((*snapshot)->folded_sequence, life.size()) << user_id;
  const auto folded =
      absl::MakeConstSpan(life).first((*snapshot)->folded_sequence);
  ASSERT_TRUE(FoldOf(engine_, folded) == (*snapshot)->state) << user_id;
}

void StoreCheck::CheckStates(const std::string& path,
                             const std::map<std::string, std::string>& states) {
  const std::unique_ptr<StateStore> store = Open(path);
  ASSERT_NE(store, nullptr);
  for (const auto& [user_id, state] : states) {
    const std::vector<LoggedEvent> life = LifeOf(*store, user_id);
    ASSERT_FALSE(::testing::Test::HasFailure());
    ASSERT_TRUE(FoldOf(engine_, life) == state) << user_id;
    ++states_checked_;
  }
}

}  // namespace qlarank::testing
