#include "server/ops/health.h"

#include <map>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "prometheus/registry.h"

namespace qlarank {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

class FakeHealthService : public grpc::HealthCheckServiceInterface {
 public:
  void SetServingStatus(const std::string& service, bool serving) override {
    serving_[service] = serving;
  }
  void SetServingStatus(bool) override { FAIL() << "names unknown to us"; }
  void Shutdown() override {}

  std::map<std::string, bool> serving_;
};

TEST(HealthTest, BeginsAsLoading) {
  Health health;
  EXPECT_FALSE(health.readiness().ready);
  EXPECT_EQ(health.readiness().reason, "loading");
}

// gRPC's service begins as serving: it must not stay so while we load.
TEST(HealthTest, TellsTheServiceTheTruthWhenAttached) {
  FakeHealthService service;
  service.serving_[""] = true;
  Health health;
  health.Attach(service, {"a.A", "b.B"});
  EXPECT_THAT(service.serving_, ElementsAre(Pair("", false), Pair("a.A", false),
                                            Pair("b.B", false)));
}

TEST(HealthTest, ServiceAndReadinessAgree) {
  FakeHealthService service;
  Health health;
  health.Attach(service, {"a.A"});
  health.SetServing();
  EXPECT_TRUE(health.readiness().ready);
  EXPECT_EQ(health.readiness().reason, "");
  EXPECT_THAT(service.serving_, ElementsAre(Pair("", true), Pair("a.A", true)));
  health.SetNotServing("draining");
  EXPECT_FALSE(health.readiness().ready);
  EXPECT_EQ(health.readiness().reason, "draining");
  EXPECT_THAT(service.serving_,
              ElementsAre(Pair("", false), Pair("a.A", false)));
}

TEST(HealthTest, TellsEveryListenersService) {
  FakeHealthService main;
  FakeHealthService admin;
  Health health;
  health.Attach(main, {"a.A"});
  health.Attach(admin, {"b.B"});
  health.SetServing();
  EXPECT_THAT(main.serving_, ElementsAre(Pair("", true), Pair("a.A", true)));
  EXPECT_THAT(admin.serving_, ElementsAre(Pair("", true), Pair("b.B", true)));
}

TEST(HealthTest, WithoutWritesThoseThatNeedThemAreNotServing) {
  FakeHealthService service;
  prometheus::Registry registry;
  HealthMetrics metrics(registry);
  Health health(&metrics);
  health.Attach(service, {"a.Reads", "b.Writes"}, {"b.Writes"});
  health.SetServing();
  health.Degrade(Part::kWrites, "the disk is full");
  EXPECT_THAT(service.serving_,
              ElementsAre(Pair("", true), Pair("a.Reads", true),
                          Pair("b.Writes", false)));
  EXPECT_TRUE(health.readiness().ready);
  EXPECT_THAT(health.readiness().degraded,
              ElementsAre("writes: the disk is full"));
  health.Restore(Part::kWrites);
  EXPECT_THAT(service.serving_,
              ElementsAre(Pair("", true), Pair("a.Reads", true),
                          Pair("b.Writes", true)));
  EXPECT_THAT(health.readiness().degraded, ElementsAre());
}

TEST(HealthTest, OtherPartsStopNoService) {
  FakeHealthService service;
  Health health;
  health.Attach(service, {"b.Writes"}, {"b.Writes"});
  health.SetServing();
  health.Degrade(Part::kCertificates, "expired");
  health.Degrade(Part::kTokens, "");
  EXPECT_THAT(service.serving_,
              ElementsAre(Pair("", true), Pair("b.Writes", true)));
  EXPECT_THAT(health.readiness().degraded,
              ElementsAre("tokens: unknown reason", "certificates: expired"));
}

// It says so while it loads, too, and serves them no sooner for it.
TEST(HealthTest, WritesThatReturnDoNotMakeItReady) {
  FakeHealthService service;
  Health health;
  health.Degrade(Part::kWrites, "the disk is full");
  health.Attach(service, {"b.Writes"}, {"b.Writes"});
  health.Restore(Part::kWrites);
  EXPECT_THAT(service.serving_,
              ElementsAre(Pair("", false), Pair("b.Writes", false)));
}

TEST(HealthTest, LeavesTheServiceAloneOnceDetached) {
  FakeHealthService service;
  Health health;
  health.Attach(service, {});
  health.Detach();
  health.SetServing();
  EXPECT_THAT(service.serving_, ElementsAre(Pair("", false)));
}

}  // namespace
}  // namespace qlarank
