#include "tests/testing/counted_allocations.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<size_t> allocations{0};

// Not inlined, lest the compiler see new and free meet.
__attribute__((noinline)) void Free(void* memory) { std::free(memory); }

__attribute__((noinline)) void* CountedAllocation(size_t bytes,
                                                  size_t alignment) {
  ++allocations;
  void* memory =
      std::aligned_alloc(alignment, (bytes / alignment + 1) * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(size_t bytes) {
  return CountedAllocation(bytes, alignof(std::max_align_t));
}
void* operator new(size_t bytes, std::align_val_t alignment) {
  return CountedAllocation(bytes, static_cast<size_t>(alignment));
}
void operator delete(void* memory) noexcept { Free(memory); }
void operator delete(void* memory, size_t) noexcept { Free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { Free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept {
  Free(memory);
}

namespace qlarank::testing {

size_t NumAllocations() { return allocations; }

}  // namespace qlarank::testing
