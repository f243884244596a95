#include "bench/load/load_run.h"

#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <thread>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "bench/load/connection.h"
#include "grpcpp/client_context.h"

namespace qlarank::bench {
namespace {

constexpr char kMethod[] = "/qlarank.v1.RankService/Rank";
constexpr size_t kPreparedBytes = 16 << 20;  // of requests, per flow

std::shared_ptr<grpc::Channel> ConnectOrDie(const LoadRun::Options& options) {
  auto channel = NewConnection(options.server, options.source_address);
  if (!channel.ok()) {
    std::cerr << "load_client: " << channel.status() << "\n";
    std::exit(1);
  }
  return *std::move(channel);
}

// Messages that differ in their numbers only are one reason.
std::string WithoutNumbers(const std::string& message) {
  std::string text;
  for (const char c : message) {
    const bool digit = absl::ascii_isdigit(c) || c == '.';
    if (!digit) {
      text += c;
    } else if (text.empty() || text.back() != '#') {
      text += '#';
    }
  }
  return text;
}

size_t NumPrepared(uint32_t candidates) {
  return std::clamp<size_t>(kPreparedBytes / (8 * candidates), 64, 4096);
}

double ProcessSeconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return now.tv_sec + now.tv_nsec * 1e-9;
}

}  // namespace

struct LoadRun::Stream {
  Stream(const Flow& flow, const Options& options, uint32_t seed)
      : flow(flow),
        channel(ConnectOrDie(options)),
        stub(channel),
        requests(options.population, flow.candidates,
                 NumPrepared(flow.candidates), seed) {}

  const Flow flow;
  const std::shared_ptr<grpc::Channel> channel;
  grpc::GenericStub stub;
  PreparedRequests requests;  // used by the one thread that starts requests
  Latencies latencies;        // used by the thread that takes answers
};

struct LoadRun::Call {
  Stream& stream;
  const absl::Time intended;
  grpc::ClientContext context;
  grpc::ByteBuffer response;
  grpc::Status status;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
};

LoadRun::LoadRun(Options options, const std::vector<Flow>& flows)
    : options_(std::move(options)), timeline_(options_.timeline) {
  uint32_t seed = options_.seed;
  for (const Flow& flow : flows) {
    streams_.push_back(std::make_unique<Stream>(flow, options_, seed++));
  }
}

LoadRun::~LoadRun() = default;

bool LoadRun::Measured(absl::Time intended) const {
  return intended >= measure_from_ && intended < measure_to_;
}

void LoadRun::Start(Stream& stream, absl::Time intended) {
  ++under_way_;
  auto* call = new Call{stream, intended, {}, {}, {}, {}};
  call->context.set_deadline(
      absl::ToChronoTime(absl::Now() + options_.timeout));
  call->reader = stream.stub.PrepareUnaryCall(&call->context, kMethod,
                                              stream.requests.Next(), &queue_);
  call->reader->StartCall();
  call->reader->Finish(&call->response, &call->status, call);
}

void LoadRun::SendArrivals(Stream& stream, uint32_t seed) {
  std::mt19937_64 random(seed);
  std::exponential_distribution<double> pause_seconds(stream.flow.amount);
  absl::Time next = begin_;
  while (true) {
    next += absl::Seconds(pause_seconds(random));
    if (next >= measure_to_) break;
    absl::SleepFor(next - absl::Now());
    Start(stream, next);
  }
  --under_way_;  // this thread was one
}

void LoadRun::Finish(Call& call) {
  const absl::Time now = absl::Now();
  Stream& stream = call.stream;
  if (Measured(call.intended)) {
    timeline_.Add(stream.flow.name, call.intended, now - call.intended,
                  call.status.error_code());
    if (!call.status.ok()) {
      stream.latencies.Failed(
          absl::StrCat(call.status.error_code(), ": ",
                       WithoutNumbers(call.status.error_message())));
    } else if (call.response.Length() < stream.flow.candidates * 4) {
      stream.latencies.Failed("a reply without all scores");
    } else {
      stream.latencies.Answered(now - call.intended);
    }
  }
  if (!stream.flow.open && now < measure_to_) Start(stream, now);
}

nlohmann::json LoadRun::Run() {
  // A connection from a given address is there already.
  for (const auto& stream : streams_) {
    if (!options_.source_address.empty()) break;
    stream->channel->WaitForConnected(
        absl::ToChronoTime(absl::Now() + options_.timeout));
  }
  const double processor_begin = ProcessSeconds();
  begin_ = absl::Now();
  measure_from_ = begin_ + options_.warm_up;
  measure_to_ = measure_from_ + options_.duration;

  std::vector<std::jthread> arrivals;
  uint32_t seed = options_.seed;
  for (const auto& stream : streams_) {
    ++seed;
    if (stream->flow.open) {
      ++under_way_;
      arrivals.emplace_back(
          [this, &stream = *stream, seed] { SendArrivals(stream, seed); });
    } else {
      for (int i = 0; i < stream->flow.amount; ++i) Start(*stream, begin_);
    }
  }
  void* tag;
  bool ok;
  while (under_way_ > 0) {
    // Woken up now and then to see that nothing is left to come.
    const auto soon = absl::ToChronoTime(absl::Now() + absl::Milliseconds(100));
    if (queue_.AsyncNext(&tag, &ok, soon) != grpc::CompletionQueue::GOT_EVENT) {
      continue;
    }
    const std::unique_ptr<Call> call(static_cast<Call*>(tag));
    Finish(*call);
    --under_way_;
  }
  const double seconds = absl::ToDoubleSeconds(absl::Now() - begin_);
  nlohmann::json flows = nlohmann::json::array();
  for (const auto& stream : streams_) flows.push_back(Summary(*stream));
  return {
      {"flows", std::move(flows)},
      {"client_processors", (ProcessSeconds() - processor_begin) / seconds}};
}

nlohmann::json LoadRun::Summary(const Stream& stream) const {
  nlohmann::json json = stream.latencies.ToJson();
  json["name"] = stream.flow.name;
  json["kind"] = stream.flow.open ? "open" : "closed";
  json["amount"] = stream.flow.amount;
  json["candidates"] = stream.flow.candidates;
  json["per_second"] = json["completed"].get<double>() /
                       absl::ToDoubleSeconds(options_.duration);
  return json;
}

}  // namespace qlarank::bench
