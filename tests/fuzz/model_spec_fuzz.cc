// Any text is a model.textproto or refused by naming the field; and whatever
// model a sound one describes can be made, folds events and scores candidates.
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <memory>

#include "absl/status/status.h"
#include "model/bundle_schema.h"
#include "model/engine.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/tiny_bundle.h"
#include "tests/testing/temp_dir.h"

namespace qlarank::fuzz {
namespace {

// Models of more values are checked, but not made.
constexpr uint64_t kMaxValues = 20'000;

class NoErrors : public google::protobuf::io::ErrorCollector {
  void AddError(int, int, const std::string&) override {}
};

bool Parse(absl::string_view text, model::v1::ModelSpec& spec) {
  NoErrors ignored;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&ignored);
  return parser.ParseFromString(std::string(text), &spec);
}

// Whether a JSON header can hold the names without escapes: MakeTensors knows
// none.
bool HasPlainNames(const model::v1::ModelSpec& spec) {
  for (const auto& feature : spec.context_features()) {
    for (const char c : feature.name()) {
      if (c < ' ' || c > '~' || c == '"' || c == '\\') return false;
    }
  }
  return true;
}

void Use(const Engine& engine) {
  const model::v1::ModelSpec& spec = engine.bundle().spec();
  const auto scratch = engine.NewScratch();
  const std::vector<float> features(spec.event_features_size(), 0.5f);
  const ModelEvent events[] = {{1, 0, 1'000'000, features},
                               {0, Bundle::kUnknownAction, 9'000'000, features},
                               {1, 0, 2'000'000, features}};
  FoldJob job = {engine.empty_state(), events, nullptr};
  engine.Fold(absl::MakeSpan(&job, 1), *scratch);
  const auto read = engine.ParseState(engine.SerializeState(*job.after));
  Check(read.ok(), "a state of a new model can be written and read");

  const std::vector<uint32_t> context(spec.context_features_size(), 0);
  const auto reading =
      engine.Read(**read, {9'000'000, events, context}, *scratch);
  const uint32_t rows[] = {0, 1};
  const std::vector<float> bids(2 * spec.candidate_features_size(), 0.5f);
  std::vector<float> scores(2 * engine.num_tasks());
  engine.Score(*reading, rows, bids, absl::MakeSpan(scores), *scratch);
}

}  // namespace

std::vector<std::string> Seeds() {
  const auto text = [](const model::v1::ModelSpec& spec) {
    std::string printed;
    google::protobuf::TextFormat::PrintToString(spec, &printed);
    return printed;
  };
  model::v1::ModelSpec block = TinySpec();
  block.set_target_aware(model::v1::TARGET_AWARE_DEDICATED_BLOCK);
  model::v1::ModelSpec dot = TinySpec();
  dot.set_target_aware(model::v1::TARGET_AWARE_OFF);
  dot.set_phi2(model::v1::PHI2_IDENTITY);
  dot.set_conv_width(1);
  dot.clear_candidate_features();
  dot.clear_context_features();
  dot.clear_num_seeds();
  dot.clear_summary_attention();
  return {text(TinySpec()), text(TinySpecWithMemory()), text(block), text(dot)};
}

}  // namespace qlarank::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace fuzz = qlarank::fuzz;
  qlarank::model::v1::ModelSpec spec;
  if (!fuzz::Parse(fuzz::AsText(data, size), spec)) return 0;
  if (const absl::Status status = qlarank::ValidateSpec(spec); !status.ok()) {
    fuzz::Check(absl::IsInvalidArgument(status), "a bad spec is refused");
    return 0;
  }
  if (!fuzz::HasPlainNames(spec) || fuzz::NumValues(spec) > fuzz::kMaxValues) {
    return 0;
  }
  const qlarank::testing::TempDir folder;
  fuzz::Write(fuzz::MakeFiles(spec), folder.path());
  auto bundle = qlarank::Bundle::Load(folder.path());
  fuzz::Check(bundle.ok(), "a sound bundle loads");
  const auto engine = qlarank::Engine::Create(
      *std::move(bundle), {.precision = qlarank::Precision::kF32});
  fuzz::Check(engine.ok(), "an engine can be made of every sound bundle");
  fuzz::Use(**engine);
  return 0;
}
