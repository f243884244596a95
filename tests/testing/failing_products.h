// Products of matrices that fail when a test says so.
#ifndef QLARANK_TESTS_TESTING_FAILING_PRODUCTS_H_
#define QLARANK_TESTS_TESTING_FAILING_PRODUCTS_H_

#include <atomic>

namespace qlarank::testing {

// While it is set, every product of this process in float32 and bfloat16
// fails: oneDNN's by its status, ours as if it overflowed.
extern std::atomic<bool> products_fail;
// Likewise those in bfloat16 alone.
extern std::atomic<bool> bf16_products_fail;

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_TESTING_FAILING_PRODUCTS_H_
