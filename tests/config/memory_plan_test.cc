#include "config/memory_plan.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qlarank {
namespace {

constexpr uint64_t kMiB = 1 << 20;

// As it is parsed: caches that are not set are 0 where there is a budget.
ServerOptions WithBudget(uint64_t budget_bytes) {
  ServerOptions options;
  options.models.resize(1);
  options.ingest.shards = 1;
  options.ingest.max_queued_events = 8 * kMiB / 128;
  options.memory.budget_bytes = budget_bytes;
  if (budget_bytes > 0) {
    options.store.head_cache_bytes = 0;
    options.store.block_cache_bytes = 0;
    options.store.user_cache_bytes = 0;
  }
  return options;
}

MemoryPlan PlanOrDie(const ServerOptions& options, uint64_t bundles_bytes = 0) {
  const absl::StatusOr<MemoryPlan> plan = PlanMemory(options, bundles_bytes);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return plan.value_or(MemoryPlan());
}

TEST(MemoryPlanTest, WithoutABudgetTheCachesAreThoseOfTheOptions) {
  const MemoryPlan plan = PlanOrDie(WithBudget(0));
  EXPECT_EQ(plan.head_cache_bytes, StoreOptions().head_cache_bytes);
  EXPECT_EQ(plan.block_cache_bytes, StoreOptions().block_cache_bytes);
  EXPECT_EQ(plan.user_cache_bytes, StoreOptions().user_cache_bytes);
  EXPECT_EQ(plan.reading_cache_bytes, StoreOptions().reading_cache_bytes);
  EXPECT_EQ(plan.unfinished_bytes, 256 * kMiB);
}

TEST(MemoryPlanTest, DividesWhatTheProcessLeaves) {
  // 64 MiB at rest, 8 for what is scored again, 8 for the events of an owner, 4
  // to fold, 8 for queued events, and a 16th; another for messages.
  const MemoryPlan plan = PlanOrDie(WithBudget(320 * kMiB), 16 * kMiB);
  EXPECT_EQ(plan.process_bytes, 112 * kMiB);
  EXPECT_EQ(plan.unfinished_bytes, 20 * kMiB);
  EXPECT_EQ(plan.bundles_bytes, 16 * kMiB);
  EXPECT_EQ(plan.reading_cache_bytes, 172 * kMiB / 32);
  const uint64_t for_caches = 172 * kMiB - plan.reading_cache_bytes;
  EXPECT_EQ(plan.head_cache_bytes, for_caches / 32);
  EXPECT_EQ(plan.block_cache_bytes, (for_caches - plan.head_cache_bytes) / 5);
  EXPECT_EQ(plan.total_bytes(), 320 * kMiB);
}

TEST(MemoryPlanTest, TheLargerTheBudgetTheLargerTheCachesAndNothingIsLeft) {
  MemoryPlan smaller;
  for (const uint64_t mib : {136, 200, 512, 4096, 65'536}) {
    const MemoryPlan plan = PlanOrDie(WithBudget(mib * kMiB));
    EXPECT_EQ(plan.total_bytes(), mib * kMiB);
    EXPECT_GE(plan.head_cache_bytes, smaller.head_cache_bytes);
    EXPECT_GE(plan.reading_cache_bytes, smaller.reading_cache_bytes);
    EXPECT_GE(plan.block_cache_bytes, smaller.block_cache_bytes);
    EXPECT_GT(plan.user_cache_bytes, smaller.user_cache_bytes);
    smaller = plan;
  }
  EXPECT_EQ(smaller.head_cache_bytes, StoreOptions().head_cache_bytes);
  EXPECT_EQ(smaller.reading_cache_bytes, StoreOptions().reading_cache_bytes);
}

TEST(MemoryPlanTest, WhatIsSetStaysAndTheOthersGetTheRest) {
  ServerOptions options = WithBudget(320 * kMiB);
  options.store.user_cache_bytes = 64 * kMiB;
  MemoryPlan plan = PlanOrDie(options);
  EXPECT_EQ(plan.user_cache_bytes, 64 * kMiB);
  EXPECT_EQ(plan.total_bytes(), 320 * kMiB);

  options = WithBudget(320 * kMiB);
  options.store.block_cache_bytes = 32 * kMiB;
  plan = PlanOrDie(options);
  EXPECT_EQ(plan.block_cache_bytes, 32 * kMiB);
  EXPECT_EQ(plan.total_bytes(), 320 * kMiB);

  // What nobody asked for stays free.
  options.store.user_cache_bytes = 64 * kMiB;
  options.store.head_cache_bytes = 2 * kMiB;
  plan = PlanOrDie(options);
  EXPECT_EQ(plan.head_cache_bytes, 2 * kMiB);
  EXPECT_EQ(plan.total_bytes(),
            (112 + 20 + 2 + 32 + 64) * kMiB + plan.reading_cache_bytes);
}

TEST(MemoryPlanTest, AMessageFitsAndMoreHasABound) {
  // A 16th of 136 MiB would be 8.5.
  ServerOptions options = WithBudget(136 * kMiB);
  EXPECT_EQ(options.limits.max_message_bytes, 16 * kMiB);
  EXPECT_EQ(PlanOrDie(options).unfinished_bytes, 17 * kMiB);
  options.limits.max_message_bytes = 4 * kMiB;
  EXPECT_EQ(PlanOrDie(options).unfinished_bytes, 136 * kMiB / 16);
  EXPECT_EQ(PlanOrDie(WithBudget(16'384 * kMiB)).unfinished_bytes, 256 * kMiB);
  // Larger than the bound: one still fits.
  options = WithBudget(0);
  options.limits.max_message_bytes = 512 * kMiB;
  EXPECT_EQ(PlanOrDie(options).unfinished_bytes, 544 * kMiB);
}

TEST(MemoryPlanTest, MoreAtOnceLeavesLessForCaches) {
  const ServerOptions options = WithBudget(640 * kMiB);
  const uint64_t states = PlanOrDie(options).user_cache_bytes;
  ServerOptions more = options;
  more.ingest.fold_threads *= 2;
  EXPECT_LT(PlanOrDie(more).user_cache_bytes, states);
  more = options;
  more.ingest.max_queued_events *= 2;
  EXPECT_LT(PlanOrDie(more).user_cache_bytes, states);
  more = options;
  more.models.resize(2);
  EXPECT_LT(PlanOrDie(more).user_cache_bytes, states);
  EXPECT_LT(PlanOrDie(options, kMiB).user_cache_bytes, states);
}

TEST(MemoryPlanTest, TheRequestLogsQueueIsAPartOfTheProcess) {
  ServerOptions options = WithBudget(512 * kMiB);
  const MemoryPlan without = PlanOrDie(options);
  options.request_log.max_queue_bytes = 10 * kMiB;
  EXPECT_EQ(PlanOrDie(options), without);  // nothing is logged
  options.request_log.path = "log";
  // Its queue, and a record twice.
  EXPECT_EQ(PlanOrDie(options).process_bytes,
            without.process_bytes + (10 + 2 * 16) * kMiB);
}

TEST(MemoryPlanTest, RefusesLessThanItsPartsAndNamesThem) {
  ServerOptions options = WithBudget(160 * kMiB);
  options.store.user_cache_bytes = 64 * kMiB;
  const absl::Status status = PlanMemory(options, 5 * kMiB).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "memory.budget_bytes: 167772160; its parts take 207618048: the "
            "process 106954752, unfinished messages 17825792, the models' "
            "files 5242880, "
            "readings 1048576, store.head_cache_bytes at least 1048576, "
            "store.block_cache_bytes at least 8388608, store.user_cache_bytes 67108864");
  // All but a byte of what it takes, and all of it. The process has a 16th.
  options = WithBudget(0);
  options.store = StoreOptions();
  options.store.head_cache_bytes = 0;
  options.store.block_cache_bytes = 0;
  options.store.user_cache_bytes = 0;
  const uint64_t parts = (64 + 8 + 12 + 8 + 17 + 1 + 1 + 8 + 8) * kMiB;
  options.memory.budget_bytes = (parts + 14) / 15 * 16;
  EXPECT_TRUE(PlanMemory(options, 0).ok());
  options.memory.budget_bytes -= 32;
  EXPECT_FALSE(PlanMemory(options, 0).ok());
}

}  // namespace
}  // namespace qlarank
