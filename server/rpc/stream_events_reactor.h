// One StreamEvents call: batches in, one response each, in the order of the
// batches, none before its events are durable.
//
// Several batches may be in flight, so that their commits are shared. Beyond
// kMaxInFlight or so many bytes, or while the ingest queues have no room for its
// client, the next batch is not read: the transport's flow control then slows
// the client down. One that was read waits for its room (ingest_admission.h),
// and the next is not read before it has it. A batch counts until its response
// was written, so that a client who does not read responses is not read from
// either.
//
// A batch that cannot be parsed ends the stream with INVALID_ARGUMENT, once the
// batches before it are answered.
//
// gRPC calls the reactor's methods from its threads, the pipeline answers on
// its own: one mutex guards them all. The stream deletes itself once Finish was
// called and no callback of gRPC runs, which knows nothing of the pipeline: so
// it is not finished while a batch is in the pipeline or a callback of it is
// due, and takes no batch after that.
#ifndef QLARANK_SERVER_RPC_STREAM_EVENTS_REACTOR_H_
#define QLARANK_SERVER_RPC_STREAM_EVENTS_REACTOR_H_

#include <atomic>
#include <deque>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"
#include "qlarank/v1/ingest_service.pb.h"
#include "server/ingest/ingest_pipeline.h"
#include "server/rpc/drain.h"

namespace qlarank {

class StreamEventsReactor final
    : public grpc::ServerBidiReactor<grpc::ByteBuffer,
                                     v1::StreamEventsResponse>,
      private Drain::Listener {
 public:
  // Batches read and not yet answered.
  static constexpr size_t kMaxInFlight = 32;

  // Deletes itself when the RPC is over. Pipeline and drain must outlive it, as
  // the RPC's context does. The caller's flag is the stream's own.
  StreamEventsReactor(const grpc::CallbackServerContext& context,
                      IngestPipeline& pipeline, Drain& drain,
                      IngestPipeline::Caller caller, size_t window_bytes);

  // Begins to read; once, after construction.
  void Start();

 private:
  // A batch from its reading to its response. Its address stays.
  struct Batch {
    grpc::ByteBuffer received;  // the request, until it is parsed
    v1::StreamEventsRequest request;
    v1::StreamEventsResponse response;
    size_t bytes = 0;  // of the request
    bool answered = false;
  };

  ~StreamEventsReactor();

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override { cancelled_ = true; }
  void OnDone() override { delete this; }
  void OnDrain() override;

  // What whoever changed the stream's state has to do once the lock is released.
  enum class Next { kNothing, kEnd, kWaitForRoom };

  void Answer(Batch& batch, AppendResult result) ABSL_LOCKS_EXCLUDED(mutex_);
  // The last batch read is before the writers, or refused.
  void Admitted() ABSL_LOCKS_EXCLUDED(mutex_);
  void RoomReturned() ABSL_LOCKS_EXCLUDED(mutex_);
  // Begins whatever can be done next. If it returns kNothing, a caller that is
  // no callback of gRPC must not touch the stream after that, not even to do
  // nothing.
  Next Advance() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Do(Next next) ABSL_LOCKS_EXCLUDED(mutex_);
  grpc::Status EndStatus() ABSL_LOCKS_EXCLUDED(mutex_);
  void MaybeWrite() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The first batch has its response, or needs none.
  void PopFront() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void MaybeRead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const grpc::CallbackServerContext& context_;
  IngestPipeline& pipeline_;
  Drain& drain_;
  std::atomic<bool> cancelled_{false};  // at the deadline, too
  const IngestPipeline::Caller caller_;
  const size_t window_bytes_;

  absl::Mutex mutex_;
  // Batches read, in that order, and not answered or not yet written.
  std::deque<std::unique_ptr<Batch>> batches_ ABSL_GUARDED_BY(mutex_);
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // of batches_
  // What is being read into, from StartRead to OnReadDone.
  std::unique_ptr<Batch> incoming_ ABSL_GUARDED_BY(mutex_);
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;  // until it is admitted
  // A callback of the pipeline is due: Admitted, RoomReturned.
  bool admitting_ ABSL_GUARDED_BY(mutex_) = false;
  bool waiting_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool read_all_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;  // responses reach nobody
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  // Of a batch that cannot be parsed.
  grpc::Status unparsable_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_RPC_STREAM_EVENTS_REACTOR_H_
