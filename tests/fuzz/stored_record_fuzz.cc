// Any bytes at all decode to a value or to DATA_LOSS, and what decodes survives
// another round.
#include <google/protobuf/stubs/logging.h>

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "state_store/checksum.h"
#include "state_store/records.h"
#include "tests/fuzz/fuzz_target.h"

namespace qlarank::fuzz {
namespace {

constexpr char kKey[] = "key";
constexpr char kFingerprint[] = "f";

// Values compare by their bytes, so that NaN features are equal to themselves.
template <typename Decode, typename Encode>
void RoundTrip(absl::string_view value, const Decode& decode,
               const Encode& encode) {
  const auto decoded = decode(value);
  if (!decoded.ok()) {
    Check(absl::IsDataLoss(decoded.status()), "what does not decode is lost");
    return;
  }
  const std::string encoded = encode(*decoded);
  const auto again = decode(encoded);
  Check(again.ok() && encode(*again) == encoded,
        "what decodes survives another round");
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
  RoundTrip(
      value, [](auto v) { return DecodeMark(kKey, v); },
      [](const auto& mark) { return EncodeMark(kKey, mark); });
  RoundTrip(
      value, [](auto v) { return DecodeCatalogueEntry(kKey, v); },
      [](const auto& entry) { return EncodeCatalogueEntry(kKey, entry); });
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

}  // namespace

std::vector<std::string> Seeds() {
  LoggedEvent event;
  event.item_id = 42;
  event.action = "purchase";
  event.time_us = 1'700'000'000'000'000;
  event.source = "kafka-0";
  event.source_sequence = 300;
  event.features = {1.0f, -2.5f};
  UserHead head;
  head.incarnation = 7;
  head.last_sequence = 300;
  head.watermarks = {{"a", 1}, {"b", 2}};
  Snapshot snapshot;
  snapshot.incarnation = 7;
  snapshot.folded_sequence = 256;
  snapshot.state = std::string(64, '\x3f');
  CatalogueEntry entry;
  entry.item_id = 42;
  entry.item_key = "sku";
  entry.title = "Tea";
  entry.fingerprint = kFingerprint;
  entry.embedding = {1.0f, -2.5f};
  entry.attributes = {{"brand", {"a", "b"}}, {"kind", {}}};
  entry.numbers = {{"price", 4.5}};
  std::vector<std::string> seeds = {
      EncodeEvent(kKey, event), EncodeHead(kKey, head),
      EncodeSnapshot(kKey, kFingerprint, snapshot), EncodeMark(kKey, "300"),
      EncodeCatalogueEntry(kKey, entry)};
  // The messages alone: the target puts a checksum before them.
  for (size_t i = 0; i < 5; ++i) seeds.push_back(seeds[i].substr(4));
  return seeds;
}

}  // namespace qlarank::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  google::protobuf::SetLogHandler(nullptr);
  const absl::string_view input = qlarank::fuzz::AsText(data, size);
  qlarank::fuzz::DecodeAll(input);
  for (char kind : {'e', 'h', 's', 'k', 'i'}) {
    qlarank::fuzz::DecodeAll(qlarank::fuzz::WithChecksum(kind, input));
  }
  return 0;
}
