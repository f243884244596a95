// A std::vector whose first element is aligned to a cache line (64 bytes), as
// the vector kernels and oneDNN like their rows.
#ifndef QLARANK_MODEL_ALIGNED_VECTOR_H_
#define QLARANK_MODEL_ALIGNED_VECTOR_H_

#include <cstddef>
#include <new>
#include <vector>

namespace qlarank {

template <typename T>
struct CacheLineAllocator {
  using value_type = T;
  static constexpr std::align_val_t kAlignment{64};

  CacheLineAllocator() = default;
  template <typename U>
  CacheLineAllocator(const CacheLineAllocator<U>&) {}

  T* allocate(size_t n) {
    return static_cast<T*>(::operator new(n * sizeof(T), kAlignment));
  }
  void deallocate(T* p, size_t) { ::operator delete(p, kAlignment); }

  friend bool operator==(CacheLineAllocator, CacheLineAllocator) {
    return true;
  }
};

template <typename T>
using AlignedVector = std::vector<T, CacheLineAllocator<T>>;

}  // namespace qlarank

#endif  // QLARANK_MODEL_ALIGNED_VECTOR_H_
