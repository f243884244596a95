// What the catalogue's log says of each item now. Not thread-safe.
#ifndef QLARANK_SERVER_CATALOGUE_KNOWN_ITEMS_H_
#define QLARANK_SERVER_CATALOGUE_KNOWN_ITEMS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/strings/string_view.h"
#include "state_store/catalogue_log.h"

namespace qlarank {

struct KnownItem {
  std::string key;
  std::string title;
  uint64_t first_version = 0;
  uint64_t last_version = 0;
  bool removed = false;
  // Version of the newest entry with an embedding, by the fingerprint that it
  // is for; or with what content towers make rows of, by "".
  std::map<std::string, uint64_t> contents;
};

class KnownItems {
 public:
  void Take(const CatalogueEntry& entry);

  // Null when the log says nothing of it.
  const KnownItem* Find(uint64_t item_id) const;

  // At most `limit` of them behind an id, in order of ids; from the first on
  // where `after` is null. Borrows.
  using Listed = std::pair<uint64_t, const KnownItem*>;
  std::vector<Listed> Behind(const uint64_t* after, size_t limit) const;
  std::vector<uint64_t> Removed() const;

  // Versions of the entries with embeddings for a fingerprint; with what content
  // towers make rows of, for "". In their order.
  std::vector<uint64_t> VersionsFor(absl::string_view fingerprint) const;

 private:
  absl::btree_map<uint64_t, KnownItem> items_;
  absl::btree_map<std::string, std::vector<uint64_t>> versions_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_CATALOGUE_KNOWN_ITEMS_H_
