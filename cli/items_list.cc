// qlarank items list: what was upserted and removed, or is known of some items.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/items.h"
#include "cli/table.h"
#include "nlohmann/json.hpp"

namespace qlarank {
namespace {

constexpr size_t kTitleWidth = 40;

std::string ShownKey(const v1::CatalogueItem& item) {
  return item.item_key().empty() ? absl::StrCat(item.item_id())
                                 : item.item_key();
}

std::vector<std::string> KnownTo(const v1::CatalogueItem& item) {
  std::vector<std::string> models;
  for (const auto& model : item.known_to()) {
    models.push_back(
        absl::StrCat(model.model_name(), "/", model.model_version()));
  }
  return models;
}

void PrintItems(const std::vector<v1::CatalogueItem>& items,
                CommandContext& context) {
  if (context.json) {
    nlohmann::json listed = nlohmann::json::array();
    for (const v1::CatalogueItem& item : items) {
      listed.push_back({{"item_id", absl::StrCat(item.item_id())},
                        {"item_key", item.item_key()},
                        {"title", item.title()},
                        {"first_version", item.first_version()},
                        {"last_version", item.last_version()},
                        {"removed", item.removed()},
                        {"known_to", KnownTo(item)}});
    }
    context.out << nlohmann::json{{"items", std::move(listed)}}.dump() << "\n";
    return;
  }
  Table table({{"item", Align::kRight},
               {"title"},
               {"since", Align::kRight},
               {"changed", Align::kRight},
               {"removed"},
               {"known to"}});
  for (const v1::CatalogueItem& item : items) {
    table.AddRow({ShownKey(item), Shorten(item.title(), kTitleWidth),
                  absl::StrCat(item.first_version()),
                  absl::StrCat(item.last_version()),
                  item.removed() ? "yes" : "",
                  absl::StrJoin(KnownTo(item), ", ")});
  }
  table.Print(context.out);
}

absl::StatusOr<std::vector<v1::CatalogueItem>> ListAllItems(
    const Client& client, uint64_t limit) {
  std::vector<v1::CatalogueItem> items;
  v1::ListItemsRequest request;
  do {
    if (limit > 0) {
      request.set_page_size(
          std::min<uint64_t>(limit - items.size(), kMostBatchItems));
    }
    const auto page = client.ListItems(request);
    if (!page.ok()) return page.status();
    items.insert(items.end(), page->items().begin(), page->items().end());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty() &&
           (limit == 0 || items.size() < limit));
  return items;
}

absl::StatusOr<std::vector<v1::CatalogueItem>> GetNamedItems(
    const Client& client, const ItemOptions& options) {
  v1::GetItemsRequest request;
  absl::Status status =
      AddItems(options.items, options.columns.item.keys, request);
  if (!status.ok()) return status;
  const auto response = client.GetItems(request);
  if (!response.ok()) return response.status();
  return std::vector<v1::CatalogueItem>(response->items().begin(),
                                        response->items().end());
}

}  // namespace

absl::StatusOr<ExitCode> ListItems(CommandContext& context,
                                   const ItemOptions& options) {
  const Client client = context.ConnectAdmin();
  const auto items = options.items.empty()
                         ? ListAllItems(client, options.limit)
                         : GetNamedItems(client, options);
  if (!items.ok()) return items.status();
  PrintItems(*items, context);
  return items->empty() ? ExitCode::kNegative : ExitCode::kOk;
}

}  // namespace qlarank
