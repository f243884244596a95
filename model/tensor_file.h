// A safetensors file, read into memory, or into a file of our own, and checked
// before it is trusted. What becomes of the file afterwards changes nothing: a
// mapping would show what is written over it, and one that is truncated kills
// whoever reads on.
//
// Format (github.com/huggingface/safetensors): an 8-byte little-endian header
// length, a JSON header {name: {dtype, shape, data_offsets}}, then the bytes.
// Immutable after Open, so safe to share between threads.
#ifndef QLARANK_MODEL_TENSOR_FILE_H_
#define QLARANK_MODEL_TENSOR_FILE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "model/pages.h"

namespace qlarank {

enum class DType { kF32, kU64 };

// "F32" or "U64".
absl::string_view DTypeName(DType dtype);

// A view of one tensor; lives as long as its TensorFile.
struct TensorView {
  DType dtype = DType::kF32;
  std::vector<uint64_t> shape;
  absl::string_view bytes;  // row-major, little-endian

  // "64x128"; "scalar" without dimensions.
  std::string ShapeString() const;
  // REQUIRES: dtype is that of the span.
  absl::Span<const float> floats() const;
  absl::Span<const uint64_t> u64s() const;
};

class TensorFile {
 public:
  // Reads the file into huge pages where there are any, or into Pages::InFile
  // in `folder` unless that is empty, its data aligned to 64 bytes; nothing can
  // write there afterwards.
  // NOT_FOUND when there is no such file, DATA_LOSS when it is not a whole
  // safetensors file, INVALID_ARGUMENT for a dtype other than F32 and U64,
  // RESOURCE_EXHAUSTED when there is no room for it.
  static absl::StatusOr<std::unique_ptr<TensorFile>> Open(
      const std::string& path, const std::string& folder = "");

  // The same for bytes in memory, which must outlive the result and be aligned
  // to 8 bytes. `origin` names them in errors.
  static absl::StatusOr<std::unique_ptr<TensorFile>> Parse(
      absl::string_view bytes, const std::string& origin);

  TensorFile(const TensorFile&) = delete;
  TensorFile& operator=(const TensorFile&) = delete;

  const std::string& path() const { return path_; }
  // The whole file, for its digest: the very bytes that the tensors are in.
  absl::string_view contents() const { return contents_; }
  // In byte order of the names.
  const std::map<std::string, TensorView, std::less<>>& tensors() const {
    return tensors_;
  }
  // Pages::ExpectSparseReads.
  void ExpectSparseReads() const { pages_.ExpectSparseReads(); }

 private:
  TensorFile() = default;

  // Takes room for the file that is open as `fd` and reads it all.
  absl::Status ReadAll(int fd, size_t bytes, const std::string& folder);
  absl::Status ParseHeader();

  std::string path_;
  absl::string_view contents_;
  Pages pages_;  // of contents_; none for bytes in memory
  std::map<std::string, TensorView, std::less<>> tensors_;
};

}  // namespace qlarank

#endif  // QLARANK_MODEL_TENSOR_FILE_H_
