// Any bytes at all decode to a value or to DATA_LOSS, and what decodes survives
// another round. Built as a libFuzzer target with clang and QLARANK_FUZZ, and
// as a test that runs seeded mutations for a moment with any compiler.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "state_store/checksum.h"
#include "state_store/keys.h"
#include "state_store/records.h"

namespace qlarank {
namespace {

constexpr char kKey[] = "key";
constexpr char kFingerprint[] = "f";

void Check(bool condition) {
  if (!condition) std::abort();
}

// Values compare by their bytes, so that NaN features are equal to themselves.
template <typename Decode, typename Encode>
void RoundTrip(absl::string_view value, const Decode& decode,
               const Encode& encode) {
  const auto decoded = decode(value);
  if (!decoded.ok()) {
    Check(absl::IsDataLoss(decoded.status()));
    return;
  }
  const std::string encoded = encode(*decoded);
  const auto again = decode(encoded);
  Check(again.ok());
  Check(encode(*again) == encoded);
}

void DecodeAll(absl::string_view value) {
  RoundTrip(
      value, [](auto v) { return DecodeEvent(kKey, v); },
      [](const auto& event) { return EncodeEvent(kKey, event); });
  RoundTrip(
      value, [](auto v) { return DecodeHead(kKey, v); },
      [](const auto& head) { return EncodeHead(kKey, head); });
  RoundTrip(
      value, [](auto v) { return DecodeSnapshot(kKey, kFingerprint, v); },
      [](const auto& snapshot) {
        return EncodeSnapshot(kKey, kFingerprint, snapshot);
      });
}

// The value with the checksum that a record of this kind should have: without
// it nearly nothing would get past the checksum.
std::string WithChecksum(char kind, absl::string_view message) {
  uint32_t crc = Crc32c(absl::string_view(&kind, 1));
  crc = MaskCrc(Crc32c(message, Crc32c(kKey, crc)));
  std::string value;
  for (int i = 0; i < 4; ++i) value.push_back(static_cast<char>(crc >> 8 * i));
  value.append(message.data(), message.size());
  return value;
}

void DecodeKeys(absl::string_view key) {
  const auto user_id = UserOfUserKey(key);
  if (user_id.has_value()) Check(UserKey(*user_id) == key);
  if (key.size() >= 8) {
    const auto sequence = SequenceOfLogKey(key, key.substr(0, key.size() - 8));
    Check(sequence.has_value());
  }
}

}  // namespace
}  // namespace qlarank

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view input(reinterpret_cast<const char*>(data), size);
  qlarank::DecodeKeys(input);
  qlarank::DecodeAll(input);
  for (char kind : {'e', 'h', 's'}) {
    qlarank::DecodeAll(qlarank::WithChecksum(kind, input));
  }
  return 0;
}
