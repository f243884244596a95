#include "state_store/checksum.h"

#include <isa-l/crc.h>

#include <algorithm>
#include <limits>

namespace qlarank {

uint32_t Crc32c(absl::string_view data, uint32_t previous) {
  uint32_t crc = ~previous;  // ISA-L leaves both inversions to us
  while (!data.empty()) {
    const size_t n =
        std::min<size_t>(data.size(), std::numeric_limits<int>::max());
    // It takes a pointer to non-const but only reads.
    crc = crc32_iscsi(
        reinterpret_cast<unsigned char*>(const_cast<char*>(data.data())),
        static_cast<int>(n), crc);
    data.remove_prefix(n);
  }
  return ~crc;
}

uint32_t MaskCrc(uint32_t crc) {
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

}  // namespace qlarank
