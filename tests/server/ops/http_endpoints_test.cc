#include "server/ops/http_endpoints.h"

#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/ops/metrics.h"
#include "tests/server/http_client.h"

namespace qlarank {
namespace {

using ::testing::HasSubstr;

class HttpEndpointsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started =
        HttpEndpoints::Start("127.0.0.1:0", health_, {&metrics_.registry});
    ASSERT_TRUE(started.ok()) << started.status();
    endpoints_ = *std::move(started);
    ASSERT_NE(endpoints_->port(), 0);
  }

  HttpReply Get(absl::string_view path) {
    return HttpGet(endpoints_->port(), path);
  }

  Metrics metrics_;
  Health health_;
  std::unique_ptr<HttpEndpoints> endpoints_;
};

TEST_F(HttpEndpointsTest, LivezIsOkWhileLoading) {
  EXPECT_EQ(Get("/livez").code, 200);
  EXPECT_EQ(Get("/livez").body, "ok\n");
}

TEST_F(HttpEndpointsTest, ReadyzFollowsHealthAndGivesTheReason) {
  EXPECT_EQ(Get("/readyz").code, 503);
  EXPECT_EQ(Get("/readyz").body, "loading\n");
  health_.SetServing();
  EXPECT_EQ(Get("/readyz").code, 200);
  EXPECT_EQ(Get("/readyz").body, "ok\n");
  health_.SetNotServing("draining");
  EXPECT_EQ(Get("/readyz").code, 503);
  EXPECT_EQ(Get("/readyz").body, "draining\n");
}

TEST_F(HttpEndpointsTest, MetricsAreInTheTextFormat) {
  metrics_.state.users_deleted.Increment();
  const HttpReply reply = Get("/metrics");
  EXPECT_EQ(reply.code, 200);
  EXPECT_THAT(reply.head, HasSubstr("Content-Type: text/plain; version=0.0.4"));
  EXPECT_THAT(reply.body, HasSubstr("\nqlarank_users_deleted_total 1\n"));
}

TEST_F(HttpEndpointsTest, RefusesOtherPathsAndMethods) {
  for (const char* path : {"/", "/metrics/", "/metrics/x", "/livezz", "/../"}) {
    EXPECT_EQ(Get(path).code, 404) << path;
  }
  const int port = endpoints_->port();
  EXPECT_EQ(HttpRequest("POST", port, "/livez").code, 405);
  EXPECT_EQ(HttpRequest("DELETE", port, "/metrics").code, 405);
}

TEST_F(HttpEndpointsTest, HeadHasNoBody) {
  const HttpReply reply = HttpRequest("HEAD", endpoints_->port(), "/livez");
  EXPECT_EQ(reply.code, 200);
  EXPECT_EQ(reply.body, "");
}

TEST_F(HttpEndpointsTest, AnswersManyAtOnce) {
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([this] {
      for (int j = 0; j < 10; ++j) EXPECT_EQ(Get("/metrics").code, 200);
    });
  }
  for (std::thread& client : clients) client.join();
}

TEST_F(HttpEndpointsTest, NamesAnAddressInUse) {
  const std::string address =
      FormatHostPort({"127.0.0.1", static_cast<uint16_t>(endpoints_->port())});
  const absl::Status status =
      HttpEndpoints::Start(address, health_, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(status.message(), "listen.http_address: cannot listen at \"" +
                                  address + "\": Address already in use");
}

TEST_F(HttpEndpointsTest, FreesItsPortWhenDestroyed) {
  const int port = endpoints_->port();
  endpoints_ = nullptr;
  EXPECT_EQ(HttpGet(port, "/livez").code, 0);
}

}  // namespace
}  // namespace qlarank
