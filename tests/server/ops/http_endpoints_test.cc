#include "server/ops/http_endpoints.h"

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "config/host_port.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/metrics/metric_builders.h"
#include "server/metrics/metrics.h"
#include "server/ops/http_connections.h"
#include "tests/server/http_client.h"

namespace qlarank {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

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

TEST_F(HttpEndpointsTest, ReadyzSaysWhatIsDegraded) {
  health_.SetServing();
  health_.Degrade(Part::kWrites, "the disk is full");
  health_.Degrade(Part::kTokens, "the file is empty");
  EXPECT_EQ(Get("/readyz").code, 200);
  EXPECT_EQ(Get("/readyz").body,
            "degraded\nwrites: the disk is full\ntokens: the file is empty\n");
  health_.SetNotServing("draining");
  EXPECT_EQ(Get("/readyz").code, 503);
  EXPECT_EQ(Get("/readyz").body,
            "draining\nwrites: the disk is full\ntokens: the file is empty\n");
  health_.Restore(Part::kWrites);
  health_.Restore(Part::kTokens);
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

// -- Others that hold connections --------------------------------------------

// How long each of 40 probes took, in order.
std::vector<absl::Duration> Probe(int port) {
  std::vector<absl::Duration> latencies;
  for (int i = 0; i < 40; ++i) {
    const absl::Time begin = absl::Now();
    EXPECT_EQ(HttpGet(port, i % 2 == 0 ? "/livez" : "/readyz").code, 200);
    latencies.push_back(absl::Now() - begin);
  }
  std::sort(latencies.begin(), latencies.end());
  return latencies;
}

// Kubernetes gives a probe 1 s. Half of them tell the server's own time apart
// from that of a busy machine.
void ExpectQuick(const std::vector<absl::Duration>& latencies) {
  EXPECT_LT(latencies[latencies.size() / 2], absl::Milliseconds(100));
  EXPECT_LT(latencies.back(), absl::Seconds(1));
}

TEST_F(HttpEndpointsTest, AnswersProbesBesideHundredsWhoHoldConnections) {
  health_.SetServing();
  // More than sockets hold for a reader who does not read.
  auto& family = GaugeFamily(metrics_.registry, "many", std::string(100, 'x'));
  for (int i = 0; i < 40'000; ++i) {
    family.Add({{"label", absl::StrCat("a_value_that_takes_room_", i)}});
  }
  std::vector<HttpConnection> held;
  for (const char* sent :
       {"", "GET /livez HT", "GET /metrics HTTP/1.1\r\nHost: test\r\nX: ",
        "POST /livez HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nx",
        "GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n"}) {
    SCOPED_TRACE(sent);
    for (int i = 0; i < 100; ++i) {
      held.emplace_back(endpoints_->port());
      held.back().Send(sent);
    }
    ExpectQuick(Probe(endpoints_->port()));
  }
  EXPECT_EQ(Get("/metrics").code, 200);
}

TEST_F(HttpEndpointsTest, ClosesConnectionsThatSayNothing) {
  HttpConnection silent(endpoints_->port());
  HttpConnection half(endpoints_->port());
  half.Send("GET /livez HT");
  const absl::Time begin = absl::Now();
  EXPECT_EQ(silent.ReadAll(), "");
  half.ReadAll();
  EXPECT_GT(absl::Now() - begin, absl::Seconds(3));
  EXPECT_LT(absl::Now() - begin, absl::Seconds(30));
}

// Takes its time over the first look, until it is let go.
class SlowCollectable : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override {
    if (!begun_.HasBeenNotified()) begun_.Notify();
    let_go_.WaitForNotification();
    return {};
  }
  mutable absl::Notification begun_;
  absl::Notification let_go_;
};

TEST_F(HttpEndpointsTest, AnswersProbesDuringASlowScrape) {
  health_.SetServing();
  SlowCollectable slow;
  auto started = HttpEndpoints::Start("127.0.0.1:0", health_, {&slow});
  ASSERT_TRUE(started.ok()) << started.status();
  const int port = (*started)->port();
  std::vector<std::thread> scrapes;
  for (int i = 0; i < 20; ++i) {
    scrapes.emplace_back(
        [port] { EXPECT_EQ(HttpGet(port, "/metrics").code, 200); });
  }
  slow.begun_.WaitForNotification();
  ExpectQuick(Probe(port));
  slow.let_go_.Notify();
  for (std::thread& scrape : scrapes) scrape.join();
}

TEST_F(HttpEndpointsTest, StopsDuringAScrape) {
  SlowCollectable slow;
  auto started = HttpEndpoints::Start("127.0.0.1:0", health_, {&slow});
  ASSERT_TRUE(started.ok()) << started.status();
  HttpConnection scraper((*started)->port());
  scraper.Send("GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n");
  slow.begun_.WaitForNotification();
  std::thread stopping([&] { *started = nullptr; });
  slow.let_go_.Notify();
  stopping.join();
  scraper.ReadAll();  // ends, with or without the answer
}

TEST_F(HttpEndpointsTest, RefusesHeadersWithoutEnd) {
  HttpConnection endless(endpoints_->port());
  endless.Send("GET /livez HTTP/1.1\r\nHost: test\r\nX: ");
  endless.Send(std::string(1 << 20, 'x'));
  EXPECT_THAT(endless.ReadAll(), Not(HasSubstr(" 200 ")));
  EXPECT_EQ(Get("/livez").code, 200);
}

TEST(HttpConnectionsTest, TheOldestOfWhoHoldsTheMostGoes) {
  HttpConnections connections(4);
  EXPECT_EQ(connections.Add("probe", 1), std::nullopt);
  EXPECT_EQ(connections.Add("stranger", 2), std::nullopt);
  EXPECT_EQ(connections.Add("stranger", 3), std::nullopt);
  EXPECT_EQ(connections.Add("other", 4), std::nullopt);
  EXPECT_EQ(connections.Add("stranger", 5), 2);
  EXPECT_EQ(connections.Add("other", 6), 3);
  EXPECT_EQ(connections.size(), 4u);
  // All hold one or two now: of "other" and "stranger", "other" is older.
  EXPECT_EQ(connections.Add("probe", 7), 4);
  connections.Remove(4);  // gone before
  connections.Remove(7);
  EXPECT_EQ(connections.size(), 3u);
  EXPECT_EQ(connections.Add("probe", 8), std::nullopt);
}

TEST(HttpConnectionsTest, AFullTableKeepsNobodyOut) {
  HttpConnections connections(100);
  for (int file = 0; file < 1000; ++file) {
    const std::optional<int> to_go = connections.Add("stranger", file);
    EXPECT_EQ(to_go, file < 100 ? std::nullopt : std::optional(file - 100));
  }
  // One of another address stays, however many come.
  EXPECT_EQ(connections.Add("probe", 5000), 900);
  for (int file = 1000; file < 2000; ++file) {
    EXPECT_NE(connections.Add("stranger", file), 5000);
  }
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
