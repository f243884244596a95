// Builders of requests that are right in every field, for tests to spoil or to
// send.
#ifndef QLARANK_TESTS_TESTING_REQUESTS_H_
#define QLARANK_TESTS_TESTING_REQUESTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "config/server_options.h"
#include "model/bundle.h"
#include "qlarank/v1/ingest_service.pb.h"
#include "qlarank/v1/rank_service.pb.h"

namespace qlarank::testing {

// A fixed moment: 2023-11-14T22:13:20Z.
inline constexpr int64_t kEpochUs = 1'700'000'000'000'000;

// One of the bundles of tests/golden, as a model to serve. The default has
// everything: three tasks, features of events and of candidates, context.
ModelOptions GoldenModel(
    const std::string& name = "all_l4_decay_conv_everything");
std::shared_ptr<const Bundle> LoadGolden(const ModelOptions& model);

// A memory store and one model, on free ports.
ServerOptions TestOptions(const ModelOptions& model = GoldenModel());

// The n-th event of some user: item, action and features follow from n and from
// the user, time grows by a minute.
v1::Event MakeEvent(const Bundle& bundle, const std::string& user_id,
                    uint64_t n);

// Adds the n-th event of the user, with sequence n (from 1).
void AddEvent(const Bundle& bundle, const std::string& user_id, uint64_t n,
              v1::AppendEventsRequest& request);

// Events first ... last of the user from `source`.
v1::AppendEventsRequest MakeAppend(const Bundle& bundle,
                                   const std::string& user_id, uint64_t first,
                                   uint64_t last,
                                   const std::string& source = "test");

// The candidates for a user, a moment after kEpochUs, with features that
// follow from the item's id.
v1::RankRequest MakeRank(const Bundle& bundle, const std::string& user_id,
                         const std::vector<uint64_t>& item_ids);

// The first n of the catalogue, beginning anew at its end.
std::vector<uint64_t> CatalogueItems(const Bundle& bundle, size_t n);

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_TESTING_REQUESTS_H_
