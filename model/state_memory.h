// Memory for the values of user states: many, all of one size per model, made
// and dropped by every thread all the time.
//
// From malloc, the holes they leave are taken by smaller things, and the next
// state does not fit any more: with a user cache in constant exchange, half of
// the process was holes. Here blocks of one size are cut from slabs and used
// again, the one freed last first, while it is still in the processor's caches.
// Slabs are not given back: there are as many as states were alive at once.
//
// Thread-safe.
#ifndef QLARANK_MODEL_STATE_MEMORY_H_
#define QLARANK_MODEL_STATE_MEMORY_H_

#include <cstddef>
#include <vector>

namespace qlarank {

// A block of at least `bytes`, aligned to a cache line (64 bytes).
void* AllocateStateBlock(size_t bytes);
// REQUIRES: AllocateStateBlock returned `block` for the same `bytes`.
void FreeStateBlock(void* block, size_t bytes);

template <typename T>
struct StateAllocator {
  using value_type = T;

  StateAllocator() = default;
  template <typename U>
  StateAllocator(const StateAllocator<U>&) {}

  T* allocate(size_t n) {
    return static_cast<T*>(AllocateStateBlock(n * sizeof(T)));
  }
  void deallocate(T* p, size_t n) { FreeStateBlock(p, n * sizeof(T)); }

  friend bool operator==(StateAllocator, StateAllocator) { return true; }
};

using StateVector = std::vector<float, StateAllocator<float>>;

}  // namespace qlarank

#endif  // QLARANK_MODEL_STATE_MEMORY_H_
