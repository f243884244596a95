#include "model/bundle_schema.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "model/category.h"
#include "model/context_feature.h"

namespace qlarank {
namespace {

using model::v1::ModelSpec;

constexpr uint32_t kFormatVersion = 1;
// Bounds that keep a damaged spec from asking for absurd memory.
constexpr uint32_t kMaxWidth = 8192;
constexpr uint32_t kMaxHeadWidth = 1024;
constexpr uint32_t kMaxLayers = 64;
constexpr uint32_t kMaxConvWidth = 64;
constexpr uint64_t kMaxItems = 1ull << 31;
constexpr uint32_t kMaxSeeds = 1024;
constexpr uint32_t kMaxMemoryEntries = 1024;
constexpr int kMaxMemoryHalfLives = 8;
constexpr uint64_t kMaxHalfLifeSeconds = 1ull << 40;
// Trained ones are below 5: a logit's scale is exp of it.
constexpr float kMaxLogScale = 20;

absl::Status Invalid(absl::string_view field, absl::string_view value,
                     absl::string_view expected) {
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": ", value, "; expected ", expected));
}

absl::Status CheckRange(absl::string_view field, uint64_t value, uint64_t low,
                        uint64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return Invalid(field, absl::StrCat(value), absl::StrCat(low, " to ", high));
}

// Non-empty and no name twice.
template <typename Names>
absl::Status CheckNames(absl::string_view field, const Names& names) {
  std::set<std::string> seen;
  for (const std::string& name : names) {
    // Names are lines of the fingerprint.
    if (name.empty() || name.find('\n') != std::string::npos) {
      return Invalid(field, absl::StrCat("\"", name, "\""),
                     "a name without line breaks");
    }
    if (!seen.insert(name).second) {
      return Invalid(field, absl::StrCat("\"", name, "\" twice"),
                     "names that differ");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckWidths(const ModelSpec& spec) {
  absl::Status status;
  status.Update(CheckRange("d_model", spec.d_model(), 8, kMaxWidth));
  status.Update(CheckRange("num_heads", spec.num_heads(), 1, kMaxWidth));
  status.Update(CheckRange("num_layers", spec.num_layers(), 1, kMaxLayers));
  status.Update(CheckRange("ffn_width", spec.ffn_width(), 8, 4 * kMaxWidth));
  status.Update(CheckRange("conv_width", spec.conv_width(), 1, kMaxConvWidth));
  status.Update(CheckRange("num_items", spec.num_items(), 1, kMaxItems));
  if (!status.ok()) return status;
  if (spec.ffn_width() % 8 != 0) {
    return Invalid("ffn_width", absl::StrCat(spec.ffn_width()),
                   "a multiple of 8");
  }
  const uint32_t head_width = spec.d_model() / spec.num_heads();
  if (spec.d_model() % spec.num_heads() != 0 || head_width % 8 != 0 ||
      head_width > kMaxHeadWidth) {
    return Invalid("d_model / num_heads",
                   absl::StrCat(spec.d_model(), " / ", spec.num_heads()),
                   absl::StrCat("a multiple of 8, at most ", kMaxHeadWidth));
  }
  return absl::OkStatus();
}

absl::Status CheckChoices(const ModelSpec& spec) {
  if (spec.phi2() != model::v1::PHI2_IDENTITY &&
      spec.phi2() != model::v1::PHI2_SILU) {
    return Invalid("phi2", absl::StrCat(spec.phi2()),
                   "PHI2_IDENTITY or PHI2_SILU");
  }
  if (spec.target_aware() < model::v1::TARGET_AWARE_OFF ||
      spec.target_aware() > model::v1::TARGET_AWARE_DEDICATED_BLOCK) {
    return Invalid("target_aware", absl::StrCat(spec.target_aware()),
                   "a TARGET_AWARE_ value");
  }
  if (IsTargetAware(spec)) {
    return CheckRange("head_width", spec.head_width(), 1, kMaxWidth);
  }
  if (!spec.candidate_features().empty() || !spec.context_features().empty()) {
    return absl::InvalidArgumentError(
        "candidate_features and context_features need target_aware");
  }
  if (!HasDotTerm(spec)) {
    return absl::InvalidArgumentError(
        "tasks: nothing scores them; expected dot_term or target_aware");
  }
  return absl::OkStatus();
}

absl::Status CheckSeeds(const ModelSpec& spec) {
  if (spec.num_seeds() % 8 != 0 || spec.num_seeds() > kMaxSeeds) {
    return Invalid("num_seeds", absl::StrCat(spec.num_seeds()),
                   absl::StrCat("a multiple of 8, at most ", kMaxSeeds));
  }
  if (spec.summary_attention() &&
      (spec.num_seeds() == 0 || !IsTargetAware(spec))) {
    return Invalid("summary_attention", "true",
                   "false without num_seeds or target_aware");
  }
  return absl::OkStatus();
}

absl::Status CheckItemMemory(const ModelSpec& spec) {
  if (!spec.has_item_memory()) return absl::OkStatus();
  if (!IsTargetAware(spec)) {
    return Invalid("item_memory", "given", "none without target_aware");
  }
  const uint32_t entries = spec.item_memory().entries();
  if (entries % 8 != 0 || entries == 0 || entries > kMaxMemoryEntries) {
    return Invalid("item_memory.entries", absl::StrCat(entries),
                   absl::StrCat("a multiple of 8, 8 to ", kMaxMemoryEntries));
  }
  const auto& half_lives = spec.item_memory().half_lives_s();
  if (half_lives.empty() || half_lives.size() > kMaxMemoryHalfLives) {
    return Invalid("item_memory.half_lives_s",
                   absl::StrCat(half_lives.size(), " of them"),
                   absl::StrCat("1 to ", kMaxMemoryHalfLives));
  }
  uint64_t before = 0;
  for (const uint64_t seconds : half_lives) {
    if (seconds <= before || seconds > kMaxHalfLifeSeconds) {
      return Invalid("item_memory.half_lives_s",
                     absl::StrCat(seconds, " after ", before),
                     absl::StrCat("1 to ", kMaxHalfLifeSeconds, ", rising"));
    }
    before = seconds;
  }
  return absl::OkStatus();
}

absl::Status CheckVocabularies(const ModelSpec& spec) {
  if (spec.actions().empty()) {
    return Invalid("actions", "none", "at least one");
  }
  if (spec.tasks().empty()) return Invalid("tasks", "none", "at least one");
  absl::Status status;
  status.Update(CheckNames("actions", spec.actions()));
  status.Update(CheckNames("event_features", spec.event_features()));
  status.Update(CheckNames("candidate_features", spec.candidate_features()));
  status.Update(CheckCategories("event_categories", spec.event_categories(),
                                spec.event_features()));
  status.Update(CheckCategories("candidate_categories",
                                spec.candidate_categories(),
                                spec.candidate_features()));
  std::vector<std::string> tasks;
  for (const auto& task : spec.tasks()) {
    tasks.push_back(task.name());
    if (!std::isfinite(task.value_weight())) {
      status.Update(Invalid("tasks.value_weight",
                            absl::StrCat(task.value_weight()),
                            "a finite number"));
    }
  }
  status.Update(CheckNames("tasks", tasks));
  std::vector<std::string> contexts;
  for (const auto& feature : spec.context_features()) {
    contexts.push_back(feature.name());
    status.Update(CheckNames(absl::StrCat("context_features.", feature.name()),
                             feature.values()));
    status.Update(CheckContextFeature(feature));
  }
  status.Update(CheckNames("context_features", contexts));
  return status;
}

absl::Status CheckItemAttribute(const model::v1::ItemAttribute& attribute) {
  const std::string field =
      absl::StrCat("item_attributes.", attribute.name(), ".values");
  std::set<absl::string_view> seen;
  for (const std::string& value : attribute.values()) {
    if (value.empty()) return Invalid(field, "\"\"", "a text");
    if (!seen.insert(value).second) {
      return Invalid(field, absl::StrCat("\"", value, "\" twice"),
                     "values that differ");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckItemContent(const ModelSpec& spec) {
  // The name of a tensor that is not an attribute's.
  std::vector<std::string> names = {"numbers"};
  absl::Status status;
  for (const auto& attribute : spec.item_attributes()) {
    names.push_back(attribute.name());
    status.Update(CheckItemAttribute(attribute));
  }
  for (const auto& number : spec.item_numbers()) {
    names.push_back(number.name());
    if (std::isfinite(number.mean()) && std::isfinite(number.scale()) &&
        number.scale() > 0) {
      continue;
    }
    status.Update(Invalid(
        absl::StrCat("item_numbers.", number.name()),
        absl::StrCat("mean ", number.mean(), ", scale ", number.scale()),
        "finite ones, and a scale above 0"));
  }
  status.Update(CheckNames("item_attributes, item_numbers", names));
  return status;
}

// Collects a schema line by line.
class SchemaBuilder {
 public:
  SchemaBuilder(const ModelSpec& spec, std::vector<TensorSchema>& tensors)
      : spec_(spec), tensors_(tensors) {}

  void Add(std::string name, std::vector<uint64_t> shape, bool shapes_state,
           DType dtype = DType::kF32) {
    tensors_.push_back(
        {std::move(name), dtype, std::move(shape), shapes_state});
  }

  void AddLayer(uint32_t layer) {
    const uint64_t d = spec_.d_model(), f = spec_.ffn_width();
    const uint64_t heads = spec_.num_heads();
    const std::string prefix = absl::StrCat("layers.", layer, ".");
    Add(prefix + "norm_attn", {d}, true);
    if (layer < spec_.num_layers() && spec_.conv_width() > 1) {
      Add(prefix + "conv", {spec_.conv_width(), d}, true);
    }
    Add(prefix + "w_qkvg", {4 * d, d}, true);
    Add(prefix + "decay_rate", {heads}, true);
    Add(prefix + "alpha", {heads}, true);
    Add(prefix + "beta", {heads}, true);
    Add(prefix + "norm_head", {d}, true);
    Add(prefix + "w_o", {d, d}, true);
    Add(prefix + "norm_ffn", {d}, true);
    Add(prefix + "w_12", {2 * f, d}, true);
    Add(prefix + "w_3", {d, f}, true);
  }

  void AddTargetAware() {
    const uint64_t d = spec_.d_model(), tasks = spec_.tasks_size();
    const uint64_t width = spec_.head_width();
    Add("w_user_in", {d, d}, false);
    for (const auto& feature : spec_.context_features()) {
      Add(absl::StrCat("context.", feature.name()),
          {NumContextRows(feature), d}, false);
    }
    if (!spec_.candidate_features().empty()) {
      Add("candidate_projection",
          {d, static_cast<uint64_t>(spec_.candidate_features_size())}, false);
    }
    Add("norm_cand", {d}, false);
    Add("head.w1", {tasks, width, d}, false);
    Add("head.b1", {tasks, width}, false);
    Add("head.w2", {tasks, width}, false);
    Add("head.b2", {tasks}, false);
    if (const uint64_t facts = NumMemoryFacts(spec_); facts > 0) {
      Add("memory_projection", {d, facts}, false);
      Add("memory_head", {tasks, facts}, false);
    }
  }

  void AddSeeds() {
    const uint64_t d = spec_.d_model();
    Add("seed_embedding", {spec_.num_seeds(), d}, false);
    Add("norm_summary", {d}, false);
    if (!spec_.summary_attention()) return;
    Add("summary.norm_attn", {d}, false);
    Add("summary.w_q", {d, d}, false);
    Add("summary.w_kv", {2 * d, d}, false);
    Add("summary.w_o", {d, d}, false);
  }

  // Of rows that are made while states are, so that all of it shapes them.
  void AddContent() {
    const uint64_t width = spec_.d_model() + 1;
    for (const auto& attribute : spec_.item_attributes()) {
      const auto values = static_cast<uint64_t>(attribute.values_size());
      Add(absl::StrCat("content.", attribute.name()), {1 + values, width},
          true);
    }
    const auto numbers = static_cast<uint64_t>(spec_.item_numbers_size());
    if (numbers > 0) Add("content.numbers", {numbers, width}, true);
  }

 private:
  const ModelSpec& spec_;
  std::vector<TensorSchema>& tensors_;
};

absl::Status CheckTensor(const TensorView& tensor, const TensorSchema& schema) {
  if (tensor.dtype != schema.dtype) {
    return absl::InvalidArgumentError(
        absl::StrCat("dtype ", DTypeName(tensor.dtype), "; expected ",
                     DTypeName(schema.dtype)));
  }
  if (tensor.shape != schema.shape) {
    return absl::InvalidArgumentError(
        absl::StrCat("shape ", tensor.ShapeString(), "; expected ",
                     absl::StrJoin(schema.shape, "x")));
  }
  if (tensor.dtype != DType::kF32) return absl::OkStatus();
  const absl::Span<const float> values = tensor.floats();
  const auto bad = std::find_if(values.begin(), values.end(),
                                [](float x) { return !std::isfinite(x); });
  if (bad != values.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("element ", bad - values.begin(), " is ", *bad));
  }
  return absl::OkStatus();
}

}  // namespace

uint32_t NumStateLayers(const ModelSpec& spec) {
  return spec.num_layers() +
         (spec.target_aware() == model::v1::TARGET_AWARE_DEDICATED_BLOCK);
}

bool IsTargetAware(const ModelSpec& spec) {
  return spec.target_aware() == model::v1::TARGET_AWARE_ALL_LAYERS ||
         spec.target_aware() == model::v1::TARGET_AWARE_DEDICATED_BLOCK;
}

bool HasDotTerm(const ModelSpec& spec) {
  return std::any_of(spec.tasks().begin(), spec.tasks().end(),
                     [](const auto& task) { return task.dot_term(); });
}

bool HasContent(const ModelSpec& spec) {
  return !spec.item_attributes().empty() || !spec.item_numbers().empty();
}

uint32_t NumMemoryFacts(const ModelSpec& spec) {
  if (!spec.has_item_memory()) return 0;
  return 4 + 2 * static_cast<uint32_t>(spec.item_memory().half_lives_s_size());
}

absl::Status ValidateSpec(const ModelSpec& spec) {
  if (spec.format_version() != kFormatVersion) {
    return Invalid("format_version", absl::StrCat(spec.format_version()),
                   absl::StrCat(kFormatVersion));
  }
  if (spec.name().empty()) return Invalid("name", "\"\"", "a name");
  if (spec.version() == 0) return Invalid("version", "0", "at least 1");
  absl::Status status = CheckWidths(spec);
  status.Update(CheckChoices(spec));
  status.Update(CheckSeeds(spec));
  status.Update(CheckItemMemory(spec));
  status.Update(CheckVocabularies(spec));
  status.Update(CheckItemContent(spec));
  return status;
}

BundleSchema SchemaOf(const ModelSpec& spec) {
  const uint64_t d = spec.d_model();
  BundleSchema schema;
  SchemaBuilder weights(spec, schema.weights);
  weights.Add("action_embedding",
              {static_cast<uint64_t>(spec.actions_size()) + 1, d}, true);
  weights.Add("gap_embedding", {kBuckets, d}, true);
  weights.Add("next_embedding", {kBuckets, d}, true);
  weights.Add("count_embedding", {kBuckets, d}, true);
  if (!spec.event_features().empty()) {
    weights.Add("event_projection",
                {d, static_cast<uint64_t>(spec.event_features_size())}, true);
  }
  for (uint32_t layer = 0; layer < NumStateLayers(spec); ++layer) {
    weights.AddLayer(layer);
  }
  weights.Add("norm_user", {d}, false);
  weights.Add("w_user_out", {d, d}, false);
  if (HasDotTerm(spec)) weights.Add("log_scale", {1}, false);
  if (IsTargetAware(spec)) weights.AddTargetAware();
  if (spec.num_seeds() > 0) weights.AddSeeds();

  SchemaBuilder items(spec, schema.items);
  items.Add("item_ids", {spec.num_items()}, true, DType::kU64);
  items.Add("item_embedding", {spec.num_items() + 1, d}, true);
  items.Add("item_bias", {spec.num_items() + 1}, false);
  SchemaBuilder(spec, schema.content).AddContent();
  return schema;
}

absl::Status ValidateTensors(const TensorFile& file,
                             const std::vector<TensorSchema>& schema) {
  std::set<absl::string_view> expected;
  for (const TensorSchema& wanted : schema) {
    expected.insert(wanted.name);
    const auto found = file.tensors().find(wanted.name);
    if (found == file.tensors().end()) {
      return absl::InvalidArgumentError(
          absl::StrCat(file.path(), ": tensor ", wanted.name, " is missing"));
    }
    if (absl::Status status = CheckTensor(found->second, wanted);
        !status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(
          file.path(), ": tensor ", wanted.name, ": ", status.message()));
    }
    // exp of more than 88 is infinite, and times the zero of a user without
    // events not a number.
    if (wanted.name == "log_scale" &&
        !(std::abs(found->second.floats()[0]) <= kMaxLogScale)) {
      return absl::InvalidArgumentError(
          absl::StrCat(file.path(), ": tensor log_scale: ",
                       found->second.floats()[0], "; expected ", -kMaxLogScale,
                       " to ", kMaxLogScale));
    }
    if (absl::EndsWith(wanted.name, ".decay_rate")) {
      for (float rate : found->second.floats()) {
        if (rate >= 0) continue;
        return absl::InvalidArgumentError(
            absl::StrCat(file.path(), ": tensor ", wanted.name, ": rate ", rate,
                         "; expected at least 0"));
      }
    }
  }
  for (const auto& [name, tensor] : file.tensors()) {
    if (expected.contains(name)) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        file.path(), ": tensor ", name, " is not one that this model has"));
  }
  return absl::OkStatus();
}

}  // namespace qlarank
