#include "model/state_memory.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"

namespace qlarank {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kSlabBytes = size_t{1} << 20;

// AddressSanitizer is to see who reads a state too late.
#ifdef __SANITIZE_ADDRESS__
constexpr bool kUseAgain = false;
#else
constexpr bool kUseAgain = true;
#endif

void* NewAligned(size_t bytes) {
  return ::operator new (bytes, std::align_val_t{kAlignment});
}

// The blocks of every size.
class Blocks {
 public:
  void* Take(size_t bytes) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    std::vector<void*>& free = free_[bytes];
    if (free.empty()) AddSlab(bytes, free);
    void* block = free.back();
    free.pop_back();
    return block;
  }

  void Return(void* block, size_t bytes) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    free_.find(bytes)->second.push_back(block);
  }

 private:
  static void AddSlab(size_t bytes, std::vector<void*>& free) {
    const size_t num_blocks = std::max<size_t>(1, kSlabBytes / bytes);
    char* slab = static_cast<char*>(NewAligned(num_blocks * bytes));
    // The lowest address is taken first.
    for (size_t i = num_blocks; i-- > 0;) free.push_back(slab + i * bytes);
  }

  absl::Mutex mutex_;
  absl::flat_hash_map<size_t, std::vector<void*>> free_ ABSL_GUARDED_BY(mutex_);
};

Blocks& AllBlocks() {
  static auto* const blocks = new Blocks;  // states may outlive main()
  return *blocks;
}

size_t BlockBytes(size_t bytes) {
  return std::max((bytes + kAlignment - 1) / kAlignment, size_t{1}) *
         kAlignment;
}

}  // namespace

void* AllocateStateBlock(size_t bytes) {
  bytes = BlockBytes(bytes);
  return kUseAgain ? AllBlocks().Take(bytes) : NewAligned(bytes);
}

void FreeStateBlock(void* block, size_t bytes) {
  if (kUseAgain) {
    AllBlocks().Return(block, BlockBytes(bytes));
  } else {
    ::operator delete (block, std::align_val_t{kAlignment});
  }
}

StateBlock::StateBlock(size_t size_bytes) : size_bytes_(size_bytes) {
  if (size_bytes_ > 0) data_ = AllocateStateBlock(size_bytes_);
}

StateBlock::StateBlock(const StateBlock& other)
    : StateBlock(other.size_bytes_) {
  if (size_bytes_ > 0) std::memcpy(data_, other.data_, size_bytes_);
}

StateBlock::~StateBlock() {
  if (data_ != nullptr) FreeStateBlock(data_, size_bytes_);
}

void StateBlock::Swap(StateBlock& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_bytes_, other.size_bytes_);
}

StateVector::StateVector(size_t size, float value)
    : block_(size * sizeof(float)) {
  std::fill(begin(), end(), value);
}

StateVector StateVector::Unwritten(size_t size) {
  StateVector vector;
  vector.block_ = StateBlock(size * sizeof(float));
#ifndef NDEBUG
  std::fill(vector.begin(), vector.end(),
            std::numeric_limits<float>::quiet_NaN());
#endif
  return vector;
}

bool operator==(const StateVector& a, const StateVector& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

}  // namespace qlarank
