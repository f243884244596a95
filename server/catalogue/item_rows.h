// Which row a catalogue entry makes for a model: a function of the entry and the
// model's bundle alone, so that a model has the same rows whenever it is loaded.
#ifndef QLARANK_SERVER_CATALOGUE_ITEM_ROWS_H_
#define QLARANK_SERVER_CATALOGUE_ITEM_ROWS_H_

#include <optional>

#include "model/content_tower.h"
#include "model/engine.h"
#include "state_store/catalogue_log.h"

namespace qlarank {

// Whether it says what content towers make rows of.
bool HasContent(const CatalogueEntry& entry);

// Whether models of the bundle have a content tower.
bool MakesRowsOfContent(const Bundle& bundle);

// Whether the entry makes a row for models of the bundle: an embedding does for
// those of its fingerprint, and content for those that make rows of it and do not
// have the item.
bool Concerns(const CatalogueEntry& entry, const Bundle& bundle);

// nullopt where it does not concern the model.
std::optional<ContentTower::Row> RowOf(const CatalogueEntry& entry,
                                       const Engine& engine);

}  // namespace qlarank

#endif  // QLARANK_SERVER_CATALOGUE_ITEM_ROWS_H_
