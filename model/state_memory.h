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

namespace qlarank {

// A block of at least `bytes`, aligned to a cache line (64 bytes).
void* AllocateStateBlock(size_t bytes);
// REQUIRES: AllocateStateBlock returned `block` for the same `bytes`.
void FreeStateBlock(void* block, size_t bytes);

// The values of a state, in such a block. Where one is copied, it is with
// memcpy: std::vector with an allocator of its own would do so element by
// element.
class StateVector {
 public:
  using value_type = float;

  StateVector() = default;
  explicit StateVector(size_t size, float value = 0);
  // Whose values are nothing yet (NaN in debug builds): to be written by a fold.
  static StateVector Unwritten(size_t size);
  StateVector(const StateVector& other);
  StateVector(StateVector&& other) noexcept { Swap(other); }
  StateVector& operator=(StateVector other) noexcept {
    Swap(other);
    return *this;
  }
  ~StateVector();

  size_t size() const { return size_; }
  float* data() { return data_; }
  const float* data() const { return data_; }
  float& operator[](size_t i) { return data_[i]; }
  float operator[](size_t i) const { return data_[i]; }
  float* begin() { return data_; }
  float* end() { return data_ + size_; }
  const float* begin() const { return data_; }
  const float* end() const { return data_ + size_; }

  friend bool operator==(const StateVector& a, const StateVector& b);

 private:
  struct Allocated {
    size_t size;
  };
  explicit StateVector(Allocated allocated);
  void Swap(StateVector& other) noexcept;

  float* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace qlarank

#endif  // QLARANK_MODEL_STATE_MEMORY_H_
