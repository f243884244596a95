#include "server/catalogue/item_calls.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/catalogue/item_requests.h"
#include "server/ops/logging.h"
#include "server/work/field_error.h"

namespace qlarank {
namespace {

constexpr uint32_t kDefaultPage = 1000;

void LogChange(absl::string_view change,
               const LiveCatalogue::Outcome& outcome) {
  if (outcome.changed == 0) return;
  LogInfo("items of the catalogue", {{"change", change},
                                     {"items", outcome.changed},
                                     {"catalogue_version", outcome.version}});
}

}  // namespace

template <typename Request>
absl::StatusOr<LiveCatalogue::Outcome> ItemCalls::Change(
    const Request& request, std::vector<CatalogueEntry> entries) {
  const auto asked = AskedFor(request);
  if (!asked.ok()) return asked.status();
  if (request.validate_only()) return catalogue_.TryOut(std::move(entries));
  return catalogue_.Change(std::move(entries), *asked);
}

absl::Status ItemCalls::Upsert(const v1::UpsertItemsRequest& request,
                               v1::UpsertItemsResponse& response) {
  const auto model = models_.Current()->ResolveFor(request);
  if (!model.ok()) return model.status();
  absl::StatusOr<std::vector<CatalogueEntry>> entries;
  aside_.Run([&] { entries = EntriesOf(request, **model); });
  if (!entries.ok()) return entries.status();
  const auto outcome = Change(request, *std::move(entries));
  if (!outcome.ok()) return outcome.status();
  response.set_upserted(outcome->changed);
  response.set_unchanged(outcome->unchanged);
  response.set_catalogue_version(outcome->version);
  if (request.validate_only() || outcome->repeated) return absl::OkStatus();
  LogChange("upserted", *outcome);
  metrics_.upserted.Increment(static_cast<double>(outcome->changed));
  metrics_.unchanged.Increment(static_cast<double>(outcome->unchanged));
  return absl::OkStatus();
}

absl::Status ItemCalls::Remove(const v1::RemoveItemsRequest& request,
                               v1::RemoveItemsResponse& response) {
  auto entries = EntriesOf(request);
  if (!entries.ok()) return entries.status();
  const auto outcome = Change(request, *std::move(entries));
  if (!outcome.ok()) return outcome.status();
  response.set_removed(outcome->changed);
  response.set_unchanged(outcome->unchanged);
  response.set_catalogue_version(outcome->version);
  if (request.validate_only() || outcome->repeated) return absl::OkStatus();
  LogChange("removed", *outcome);
  metrics_.removed.Increment(static_cast<double>(outcome->changed));
  metrics_.unchanged.Increment(static_cast<double>(outcome->unchanged));
  return absl::OkStatus();
}

v1::CatalogueItem ItemCalls::Describe(uint64_t item_id,
                                      const KnownItem& known) const {
  v1::CatalogueItem item;
  item.set_item_id(item_id);
  item.set_item_key(known.key);
  item.set_title(known.title);
  if (known.title.empty()) {
    item.set_title(std::string(
        models_.Current()->default_model()->bundle().Title(item_id)));
  }
  item.set_first_version(known.first_version);
  item.set_last_version(known.last_version);
  item.set_removed(known.removed);
  for (const auto& [name, version] : catalogue_.KnownTo(item_id)) {
    v1::CatalogueItem::ModelVersion& model = *item.add_known_to();
    model.set_model_name(name);
    model.set_model_version(version);
  }
  return item;
}

absl::Status ItemCalls::Get(const v1::GetItemsRequest& request,
                            v1::GetItemsResponse& response) {
  const auto ids = IdsOf(request);
  if (!ids.ok()) return ids.status();
  for (const uint64_t id : *ids) {
    const std::optional<KnownItem> known = catalogue_.Find(id);
    v1::CatalogueItem item = Describe(id, known.value_or(KnownItem()));
    if (known.has_value() || item.known_to_size() > 0) {
      *response.add_items() = std::move(item);
    }
  }
  return absl::OkStatus();
}

absl::Status ItemCalls::List(const v1::ListItemsRequest& request,
                             v1::ListItemsResponse& response) {
  uint64_t after = 0;
  const bool is_first = request.page_token().empty();
  if (!is_first && !absl::SimpleAtoi(request.page_token(), &after)) {
    return FieldError("page_token", Quoted(request.page_token()),
                      "is not of a reply");
  }
  const size_t size = std::min<size_t>(
      request.page_size() == 0 ? kDefaultPage : request.page_size(),
      kMostItems);
  response.set_catalogue_version(catalogue_.version());
  const auto items = catalogue_.Behind(is_first ? nullptr : &after, size);
  for (const auto& [id, known] : items) {
    *response.add_items() = Describe(id, known);
  }
  if (items.size() == size) {
    response.set_next_page_token(absl::StrCat(items.back().first));
  }
  return absl::OkStatus();
}

void ItemCalls::Start(const v1::UpsertItemsRequest& request,
                      v1::UpsertItemsResponse& response, Done done) {
  const auto upsert = [this, &request, &response] {
    absl::Status status = Upsert(request, response);
    if (!status.ok()) metrics_.refused.Increment(request.items_size());
    return status;
  };
  Submit(changes_, upsert, std::move(done));
}

void ItemCalls::Start(const v1::RemoveItemsRequest& request,
                      v1::RemoveItemsResponse& response, Done done) {
  const auto remove = [this, &request, &response] {
    absl::Status status = Remove(request, response);
    if (!status.ok()) {
      metrics_.refused.Increment(request.item_ids_size() +
                                 request.item_keys_size());
    }
    return status;
  };
  Submit(changes_, remove, std::move(done));
}

void ItemCalls::Start(const v1::GetItemsRequest& request,
                      v1::GetItemsResponse& response, Done done) {
  Submit(
      reads_, [this, &request, &response] { return Get(request, response); },
      std::move(done));
}

void ItemCalls::Start(const v1::ListItemsRequest& request,
                      v1::ListItemsResponse& response, Done done) {
  Submit(
      reads_, [this, &request, &response] { return List(request, response); },
      std::move(done));
}

}  // namespace qlarank
