#include "server/models/load_engine.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "model/canary.h"
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

}  // namespace

std::string ModelLabel(absl::string_view name, uint64_t version) {
  return absl::StrCat("model ", Quoted(name), " version ", version);
}

absl::StatusOr<std::shared_ptr<const Bundle>> LoadBundle(
    const ModelOptions& options) {
  absl::StatusOr<std::shared_ptr<const Bundle>> bundle =
      Bundle::Load(options.path);
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

absl::StatusOr<std::unique_ptr<const Engine>> LoadEngine(
    const ModelOptions& options) {
  if (absl::Status status = CheckProcessor(); !status.ok()) return status;
  auto bundle = LoadBundle(options);
  if (!bundle.ok()) return bundle.status();
  const auto make = [&](Precision precision) {
    return Engine::Create(*bundle, {precision, options.item_share_bytes});
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

}  // namespace qlarank
