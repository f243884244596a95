// Items as people write them: as whole numbers, or as texts of any kind.
#ifndef QLARANK_CLI_ITEM_KEY_H_
#define QLARANK_CLI_ITEM_KEY_H_

#include <cstdint>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace qlarank {

enum class ItemKeys { kNumbers, kTexts };

// A column of items.
struct ItemColumn {
  std::string name = "item";
  ItemKeys keys = ItemKeys::kNumbers;
};

// Declares --item-keys, which writes to `keys`.
void AddItemKeysOption(CLI::App* app, ItemKeys& keys);

// The id of an item as it is written. INVALID_ARGUMENT says what is wrong, to
// come after the text itself.
absl::StatusOr<uint64_t> ParseItem(absl::string_view text, ItemKeys keys);

}  // namespace qlarank

#endif  // QLARANK_CLI_ITEM_KEY_H_
