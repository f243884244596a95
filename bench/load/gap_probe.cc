// How long this machine stops a thread that only wants to run: every processor
// gets a thread that reads the clock without pause, and each step of the clock
// above 50 us is a gap. Prints JSON. Nothing else should run meanwhile.
//
//   gap_probe [SECONDS]

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "bench/load/latencies.h"

namespace qlarank::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr double kGapMs = 0.05;

// Milliseconds of every gap until `end`.
std::vector<double> GapsUntil(Clock::time_point end) {
  std::vector<double> gaps;
  Clock::time_point last = Clock::now();
  while (last < end) {
    const Clock::time_point now = Clock::now();
    const double ms =
        std::chrono::duration<double, std::milli>(now - last).count();
    if (ms > kGapMs) gaps.push_back(ms);
    last = now;
  }
  return gaps;
}

nlohmann::json Probe(double seconds) {
  const unsigned processors = std::max(1u, std::thread::hardware_concurrency());
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                      std::chrono::duration<double>(seconds));
  std::vector<std::vector<double>> found(processors);
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < processors; ++i) {
      threads.emplace_back([&, i] { found[i] = GapsUntil(end); });
    }
  }
  std::vector<double> all;
  for (const auto& gaps : found)
    all.insert(all.end(), gaps.begin(), gaps.end());
  std::sort(all.begin(), all.end());
  double stopped_ms = 0;
  for (double gap : all) stopped_ms += gap;
  const auto above = [&](double ms) {
    return all.end() - std::upper_bound(all.begin(), all.end(), ms);
  };
  return {{"seconds", seconds},
          {"processors", processors},
          {"gaps", all.size()},
          {"above_1_ms", above(1)},
          {"above_10_ms", above(10)},
          {"longest_ms", all.empty() ? 0 : all.back()},
          {"stopped_share", stopped_ms / (1e3 * seconds * processors)}};
}

}  // namespace
}  // namespace qlarank::bench

int main(int argc, char** argv) {
  double seconds = 5;
  if (argc > 2 ||
      (argc == 2 && (!absl::SimpleAtod(argv[1], &seconds) || !(seconds > 0)))) {
    fprintf(stderr, "usage: gap_probe [SECONDS]\n");
    return 2;
  }
  std::cout << qlarank::bench::Probe(seconds).dump() << "\n";
  return 0;
}
