// A bit for every row of a catalogue.
//
// Thread safety: one writer at a time, any number of readers, without locks.
#ifndef QLARANK_MODEL_REMOVED_ROWS_H_
#define QLARANK_MODEL_REMOVED_ROWS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "model/pages.h"

namespace qlarank {

class RemovedRows {
 public:
  explicit RemovedRows(size_t num_rows)
      : bits_(AllocatePages(Bytes(num_rows))) {}

  static size_t Bytes(size_t num_rows) {
    return (num_rows + kBits - 1) / kBits * sizeof(uint64_t);
  }

  // How many are set.
  size_t count() const { return count_.load(std::memory_order_relaxed); }
  bool Has(uint32_t row) const {
    return word(row).load(std::memory_order_relaxed) >> row % kBits & 1;
  }
  void Set(uint32_t row, bool removed) {
    if (Has(row) == removed) return;
    word(row).fetch_xor(uint64_t{1} << row % kBits, std::memory_order_relaxed);
    count_.fetch_add(removed ? 1 : -1, std::memory_order_relaxed);
  }

 private:
  static constexpr size_t kBits = 64;

  std::atomic_ref<uint64_t> word(uint32_t row) const {
    return std::atomic_ref(
        reinterpret_cast<uint64_t*>(bits_.data())[row / kBits]);
  }

  Pages bits_;
  std::atomic<size_t> count_ = 0;
};

}  // namespace qlarank

#endif  // QLARANK_MODEL_REMOVED_ROWS_H_
