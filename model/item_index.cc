#include "model/item_index.h"

#include <algorithm>

#include "absl/numeric/bits.h"

namespace qlarank {
namespace {

// Ids in flight at once.
constexpr size_t kBatch = 64;

}  // namespace

ItemIndex::ItemIndex(absl::Span<const uint64_t> ids) {
  slots_.resize(absl::bit_ceil(std::max<size_t>(2 * ids.size(), 2)));
  shift_ = 64 - absl::countr_zero(slots_.size());
  for (size_t k = 0; k < ids.size(); ++k) {
    size_t slot = Home(ids[k]);
    while (slots_[slot].row != kNoRow && slots_[slot].id != ids[k]) {
      slot = (slot + 1) & (slots_.size() - 1);
    }
    if (slots_[slot].row != kNoRow) continue;
    slots_[slot] = {ids[k], static_cast<uint32_t>(k + 1)};
    ++size_;
  }
}

void ItemIndex::Rows(absl::Span<const uint64_t> ids,
                     absl::Span<uint32_t> rows) const {
  size_t homes[kBatch];
  for (size_t first = 0; first < ids.size(); first += kBatch) {
    const auto batch = ids.subspan(first, kBatch);
    for (size_t i = 0; i < batch.size(); ++i) {
      homes[i] = Home(batch[i]);
      __builtin_prefetch(&slots_[homes[i]]);
    }
    for (size_t i = 0; i < batch.size(); ++i) {
      rows[first + i] = Probe(batch[i], homes[i]);
    }
  }
}

}  // namespace qlarank
