#include "state_store/records.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/message_lite.h"
#include "qlarank/storage/v1/storage.pb.h"
#include "state_store/checksum.h"

namespace qlarank {
namespace {

using storage::v1::CatalogueRecord;
using storage::v1::ErasureRecord;
using storage::v1::EventRecord;
using storage::v1::MarkRecord;
using storage::v1::SchemaRecord;
using storage::v1::SnapshotRecord;
using storage::v1::SourceMarkRecord;
using storage::v1::UserHeadRecord;

constexpr size_t kChecksumBytes = 4;

// Part of the checksum, so on disks.
enum class RecordKind : char {
  kEvent = 'e',
  kHead = 'h',
  kSnapshot = 's',
  kErasure = 'x',
  kSourceMark = 'm',
  kSchema = 'n',
  kMark = 'k',
  kCatalogueEntry = 'i',
};

uint32_t RecordChecksum(RecordKind kind, absl::string_view key,
                        absl::string_view message) {
  const char kind_byte = static_cast<char>(kind);
  uint32_t crc = Crc32c(absl::string_view(&kind_byte, 1));
  crc = Crc32c(key, crc);
  return MaskCrc(Crc32c(message, crc));
}

void StoreLittleEndian32(char* out, uint32_t value) {
  for (int i = 0; i < 4; ++i) out[i] = static_cast<char>(value >> (8 * i));
}

uint32_t LoadLittleEndian32(const char* in) {
  uint32_t value = 0;
  for (int i = 3; i >= 0; --i) {
    value = value << 8 | static_cast<unsigned char>(in[i]);
  }
  return value;
}

void Frame(RecordKind kind, absl::string_view key,
           const google::protobuf::MessageLite& message, std::string& value) {
  value.assign(kChecksumBytes, '\0');
  message.AppendToString(&value);
  StoreLittleEndian32(
      value.data(),
      RecordChecksum(kind, key,
                     absl::string_view(value).substr(kChecksumBytes)));
}

std::string Frame(RecordKind kind, absl::string_view key,
                  const google::protobuf::MessageLite& message) {
  std::string value;
  Frame(kind, key, message, value);
  return value;
}

absl::Status Unframe(RecordKind kind, absl::string_view key,
                     absl::string_view value,
                     google::protobuf::MessageLite& message) {
  if (value.size() < kChecksumBytes) {
    return absl::DataLossError(
        absl::StrCat("record truncated to ", value.size(), " bytes"));
  }
  const absl::string_view serialised = value.substr(kChecksumBytes);
  if (RecordChecksum(kind, key, serialised) !=
      LoadLittleEndian32(value.data())) {
    return absl::DataLossError(absl::StrCat("checksum mismatch in a record of ",
                                            value.size(), " bytes"));
  }
  if (!message.ParseFromArray(serialised.data(),
                              static_cast<int>(serialised.size()))) {
    return absl::DataLossError(
        absl::StrCat("record of ", value.size(), " bytes cannot be parsed"));
  }
  return absl::OkStatus();
}

}  // namespace

struct RecordEncoder::Messages {
  EventRecord event;
  UserHeadRecord head;
};

RecordEncoder::RecordEncoder() : messages_(std::make_unique<Messages>()) {}

RecordEncoder::~RecordEncoder() = default;

absl::string_view RecordEncoder::Event(absl::string_view key,
                                       const LoggedEvent& event) {
  EventRecord& record = messages_->event;
  record.Clear();
  record.set_item_id(event.item_id);
  record.set_action(event.action);
  record.set_time_us(event.time_us);
  record.set_source(event.source);
  record.set_source_sequence(event.source_sequence);
  record.mutable_features()->Add(event.features.begin(), event.features.end());
  record.set_schema(event.schema);
  record.set_catalogue_version(event.catalogue_version);
  Frame(RecordKind::kEvent, key, record, value_);
  return value_;
}

std::string EncodeEvent(absl::string_view key, const LoggedEvent& event) {
  return std::string(RecordEncoder().Event(key, event));
}

absl::StatusOr<LoggedEvent> DecodeEvent(absl::string_view key,
                                        absl::string_view value) {
  EventRecord record;
  absl::Status status = Unframe(RecordKind::kEvent, key, value, record);
  if (!status.ok()) return status;
  LoggedEvent event;
  event.item_id = record.item_id();
  event.action = std::move(*record.mutable_action());
  event.time_us = record.time_us();
  event.source = std::move(*record.mutable_source());
  event.source_sequence = record.source_sequence();
  event.features.assign(record.features().begin(), record.features().end());
  event.schema = record.schema();
  event.catalogue_version = record.catalogue_version();
  return event;
}

absl::string_view RecordEncoder::Head(absl::string_view key,
                                      const UserHead& head) {
  UserHeadRecord& record = messages_->head;
  record.Clear();
  record.set_incarnation(head.incarnation);
  record.set_last_sequence(head.last_sequence);
  record.set_last_event_time_us(head.last_event_time_us);
  if (head.first_sequence > 1) record.set_first_sequence(head.first_sequence);
  for (const auto& [source, sequence] : head.watermarks) {
    auto& watermark = *record.add_watermarks();
    watermark.set_source(source);
    watermark.set_sequence(sequence);
  }
  Frame(RecordKind::kHead, key, record, value_);
  return value_;
}

std::string EncodeHead(absl::string_view key, const UserHead& head) {
  return std::string(RecordEncoder().Head(key, head));
}

absl::StatusOr<UserHead> DecodeHead(absl::string_view key,
                                    absl::string_view value) {
  UserHeadRecord record;
  absl::Status status = Unframe(RecordKind::kHead, key, value, record);
  if (!status.ok()) return status;
  if (record.incarnation() == 0) {
    return absl::DataLossError("head with incarnation 0");
  }
  if (record.first_sequence() > record.last_sequence() + 1) {
    return absl::DataLossError(
        absl::StrCat("head of events ", record.first_sequence(), " to ",
                     record.last_sequence()));
  }
  UserHead head;
  head.first_sequence = std::max<uint64_t>(record.first_sequence(), 1);
  head.incarnation = record.incarnation();
  head.last_sequence = record.last_sequence();
  head.last_event_time_us = record.last_event_time_us();
  for (auto& watermark : *record.mutable_watermarks()) {
    head.watermarks[std::move(*watermark.mutable_source())] =
        watermark.sequence();
  }
  return head;
}

std::string EncodeSnapshot(absl::string_view key, absl::string_view fingerprint,
                           const Snapshot& snapshot) {
  SnapshotRecord record;
  record.set_fingerprint(fingerprint.data(), fingerprint.size());
  record.set_incarnation(snapshot.incarnation);
  record.set_folded_sequence(snapshot.folded_sequence);
  record.set_state(snapshot.state);
  if (snapshot.newest_event_time_us.has_value()) {
    record.set_newest_event_time_us(*snapshot.newest_event_time_us);
  }
  return Frame(RecordKind::kSnapshot, key, record);
}

absl::StatusOr<Snapshot> DecodeSnapshot(absl::string_view key,
                                        absl::string_view fingerprint,
                                        absl::string_view value) {
  SnapshotRecord record;
  absl::Status status = Unframe(RecordKind::kSnapshot, key, value, record);
  if (!status.ok()) return status;
  if (record.fingerprint() != fingerprint) {
    return absl::DataLossError(
        absl::StrCat("snapshot of another fingerprint, \"",
                     absl::CHexEscape(record.fingerprint()), "\""));
  }
  Snapshot snapshot;
  snapshot.incarnation = record.incarnation();
  snapshot.folded_sequence = record.folded_sequence();
  snapshot.state = std::move(*record.mutable_state());
  if (record.has_newest_event_time_us()) {
    snapshot.newest_event_time_us = record.newest_event_time_us();
  }
  return snapshot;
}

std::string EncodeSchema(absl::string_view key,
                         const std::vector<std::string>& event_features) {
  SchemaRecord record;
  record.mutable_event_features()->Add(event_features.begin(),
                                       event_features.end());
  return Frame(RecordKind::kSchema, key, record);
}

absl::StatusOr<std::vector<std::string>> DecodeSchema(absl::string_view key,
                                                      absl::string_view value) {
  SchemaRecord record;
  absl::Status status = Unframe(RecordKind::kSchema, key, value, record);
  if (!status.ok()) return status;
  return std::vector<std::string>(record.event_features().begin(),
                                  record.event_features().end());
}

std::string EncodeCatalogueEntry(absl::string_view key,
                                 const CatalogueEntry& entry) {
  CatalogueRecord record;
  record.set_item_id(entry.item_id);
  record.set_item_key(entry.item_key);
  record.set_title(entry.title);
  record.set_removed(entry.removed);
  record.set_fingerprint(entry.fingerprint);
  record.mutable_embedding()->Add(entry.embedding.begin(),
                                  entry.embedding.end());
  record.set_bias(entry.bias);
  for (const auto& [name, values] : entry.attributes) {
    CatalogueRecord::Attribute& attribute = *record.add_attributes();
    attribute.set_name(name);
    attribute.mutable_values()->Add(values.begin(), values.end());
  }
  for (const auto& [name, value] : entry.numbers) {
    CatalogueRecord::Number& number = *record.add_numbers();
    number.set_name(name);
    number.set_value(value);
  }
  if (entry.change.has_value()) {
    CatalogueRecord::Change& change = *record.mutable_change();
    change.set_request_id(entry.change->request_id);
    change.set_digest(entry.change->digest);
    change.set_changed(entry.change->changed);
    change.set_unchanged(entry.change->unchanged);
  }
  return Frame(RecordKind::kCatalogueEntry, key, record);
}

absl::StatusOr<CatalogueEntry> DecodeCatalogueEntry(absl::string_view key,
                                                    absl::string_view value) {
  CatalogueRecord record;
  absl::Status status =
      Unframe(RecordKind::kCatalogueEntry, key, value, record);
  if (!status.ok()) return status;
  CatalogueEntry entry;
  entry.item_id = record.item_id();
  entry.item_key = std::move(*record.mutable_item_key());
  entry.title = std::move(*record.mutable_title());
  entry.removed = record.removed();
  entry.fingerprint = std::move(*record.mutable_fingerprint());
  entry.embedding.assign(record.embedding().begin(), record.embedding().end());
  entry.bias = record.bias();
  for (const CatalogueRecord::Attribute& attribute : record.attributes()) {
    entry.attributes[attribute.name()].assign(attribute.values().begin(),
                                              attribute.values().end());
  }
  for (const CatalogueRecord::Number& number : record.numbers()) {
    entry.numbers[number.name()] = number.value();
  }
  if (record.has_change()) {
    const CatalogueRecord::Change& change = record.change();
    entry.change = {change.request_id(), change.digest(), change.changed(),
                    change.unchanged()};
  }
  return entry;
}

std::string EncodeErasure(absl::string_view key, const StoredErasure& erasure) {
  ErasureRecord record;
  record.set_user_digest(erasure.user_digest);
  record.set_time_us(erasure.note.time_us);
  record.set_principal(erasure.note.principal);
  record.set_reason(erasure.note.reason);
  record.set_events(erasure.events);
  record.set_key_prefix(erasure.key_prefix);
  return Frame(RecordKind::kErasure, key, record);
}

absl::StatusOr<StoredErasure> DecodeErasure(absl::string_view key,
                                            absl::string_view value) {
  ErasureRecord record;
  absl::Status status = Unframe(RecordKind::kErasure, key, value, record);
  if (!status.ok()) return status;
  StoredErasure erasure;
  erasure.user_digest = std::move(*record.mutable_user_digest());
  erasure.note.time_us = record.time_us();
  erasure.note.principal = std::move(*record.mutable_principal());
  erasure.note.reason = std::move(*record.mutable_reason());
  erasure.events = record.events();
  erasure.key_prefix = std::move(*record.mutable_key_prefix());
  return erasure;
}

std::string EncodeMark(absl::string_view key, absl::string_view value) {
  MarkRecord record;
  record.set_value(value.data(), value.size());
  return Frame(RecordKind::kMark, key, record);
}

absl::StatusOr<std::string> DecodeMark(absl::string_view key,
                                       absl::string_view value) {
  MarkRecord record;
  absl::Status status = Unframe(RecordKind::kMark, key, value, record);
  if (!status.ok()) return status;
  return std::move(*record.mutable_value());
}

std::string EncodeSourceMark(absl::string_view key, const SourceMark& mark) {
  SourceMarkRecord record;
  record.set_complete_through(mark.complete_through);
  record.set_note(mark.note);
  return Frame(RecordKind::kSourceMark, key, record);
}

absl::StatusOr<SourceMark> DecodeSourceMark(absl::string_view key,
                                            absl::string_view value) {
  SourceMarkRecord record;
  absl::Status status = Unframe(RecordKind::kSourceMark, key, value, record);
  if (!status.ok()) return status;
  if (record.complete_through() == 0) {
    return absl::DataLossError("mark of a source at 0");
  }
  return SourceMark{record.complete_through(),
                    std::move(*record.mutable_note())};
}

}  // namespace qlarank
