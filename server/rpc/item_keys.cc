#include "server/rpc/item_keys.h"

#include "absl/algorithm/container.h"
#include "model/item_key.h"

namespace qlarank {
namespace {

void Resolve(v1::Event& event) {
  if (event.item_key().empty() || event.item_id() != 0) return;
  event.set_item_id(ItemIdOfKey(event.item_key()));
  event.clear_item_key();
}

}  // namespace

void ResolveItemKeys(v1::RankRequest& request) {
  for (v1::Event& event : *request.mutable_recent_events()) Resolve(event);
  if (request.item_keys().empty() || !request.item_ids().empty() ||
      absl::c_linear_search(request.item_keys(), "")) {
    return;
  }
  request.mutable_item_ids()->Reserve(request.item_keys_size());
  for (const std::string& key : request.item_keys()) {
    request.mutable_item_ids()->AddAlreadyReserved(ItemIdOfKey(key));
  }
  request.clear_item_keys();
}

void ResolveItemKeys(v1::AppendEventsRequest& request) {
  for (v1::UserEvent& event : *request.mutable_events()) {
    if (event.has_event()) Resolve(*event.mutable_event());
  }
}

void ResolveItemKeys(v1::StreamEventsRequest& request) {
  if (request.has_append()) ResolveItemKeys(*request.mutable_append());
}

}  // namespace qlarank
