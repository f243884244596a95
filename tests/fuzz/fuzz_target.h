// What every fuzz target is made of. <name>_fuzz.cc defines the two functions
// below; replay_test.cc runs them in the unit tests, libFuzzer for as long as
// one likes (docs/proof.md).
#ifndef QLARANK_TESTS_FUZZ_FUZZ_TARGET_H_
#define QLARANK_TESTS_FUZZ_FUZZ_TARGET_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

// Decodes the input, whatever it is, and aborts when a promise is broken.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace qlarank::fuzz {

// Sound inputs, made by the code that encodes them: where mutation begins.
std::vector<std::string> Seeds();

// Aborts, in every build, when the target finds a promise broken. `what` is for
// whoever reads the report.
inline void Check(bool promise, const char* what) {
  if (promise) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

inline absl::string_view AsText(const uint8_t* data, size_t size) {
  return absl::string_view(reinterpret_cast<const char*>(data), size);
}

}  // namespace qlarank::fuzz

#endif  // QLARANK_TESTS_FUZZ_FUZZ_TARGET_H_
