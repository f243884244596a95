#include "model/pages.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <new>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace qlarank {
namespace {

constexpr size_t kLargePageBytes = size_t{2} << 20;

absl::Status CannotHave(const std::string& folder, size_t bytes, int error) {
  const std::string what =
      absl::StrCat("cannot have a file of ", bytes, " bytes in ", folder);
  return error == ENOSPC ? absl::ResourceExhaustedError(
                               absl::StrCat(what, ": the disk is full"))
                         : absl::ErrnoToStatus(error, what);
}

}  // namespace

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

absl::StatusOr<Pages> Pages::InFile(const std::string& folder, size_t bytes) {
  std::string name = absl::StrCat(folder, "/qlarank-pages-XXXXXX");
  const int fd = ::mkostemp(name.data(), O_CLOEXEC);
  if (fd < 0) return CannotHave(folder, bytes, errno);
  // The mapping keeps it.
  const auto close_fd = absl::MakeCleanup([fd] { ::close(fd); });
  if (::unlink(name.c_str()) != 0) return CannotHave(folder, bytes, errno);
  const int error = ::posix_fallocate(fd, 0, static_cast<off_t>(bytes));
  if (error != 0) return CannotHave(folder, bytes, error);
  void* const mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                              MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) return CannotHave(folder, bytes, errno);
  Pages pages;
  pages.mapped_ = mapped;
  pages.mapped_bytes_ = bytes;
  pages.data_ = static_cast<char*>(mapped);
  return pages;
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

void Pages::ExpectSparseReads() const {
  if (mapped_ != nullptr) ::madvise(mapped_, mapped_bytes_, MADV_RANDOM);
}

Pages AllocatePages(size_t bytes) {
  if (bytes == 0) return Pages();
  Pages pages(bytes);
  if (pages.data() == nullptr) throw std::bad_alloc();
  return pages;
}

absl::StatusOr<Pages> PagesIn(const std::string& folder, size_t bytes) {
  if (bytes == 0) return Pages();
  if (!folder.empty()) return Pages::InFile(folder, bytes);
  Pages pages(bytes);
  if (pages.data() != nullptr) return pages;
  return absl::ResourceExhaustedError(
      absl::StrCat("no memory for ", bytes, " bytes"));
}

}  // namespace qlarank
