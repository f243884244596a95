#include "state_store/rocksdb_log_check.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "state_store/checksum.h"

namespace qlarank::rocksdb_internal {
namespace {

// RocksDB's log format: blocks of 32 KiB, each a row of records that do not
// cross its end, and zeros where a header does not fit.
//   4   masked CRC32C of type and payload, little-endian
//   2   bytes of the payload, little-endian
//   1   type: the record is whole, or the first, a middle or the last part
constexpr uint64_t kWalBlockBytes = 32 << 10;
constexpr uint64_t kHeaderBytes = 7;
constexpr uint8_t kMaxType = 4;

uint64_t BlockEnd(uint64_t at) { return (at / kWalBlockBytes + 1) * kWalBlockBytes; }

uint8_t ByteAt(absl::string_view log, uint64_t at) {
  return static_cast<uint8_t>(log[at]);
}

uint64_t LengthAt(absl::string_view log, uint64_t at) {
  return ByteAt(log, at + 4) | ByteAt(log, at + 5) << 8;
}

// Whether there is a record of this length at a place where it fits.
bool IsRecord(absl::string_view log, uint64_t at, uint64_t length) {
  const uint8_t type = ByteAt(log, at + 6);
  if (type == 0 || type > kMaxType) return false;
  uint32_t stored = 0;
  for (int i = 3; i >= 0; --i) stored = stored << 8 | ByteAt(log, at + i);
  return stored == MaskCrc(Crc32c(log.substr(at + 6, 1 + length)));
}

// The same with the length that its header gives.
bool IsRecordAt(absl::string_view log, uint64_t at) {
  const uint64_t end = std::min<uint64_t>(BlockEnd(at), log.size());
  if (at + kHeaderBytes > end) return false;
  const uint64_t length = LengthAt(log, at);
  return at + kHeaderBytes + length <= end && IsRecord(log, at, length);
}

// Whether a record begins behind `at`: anywhere in its block, or with a later
// one.
bool RecordFollows(absl::string_view log, uint64_t at) {
  const uint64_t block_end = std::min<uint64_t>(BlockEnd(at), log.size());
  for (uint64_t i = at + 1; i < block_end; ++i) {
    if (IsRecordAt(log, i)) return true;
  }
  for (uint64_t i = BlockEnd(at); i < log.size(); i += kWalBlockBytes) {
    if (IsRecordAt(log, i)) return true;
  }
  return false;
}

// Whether what begins at `at`, which is not a record, is all of a last write
// that reached the disk in part.
bool IsTornEnd(absl::string_view log, uint64_t at) {
  if (RecordFollows(log, at)) return false;
  const uint64_t end = std::min<uint64_t>(BlockEnd(at), log.size());
  if (at + kHeaderBytes > end) return true;
  const absl::string_view header = log.substr(at, kHeaderBytes);
  if (header.find_first_not_of('\0') == absl::string_view::npos) return true;
  // All of it is there, and it is wrong.
  if (at + kHeaderBytes + LengthAt(log, at) <= end) return false;
  // All of it is there, and only its length is wrong.
  return !IsRecord(log, at, end - at - kHeaderBytes);
}

absl::Status ReadError(const std::string& path) {
  return absl::UnavailableError(
      absl::StrCat("reading ", path, ": ", strerror(errno)));
}

absl::Status CheckLogFile(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return errno == ENOENT ? absl::OkStatus() : ReadError(path);
  struct stat info = {};
  void* bytes = MAP_FAILED;
  if (fstat(file, &info) == 0 && info.st_size > 0) {
    bytes = mmap(nullptr, info.st_size, PROT_READ, MAP_PRIVATE, file, 0);
  }
  close(file);
  if (info.st_size == 0) return absl::OkStatus();
  if (bytes == MAP_FAILED) return ReadError(path);
  const std::optional<uint64_t> damage = FindDamage(
      absl::string_view(static_cast<const char*>(bytes), info.st_size));
  munmap(bytes, info.st_size);
  if (!damage.has_value()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(path, ": damaged at byte ", *damage,
                                          " of ", info.st_size));
}

}  // namespace

std::optional<uint64_t> FindDamage(absl::string_view log) {
  uint64_t at = 0;
  while (at < log.size()) {
    if (BlockEnd(at) - at < kHeaderBytes) {
      at = BlockEnd(at);
      continue;
    }
    if (!IsRecordAt(log, at)) {
      if (IsTornEnd(log, at)) return std::nullopt;
      return at;
    }
    at += kHeaderBytes + LengthAt(log, at);
  }
  return std::nullopt;
}

absl::Status CheckLogFiles(const std::string& folder, bool skip_wals) {
  std::string manifest;
  std::ifstream(folder + "/CURRENT") >> manifest;
  absl::Status status;
  if (!manifest.empty() && manifest.find('/') == std::string::npos) {
    status.Update(CheckLogFile(absl::StrCat(folder, "/", manifest)));
  }
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() != ".log" || skip_wals) continue;
    status.Update(CheckLogFile(entry.path()));
  }
  return status;
}

}  // namespace qlarank::rocksdb_internal
