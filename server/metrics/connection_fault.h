// Why a connection is cut before its client wanted it to end.
#ifndef QLARANK_SERVER_METRICS_CONNECTION_FAULT_H_
#define QLARANK_SERVER_METRICS_CONNECTION_FAULT_H_

namespace qlarank {

enum class Fault {
  kNone,
  kPreface,        // it does not begin as HTTP/2 does
  kHeaderBlock,    // headers longer than is allowed, CVE-2023-33953
  kContinuations,  // headers in too many frames
  kControlFrames,  // pings, settings and the like that go with nothing
  kResets,         // calls taken back as soon as begun, CVE-2023-44487
  kUnfinished,     // messages begun and not completed
};
inline constexpr int kFaults = 7;  // kNone too

// "header_block" and so on: the metric's label, and what logs say.
inline const char* FaultName(Fault fault) {
  switch (fault) {
    case Fault::kNone:
      return "none";
    case Fault::kPreface:
      return "preface";
    case Fault::kHeaderBlock:
      return "header_block";
    case Fault::kContinuations:
      return "continuations";
    case Fault::kControlFrames:
      return "control_frames";
    case Fault::kResets:
      return "resets";
    case Fault::kUnfinished:
      return "unfinished";
  }
  return "unknown";
}

}  // namespace qlarank

#endif  // QLARANK_SERVER_METRICS_CONNECTION_FAULT_H_
