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

// Owns such a block, or none where it is to hold nothing. Where one is copied,
// it is with memcpy: std::vector with an allocator of its own would do so
// element by element.
class StateBlock {
 public:
  StateBlock() = default;
  // Of bytes that are nothing yet.
  explicit StateBlock(size_t size_bytes);
  StateBlock(const StateBlock& other);
  StateBlock(StateBlock&& other) noexcept { Swap(other); }
  StateBlock& operator=(StateBlock other) noexcept {
    Swap(other);
    return *this;
  }
  ~StateBlock();

  size_t size_bytes() const { return size_bytes_; }
  void* data() { return data_; }
  const void* data() const { return data_; }

 private:
  void Swap(StateBlock& other) noexcept;

  void* data_ = nullptr;
  size_t size_bytes_ = 0;
};

// The values of a state, in such a block.
class StateVector {
 public:
  using value_type = float;

  StateVector() = default;
  explicit StateVector(size_t size, float value = 0);
  // Whose values are nothing yet (NaN in debug builds): to be written by a fold.
  static StateVector Unwritten(size_t size);

  size_t size() const { return block_.size_bytes() / sizeof(float); }
  float* data() { return static_cast<float*>(block_.data()); }
  const float* data() const { return static_cast<const float*>(block_.data()); }
  float& operator[](size_t i) { return data()[i]; }
  float operator[](size_t i) const { return data()[i]; }
  float* begin() { return data(); }
  float* end() { return data() + size(); }
  const float* begin() const { return data(); }
  const float* end() const { return data() + size(); }

  friend bool operator==(const StateVector& a, const StateVector& b);

 private:
  StateBlock block_;
};

}  // namespace qlarank

#endif  // QLARANK_MODEL_STATE_MEMORY_H_
