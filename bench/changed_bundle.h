// A bundle with other weights, as if it had been trained further: a next version
// for a server to change to, where none was trained.
#ifndef QLARANK_BENCH_CHANGED_BUNDLE_H_
#define QLARANK_BENCH_CHANGED_BUNDLE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "model/bundle.h"

namespace qlarank::bench {

struct BundleChange {
  uint64_t version = 1;
  // Every weight is multiplied by a random factor from 1 - amount to 1 + amount;
  // below 1.
  double amount = 0;
  // Items get the ids 1 ... num_items, which is what load_client asks for.
  bool number_items = false;
};

// Writes `original` with a change to `folder`, which must not be there. Golden
// requests are the original's, answered by the new weights in float32; titles
// go along where items keep their ids.
absl::Status WriteChangedBundle(const Bundle& original,
                                const BundleChange& change,
                                const std::string& folder);

}  // namespace qlarank::bench

#endif  // QLARANK_BENCH_CHANGED_BUNDLE_H_
