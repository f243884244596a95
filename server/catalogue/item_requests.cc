#include "server/catalogue/item_requests.h"

#include <cmath>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "model/item_key.h"
#include "server/models/load_engine.h"
#include "server/work/field_error.h"

namespace qlarank {
namespace {

absl::Status CheckCount(absl::string_view field, size_t count) {
  if (count >= 1 && count <= kMostItems) return absl::OkStatus();
  return FieldError(field, absl::StrCat(count, " items"),
                    absl::StrCat("must be 1 to ", kMostItems));
}

absl::Status CheckText(absl::string_view field, absl::string_view text) {
  if (text.size() <= kMostItemTextBytes) return absl::OkStatus();
  return FieldError(field, Quoted(text),
                    absl::StrCat("must be at most ", kMostItemTextBytes,
                                 " bytes"));
}

absl::Status CheckKey(const v1::UpsertedItem& item, const LoadedModel& model) {
  const std::string label = ModelLabel(model.name, model.version);
  if (!model.items_are_texts) {
    if (item.item_key().empty()) return absl::OkStatus();
    return FieldError("item_key", Quoted(item.item_key()),
                      absl::StrCat(label, " knows items by numbers"));
  }
  if (item.item_key().empty()) {
    return FieldError("item_key", "\"\"",
                      absl::StrCat(label, " knows items by texts"));
  }
  if (item.item_id() != 0) {
    return FieldError("item_id", item.item_id(),
                      "there is an item_key, too: give one of them");
  }
  return CheckText("item_key", item.item_key());
}

absl::Status CheckContents(const v1::UpsertedItem& item) {
  const bool has_content = item.attributes_size() + item.numbers_size() > 0;
  if (has_content && item.embedding_size() > 0) {
    return FieldError("embedding",
                      absl::StrCat(item.embedding_size(), " values"),
                      "there are attributes or numbers, too: give an "
                      "embedding, or what a model makes one of");
  }
  if (item.bias() != 0 && item.embedding().empty()) {
    return FieldError("bias", item.bias(), "has no embedding beside it");
  }
  for (const auto& [name, number] : item.numbers()) {
    if (!std::isfinite(number)) {
      return FieldError(absl::StrCat("numbers[", Quoted(name), "]"), number,
                        "must be finite");
    }
  }
  return CheckText("title", item.title());
}

CatalogueEntry EntryOf(const v1::UpsertedItem& item, const LoadedModel& model) {
  CatalogueEntry entry;
  entry.item_key = item.item_key();
  entry.item_id =
      item.item_key().empty() ? item.item_id() : ItemIdOfKey(item.item_key());
  entry.title = item.title();
  if (!item.embedding().empty()) {
    entry.fingerprint = model.bundle().fingerprint();
  }
  entry.embedding.assign(item.embedding().begin(), item.embedding().end());
  entry.bias = item.bias();
  for (const auto& [name, values] : item.attributes()) {
    entry.attributes[name].assign(values.values().begin(),
                                  values.values().end());
  }
  entry.numbers.insert(item.numbers().begin(), item.numbers().end());
  return entry;
}

// The ids of a request that has either ids or keys.
template <typename Request>
absl::StatusOr<std::vector<uint64_t>> RequestedIds(const Request& request) {
  if (!request.item_ids().empty() && !request.item_keys().empty()) {
    return FieldError("item_keys",
                      absl::StrCat(request.item_keys_size(), " keys"),
                      "there are item_ids, too: give one of them");
  }
  std::vector<uint64_t> ids(request.item_ids().begin(),
                            request.item_ids().end());
  for (const std::string& key : request.item_keys()) {
    ids.push_back(ItemIdOfKey(key));
  }
  absl::Status status = CheckCount("item_ids", ids.size());
  if (!status.ok()) return status;
  return ids;
}

absl::Status CheckOnce(absl::Span<const CatalogueEntry> entries,
                       absl::string_view field) {
  absl::flat_hash_map<uint64_t, size_t> places;
  for (size_t i = 0; i < entries.size(); ++i) {
    const auto [place, is_first] = places.emplace(entries[i].item_id, i);
    if (is_first) continue;
    return FieldError(
        absl::StrCat(field, "[", i, "]"),
        entries[i].item_key.empty() ? absl::StrCat(entries[i].item_id)
                                    : Quoted(entries[i].item_key),
        absl::StrCat("is there twice, first at ", place->second));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<CatalogueEntry>> EntriesOf(
    const v1::UpsertItemsRequest& request, const LoadedModel& model) {
  absl::Status status = CheckCount("items", request.items_size());
  if (!status.ok()) return status;
  std::vector<CatalogueEntry> entries;
  entries.reserve(request.items_size());
  for (int i = 0; i < request.items_size(); ++i) {
    const v1::UpsertedItem& item = request.items(i);
    status = CheckKey(item, model);
    if (status.ok()) status = CheckContents(item);
    if (!status.ok()) return Within(absl::StrCat("items[", i, "]."), status);
    entries.push_back(EntryOf(item, model));
  }
  status = CheckOnce(entries, "items");
  if (!status.ok()) return status;
  return entries;
}

absl::StatusOr<std::vector<CatalogueEntry>> EntriesOf(
    const v1::RemoveItemsRequest& request) {
  const auto ids = RequestedIds(request);
  if (!ids.ok()) return ids.status();
  std::vector<CatalogueEntry> entries(ids->size());
  for (size_t i = 0; i < ids->size(); ++i) {
    entries[i].item_id = (*ids)[i];
    entries[i].removed = true;
  }
  absl::Status status = CheckOnce(entries, "item_ids");
  if (!status.ok()) return status;
  return entries;
}

absl::StatusOr<std::vector<uint64_t>> IdsOf(
    const v1::GetItemsRequest& request) {
  return RequestedIds(request);
}

}  // namespace qlarank
