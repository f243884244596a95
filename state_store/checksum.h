// CRC32C (Castagnoli, RFC 3720 appendix B.4), the checksum of every stored
// record. Thread-safe: pure functions.
#ifndef QLARANK_STATE_STORE_CHECKSUM_H_
#define QLARANK_STATE_STORE_CHECKSUM_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace qlarank {

// The CRC32C of `data`. Given the checksum of what came before as `previous`,
// that of both together:
//   Crc32c("cd", Crc32c("ab")) == Crc32c("abcd")
uint32_t Crc32c(absl::string_view data, uint32_t previous = 0);

// A CRC over bytes that hold their own CRC is weak, and a backup format may
// well checksum our records again. So a checksum is masked before it is stored,
// in the way LevelDB and RocksDB do.
uint32_t MaskCrc(uint32_t crc);

}  // namespace qlarank

#endif  // QLARANK_STATE_STORE_CHECKSUM_H_
