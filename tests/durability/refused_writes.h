// Has the operating system refuse what this process writes below a folder, by
// standing in for the C library's functions.
#ifndef QLARANK_TESTS_DURABILITY_REFUSED_WRITES_H_
#define QLARANK_TESTS_DURABILITY_REFUSED_WRITES_H_

#include <string>

namespace qlarank::testing {

// Writes below `folder` fail with `error`, an errno, from now on, in all
// libraries; with ENOSPC its file system says that there is no room, too. The
// last call counts. Thread-safe.
void RefuseWritesBelow(const std::string& folder, int error);
void RefuseNoWrites();

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_DURABILITY_REFUSED_WRITES_H_
