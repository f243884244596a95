// google.protobuf times as microseconds and Abseil times, and back.
#ifndef QLARANK_SERVER_WORK_PROTO_TIME_H_
#define QLARANK_SERVER_WORK_PROTO_TIME_H_

#include <cstdint>

#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"

namespace qlarank {

// Years 1 to 9999 and nanoseconds below 1e9, as timestamp.proto demands.
inline bool IsValid(const google::protobuf::Timestamp& time) {
  return time.seconds() >= -62135596800 && time.seconds() <= 253402300799 &&
         time.nanos() >= 0 && time.nanos() <= 999999999;
}

// Rounded down. REQUIRES: IsValid(time).
inline int64_t ToMicros(const google::protobuf::Timestamp& time) {
  return time.seconds() * 1000000 + time.nanos() / 1000;
}

inline google::protobuf::Timestamp FromMicros(int64_t time_us) {
  int64_t seconds = time_us / 1000000;
  int64_t micros = time_us % 1000000;
  if (micros < 0) {
    micros += 1000000;
    --seconds;
  }
  google::protobuf::Timestamp time;
  time.set_seconds(seconds);
  time.set_nanos(static_cast<int32_t>(micros * 1000));
  return time;
}

// Up to 10,000 years either way, with parts of one sign, as duration.proto
// demands.
inline bool IsValid(const google::protobuf::Duration& duration) {
  const bool opposed = (duration.seconds() > 0 && duration.nanos() < 0) ||
                       (duration.seconds() < 0 && duration.nanos() > 0);
  return !opposed && duration.seconds() >= -315576000000 &&
         duration.seconds() <= 315576000000 && duration.nanos() > -1000000000 &&
         duration.nanos() < 1000000000;
}

inline absl::Duration ToDuration(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) +
         absl::Nanoseconds(duration.nanos());
}

}  // namespace qlarank

#endif  // QLARANK_SERVER_WORK_PROTO_TIME_H_
