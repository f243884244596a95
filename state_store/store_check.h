// Verifying a store that nobody has open: that every byte that counts is there
// and is what was written.
//
// What is looked at: the checksums of every table file; that every record of
// log, heads and snapshots can be read and decoded, by the code that the server
// reads it with; that each user's events are numbered without a gap up to what
// their head counts; that their watermarks are those of their events; that
// snapshots belong to their present life, are not ahead of their log and reach
// up to where it begins; that the schemas of their events are there; that marks
// are whole, and those of partitions not behind their users' events.
#ifndef QLARANK_STATE_STORE_STORE_CHECK_H_
#define QLARANK_STATE_STORE_STORE_CHECK_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"

namespace qlarank {

// Something that is wrong with a store. User ids are not in it.
struct StoreProblem {
  // A column family of docs/storage.md, or "files" for what is of none.
  std::string column_family;
  // UserHashHex of the user; empty when it is no single user's.
  std::string user_hash;
  std::string what;
};

using StoreProblemSink = std::function<void(const StoreProblem&)>;

struct StoreTotals {
  uint32_t partitions = 0;  // 0: not known, the record of it is damaged
  uint64_t users = 0;
  uint64_t events = 0;     // that are good
  uint64_t snapshots = 0;  // likewise
  uint64_t catalogue_entries = 0;  // likewise
  uint64_t table_files = 0;
  uint64_t problems = 0;
};

// Looks at the whole store at `path` without changing it, and calls `sink` for
// each problem. An error only where it cannot be looked at: NOT_FOUND when
// there is none, FAILED_PRECONDITION when a process has it open (verify a
// checkpoint instead) or it is not a store of this format, DATA_LOSS when
// RocksDB cannot open it at all.
absl::StatusOr<StoreTotals> VerifyStore(const std::string& path,
                                        const StoreProblemSink& sink);

}  // namespace qlarank

#endif  // QLARANK_STATE_STORE_STORE_CHECK_H_
