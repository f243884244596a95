// What one source sent and what was acknowledged, across all crashes, so that
// the log can be held against it.
//
// The n-th event of a user from a source follows from the three, so a log
// record tells where it belongs, and whether anything of it was changed.
//
// Not thread-safe: one per source, used by its client while the server runs and
// by the checks while it does not.
#ifndef QLARANK_TESTS_CRASH_LEDGER_H_
#define QLARANK_TESTS_CRASH_LEDGER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/random/bit_gen_ref.h"
#include "absl/random/random.h"
#include "model/bundle.h"
#include "qlarank/v1/ingest_service.pb.h"
#include "state_store/state_store.h"

namespace qlarank::testing {

class Ledger {
 public:
  // Users "user0" and so on, whom other sources may write of too, and
  // `num_erasable` of this source alone.
  Ledger(const Bundle& bundle, std::string source, int num_users,
         int num_erasable = 0);

  const std::string& source() const { return source_; }
  uint64_t acknowledged() const;  // events, of all users

  // The next batch: new events of some users, or old ones again.
  v1::AppendEventsRequest NextBatch(absl::BitGenRef random);

  // A user of this source alone to be erased now, or nobody. One whose erasure
  // was begun and not acknowledged comes again first. Call it only with no
  // batch under way.
  std::optional<std::string> NextErasure(absl::BitGenRef random);
  // They are erased, says the server: their next event begins another life.
  void Erased(const std::string& user_id);

  // The batch is durable, says the server.
  void Acknowledge(const v1::AppendEventsRequest& batch);

  // How far the source is complete: everything up to there is acknowledged, of
  // all users.
  uint64_t CompleteThrough() const;
  // The source is marked so far, says the server.
  void Marked(uint64_t through) { marked_ = through; }
  uint64_t marked() const { return marked_; }

  // The connection broke. Everything not acknowledged is sent again, and a few
  // before that.
  void Rewind(absl::BitGenRef random);

  std::vector<std::string> erasable() const;
  bool knows(const std::string& user_id) const {
    return users_.contains(user_id);
  }
  uint64_t erasures() const { return erasures_; }  // acknowledged

  // How the log of a user contradicts the ledger; empty if it does not. An
  // event acknowledged must be there, once, unchanged and in order; one that
  // was sent may be; one of a life that was erased must not. The first
  // `trimmed` events of their life are not there any more.
  // REQUIRES: where some are trimmed, the user is of this source alone.
  std::string Check(const std::string& user_id,
                    const std::vector<LoggedEvent>& log,
                    uint64_t trimmed = 0) const;
  // Those: the first events of a user's present life.
  std::vector<LoggedEvent> FirstEvents(const std::string& user_id,
                                       uint64_t count) const;

 private:
  struct User {
    uint64_t next = 1;          // to be sent
    uint64_t sent = 0;          // the last one ever sent
    uint64_t acknowledged = 0;  // the last one
    bool erasable = false;
    uint64_t before_life = 0;  // the last one that was erased
    bool erasing = false;      // or erased, but that was not acknowledged
  };

  const Bundle& bundle_;
  const std::string source_;
  std::map<std::string, User> users_;
  uint64_t erasures_ = 0;
  uint64_t marked_ = 0;
};

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_CRASH_LEDGER_H_
