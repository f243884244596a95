// Sends events through IngestService.StreamEvents until every one is durable.
//
// A user's log drops what is at or below its source's watermark, so a batch
// must never be overtaken by later events of its users: if it were refused and
// sent again, its events would count as duplicates and be lost. Therefore users
// are spread over lanes, and a lane has one batch in flight: batches of
// different lanes travel side by side, those of one user strictly in turn.
//
// When the connection breaks or the server is draining, the batches in flight
// are sent again after a pause, which is safe because events count once.
//
// Blocks; not thread-safe (one thread writes and reads the stream).
#ifndef QLARANK_CLI_EVENT_STREAM_H_
#define QLARANK_CLI_EVENT_STREAM_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cli/client.h"

namespace qlarank {

class EventStream {
 public:
  struct Options {
    std::string source;
    size_t batch_events = 1'000;
    size_t lanes = 4;
    // Give up when nothing was acknowledged for so long.
    absl::Duration retry_for = absl::Seconds(30);
    // Set an event aside when the server refuses it as invalid, and go on;
    // otherwise that ends the stream.
    bool skip_invalid = false;
    // Told of an event set aside, and of each pause before sending again.
    std::function<void(const v1::UserEvent&, const absl::Status&)> on_skipped =
        nullptr;
    std::function<void(const absl::Status&, absl::Duration)> on_retry = nullptr;
    std::function<void(absl::Duration)> sleep = [](absl::Duration d) {
      absl::SleepFor(d);
    };
  };

  struct Totals {
    uint64_t applied = 0;
    uint64_t duplicates = 0;
    uint64_t skipped = 0;
    uint64_t resent_batches = 0;
    uint64_t acknowledged() const { return applied + duplicates; }
  };

  // `client` must outlive the stream.
  EventStream(const Client& client, Options options);
  ~EventStream();

  // Queues the event; sends and waits as needed. INVALID_ARGUMENT and others:
  // the server refused a batch, the message is its; UNAVAILABLE: given up.
  // After an error only totals() may be called.
  absl::Status Add(v1::UserEvent event);
  // Sends what is queued and waits until all is durable.
  absl::Status Finish();

  const Totals& totals() const { return totals_; }

 private:
  struct Lane {
    v1::StreamEventsRequest filling;
    // Waiting to be acknowledged, in order; the first one has been sent if
    // in_flight.
    std::deque<v1::StreamEventsRequest> batches;
    bool in_flight = false;
  };
  using Call = grpc::ClientReaderWriter<v1::StreamEventsRequest,
                                        v1::StreamEventsResponse>;

  void Connect();
  // Moves what is filling to the lane's batches, once they are acknowledged.
  absl::Status Queue(Lane& lane);
  // Sends the first batch of every lane that has none in flight, whatever it
  // takes.
  absl::Status SendIdleLanes();
  bool WriteIdleLanes();
  // Waits for one response, takes it in, and sends what may follow.
  absl::Status ReadOne();
  absl::Status Take(const v1::StreamEventsResponse& response);
  absl::Status TakeRefusal(Lane& lane, const absl::Status& refusal);
  // Takes what was taken out of a lane's batch, and sees to the rest.
  absl::Status KeepRefused(Lane& lane, const v1::AppendEventsResponse& result);
  // Sets aside or halves a refused batch, to find its invalid events.
  void SplitOrSkip(Lane& lane, const absl::Status& refusal);
  // After the stream broke: a new one, with nothing in flight.
  absl::Status Restart();
  absl::Status Pause(const absl::Status& reason);

  const Client& client_;
  Options options_;
  std::vector<Lane> lanes_;
  Totals totals_;
  absl::Time last_acknowledgement_;
  absl::Duration next_pause_;
  // Why the server asked to send a batch again; OK when it did not.
  absl::Status retry_reason_;

  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<Call> call_;
};

}  // namespace qlarank

#endif  // QLARANK_CLI_EVENT_STREAM_H_
