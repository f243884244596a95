// Counts what the whole process allocates: a test that is linked with this has
// another operator new.
#ifndef QLARANK_TESTS_TESTING_COUNTED_ALLOCATIONS_H_
#define QLARANK_TESTS_TESTING_COUNTED_ALLOCATIONS_H_

#include <cstddef>

namespace qlarank::testing {

// Since the process began, by all threads.
size_t NumAllocations();

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_TESTING_COUNTED_ALLOCATIONS_H_
