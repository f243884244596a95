// Runs a fuzz target in the unit tests: on its seeds, on the corpus that
// fuzzing left behind, and on a fixed number of seeded mutations of both, so
// that a failure comes back.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/mutations.h"
#include "tests/fuzz/replay.h"

namespace qlarank::fuzz {
namespace {

void Feed(const std::string& bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()),
                         bytes.size());
}

// The files of the target's folder, in a fixed order.
std::vector<std::string> Corpus() {
  std::vector<std::filesystem::path> paths;
  if (std::filesystem::exists(kReplayCorpus)) {
    for (const auto& file :
         std::filesystem::directory_iterator(kReplayCorpus)) {
      paths.push_back(file.path());
    }
  }
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> corpus;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(file),
                        std::istreambuf_iterator<char>());
  }
  return corpus;
}

TEST(FuzzReplay, KeepsItsPromisesOnSeedsAndCorpus) {
  Feed("");
  ASSERT_FALSE(Seeds().empty());
  for (const std::string& bytes : Seeds()) Feed(bytes);
  for (const std::string& bytes : Corpus()) Feed(bytes);
}

TEST(FuzzReplay, KeepsItsPromisesOnMutations) {
  std::vector<std::string> corpus = Seeds();
  for (std::string& bytes : Corpus()) corpus.push_back(std::move(bytes));
  std::mt19937_64 random(20240603);
  for (int i = 0; i < kReplayMutations; ++i) Feed(Mutate(corpus, random));
}

}  // namespace
}  // namespace qlarank::fuzz
