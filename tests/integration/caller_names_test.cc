// What a caller's name is for: a share of the server, and the record of an
// erasure.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpcpp/client_context.h"
#include "gtest/gtest.h"
#include "qlarank/v1/admin_service.grpc.pb.h"
#include "qlarank/v1/ingest_service.grpc.pb.h"
#include "qlarank/v1/rank_service.grpc.pb.h"
#include "qlarank/v1/state_service.grpc.pb.h"
#include "tests/integration/secure_server.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

constexpr char kEraser[] = "eraser.internal";

void Present(grpc::ClientContext& context, const std::string& token) {
  if (token.empty()) return;
  context.AddMetadata("authorization",
                      absl::StrCat("Bearer ", SecretOf(token)));
}

class CallerNamesTest : public ::testing::Test {
 protected:
  CallerNamesTest() {
    RoleSet roles;
    roles.Add(Role::kAdmin);
    server_.options().security.client_names.push_back({kEraser, roles});
  }

  // Appends an event of a user's, and erases them with these credentials.
  void Erase(const std::shared_ptr<grpc::ChannelCredentials>& credentials,
             const std::string& token) {
    const auto request = MakeAppend(*bundle_, "ann", 1, 1);
    {
      grpc::ClientContext context;
      Present(context, "ingest");
      v1::AppendEventsResponse response;
      const grpc::Status status =
          v1::IngestService::NewStub(
              server_.Connect(Listener::kMain, server_.Tls()))
              ->AppendEvents(&context, request, &response);
      ASSERT_TRUE(status.ok()) << status.error_message();
    }
    grpc::ClientContext context;
    Present(context, token);
    v1::DeleteUserRequest erase;
    erase.set_user_id("ann");
    v1::DeleteUserResponse response;
    const grpc::Status status =
        v1::StateService::NewStub(server_.Connect(Listener::kAdmin, credentials))
            ->DeleteUser(&context, erase, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.events_deleted(), 1u);
  }

  std::string PrincipalOfTheErasure() {
    grpc::ClientContext context;
    Present(context, "admin");
    v1::ListErasuresResponse response;
    const grpc::Status status =
        v1::AdminService::NewStub(
            server_.Connect(Listener::kAdmin, server_.Tls()))
            ->ListErasures(&context, v1::ListErasuresRequest(), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.erasures_size() == 1 ? response.erasures(0).principal()
                                         : "not one erasure";
  }

  SecureServer server_;
  const std::shared_ptr<const Bundle> bundle_ = LoadGolden(GoldenModel());
};

TEST_F(CallerNamesTest, AnErasureIsRecordedUnderTheNameOfItsToken) {
  server_.Start();
  Erase(server_.Tls(), "admin");
  EXPECT_EQ(PrincipalOfTheErasure(), "admin");
}

TEST_F(CallerNamesTest, AnErasureIsRecordedUnderTheNameInItsCertificate) {
  server_.Start();
  Erase(server_.Tls(server_.authority().Issue("eraser", kEraser, "")), "");
  EXPECT_EQ(PrincipalOfTheErasure(), kEraser);
}

TEST_F(CallerNamesTest, ATokenCountsBeforeTheCertificate) {
  server_.Start();
  Erase(server_.Tls(server_.authority().Issue("eraser", kEraser, "")), "admin");
  EXPECT_EQ(PrincipalOfTheErasure(), "admin");
}

// Of one host, the holder of one token leaves room for that of another.
TEST_F(CallerNamesTest, TokensHaveSharesOfTheirOwn) {
  server_.options().rank.max_inflight_requests = 16;
  server_.Start();
  const v1::RankRequest request =
      MakeRank(*bundle_, "user", CatalogueItems(*bundle_, 5'000));
  const auto rank = [&](v1::RankService::Stub& stub, const std::string& token) {
    grpc::ClientContext context;
    Present(context, token);
    v1::RankResponse response;
    return stub.Rank(&context, request, &response).error_code();
  };
  std::atomic<bool> stop{false};
  std::atomic<int> refused{0};
  std::vector<std::thread> flood;
  for (int i = 0; i < 24; ++i) {
    flood.emplace_back([&] {
      const auto stub = v1::RankService::NewStub(
          server_.Connect(Listener::kMain, server_.Tls()));
      while (!stop) {
        if (rank(*stub, "rank") == grpc::StatusCode::OK) continue;
        ++refused;
        absl::SleepFor(absl::Milliseconds(1));
      }
    });
  }
  while (refused < 20) absl::SleepFor(absl::Milliseconds(1));
  const auto stub = v1::RankService::NewStub(
      server_.Connect(Listener::kMain, server_.Tls()));
  // Once: a slot is free again some time after its reply has come.
  EXPECT_EQ(rank(*stub, "twice"), grpc::StatusCode::OK);
  stop = true;
  for (std::thread& thread : flood) thread.join();
}

}  // namespace
}  // namespace qlarank::testing
