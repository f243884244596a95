// Changes that were asked for under an id of the caller's, and what they were
// answered. Who asks again, because the answer never reached them, is answered
// the same and nothing is changed, whatever others have changed in between.
#ifndef QLARANK_SERVER_WORK_ANSWERED_CALLS_H_
#define QLARANK_SERVER_WORK_ANSWERED_CALLS_H_

#include <cstddef>
#include <deque>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "server/work/field_error.h"

namespace qlarank {

// Which change is asked for.
struct AskedChange {
  std::string request_id;  // "": it has none, and is not remembered
  std::string digest;      // of all that is asked for

  bool operator==(const AskedChange&) const = default;
};

// By `request`, under this id. INVALID_ARGUMENT for an id that is too long.
absl::StatusOr<AskedChange> AskedFor(const google::protobuf::Message& request,
                                     absl::string_view request_id);

// A trial asks for no change.
template <typename Request>
absl::StatusOr<AskedChange> AskedFor(const Request& request) {
  return AskedFor(request, request.validate_only() ? "" : request.request_id());
}

// The last changes, with answers. Not thread-safe.
template <typename Answer>
class AnsweredCalls {
 public:
  using Call = std::pair<AskedChange, Answer>;

  explicit AnsweredCalls(size_t most) : most_(most) {}

  // Forgets the oldest for it, where there are too many.
  void Add(AskedChange asked, Answer answer) {
    if (asked.request_id.empty()) return;
    calls_.emplace_back(std::move(asked), std::move(answer));
    if (calls_.size() > most_) calls_.pop_front();
  }

  // What was answered; null for a change that is new. INVALID_ARGUMENT when
  // something else was asked for under its id.
  absl::StatusOr<const Answer*> Find(const AskedChange& asked) const {
    if (asked.request_id.empty()) return nullptr;
    for (const auto& [before, answer] : calls_) {
      if (before.request_id != asked.request_id) continue;
      if (before.digest == asked.digest) return &answer;
      return FieldError("request_id", Quoted(asked.request_id),
                        "something else was asked for under this id");
    }
    return nullptr;
  }

  // Oldest first.
  const std::deque<Call>& calls() const { return calls_; }

  bool operator==(const AnsweredCalls&) const = default;

 private:
  size_t most_;
  std::deque<Call> calls_;
};

}  // namespace qlarank

#endif  // QLARANK_SERVER_WORK_ANSWERED_CALLS_H_
