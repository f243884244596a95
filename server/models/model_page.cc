#include "server/models/model_page.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "model/sha256.h"
#include "server/models/model_description.h"
#include "server/work/field_error.h"

namespace qlarank {
namespace {

// A model's place in the list.
using Place = std::tuple<absl::string_view, uint64_t>;

// A model in it: one of the two.
struct ListedModel {
  Place place;
  const LoadedModel* served = nullptr;
  const UnservedModel* unserved = nullptr;
};

std::vector<ListedModel> ListAll(const Registry& registry) {
  std::vector<ListedModel> all;
  for (const LoadedModelPtr& model : registry.models()) {
    all.push_back({{model->name, model->version}, model.get(), nullptr});
  }
  for (const UnservedModel& model : registry.unserved()) {
    all.push_back({{model.name, model.version}, nullptr, &model});
  }
  std::sort(all.begin(), all.end(),
            [](const ListedModel& a, const ListedModel& b) {
              return a.place < b.place;
            });
  return all;
}

// The last model of a page.
struct After {
  std::string name;
  uint64_t version = 0;
};

// A digest, so that one which was cut short is not taken for another; which
// list it is of; version and name.
std::string TokenOf(const After& after, absl::string_view list) {
  const std::string text = absl::StrCat(list.empty() ? "all" : "one", "/",
                                        after.version, "/", after.name);
  return absl::WebSafeBase64Escape(
      absl::StrCat(Sha256Hex(text).substr(0, 8), "/", text));
}

// What a token says; nullopt when it is none of ours, or of another list.
std::optional<After> ParseToken(absl::string_view token,
                                absl::string_view list) {
  std::string text;
  if (!absl::WebSafeBase64Unescape(token, &text)) return std::nullopt;
  const std::vector<std::string> parts =
      absl::StrSplit(text, absl::MaxSplits('/', 3));
  After after;
  if (parts.size() != 4 || !absl::SimpleAtoi(parts[2], &after.version)) {
    return std::nullopt;
  }
  after.name = parts[3];
  if (!list.empty() && after.name != list) return std::nullopt;
  if (TokenOf(after, list) != token) return std::nullopt;
  return after;
}

}  // namespace

absl::StatusOr<ModelPage> PageOfModels(const Registry& registry,
                                       absl::string_view name, uint32_t size,
                                       absl::string_view token) {
  std::optional<After> after;
  if (!token.empty()) {
    after = ParseToken(token, name);
    if (!after.has_value()) {
      return FieldError("page_token", Quoted(token),
                        "is no next_page_token of a reply to this request");
    }
  }
  std::vector<ListedModel> listed = ListAll(registry);
  std::erase_if(listed, [&](const ListedModel& model) {
    return (!name.empty() && std::get<0>(model.place) != name) ||
           (after.has_value() &&
            model.place <= Place(after->name, after->version));
  });
  ModelPage page;
  const size_t most = size == 0 ? kDefaultModelPage
                                : std::min(size, kMostModelPage);
  if (listed.size() > most) {
    listed.resize(most);
    const auto& [last_name, last_version] = listed.back().place;
    page.next_token = TokenOf({std::string(last_name), last_version}, name);
  }
  for (const ListedModel& model : listed) {
    page.models.push_back(model.served != nullptr
                              ? DescribeModel(*model.served, registry)
                              : DescribeModel(*model.unserved));
  }
  return page;
}

}  // namespace qlarank
