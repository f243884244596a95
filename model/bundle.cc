#include "model/bundle.h"

#include <utility>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "model/bundle_schema.h"
#include "model/fingerprint.h"
#include "model/golden_requests.h"
#include "model/sha256.h"
#include "model/text_file.h"

namespace qlarank {
namespace {

// What the trainer writes last: the digest of all before it. Names and weights
// of tasks, actions and context values shape scores, and no tensor's digest
// covers them. A spec written by hand has no such line, and is not checked.
constexpr absl::string_view kDigestLine = "# sha256 of what is above: ";

absl::Status CheckDigest(const std::string& path, absl::string_view text) {
  const size_t line = text.rfind(kDigestLine);
  if (line == absl::string_view::npos) return absl::OkStatus();
  const absl::string_view given = text.substr(line + kDigestLine.size());
  const std::string digest = Sha256Hex(text.substr(0, line));
  if (given == absl::StrCat(digest, "\n")) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      path, ": SHA-256 of what is above its last line is ", digest,
      ", but that line says ", absl::StripTrailingAsciiWhitespace(given),
      ". The file is damaged; if it was changed on purpose, remove the line"));
}

// Opens a tensor file that must have the digest and the tensors given.
absl::StatusOr<std::unique_ptr<TensorFile>> LoadTensors(
    const std::string& path, const std::string& sha256,
    const std::vector<TensorSchema>& schema) {
  absl::StatusOr<std::unique_ptr<TensorFile>> file = TensorFile::Open(path);
  if (!file.ok()) return file.status();
  const std::string digest = Sha256Hex((*file)->contents());
  if (digest != sha256) {
    return absl::DataLossError(
        absl::StrCat(path, ": SHA-256 is ", digest, "; model.textproto says ",
                     sha256.empty() ? "nothing" : sha256,
                     ". The file is damaged or of another bundle"));
  }
  if (absl::Status status = ValidateTensors(**file, schema); !status.ok()) {
    return status;
  }
  return file;
}

// Lines "item_id <tab> title"; a missing file means no titles.
absl::StatusOr<absl::flat_hash_map<uint64_t, std::string>> LoadTitles(
    const std::string& path) {
  absl::flat_hash_map<uint64_t, std::string> titles;
  absl::StatusOr<std::string> text = ReadTextFile(path);
  if (absl::IsNotFound(text.status())) return titles;
  if (!text.ok()) return text.status();
  size_t line_number = 0;
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    ++line_number;
    if (line.empty()) continue;
    const std::pair<absl::string_view, absl::string_view> fields =
        absl::StrSplit(line, absl::MaxSplits('\t', 1));
    uint64_t item_id;
    if (!absl::SimpleAtoi(fields.first, &item_id)) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", line_number, ": item id \"", fields.first,
                       "\" is not a whole number"));
    }
    titles.emplace(item_id, fields.second);
  }
  return titles;
}

}  // namespace

absl::StatusOr<model::v1::ModelSpec> Bundle::LoadSpec(
    const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/model.textproto");
  absl::StatusOr<std::string> text = ReadTextFile(path);
  if (!text.ok()) return text.status();
  if (absl::Status status = CheckDigest(path, *text); !status.ok()) {
    return status;
  }
  model::v1::ModelSpec spec;
  if (absl::Status status = ParseTextproto(path, *text, spec); !status.ok()) {
    return status;
  }
  if (absl::Status status = ValidateSpec(spec); !status.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", status.message()));
  }
  return spec;
}

absl::StatusOr<std::shared_ptr<const Bundle>> Bundle::Load(
    const std::string& folder) {
  auto bundle = absl::WrapUnique(new Bundle());
  bundle->folder_ = folder;
  absl::StatusOr<model::v1::ModelSpec> spec = LoadSpec(folder);
  if (!spec.ok()) return spec.status();
  bundle->spec_ = *std::move(spec);

  if (absl::Status status = bundle->LoadAllTensors(); !status.ok()) {
    return status;
  }
  auto golden = LoadGoldenRequests(folder, bundle->spec_);
  if (!golden.ok()) return golden.status();
  bundle->golden_requests_ = *std::move(golden);
  auto titles = LoadTitles(absl::StrCat(folder, "/titles.tsv"));
  if (!titles.ok()) return titles.status();
  bundle->titles_ = *std::move(titles);

  bundle->IndexVocabularies();
  if (bundle->items_by_id_.size() != bundle->spec_.num_items()) {
    return absl::InvalidArgumentError(
        absl::StrCat(bundle->items_->path(), ": tensor item_ids: ",
                     bundle->spec_.num_items() - bundle->items_by_id_.size(),
                     " ids occur more than once"));
  }
  return std::shared_ptr<const Bundle>(std::move(bundle));
}

absl::Status Bundle::LoadAllTensors() {
  const BundleSchema schema = SchemaOf(spec_);
  const auto load = [&](absl::string_view file, const std::string& sha256,
                        const std::vector<TensorSchema>& tensors,
                        std::unique_ptr<TensorFile>& into) {
    auto loaded =
        LoadTensors(absl::StrCat(folder_, "/", file), sha256, tensors);
    if (loaded.ok()) into = *std::move(loaded);
    return loaded.status();
  };
  absl::Status status = load("weights.safetensors", spec_.weights_sha256(),
                             schema.weights, weights_);
  if (!status.ok()) return status;
  status = load("items.safetensors", spec_.items_sha256(), schema.items,
                items_);
  if (!status.ok()) return status;
  if (HasContent(spec_)) {
    status = load("content.safetensors", spec_.content_sha256(),
                  schema.content, content_);
    if (!status.ok()) return status;
  }
  const std::string fingerprint =
      ComputeFingerprint(spec_, *weights_, *items_, content_.get());
  if (fingerprint == spec_.fingerprint()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      folder_, "/model.textproto: fingerprint: \"", spec_.fingerprint(),
      "\"; the tensors give ", fingerprint));
}

void Bundle::IndexVocabularies() {
  items_by_id_ = ItemIndex(item_ids());
  for (const std::string& action : spec_.actions()) {
    actions_.emplace(action, actions_.size());
  }
  for (const auto& task : spec_.tasks()) {
    tasks_.emplace(task.name(), tasks_.size());
  }
  for (const auto& feature : spec_.context_features()) {
    context_features_.emplace(feature.name(), context_features_.size());
    context_.emplace_back(feature);
  }
}

bool Bundle::HasTensor(absl::string_view name) const {
  return weights_->tensors().contains(name) || items_->tensors().contains(name);
}

absl::Span<const float> Bundle::tensor(absl::string_view name) const {
  const auto found = weights_->tensors().find(name);
  if (found != weights_->tensors().end()) return found->second.floats();
  return items_->tensors().find(name)->second.floats();
}

absl::Span<const uint64_t> Bundle::item_ids() const {
  return items_->tensors().find("item_ids")->second.u64s();
}

absl::string_view Bundle::Title(uint64_t item_id) const {
  const auto found = titles_.find(item_id);
  return found == titles_.end() ? absl::string_view() : found->second;
}

uint32_t Bundle::ActionIndex(absl::string_view action) const {
  if (action.empty()) return 0;
  const auto found = actions_.find(action);
  return found == actions_.end() ? kUnknownAction : found->second;
}

std::optional<uint32_t> Bundle::ContextFeatureIndex(
    absl::string_view name) const {
  const auto found = context_features_.find(name);
  if (found == context_features_.end()) return std::nullopt;
  return found->second;
}

std::optional<uint32_t> Bundle::TaskIndex(absl::string_view task) const {
  const auto found = tasks_.find(task);
  if (found == tasks_.end()) return std::nullopt;
  return found->second;
}

}  // namespace qlarank
