// Tiles, in assembler: tmm0 to tmm3 are sums, tmm4 and tmm5 rows, tmm6 and tmm7
// columns, each of 16 rows of 64 bytes.
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/fma_loops.h"

namespace qlarank::bench::fma_loops {
namespace {

constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
constexpr long kTileData = 18;
constexpr int64_t kRowBytes = 64;
constexpr size_t kTiles = 8;
constexpr size_t kTileBytes = 1024;

// As ldtilecfg reads it.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

void Begin(const void* a, const void* b, const char* sums) {
  TileConfig config;
  for (size_t tile = 0; tile < kTiles; ++tile) {
    config.row_bytes[tile] = kRowBytes;
    config.rows[tile] = 16;
  }
  asm volatile(
      "ldtilecfg %0\n\t"
      "tileloadd (%1,%6,1), %%tmm4\n\t"
      "tileloadd (%1,%6,1), %%tmm5\n\t"
      "tileloadd (%2,%6,1), %%tmm6\n\t"
      "tileloadd (%2,%6,1), %%tmm7\n\t"
      "tileloadd (%3,%6,1), %%tmm0\n\t"
      "tileloadd (%4,%6,1), %%tmm1\n\t"
      "tileloadd (%5,%6,1), %%tmm2\n\t"
      "tileloadd (%7,%6,1), %%tmm3"
      :
      : "m"(config), "r"(a), "r"(b), "r"(sums), "r"(sums + kTileBytes),
        "r"(sums + 2 * kTileBytes), "r"(kRowBytes), "r"(sums + 3 * kTileBytes)
      : "memory");
}

void End(char* sums) {
  asm volatile(
      "tilestored %%tmm0, (%0,%4,1)\n\t"
      "tilestored %%tmm1, (%1,%4,1)\n\t"
      "tilestored %%tmm2, (%2,%4,1)\n\t"
      "tilestored %%tmm3, (%3,%4,1)\n\t"
      "tilerelease"
      :
      : "r"(sums), "r"(sums + kTileBytes), "r"(sums + 2 * kTileBytes),
        "r"(sums + 3 * kTileBytes), "r"(kRowBytes)
      : "memory");
}

}  // namespace

bool AmxPermitted() {
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

void AmxBf16(int64_t steps, const void* a, const void* b, void* sums) {
  Begin(a, b, static_cast<const char*>(sums));
  for (; steps > 0; --steps) {
    asm volatile(
        "tdpbf16ps %tmm6, %tmm4, %tmm0\n\t"
        "tdpbf16ps %tmm7, %tmm4, %tmm1\n\t"
        "tdpbf16ps %tmm6, %tmm5, %tmm2\n\t"
        "tdpbf16ps %tmm7, %tmm5, %tmm3");
  }
  End(static_cast<char*>(sums));
}

void AmxInt8(int64_t steps, const void* a, const void* b, void* sums) {
  Begin(a, b, static_cast<const char*>(sums));
  for (; steps > 0; --steps) {
    asm volatile(
        "tdpbusd %tmm6, %tmm4, %tmm0\n\t"
        "tdpbusd %tmm7, %tmm4, %tmm1\n\t"
        "tdpbusd %tmm6, %tmm5, %tmm2\n\t"
        "tdpbusd %tmm7, %tmm5, %tmm3");
  }
  End(static_cast<char*>(sums));
}

}  // namespace qlarank::bench::fma_loops
