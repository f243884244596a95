// Memory on pages of its own: large ones where it fills one and the system
// gives them, or those of a file.
#ifndef QLARANK_MODEL_PAGES_H_
#define QLARANK_MODEL_PAGES_H_

#include <cstddef>
#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace qlarank {

class Pages {
 public:
  Pages() = default;
  // Zeros; data() is null where there is no memory for them.
  explicit Pages(size_t bytes);
  // Zeros in a file of their own in `folder`, for more than fits into memory:
  // the system keeps there what is in demand and writes the rest out. The file
  // has no name, so that nobody else can open it, and ends with its pages; all
  // of its room on the disk is taken at once, since a page that finds none
  // later would end the process.
  //
  // The error of whatever the system refuses, naming the folder;
  // RESOURCE_EXHAUSTED where the disk is full.
  static absl::StatusOr<Pages> InFile(const std::string& folder, size_t bytes);
  Pages(Pages&& other) noexcept { *this = std::move(other); }
  Pages& operator=(Pages&& other) noexcept;
  ~Pages();

  // Aligned to a page.
  char* data() const { return data_; }
  // Whether nothing can write there from now on; errno tells why not.
  bool Protect();
  // Says that from now on a few bytes will be read here and there. Pages of a
  // file are read one by one then, and not with all that is around them.
  void ExpectSparseReads() const;

 private:
  void* mapped_ = nullptr;
  size_t mapped_bytes_ = 0;
  char* data_ = nullptr;
};

// The same, as weights are allocated: std::bad_alloc where there is no memory
// for them. None for no bytes.
Pages AllocatePages(size_t bytes);

// Pages in a file in `folder`, or in memory if that is empty:
// RESOURCE_EXHAUSTED where there is none. None for no bytes.
absl::StatusOr<Pages> PagesIn(const std::string& folder, size_t bytes);

}  // namespace qlarank

#endif  // QLARANK_MODEL_PAGES_H_
