#include "server/security/http2_watch.h"

#include <algorithm>

namespace qlarank {
namespace {

constexpr absl::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

}  // namespace

Fault Http2Watch::Received(absl::string_view bytes, absl::Time now) {
  if (fault_ != Fault::kNone) return fault_;
  const absl::string_view preface =
      bytes.substr(0, kPreface.size() - preface_size_);
  if (preface != kPreface.substr(preface_size_, preface.size())) {
    return fault_ = Fault::kPreface;
  }
  preface_size_ += preface.size();
  bytes.remove_prefix(preface.size());
  received_.Read(
      bytes, [&](const FrameHeader& frame) { BeginFrame(frame, now); },
      [&](absl::string_view piece) { Payload(piece); },
      [&](const FrameHeader& frame) { EndFrame(frame); },
      [&] { return fault_ != Fault::kNone; });
  return fault_;
}

void Http2Watch::Sent(absl::string_view bytes) {
  sent_.Read(
      bytes, [&](const FrameHeader& frame) { BeginSent(frame); },
      [](absl::string_view) {}, [](const FrameHeader&) {},
      [] { return false; });
}

void Http2Watch::BeginFrame(const FrameHeader& frame, absl::Time now) {
  switch (frame.type) {
    case FrameHeader::kData:
      data_call_ = FindCall(frame.stream);
      // Bytes of a call that the server has ended may come for a while, in any
      // number of frames; flow control bounds them.
      if (frame.length == 0 && (data_call_ == nullptr ||
                                (frame.flags & FrameHeader::kEndStream) == 0)) {
        TakeControlFrame(now);
      }
      return;
    case FrameHeader::kHeaders:
      return BeginHeaders(frame, now);
    case FrameHeader::kContinuation:
      block_bytes_ += frame.length;
      if (++block_continuations_ > Http2Limits::kContinuationFrames) {
        SetFault(Fault::kContinuations);
      }
      break;
    case FrameHeader::kResetStream:
      EndCall(frame.stream);
      if (!resets_.Take(now)) SetFault(Fault::kResets);
      return;
    default:
      return TakeControlFrame(now);
  }
  if (block_bytes_ >
      Http2Limits::kMetadataBytes + Http2Limits::kHeaderSlackBytes) {
    SetFault(Fault::kHeaderBlock);
  }
}

void Http2Watch::BeginHeaders(const FrameHeader& frame, absl::Time now) {
  block_bytes_ = frame.length;
  block_continuations_ = 0;
  if (block_bytes_ >
      Http2Limits::kMetadataBytes + Http2Limits::kHeaderSlackBytes) {
    return SetFault(Fault::kHeaderBlock);
  }
  const bool ends = (frame.flags & FrameHeader::kEndStream) != 0;
  if (frame.stream <= last_stream_) {
    // Trailers; or of a call that is over, which costs gRPC as much.
    if (FindCall(frame.stream) == nullptr) TakeControlFrame(now);
    if (ends) EndCall(frame.stream);
    return;
  }
  last_stream_ = frame.stream;
  if (ends) return;
  unfinished_bytes_ += calls_[frame.stream].held;
  if (unfinished_bytes_ > limits_.unfinished_bytes) {
    SetFault(Fault::kUnfinished);
  }
}

void Http2Watch::Payload(absl::string_view bytes) {
  if (data_call_ == nullptr) return;
  const uint64_t before = data_call_->held;
  AddToMessage(bytes, *data_call_);
  unfinished_bytes_ += data_call_->held - before;
}

void Http2Watch::EndFrame(const FrameHeader& frame) {
  if (frame.type != FrameHeader::kData) return;
  if (data_call_ != nullptr && data_call_->held > 0) {
    data_call_->held += Http2Limits::kFrameBytes;
    unfinished_bytes_ += Http2Limits::kFrameBytes;
  }
  data_call_ = nullptr;
  if ((frame.flags & FrameHeader::kEndStream) != 0) EndCall(frame.stream);
  // Here and not as the payload comes: a frame may complete a message.
  if (unfinished_bytes_ > limits_.unfinished_bytes) {
    SetFault(Fault::kUnfinished);
  }
}

// gRPC's messages: a byte of flags, four of the length, and as many bytes.
void Http2Watch::AddToMessage(absl::string_view bytes, Call& call) {
  while (!bytes.empty()) {
    size_t size;
    if (call.prefix_size < kPrefixBytes) {
      size = std::min<size_t>(bytes.size(), kPrefixBytes - call.prefix_size);
      std::copy_n(bytes.begin(), size, call.prefix.begin() + call.prefix_size);
      call.prefix_size += static_cast<int>(size);
      if (call.prefix_size == kPrefixBytes) {
        call.left = 0;
        for (int i = 1; i < kPrefixBytes; ++i) {
          call.left = call.left << 8 | call.prefix[i];
        }
      }
    } else {
      size = std::min<size_t>(bytes.size(), call.left);
      call.left -= static_cast<uint32_t>(size);
    }
    call.held += size;
    bytes.remove_prefix(size);
    if (call.prefix_size == kPrefixBytes && call.left == 0) {
      call.held = 0;
      call.prefix_size = 0;
    }
  }
}

void Http2Watch::BeginSent(const FrameHeader& frame) {
  const bool flagged = (frame.flags & FrameHeader::kAck) != 0;
  switch (frame.type) {
    case FrameHeader::kData:
    case FrameHeader::kHeaders:
      if (flagged) {  // it ends the stream
        EndCall(frame.stream);
        resets_.Add(1);
      }
      break;
    case FrameHeader::kSettings:
    case FrameHeader::kPing:
      // An acknowledgement is an answer to what was counted.
      if (flagged) return;
      break;
    case FrameHeader::kWindowUpdate:
      break;
    case FrameHeader::kResetStream:
      return EndCall(frame.stream);
    default:
      return;
  }
  control_frames_.Add(Http2Limits::kControlFramesPerSent);
}

Http2Watch::Call* Http2Watch::FindCall(uint32_t stream) {
  const auto found = calls_.find(stream);
  return found == calls_.end() ? nullptr : &found->second;
}

void Http2Watch::EndCall(uint32_t stream) {
  const auto found = calls_.find(stream);
  if (found == calls_.end()) return;
  unfinished_bytes_ -= found->second.held;
  if (data_call_ == &found->second) data_call_ = nullptr;
  calls_.erase(found);
}

void Http2Watch::TakeControlFrame(absl::Time now) {
  if (!control_frames_.Take(now)) SetFault(Fault::kControlFrames);
}

void Http2Watch::SetFault(Fault fault) {
  if (fault_ == Fault::kNone) fault_ = fault;
}

}  // namespace qlarank
