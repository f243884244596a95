// Any request about models is refused by naming what is wrong, or answered: a
// list has what is behind its token, once and in order, and so has every page
// that follows; a model that is found is the one that was asked for. The first
// byte says which request it is.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/models/model_page.h"
#include "state_store/memory_state_store.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/small_server.h"
#include "tests/fuzz/tiny_bundle.h"

namespace qlarank::fuzz {
namespace {

// Five versions of three names, of which the second is the default.
class LoadedModels {
 public:
  // One per process, never torn down.
  static const Registry& Get() {
    static const LoadedModels& models = *new LoadedModels;
    return *models.registry_;
  }

 private:
  LoadedModels() {
    Write(MakeFiles(TinySpec()), folder_.path());
    std::vector<ModelOptions> models;
    for (const auto& [name, version] :
         std::vector<std::pair<std::string, uint64_t>>{
             {"b", 2}, {"a", 10}, {"a", 9}, {"a.b", 1}, {"b", 1}}) {
      ModelOptions& model = models.emplace_back();
      model.name = name;
      model.version = version;
      model.path = folder_.path();
      model.default_model = models.size() == 2;
    }
    auto loaded = Registry::Load(models, store_, metrics_.info);
    Check(loaded.ok(), "the models are loaded");
    registry_ = *std::move(loaded);
  }

  testing::TempDir folder_;
  MemoryStateStore store_;
  Metrics metrics_;
  std::shared_ptr<const Registry> registry_;
};

std::pair<std::string, uint64_t> PlaceOf(const v1::Model& model) {
  return {model.name(), model.version()};
}

void ListModels(const v1::ListModelsRequest& request) {
  const Registry& registry = LoadedModels::Get();
  const std::string& name = request.model_name();
  std::string token = request.page_token();
  std::optional<v1::Model> before;
  size_t listed = 0;
  do {
    const auto page = PageOfModels(registry, name, request.page_size(), token);
    if (!page.ok()) {
      Check(listed == 0, "a token of a reply is good");
      return CheckRefusal(page.status());
    }
    Check(request.page_size() == 0 ||
              page->models.size() <= request.page_size(),
          "a page is as long as was asked for");
    for (const v1::Model& model : page->models) {
      Check(name.empty() || model.name() == name, "a list is of its name");
      Check(!before.has_value() || PlaceOf(*before) < PlaceOf(model),
            "every model is there once, in order");
      before = model;
    }
    listed += page->models.size();
    Check(page->next_token.empty() || !page->models.empty(),
          "pages come to an end");
    token = page->next_token;
  } while (!token.empty());
  if (!request.page_token().empty()) return;
  const auto all = registry.models();
  Check(static_cast<ptrdiff_t>(listed) ==
            std::count_if(all.begin(), all.end(),
                          [&](const LoadedModelPtr& model) {
                            return name.empty() || model->name == name;
                          }),
        "a list is whole");
}

void GetModel(const v1::GetModelRequest& request) {
  v1::GetModelResponse response;
  const absl::Status status = SmallServer::Get().Ask(request, response);
  if (!status.ok()) {
    Check(response.ByteSizeLong() == 0, "a refusal answers nothing");
    return CheckRefusal(status);
  }
  const v1::Model& model = response.model();
  Check(request.model_name().empty() || model.name() == request.model_name(),
        "a model has the name that was asked for");
  Check(request.model_version() == 0 ||
            model.version() == request.model_version(),
        "a model has the version that was asked for");
  Check(model.schema().tasks_size() > 0, "a model has its schema");
}

}  // namespace

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (const char* name : {"", "a", "b", "nobody"}) {
    v1::ListModelsRequest list;
    list.set_model_name(name);
    list.set_page_size(1);
    seeds.push_back(std::string(1, 0) + list.SerializeAsString());
    const auto page = PageOfModels(LoadedModels::Get(), name, 1, "");
    list.set_page_token(page->next_token);
    seeds.push_back(std::string(1, 0) + list.SerializeAsString());
  }
  for (const char* name : {"", "tiny", "nobody"}) {
    v1::GetModelRequest get;
    get.set_model_name(name);
    seeds.push_back(std::string(1, 1) + get.SerializeAsString());
    get.set_model_version(1);
    seeds.push_back(std::string(1, 1) + get.SerializeAsString());
    get.set_model_label("stable");
    seeds.push_back(std::string(1, 1) + get.SerializeAsString());
  }
  return seeds;
}

}  // namespace qlarank::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace fuzz = qlarank::fuzz;
  namespace v1 = qlarank::v1;
  if (size == 0) return 0;
  if (data[0] % 2 == 0) {
    v1::ListModelsRequest request;
    if (fuzz::ParseMessage(data + 1, size - 1, request)) {
      fuzz::ListModels(request);
    }
  } else {
    v1::GetModelRequest request;
    if (fuzz::ParseMessage(data + 1, size - 1, request)) {
      fuzz::GetModel(request);
    }
  }
  return 0;
}
