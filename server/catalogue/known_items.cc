#include "server/catalogue/known_items.h"

#include "server/catalogue/item_rows.h"

namespace qlarank {

void KnownItems::Take(const CatalogueEntry& entry) {
  KnownItem& item = items_[entry.item_id];
  if (item.first_version == 0) item.first_version = entry.version;
  item.last_version = entry.version;
  item.removed = entry.removed;
  if (!entry.item_key.empty()) item.key = entry.item_key;
  if (!entry.title.empty()) item.title = entry.title;
  if (!entry.embedding.empty() || HasContent(entry)) {
    item.contents[entry.fingerprint] = entry.version;
    versions_[entry.fingerprint].push_back(entry.version);
  }
}

const KnownItem* KnownItems::Find(uint64_t item_id) const {
  const auto found = items_.find(item_id);
  return found == items_.end() ? nullptr : &found->second;
}

std::vector<KnownItems::Listed> KnownItems::Behind(const uint64_t* after,
                                                   size_t limit) const {
  std::vector<Listed> listed;
  auto it = after == nullptr ? items_.begin() : items_.upper_bound(*after);
  for (; it != items_.end() && listed.size() < limit; ++it) {
    listed.emplace_back(it->first, &it->second);
  }
  return listed;
}

std::vector<uint64_t> KnownItems::Removed() const {
  std::vector<uint64_t> removed;
  for (const auto& [item_id, known] : items_) {
    if (known.removed) removed.push_back(item_id);
  }
  return removed;
}

std::vector<uint64_t> KnownItems::VersionsFor(
    absl::string_view fingerprint) const {
  const auto found = versions_.find(fingerprint);
  return found == versions_.end() ? std::vector<uint64_t>() : found->second;
}

}  // namespace qlarank
