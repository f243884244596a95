// One life of the process: a store, and the pipeline over it; and the ways in
// which a test reads what it serves.
//
// Thread-safe. Readings have scratch memory of their own.
#ifndef QLARANK_TESTS_OWNERS_SERVING_H_
#define QLARANK_TESTS_OWNERS_SERVING_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "config/server_options.h"
#include "server/metrics/metrics.h"
#include "server/pipeline.h"
#include "server/rank/state_reader.h"
#include "state_store/state_store.h"
#include "tests/owners/user_oracle.h"

namespace qlarank::testing {

// Options of a server of these models in `folder`, which gets their bundles: as
// narrow as models can be, so that folding is cheap. Each has a number of layers
// of its own.
ServerOptions TinyOptions(const std::string& folder, int num_models = 1);

class Serving {
 public:
  // The store must outlive it.
  Serving(const ServerOptions& options, StateStore& store);

  Pipeline& pipeline() { return *pipeline_; }
  StateStore& store() { return store_; }
  const Metrics& metrics() const { return metrics_; }
  const Engine& engine(size_t model = 0) const;

  // What a Rank worker does to get at a state.
  absl::StatusOr<Sight> Read(const std::string& user_id,
                             const StateDemand& demand, EngineScratch& scratch,
                             size_t model = 0);
  // What calls are answered; each blocks until it is.
  absl::StatusOr<Sight> Rank(const std::string& user_id,
                             const StateDemand& demand);
  absl::StatusOr<Sight> GetUserState(const std::string& user_id,
                                     const StateDemand& demand);

  // Makes all that the store has durable, and erased events leave its files.
  absl::Status Flush();
  absl::Status Purge();

  // Events in the state that is published of a user; nothing when none is.
  absl::StatusOr<std::optional<uint64_t>> Published(
      const std::string& user_id, size_t model = 0) const;
  // Events in their snapshot; 0 without one.
  absl::StatusOr<uint64_t> Snapshotted(const std::string& user_id,
                                       size_t model = 0) const;

 private:
  // What is remembered of users under a model.
  std::shared_ptr<const UserMemory> Memory(size_t model) const;

  StateStore& store_;
  Metrics metrics_;
  std::unique_ptr<Pipeline> pipeline_;
};

}  // namespace qlarank::testing

#endif  // QLARANK_TESTS_OWNERS_SERVING_H_
