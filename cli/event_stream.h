// Sends events through IngestService.StreamEvents until every one is durable.
//
// A user's log drops what is at or below its source's watermark, so a batch
// must never be overtaken by later events of its users: if it were refused and
// sent again, its events would count as duplicates and be lost. Therefore users
// are spread over lanes, and a lane has one batch in flight: batches of
// different lanes travel side by side, those of one user strictly in turn.
//
// Every event has an outcome of its own. One that is refused for good is given
// up and reported, and the others of its batch stay what they are; one that was
// only not taken yet is sent again after a pause, in order. When the connection
// breaks or the server is draining, the batches in flight are sent again, which
// is safe because events count once.
//
// Blocks; not thread-safe (one thread writes and reads the stream).
#ifndef QLARANK_CLI_EVENT_STREAM_H_
#define QLARANK_CLI_EVENT_STREAM_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cli/client.h"

namespace qlarank {

class EventStream {
 public:
  // An event on its way, and what the caller wants back if it is refused:
  // where it stood, and as what.
  struct Item {
    v1::UserEvent event;
    uint64_t line = 0;
    std::string text = "";
  };

  struct Options {
    std::string source;
    size_t batch_events = 1'000;
    size_t batch_bytes = 1 << 20;
    size_t lanes = 4;
    // Give up when nothing was acknowledged for so long.
    absl::Duration retry_for = absl::Seconds(30);
    // An event that is refused for good ends the stream, and is not given up:
    // what follows of its user waits until it was sent again.
    bool stop_at_refused = false;
    // Told of an event that was refused for good and given up. What it returns
    // ends the stream, unless it is OK.
    std::function<absl::Status(const Item&, const absl::Status&)> on_refused =
        nullptr;
    // Told of each pause before sending again.
    std::function<void(const absl::Status&, absl::Duration)> on_retry = nullptr;
    std::function<void(absl::Duration)> sleep = [](absl::Duration d) {
      absl::SleepFor(d);
    };
  };

  struct Totals {
    uint64_t applied = 0;
    uint64_t duplicates = 0;
    uint64_t refused = 0;  // for good
    uint64_t resent_batches = 0;
    uint64_t acknowledged() const { return applied + duplicates; }
  };

  // `client` must outlive the stream.
  EventStream(const Client& client, Options options);
  ~EventStream();

  // Queues the event; sends and waits as needed. UNAVAILABLE: given up. Others
  // come from on_refused, from the event that refused() tells, or from what
  // ended the stream: the message is the server's. After an error only the two
  // getters may be called.
  absl::Status Add(Item item);
  // Sends what is queued and waits until all is durable.
  absl::Status Finish();

  const Totals& totals() const { return totals_; }

  // With stop_at_refused: the event that ended the stream, if one did.
  const std::optional<Item>& refused() const { return refused_; }

 private:
  struct Batch {
    size_t size() const { return texts.size(); }
    void Add(Item item);
    Item Take(size_t index);

    v1::StreamEventsRequest request;
    // One for each event.
    std::vector<uint64_t> lines;
    std::vector<std::string> texts;
    size_t bytes = 0;
  };
  struct Lane {
    Batch filling;
    // Waiting to be acknowledged, in order; the first one has been sent if
    // in_flight.
    std::deque<Batch> batches;
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
  // What became of each event of the lane's first batch.
  absl::Status TakeOutcomes(Lane& lane,
                            const v1::AppendEventsResponse& result);
  // One of them that was refused for good.
  absl::Status GiveUp(Item item, const absl::Status& refusal);
  Batch EmptyBatch(uint64_t lane, bool give_up_refused) const;
  // After the stream broke: a new one, with nothing in flight.
  absl::Status Restart();
  absl::Status Pause(const absl::Status& reason);

  const Client& client_;
  Options options_;
  std::vector<Lane> lanes_;
  Totals totals_;
  std::optional<Item> refused_;
  absl::Time last_acknowledgement_;
  absl::Duration next_pause_;
  // Why the server asked to send a batch again; OK when it did not.
  absl::Status retry_reason_;

  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<Call> call_;
};

}  // namespace qlarank

#endif  // QLARANK_CLI_EVENT_STREAM_H_
