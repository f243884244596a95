#include "state_store/keys.h"

#include <xxhash.h>

#include <cassert>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace qlarank {
namespace {

constexpr absl::string_view kErasurePrefix = "erasure ";
constexpr absl::string_view kMarkPrefix = "mark ";
constexpr absl::string_view kSourceMarkPrefix = "source ";
constexpr absl::string_view kSchemaPrefix = "schema ";
constexpr size_t kLengthBytes = 2;
constexpr size_t kSequenceBytes = 8;
constexpr size_t kUserKeyHeaderBytes = kUserHashBytes + kLengthBytes;

void AppendBigEndian(std::string& out, uint64_t value, size_t bytes) {
  for (size_t i = bytes; i-- > 0;) {
    out.push_back(static_cast<char>(value >> (8 * i)));
  }
}

uint64_t ReadBigEndian(absl::string_view bytes) {
  uint64_t value = 0;
  for (char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

// `prefix`, then the number.
std::string NumberedKey(absl::string_view prefix, uint64_t number) {
  std::string key(prefix);
  AppendBigEndian(key, number, kSequenceBytes);
  return key;
}

std::optional<uint64_t> NumberOfKey(absl::string_view prefix,
                                    absl::string_view key) {
  if (key.size() != prefix.size() + kSequenceBytes ||
      !absl::StartsWith(key, prefix)) {
    return std::nullopt;
  }
  return ReadBigEndian(key.substr(prefix.size()));
}

}  // namespace

std::string UserKey(absl::string_view user_id) {
  assert(user_id.size() <= kMaxUserIdBytes);
  std::string key;
  key.reserve(kUserKeyHeaderBytes + user_id.size() + kSequenceBytes);
  AppendBigEndian(key, XXH64(user_id.data(), user_id.size(), /*seed=*/0),
                  kUserHashBytes);
  AppendBigEndian(key, user_id.size(), kLengthBytes);
  key.append(user_id.data(), user_id.size());
  return key;
}

std::string LogKey(absl::string_view user_id, uint64_t sequence) {
  std::string key = UserKey(user_id);
  AppendSequence(key, sequence);
  return key;
}

uint64_t HashOfUserKey(absl::string_view user_key) {
  return ReadBigEndian(user_key.substr(0, kUserHashBytes));
}

void AppendSequence(std::string& user_key, uint64_t sequence) {
  AppendBigEndian(user_key, sequence, kSequenceBytes);
}

std::string AfterLogKey(absl::string_view user_id, uint64_t sequence) {
  std::string key = LogKey(user_id, sequence);
  key.push_back('\0');
  return key;
}

void SetSequence(std::string& log_key, uint64_t sequence) {
  assert(log_key.size() >= kUserKeyHeaderBytes + kSequenceBytes);
  log_key.resize(log_key.size() - kSequenceBytes);
  AppendBigEndian(log_key, sequence, kSequenceBytes);
}

std::string ErasureKey(uint64_t number) {
  return NumberedKey(kErasurePrefix, number);
}

std::optional<uint64_t> NumberOfErasureKey(absl::string_view key) {
  return NumberOfKey(kErasurePrefix, key);
}

std::string SourceMarkKey(absl::string_view source) {
  return absl::StrCat(kSourceMarkPrefix, source);
}

std::optional<absl::string_view> SourceOfMarkKey(absl::string_view key) {
  if (!absl::StartsWith(key, kSourceMarkPrefix)) return std::nullopt;
  return key.substr(kSourceMarkPrefix.size());
}

std::string MarkKey(absl::string_view name) {
  return absl::StrCat(kMarkPrefix, name);
}

std::optional<absl::string_view> NameOfMarkKey(absl::string_view key) {
  if (!absl::StartsWith(key, kMarkPrefix)) return std::nullopt;
  return key.substr(kMarkPrefix.size());
}

std::string SchemaKey(uint64_t number) {
  return NumberedKey(kSchemaPrefix, number);
}

std::optional<uint64_t> NumberOfSchemaKey(absl::string_view key) {
  return NumberOfKey(kSchemaPrefix, key);
}

std::string CatalogueKey(uint64_t version) { return NumberedKey("", version); }

std::optional<uint64_t> VersionOfCatalogueKey(absl::string_view key) {
  return NumberOfKey("", key);
}

std::string UserHashHex(absl::string_view user_id) {
  return absl::StrCat(
      absl::Hex(XXH64(user_id.data(), user_id.size(), /*seed=*/0),
                absl::kZeroPad16));
}

std::optional<absl::string_view> UserOfUserKey(absl::string_view user_key) {
  if (user_key.size() < kUserKeyHeaderBytes) return std::nullopt;
  const absl::string_view user_id = user_key.substr(kUserKeyHeaderBytes);
  if (user_id.size() > kMaxUserIdBytes || UserKey(user_id) != user_key) {
    return std::nullopt;
  }
  return user_id;
}

std::optional<absl::string_view> UserKeyOfLogKey(absl::string_view log_key) {
  if (log_key.size() < kSequenceBytes) return std::nullopt;
  const absl::string_view user_key =
      log_key.substr(0, log_key.size() - kSequenceBytes);
  if (!UserOfUserKey(user_key).has_value()) return std::nullopt;
  return user_key;
}

std::optional<uint64_t> SequenceOfLogKey(absl::string_view log_key,
                                         absl::string_view user_key) {
  if (log_key.size() != user_key.size() + kSequenceBytes ||
      log_key.substr(0, user_key.size()) != user_key) {
    return std::nullopt;
  }
  return ReadBigEndian(log_key.substr(user_key.size()));
}

}  // namespace qlarank
