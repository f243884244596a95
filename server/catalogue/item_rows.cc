#include "server/catalogue/item_rows.h"

namespace qlarank {

bool HasContent(const CatalogueEntry& entry) {
  return !entry.attributes.empty() || !entry.numbers.empty();
}

bool MakesRowsOfContent(const Bundle& bundle) {
  const model::v1::ModelSpec& spec = bundle.spec();
  return spec.item_attributes_size() > 0 || spec.item_numbers_size() > 0;
}

bool Concerns(const CatalogueEntry& entry, const Bundle& bundle) {
  if (!entry.embedding.empty()) {
    return entry.fingerprint == bundle.fingerprint();
  }
  return HasContent(entry) && MakesRowsOfContent(bundle) &&
         bundle.ItemRow(entry.item_id) == Bundle::kOutOfVocabularyRow;
}

std::optional<ContentTower::Row> RowOf(const CatalogueEntry& entry,
                                       const Engine& engine) {
  if (!Concerns(entry, engine.bundle())) return std::nullopt;
  if (!entry.embedding.empty()) {
    return ContentTower::Row{entry.embedding, entry.bias};
  }
  ItemContent content;
  content.attributes.insert(entry.attributes.begin(), entry.attributes.end());
  content.numbers.insert(entry.numbers.begin(), entry.numbers.end());
  return engine.content_tower()->MakeRow(content);
}

}  // namespace qlarank
