#include "model/engine.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "model/canary.h"
#include "model/engine_impl.h"
#include "model/kernels.h"

namespace qlarank {
namespace {

// Counts the definitions of our arithmetic (docs/model.md section 10): what
// changes a state's last bits changes it.
constexpr int kArithmeticVersion = 5;

// Rows of `width` floats made `padded_width` long with zeros.
AlignedVector<float> PadRows(absl::Span<const float> rows, size_t width,
                             size_t padded_width) {
  AlignedVector<float> padded(rows.size() / width * padded_width);
  for (size_t row = 0; row * width < rows.size(); ++row) {
    std::copy_n(rows.data() + row * width, width,
                padded.data() + row * padded_width);
  }
  return padded;
}

// The next multiple of what kernels take.
size_t PaddedWidth(size_t width) { return (width + 7) / 8 * 8; }

}  // namespace

Engine::Impl::Impl(const Bundle& bundle, const Options& options)
    : spec(bundle.spec()),
      precision(ProcessorHas(options.precision) ? options.precision
                                                : Precision::kF32),
      d_model(spec.d_model()),
      num_tasks(spec.tasks_size()),
      all_tasks(num_tasks),
      layout(spec),
      memory(spec),
      item_embedding(bundle, options.most_added_items),
      tokens(bundle, item_embedding),
      content_tower(ContentTower::Create(bundle)),
      norm_user(bundle.tensor("norm_user")) {
  std::iota(all_tasks.begin(), all_tasks.end(), 0);
  for (const auto& task : spec.tasks()) dot_weight.push_back(task.dot_term());
  if (HasDotTerm(spec)) {
    dot_scale = static_cast<float>(kernels::Exp(bundle.tensor("log_scale")[0]));
  }
  if (!IsTargetAware(spec)) return;
  norm_cand = bundle.tensor("norm_cand");
  head_width = PaddedWidth(spec.head_width());
  head_b1 = PadRows(bundle.tensor("head.b1"), spec.head_width(), head_width);
  head_w2 = PadRows(bundle.tensor("head.w2"), spec.head_width(), head_width);
  head_b2 = bundle.tensor("head.b2");
  if (memory.entries() > 0) memory_head = bundle.tensor("memory_head");
}

absl::Status Engine::Impl::PackWeights(const Bundle& bundle) {
  for (size_t index = 0; index < NumStateLayers(spec); ++index) {
    auto layer = Layer::Create(bundle, index,
                               ReadsLayer(index) ? precision : Precision::kF32);
    if (!layer.ok()) return layer.status();
    if (index < spec.num_layers()) {
      layers.push_back(*std::move(layer));
    } else {
      dedicated_block = *std::move(layer);
    }
  }
  auto created = Seeds::Create(bundle, precision);
  if (!created.ok()) return created.status();
  seeds = *std::move(created);
  const auto pack = [&](const std::string& name,
                        absl::Span<const float> weights,
                        std::unique_ptr<const Matrix>& matrix,
                        Precision in_precision = Precision::kF32) {
    auto packed = Matrix::Create(
        name, weights, d_model,
        {{weights.size() / d_model, Matrix::Ending::kStore}}, in_precision);
    if (packed.ok()) matrix = *std::move(packed);
    return packed.status();
  };
  absl::Status status =
      pack("w_user_out", bundle.tensor("w_user_out"), w_user_out);
  if (IsTargetAware(spec)) {
    status.Update(pack("w_user_in", bundle.tensor("w_user_in"), w_user_in));
    // A task's hidden rows follow one another, so padding them is padding rows
    // of head_width * d_model floats.
    const size_t size = head_width * d_model;
    const AlignedVector<float> w1 =
        PadRows(bundle.tensor("head.w1"), spec.head_width() * d_model, size);
    for (size_t task = 0; task < num_tasks; ++task) {
      status.Update(pack(absl::StrCat("head.w1[", task, "]"),
                         absl::MakeConstSpan(w1).subspan(task * size, size),
                         head_w1.emplace_back(), precision));
    }
  }
  return status;
}

void Engine::Impl::MakeItems(const Bundle& bundle, const Options& options) {
  const auto layers_of_candidates = candidate_layers();
  const Layer* const first = layers_of_candidates.empty()
                                 ? nullptr
                                 : layers_of_candidates.front().get();
  items = std::make_unique<ItemTable>(bundle, precision, first,
                                      options.most_share_bytes,
                                      options.most_added_items, item_embedding);
  catalogue =
      std::make_unique<Catalogue>(bundle, options.most_added_items, *items);
  candidate_inputs = std::make_unique<CandidateInputs>(bundle, first, *items);
}

bool Engine::Impl::ReadsLayer(size_t index) const {
  switch (spec.target_aware()) {
    case model::v1::TARGET_AWARE_ALL_LAYERS:
      return true;
    case model::v1::TARGET_AWARE_DEDICATED_BLOCK:
      return index == spec.num_layers();
    default:
      return false;
  }
}

std::vector<const Matrix*> Engine::Impl::matrices() const {
  std::vector<const Matrix*> all = {w_user_out.get()};
  if (w_user_in != nullptr) all.push_back(w_user_in.get());
  for (const auto& matrix : head_w1) all.push_back(matrix.get());
  const auto add_layer = [&](const Layer& layer) {
    const auto of_layer = layer.matrices();
    all.insert(all.end(), of_layer.begin(), of_layer.end());
  };
  for (const auto& layer : layers) add_layer(*layer);
  if (dedicated_block != nullptr) add_layer(*dedicated_block);
  if (seeds != nullptr) {
    const auto of_seeds = seeds->matrices();
    all.insert(all.end(), of_seeds.begin(), of_seeds.end());
  }
  return all;
}

absl::Span<const std::unique_ptr<const Layer>> Engine::Impl::candidate_layers()
    const {
  switch (spec.target_aware()) {
    case model::v1::TARGET_AWARE_ALL_LAYERS:
      return layers;
    case model::v1::TARGET_AWARE_DEDICATED_BLOCK:
      return {&dedicated_block, 1};
    default:
      return {};
  }
}

absl::Span<const std::unique_ptr<const Layer>> Engine::Impl::seed_layers()
    const {
  return candidate_layers().empty() ? layers : candidate_layers();
}

ScratchBuffers::ScratchBuffers(absl::Span<const Matrix* const> of_model,
                               const model::v1::ModelSpec& spec)
    : matrices(of_model),
      tile(spec.d_model(), spec.num_heads(), spec.ffn_width()),
      head_hidden(Engine::kTileRows * PaddedWidth(spec.head_width())) {}

bool AllFinite(absl::Span<const float> values) {
  return kernels::AllFinite(values.data(), values.size());
}

EngineScratch::EngineScratch(std::unique_ptr<ScratchBuffers> buffers)
    : buffers_(std::move(buffers)) {}

EngineScratch::~EngineScratch() = default;

Reading::Reading(std::unique_ptr<const ReadingValues> values)
    : values_(std::move(values)) {}

Reading::~Reading() = default;

absl::Span<const float> Reading::user_vector() const { return values_->user; }

bool Reading::finite() const {
  const ReadingValues& values = *values_;
  bool finite = AllFinite(values.user) && AllFinite(values.shared) &&
                values.memory.finite();
  for (const LayerReadout& readout : values.readouts) {
    finite =
        finite && AllFinite(readout.matrix) &&
             AllFinite(readout.conv_shift) && AllFinite(readout.shared);
  }
  return finite;
}

size_t Reading::size_bytes() const {
  const ReadingValues& values = *values_;
  size_t floats = values.user.capacity() + values.shared.capacity();
  for (const LayerReadout& readout : values.readouts) {
    floats += readout.matrix.capacity() + readout.conv_shift.capacity() +
              readout.shared.capacity();
  }
  const size_t of_summary =
      values.summary == nullptr ? 0 : values.summary->size_bytes();
  return sizeof(*this) + sizeof(values) +
         values.readouts.capacity() * sizeof(LayerReadout) +
         floats * sizeof(float) + values.memory.size_bytes() + of_summary;
}

Engine::Engine(std::shared_ptr<const Bundle> bundle, const Options& options)
    : bundle_(std::move(bundle)),
      impl_(std::make_unique<Impl>(*bundle_, options)) {}

Engine::~Engine() = default;

absl::StatusOr<std::unique_ptr<const Engine>> Engine::Create(
    std::shared_ptr<const Bundle> bundle) {
  return Create(std::move(bundle), Options());
}

absl::StatusOr<std::unique_ptr<const Engine>> Engine::Create(
    std::shared_ptr<const Bundle> bundle, const Options& options) {
  if (absl::Status status = CheckArithmetic(); !status.ok()) return status;
  auto engine = absl::WrapUnique(new Engine(std::move(bundle), options));
  Impl& impl = *engine->impl_;
  if (absl::Status status = impl.PackWeights(*engine->bundle_); !status.ok()) {
    return status;
  }
  impl.MakeItems(*engine->bundle_, options);
  engine->state_fingerprint_ =
      absl::StrCat(engine->bundle_->fingerprint(), ".f32v", kArithmeticVersion);
  auto empty = std::make_shared<UserState>();
  empty->values = StateVector(engine->impl_->layout.floats());
  empty->memory = engine->impl_->memory.Empty();
  engine->empty_state_ = std::move(empty);
  return engine;
}

Catalogue& Engine::catalogue() const { return *impl_->catalogue; }

const ContentTower* Engine::content_tower() const {
  return impl_->content_tower.get();
}

Precision Engine::precision() const { return impl_->precision; }

size_t Engine::num_tasks() const { return impl_->num_tasks; }

absl::Span<const uint32_t> Engine::all_tasks() const {
  return impl_->all_tasks;
}

size_t Engine::num_seeds() const { return impl_->spec.num_seeds(); }

bool Engine::attends_summaries() const { return impl_->attends_summaries(); }

std::unique_ptr<EngineScratch> Engine::NewScratch() const {
  return std::make_unique<EngineScratch>(
      std::make_unique<ScratchBuffers>(impl_->matrices(), impl_->spec));
}

}  // namespace qlarank
