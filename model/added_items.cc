#include "model/added_items.h"

#include <algorithm>

#include "absl/numeric/bits.h"

namespace qlarank {
namespace {

// Ids in flight at once.
constexpr size_t kBatch = 64;

// Two: there is a free one even without rows, and a shift below 64.
size_t NumSlots(uint64_t most_rows) {
  return absl::bit_ceil(std::max<uint64_t>(2 * most_rows, 2));
}

template <class T>
T Acquire(T& value) {
  return std::atomic_ref<T>(value).load(std::memory_order_acquire);
}

}  // namespace

AddedItems::AddedItems(uint32_t first_row, size_t most_rows)
    : first_row_(first_row),
      most_rows_(most_rows),
      shift_(64 - absl::countr_zero(NumSlots(most_rows))),
      entries_(AllocatePages(most_rows * sizeof(Entry))),
      slots_(AllocatePages(NumSlots(most_rows) * sizeof(Slot))) {}

uint64_t AddedItems::Bytes(uint64_t most_rows) {
  return most_rows * sizeof(Entry) + NumSlots(most_rows) * sizeof(Slot);
}

uint64_t AddedItems::newest_version() const {
  const size_t rows = num_rows();
  return rows == 0 ? 0 : entry(first_row_ + rows - 1).version;
}

AddedItems::Slot& AddedItems::Find(uint64_t id, size_t home) const {
  const size_t last = NumSlots(most_rows_) - 1;
  for (size_t index = home;; index = (index + 1) & last) {
    Slot& found = slot(index);
    if (Acquire(found.newest) == kNone || found.id == id) return found;
  }
}

uint32_t AddedItems::Newest(uint64_t id) const {
  return Acquire(Find(id, Home(id)).newest);
}

void AddedItems::PutNewest(absl::Span<const uint64_t> ids,
                           absl::Span<uint32_t> rows) const {
  size_t homes[kBatch];
  for (size_t first = 0; first < ids.size(); first += kBatch) {
    const auto batch = ids.subspan(first, kBatch);
    for (size_t i = 0; i < batch.size(); ++i) {
      homes[i] = Home(batch[i]);
      __builtin_prefetch(&slot(homes[i]));
    }
    for (size_t i = 0; i < batch.size(); ++i) {
      const uint32_t row = Acquire(Find(batch[i], homes[i]).newest);
      if (row != kNone) rows[first + i] = row;
    }
  }
}

uint32_t AddedItems::NewestAsOf(uint64_t id, uint64_t version) const {
  uint32_t row = Newest(id);
  while (row != kNone && entry(row).version > version) {
    const uint32_t jump = entry(row).jump;
    const bool too_far = jump == kNone || entry(jump).version <= version;
    row = too_far ? entry(row).previous : jump;
  }
  return row;
}

AddedItems::Entry AddedItems::NextEntry(uint32_t previous, uint64_t version,
                                        uint32_t identity) const {
  if (previous == kNone) return {version, identity, 0, kNone, kNone};
  const Entry& before = entry(previous);
  Entry next{version, identity, before.depth + 1, previous, previous};
  if (before.jump == kNone) return next;
  // Two jumps of one length become one of both.
  const Entry& middle = entry(before.jump);
  if (middle.jump != kNone && before.depth - middle.depth ==
                                  middle.depth - entry(middle.jump).depth) {
    next.jump = middle.jump;
  }
  return next;
}

void AddedItems::Append(uint64_t id, uint64_t version, uint32_t identity) {
  const size_t rows = num_rows_.load(std::memory_order_relaxed);
  const auto row = static_cast<uint32_t>(first_row_ + rows);
  Slot& of_item = Find(id, Home(id));
  entry(row) = NextEntry(of_item.newest, version, identity);
  if (of_item.newest == kNone) {
    of_item.id = id;
    num_items_.fetch_add(1, std::memory_order_relaxed);
  }
  // Whoever finds the row by its item must find it below num_rows.
  num_rows_.store(rows + 1, std::memory_order_release);
  std::atomic_ref<uint32_t>(of_item.newest)
      .store(row, std::memory_order_release);
}

}  // namespace qlarank
