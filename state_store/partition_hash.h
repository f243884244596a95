// Which partition a user belongs to: murmur2 of the id, as Kafka's Java client
// computes it for keys, so that a topic with as many partitions divides users
// alike. It must never change for a store that is there.
//
// Source: Austin Appleby's MurmurHash2 (public domain), seed 0x9747b28c;
// org.apache.kafka.common.utils.Utils.murmur2 and toPositive.
#ifndef QLARANK_STATE_STORE_PARTITION_HASH_H_
#define QLARANK_STATE_STORE_PARTITION_HASH_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace qlarank {

inline uint32_t Murmur2(absl::string_view bytes) {
  constexpr uint32_t kMultiplier = 0x5bd1e995;
  const auto byte = [&](size_t at) {
    return uint32_t{static_cast<unsigned char>(bytes[at])};
  };
  uint32_t hash = 0x9747b28cu ^ static_cast<uint32_t>(bytes.size());
  size_t at = 0;
  for (; at + 4 <= bytes.size(); at += 4) {
    uint32_t word = byte(at) | byte(at + 1) << 8 | byte(at + 2) << 16 |
                    byte(at + 3) << 24;
    word *= kMultiplier;
    word ^= word >> 24;
    word *= kMultiplier;
    hash = hash * kMultiplier ^ word;
  }
  const size_t rest = bytes.size() - at;
  if (rest >= 3) hash ^= byte(at + 2) << 16;
  if (rest >= 2) hash ^= byte(at + 1) << 8;
  if (rest >= 1) hash = (hash ^ byte(at)) * kMultiplier;
  hash ^= hash >> 13;
  hash *= kMultiplier;
  return hash ^ hash >> 15;
}

// REQUIRES: num_partitions > 0.
inline size_t PartitionOf(absl::string_view user_id, size_t num_partitions) {
  return (Murmur2(user_id) & 0x7fffffff) % num_partitions;
}

}  // namespace qlarank

#endif  // QLARANK_STATE_STORE_PARTITION_HASH_H_
