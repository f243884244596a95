#include "server/request_log/frames.h"

#include <xxhash.h>

#include <optional>

#include "absl/strings/str_cat.h"

namespace qlarank {
namespace {

constexpr size_t kChecksumBytes = 8;
constexpr int kMaxVarintBits = 63;

uint64_t Checksum(absl::string_view record) {
  return XXH64(record.data(), record.size(), /*seed=*/0);
}

struct Varint {
  uint64_t value = 0;
  size_t bytes = 0;
};

std::optional<Varint> ReadVarint(std::istream& file) {
  Varint varint;
  for (int shift = 0; shift < kMaxVarintBits; shift += 7) {
    const int byte = file.get();
    if (byte == std::istream::traits_type::eof()) return std::nullopt;
    varint.value |= uint64_t(byte & 0x7f) << shift;
    ++varint.bytes;
    if (byte < 0x80) return varint;
  }
  return std::nullopt;
}

uint64_t FromLittleEndian(absl::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    value |= uint64_t(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  return value;
}

}  // namespace

std::string Framed(absl::string_view record) {
  std::string framed;
  framed.reserve(record.size() + 10 + kChecksumBytes);
  uint64_t length = record.size();
  for (; length >= 0x80; length >>= 7) {
    framed.push_back(static_cast<char>(length | 0x80));
  }
  framed.push_back(static_cast<char>(length));
  absl::StrAppend(&framed, record);
  uint64_t checksum = Checksum(record);
  for (size_t i = 0; i < kChecksumBytes; ++i, checksum >>= 8) {
    framed.push_back(static_cast<char>(checksum));
  }
  return framed;
}

RecordReader::RecordReader(std::istream& file) : file_(file) {
  if (!file_.seekg(0, std::ios::end)) return;
  file_bytes_ = static_cast<uint64_t>(file_.tellg());
  file_.seekg(0);
}

bool RecordReader::Next(std::string& record) {
  const std::optional<Varint> length = ReadVarint(file_);
  if (!length.has_value()) return false;
  const uint64_t left = file_bytes_ - read_bytes_ - length->bytes;
  // A length that is wrong must not ask for memory.
  if (left < kChecksumBytes || length->value > left - kChecksumBytes) {
    return false;
  }
  record.resize(length->value + kChecksumBytes);
  if (!file_.read(record.data(), static_cast<std::streamsize>(record.size()))) {
    return false;
  }
  const uint64_t checksum = FromLittleEndian(
      absl::string_view(record).substr(length->value));
  record.resize(length->value);
  if (checksum != Checksum(record)) return false;
  read_bytes_ += length->bytes + length->value + kChecksumBytes;
  return true;
}

}  // namespace qlarank
