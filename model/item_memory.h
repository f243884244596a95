// Exact facts of the items that a user had most of late: docs/model.md section
// 11. Not what they are, which a model's parameters know, but how often and
// when.
//
// A state's memory is one block of a fixed size, in UserState::memory; what it
// means, and how an event changes it, says the model's ItemMemory. Used slots
// come before unused ones. Without libraries' functions, so that it has the
// same bits everywhere.
//
// Thread safety: an ItemMemory is immutable; a block belongs to its state.
#ifndef QLARANK_MODEL_ITEM_MEMORY_H_
#define QLARANK_MODEL_ITEM_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "model/state_memory.h"
#include "qlarank/model/v1/model_spec.pb.h"

namespace qlarank {

// ln 2 in double, rounded to nearest.
inline constexpr double kLn2 = 0.6931471805599453;

// What older events weigh is no less than exp of minus this.
inline constexpr double kMostExponent = 64;

// Whole seconds since the Unix epoch, rounded down.
inline int64_t WholeSeconds(int64_t time_us) {
  constexpr int64_t kMicrosPerSecond = 1'000'000;
  return time_us / kMicrosPerSecond - (time_us % kMicrosPerSecond < 0);
}

// Of one item. As it lies in a block and in a state's bytes, but for decayed
// counts that the model does not have.
struct MemoryEntry {
  static constexpr size_t kMostHalfLives = 8;

  uint32_t row = 0;    // 0: the slot is not used
  uint32_t count = 0;  // of its events; stays at 2^32 - 1
  int64_t first_s = 0;
  int64_t last_s = 0;
  float decayed[kMostHalfLives] = {};  // counts as of last_s, by half-life
};

class ItemMemory {
 public:
  explicit ItemMemory(const model::v1::ModelSpec& spec);

  // Slots; 0: the model has no item memory, and its states' blocks are empty.
  size_t entries() const { return entries_; }
  // Seconds, rising.
  absl::Span<const double> half_lives_s() const { return half_lives_s_; }
  // Of a candidate.
  size_t num_facts() const { return num_facts_; }

  // The memory of a user without events.
  StateBlock Empty() const;
  // Takes in an event of the item with this row.
  void Fold(uint32_t item_row, int64_t time_us, StateBlock& memory) const;
  MemoryEntry Get(const StateBlock& memory, size_t slot) const;

  // The same as bytes: docs/storage.md, "The state's bytes".
  size_t num_bytes() const { return entries_ * entry_bytes_; }
  void Append(const StateBlock& memory, std::string& bytes) const;
  // DATA_LOSS where they are no memory of `num_events` events and items below
  // `num_rows`. REQUIRES: bytes.size() is num_bytes().
  absl::StatusOr<StateBlock> Parse(absl::string_view bytes, size_t num_rows,
                                   uint64_t num_events) const;

 private:
  // The slot of the item with this row, or the one that it is to have.
  size_t SlotFor(uint32_t item_row, const StateBlock& memory) const;
  void Put(const MemoryEntry& entry, size_t slot, StateBlock& memory) const;
  // Who has less than another now has less at any later time.
  double Rank(const MemoryEntry& entry) const;
  float Decay(int64_t seconds, double half_life_s) const;
  absl::Status Check(const MemoryEntry& entry, size_t num_rows) const;

  // A block: entries [entries_], entry_bytes_ each; then, to be looked through
  // by every event, ranks and rows, [entries_] each.
  size_t block_bytes() const;
  template <class Block>
  auto* ranks(Block& memory) const;
  template <class Block>
  auto* rows(Block& memory) const;

  size_t entries_;
  std::vector<double> half_lives_s_;
  size_t num_facts_;
  size_t entry_bytes_;
};

}  // namespace qlarank

#endif  // QLARANK_MODEL_ITEM_MEMORY_H_
