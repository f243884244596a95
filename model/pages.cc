#include "model/pages.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

namespace qlarank {

constexpr size_t kLargePageBytes = size_t{2} << 20;

Pages::Pages(size_t bytes) {
  // Room to begin at a whole page of the large kind.
  const bool large = bytes >= kLargePageBytes;
  const size_t room = bytes + (large ? kLargePageBytes : 0);
  void* const mapped = ::mmap(nullptr, room, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return;
  mapped_ = mapped;
  mapped_bytes_ = room;
  data_ = static_cast<char*>(mapped);
  if (!large) return;
  ::madvise(mapped, room, MADV_HUGEPAGE);
  const size_t beyond = reinterpret_cast<uintptr_t>(mapped) % kLargePageBytes;
  if (beyond > 0) data_ += kLargePageBytes - beyond;
}

Pages& Pages::operator=(Pages&& other) noexcept {
  std::swap(mapped_, other.mapped_);
  std::swap(mapped_bytes_, other.mapped_bytes_);
  std::swap(data_, other.data_);
  return *this;
}

Pages::~Pages() {
  if (mapped_ != nullptr) ::munmap(mapped_, mapped_bytes_);
}

bool Pages::Protect() {
  return ::mprotect(mapped_, mapped_bytes_, PROT_READ) == 0;
}

Pages AllocatePages(size_t bytes) {
  if (bytes == 0) return Pages();
  Pages pages(bytes);
  if (pages.data() == nullptr) throw std::bad_alloc();
  return pages;
}

}  // namespace qlarank
