// Any bytes are a user state or DATA_LOSS, of a model with item memory and of
// one without; a state that is read is written with the same bytes, and can be
// folded into, summarized and scored against.
#include <array>
#include <iterator>
#include <memory>

#include "absl/status/status.h"
#include "model/engine.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/tiny_bundle.h"

namespace qlarank::fuzz {
namespace {

constexpr int64_t kTimeUs = 1'700'000'000'000'000;

// A model's engine, and what it computes in.
class Subject {
 public:
  explicit Subject(const model::v1::ModelSpec& spec)
      : engine_(Make(spec)), scratch_(engine_->NewScratch()) {}

  const Engine& engine() const { return *engine_; }

  std::shared_ptr<const UserState> FoldOne(
      std::shared_ptr<const UserState> before, uint32_t item_row,
      int64_t time_us) {
    const float price = 0.5f;
    const ModelEvent event = {item_row, 0, time_us,
                              absl::MakeConstSpan(&price, 1)};
    FoldJob job = {std::move(before), absl::MakeConstSpan(&event, 1), nullptr};
    engine_->Fold(absl::MakeSpan(&job, 1), *scratch_);
    return job.after;
  }

  void Use(const std::shared_ptr<const UserState>& state) {
    const auto after = FoldOne(state, 1, kTimeUs);
    Check(after->event_count == state->event_count + 1, "an event is counted");
    engine_->Summarize(*after, *scratch_);
    const auto reading = engine_->Read(*after, {kTimeUs, {}, {}}, *scratch_);
    const uint32_t rows[] = {1, 5};
    const float bids[] = {0, 1};
    std::vector<float> scores(std::size(rows) * engine_->num_tasks());
    engine_->Score(*reading, rows, bids, absl::MakeSpan(scores), *scratch_);
  }

 private:
  static std::unique_ptr<const Engine> Make(const model::v1::ModelSpec& spec) {
    auto made = Engine::Create(LoadTinyBundle(spec));
    Check(made.ok(), "the tiny model's engine starts");
    return *std::move(made);
  }

  std::unique_ptr<const Engine> engine_;
  std::unique_ptr<EngineScratch> scratch_;
};

absl::Span<Subject> Subjects() {
  static auto* const subjects = new std::array<Subject, 2>{
      Subject(TinySpec()), Subject(TinySpecWithMemory())};
  return absl::MakeSpan(*subjects);
}

}  // namespace

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (Subject& subject : Subjects()) {
    auto state = subject.engine().empty_state();
    for (int n = 0; n < 3; ++n) {
      seeds.push_back(subject.engine().SerializeState(*state));
      state = subject.FoldOne(state, 1 + n, kTimeUs + n * 1'000'000);
    }
  }
  return seeds;
}

}  // namespace qlarank::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using qlarank::fuzz::Check;
  const absl::string_view bytes = qlarank::fuzz::AsText(data, size);
  for (auto& subject : qlarank::fuzz::Subjects()) {
    const auto state = subject.engine().ParseState(bytes);
    if (!state.ok()) {
      Check(absl::IsDataLoss(state.status()), "what is no state is lost");
      continue;
    }
    Check(subject.engine().SerializeState(**state) == bytes,
          "a state is written as it was read");
    subject.Use(*state);
  }
  return 0;
}
