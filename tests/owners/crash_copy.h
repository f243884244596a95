// What a crash of the process would leave of a store that is open: its files as
// they are, while they are written. Snapshots that are in memory only are not
// among them.
#ifndef QLARANK_TESTS_OWNERS_CRASH_COPY_H_
#define QLARANK_TESTS_OWNERS_CRASH_COPY_H_

#include <string>

namespace qlarank::testing {

// Copies the store's folder to `to`, which is not there yet: table files, which
// do not change once they are listed, by a hard link. False when the list of
// files never stands still.
bool CopyAsCrashed(const std::string& from, const std::string& to);

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_OWNERS_CRASH_COPY_H_
