#include "model/item_memory.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "model/bundle_schema.h"
#include "model/kernels.h"

namespace qlarank {
namespace {

static_assert(sizeof(MemoryEntry) ==
                  24 + MemoryEntry::kMostHalfLives * sizeof(float),
              "no padding, or the format changes");

// Decayed counts are padded to whole 8 bytes.
size_t EntryBytes(size_t half_lives) {
  return offsetof(MemoryEntry, decayed) +
         (half_lives + 1) / 2 * 2 * sizeof(float);
}

template <class Block>
auto* BytesAt(Block& memory, size_t offset) {
  using Byte = std::conditional_t<std::is_const_v<Block>, const char, char>;
  return static_cast<Byte*>(memory.data()) + offset;
}

template <class T, class Block>
auto* ArrayAt(Block& memory, size_t offset) {
  using Value = std::conditional_t<std::is_const_v<Block>, const T, T>;
  return reinterpret_cast<Value*>(BytesAt(memory, offset));
}

}  // namespace

ItemMemory::ItemMemory(const model::v1::ModelSpec& spec)
    : entries_(spec.item_memory().entries()),
      half_lives_s_(spec.item_memory().half_lives_s().begin(),
                    spec.item_memory().half_lives_s().end()),
      num_facts_(NumMemoryFacts(spec)),
      entry_bytes_(EntryBytes(half_lives_s_.size())) {}

size_t ItemMemory::block_bytes() const {
  return entries_ * (entry_bytes_ + sizeof(double) + sizeof(uint32_t));
}

template <class Block>
auto* ItemMemory::ranks(Block& memory) const {
  return ArrayAt<double>(memory, entries_ * entry_bytes_);
}

template <class Block>
auto* ItemMemory::rows(Block& memory) const {
  return ArrayAt<uint32_t>(memory, entries_ * (entry_bytes_ + sizeof(double)));
}

StateBlock ItemMemory::Empty() const {
  StateBlock memory(block_bytes());
  if (entries_ > 0) std::memset(memory.data(), 0, memory.size_bytes());
  return memory;
}

MemoryEntry ItemMemory::Get(const StateBlock& memory, size_t slot) const {
  MemoryEntry entry;
  std::memcpy(&entry, BytesAt(memory, slot * entry_bytes_), entry_bytes_);
  return entry;
}

void ItemMemory::Put(const MemoryEntry& entry, size_t slot,
                     StateBlock& memory) const {
  std::memcpy(BytesAt(memory, slot * entry_bytes_), &entry, entry_bytes_);
  ranks(memory)[slot] = entry.row == 0 ? 0 : Rank(entry);
  rows(memory)[slot] = entry.row;
}

float ItemMemory::Decay(int64_t seconds, double half_life_s) const {
  const double exponent = kLn2 * (static_cast<double>(seconds) / half_life_s);
  return static_cast<float>(kernels::Exp(-std::min(exponent, kMostExponent)));
}

double ItemMemory::Rank(const MemoryEntry& entry) const {
  const size_t last = half_lives_s_.size() - 1;
  return kernels::Log(static_cast<double>(entry.decayed[last])) +
         kLn2 * static_cast<double>(entry.last_s) / half_lives_s_[last];
}

size_t ItemMemory::SlotFor(uint32_t item_row, const StateBlock& memory) const {
  const uint32_t* const by_slot = rows(memory);
  for (size_t slot = 0; slot < entries_; ++slot) {
    if (by_slot[slot] == item_row || by_slot[slot] == 0) return slot;
  }
  // Who has the least leaves; of equals, the one with the highest row.
  const double* const rank = ranks(memory);
  size_t least = 0;
  for (size_t slot = 1; slot < entries_; ++slot) {
    if (rank[slot] < rank[least] ||
        (rank[slot] == rank[least] && by_slot[slot] > by_slot[least])) {
      least = slot;
    }
  }
  return least;
}

void ItemMemory::Fold(uint32_t item_row, int64_t time_us,
                      StateBlock& memory) const {
  // Nothing is kept of items that the catalogue does not hold.
  if (entries_ == 0 || item_row == 0) return;
  const int64_t now_s = WholeSeconds(time_us);
  const size_t slot = SlotFor(item_row, memory);
  MemoryEntry entry = Get(memory, slot);
  if (entry.row != item_row) {
    entry = {item_row, 0, now_s, now_s, {}};
  }
  // A late event ages nothing.
  const int64_t since_s = std::max<int64_t>(0, now_s - entry.last_s);
  for (size_t i = 0; i < half_lives_s_.size(); ++i) {
    entry.decayed[i] *= Decay(since_s, half_lives_s_[i]);
    entry.decayed[i] += 1;
  }
  if (entry.count < std::numeric_limits<uint32_t>::max()) ++entry.count;
  entry.first_s = std::min(entry.first_s, now_s);
  entry.last_s = std::max(entry.last_s, now_s);
  Put(entry, slot, memory);
}

void ItemMemory::Append(const StateBlock& memory, std::string& bytes) const {
  if (entries_ > 0) bytes.append(BytesAt(memory, 0), num_bytes());
}

absl::Status ItemMemory::Check(const MemoryEntry& entry,
                               size_t num_rows) const {
  const auto damaged = [](auto&&... what) {
    return absl::DataLossError(absl::StrCat(what...));
  };
  if (entry.row >= num_rows) {
    return damaged("item row ", entry.row, "; the model has ", num_rows);
  }
  if (entry.count == 0) return damaged("no event of item row ", entry.row);
  // No time in microseconds lies outside.
  constexpr int64_t kLeast =
      std::numeric_limits<int64_t>::min() / 1'000'000 - 1;
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max() / 1'000'000;
  if (entry.first_s > entry.last_s || entry.first_s < kLeast ||
      entry.last_s > kMost) {
    return damaged("from second ", entry.first_s, " to ", entry.last_s);
  }
  for (size_t i = 0; i < MemoryEntry::kMostHalfLives; ++i) {
    const float count = entry.decayed[i];
    const bool kept = i < half_lives_s_.size();
    if (kept ? std::isfinite(count) && count > 0 : count == 0) continue;
    return damaged("decayed count ", count, " of item row ", entry.row);
  }
  return absl::OkStatus();
}

absl::StatusOr<StateBlock> ItemMemory::Parse(absl::string_view bytes,
                                             size_t num_rows,
                                             uint64_t num_events) const {
  StateBlock memory = Empty();
  absl::flat_hash_set<uint32_t> seen;
  uint64_t counted = 0;
  bool used = true;
  for (size_t slot = 0; slot < entries_; ++slot) {
    const absl::string_view in =
        bytes.substr(slot * entry_bytes_, entry_bytes_);
    if (in.find_first_not_of('\0') == in.npos) {
      used = false;
      continue;
    }
    MemoryEntry entry;
    std::memcpy(&entry, in.data(), entry_bytes_);
    absl::Status status = Check(entry, num_rows);
    if (!used || entry.row == 0 || !seen.insert(entry.row).second) {
      status.Update(absl::DataLossError(absl::StrCat(
          "item row ", entry.row, " twice, or where no slot is used")));
    }
    counted += entry.count;
    if (counted > num_events) {
      status.Update(absl::DataLossError(
          absl::StrCat(counted, " events or more of ", num_events)));
    }
    if (!status.ok()) {
      return absl::DataLossError(
          absl::StrCat("item memory, entry ", slot, ": ", status.message()));
    }
    Put(entry, slot, memory);
  }
  return memory;
}

}  // namespace qlarank
