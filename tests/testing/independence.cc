#include "tests/testing/independence.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <unordered_map>

#include "absl/strings/str_cat.h"

namespace qlarank::testing {
namespace {

constexpr size_t kPositions = 130;
constexpr int kShuffles = 3;

using Expected = std::unordered_map<uint64_t, std::vector<float>>;

// Compares every probe among `items` with what it scored alone.
std::optional<std::string> Compare(const std::string& where,
                                   const std::vector<uint64_t>& items,
                                   const std::vector<float>& scores,
                                   const Expected& alone, size_t num_tasks) {
  for (size_t i = 0; i < items.size(); ++i) {
    const auto probe = alone.find(items[i]);
    if (probe == alone.end()) continue;
    if (std::memcmp(&scores[i * num_tasks], probe->second.data(),
                    num_tasks * sizeof(float)) != 0) {
      return absl::StrCat("item ", items[i], " scored ", scores[i * num_tasks],
                          " at position ", i, " of ", items.size(), " ", where,
                          ", and ", probe->second[0], " alone");
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> FindDependence(const Scorer& scorer,
                                          const std::vector<uint64_t>& probes,
                                          const std::vector<uint64_t>& crowd,
                                          size_t num_tasks, uint32_t seed) {
  Expected alone;
  for (const uint64_t probe : probes) alone[probe] = scorer({probe});

  std::vector<uint64_t> items = probes;
  items.insert(items.end(), crowd.begin(), crowd.end());
  std::mt19937 random(seed);
  for (int shuffle = -2; shuffle < kShuffles; ++shuffle) {
    std::string where = "in front";
    if (shuffle == -1) {
      std::reverse(items.begin(), items.end());
      where = "behind";
    } else if (shuffle >= 0) {
      std::shuffle(items.begin(), items.end(), random);
      where = "shuffled";
    }
    if (auto found = Compare(where, items, scorer(items), alone, num_tasks)) {
      return found;
    }
  }
  for (size_t position = 0; position < kPositions; ++position) {
    std::vector<uint64_t> row(crowd.begin(), crowd.begin() + kPositions);
    row[position] = probes[position % probes.size()];
    if (auto found =
            Compare("in its row", row, scorer(row), alone, num_tasks)) {
      return found;
    }
  }
  return std::nullopt;
}

}  // namespace qlarank::testing
