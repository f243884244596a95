#include "bench/fma_peak.h"

#include <cpuid.h>

#include <algorithm>
#include <map>

#include "bench/fma_loops.h"
#include "bench/thread_time.h"

namespace qlarank::bench {
namespace {

namespace loops = fma_loops;

constexpr size_t kVectorBytes = 64;
constexpr size_t kTileBytes = 1024;
constexpr size_t kMostSums = 4096;  // bytes, of four tiles
// About 100 us at a time, so that asking for the time costs nothing.
constexpr int64_t kStepsOfVectors = 10'000;
constexpr int64_t kStepsOfTiles = 2'000;

// Of CPUID's leaf 7, for what not every compiler of today has a name for.
struct Leaf7 {
  explicit Leaf7(unsigned subleaf) {
    __get_cpuid_count(7, subleaf, &eax, &ebx, &ecx, &edx);
  }
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};
constexpr unsigned kEaxAvxVnni = 1u << 4;  // of subleaf 1; the others of 0
constexpr unsigned kEdxAmxBf16 = 1u << 22, kEdxAmxInt8 = 1u << 25;

bool HasAvx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
bool HasAvxVnni() { return HasAvx2() && (Leaf7(1).eax & kEaxAvxVnni) != 0; }
bool HasAvx512() {
  return __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}
bool HasVnni() { return HasAvx512() && __builtin_cpu_supports("avx512vnni"); }
bool HasBf16() { return HasAvx512() && __builtin_cpu_supports("avx512bf16"); }
bool HasAmxBf16() {
  return (Leaf7(0).edx & kEdxAmxBf16) != 0 && loops::AmxPermitted();
}
bool HasAmxInt8() {
  return (Leaf7(0).edx & kEdxAmxInt8) != 0 && loops::AmxPermitted();
}

constexpr Precision kF32 = Precision::kF32, kBf16 = Precision::kBf16,
                    kInt8 = Precision::kInt8;

constexpr PeakLoop kLoops[] = {
    {kF32, "avx2", 8, 1, loops::kAvx2Sums, false, HasAvx2, loops::Avx2F32},
    {kF32, "avx512f", 16, 1, loops::kAvx512Sums, false, HasAvx512,
     loops::Avx512F32},
    {kBf16, "avx512_bf16", 16, 2, loops::kAvx512Sums, false, HasBf16,
     loops::Avx512Bf16},
    {kBf16, "amx_bf16", 256, 32, loops::kTileSums, true, HasAmxBf16,
     loops::AmxBf16},
    {kInt8, "avx2", 8, 4, loops::kAvx2Sums, false, HasAvx2, loops::Avx2Int8},
    {kInt8, "avx_vnni", 8, 4, loops::kAvx2Sums, false, HasAvxVnni,
     loops::AvxVnniInt8},
    {kInt8, "avx512bw", 16, 4, loops::kAvx512Sums, false, HasAvx512,
     loops::Avx512BwInt8},
    {kInt8, "avx512_vnni", 16, 4, loops::kAvx512Sums, false, HasVnni,
     loops::Avx512VnniInt8},
    {kInt8, "amx_int8", 256, 64, loops::kTileSums, true, HasAmxInt8,
     loops::AmxInt8},
};

}  // namespace

absl::Span<const PeakLoop> PeakLoops() { return kLoops; }

bool HasPeak(Precision precision) {
  return std::any_of(std::begin(kLoops), std::end(kLoops),
                     [precision](const PeakLoop& loop) {
                       return loop.precision == precision && loop.supported();
                     });
}

double OperationsPerSecond(const PeakLoop& loop, absl::Duration duration) {
  // Zeros: no sum ever gets out of range, and no processor takes longer or
  // shorter for a value's sake.
  alignas(kVectorBytes) char a[kTileBytes] = {}, b[kTileBytes] = {};
  alignas(kVectorBytes) char sums[kMostSums] = {};
  const int64_t steps = loop.tiles ? kStepsOfTiles : kStepsOfVectors;
  loop.run(steps, a, b, sums);
  const absl::Duration begin = ThreadTime();
  double done = 0;
  absl::Duration elapsed;
  do {
    loop.run(steps, a, b, sums);
    done += static_cast<double>(steps);
    elapsed = ThreadTime() - begin;
  } while (elapsed < duration);
  return done * loop.operations_per_step() / absl::ToDoubleSeconds(elapsed);
}

const PeakLoop& FastestLoop(Precision precision) {
  static auto* const known = new std::map<Precision, const PeakLoop*>;
  const PeakLoop*& best = (*known)[precision];
  if (best) return *best;
  double most = 0;
  for (int round = 0; round < 3; ++round) {
    for (const PeakLoop& loop : kLoops) {
      if (loop.precision != precision || !loop.supported()) continue;
      const double rate = OperationsPerSecond(loop, absl::Milliseconds(10));
      if (rate <= most) continue;
      most = rate;
      best = &loop;
    }
  }
  return *best;
}

double ClockHz(absl::Duration duration) {
  constexpr int kSteps = 100'000;
  constexpr int kAdditions = 16;
  uint64_t sum = 0;
  const absl::Duration begin = ThreadTime();
  double done = 0;
  absl::Duration elapsed;
  do {
    for (int i = 0; i < kSteps; ++i) {
      asm volatile(
          ".rept 16\n\t"
          "add %1, %0\n\t"
          ".endr"
          : "+r"(sum)
          : "r"(uint64_t{1}));
    }
    done += double{kSteps} * kAdditions;
    elapsed = ThreadTime() - begin;
  } while (elapsed < duration);
  return done / absl::ToDoubleSeconds(elapsed);
}

}  // namespace qlarank::bench
