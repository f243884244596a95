// Any bytes are a user state or DATA_LOSS; a state that is read is written with
// the same bytes, and can be folded into, summarized and scored against.
#include <memory>

#include "absl/status/status.h"
#include "model/engine.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/tiny_bundle.h"

namespace qlarank::fuzz {
namespace {

constexpr int64_t kTimeUs = 1'700'000'000'000'000;

const Engine& TheEngine() {
  static const auto* const engine = [] {
    auto made = Engine::Create(LoadTinyBundle());
    Check(made.ok(), "the tiny model's engine starts");
    return made->release();
  }();
  return *engine;
}

EngineScratch& Scratch() {
  static auto* const scratch = TheEngine().NewScratch().release();
  return *scratch;
}

std::shared_ptr<const UserState> FoldOne(
    std::shared_ptr<const UserState> before, int64_t time_us) {
  const float price = 0.5f;
  const ModelEvent event = {1, 0, time_us, absl::MakeConstSpan(&price, 1)};
  FoldJob job = {std::move(before), absl::MakeConstSpan(&event, 1), nullptr};
  TheEngine().Fold(absl::MakeSpan(&job, 1), Scratch());
  return job.after;
}

void Use(const std::shared_ptr<const UserState>& state) {
  const Engine& engine = TheEngine();
  const auto after = FoldOne(state, kTimeUs);
  Check(after->event_count == state->event_count + 1, "an event is counted");
  engine.Summarize(*after, Scratch());
  const auto reading = engine.Read(*after, {kTimeUs, {}, {}}, Scratch());
  const uint32_t row = 1;
  const float bid = 0;
  std::vector<float> scores(engine.num_tasks());
  engine.Score(*reading, absl::MakeConstSpan(&row, 1),
               absl::MakeConstSpan(&bid, 1), absl::MakeSpan(scores), Scratch());
}

}  // namespace

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  auto state = TheEngine().empty_state();
  for (int n = 0; n < 3; ++n) {
    seeds.push_back(TheEngine().SerializeState(*state));
    state = FoldOne(state, kTimeUs + n * 1'000'000);
  }
  return seeds;
}

}  // namespace qlarank::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using qlarank::fuzz::Check;
  const absl::string_view bytes = qlarank::fuzz::AsText(data, size);
  const auto state = qlarank::fuzz::TheEngine().ParseState(bytes);
  if (!state.ok()) {
    Check(absl::IsDataLoss(state.status()), "what is no state is lost");
    return 0;
  }
  Check(qlarank::fuzz::TheEngine().SerializeState(**state) == bytes,
        "a state is written as it was read");
  qlarank::fuzz::Use(*state);
  return 0;
}
