// What Rank costs around the engine, and what requests do to each other: client
// and server in this process, over loopback.
//
//   rank_path_bench null    2,000 candidates of the smallest model, so that the
//                           engine's part is next to nothing: first through the
//                           pipeline alone (what the server takes), then as an
//                           RPC
//   rank_path_bench cores   4,000 candidates with one worker and with two
//   rank_path_bench mixed   50 candidates alone, and while requests of 5,000
//                           saturate the server
//   rank_path_bench open    2,048 candidates at 60 % of saturation, Poisson
//
// All but null use d = 128, H = 4, L = 2, every candidate through all layers.

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "bench/random_bundle.h"
#include "grpcpp/create_channel.h"
#include "qlarank/v1/ingest_service.grpc.pb.h"
#include "qlarank/v1/rank_service.grpc.pb.h"
#include "server/server.h"
#include "server/services.h"

namespace qlarank::bench {
namespace {

constexpr uint64_t kEvents = 100;
constexpr int64_t kFirstSecond = 1'700'000'000;

void Check(const absl::Status& status) {
  if (status.ok()) return;
  fprintf(stderr, "rank_path_bench: %s\n", status.ToString().c_str());
  std::exit(1);
}

void Check(const grpc::Status& status) {
  Check(absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                     status.error_message()));
}

// A folder that is gone when this is.
class TempFolder {
 public:
  TempFolder() {
    path_ = std::filesystem::temp_directory_path() / "qlarank_rank_XXXXXX";
    if (mkdtemp(path_.data()) == nullptr) std::abort();
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct Shape {
  model::v1::ModelSpec spec;
  uint32_t workers;
};

ServerOptions OptionsIn(const std::string& folder, const Shape& shape) {
  Check(WriteRandomBundle(shape.spec, folder + "/model"));
  ServerOptions options;
  options.listen.grpc_address = "127.0.0.1:0";
  options.listen.http_address = "127.0.0.1:0";
  ModelOptions& model = options.models.emplace_back();
  model.name = "random";
  model.version = 1;
  model.path = folder + "/model";
  model.default_model = true;
  options.store.path = folder + "/store";
  options.log.level = LogLevel::kWarning;
  options.rank.workers = shape.workers;
  return options;
}

model::v1::ModelSpec FullSpec() {
  return PlainSpec(/*d_model=*/128, /*num_heads=*/4, /*num_layers=*/2,
                   /*conv_width=*/4, model::v1::TARGET_AWARE_ALL_LAYERS,
                   /*num_items=*/20'000);
}

model::v1::ModelSpec NullSpec(uint64_t num_items) {
  return PlainSpec(/*d_model=*/8, /*num_heads=*/1, /*num_layers=*/1,
                   /*conv_width=*/1, model::v1::TARGET_AWARE_OFF, num_items);
}

v1::AppendEventsRequest History() {
  v1::AppendEventsRequest request;
  request.set_source("bench");
  for (uint64_t i = 1; i <= kEvents; ++i) {
    v1::UserEvent& event = *request.add_events();
    event.set_user_id("user");
    event.set_sequence(i);
    event.mutable_event()->set_item_id(i);
    event.mutable_event()->mutable_time()->set_seconds(kFirstSecond + i * 60);
  }
  return request;
}

v1::RankRequest Request(size_t candidates, uint64_t num_items, uint32_t seed) {
  std::mt19937_64 random(seed);
  v1::RankRequest request;
  request.set_user_id("user");
  request.set_min_event_count(kEvents);
  for (size_t i = 0; i < candidates; ++i) {
    request.add_item_ids(1 + random() % num_items);
  }
  return request;
}

// Microseconds that each call took, sorted when they are asked for.
class Latencies {
 public:
  void Add(absl::Duration latency) {
    us_.push_back(absl::ToDoubleMicroseconds(latency));
  }
  double Quantile(double q) {
    std::sort(us_.begin(), us_.end());
    return us_[std::min<size_t>(us_.size() * q, us_.size() - 1)];
  }
  size_t count() const { return us_.size(); }

 private:
  std::vector<double> us_;
};

void Print(const std::string& what, Latencies& latencies) {
  printf("%-46s p50 %9.1f us   p90 %9.1f   p99 %9.1f   (%zu calls)\n",
         what.c_str(), latencies.Quantile(0.5), latencies.Quantile(0.9),
         latencies.Quantile(0.99), latencies.count());
  fflush(stdout);
}

// Times `call` again and again for so long.
Latencies Repeat(absl::Duration span, const std::function<void()>& call) {
  Latencies latencies;
  const absl::Time end = absl::Now() + span;
  for (int i = 0; i < 20; ++i) call();
  while (true) {
    const absl::Time begin = absl::Now();
    if (begin > end) break;
    call();
    latencies.Add(absl::Now() - begin);
  }
  return latencies;
}

// A server in this process and stubs that reach it over loopback.
class Loopback {
 public:
  explicit Loopback(const Shape& shape) {
    auto server = Server::Start(OptionsIn(folder_.path(), shape));
    Check(server.status());
    server_ = *std::move(server);
    v1::AppendEventsResponse response;
    grpc::ClientContext context;
    Check(v1::IngestService::NewStub(Channel())->AppendEvents(
        &context, History(), &response));
    Rank(*NewStub(), Request(100, 100, 1));
  }
  ~Loopback() { Check(server_->Shutdown()); }

  // Each over a connection of its own.
  std::unique_ptr<v1::RankService::Stub> NewStub() {
    return v1::RankService::NewStub(Channel());
  }

  static void Rank(v1::RankService::Stub& stub,
                   const v1::RankRequest& request) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(10)));
    v1::RankResponse response;
    Check(stub.Rank(&context, request, &response));
  }

 private:
  std::shared_ptr<grpc::Channel> Channel() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(
        absl::StrCat("127.0.0.1:", server_->grpc_port()),
        grpc::InsecureChannelCredentials(), arguments);
  }

  TempFolder folder_;
  std::unique_ptr<Server> server_;
};

// The pipeline without gRPC.
class Direct {
 public:
  explicit Direct(const Shape& shape) {
    auto services =
        Services::Create(OptionsIn(folder_.path(), shape), metrics_);
    Check(services.status());
    services_ = *std::move(services);
    absl::Notification appended;
    const v1::AppendEventsRequest history = History();
    services_->pipeline().ingest().Append(
        history, absl::Now(), IngestPipeline::OnFull::kQueue,
        [&](absl::StatusOr<v1::AppendEventsResponse> result) {
          Check(result.status());
          appended.Notify();
        });
    appended.WaitForNotification();
    Rank(Request(100, 100, 1));
  }

  void Rank(const v1::RankRequest& request) {
    v1::RankResponse response;
    absl::Notification done;
    RankCall::Context context;
    context.arrival = absl::Now();
    services_->pipeline().rank().Start(request, response, context,
                                       [&](absl::Status status) {
                                         Check(status);
                                         done.Notify();
                                       });
    done.WaitForNotification();
  }

 private:
  TempFolder folder_;
  Metrics metrics_;
  std::unique_ptr<Services> services_;
};

void Null() {
  for (const uint64_t num_items : {20'000, 1'000'000}) {
    const v1::RankRequest request = Request(2'000, num_items, 2);
    for (const uint32_t workers : {1, 2}) {
      Direct direct({NullSpec(num_items), workers});
      Latencies latencies =
          Repeat(absl::Seconds(2), [&] { direct.Rank(request); });
      Print(absl::StrCat("pipeline, ", num_items, " items, ", workers,
                         " workers"),
            latencies);
    }
    Loopback loopback({NullSpec(num_items), 2});
    const auto stub = loopback.NewStub();
    Latencies latencies =
        Repeat(absl::Seconds(2), [&] { Loopback::Rank(*stub, request); });
    Print(absl::StrCat("RPC, ", num_items, " items, 2 workers"), latencies);
  }
}

void Cores() {
  const v1::RankRequest request = Request(4'000, 20'000, 2);
  Loopback one({FullSpec(), 1}), two({FullSpec(), 2});
  const auto stub_one = one.NewStub(), stub_two = two.NewStub();
  for (int round = 0; round < 5; ++round) {
    Latencies a =
        Repeat(absl::Seconds(1.5), [&] { Loopback::Rank(*stub_one, request); });
    Latencies b =
        Repeat(absl::Seconds(1.5), [&] { Loopback::Rank(*stub_two, request); });
    printf("one worker %8.2f ms   two %8.2f ms   speed-up %.3f\n",
           a.Quantile(0.5) / 1e3, b.Quantile(0.5) / 1e3,
           a.Quantile(0.5) / b.Quantile(0.5));
  }
}

void Mixed() {
  Loopback loopback({FullSpec(), 2});
  const auto stub = loopback.NewStub();
  const v1::RankRequest small = Request(50, 20'000, 2);
  const v1::RankRequest tile = Request(64, 20'000, 2);
  const v1::RankRequest large = Request(5'000, 20'000, 3);
  const auto paced = [&](const v1::RankRequest& request) {
    absl::SleepFor(absl::Milliseconds(2));
    const absl::Time begin = absl::Now();
    Loopback::Rank(*stub, request);
    return absl::Now() - begin;
  };
  const auto series = [&](int n) {
    Latencies latencies;
    for (int i = 0; i < n; ++i) latencies.Add(paced(small));
    return latencies;
  };
  for (int round = 0; round < 3; ++round) {
    Latencies alone = series(1500);
    std::atomic<bool> stop{false};
    std::atomic<int> finished{0};
    std::vector<std::thread> flood;
    for (int i = 0; i < 8; ++i) {
      flood.emplace_back([&] {
        const auto mine = loopback.NewStub();
        while (!stop) {
          Loopback::Rank(*mine, large);
          ++finished;
        }
      });
    }
    absl::SleepFor(absl::Milliseconds(300));
    finished = 0;
    const absl::Time begin = absl::Now();
    Latencies beside = series(1500);
    const double seconds = absl::ToDoubleSeconds(absl::Now() - begin);
    stop = true;
    for (std::thread& thread : flood) thread.join();
    Print("50 candidates, alone", alone);
    Print("50 candidates, beside 8 x 5,000", beside);
    const double tiles = finished * 79 / seconds;
    printf(
        "%.1f requests/s of 5,000: a tile is %.0f us of a worker; p99 grew "
        "by %.2f tiles\n",
        finished / seconds, 2e6 / tiles,
        (beside.Quantile(0.99) - alone.Quantile(0.99)) / (2e6 / tiles));
  }
}

// Requests a second that 8 callers get, one after another each.
double Saturate(Loopback& loopback, const v1::RankRequest& request) {
  std::atomic<bool> stop{false};
  std::atomic<int> finished{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&] {
      const auto stub = loopback.NewStub();
      while (!stop) {
        Loopback::Rank(*stub, request);
        ++finished;
      }
    });
  }
  absl::SleepFor(absl::Milliseconds(500));
  const int before = finished;
  const absl::Time begin = absl::Now();
  absl::SleepFor(absl::Seconds(4));
  const double rate =
      (finished - before) / absl::ToDoubleSeconds(absl::Now() - begin);
  stop = true;
  for (std::thread& caller : callers) caller.join();
  return rate;
}

void Open() {
  Loopback loopback({FullSpec(), 2});
  const v1::RankRequest request = Request(2'048, 20'000, 2);
  const double saturation = Saturate(loopback, request);
  std::vector<std::unique_ptr<v1::RankService::Stub>> stubs;
  for (int i = 0; i < 8; ++i) stubs.push_back(loopback.NewStub());
  for (int round = 0; round < 3; ++round) {
    struct Call {
      grpc::ClientContext context;
      v1::RankResponse response;
    };
    constexpr int kCalls = 1500;
    std::vector<std::unique_ptr<Call>> calls(kCalls);
    std::vector<double> us(kCalls);
    std::atomic<int> errors{0}, finished{0};
    std::mt19937_64 random(round);
    std::exponential_distribution<double> gap(0.6 * saturation);
    absl::Time intended = absl::Now();
    for (int i = 0; i < kCalls; ++i) {
      intended += absl::Seconds(gap(random));
      absl::SleepFor(intended - absl::Now());
      calls[i] = std::make_unique<Call>();
      calls[i]->context.set_deadline(
          absl::ToChronoTime(intended + absl::Seconds(10)));
      stubs[i % stubs.size()]->async()->Rank(
          &calls[i]->context, &request, &calls[i]->response,
          [&, i, intended](grpc::Status status) {
            us[i] = absl::ToDoubleMicroseconds(absl::Now() - intended);
            if (!status.ok()) ++errors;
            ++finished;
          });
    }
    while (finished < kCalls) absl::SleepFor(absl::Milliseconds(1));
    Latencies latencies;
    for (const double x : us) latencies.Add(absl::Microseconds(x));
    Print(absl::StrCat("60 % of ", static_cast<int>(saturation), " requests/s"),
          latencies);
    printf("  p99 / p50 %.2f, %d errors\n",
           latencies.Quantile(0.99) / latencies.Quantile(0.5), errors.load());
  }
}

}  // namespace
}  // namespace qlarank::bench

int main(int argc, char** argv) {
  const std::string what = argc == 2 ? argv[1] : "";
  if (what == "null") {
    qlarank::bench::Null();
  } else if (what == "cores") {
    qlarank::bench::Cores();
  } else if (what == "mixed") {
    qlarank::bench::Mixed();
  } else if (what == "open") {
    qlarank::bench::Open();
  } else {
    fprintf(stderr, "usage: rank_path_bench null|cores|mixed|open\n");
    return 2;
  }
  return 0;
}
