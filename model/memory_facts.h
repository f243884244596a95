// What a reading knows of single items: the facts of every entry of the user's
// item memory as of one second, and what the tasks' heads make of them
// (docs/model.md section 11). A candidate is looked up in a table, at the same
// cost whatever the history.
//
// Immutable, shared by threads.
#ifndef QLARANK_MODEL_MEMORY_FACTS_H_
#define QLARANK_MODEL_MEMORY_FACTS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "model/aligned_vector.h"
#include "model/item_memory.h"

namespace qlarank {

class MemoryFacts {
 public:
  // Of a model without item memory.
  MemoryFacts() = default;
  // head: `memory_head`, [tasks, facts].
  MemoryFacts(const ItemMemory& model, const StateBlock& memory,
              int64_t as_of_s, absl::Span<const float> head);

  // Whether there is anything to look up.
  bool known() const { return !places_.empty(); }
  // Of the item with this row: its facts, then what they add to each task's
  // logit, [num_facts + tasks]; null if it has no entry. Valid as long as this.
  // REQUIRES: known().
  const float* Find(uint32_t item_row) const {
    for (size_t place = Home(item_row);; place = Next(place)) {
      if (places_[place].row == 0) return nullptr;
      if (places_[place].row == item_row) {
        return records_.data() + places_[place].slot * record_floats_;
      }
    }
  }

  // Whether none of it is NaN or infinite.
  bool finite() const;
  // Memory that it takes beside itself.
  size_t size_bytes() const;

 private:
  // A place of the table: open addressing, at most half of them taken.
  struct Place {
    uint32_t row = 0;  // 0: nobody's
    uint32_t slot = 0;
  };

  // Consecutive rows come to lie apart: 2^32 times the golden section.
  size_t Home(uint32_t item_row) const {
    return item_row * 2654435769u >> shift_;
  }
  size_t Next(size_t place) const {
    return place + 1 == places_.size() ? 0 : place + 1;
  }
  void Insert(uint32_t item_row, size_t slot);

  size_t record_floats_ = 0;
  int shift_ = 0;  // 32 - log2 of the number of places
  std::vector<Place> places_;
  AlignedVector<float> records_;  // [entries, facts + tasks]
};

}  // namespace qlarank

#endif  // QLARANK_MODEL_MEMORY_FACTS_H_
