// qlarank model: the models of a server (served_model_commands.cc) and changes
// to them (model_change_commands.cc), and model inspect: what is in a bundle,
// whether it is whole, and whether the
// engine scores its golden requests as the trainer did.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/category_column.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "model/bundle.h"
#include "model/canary.h"
#include "model/engine.h"
#include "model/golden_replay.h"
#include "nlohmann/json.hpp"

namespace qlarank {
namespace {

using model::v1::ModelSpec;

std::vector<std::string> TaskNames(const ModelSpec& spec) {
  std::vector<std::string> names;
  for (const auto& task : spec.tasks()) {
    names.push_back(absl::StrCat(task.name(), task.dot_term() ? " (dot)" : ""));
  }
  return names;
}

std::vector<std::string> ContextNames(const ModelSpec& spec) {
  std::vector<std::string> names;
  for (const auto& feature : spec.context_features()) {
    names.push_back(
        absl::StrCat(feature.name(), " (", feature.values_size(), ")"));
  }
  return names;
}

void PrintSpec(const ModelSpec& spec, std::ostream& out) {
  auto list = [&](absl::string_view name, const auto& values) {
    if (!values.empty()) out << name << absl::StrJoin(values, ", ") << "\n";
  };
  out << "model        " << spec.name() << "/" << spec.version() << "\n";
  if (!spec.description().empty()) {
    out << "             " << spec.description() << "\n";
  }
  out << "fingerprint  " << spec.fingerprint() << "\n"
      << "width        d=" << spec.d_model() << ", " << spec.num_heads()
      << " heads, " << spec.num_layers() << " layers, ffn " << spec.ffn_width()
      << ", convolution " << spec.conv_width() << "\n"
      << "phi2         " << Phi2_Name(spec.phi2()) << "\n"
      << "candidates   " << TargetAware_Name(spec.target_aware()) << "\n";
  if (spec.num_seeds() > 0) {
    out << "seeds        " << spec.num_seeds()
        << (spec.summary_attention() ? ", candidates attend to their summaries"
                                     : "")
        << "\n";
  }
  if (spec.has_item_memory()) {
    out << "item memory  " << spec.item_memory().entries()
        << " entries, half-lives of "
        << absl::StrJoin(spec.item_memory().half_lives_s(), ", ") << " s\n";
  }
  list("half-lives   ", spec.initial_half_lives());
  list("actions      ", spec.actions());
  list("tasks        ", TaskNames(spec));
  list("context      ", ContextNames(spec));
  list("event feat.  ",
       ShownFeatures(spec.event_features(), spec.event_categories()));
  list("cand. feat.  ",
       ShownFeatures(spec.candidate_features(), spec.candidate_categories()));
  out << "items        " << WithCommas(spec.num_items()) << "\n\n";
}

void PrintTensors(const Bundle& bundle, std::ostream& out) {
  Table table({{"tensor", Align::kLeft},
               {"type", Align::kLeft},
               {"shape", Align::kRight},
               {"bytes", Align::kRight}});
  uint64_t total = 0;
  for (const TensorFile* file : {&bundle.weights(), &bundle.items()}) {
    for (const auto& [name, tensor] : file->tensors()) {
      table.AddRow({name, std::string(DTypeName(tensor.dtype)),
                    tensor.ShapeString(), WithCommas(tensor.bytes.size())});
      total += tensor.bytes.size();
    }
  }
  table.AddRow({"all", "", "", WithCommas(total)});
  table.Print(out);
  out << "\nfiles, digests, shapes, finiteness and fingerprint are as "
         "model.textproto says\n";
}

// What became of the golden requests in one precision.
struct Replayed {
  Precision precision;
  GoldenReplay replay;
};
// In each precision that this processor has; none where the bundle has no
// golden requests. Errors are those of Engine::Create and ReplayGoldenRequests.
absl::StatusOr<std::vector<Replayed>> Replay(
    const std::shared_ptr<const Bundle>& bundle) {
  std::vector<Replayed> replayed;
  if (bundle->golden_requests().cases().empty()) return replayed;
  if (absl::Status status = CheckProcessor(); !status.ok()) return status;
  for (const Precision precision :
       {Precision::kF32, Precision::kBf16, Precision::kInt8}) {
    if (!ProcessorHas(precision)) continue;
    // What only makes scoring faster need not be made.
    const auto engine =
        Engine::Create(bundle, {precision, /*most_share_bytes=*/0});
    if (!engine.ok()) return engine.status();
    const auto replay = ReplayGoldenRequests(**engine);
    if (!replay.ok()) return replay.status();
    replayed.push_back({precision, *replay});
  }
  return replayed;
}

void PrintReplayed(const std::vector<Replayed>& replayed, std::ostream& out) {
  if (replayed.empty()) out << "golden requests: none\n";
  for (const auto& [precision, replay] : replayed) {
    out << "golden requests in " << PrecisionName(precision) << ": "
        << replay.ToString() << "\n";
  }
}

nlohmann::json ToJson(const std::vector<Replayed>& replayed) {
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [precision, replay] : replayed) {
    json[PrecisionName(precision)] = {{"users", replay.num_users},
                                      {"scores", replay.num_scores},
                                      {"mean_error", replay.mean_error},
                                      {"largest_error", replay.largest_error}};
  }
  return json;
}

nlohmann::json ToJson(const Bundle& bundle) {
  const ModelSpec& spec = bundle.spec();
  nlohmann::json json{{"name", spec.name()},
                      {"version", spec.version()},
                      {"fingerprint", spec.fingerprint()},
                      {"d_model", spec.d_model()},
                      {"num_heads", spec.num_heads()},
                      {"num_layers", spec.num_layers()},
                      {"ffn_width", spec.ffn_width()},
                      {"conv_width", spec.conv_width()},
                      {"num_items", spec.num_items()},
                      {"phi2", Phi2_Name(spec.phi2())},
                      {"target_aware", TargetAware_Name(spec.target_aware())},
                      {"num_seeds", spec.num_seeds()},
                      {"summary_attention", spec.summary_attention()}};
  if (spec.has_item_memory()) {
    json["item_memory"] = {
        {"entries", spec.item_memory().entries()},
        {"half_lives_s",
         std::vector<uint64_t>(spec.item_memory().half_lives_s().begin(),
                               spec.item_memory().half_lives_s().end())}};
  }
  for (const TensorFile* file : {&bundle.weights(), &bundle.items()}) {
    for (const auto& [name, tensor] : file->tensors()) {
      json["tensors"].push_back({{"name", name},
                                 {"dtype", DTypeName(tensor.dtype)},
                                 {"shape", tensor.shape},
                                 {"bytes", tensor.bytes.size()}});
    }
  }
  return json;
}

absl::StatusOr<ExitCode> Inspect(CommandContext& context,
                                 const std::string& folder) {
  auto bundle = Bundle::Load(folder);
  if (!bundle.ok()) {
    // Whatever is wrong with it, it is the input that is bad.
    return absl::InvalidArgumentError(bundle.status().message());
  }
  const auto replayed = Replay(*bundle);
  if (!replayed.ok()) {
    return absl::InvalidArgumentError(replayed.status().message());
  }
  if (context.json) {
    nlohmann::json json = ToJson(**bundle);
    json["golden_requests"] = ToJson(*replayed);
    context.out << json.dump() << "\n";
  } else {
    PrintSpec((*bundle)->spec(), context.out);
    PrintTensors(**bundle, context.out);
    PrintReplayed(*replayed, context.out);
  }
  return ExitCode::kOk;
}

}  // namespace

void AddModelCommand(CommandSet& commands) {
  auto folder = std::make_shared<std::string>();
  CommandContext& context = commands.context();
  CLI::App* model =
      commands.app().add_subcommand(
          "model",
          "Look at the models of a server and change them, or look at a bundle");
  model->require_subcommand(1);
  model->fallthrough();
  AddServedModelCommands(commands, model);
  AddModelChangeCommands(commands, model);
  AddCompareCommand(commands, model);
  CLI::App* inspect = commands.AddBelow(
      model, "inspect",
      "Print what a bundle holds, check that it is whole, and replay its "
      "golden requests",
      [folder, &context] { return Inspect(context, *folder); });
  inspect->add_option("folder", *folder, "models/<name>/<version>")->required();
}

}  // namespace qlarank
