#include "bench/load/load_run.h"

#include <poll.h>
#include <sys/prctl.h>
#include <time.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "bench/load/connection.h"

namespace qlarank::bench {
namespace {

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

double ProcessSeconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return now.tv_sec + now.tv_nsec * 1e-9;
}

}  // namespace

LoadRun::LoadRun(Options options, std::vector<Flow> flows)
    : options_(std::move(options)),
      flows_(std::move(flows)),
      timeline_(options_.timeline) {}

absl::StatusOr<nlohmann::json> LoadRun::Run() {
  // Sleeps end when they should, instead of up to 50 us later.
  prctl(PR_SET_TIMERSLACK, 1);
  absl::Status status = Connect();
  if (!status.ok()) return status;
  const double processor_begin = ProcessSeconds();
  const absl::Time begin = absl::Now();
  measure_from_ = begin + options_.warm_up;
  measure_to_ = measure_from_ + options_.duration;
  for (const Stream& stream : streams_) stream.load->Begin(begin, measure_to_);
  status = Exchange();
  if (!status.ok()) return status;
  const double seconds = absl::ToDoubleSeconds(absl::Now() - begin);
  nlohmann::json flows = nlohmann::json::array();
  for (const Stream& stream : streams_) flows.push_back(Summary(stream));
  return nlohmann::json{
      {"flows", std::move(flows)},
      {"client_processors", (ProcessSeconds() - processor_begin) / seconds}};
}

absl::Status LoadRun::Connect() {
  uint32_t seed = options_.seed;
  for (const Flow& flow : flows_) {
    auto connection =
        Connection::Open(options_.server, options_.source_address);
    if (!connection.ok()) return connection.status();
    streams_.push_back({std::make_unique<LoadStream>(flow, options_.population,
                                                     options_.timeout, seed++,
                                                     *std::move(connection)),
                        {},
                        {}});
  }
  return absl::OkStatus();
}

absl::Status LoadRun::Exchange() {
  while (true) {
    bool ended = true;
    for (Stream& stream : streams_) {
      const absl::Status status = stream.load->Exchange(
          [&](const LoadStream::Outcome& outcome) { Count(stream, outcome); });
      if (!status.ok()) return status;
      ended = ended && stream.load->ended();
    }
    if (ended) return absl::OkStatus();
    Wait();
  }
}

void LoadRun::Wait() const {
  std::vector<pollfd> files;
  absl::Time until = absl::InfiniteFuture();
  for (const Stream& stream : streams_) {
    files.push_back(stream.load->ToPoll());
    until = std::min(until, stream.load->Next());
  }
  const absl::Duration left =
      std::max(until - absl::Now(), absl::ZeroDuration());
  const timespec timeout = absl::ToTimespec(left);
  ppoll(files.data(), files.size(), &timeout, nullptr);
}

void LoadRun::Count(Stream& stream, const LoadStream::Outcome& outcome) {
  if (outcome.intended < measure_from_ || outcome.intended >= measure_to_) {
    return;
  }
  const Flow& flow = stream.load->flow();
  const absl::Duration latency = outcome.ended - outcome.intended;
  stream.late_ms.push_back(
      absl::ToDoubleMilliseconds(outcome.sent - outcome.intended));
  timeline_.Add(flow.name, outcome.intended, latency, outcome.code);
  if (outcome.code != 0) {
    stream.latencies.Failed(
        absl::StrCat(outcome.code, ": ", WithoutNumbers(outcome.message)));
  } else if (outcome.bytes < flow.candidates * 4) {
    stream.latencies.Failed("a reply without all scores");
  } else {
    stream.latencies.Answered(latency);
  }
}

nlohmann::json LoadRun::Summary(const Stream& stream) const {
  const Flow& flow = stream.load->flow();
  nlohmann::json json = stream.latencies.ToJson();
  json["name"] = flow.name;
  json["kind"] = flow.open ? "open" : "closed";
  json["amount"] = flow.amount;
  json["candidates"] = flow.candidates;
  json["per_second"] = json["completed"].get<double>() /
                       absl::ToDoubleSeconds(options_.duration);
  if (!stream.late_ms.empty()) {
    std::vector<double> sorted = stream.late_ms;
    std::sort(sorted.begin(), sorted.end());
    json["late_ms"] = {{"p50", Quantile(sorted, 0.5)},
                       {"p99", Quantile(sorted, 0.99)}};
  }
  return json;
}

}  // namespace qlarank::bench
