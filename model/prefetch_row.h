// Has a row of a table fetched from memory before it is needed.
#ifndef QLARANK_MODEL_PREFETCH_ROW_H_
#define QLARANK_MODEL_PREFETCH_ROW_H_

#include <cstddef>

namespace qlarank {

template <typename Value>
void PrefetchRow(const Value* row, size_t width) {
  constexpr size_t kLineValues = 64 / sizeof(Value);
  for (size_t i = 0; i < width; i += kLineValues) __builtin_prefetch(row + i);
}

}  // namespace qlarank

#endif  // QLARANK_MODEL_PREFETCH_ROW_H_
