// What became of every request, and when: a line each, to a file.
//
//   FLOW,SENT_UNIX_SECONDS,MILLISECONDS,CODE
//
// CODE is gRPC's number, 0 for an answer; the time is when the request was to
// be sent. Not thread-safe.
#ifndef QLARANK_BENCH_LOAD_TIMELINE_H_
#define QLARANK_BENCH_LOAD_TIMELINE_H_

#include <cstdio>
#include <memory>
#include <string>

#include "absl/time/time.h"

namespace qlarank::bench {

class Timeline {
 public:
  // Writes to `path`; nowhere when it is empty, or cannot be written: then
  // ok() is false.
  explicit Timeline(const std::string& path)
      : ok_(path.empty()), file_(nullptr, &std::fclose) {
    if (path.empty()) return;
    file_.reset(std::fopen(path.c_str(), "w"));
    ok_ = file_ != nullptr;
    // Who ends the program while it sends has whole lines.
    if (ok_) std::setvbuf(file_.get(), nullptr, _IOLBF, BUFSIZ);
  }

  bool ok() const { return ok_; }

  void Add(const std::string& flow, absl::Time intended, absl::Duration latency,
           int code) {
    if (file_ == nullptr) return;
    std::fprintf(file_.get(), "%s,%.6f,%.3f,%d\n", flow.c_str(),
                 absl::ToDoubleSeconds(intended - absl::UnixEpoch()),
                 absl::ToDoubleMilliseconds(latency), code);
  }

 private:
  bool ok_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
};

}  // namespace qlarank::bench

#endif  // QLARANK_BENCH_LOAD_TIMELINE_H_
