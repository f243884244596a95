// How many files the process may have open, connections among them, and who may
// have how many: a store that finds none left when it begins its next file
// takes no writes until a restart, so connections get what the others leave.
//
// Thread-safe.
#ifndef QLARANK_SERVER_OPS_FILE_LIMIT_H_
#define QLARANK_SERVER_OPS_FILE_LIMIT_H_

#include <cstdint>

namespace qlarank {

// Raises the soft limit (often 1,024) to the hard one, kMostFiles at most. Logs
// a warning when it cannot, or when the result is small.
void RaiseFileLimit();

// No more is ever asked for: tables by number stay small.
inline constexpr uint64_t kMostFiles = 1 << 20;

struct FileShares {
  uint64_t tables = 0;       // that the store keeps open
  uint64_t connections = 0;  // of gRPC's clients, all together
};

// Of `limit` files: a quarter, 1,000 at most, for the store's tables; 256 (or a
// quarter) for all that is neither, such as logs of the store, models and
// /metrics; the rest for connections.
FileShares ShareFiles(uint64_t limit);

// Of the soft limit as it is now.
FileShares ShareFiles();

}  // namespace qlarank

#endif  // QLARANK_SERVER_OPS_FILE_LIMIT_H_
