// Protobuf's own log lines, among ours: it writes to stderr of a string that is
// not UTF-8, once for each message that somebody sends.
#ifndef QLARANK_SERVER_OPS_PROTOBUF_LOG_H_
#define QLARANK_SERVER_OPS_PROTOBUF_LOG_H_

#include <string>

namespace qlarank {

// From now on protobuf's warnings and errors are warnings of ours, a few a
// minute at most, and the rest is dropped. Any number of times.
void RouteProtobufLog();

// Keeps what protobuf says on this thread from the log while it lives, for who
// asks protobuf to do something and tells the caller what was wrong.
// REQUIRES: RouteProtobufLog; one at a time on a thread.
class ProtobufComplaints {
 public:
  ProtobufComplaints();
  ~ProtobufComplaints();

  ProtobufComplaints(const ProtobufComplaints&) = delete;
  ProtobufComplaints& operator=(const ProtobufComplaints&) = delete;

  // "" when it said nothing.
  const std::string& first() const { return first_; }
  void Add(const std::string& complaint);

 private:
  std::string first_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_OPS_PROTOBUF_LOG_H_
