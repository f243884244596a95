// Random operations on users of its own, one walker a thread: appends of several
// users at once with duplicates, retries, gaps and refused events, bursts,
// erasures, trims, marks of sources, flushes, purges, and look-ups. It issues many
// before the first is answered, and holds every answer, and what it reads,
// against the oracles.
//
// What it does follows from its seed; only what is done meanwhile does not.
#ifndef QLARANK_TESTS_OWNERS_WALKER_H_
#define QLARANK_TESTS_OWNERS_WALKER_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "qlarank/v1/ingest_service.pb.h"
#include "tests/owners/serving.h"
#include "tests/owners/user_oracle.h"

namespace qlarank::testing {

// The first thing that was wrong, and how often what was done. Thread-safe.
class Findings {
 public:
  void Report(std::string what) ABSL_LOCKS_EXCLUDED(mutex_);
  bool any() const { return any_.load(std::memory_order_relaxed); }
  std::string first() const ABSL_LOCKS_EXCLUDED(mutex_);

  void Count(const std::string& kind, uint64_t times = 1)
      ABSL_LOCKS_EXCLUDED(mutex_);
  std::map<std::string, uint64_t> counts() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  std::atomic<bool> any_{false};
  mutable absl::Mutex mutex_;
  std::string first_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, uint64_t> counts_ ABSL_GUARDED_BY(mutex_);
};

// One look-up of a user, of a kind and with a demand that are drawn at random,
// held against their oracle.
void LookUp(UserOracle& user, Serving& serving, std::mt19937_64& random,
            EngineScratch& scratch, const std::string& who,
            Findings& findings);

class Walker {
 public:
  // The engine is the oracles' own, of the model that is served.
  Walker(size_t number, size_t num_users, uint64_t seed, const Engine& engine,
         Findings& findings);

  const std::vector<std::unique_ptr<UserOracle>>& users() const {
    return users_;
  }
  uint64_t operations() const { return operations_; }

  // So many operations and a few more, until something is wrong. Some are under
  // way when it returns. `after_each` is called after each.
  void Walk(Serving& serving, uint64_t operations,
            const std::function<void()>& after_each);
  // Waits for those, and looks at every user in full.
  void Settle(Serving& serving);

  // What was under way and is not answered now may have come to an end or not.
  // Before the copy of a crash is made.
  void Crash();
  // Begins anew with a store in which that was settled, by chance or by itself.
  // `by_policy`: logs are trimmed without being told to, from now on.
  void Restart(const StateStore& store, const std::string& fingerprint,
               bool by_policy);

 private:
  struct UnderWay {
    uint64_t operation;
    v1::AppendEventsRequest request;
    std::vector<Outcome> expected;  // of its events
    std::map<size_t, Standing> after;  // of users, by index
    bool is_erasure = false;
    UserOracle::Gone gone = {};
    absl::Notification done;
    AppendResult result;
    absl::StatusOr<uint64_t> removed;
  };

  uint64_t Below(uint64_t n) { return random_() % n; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }
  size_t AnyUser();
  size_t BurstSize();
  std::string Who() const;
  void Wrong(const UserOracle& user, const std::string& what);

  void Operate(Serving& serving);
  void Append(Serving& serving, Outcome unless_sound);
  void AddEvents(size_t user, size_t source, size_t count,
                 Outcome unless_sound, UnderWay& append);
  void AddEvent(UserOracle& user, size_t source, uint64_t sequence,
                Outcome unless_sound, UnderWay& append);
  void Erase(Serving& serving);
  void Trim(Serving& serving);
  void MarkSource(Serving& serving);
  void Flush(Serving& serving);
  void Purge(Serving& serving);
  void CheckUser(size_t user, Serving& serving);

  // Takes the answers that are there, in order; with `all`, waits for them.
  void TakeAnswers(bool all);
  void Take(UnderWay& operation);
  void CheckAnswer(const UnderWay& append);

  const size_t number_;
  const Engine& engine_;
  Findings& findings_;
  std::unique_ptr<EngineScratch> scratch_;         // of the oracles' engine
  std::unique_ptr<EngineScratch> served_scratch_;  // of the one that is served
  std::mt19937_64 random_;
  std::vector<std::string> source_names_;
  std::array<uint64_t, kSources> marks_ = {};
  std::vector<std::unique_ptr<UserOracle>> users_;
  uint64_t operations_ = 0;
  size_t max_under_way_ = 1;
  std::deque<std::shared_ptr<UnderWay>> under_way_;
  std::vector<std::vector<Standing>> possible_;  // by user
};

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_OWNERS_WALKER_H_
