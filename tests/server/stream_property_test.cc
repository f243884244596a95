// Any split, interleaving, retry and restart of a stream of events gives the
// same states, bit for bit: through the real pipeline and a real store.
#include <algorithm>
#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "server/pipeline.h"
#include "server/work/proto_time.h"
#include "state_store/rocksdb_state_store.h"
#include "tests/testing/requests.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::testing {
namespace {

constexpr size_t kSources = 2;
constexpr size_t kUsersOfSource = 5;
constexpr uint64_t kMaxEvents = 160;
constexpr int kRestarts = 4;

using Random = std::mt19937_64;

// What one source has to say of one user, and how much of it is acknowledged.
struct Stream {
  std::string user_id;
  std::vector<v1::Event> events;  // of sequences 1, 2, ...
  size_t acknowledged = 0;
};

// The state after these events, one after the other, by the engine alone.
std::string Fold(const Engine& engine, const std::vector<v1::Event>& events) {
  const auto scratch = engine.NewScratch();
  auto state = engine.empty_state();
  for (const v1::Event& event : events) {
    const ModelEvent folded = {engine.bundle().ItemRow(event.item_id()),
                               engine.bundle().ActionIndex(event.action()),
                               ToMicros(event.time()), event.features()};
    FoldJob job = {state, absl::MakeConstSpan(&folded, 1), nullptr};
    engine.Fold(absl::MakeSpan(&job, 1), *scratch);
    state = job.after;
  }
  return engine.SerializeState(*state);
}

// One in five is late, by up to an hour.
std::vector<v1::Event> MakeEvents(const Bundle& bundle,
                                  const std::string& user_id, Random& random) {
  std::vector<v1::Event> events;
  for (uint64_t n = 1 + random() % kMaxEvents; n > 0; --n) {
    v1::Event event = MakeEvent(bundle, user_id, events.size() + 1);
    if (random() % 5 == 0) {
      *event.mutable_time() =
          FromMicros(ToMicros(event.time()) -
                     static_cast<int64_t>(random() % 3'600'000'000));
    }
    events.push_back(event);
  }
  return events;
}

// A source that sends its streams piece by piece, each piece beginning with
// what is acknowledged already or before it, and those of several users mixed.
class Source {
 public:
  Source(std::string name, std::vector<Stream> streams, uint64_t seed)
      : name_(std::move(name)), streams_(std::move(streams)), random_(seed) {}

  const std::vector<Stream>& streams() const { return streams_; }
  uint64_t applied() const { return applied_; }

  // Some requests, each answered before the next but for retries.
  void Send(IngestPipeline& ingest, int num_requests) {
    for (int i = 0; i < num_requests; ++i) SendOne(ingest);
  }
  void SendTheRest(IngestPipeline& ingest) {
    const auto left = [](const Stream& stream) {
      return stream.acknowledged < stream.events.size();
    };
    while (std::any_of(streams_.begin(), streams_.end(), left)) SendOne(ingest);
  }
  // Has forgotten some of what was acknowledged, as after a restart.
  void Forget() {
    for (Stream& stream : streams_) {
      stream.acknowledged = random_() % (stream.acknowledged + 1);
    }
  }

 private:
  struct Piece {
    size_t stream;
    size_t next;
    size_t end;
  };

  void SendOne(IngestPipeline& ingest) {
    std::vector<Piece> pieces;
    for (size_t i = 0; i < streams_.size(); ++i) {
      if (random_() % 2 == 0) continue;
      const size_t known = streams_[i].acknowledged;
      const size_t begin = random_() % 4 == 0 ? random_() % (known + 1) : known;
      const size_t end = std::min(streams_[i].events.size(),
                                  known + random_() % (2 + random_() % 40));
      pieces.push_back({i, begin, end});
    }
    const v1::AppendEventsRequest request = Mix(pieces);
    // Twice, now and then, as a client does that got no answer in time.
    const int copies = random_() % 4 == 0 ? 2 : 1;
    std::vector<std::unique_ptr<absl::Notification>> answered;
    for (int copy = 0; copy < copies; ++copy) {
      answered.push_back(std::make_unique<absl::Notification>());
      ingest.Append(request, absl::Now(), {}, IngestPipeline::OnFull::kWait,
                    [this, done = answered.back().get()](AppendResult result) {
                      ASSERT_TRUE(result.status.ok()) << result.status;
                      ASSERT_EQ(result.response.refusals_size(), 0);
                      applied_ += result.response.applied();
                      done->Notify();
                    });
    }
    for (const auto& done : answered) done->WaitForNotification();
    for (const Piece& piece : pieces) {
      streams_[piece.stream].acknowledged = piece.end;
    }
  }

  // The events of the pieces in any order that keeps each user's own.
  v1::AppendEventsRequest Mix(std::vector<Piece> pieces) {
    v1::AppendEventsRequest request;
    request.set_source(name_);
    while (!pieces.empty()) {
      const size_t pick = random_() % pieces.size();
      Piece& piece = pieces[pick];
      if (piece.next >= piece.end) {
        pieces.erase(pieces.begin() + pick);
        continue;
      }
      const Stream& stream = streams_[piece.stream];
      v1::UserEvent& event = *request.add_events();
      event.set_user_id(stream.user_id);
      *event.mutable_event() = stream.events[piece.next];
      event.set_sequence(++piece.next);
    }
    return request;
  }

  const std::string name_;
  std::vector<Stream> streams_;
  Random random_;
  std::atomic<uint64_t> applied_{0};  // by whichever writer answers
};

class StreamPropertyTest : public ::testing::TestWithParam<uint32_t> {
 protected:
  StreamPropertyTest() : random_(GetParam()) {
    static constexpr const char* kModels[] = {"all_l4_decay_conv_everything",
                                              "block_l1_silu_features",
                                              "seeds_all_l2_attended"};
    options_ = TestOptions(GoldenModel(kModels[GetParam() % 3]));
    const auto bundle = LoadGolden(options_.models[0]);
    engine_ = *Engine::Create(bundle);
    for (size_t s = 0; s < kSources; ++s) {
      std::vector<Stream> streams;
      for (size_t u = 0; u < kUsersOfSource; ++u) {
        const std::string user_id = absl::StrCat("user-", s, "-", u);
        streams.push_back({user_id, MakeEvents(*bundle, user_id, random_)});
      }
      sources_.push_back(std::make_unique<Source>(
          absl::StrCat("source-", s), std::move(streams), random_()));
    }
  }

  // Another process's life: other threads, another interval of snapshots, a
  // cache that holds all states or next to none.
  void Start() {
    options_.ingest.shards = 1 + random_() % 3;
    options_.ingest.max_group_events = random_() % 2 == 0 ? 4096 : 16;
    options_.ingest.fold_threads = 1 + random_() % 3;
    options_.store.snapshot_interval_events = 1 + random_() % 64;
    options_.store.user_cache_bytes = random_() % 2 == 0 ? 1 << 30 : 1 << 16;
    RocksDbOptions store;
    store.path = folder_.Path("store");
    store_ = *OpenRocksDbStateStore(store);
    pipeline_ = *Pipeline::Create(options_, *store_, metrics_);
  }

  // With snapshots or without, with everything folded or in the middle of it.
  void Stop() {
    if (random_() % 2 == 0) {
      ASSERT_TRUE(pipeline_->WaitUntilFolded(absl::Seconds(60)));
    }
    if (random_() % 2 == 0) {
      ASSERT_TRUE(pipeline_->Flush().ok());
    }
    pipeline_ = nullptr;
    store_ = nullptr;
  }

  template <typename Send>
  void SendAtOnce(const Send& send) {
    std::vector<std::thread> threads;
    for (const auto& source : sources_) {
      threads.emplace_back([&] { send(*source); });
    }
    for (std::thread& thread : threads) thread.join();
  }

  v1::GetUserStateResponse StateOf(const Stream& stream) {
    v1::GetUserStateRequest request;
    request.set_user_id(stream.user_id);
    request.set_include_state(true);
    request.set_min_event_count(stream.events.size());
    v1::GetUserStateResponse response;
    absl::Notification done;
    StatePipeline::Context context;
    context.arrival = absl::Now();
    pipeline_->state().Start(request, response, context,
                             [&](absl::Status status, RequestSlot) {
                               EXPECT_TRUE(status.ok()) << status;
                               done.Notify();
                             });
    done.WaitForNotification();
    return response;
  }

  void ExpectStates(const std::string& when) {
    for (const auto& source : sources_) {
      for (const Stream& stream : source->streams()) {
        const auto state = StateOf(stream);
        EXPECT_EQ(state.state().event_count(), stream.events.size());
        EXPECT_TRUE(state.serialized_state() == Fold(*engine_, stream.events))
            << stream.user_id << " differs " << when;
      }
    }
  }

  Random random_;
  TempDir folder_;
  ServerOptions options_;
  std::unique_ptr<const Engine> engine_;
  std::vector<std::unique_ptr<Source>> sources_;
  Metrics metrics_;
  std::unique_ptr<StateStore> store_;
  std::unique_ptr<Pipeline> pipeline_;
};

TEST_P(StreamPropertyTest, StatesDoNotDependOnHowEventsCame) {
  SCOPED_TRACE(absl::StrCat("seed ", GetParam()));
  for (int restart = 0; restart < kRestarts; ++restart) {
    Start();
    const int num_requests = random_() % 12;
    SendAtOnce([&](Source& source) {
      source.Send(pipeline_->ingest(), num_requests);
      source.Forget();
    });
    Stop();
  }
  Start();
  SendAtOnce([&](Source& source) { source.SendTheRest(pipeline_->ingest()); });
  ExpectStates("while it runs");

  uint64_t applied = 0, events = 0;
  for (const auto& source : sources_) {
    applied += source->applied();
    for (const Stream& stream : source->streams()) {
      events += stream.events.size();
    }
  }
  EXPECT_EQ(applied, events);
  EXPECT_EQ(metrics_.ingest.events_applied.Value(), events);

  Stop();
  Start();
  ExpectStates("after a restart");
  // From the log alone.
  pipeline_ = nullptr;
  ASSERT_TRUE(store_->DropFingerprint(engine_->state_fingerprint()).ok());
  store_ = nullptr;
  Start();
  ExpectStates("without snapshots");
}

INSTANTIATE_TEST_SUITE_P(Seeds, StreamPropertyTest, ::testing::Range(1u, 10u));

}  // namespace
}  // namespace qlarank::testing
