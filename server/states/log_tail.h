// Events of one user that were appended a moment ago, kept at hand so that
// folding them need not read the log. They are the log's own, so a fold of them
// has the bits of a fold of the log; a tail that does not continue the state at
// hand is of no use, and the log is read.
#ifndef QLARANK_SERVER_STATES_LOG_TAIL_H_
#define QLARANK_SERVER_STATES_LOG_TAIL_H_

#include <cstdint>
#include <iterator>
#include <utility>
#include <vector>

#include "state_store/state_store.h"

namespace qlarank {

struct LogTail {
  uint64_t incarnation = 0;     // 0: nothing at hand
  uint64_t first_sequence = 0;  // of events, which follow each other
  std::vector<LoggedEvent> events;

  uint64_t end_sequence() const { return first_sequence + events.size(); }

  // Whether the tail has the event that comes after `folded_sequence`.
  bool Continues(uint64_t of_incarnation, uint64_t folded_sequence) const {
    return incarnation != 0 && incarnation == of_incarnation &&
           first_sequence <= folded_sequence + 1 &&
           folded_sequence + 1 < end_sequence();
  }

  // Takes the events from `sequence` on, at most `limit`, out of the tail, with
  // all before them. REQUIRES: the tail has it.
  std::vector<LoggedEvent> Take(uint64_t sequence, size_t limit) {
    const auto from = events.begin() + (sequence - first_sequence);
    const auto to = limit < static_cast<size_t>(events.end() - from)
                        ? from + limit
                        : events.end();
    std::vector<LoggedEvent> taken(std::make_move_iterator(from),
                                   std::make_move_iterator(to));
    first_sequence += to - events.begin();
    events.erase(events.begin(), to);
    return taken;
  }

  // Appends `later`, or is replaced by it when there is a gap in between: it
  // ends where the log does.
  void Extend(LogTail later) {
    if (events.empty() || incarnation != later.incarnation ||
        end_sequence() != later.first_sequence) {
      *this = std::move(later);
      return;
    }
    events.insert(events.end(), std::make_move_iterator(later.events.begin()),
                  std::make_move_iterator(later.events.end()));
  }

  // Puts `earlier` before its events, or forgets them all when there is a gap
  // in between: then the log is read, to its end. Never replaced by `earlier`,
  // which ends before the log does.
  void Precede(LogTail earlier) {
    if (events.empty() || earlier.incarnation != incarnation ||
        earlier.end_sequence() != first_sequence) {
      *this = LogTail();
      return;
    }
    earlier.Extend(std::move(*this));
    *this = std::move(earlier);
  }
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_STATES_LOG_TAIL_H_
