// From item ids to rows, a tile's worth at a time.
//
// An open-addressing table, probed for many ids at once: every slot is
// prefetched before the first is looked at, so that with a catalogue larger
// than the processor's caches the misses overlap instead of adding up.
//
// Immutable once made, so safe to share between threads.
#ifndef QLARANK_MODEL_ITEM_INDEX_H_
#define QLARANK_MODEL_ITEM_INDEX_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace qlarank {

class ItemIndex {
 public:
  // The row of an id that is not there.
  static constexpr uint32_t kNoRow = 0;

  ItemIndex() : ItemIndex(absl::Span<const uint64_t>()) {}
  // ids[k] has row k + 1; of an id that occurs twice the first counts.
  explicit ItemIndex(absl::Span<const uint64_t> ids);

  // Different ids.
  size_t size() const { return size_; }

  uint32_t Row(uint64_t id) const { return Probe(id, Home(id)); }
  // rows[i] = Row(ids[i]). REQUIRES: spans of one length.
  void Rows(absl::Span<const uint64_t> ids, absl::Span<uint32_t> rows) const;

 private:
  struct Slot {
    uint64_t id = 0;
    uint32_t row = kNoRow;  // kNoRow: the slot is free
  };

  // Where an id's slot is, unless others were there first.
  size_t Home(uint64_t id) const {
    // Fibonacci hashing: 2^64 over the golden ratio.
    return (id * 0x9E3779B97F4A7C15) >> shift_;
  }

  uint32_t Probe(uint64_t id, size_t slot) const {
    // At least half of the slots are free.
    while (slots_[slot].row != kNoRow && slots_[slot].id != id) {
      slot = (slot + 1) & (slots_.size() - 1);
    }
    return slots_[slot].row;
  }

  std::vector<Slot> slots_;  // a power of two of them
  int shift_;                // 64 - log2(slots)
  size_t size_ = 0;
};

}  // namespace qlarank

#endif  // QLARANK_MODEL_ITEM_INDEX_H_
