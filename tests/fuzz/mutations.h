// Random mutations of byte strings: what runs a fuzz target where there is no
// libFuzzer. Deterministic for a seed.
#ifndef QLARANK_TESTS_FUZZ_MUTATIONS_H_
#define QLARANK_TESTS_FUZZ_MUTATIONS_H_

#include <random>
#include <string>
#include <vector>

namespace qlarank::fuzz {

// A bundle's files are the longest inputs that there are.
inline constexpr size_t kMaxBytes = 32 << 10;

// A few mutations of one of `corpus` (not empty): flipped bits, other bytes,
// cut, repeated, spliced with another one.
inline std::string Mutate(const std::vector<std::string>& corpus,
                          std::mt19937_64& random) {
  std::string bytes = corpus[random() % corpus.size()];
  for (uint64_t n = 1 + random() % 6; n > 0; --n) {
    const size_t at = bytes.empty() ? 0 : random() % bytes.size();
    switch (random() % 6) {
      case 0:
        if (!bytes.empty()) bytes[at] ^= static_cast<char>(1 << random() % 8);
        break;
      case 1:
        if (!bytes.empty()) bytes[at] = static_cast<char>(random());
        break;
      case 2:
        bytes.resize(at);
        break;
      case 3:
        bytes.insert(at, random() % 16, static_cast<char>(random()));
        break;
      case 4:
        bytes.insert(at, bytes.substr(at, random() % 16));
        break;
      default: {
        const std::string& other = corpus[random() % corpus.size()];
        if (!other.empty())
          bytes.insert(at, other.substr(random() % other.size()));
      }
    }
    if (bytes.size() > kMaxBytes) bytes.resize(kMaxBytes);
  }
  return bytes;
}

}  // namespace qlarank::fuzz

#endif  // QLARANK_TESTS_FUZZ_MUTATIONS_H_
