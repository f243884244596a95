// Counts events that come after a later one of their user.
//
// A server folds events as they arrive: a late one still counts, but the state
// is another than that of the same events in order of time. Not thread-safe.
#ifndef QLARANK_CLI_LATE_EVENTS_H_
#define QLARANK_CLI_LATE_EVENTS_H_

#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "qlarank/v1/ingest_service.pb.h"

namespace qlarank {

class LateEvents {
 public:
  void Add(const v1::UserEvent& event);

  uint64_t late() const { return late_; }
  // Whether most events that could be late are, and ten at least: a file that
  // begins so is written newest first.
  bool NewestFirst() const {
    const uint64_t not_first = events_ - newest_.size();
    return late_ >= 10 && 2 * late_ > not_first;
  }
  uint64_t events() const { return events_; }

 private:
  absl::flat_hash_map<std::string, absl::Time> newest_;  // by user
  uint64_t late_ = 0;
  uint64_t events_ = 0;
};

}  // namespace qlarank

#endif  // QLARANK_CLI_LATE_EVENTS_H_
