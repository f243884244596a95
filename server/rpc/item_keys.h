// Texts that stand for items become ids where a request comes in: what is behind
// it knows of them only to refuse what is wrong with them.
#ifndef QLARANK_SERVER_RPC_ITEM_KEYS_H_
#define QLARANK_SERVER_RPC_ITEM_KEYS_H_

#include "qlarank/v1/ingest_service.pb.h"
#include "qlarank/v1/rank_service.pb.h"

namespace qlarank {

// Where items have keys and no ids, gives them the keys' ids and takes the keys
// away. What has both, or an empty key among others, is left for the rules of
// the request to refuse.
void ResolveItemKeys(v1::RankRequest& request);
void ResolveItemKeys(v1::AppendEventsRequest& request);
void ResolveItemKeys(v1::StreamEventsRequest& request);

// Other requests have none.
template <typename Request>
void ResolveItemKeys(Request& /*request*/) {}

}  // namespace qlarank

#endif  // QLARANK_SERVER_RPC_ITEM_KEYS_H_
