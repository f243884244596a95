// Calls that meet a writer that is busy: what becomes of those that have to
// wait, and of those that there is no room for.
#include "server/rpc/ingest_service.h"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "google/rpc/error_details.pb.h"
#include "grpcpp/client_context.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"
#include "qlarank/v1/state_service.grpc.pb.h"
#include "server/pipeline.h"
#include "server/rpc_services.h"
#include "tests/testing/faulty_state_store.h"
#include "tests/testing/requests.h"

namespace qlarank::testing {
namespace {

class IngestServiceTest : public ::testing::Test {
 protected:
  // What a queue has room for.
  static constexpr uint64_t kRoom = 8;

  // The services of one listener, over a connection within the process.
  class Serving {
   public:
    Serving(Listener listener, Pipeline& pipeline, const ServerOptions& options)
        : services_(listener, pipeline, options, /*authenticator=*/nullptr) {
      grpc::ServerBuilder builder;
      services_.RegisterWith(builder);
      server_ = builder.BuildAndStart();
    }
    std::shared_ptr<grpc::Channel> Connect() {
      return server_->InProcessChannel(grpc::ChannelArguments());
    }

   private:
    RpcServices services_;
    std::unique_ptr<grpc::Server> server_;  // before what it serves
  };

  IngestServiceTest() {
    store_.before_append = [this](auto) {
      absl::MutexLock lock(&mutex_);
      writing_ = true;
      mutex_.Await(
          absl::Condition(+[](bool* held) { return !*held; }, &held_));
      return absl::OkStatus();
    };
    options_.ingest.shards = 1;
    options_.ingest.max_queued_events = kRoom;
    pipeline_ = *Pipeline::Create(options_, store_, metrics_);
    main_ = std::make_unique<Serving>(Listener::kMain, *pipeline_, options_);
    admin_ = std::make_unique<Serving>(Listener::kAdmin, *pipeline_, options_);
    ingest_ = v1::IngestService::NewStub(main_->Connect());
    state_ = v1::StateService::NewStub(admin_->Connect());
  }

  // Appends past the services; returns what was there already.
  uint64_t AppendDirectly(const v1::AppendEventsRequest& request) {
    uint64_t duplicates = 0;
    absl::Notification done;
    pipeline_->ingest().Append(request, absl::Now(), {"direct"},
                               IngestPipeline::OnFull::kWait,
                               [&](const AppendResult& result) {
                                 EXPECT_TRUE(result.status.ok())
                                     << result.status;
                                 duplicates = result.response.duplicates();
                                 done.Notify();
                               });
    done.WaitForNotification();
    return duplicates;
  }

  // Calls `act` while the writer is at work on one event.
  void WhileOneIsWritten(const std::function<void()>& act) {
    {
      absl::MutexLock lock(&mutex_);
      held_ = true;
      writing_ = false;
    }
    ++first_;
    const auto one = MakeAppend(*bundle_, "first", first_, first_);
    std::thread writer([&] { AppendDirectly(one); });
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(&writing_));
    }
    act();
    {
      absl::MutexLock lock(&mutex_);
      held_ = false;
    }
    writer.join();
  }

  void AwaitFullQueue() {
    while (!pipeline_->ingest().full("anyone")) {
      absl::SleepFor(absl::Milliseconds(1));
    }
  }

  // Whether an append is written that `call` makes and that is cancelled while
  // it waits for the writer.
  bool CancelledIsWritten(
      const std::function<void(grpc::ClientContext& context,
                               const v1::AppendEventsRequest& request)>& call,
      absl::Duration wait) {
    const auto request =
        MakeAppend(*bundle_, "user", next_, next_ + kRoom - 2);
    next_ += kRoom - 1;
    grpc::ClientContext context;
    std::thread caller;
    WhileOneIsWritten([&] {
      caller = std::thread([&] { call(context, request); });
      AwaitFullQueue();
      context.TryCancel();
      // Nothing tells when the server has heard of it.
      absl::SleepFor(wait);
    });
    caller.join();
    return AppendDirectly(request) > 0;
  }

  const std::shared_ptr<const Bundle> bundle_ = LoadGolden(GoldenModel());
  ServerOptions options_ = TestOptions();
  Metrics metrics_;
  FaultyStateStore store_;
  absl::Mutex mutex_;
  bool held_ = false;
  bool writing_ = false;
  uint64_t first_ = 0;  // events of the user "first"
  uint64_t next_ = 1;   // the next event of the user "user"
  std::unique_ptr<Pipeline> pipeline_;
  std::unique_ptr<Serving> main_, admin_;
  std::unique_ptr<v1::IngestService::Stub> ingest_;
  std::unique_ptr<v1::StateService::Stub> state_;
};

void ExpectRefusedWithAHint(const grpc::Status& status,
                            const grpc::ClientContext& context) {
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(status.error_details()));
  google::rpc::RetryInfo info;
  for (const auto& detail : details.details()) detail.UnpackTo(&info);
  EXPECT_EQ(info.retry_delay().nanos(), 100'000'000);
  const auto& metadata = context.GetServerTrailingMetadata();
  const auto pushback = metadata.find("grpc-retry-pushback-ms");
  ASSERT_NE(pushback, metadata.end());
  EXPECT_EQ(pushback->second, "100");
}

TEST_F(IngestServiceTest, AFullQueueSaysWhenToTryAgain) {
  const auto rest = MakeAppend(*bundle_, "user", 1, kRoom - 1);
  std::thread waiting;
  WhileOneIsWritten([&] {
    waiting = std::thread([&] { AppendDirectly(rest); });
    AwaitFullQueue();
    {
      grpc::ClientContext context;
      v1::AppendEventsResponse response;
      const grpc::Status status = ingest_->AppendEvents(
          &context, MakeAppend(*bundle_, "other", 1, 1), &response);
      ExpectRefusedWithAHint(status, context);
    }
  });
  waiting.join();
}

// A stream whose client has no room waits, and goes on by itself.
TEST_F(IngestServiceTest, AStreamWaitsForRoomAndIsWoken) {
  const auto rest = MakeAppend(*bundle_, "user", 1, kRoom - 1);
  const auto event = MakeAppend(*bundle_, "streamed", 1, 1);
  std::thread waiting, streaming;
  std::atomic<bool> answered{false};
  WhileOneIsWritten([&] {
    waiting = std::thread([&] { AppendDirectly(rest); });
    AwaitFullQueue();
    streaming = std::thread([&] {
      grpc::ClientContext context;
      const auto stream = ingest_->StreamEvents(&context);
      v1::StreamEventsRequest batch;
      *batch.mutable_append() = event;
      ASSERT_TRUE(stream->Write(batch));
      v1::StreamEventsResponse response;
      ASSERT_TRUE(stream->Read(&response));
      answered = true;
      EXPECT_EQ(response.error_code(), 0) << response.error_message();
      EXPECT_EQ(response.result().applied(), 1);
      stream->WritesDone();
      EXPECT_TRUE(stream->Finish().ok());
    });
    absl::SleepFor(absl::Milliseconds(50));
    EXPECT_FALSE(answered);
  });
  waiting.join();
  streaming.join();
}

TEST_F(IngestServiceTest, WhatIsCancelledWhileItWaitsIsNotWritten) {
  const auto unary = [&](grpc::ClientContext& context,
                         const v1::AppendEventsRequest& request) {
    v1::AppendEventsResponse response;
    EXPECT_EQ(ingest_->AppendEvents(&context, request, &response).error_code(),
              grpc::StatusCode::CANCELLED);
  };
  const auto stream = [&](grpc::ClientContext& context,
                          const v1::AppendEventsRequest& request) {
    const auto stream = ingest_->StreamEvents(&context);
    v1::StreamEventsRequest batch;
    *batch.mutable_append() = request;
    stream->Write(batch);
    v1::StreamEventsResponse response;
    while (stream->Read(&response)) {
    }
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  };
  bool unary_written = true, stream_written = true;
  for (auto wait = absl::Milliseconds(1);
       (unary_written || stream_written) && wait < absl::Seconds(10);
       wait *= 2) {
    if (unary_written) unary_written = CancelledIsWritten(unary, wait);
    if (stream_written) stream_written = CancelledIsWritten(stream, wait);
  }
  EXPECT_FALSE(unary_written);
  EXPECT_FALSE(stream_written);
}

}  // namespace
}  // namespace qlarank::testing
