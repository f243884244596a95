// Prints what a core of this processor can do at most, as JSON: its clock just
// now, and operations a second of every loop of fma_peak.h that it has.
//
//   fma_peak

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench/fma_peak.h"

namespace qlarank::bench {
namespace {

constexpr int kRounds = 5;
constexpr absl::Duration kTurn = absl::Milliseconds(20);

double Median(std::vector<double> values) {
  const auto middle = values.begin() + values.size() / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

nlohmann::json Measure() {
  std::vector<const PeakLoop*> loops;
  for (const PeakLoop& loop : PeakLoops()) {
    if (loop.supported()) loops.push_back(&loop);
  }
  // Round by round, so that no loop falls into all of a busy moment.
  std::vector<double> clocks;
  std::vector<std::vector<double>> rates(loops.size());
  for (int round = 0; round < kRounds; ++round) {
    clocks.push_back(ClockHz(kTurn));
    for (size_t i = 0; i < loops.size(); ++i) {
      rates[i].push_back(OperationsPerSecond(*loops[i], kTurn));
    }
  }
  nlohmann::json peaks = nlohmann::json::array();
  for (size_t i = 0; i < loops.size(); ++i) {
    peaks.push_back({{"precision", PrecisionName(loops[i]->precision)},
                     {"instructions", loops[i]->instructions},
                     {"gflops", Median(rates[i]) / 1e9}});
  }
  return {{"clock_ghz", Median(clocks) / 1e9}, {"peaks", peaks}};
}

}  // namespace
}  // namespace qlarank::bench

int main(int argc, char**) {
  if (argc > 1) {
    fprintf(stderr, "usage: fma_peak\n");
    return 2;
  }
  std::cout << qlarank::bench::Measure().dump() << "\n";
  return 0;
}
