// The items of a model while it is served: the bundle's, and those that were
// added since (docs/model.md section 14).
//
// Rows are only ever appended: each Add makes the next one, behind the bundle's.
// An item has as many as it was added times, and one in the bundle if that
// knows it. Candidates take the newest; events the newest of those that were
// there when the event was logged, by catalogue version; and item memory goes
// by an item's first row, its identity, so that facts outlive an embedding.
//
// Thread safety: one writer at a time, any number of readers, without locks. A
// row can be seen once all that there is to know of it can. Lives as long as
// its Engine.
#ifndef QLARANK_MODEL_CATALOGUE_H_
#define QLARANK_MODEL_CATALOGUE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "model/added_items.h"
#include "model/bundle.h"
#include "model/item_table.h"
#include "model/removed_rows.h"

namespace qlarank {

class Catalogue {
 public:
  // No value of an embedding, and no bias, may be larger in magnitude: trained
  // ones are below 10, and the engine's sums stay finite.
  static constexpr float kMostMagnitude = 1e6f;

  // The bundle and the table, which gets what candidates need of added rows,
  // outlive this.
  Catalogue(const Bundle& bundle, size_t most_added_rows, ItemTable& table);

  // What `most_added_rows` of a model may take in memory, all tables together,
  // beside ItemTable::Bytes; it is taken as they come.
  static uint64_t MostBytes(const model::v1::ModelSpec& spec,
                            uint64_t most_added_rows,
                            uint64_t most_share_bytes);

  // The item's newest row, Bundle::kOutOfVocabularyRow if it is unknown; and
  // those of many at once, into a span as long, which is much faster.
  uint32_t Row(uint64_t item_id) const;
  void Rows(absl::Span<const uint64_t> item_ids,
            absl::Span<uint32_t> rows) const;

  // The row that the item had at a catalogue version: the newest that was added
  // with it or before, else the bundle's, else kOutOfVocabularyRow.
  uint32_t RowAsOf(uint64_t item_id, uint64_t version) const;

  // The first row of the item that has this one.
  uint32_t Identity(uint32_t row) const {
    return row < first_added_ ? row : added_.identity(row);
  }

  // All rows that there are, the out-of-vocabulary row one of them: each row is
  // below it.
  size_t num_rows() const { return first_added_ + added_.num_rows(); }
  // Rows that were added, items that have one, and rows that still can be.
  size_t num_added_rows() const { return added_.num_rows(); }
  size_t num_added_items() const { return added_.num_items(); }
  size_t room() const { return added_.most_rows() - added_.num_rows(); }

  // Whether any item is removed, and whether that of a row is: never the
  // out-of-vocabulary row's.
  bool any_removed() const { return removed_.count() > 0; }
  bool IsRemoved(uint32_t row) const { return removed_.Has(Identity(row)); }

  // Whether Add would take it, room and version apart: INVALID_ARGUMENT naming
  // the field and the value.
  absl::Status Check(absl::Span<const float> embedding, float bias) const;

  // Appends a row for the item. Does not bring back one that is removed.
  //
  // INVALID_ARGUMENT     as Check
  // FAILED_PRECONDITION  the version is not above that of the last Add
  // RESOURCE_EXHAUSTED   no room
  absl::Status Add(uint64_t item_id, uint64_t version,
                   absl::Span<const float> embedding, float bias);

  // Removes an item, or brings it back; nothing if it is unknown.
  void SetRemoved(uint64_t item_id, bool removed);

 private:
  const Bundle& bundle_;
  const uint32_t first_added_;  // the row behind the bundle's
  ItemTable& table_;
  AddedItems added_;
  RemovedRows removed_;
};

}  // namespace qlarank

#endif  // QLARANK_MODEL_CATALOGUE_H_
