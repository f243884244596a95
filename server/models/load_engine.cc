#include "server/models/load_engine.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "model/canary.h"
#include "model/golden_replay.h"
#include "server/models/precision_choice.h"
#include "server/ops/logging.h"
#include "server/work/field_error.h"

namespace qlarank {
namespace {

Precision Configured(ScoringPrecision precision) {
  switch (precision) {
    case ScoringPrecision::kBf16:
      return Precision::kBf16;
    case ScoringPrecision::kInt8:
      return Precision::kInt8;
    default:
      return Precision::kF32;
  }
}

Engine::Options EngineOptions(Precision precision, const ModelOptions& options,
                              size_t most_share_bytes) {
  Engine::Options of_engine;
  of_engine.precision = precision;
  of_engine.most_share_bytes = most_share_bytes;
  of_engine.most_added_items = options.max_added_items;
  of_engine.item_folder = options.item_table_path;
  return of_engine;
}

// In the configured precision, or in the one that PRECISION_AUTO becomes.
absl::StatusOr<std::unique_ptr<const Engine>> MakeEngine(
    const ModelOptions& options, const std::shared_ptr<const Bundle>& bundle) {
  const auto make = [&](Precision precision) {
    return Engine::Create(
        bundle, EngineOptions(precision, options, options.item_share_bytes));
  };
  if (options.precision == ScoringPrecision::kAuto) {
    auto choice = ChoosePrecision(make);
    if (!choice.ok()) return choice.status();
    LogInfo("precision chosen",
            {{"model", options.name},
             {"version", options.version},
             {"precision", PrecisionName(choice->engine->precision())},
             {"reason", choice->reason}});
    return std::move(choice->engine);
  }
  const Precision wanted = Configured(options.precision);
  auto engine = make(wanted);
  if (!engine.ok()) return engine.status();
  if ((*engine)->precision() != wanted) {
    LogWarning("the processor lacks the configured precision",
               {{"model", options.name},
                {"version", options.version},
                {"configured", PrecisionName(wanted)},
                {"used", PrecisionName((*engine)->precision())}});
  }
  return engine;
}

// Replayed by an engine that has what scores depend on, and not what only makes
// scoring faster.
absl::StatusOr<GoldenReplay> ReplayIn(
    Precision precision, const ModelOptions& options,
    const std::shared_ptr<const Bundle>& bundle) {
  if (bundle->golden_requests().cases().empty()) return GoldenReplay();
  Engine::Options of_engine =
      EngineOptions(precision, options, /*most_share_bytes=*/0);
  of_engine.most_added_items = 0;
  const auto engine = Engine::Create(bundle, of_engine);
  if (!engine.ok()) return engine.status();
  return ReplayGoldenRequests(**engine);
}

}  // namespace

std::string ModelLabel(absl::string_view name, uint64_t version) {
  return absl::StrCat("model ", Quoted(name), " version ", version);
}

absl::StatusOr<std::shared_ptr<const Bundle>> LoadBundle(
    const ModelOptions& options) {
  absl::StatusOr<std::shared_ptr<const Bundle>> bundle =
      Bundle::Load(options.path, options.item_table_path);
  if (!bundle.ok()) return bundle.status();
  const model::v1::ModelSpec& spec = (*bundle)->spec();
  if (!options.expected_fingerprint.empty() &&
      spec.fingerprint() != options.expected_fingerprint) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the bundle in ", options.path, " has fingerprint ", spec.fingerprint(),
        "; expected ", options.expected_fingerprint));
  }
  return bundle;
}

absl::StatusOr<std::shared_ptr<const Bundle>> TryModel(
    const ModelOptions& options) {
  if (absl::Status status = CheckProcessor(); !status.ok()) return status;
  auto bundle = LoadBundle(options);
  if (!bundle.ok()) return bundle;
  absl::Status status = ReplayIn(Precision::kF32, options, *bundle).status();
  const Precision wanted = Configured(options.precision);
  if (wanted != Precision::kF32) {
    status.Update(ReplayIn(wanted, options, *bundle).status());
  }
  if (!status.ok()) return status;
  return bundle;
}

absl::StatusOr<std::unique_ptr<const Engine>> LoadEngine(
    const ModelOptions& options) {
  if (absl::Status status = CheckProcessor(); !status.ok()) return status;
  auto bundle = LoadBundle(options);
  if (!bundle.ok()) return bundle.status();
  // In float32 first, whose bound is tight: that is what the weights mean,
  // however they are rounded then. Before the engine that serves, so that not
  // both are in memory.
  if (options.precision != ScoringPrecision::kF32) {
    auto exact = ReplayIn(Precision::kF32, options, *bundle);
    if (!exact.ok()) return exact.status();
  }
  auto engine = MakeEngine(options, *bundle);
  if (!engine.ok()) return engine.status();
  const auto replay = ReplayGoldenRequests(**engine);
  if (!replay.ok()) return replay.status();
  (*bundle)->items().ExpectSparseReads();
  if (replay->num_users == 0) {
    LogInfo("golden requests: none",
            {{"model", options.name}, {"version", options.version}});
  } else {
    LogInfo("golden requests: answered as the trainer does",
            {{"model", options.name},
             {"version", options.version},
             {"precision", PrecisionName((*engine)->precision())},
             {"scores", replay->num_scores},
             {"error_of_spread", replay->mean_error}});
  }
  return engine;
}

}  // namespace qlarank
