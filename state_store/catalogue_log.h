// The catalogue's log: what became of items since their models were trained,
// append-only. Which rows a model has follows from its bundle and this log
// alone, so nothing in it is ever changed.
//
// Consistency: AppendEntries has one caller at a time; everything else may be
// called from any thread at any time. A reader sees a whole append or nothing of
// it.
//
// Errors: DATA_LOSS, naming the version, for an entry that is damaged or
// missing; UNAVAILABLE when the disk fails.
#ifndef QLARANK_STATE_STORE_CATALOGUE_LOG_H_
#define QLARANK_STATE_STORE_CATALOGUE_LOG_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace qlarank {

// A change that its caller named.
struct NamedChange {
  std::string request_id;
  std::string digest;  // of all that was asked for
  // Items of which something new was said, and the others.
  uint64_t changed = 0;
  uint64_t unchanged = 0;

  bool operator==(const NamedChange&) const = default;
};

// One upsert of an item, or its removal.
struct CatalogueEntry {
  // Of the catalogue, with it: the first entry has 1, each next one 1 more.
  uint64_t version = 0;
  uint64_t item_id = 0;
  std::string item_key;  // that the id stands for; "": the item has none
  std::string title;
  bool removed = false;
  // Of the bundle that the embedding is for, as it names itself; "" without one.
  std::string fingerprint;
  std::vector<float> embedding;
  float bias = 0;
  // What content towers make rows of, by name.
  std::map<std::string, std::vector<std::string>> attributes;
  std::map<std::string, double> numbers;
  // That this is the last entry of.
  std::optional<NamedChange> change;

  friend bool operator==(const CatalogueEntry&,
                         const CatalogueEntry&) = default;
};

class CatalogueLog {
 public:
  virtual ~CatalogueLog() = default;

  // Appends all of them in one atomic batch. Blocks until they are durable.
  // After UNAVAILABLE it is unknown whether they will be found after a restart:
  // ask for the newest version again.
  //
  // FAILED_PRECONDITION, and nothing is appended, unless their versions continue
  // the log.
  virtual absl::Status AppendEntries(
      absl::Span<const CatalogueEntry> entries) = 0;

  // At most `limit` entries from this version (>= 1) on, in order. Empty where
  // there are none.
  virtual absl::StatusOr<std::vector<CatalogueEntry>> ReadEntries(
      uint64_t from_version, size_t limit) const = 0;

  // Of the newest entry; 0: there is none.
  virtual absl::StatusOr<uint64_t> NewestCatalogueVersion() const = 0;
};

}  // namespace qlarank

#endif  // QLARANK_STATE_STORE_CATALOGUE_LOG_H_
