// Whether what is wanted of an item can become an entry of the catalogue's log,
// by the models that are served. Room is another matter (live_catalogue.h).
#ifndef QLARANK_SERVER_CATALOGUE_ENTRY_CHECK_H_
#define QLARANK_SERVER_CATALOGUE_ENTRY_CHECK_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "model/engine.h"
#include "state_store/catalogue_log.h"

namespace qlarank {

// `place`: in its request, for messages, which name the field and the value.
// `in_log`: whether the catalogue's log says anything of the item yet.
//
// INVALID_ARGUMENT     an embedding that a model cannot take, or an attribute or
//                      a number that no model asks for
// FAILED_PRECONDITION  an embedding of an item that its model's bundle has, or
//                      content that no model makes a row of
// NOT_FOUND            a removal or a title alone, of an item that nobody knows
absl::Status CheckEntry(const CatalogueEntry& entry, size_t place, bool in_log,
                        absl::Span<const Engine* const> engines);

}  // namespace qlarank

#endif  // QLARANK_SERVER_CATALOGUE_ENTRY_CHECK_H_
