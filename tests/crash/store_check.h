// Holds a store that no server has open against what was acknowledged. What is
// wrong becomes a fatal failure of the test.
//
// Not thread-safe.
#ifndef QLARANK_TESTS_CRASH_STORE_CHECK_H_
#define QLARANK_TESTS_CRASH_STORE_CHECK_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/engine.h"
#include "state_store/state_store.h"
#include "tests/crash/ledger.h"

namespace qlarank::testing {

class StoreCheck {
 public:
  // Both must outlive the check.
  StoreCheck(const Engine& engine,
             const std::vector<std::unique_ptr<Ledger>>& ledgers)
      : engine_(engine), ledgers_(ledgers) {}

  // Logs and snapshots of these users.
  void CheckUsers(const std::string& path,
                  const std::vector<std::string>& user_ids);
  // States by user, as a server served them.
  void CheckStates(const std::string& path,
                   const std::map<std::string, std::string>& states);

  // Compared with folds of the log so far.
  uint64_t snapshots_checked() const { return snapshots_checked_; }
  uint64_t states_checked() const { return states_checked_; }
  // Events that were gone from logs when these were last checked.
  uint64_t events_trimmed() const { return events_trimmed_; }

 private:
  void CheckUser(StateStore& store, const std::string& user_id);
  // All events of a user's life: those trimmed from the log, then the log.
  std::vector<LoggedEvent> LifeOf(const StateStore& store,
                                  const std::string& user_id) const;

  const Engine& engine_;
  const std::vector<std::unique_ptr<Ledger>>& ledgers_;
  uint64_t snapshots_checked_ = 0;
  uint64_t states_checked_ = 0;
  uint64_t events_trimmed_ = 0;
};

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_CRASH_STORE_CHECK_H_
