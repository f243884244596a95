// The values of stored records: a checksum, then a message of
// proto/qlarank/storage/v1/storage.proto.
//
//   masked CRC32C, 4 bytes little-endian | serialised message
//
// The checksum covers a byte for the kind of record, the key and the message.
// So it notices, besides flipped bits, a whole and healthy record in a place
// that is not its own.
//
// Decoding trusts nothing: any bytes give a value or DATA_LOSS, whose message
// says what is wrong but not where; the caller knows user and sequence and adds
// them. Thread-safe: pure functions, but for RecordEncoder.
#ifndef QLARANK_STATE_STORE_RECORDS_H_
#define QLARANK_STATE_STORE_RECORDS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "state_store/state_store.h"

namespace qlarank {

// What EncodeEvent and EncodeHead return, of one record after the other in the
// same memory: valid until the next. Not thread-safe.
class RecordEncoder {
 public:
  RecordEncoder();
  ~RecordEncoder();
  RecordEncoder(const RecordEncoder&) = delete;
  RecordEncoder& operator=(const RecordEncoder&) = delete;

  absl::string_view Event(absl::string_view key, const LoggedEvent& event);
  absl::string_view Head(absl::string_view key, const UserHead& head);

 private:
  struct Messages;

  const std::unique_ptr<Messages> messages_;
  std::string value_;
};

std::string EncodeEvent(absl::string_view key, const LoggedEvent& event);
absl::StatusOr<LoggedEvent> DecodeEvent(absl::string_view key,
                                        absl::string_view value);

std::string EncodeHead(absl::string_view key, const UserHead& head);
// DATA_LOSS also for an incarnation of 0: such a head is never written.
absl::StatusOr<UserHead> DecodeHead(absl::string_view key,
                                    absl::string_view value);

std::string EncodeSnapshot(absl::string_view key, absl::string_view fingerprint,
                           const Snapshot& snapshot);
// DATA_LOSS also for a snapshot of another fingerprint.
absl::StatusOr<Snapshot> DecodeSnapshot(absl::string_view key,
                                        absl::string_view fingerprint,
                                        absl::string_view value);

// Names of event features, in the order of their values.
std::string EncodeSchema(absl::string_view key,
                         const std::vector<std::string>& event_features);
absl::StatusOr<std::vector<std::string>> DecodeSchema(absl::string_view key,
                                                      absl::string_view value);

std::string EncodeCatalogueEntry(absl::string_view key,
                                 const CatalogueEntry& entry);
// Without its version, which is the key's.
absl::StatusOr<CatalogueEntry> DecodeCatalogueEntry(absl::string_view key,
                                                    absl::string_view value);

// An erasure as it is stored.
struct StoredErasure {
  std::string user_digest;  // bytes
  ErasureNote note;
  uint64_t events = 0;
  std::string key_prefix;  // empty once purged
};
std::string EncodeErasure(absl::string_view key, const StoredErasure& erasure);
absl::StatusOr<StoredErasure> DecodeErasure(absl::string_view key,
                                            absl::string_view value);

std::string EncodeMark(absl::string_view key, absl::string_view value);
absl::StatusOr<std::string> DecodeMark(absl::string_view key,
                                       absl::string_view value);

std::string EncodeSourceMark(absl::string_view key, const SourceMark& mark);
// DATA_LOSS also for a mark at 0: such a one is never written.
absl::StatusOr<SourceMark> DecodeSourceMark(absl::string_view key,
                                            absl::string_view value);

}  // namespace qlarank

#endif  // QLARANK_STATE_STORE_RECORDS_H_
