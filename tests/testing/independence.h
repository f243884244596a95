// Checks that a candidate's scores depend on nothing else in the request:
// invariant 3, for whatever scores candidates.
#ifndef QLARANK_TESTS_TESTING_INDEPENDENCE_H_
#define QLARANK_TESTS_TESTING_INDEPENDENCE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace qlarank::testing {

// Scores of items, in their order: row-major [items, tasks].
using Scorer = std::function<std::vector<float>(const std::vector<uint64_t>&)>;

// Scores each of `probes` alone, and then among `crowd` (5,000 others, say): in
// front, behind, shuffled several ways, and at each of 130 positions, that is
// everywhere in a tile and across its borders. Returns what differed first by
// even one bit; nullopt when nothing did. Seeded.
std::optional<std::string> FindDependence(const Scorer& scorer,
                                          const std::vector<uint64_t>& probes,
                                          const std::vector<uint64_t>& crowd,
                                          size_t num_tasks, uint32_t seed);

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_TESTING_INDEPENDENCE_H_
