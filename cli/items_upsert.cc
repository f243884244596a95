// qlarank items upsert: the items of a file, some in a request.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/items.h"
#include "cli/named_model.h"
#include "cli/progress.h"

namespace qlarank {
namespace {

class Upsert {
 public:
  Upsert(CommandContext& context, const ItemOptions& options)
      : context_(context),
        options_(options),
        client_(context.ConnectAdmin()),
        progress_(context.err, {.terminal = context.err_is_terminal,
                                .label = "upserting",
                                .unit = "items"}) {}

  absl::StatusOr<ExitCode> Run();

 private:
  // Takes out of the request the items that a model has already.
  absl::Status SkipKnown();
  absl::Status Send();
  // Where to go on after a failure; what was sent may be sent again.
  absl::Status Failed(const absl::Status& status) const {
    return absl::Status(
        status.code(),
        absl::StrCat(status.message(), " (", options_.file, ", lines ",
                     first_line_, " to ", last_line_,
                     options_.validate_only ? ")"
                                            : "; those before are upserted)"));
  }

  CommandContext& context_;
  const ItemOptions& options_;
  const Client client_;
  Progress progress_;
  v1::UpsertItemsRequest request_;
  uint64_t first_line_ = 0;  // of the request
  uint64_t last_line_ = 0;
  ItemTally tally_;
};

absl::Status Upsert::SkipKnown() {
  v1::GetItemsRequest asked;
  for (const v1::UpsertedItem& item : request_.items()) {
    if (item.item_key().empty()) {
      asked.add_item_ids(item.item_id());
    } else {
      asked.add_item_keys(item.item_key());
    }
  }
  const auto known = client_.GetItems(asked);
  if (!known.ok()) return known.status();
  std::vector<uint64_t> ids;
  for (const v1::CatalogueItem& item : known->items()) {
    if (item.known_to_size() > 0) ids.push_back(item.item_id());
  }
  std::sort(ids.begin(), ids.end());
  auto& items = *request_.mutable_items();
  const auto is_known = [&](const v1::UpsertedItem& item) {
    // It was parsed before: texts have ids, too.
    const auto id = item.item_key().empty()
                        ? absl::StatusOr<uint64_t>(item.item_id())
                        : ParseItem(item.item_key(), ItemKeys::kTexts);
    return id.ok() && std::binary_search(ids.begin(), ids.end(), *id);
  };
  const auto kept = std::remove_if(items.begin(), items.end(), is_known);
  tally_.skipped += items.end() - kept;
  items.erase(kept, items.end());
  return absl::OkStatus();
}

absl::Status Upsert::Send() {
  if (request_.items().empty()) return absl::OkStatus();
  if (options_.skip_known) {
    if (absl::Status s = SkipKnown(); !s.ok()) return Failed(s);
  }
  if (!request_.items().empty()) {
    request_.set_request_id(RequestId(options_, ++tally_.requests));
    const auto response = client_.UpsertItems(request_);
    if (!response.ok()) return Failed(response.status());
    tally_.changed += response->upserted();
    tally_.unchanged += response->unchanged();
    tally_.version = response->catalogue_version();
  }
  request_.clear_items();
  return absl::OkStatus();
}

absl::StatusOr<ExitCode> Upsert::Run() {
  if (options_.skip_known && !options_.request_id.empty()) {
    return absl::InvalidArgumentError(
        "--request-id: does not go with --skip-known, which leaves out what "
        "was sent before");
  }
  const auto model = ParseNamedModel(options_.model);
  if (!model.ok()) return model.status();
  request_.set_model_name(model->name);
  request_.set_model_version(model->version);
  request_.set_validate_only(options_.validate_only);
  const auto file = ItemFile::Open(options_.file, options_.columns);
  if (!file.ok()) return file.status();
  v1::UpsertedItem item;
  size_t bytes = 0;
  for (uint64_t count = 0;; ++count) {
    const absl::StatusOr<bool> read = (*file)->Read(item);
    const bool full = request_.items_size() >= static_cast<int>(options_.batch) ||
                      bytes >= kBatchBytes;
    if (!read.ok() || !*read || full) {
      if (absl::Status s = Send(); !s.ok()) {
        progress_.Clear();
        return s;
      }
      bytes = 0;
      progress_.Update((*file)->fraction(), count);
    }
    if (!read.ok() || !*read) {
      progress_.Clear();
      if (!read.ok()) return read.status();
      break;
    }
    last_line_ = (*file)->line();
    if (request_.items().empty()) first_line_ = last_line_;
    bytes += item.ByteSizeLong();
    *request_.add_items() = std::move(item);
  }
  PrintTally("upserted", tally_, options_, context_);
  return ExitCode::kOk;
}

}  // namespace

absl::StatusOr<ExitCode> UpsertItems(CommandContext& context,
                                     const ItemOptions& options) {
  return Upsert(context, options).Run();
}

}  // namespace qlarank
