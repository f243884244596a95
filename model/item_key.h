// Items that are known by a text: a SKU, a URL.
#ifndef QLARANK_MODEL_ITEM_KEY_H_
#define QLARANK_MODEL_ITEM_KEY_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace qlarank {

// The id of such an item, to models, states and logs: XXH64 of its bytes with
// seed 0 (docs/api.md, Text keys).
uint64_t ItemIdOfKey(absl::string_view key);

}  // namespace qlarank

#endif  // QLARANK_MODEL_ITEM_KEY_H_
