// The format record of a store: which format its keys and values have, and how
// many partitions its users are divided among. It is a line of text that people,
// and binaries of older formats, can read, with a checksum of its own:
//
//   qlarank store, format 2, 16 partitions, crc 1a2b3c4d
//
// Thread-safe: pure functions.
#ifndef QLARANK_STATE_STORE_STORE_FORMAT_H_
#define QLARANK_STATE_STORE_STORE_FORMAT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace qlarank {

inline constexpr uint32_t kStoreFormat = 2;
// Its record is "qlarank store, format 1", and it has no partitions.
inline constexpr uint32_t kOldestStoreFormat = 1;

struct StoreFormat {
  uint32_t format = kStoreFormat;
  uint32_t partitions = 0;  // 0 in a format that this binary does not read
};

std::string FormatRecord(uint32_t partitions);

// DATA_LOSS for what no qlarank writes. A format above kStoreFormat is only
// named.
absl::StatusOr<StoreFormat> ParseFormatRecord(absl::string_view record);

}  // namespace qlarank

#endif  // QLARANK_STATE_STORE_STORE_FORMAT_H_
