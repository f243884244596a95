// Writes a bundle with random weights, for a server to be measured with.
//
//   write_bundle FOLDER D_MODEL HEADS LAYERS CONV_WIDTH off|all|block ITEMS
//     [scattered]
//
// scattered: items whose ids follow one another do not lie side by side.

#include <cstdio>
#include <iostream>
#include <string>

#include "absl/strings/numbers.h"
#include "bench/random_bundle.h"

namespace qlarank::bench {
namespace {

model::v1::TargetAware TargetAwareOf(const std::string& name) {
  if (name == "off") return model::v1::TARGET_AWARE_OFF;
  if (name == "all") return model::v1::TARGET_AWARE_ALL_LAYERS;
  if (name == "block") return model::v1::TARGET_AWARE_DEDICATED_BLOCK;
  return model::v1::TARGET_AWARE_UNSPECIFIED;
}

int Main(int argc, char** argv) {
  uint32_t width, heads, layers, conv_width;
  uint64_t items;
  const bool scattered = argc == 9 && std::string(argv[8]) == "scattered";
  if (argc != (scattered ? 9 : 8) || !absl::SimpleAtoi(argv[2], &width) ||
      !absl::SimpleAtoi(argv[3], &heads) ||
      !absl::SimpleAtoi(argv[4], &layers) ||
      !absl::SimpleAtoi(argv[5], &conv_width) ||
      TargetAwareOf(argv[6]) == model::v1::TARGET_AWARE_UNSPECIFIED ||
      !absl::SimpleAtoi(argv[7], &items)) {
    fprintf(stderr,
            "usage: write_bundle FOLDER D_MODEL HEADS LAYERS CONV_WIDTH "
            "off|all|block ITEMS [scattered]\n");
    return 2;
  }
  const absl::Status status =
      WriteRandomBundle(PlainSpec(width, heads, layers, conv_width,
                                  TargetAwareOf(argv[6]), items),
                        argv[1], scattered);
  if (!status.ok()) std::cerr << "write_bundle: " << status << "\n";
  return status.ok() ? 0 : 1;
}

}  // namespace
}  // namespace qlarank::bench

int main(int argc, char** argv) { return qlarank::bench::Main(argc, argv); }
