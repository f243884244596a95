// Memory on pages of its own: large ones where it fills one and the system
// gives them.
#ifndef QLARANK_MODEL_PAGES_H_
#define QLARANK_MODEL_PAGES_H_

#include <cstddef>
#include <utility>

namespace qlarank {

class Pages {
 public:
  Pages() = default;
  // Zeros; data() is null where there is no memory for them.
  explicit Pages(size_t bytes);
  Pages(Pages&& other) noexcept { *this = std::move(other); }
  Pages& operator=(Pages&& other) noexcept;
  ~Pages();

  // Aligned to a page.
  char* data() const { return data_; }
  // Whether nothing can write there from now on; errno tells why not.
  bool Protect();

 private:
  void* mapped_ = nullptr;
  size_t mapped_bytes_ = 0;
  char* data_ = nullptr;
};

// The same, as weights are allocated: std::bad_alloc where there is no memory
// for them. None for no bytes.
Pages AllocatePages(size_t bytes);

}  // namespace qlarank

#endif  // QLARANK_MODEL_PAGES_H_
