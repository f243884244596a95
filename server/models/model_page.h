// The models of a registry page by page, those that are not served too, in order
// of name, then version.
//
// A page's token says after which model the next one begins, and of which list.
// It is no place in the list: models that come or go meanwhile move no other
// one across the border of a page.
//
// Pure functions.
#ifndef QLARANK_SERVER_MODELS_MODEL_PAGE_H_
#define QLARANK_SERVER_MODELS_MODEL_PAGE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "qlarank/v1/model_service.pb.h"
#include "server/models/registry.h"

namespace qlarank {

inline constexpr uint32_t kDefaultModelPage = 100;
inline constexpr uint32_t kMostModelPage = 1000;

struct ModelPage {
  std::vector<v1::Model> models;  // without their schemas
  std::string next_token;  // "": this was the last page
};

// At most `size` models behind `token` ("": from the beginning), only versions
// of `name` unless that is "". A size of 0 is kDefaultModelPage; what is above
// kMostModelPage counts as that.
// INVALID_ARGUMENT  "page_token: ...": not of a page of the same list
absl::StatusOr<ModelPage> PageOfModels(const Registry& registry,
                                       absl::string_view name, uint32_t size,
                                       absl::string_view token);

}  // namespace qlarank

#endif  // QLARANK_SERVER_MODELS_MODEL_PAGE_H_
