// From memory.budget_bytes to the sizes of the caches, once it is known how
// large the models are.
#ifndef QLARANK_SERVER_MEMORY_BUDGET_H_
#define QLARANK_SERVER_MEMORY_BUDGET_H_

#include "absl/status/statusor.h"
#include "config/memory_plan.h"
#include "config/server_options.h"

namespace qlarank {

// PlanMemory for the models' files as they are on the disk; one that is missing
// counts nothing here: loading it will say so. The error's code is
// FAILED_PRECONDITION: without those files the configuration was right.
absl::StatusOr<MemoryPlan> PlanMemoryForBundles(const ServerOptions& options);

// The same store with the caches of the plan.
StoreOptions WithCachesOf(const MemoryPlan& plan, StoreOptions store);

}  // namespace qlarank

#endif  // QLARANK_SERVER_MEMORY_BUDGET_H_
