// Seeds alone, as in VISTA (arXiv 2510.22049): events are folded into QLA's
// state and virtual seeds read it; candidates are those of a user without
// events, until they read the summaries behind their last layer (summaries.h).

#include <algorithm>
#include <memory>

#include "bench/attention/mechanism.h"
#include "model/kernels.h"

namespace qlarank::bench::attention {
namespace {

class SeedsOnly : public Mechanism {
 public:
  explicit SeedsOnly(const Parameters& parameters)
      : parameters_(parameters), qla_(MakeQla(parameters)) {}

  void Append(size_t layer, const Rows& rows, absl::Span<const EventTime> times,
              float* attended) override {
    qla_->Append(layer, rows, times, attended);
  }

  void BeginRanking(int64_t request_time_us) override {
    qla_->BeginRanking(request_time_us);
  }

  void AttendSeeds(size_t layer, const Rows& rows, float* attended) override {
    qla_->Attend(layer, rows, attended);
  }

  void Attend(size_t layer, const Rows& rows, float* attended) override {
    const LayerParameters& p = parameters_.layers[layer];
    kernels::SiluRows(rows.count, 2 * kWidth, rows.stride, rows.q(0));
    std::fill_n(attended, rows.count * kWidth, 0.0f);
    for (size_t head = 0; head < kHeads; ++head) {
      AddSelf(rows, head, p.beta[head], attended);
    }
    NormAndGate(rows, attended, p.norm_head.data(), attended);
  }

  uint64_t BytesKept() const override { return qla_->BytesKept(); }

 private:
  const Parameters& parameters_;
  const std::unique_ptr<Mechanism> qla_;
};

}  // namespace

std::unique_ptr<Mechanism> MakeSeedsOnly(const Parameters& parameters) {
  return std::make_unique<SeedsOnly>(parameters);
}

}  // namespace qlarank::bench::attention
