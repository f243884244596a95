// qlarank model list and model show: the models of a running server, and what
// requests for them are made of.
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/command.h"
#include "cli/model_text.h"
#include "cli/named_model.h"
#include "cli/option_checks.h"
#include "cli/progress.h"
#include "cli/suggestion.h"
#include "cli/table.h"
#include "nlohmann/json.hpp"

namespace qlarank {
namespace {

struct ModelList {
  std::vector<v1::Model> models;
  std::string server_version;
};

// All pages. `name` "": of all models.
absl::StatusOr<ModelList> ListAll(const Client& client,
                                  const std::string& name) {
  ModelList list;
  v1::ListModelsRequest request;
  request.set_model_name(name);
  do {
    auto page = client.ListModels(request);
    if (!page.ok()) return page.status();
    list.models.insert(list.models.end(), page->models().begin(),
                       page->models().end());
    list.server_version = page->server_version();
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  return list;
}

void Print(const ModelList& list, std::ostream& out) {
  Table table({{"model"},
               {"version", Align::kRight},
               {"default"},
               {"labels"},
               {"state"},
               {"scored in"},
               {"items", Align::kRight},
               {"known by"},
               {"loaded"}});
  for (const v1::Model& model : list.models) {
    if (!model.has_load_time()) {  // not served: model show says why
      table.AddRow({model.name(), absl::StrCat(model.version()), "", "",
                    ModelStateText(model.state()), "", "", "", ""});
      continue;
    }
    table.AddRow({model.name(), absl::StrCat(model.version()),
                  model.is_default() ? "yes" : "",
                  absl::StrJoin(model.labels(), ", "),
                  ModelStateText(model.state()),
                  PrecisionText(model.scoring_precision()),
                  WithCommas(model.num_items()),
                  ItemKeyTypeText(model.item_key_type()),
                  LoadTimeText(model)});
  }
  table.Print(out);
}

absl::StatusOr<ExitCode> ListModels(CommandContext& context,
                                    const std::string& name) {
  const auto list = ListAll(context.Connect(), name);
  if (!list.ok()) return list.status();
  if (context.json) {
    nlohmann::json models = nlohmann::json::array();
    for (const v1::Model& model : list->models) {
      models.push_back(ModelToJson(model));
    }
    context.out << nlohmann::json{{"server_version", list->server_version},
                                  {"models", std::move(models)}}
                       .dump()
                << "\n";
  } else {
    Print(*list, context.out);
  }
  return list->models.empty() ? ExitCode::kNegative : ExitCode::kOk;
}

// What there is in place of a model that there is not.
std::string Suggestion(const Client& client,
                       const v1::GetModelRequest& request) {
  const auto list = ListAll(client, "");
  if (!list.ok()) return "";
  std::vector<std::string> names;
  std::vector<uint64_t> versions;
  for (const v1::Model& model : list->models) {
    names.push_back(model.name());
    if (model.name() == request.model_name()) {
      versions.push_back(model.version());
    }
  }
  if (!versions.empty()) {
    return absl::StrCat("; it has ", absl::StrJoin(versions, ", "));
  }
  const std::string nearest = Nearest(request.model_name(), names);
  return nearest.empty() ? "; qlarank model list shows those that there are"
                         : absl::StrCat("; did you mean ", nearest, "?");
}

absl::StatusOr<ExitCode> ShowModel(CommandContext& context,
                                   const std::string& text) {
  const auto model = ParseNamedModel(text);
  if (!model.ok()) return model.status();
  v1::GetModelRequest request;
  request.set_model_name(model->name);
  request.set_model_version(model->version);
  const Client client = context.Connect();
  const auto response = client.GetModel(request);
  if (absl::IsNotFound(response.status())) {
    return absl::NotFoundError(absl::StrCat(response.status().message(),
                                            Suggestion(client, request)));
  }
  if (!response.ok()) return response.status();
  if (context.json) {
    nlohmann::json json = ModelToJson(response->model());
    json["schema"] = SchemaToJson(response->model().schema());
    json["limits"] = LimitsToJson(response->limits());
    json["server_version"] = response->server_version();
    context.out << json.dump() << "\n";
  } else {
    PrintModel(*response, context.out);
  }
  return ExitCode::kOk;
}

}  // namespace

void AddServedModelCommands(CommandSet& commands, CLI::App* model) {
  CommandContext& context = commands.context();
  auto listed = std::make_shared<std::string>();
  commands
      .AddBelow(model, "list",
                "List the models of a running server; exits 1 when there is "
                "none of that name",
                [listed, &context] { return ListModels(context, *listed); })
      ->add_option("name", *listed, "Only versions of this model")
      ->check(Utf8());
  auto shown = std::make_shared<std::string>();
  commands
      .AddBelow(model, "show",
                "Show a model of a running server, and what requests for it "
                "are made of",
                [shown, &context] { return ShowModel(context, *shown); })
      ->add_option("model", *shown,
                   "NAME, for the version that is usual, or NAME/VERSION. "
                   "Default: the server's default model")
      ->check(Utf8());
}

}  // namespace qlarank
