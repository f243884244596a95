// Writes a next version of a bundle, with weights that were changed at random.
//
//   change_bundle FROM TO VERSION AMOUNT [numbered]
//
// AMOUNT is the greatest share by which a weight changes; `numbered` gives items
// the ids 1, 2, ...

#include <cstdio>
#include <iostream>
#include <string>

#include "absl/strings/numbers.h"
#include "bench/changed_bundle.h"

namespace qlarank::bench {
namespace {

int Main(int argc, char** argv) {
  BundleChange change;
  const bool numbered = argc == 6 && argv[5] == std::string("numbered");
  if ((argc != 5 && !numbered) ||
      !absl::SimpleAtoi(argv[3], &change.version) || change.version == 0 ||
      !absl::SimpleAtod(argv[4], &change.amount) ||
      !(change.amount >= 0 && change.amount < 1)) {
    fprintf(stderr,
            "usage: change_bundle FROM TO VERSION AMOUNT [numbered]\n"
            "       of a version above 0 and an amount from 0 to 1\n");
    return 2;
  }
  change.number_items = numbered;
  const auto original = Bundle::Load(argv[1]);
  absl::Status status = original.status();
  if (status.ok()) status = WriteChangedBundle(**original, change, argv[2]);
  if (!status.ok()) std::cerr << "change_bundle: " << status << "\n";
  return status.ok() ? 0 : 1;
}

}  // namespace
}  // namespace qlarank::bench

int main(int argc, char** argv) { return qlarank::bench::Main(argc, argv); }
