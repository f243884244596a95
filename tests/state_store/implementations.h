// Every StateStore, for the contract suites that run over each.
#ifndef QLARANK_TESTS_STATE_STORE_IMPLEMENTATIONS_H_
#define QLARANK_TESTS_STATE_STORE_IMPLEMENTATIONS_H_

#include <functional>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "state_store/memory_state_store.h"
#include "state_store/rocksdb_state_store.h"
#include "state_store/state_store.h"
#include "tests/state_store/store_testing.h"

namespace qlarank {

struct Implementation {
  std::string name;
  std::function<std::unique_ptr<StateStore>(const TempFolder&)> make;
};

inline auto Implementations() {
  return testing::Values(
      Implementation{"Memory",
                     [](const TempFolder&) { return NewMemoryStateStore(); }},
      Implementation{"RocksDb", [](const TempFolder& folder) {
                       auto store = OpenRocksDbStateStore(
                           SmallOptions(folder / "store"));
                       EXPECT_THAT(store, IsOk());
                       return store.ok() ? *std::move(store) : nullptr;
                     }});
}

inline std::string ImplementationName(
    const testing::TestParamInfo<Implementation>& info) {
  return info.param.name;
}

}  // namespace qlarank

#endif  // QLARANK_TESTS_STATE_STORE_IMPLEMENTATIONS_H_
