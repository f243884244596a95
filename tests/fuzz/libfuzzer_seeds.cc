// Linked into libFuzzer's binaries: before it reads its corpora, the target's
// seeds are written into the first of them.
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  for (int i = 1; i < *argc; ++i) {
    const std::string folder = (*argv)[i];
    if (folder.starts_with("-") || !std::filesystem::is_directory(folder)) {
      continue;
    }
    int number = 0;
    for (const std::string& seed : qlarank::fuzz::Seeds()) {
      std::ofstream(folder + "/seed_" + std::to_string(++number),
                    std::ios::binary)
          << seed;
    }
    break;
  }
  return 0;
}
