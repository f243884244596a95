// One way of attending, as the trunk drives it: what is kept of a user's
// history, in every layer, and what a token reads of it. Definitions and
// sources: docs/attention.md.
//
// Candidates read the history and themselves, never each other; events read
// the events before them and themselves, and are then kept. Use by one thread.
#ifndef QLARANK_BENCH_ATTENTION_MECHANISM_H_
#define QLARANK_BENCH_ATTENTION_MECHANISM_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bench/attention/kernels.h"
#include "bench/attention/parameters.h"

namespace qlarank::bench::attention {

struct EventTime {
  int64_t time_us;
  int64_t next_time_us;  // of the next event, or of the request
};

// What one user's history has become. `attended` is [kTileRows, d]: o of the
// mechanism after the norm per head and the gate.
class Mechanism {
 public:
  virtual ~Mechanism() = default;

  // Passes consecutive events of the user through layer `layer`; the trunk
  // does layers 0 ... kLayers - 1 in order with the same times. Times never go
  // back. rows.data may be changed in place.
  virtual void Append(size_t layer, const Rows& rows,
                      absl::Span<const EventTime> times, float* attended) = 0;

  // Called once per request, before its candidates: what all of them share.
  virtual void BeginRanking(int64_t request_time_us) = 0;
  // Passes candidates through layer `layer`.
  virtual void Attend(size_t layer, const Rows& rows, float* attended) = 0;
  // Passes virtual seeds through layer `layer`, after BeginRanking and before
  // candidates; only where the kind has seeds.
  virtual void AttendSeeds(size_t layer, const Rows& rows, float* attended) {
    Attend(layer, rows, attended);
  }

  // What it has to keep of this user between requests, in bytes, all layers.
  virtual uint64_t BytesKept() const = 0;
};

struct MechanismKind {
  absl::string_view name;
  // `parameters` must outlive what is made.
  std::unique_ptr<Mechanism> (*make)(const Parameters& parameters);
  // Rows that its projection has behind q, k, v, g.
  size_t extra_outputs = 0;
  // Whether candidates have them, too. A gate is of what is kept: only events
  // need it.
  bool candidates_have_extras = false;
  // Whether a token reads every earlier event, so that a million of them would
  // take hours.
  bool reads_everything = false;
  // Whether kSeeds virtual seeds read the history in every request, and
  // candidates their summaries alone.
  bool has_seeds = false;
};

// o = v: no attention at all, the floor under all others.
std::unique_ptr<Mechanism> MakeNone(const Parameters& parameters);
std::unique_ptr<Mechanism> MakeSoftmax(const Parameters& parameters);
std::unique_ptr<Mechanism> MakeHstu(const Parameters& parameters);
std::unique_ptr<Mechanism> MakeSlidingWindow(const Parameters& parameters);
std::unique_ptr<Mechanism> MakeRecentSoftmax(const Parameters& parameters);
std::unique_ptr<Mechanism> MakeLinear(const Parameters& parameters);
std::unique_ptr<Mechanism> MakeDecayedLinear(const Parameters& parameters);
std::unique_ptr<Mechanism> MakeLogLinear(const Parameters& parameters);
std::unique_ptr<Mechanism> MakeGatedDelta(const Parameters& parameters);
std::unique_ptr<Mechanism> MakeQla(const Parameters& parameters);
std::unique_ptr<Mechanism> MakeGated(const Parameters& parameters);
std::unique_ptr<Mechanism> MakeSeedsOnly(const Parameters& parameters);

// The compared ones, in the table's order, `none` first.
absl::Span<const MechanismKind> AllMechanisms();

}  // namespace qlarank::bench::attention

#endif  // QLARANK_BENCH_ATTENTION_MECHANISM_H_
