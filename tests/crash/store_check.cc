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

void StoreCheck::CheckUsers(const std::string& path,
                            const std::vector<std::string>& user_ids) {
  const std::unique_ptr<StateStore> store = Open(path);
  ASSERT_NE(store, nullptr);
  ASSERT_TRUE(store->OpenFingerprint(engine_.state_fingerprint()).ok());
  for (const std::string& user_id : user_ids) {
    ASSERT_NO_FATAL_FAILURE(CheckUser(*store, user_id));
  }
}

void StoreCheck::CheckUser(StateStore& store, const std::string& user_id) {
  const auto head = store.GetHead(user_id);
  ASSERT_TRUE(head.ok()) << head.status();
  const auto log = store.ReadEvents(user_id, 1, head->last_sequence + 1);
  ASSERT_TRUE(log.ok()) << log.status();
  ASSERT_EQ(log->size(), head->last_sequence);
  for (const auto& ledger : ledgers_) {
    if (!ledger->knows(user_id)) continue;
    ASSERT_EQ(ledger->Check(user_id, *log), "");
  }
  const auto snapshot =
      store.GetSnapshot(engine_.state_fingerprint(), user_id);
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  if (!snapshot->has_value()) return;
  ++snapshots_checked_;
  // Of nobody's life but the present one.
  ASSERT_EQ((*snapshot)->incarnation, head->incarnation) << user_id;
  ASSERT_LE((*snapshot)->folded_sequence, log->size());
  const auto fold =
      FreshFold(engine_, store, user_id, (*snapshot)->folded_sequence);
  ASSERT_TRUE(fold.ok()) << fold.status();
  ASSERT_TRUE(*fold == (*snapshot)->state) << user_id;
}

void StoreCheck::CheckStates(const std::string& path,
                             const std::map<std::string, std::string>& states) {
  const std::unique_ptr<StateStore> store = Open(path);
  ASSERT_NE(store, nullptr);
  for (const auto& [user_id, state] : states) {
    const auto fold = FreshFold(engine_, *store, user_id);
    ASSERT_TRUE(fold.ok()) << fold.status();
    ASSERT_TRUE(*fold == state) << user_id;
    ++states_checked_;
  }
}

}  // namespace qlarank::testing
