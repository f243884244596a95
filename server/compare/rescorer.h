// Scores a request that was answered before again, by another model or the same
// one: from the state that its user had then, as the log says, and with all that
// it said. Live shadow scoring and the comparison of two bundles both go this
// way.
//
//   Rescorer rescorer(model, log);
//   KnownState state;
//   Outcome outcome = rescorer.BringState(record, {}, go_on, state);
//   if (outcome == Outcome::kCompared) {
//     outcome = rescorer.Score(record, *state.state, go_on, scores);
//   }
//
// It reads, and publishes nothing. Not thread-safe.
#ifndef QLARANK_SERVER_COMPARE_RESCORER_H_
#define QLARANK_SERVER_COMPARE_RESCORER_H_

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "qlarank/v1/request_log.pb.h"
#include "server/compare/difference.h"
#include "server/models/loaded_model.h"
#include "server/states/user_fold.h"
#include "state_store/event_log.h"

namespace qlarank {

// What became of a request that was to be compared.
enum class Outcome {
  kCompared,
  kPartial,    // not all of its candidates were scored when it was answered
  kErased,     // its user was, since
  kTrimmed,    // its user's log was, of what the state had
  kBeyondLog,  // the log does not reach so far: it is older than the request
  kUnfit,      // the model cannot be asked this: why() says what it lacks
  kTooLong,    // to replay
  kGivenUp,    // `go_on` said no
  kFailed,     // why() says how
};

// For metrics and reports, such as "beyond_log".
absl::string_view OutcomeName(Outcome outcome);

class Rescorer {
 public:
  // Called between pieces of work of a millisecond at most: may wait, and says
  // whether there is still a reason to go on.
  using GoOn = absl::FunctionRef<bool()>;

  // Folded at a time; a tile of candidates is scored at a time.
  static constexpr size_t kStepEvents = 32;

  // The log must outlive this.
  Rescorer(LoadedModelPtr model, const EventLog& log);

  const LoadedModel& model() const { return *model_; }
  // What is wrong with the last request that was kUnfit or kFailed.
  const std::string& why() const { return why_; }

  // The user's state as of the event that the answer had seen, never further.
  // `known` is where to begin, if it is of the user's present life and not
  // further; its state may be null. kTooLong when more than `most_events` would
  // have to be folded.
  Outcome BringState(const v1::LoggedRequest& record, KnownState known,
                     GoOn go_on, KnownState& state,
                     uint64_t most_events =
                         std::numeric_limits<uint64_t>::max());

  // All of the request's candidates, by those of the answer's tasks that the
  // model has.
  Outcome Score(const v1::LoggedRequest& record, const UserState& state,
                GoOn go_on, CandidateScores& scores);

 private:
  // What the request asks in the model's terms.
  struct Asked;

  Outcome Fold(const std::string& user_id, uint64_t sequence, GoOn go_on,
               KnownState& state);
  Outcome Understand(const v1::LoggedRequest& record, Asked& asked);
  Outcome Unfit(std::string why);
  Outcome Failed(std::string why);

  const LoadedModelPtr model_;
  const EventLog& log_;
  const std::unique_ptr<EngineScratch> scratch_;
  std::string why_;
};

// What was answered. REQUIRES: a record that Score took.
CandidateScores ScoresOf(const v1::LoggedRequest& record);

}  // namespace qlarank

#endif  // QLARANK_SERVER_COMPARE_RESCORER_H_
