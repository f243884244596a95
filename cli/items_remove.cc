// qlarank items remove: items of the command line, or of a file.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/items.h"
#include "cli/progress.h"

namespace qlarank {
namespace {

absl::Status RemoveSome(const Client& client, const ItemOptions& options,
                        const std::vector<std::string>& items, ItemTally& tally) {
  v1::RemoveItemsRequest request;
  request.set_validate_only(options.validate_only);
  request.set_request_id(RequestId(options, ++tally.requests));
  absl::Status status =
      AddItems(items, options.columns.item.keys, request);
  if (!status.ok()) return status;
  const auto response = client.RemoveItems(request);
  if (!response.ok()) return response.status();
  tally.changed += response->removed();
  tally.unchanged += response->unchanged();
  tally.version = response->catalogue_version();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ExitCode> RemoveItems(CommandContext& context,
                                     const ItemOptions& options) {
  std::vector<std::string> items = options.items;
  if (items.empty() == options.file.empty()) {
    return absl::InvalidArgumentError("give items, or --from FILE");
  }
  const Client client = context.ConnectAdmin();
  ItemTally tally;
  if (options.file.empty()) {
    absl::Status status = RemoveSome(client, options, items, tally);
    if (!status.ok()) return status;
    PrintTally("removed", tally, options, context);
    return ExitCode::kOk;
  }
  const auto file = ItemFile::Open(options.file, options.columns);
  if (!file.ok()) return file.status();
  Progress progress(context.err, {.terminal = context.err_is_terminal,
                                  .label = "removing",
                                  .unit = "items"});
  v1::UpsertedItem item;
  for (uint64_t count = 0;; ++count) {
    const absl::StatusOr<bool> read = (*file)->Read(item);
    if (!read.ok()) return read.status();
    if (!items.empty() && (!*read || items.size() >= options.batch)) {
      absl::Status status = RemoveSome(client, options, items, tally);
      if (!status.ok()) return status;
      items.clear();
      progress.Update((*file)->fraction(), count);
    }
    if (!*read) break;
    items.push_back(item.item_key().empty() ? absl::StrCat(item.item_id())
                                            : item.item_key());
  }
  progress.Clear();
  PrintTally("removed", tally, options, context);
  return ExitCode::kOk;
}

}  // namespace qlarank
