#include "model/tensor_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace qlarank {
namespace {

// The reference implementation's own limit.
constexpr uint64_t kMaxHeaderBytes = 100 << 20;
constexpr size_t kLengthBytes = sizeof(uint64_t);
constexpr size_t kDataAlignment = 64;

size_t DTypeBytes(DType dtype) { return dtype == DType::kF32 ? 4 : 8; }

absl::Status Damaged(const std::string& path, absl::string_view what) {
  return absl::DataLossError(absl::StrCat(path, ": ", what));
}

// [begin, end) of a tensor within the data part.
struct Extent {
  uint64_t begin = 0;
  uint64_t end = 0;
};

absl::StatusOr<Extent> ReadExtent(const nlohmann::json& entry,
                                  uint64_t data_bytes) {
  const auto offsets = entry.find("data_offsets");
  if (offsets == entry.end() || !offsets->is_array() || offsets->size() != 2 ||
      !(*offsets)[0].is_number_unsigned() ||
      !(*offsets)[1].is_number_unsigned()) {
    return absl::DataLossError("data_offsets are not two whole numbers");
  }
  const Extent extent{(*offsets)[0].get<uint64_t>(),
                      (*offsets)[1].get<uint64_t>()};
  if (extent.begin > extent.end || extent.end > data_bytes) {
    return absl::DataLossError(
        absl::StrCat("data_offsets [", extent.begin, ", ", extent.end,
                     "] lie outside the file's ", data_bytes, " data bytes"));
  }
  return extent;
}

absl::StatusOr<DType> ReadDType(const nlohmann::json& entry) {
  const auto dtype = entry.find("dtype");
  if (dtype == entry.end() || !dtype->is_string()) {
    return absl::DataLossError("dtype is missing");
  }
  const std::string name = dtype->get<std::string>();
  if (name == "F32") return DType::kF32;
  if (name == "U64") return DType::kU64;
  return absl::InvalidArgumentError(
      absl::StrCat("dtype ", name, "; expected F32 or U64"));
}

absl::StatusOr<std::vector<uint64_t>> ReadShape(const nlohmann::json& entry) {
  const auto shape = entry.find("shape");
  if (shape == entry.end() || !shape->is_array()) {
    return absl::DataLossError("shape is missing");
  }
  std::vector<uint64_t> dimensions;
  for (const auto& dimension : *shape) {
    if (!dimension.is_number_unsigned()) {
      return absl::DataLossError("shape is not a list of whole numbers");
    }
    dimensions.push_back(dimension.get<uint64_t>());
  }
  return dimensions;
}

// Bytes that a tensor takes; nullopt-like UINT64_MAX on overflow.
uint64_t ShapeBytes(DType dtype, const std::vector<uint64_t>& shape) {
  uint64_t bytes = DTypeBytes(dtype);
  for (uint64_t dimension : shape) {
    if (__builtin_mul_overflow(bytes, dimension, &bytes)) return UINT64_MAX;
  }
  return bytes;
}

absl::StatusOr<TensorView> ReadTensor(const nlohmann::json& entry,
                                      absl::string_view data) {
  if (!entry.is_object()) return absl::DataLossError("is not an object");
  absl::StatusOr<DType> dtype = ReadDType(entry);
  if (!dtype.ok()) return dtype.status();
  absl::StatusOr<std::vector<uint64_t>> shape = ReadShape(entry);
  if (!shape.ok()) return shape.status();
  absl::StatusOr<Extent> extent = ReadExtent(entry, data.size());
  if (!extent.ok()) return extent.status();

  TensorView tensor{*dtype, *std::move(shape), {}};
  tensor.bytes = data.substr(extent->begin, extent->end - extent->begin);
  if (ShapeBytes(tensor.dtype, tensor.shape) != tensor.bytes.size()) {
    return absl::DataLossError(absl::StrCat(
        tensor.bytes.size(), " bytes do not fit shape ", tensor.ShapeString()));
  }
  if (reinterpret_cast<uintptr_t>(tensor.bytes.data()) %
          DTypeBytes(tensor.dtype) !=
      0) {
    return absl::DataLossError("data is not aligned to its type");
  }
  return tensor;
}

// Reads a file's first `bytes` bytes.
absl::Status ReadFromStart(int fd, const std::string& path, size_t bytes,
                           void* to) {
  for (size_t done = 0; done < bytes;) {
    const ssize_t got = ::pread(fd, static_cast<char*>(to) + done, bytes - done,
                                static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
    }
    if (got == 0) {
      return Damaged(path, absl::StrCat("cut short while it was read: ", done,
                                        " bytes are left"));
    }
    done += static_cast<size_t>(got);
  }
  return absl::OkStatus();
}

}  // namespace

absl::string_view DTypeName(DType dtype) {
  return dtype == DType::kF32 ? "F32" : "U64";
}

std::string TensorView::ShapeString() const {
  return shape.empty() ? "scalar" : absl::StrJoin(shape, "x");
}

absl::Span<const float> TensorView::floats() const {
  return {reinterpret_cast<const float*>(bytes.data()),
          bytes.size() / sizeof(float)};
}

absl::Span<const uint64_t> TensorView::u64s() const {
  return {reinterpret_cast<const uint64_t*>(bytes.data()),
          bytes.size() / sizeof(uint64_t)};
}

absl::StatusOr<std::unique_ptr<TensorFile>> TensorFile::Open(
    const std::string& path, const std::string& folder) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  }
  auto close_fd = absl::MakeCleanup([fd] { ::close(fd); });
  struct stat info;
  if (::fstat(fd, &info) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot stat ", path));
  }
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a file"));
  }
  if (info.st_size == 0) return Damaged(path, "the file is empty");

  auto file = absl::WrapUnique(new TensorFile());
  file->path_ = path;
  absl::Status status =
      file->ReadAll(fd, static_cast<size_t>(info.st_size), folder);
  if (status.ok()) status = file->ParseHeader();
  if (!status.ok()) return status;
  return file;
}

absl::Status TensorFile::ReadAll(int fd, size_t bytes,
                                 const std::string& folder) {
  // So that a row of a table takes no more cache lines than it must.
  uint64_t header_bytes = 0;
  absl::Status status = ReadFromStart(
      fd, path_, std::min(bytes, kLengthBytes), &header_bytes);
  if (!status.ok()) return status;
  const size_t in_front =
      kDataAlignment - (kLengthBytes + header_bytes) % kDataAlignment;
  auto pages = PagesIn(folder, in_front + bytes);
  if (!pages.ok()) {
    return absl::Status(
        pages.status().code(),
        absl::StrCat(path_, ": ", pages.status().message()));
  }
  pages_ = *std::move(pages);
  char* const begin = pages_.data() + in_front;
  status = ReadFromStart(fd, path_, bytes, begin);
  if (!status.ok()) return status;
  if (!pages_.Protect()) {
    return absl::ErrnoToStatus(errno,
                               absl::StrCat(path_, ": cannot protect it"));
  }
  contents_ = {begin, bytes};
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<TensorFile>> TensorFile::Parse(
    absl::string_view bytes, const std::string& origin) {
  auto file = absl::WrapUnique(new TensorFile());
  file->path_ = origin;
  file->contents_ = bytes;
  if (absl::Status status = file->ParseHeader(); !status.ok()) return status;
  return file;
}

absl::Status TensorFile::ParseHeader() {
  if (contents_.size() < kLengthBytes) {
    return Damaged(path_, "too short for a safetensors header");
  }
  uint64_t header_bytes;
  std::memcpy(&header_bytes, contents_.data(), kLengthBytes);
  if (header_bytes > kMaxHeaderBytes ||
      header_bytes > contents_.size() - kLengthBytes) {
    return Damaged(path_, absl::StrCat("header of ", header_bytes,
                                       " bytes does not fit the file's ",
                                       contents_.size()));
  }
  const absl::string_view header = contents_.substr(kLengthBytes, header_bytes);
  const absl::string_view data = contents_.substr(kLengthBytes + header_bytes);
  const nlohmann::json parsed =
      nlohmann::json::parse(header, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) return Damaged(path_, "header is not JSON");

  uint64_t used_bytes = 0;
  for (const auto& [name, entry] : parsed.items()) {
    if (name == "__metadata__") continue;
    absl::StatusOr<TensorView> tensor = ReadTensor(entry, data);
    if (!tensor.ok()) {
      return absl::Status(tensor.status().code(),
                          absl::StrCat(path_, ": tensor ", name, ": ",
                                       tensor.status().message()));
    }
    used_bytes += tensor->bytes.size();
    tensors_.emplace(name, *std::move(tensor));
  }
  if (used_bytes != data.size()) {
    return Damaged(path_, absl::StrCat("tensors cover ", used_bytes, " of ",
                                       data.size(), " data bytes"));
  }
  return absl::OkStatus();
}

}  // namespace qlarank
