// How messages name stored records: what is wrong comes from records.h or from
// the disk, who is concerned from here. Thread-safe: pure functions.
#ifndef QLARANK_STATE_STORE_RECORD_NAMES_H_
#define QLARANK_STATE_STORE_RECORD_NAMES_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace qlarank {

// 'event 7 of user "ada"' and so on; user ids as QuotedUser gives them.
std::string EventName(absl::string_view user_id, uint64_t sequence);
std::string HeadName(absl::string_view user_id);
std::string SnapshotName(absl::string_view fingerprint,
                         absl::string_view user_id);

std::string CatalogueEntryName(uint64_t version);
std::string SourceMarkName(absl::string_view source);
std::string MarkName(absl::string_view name);

// The status with "<name>: " before its message. REQUIRES: not OK.
absl::Status Prefixed(absl::string_view name, const absl::Status& status);

}  // namespace qlarank

#endif  // QLARANK_STATE_STORE_RECORD_NAMES_H_
