#include "state_store/rocksdb_key_order.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>

#include "rocksdb/slice.h"

namespace qlarank::rocksdb_internal {
namespace {

using rocksdb::Slice;

// The first 8 bytes as a number that orders like them.
uint64_t First(const Slice& key) {
  uint64_t first;
  std::memcpy(&first, key.data(), sizeof(first));
  return std::endian::native == std::endian::little ? __builtin_bswap64(first)
                                                    : first;
}

int CompareBytes(const Slice& a, const Slice& b) {
  if (a.size() >= sizeof(uint64_t) && b.size() >= sizeof(uint64_t)) {
    const uint64_t first_a = First(a);
    const uint64_t first_b = First(b);
    if (first_a != first_b) return first_a < first_b ? -1 : 1;
  }
  return a.compare(b);
}

class KeyComparator final : public rocksdb::Comparator {
 public:
  const char* Name() const override { return bytewise_.Name(); }
  int Compare(const Slice& a, const Slice& b) const override {
    return CompareBytes(a, b);
  }
  int CompareWithoutTimestamp(const Slice& a, bool /*a_has_ts*/,
                              const Slice& b,
                              bool /*b_has_ts*/) const override {
    return CompareBytes(a, b);
  }
  bool Equal(const Slice& a, const Slice& b) const override { return a == b; }
  bool EqualWithoutTimestamp(const Slice& a, const Slice& b) const override {
    return a == b;
  }
  void FindShortestSeparator(std::string* start,
                             const Slice& limit) const override {
    bytewise_.FindShortestSeparator(start, limit);
  }
  void FindShortSuccessor(std::string* key) const override {
    bytewise_.FindShortSuccessor(key);
  }
  bool IsSameLengthImmediateSuccessor(const Slice& a,
                                      const Slice& b) const override {
    return bytewise_.IsSameLengthImmediateSuccessor(a, b);
  }
  bool CanKeysWithDifferentByteContentsBeEqual() const override {
    return false;
  }
  const Comparator* GetRootComparator() const override { return &bytewise_; }

 private:
  const Comparator& bytewise_ = *rocksdb::BytewiseComparator();
};

}  // namespace

const rocksdb::Comparator* KeyOrder() {
  static const auto* const order = new KeyComparator;
  return order;
}

}  // namespace qlarank::rocksdb_internal
