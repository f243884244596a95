// The rows that were added to a catalogue: whose they are, since when, and how
// to find them. Rows are numbered from `first_row` on, in the order in which
// they were appended.
//
// Room for all of them is reserved at first and taken from memory as they come,
// so nothing ever moves. Thread safety: one writer at a time, any number of
// readers, without locks; who sees a row, by its number or by Newest, sees all
// that was written before it was appended.
#ifndef QLARANK_MODEL_ADDED_ITEMS_H_
#define QLARANK_MODEL_ADDED_ITEMS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "model/pages.h"

namespace qlarank {

class AddedItems {
 public:
  // No row of anything that is added.
  static constexpr uint32_t kNone = 0;

  // REQUIRES: first_row > 0.
  AddedItems(uint32_t first_row, size_t most_rows);

  // What `most_rows` take in memory.
  static uint64_t Bytes(uint64_t most_rows);

  size_t most_rows() const { return most_rows_; }
  size_t num_rows() const { return num_rows_.load(std::memory_order_acquire); }
  // Items that have one.
  size_t num_items() const { return num_items_.load(std::memory_order_relaxed); }
  // Of the newest row; 0: none.
  uint64_t newest_version() const;

  // The newest row of the item, or kNone.
  uint32_t Newest(uint64_t id) const;
  // Puts the newest row of every item that has one into `rows`, as long as
  // `ids`; leaves the others.
  void PutNewest(absl::Span<const uint64_t> ids,
                 absl::Span<uint32_t> rows) const;
  // The newest row of the item that has this version or an earlier one, or
  // kNone; in time that grows with the logarithm of its rows.
  uint32_t NewestAsOf(uint64_t id, uint64_t version) const;

  // What the row was appended with. REQUIRES: it was.
  uint32_t identity(uint32_t row) const { return entry(row).identity; }

  // The next row. REQUIRES: num_rows() < most_rows(), version >
  // newest_version().
  void Append(uint64_t id, uint64_t version, uint32_t identity);

 private:
  // Of a row; never changed.
  struct Entry {
    uint64_t version;
    uint32_t identity;
    uint32_t depth;     // of the item's rows, how many came before
    uint32_t previous;  // row of the item, or kNone
    // An earlier row of the item, so far back that a few of these jumps and
    // steps lead to any (Myers 1983, An applicative random-access stack).
    uint32_t jump;
  };
  // Of an item; free as long as newest is kNone. Its id is written before that.
  struct Slot {
    uint64_t id;
    uint32_t newest;
  };

  Entry& entry(uint32_t row) const {
    return reinterpret_cast<Entry*>(entries_.data())[row - first_row_];
  }
  Slot& slot(size_t index) const {
    return reinterpret_cast<Slot*>(slots_.data())[index];
  }
  size_t Home(uint64_t id) const {
    // Fibonacci hashing: 2^64 over the golden ratio.
    return (id * 0x9E3779B97F4A7C15) >> shift_;
  }
  // The item's slot, or the free one that it is to have.
  Slot& Find(uint64_t id, size_t home) const;
  Entry NextEntry(uint32_t previous, uint64_t version, uint32_t identity) const;

  const uint32_t first_row_;
  const size_t most_rows_;
  int shift_;             // 64 - log2 of the number of slots
  Pages entries_;         // [most_rows]
  Pages slots_;           // open addressing; at least half of them free
  std::atomic<size_t> num_rows_ = 0;
  std::atomic<size_t> num_items_ = 0;
};

}  // namespace qlarank

#endif  // QLARANK_MODEL_ADDED_ITEMS_H_
