// What the commands of qlarank items share; one file has each of them, and
// items_command.cc their options.
#ifndef QLARANK_CLI_ITEMS_H_
#define QLARANK_CLI_ITEMS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "cli/command.h"
#include "cli/item_file.h"
#include "cli/item_key.h"

namespace qlarank {

// A server takes 10,000 items and 4 MiB in a request, unless it is told
// otherwise.
inline constexpr uint32_t kMostBatchItems = 10'000;
inline constexpr size_t kBatchBytes = 2 << 20;

struct ItemOptions {
  std::string file;
  std::vector<std::string> items;
  std::string model;
  ItemColumns columns;
  uint32_t batch = 1000;
  bool skip_known = false;
  bool validate_only = false;
  std::string request_id;
  uint64_t limit = 0;
};

// Of the requests of a command, the first of which has number 1.
inline std::string RequestId(const ItemOptions& options, uint64_t number) {
  if (options.request_id.empty()) return "";
  return absl::StrCat(options.request_id, "/", number);
}

absl::StatusOr<ExitCode> UpsertItems(CommandContext& context,
                                     const ItemOptions& options);
absl::StatusOr<ExitCode> RemoveItems(CommandContext& context,
                                     const ItemOptions& options);
absl::StatusOr<ExitCode> ListItems(CommandContext& context,
                                   const ItemOptions& options);

// What became of items so far.
struct ItemTally {
  uint64_t changed = 0;
  uint64_t unchanged = 0;
  uint64_t skipped = 0;
  uint64_t requests = 0;
  uint64_t version = 0;
};

// `became`: upserted or removed.
void PrintTally(absl::string_view became, const ItemTally& tally,
                const ItemOptions& options, CommandContext& context);

// Adds the items of the command line, all of them, to a request for such.
template <typename Request>
absl::Status AddItems(const std::vector<std::string>& items, ItemKeys keys,
                      Request& request) {
  for (const std::string& text : items) {
    const absl::StatusOr<uint64_t> id = ParseItem(text, keys);
    if (!id.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("item \"", text, "\" ", id.status().message()));
    }
    if (keys == ItemKeys::kTexts) {
      request.add_item_keys(text);
    } else {
      request.add_item_ids(*id);
    }
  }
  return absl::OkStatus();
}

}  // namespace qlarank

#endif  // QLARANK_CLI_ITEMS_H_
