#include "model/item_key.h"

#include <xxhash.h>

namespace qlarank {

uint64_t ItemIdOfKey(absl::string_view key) {
  return XXH64(key.data(), key.size(), /*seed=*/0);
}

}  // namespace qlarank
